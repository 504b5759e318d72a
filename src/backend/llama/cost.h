/* How long a decode takes for how many rows, learned from the decodes that are made anyway.
 *
 * The first prompt gives a point far up, the first token that is written the lowest one; between
 * points the curve is a straight line, until decodes of other sizes say better. So nothing has to
 * be measured when a model is loaded, and a machine that gets busy is noticed. Not thread-safe. */
#ifndef S2A_COST_H
#define S2A_COST_H

#include <stddef.h>

#define COST_POINTS 20 /* sizes that are told apart: 1, 2, 3, 4, 6, 8, 12, 16, ... */

typedef struct cost_curve {
    struct cost_point {
        double rows, ms; /* running means of what was measured; rows 0 = nothing yet */
    } point[COST_POINTS];
} cost_curve;

/* A zeroed curve knows nothing. Figures that are far above what the others predict count less:
 * the machine was doing something else. */
void cost_add(cost_curve *c, size_t rows, double ms);

/* Milliseconds of a decode of so many rows; always finite and positive. A curve that knows nothing
 * says the same for all. */
double cost_of(const cost_curve *c, size_t rows);

#endif
