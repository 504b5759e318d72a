/* The time of a decode by its number of rows, learned from the decodes that happen anyway.
 *
 * The first prompt gives a point with many rows, the first generated token the point with one row.
 * Between points the curve is a straight line, until decodes of other sizes improve it. So loading
 * a model needs no measurement, and a busy machine is noticed. Not thread-safe. */
#ifndef S2A_COST_H
#define S2A_COST_H

#include <stddef.h>

#define COST_POINTS 20 /* distinct sizes: 1, 2, 3, 4, 6, 8, 12, 16, ... */

typedef struct cost_curve {
    struct cost_point {
        double rows, ms; /* running means of the measurements; rows 0 = none yet */
    } point[COST_POINTS];
} cost_curve;

/* Adds a measurement; a zeroed curve has none. Times far above the prediction count less, because
 * the machine was probably busy. */
void cost_add(cost_curve *c, size_t rows, double ms);

/* Milliseconds of a decode with that many rows; always finite and positive. A curve without
 * measurements returns the same for all. */
double cost_of(const cost_curve *c, size_t rows);

#endif
