/* Ranges and ticks; see plot_scale.h. */
#include "eval/plot_scale.h"

#include <math.h>
#include <string.h>

/* 1, 2 or 5 times a power of ten, so that about count steps fill the range. */
static double nice_step(double range, double count)
{
    double power = pow(10, floor(log10(range / count)));
    double share = range / count / power;
    return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

/* Ticks within [low, high]; with widen the range grows to whole steps first. */
static void set_ticks(plot_scale *out, bool widen, bool percent)
{
    double step = nice_step(out->high - out->low, 5);
    if (widen) {
        out->low = floor(out->low / step + 1e-9) * step;
        out->high = ceil(out->high / step - 1e-9) * step;
    }
    double first = ceil(out->low / step - 1e-9);
    out->count = 0;
    while (out->count < PLOT_TICKS_MAX && (first + out->count) * step <= out->high + step * 1e-6) {
        out->ticks[out->count] = (first + out->count) * step;
        out->count++;
    }
    double shown = percent ? step * 100 : step;
    out->decimals = shown >= 1 ? 0 : (int)ceil(-log10(shown) - 1e-9);
}

static void widen_to(double value, plot_scale *out)
{
    if (!isfinite(value))
        return;
    out->low = value < out->low ? value : out->low;
    out->high = value > out->high ? value : out->high;
}

bool plot_drawable(const plot_spec *spec, const plot_point *point)
{
    return isfinite(point->x) && isfinite(point->y) && !(spec->x_log && point->x <= 0);
}

void plot_scale_y(const plot_spec *spec, plot_scale *out)
{
    *out = (plot_scale){ .low = INFINITY, .high = -INFINITY };
    for (size_t s = 0; s < spec->series_count; s++)
        for (size_t i = 0; i < spec->series[s].count; i++) {
            const plot_point *p = &spec->series[s].points[i];
            if (!plot_drawable(spec, p))
                continue;
            widen_to(p->y, out);
            widen_to(p->low, out);
            widen_to(p->high, out);
        }
    widen_to(spec->reference, out);
    if (spec->kind == PLOT_BARS)
        widen_to(0, out);
    bool low_given = isfinite(spec->y_min), high_given = isfinite(spec->y_max);
    double low = low_given ? spec->y_min : out->low, high = high_given ? spec->y_max : out->high;
    if (!isfinite(low) || !isfinite(high) || low > high) {
        low = low_given ? low : 0;
        high = low + 1;
    }
    if (high - low < 1e-12)
        high = low + (low != 0 ? fabs(low) : 1);
    out->low = low;
    out->high = high;
    set_ticks(out, true, spec->percent);
    if (!low_given && !high_given)
        return;
    out->low = low_given ? low : out->low;
    out->high = high_given ? high : out->high;
    set_ticks(out, false, spec->percent);
}

/* The values that occur, when they are few: readers want to see k = 1, 2, 4, 8. */
static void ticks_at_values(const plot_spec *spec, plot_scale *out)
{
    const int most = 12;
    for (size_t s = 0; s < spec->series_count; s++)
        for (size_t i = 0; i < spec->series[s].count; i++) {
            const plot_point *p = &spec->series[s].points[i];
            int at = 0;
            while (at < out->count && out->ticks[at] < p->x)
                at++;
            if (!plot_drawable(spec, p) || (at < out->count && out->ticks[at] == p->x))
                continue;
            if (out->count == most) {
                out->count = 0;
                return;
            }
            memmove(out->ticks + at + 1, out->ticks + at,
                    (size_t)(out->count - at) * sizeof *out->ticks);
            out->ticks[at] = p->x;
            out->count++;
        }
    for (int i = 0; i < out->count; i++) {
        double shifted = out->ticks[i] * pow(10, out->decimals);
        for (; out->decimals < 3 && fabs(shifted - round(shifted)) > 1e-6; shifted *= 10)
            out->decimals++;
    }
}

void plot_scale_x(const plot_spec *spec, plot_scale *out)
{
    *out = (plot_scale){ .low = 0, .high = 1 };
    if (spec->kind == PLOT_CURVES) {
        set_ticks(out, false, false);
        return;
    }
    out->low = INFINITY;
    out->high = -INFINITY;
    for (size_t s = 0; s < spec->series_count; s++)
        for (size_t i = 0; i < spec->series[s].count; i++)
            if (plot_drawable(spec, &spec->series[s].points[i]))
                widen_to(spec->series[s].points[i].x, out);
    if (!isfinite(out->low))
        out->low = out->high = 1;
    if (out->high - out->low < 1e-12) {
        out->low = spec->x_log ? out->low / 2 : out->low - 1;
        out->high = spec->x_log ? out->high * 2 : out->high + 1;
    }
    ticks_at_values(spec, out);
    if (out->count > 0)
        return;
    if (!spec->x_log) {
        set_ticks(out, true, false);
        return;
    }
    for (double x = exp2(ceil(log2(out->low))); x <= out->high && out->count < PLOT_TICKS_MAX;
         x *= 2)
        out->ticks[out->count++] = x;
}
