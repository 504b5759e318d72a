/* Windows: splits a text that is too long to judge at once into overlapping runs of units. Pure and
 * thread-safe. */
#ifndef S2A_WINDOW_H
#define S2A_WINDOW_H

#include "s2a.h"

/* The units [first, last) are shown together; of these, [from, to) are decided here. The others are
 * context, so that no unit is decided at the edge of a window. */
typedef struct window {
    size_t first, last, from, to;
} window;

/* cost[i]: the tokens of unit i, 1 or more; a window has at most `most` tokens. Each unit is
 * decided in one window, in order. A unit of more than `most` is in no window, and no window spans
 * it. A window also shows units of its neighbours, up to `margin` tokens on each side (2 * margin <
 * most), so neighbours overlap by up to 2 * margin. The windows of a text are about equally long.
 * There is one window if all units cost at most `most`. *out is malloc'ed; free it with free.
 * Linear in count. S2A_NOMEM, and *out is then NULL. */
s2a_status window_split(const size_t *cost, size_t count, size_t most, size_t margin, window **out,
                        size_t *out_count, s2a_error *err);

#endif
