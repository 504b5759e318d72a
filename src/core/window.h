/* Windows: a text that is longer than a model should judge at once, as stretches of units that
 * overlap. Pure and thread-safe. */
#ifndef S2A_WINDOW_H
#define S2A_WINDOW_H

#include "s2a.h"

/* The units [first, last) are shown together; of these, [from, to) are decided here. Those around
 * them are there so that no unit is decided at the edge of what is seen. */
typedef struct window {
    size_t first, last, from, to;
} window;

/* cost[i] is what unit i takes, in tokens, 1 or more; a window takes at most `most`. Each unit is
 * decided in one window, in order; one that costs more than `most` is in none, and no window goes
 * across it. A window that has a neighbour shows of it, on that side, as many units as cost no more
 * than `margin` together (2 * margin < most): two neighbours overlap by up to 2 * margin, and what
 * lies in the overlap is decided where it is further from the edge. The windows of a text are about
 * equally long. All units in one window when they cost no more than `most`. *out is malloc'ed; free
 * it with free. Linear in count. S2A_NOMEM, and *out is then NULL. */
s2a_status window_split(const size_t *cost, size_t count, size_t most, size_t margin, window **out,
                        size_t *out_count, s2a_error *err);

#endif
