/* The axes of a plot: ranges and ticks. Pure; independent of pixels. */
#ifndef S2A_EVAL_PLOT_SCALE_H
#define S2A_EVAL_PLOT_SCALE_H

#include "eval/plot.h"

#define PLOT_TICKS_MAX 24

typedef struct plot_scale {
    double low, high; /* low < high */
    double ticks[PLOT_TICKS_MAX];
    int count;
    int decimals; /* digits after the point that the ticks need */
} plot_scale;

/* False for a point that is not drawn: not finite, or x <= 0 on a logarithmic axis. */
bool plot_drawable(const plot_spec *spec, const plot_point *point);

/* y: spec->y_min and y_max if given, otherwise from the values and intervals, in round steps.
 * x: [0, 1] for curves, otherwise from the values; not for bars. */
void plot_scale_y(const plot_spec *spec, plot_scale *out);
void plot_scale_x(const plot_spec *spec, plot_scale *out);

#endif
