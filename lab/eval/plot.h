/* Plots as SVG and PNG, with cairo, which only plot.c includes. The colours are Okabe and Ito's,
 * which colour-blind readers can distinguish; series also differ in pattern or marker. */
#ifndef S2A_EVAL_PLOT_H
#define S2A_EVAL_PLOT_H

#include "s2a.h"

typedef enum plot_kind {
    PLOT_BARS,  /* groups of bars on a categorical axis: Figures 5 to 8 of the paper */
    PLOT_LINES, /* lines with markers over numbers: accuracy over k, cost over length */
    PLOT_CURVES /* lines on [0,1] x [0,1] with a diagonal (ROC); a single point is a marker */
} plot_kind;

typedef struct plot_point {
    double x;         /* PLOT_BARS: the index of the category */
    double y;         /* NaN = no bar */
    double low, high; /* interval; NaN = none */
} plot_point;

typedef struct plot_series {
    const char *name;
    const plot_point *points;
    size_t count;
} plot_series;

typedef struct plot_spec {
    plot_kind kind;
    const char *title, *subtitle; /* subtitle may be NULL: model, n, sampling */
    const char *x_label, *y_label;
    const char *const *categories; /* PLOT_BARS */
    size_t category_count;
    const plot_series *series;
    size_t series_count;
    double y_min, y_max; /* both NaN = from the data, with 0 included for bars */
    bool x_log;          /* PLOT_LINES: base 2 */
    bool percent;        /* y is a share: the axis shows per cent */
    double reference;    /* a dashed horizontal line; NaN = none */
    const char *reference_label;
} plot_spec;

/* Both are written to a temporary file first and renamed. S2A_IO, S2A_NOMEM. */
s2a_status plot_write_svg(const plot_spec *spec, const char *path, s2a_error *err);
s2a_status plot_write_png(const plot_spec *spec, const char *path, s2a_error *err);
/* The SVG as text, for the report; malloc'ed. */
s2a_status plot_svg(const plot_spec *spec, char **text, size_t *len, s2a_error *err);

#endif
