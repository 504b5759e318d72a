#include "backend/llama/cost.h"

#include <stdbool.h>

#define WEIGHT 0.25 /* a new figure's weight in the running mean */
#define OUTLIER 3.0 /* times the expected cost: larger figures are cut to it */

/* Sizes 2^i and 3 * 2^(i-1): 1, 2, 3, 4, 6, 8, 12, ... */
static size_t point_of(size_t rows)
{
    size_t i = 0;
    for (size_t next = 2; next <= rows && i + 1 < COST_POINTS; i++)
        next = next % 3 == 0 ? next / 3 * 4 : next / 2 * 3;
    return i;
}

void cost_add(cost_curve *c, size_t rows, double ms)
{
    if (rows == 0 || !(ms > 0))
        return;
    bool known = false;
    for (size_t i = 0; i < COST_POINTS; i++)
        known |= c->point[i].rows > 0;
    double expected = known ? cost_of(c, rows) : ms;
    if (ms > OUTLIER * expected)
        ms = OUTLIER * expected;
    struct cost_point *p = &c->point[point_of(rows)];
    double weight = p->rows > 0 ? WEIGHT : 1;
    p->rows += weight * ((double)rows - p->rows);
    p->ms += weight * (ms - p->ms);
}

double cost_of(const cost_curve *c, size_t rows)
{
    const struct cost_point *below = NULL, *above = NULL;
    double n = rows > 0 ? (double)rows : 1;
    for (size_t i = 0; i < COST_POINTS && !above; i++) {
        const struct cost_point *p = &c->point[i];
        if (p->rows > 0 && p->rows <= n)
            below = p;
        else if (p->rows > n)
            above = p;
    }
    if (below && above) {
        double share = (n - below->rows) / (above->rows - below->rows);
        return below->ms + share * (above->ms - below->ms);
    }
    if (below) /* a straight line through 0 */
        return below->ms * n / below->rows;
    return above ? above->ms : 1; /* fewer rows than ever measured: the same cost */
}
