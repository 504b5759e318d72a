/* Plots by cairo. One routine draws, in units of a pixel at normal size; SVG takes it as it is, PNG
 * at twice the size. What stands where is decided first (layout), so that legend, wrapped titles
 * and turned labels take room of their own and never cover data. */
#include "eval/plot.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/outfile.h"
#include "base/utf8.h"
#include "eval/plot_scale.h"
#include "eval/text.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_BYTES 320
#define MAX_LINES 4
#define MARGIN 14.0
#define FONT_TITLE 15.0
#define FONT_TEXT 12.0
#define FONT_TICK 11.0
#define LINE_HEIGHT 1.3 /* of the font's size */
#define PLOT_HEIGHT 300.0
#define TURN 0.62 /* radians by which long category names are turned */
#define TURNED_MAX 190.0
#define BAR_MAX 46.0
#define WIDTH_MAX 3600.0
#define STYLES 9

/* ---- styles: Okabe and Ito's colours (jfly.uni-koeln.de/color), patterns, dashes --------- */

typedef enum hatch { SOLID, RISING, FALLING, DOTS, LEVEL, UPRIGHT, CROSSED } hatch;

typedef struct style {
    double r, g, b;
    hatch pattern;
    double ink; /* of the pattern: 1 white on dark colours, 0 black on light ones */
    double dash[4];
    int dashes;
} style;

static const style styles[STYLES] = {
    { 0.000, 0.447, 0.698, SOLID, 1, { 0 }, 0 },            /* blue */
    { 0.902, 0.624, 0.000, RISING, 0, { 7, 3 }, 2 },        /* orange */
    { 0.000, 0.620, 0.451, DOTS, 1, { 2, 3 }, 2 },          /* bluish green */
    { 0.835, 0.369, 0.000, FALLING, 1, { 9, 3, 2, 3 }, 4 }, /* vermilion */
    { 0.337, 0.706, 0.914, LEVEL, 0, { 12, 4 }, 2 },        /* sky blue */
    { 0.800, 0.475, 0.655, CROSSED, 0, { 4, 2 }, 2 },       /* reddish purple */
    { 0.941, 0.894, 0.259, UPRIGHT, 0, { 1, 2 }, 2 },       /* yellow */
    { 0.200, 0.200, 0.200, SOLID, 1, { 0 }, 0 },            /* black */
    { 0.600, 0.600, 0.600, RISING, 1, { 6, 2, 1, 2 }, 4 },  /* grey */
};

typedef struct wrapped {
    char text[LABEL_BYTES];
    size_t start[MAX_LINES], len[MAX_LINES];
    int count;
    double width;
    bool fits; /* no word is wider than the room, and no more than MAX_LINES lines */
} wrapped;

typedef struct layout {
    const plot_spec *spec;
    double width, height;
    double left, top, right, bottom; /* of the area that holds data */
    double names;                    /* top of the category names */
    plot_scale x, y;
    double slot, bar; /* of a category, of one bar */
    bool turned, labelled;
    wrapped title, subtitle;
    double legend_top, legend_cell;
    int legend_columns, legend_rows;
} layout;

/* ---- text ------------------------------------------------------------------------------- */

static void set_font(cairo_t *cr, double size, bool bold)
{
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

static double text_width(cairo_t *cr, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

/* align: 0 left, 0.5 centre, 1 right of x; y is the base line. */
static void show(cairo_t *cr, double x, double y, double align, const char *text)
{
    cairo_move_to(cr, x - align * text_width(cr, text), y);
    cairo_show_text(cr, text);
}

/* A label, shortened with an ellipsis until it is at most room wide. */
static void fit_label(cairo_t *cr, char out[LABEL_BYTES], const char *text, double room)
{
    text_label(out, LABEL_BYTES - 4, text);
    size_t len = strlen(out);
    while (len > 0 && text_width(cr, out) > room) {
        len = utf8_cut(out, len - 1);
        memcpy(out + len, "\xE2\x80\xA6", 4);
    }
}

/* Lines end at a space, or after a hyphen or slash. */
static void wrap(cairo_t *cr, wrapped *out, const char *text, double room)
{
    *out = (wrapped){ .fits = true };
    text_label(out->text, sizeof out->text, text);
    size_t len = strlen(out->text), start = 0;
    while (start < len && out->count < MAX_LINES) {
        size_t best = 0, end = start;
        while (end < len) {
            size_t next = end + 1;
            while (next < len && out->text[next] != ' ' && out->text[next - 1] != '-' &&
                   out->text[next - 1] != '/')
                next++;
            char piece[LABEL_BYTES];
            snprintf(piece, sizeof piece, "%.*s", (int)(next - start), out->text + start);
            double width = text_width(cr, piece);
            if (width > room && best > 0)
                break;
            out->fits = out->fits && width <= room;
            out->width = width > out->width ? width : out->width;
            best = end = next;
        }
        out->start[out->count] = start;
        out->len[out->count++] = best - start;
        start = best + strspn(out->text + best, " ");
    }
    out->fits = out->fits && start >= len;
}

static void show_wrapped(cairo_t *cr, const wrapped *w, double x, double y, double align,
                         double size)
{
    for (int i = 0; i < w->count; i++) {
        char line[LABEL_BYTES];
        snprintf(line, sizeof line, "%.*s", (int)w->len[i], w->text + w->start[i]);
        show(cr, x, y + i * size * LINE_HEIGHT, align, line);
    }
}

/* ---- places -------------------------------------------------------------------------------- */

static double x_at(const layout *l, double x)
{
    const plot_spec *spec = l->spec;
    if (spec->kind == PLOT_BARS)
        return l->left + (x + 0.5) * l->slot;
    double share = spec->x_log ? log2(x / l->x.low) / log2(l->x.high / l->x.low)
                               : (x - l->x.low) / (l->x.high - l->x.low);
    double pad = spec->kind == PLOT_LINES ? 30 : 0; /* intervals and markers stay off the axis */
    return l->left + pad + share * (l->right - l->left - 2 * pad);
}

/* Kept within the area: a given y_min or y_max may leave values out. */
static double y_at(const layout *l, double y)
{
    double share = (y - l->y.low) / (l->y.high - l->y.low);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return l->bottom - share * (l->bottom - l->top);
}

static void tick_text(char out[64], double value, int decimals, bool percent)
{
    double shown = percent ? value * 100 : value;
    snprintf(out, 64, "%.*f%s", decimals, fabs(shown) < 1e-9 ? 0.0 : shown, percent ? " %" : "");
}

/* ---- layout ----------------------------------------------------------------------------- */

static bool has_legend(const plot_spec *spec)
{
    return spec->series_count > 1;
}

static double layout_legend(layout *l, cairo_t *cr)
{
    if (!has_legend(l->spec))
        return 0;
    set_font(cr, FONT_TEXT, false);
    double widest = 0;
    for (size_t s = 0; s < l->spec->series_count; s++) {
        char name[LABEL_BYTES];
        fit_label(cr, name, l->spec->series[s].name, 260);
        double width = text_width(cr, name);
        widest = width > widest ? width : widest;
    }
    l->legend_cell = widest + 32 + 18;
    l->legend_columns = (int)((l->width - 2 * MARGIN + 18) / l->legend_cell);
    if (l->legend_columns < 1)
        l->legend_columns = 1;
    l->legend_rows = ((int)l->spec->series_count + l->legend_columns - 1) / l->legend_columns;
    return l->legend_rows * 19 + 8;
}

/* Room below the axis for category names: wrapped where they fit, turned where they do not. */
static double layout_categories(layout *l, cairo_t *cr)
{
    set_font(cr, FONT_TEXT, false);
    double deepest = 1, longest = 0;
    for (size_t i = 0; i < l->spec->category_count; i++) {
        wrapped w;
        wrap(cr, &w, l->spec->categories[i], l->slot - 8);
        l->turned = l->turned || !w.fits;
        deepest = w.count > deepest ? w.count : deepest;
        char name[LABEL_BYTES];
        fit_label(cr, name, l->spec->categories[i], TURNED_MAX);
        double width = text_width(cr, name);
        longest = width > longest ? width : longest;
        double over = width * cos(TURN) - (double)i * l->slot - l->slot / 2 + MARGIN;
        if (l->turned && over > l->left)
            l->left = over;
    }
    return l->turned ? longest * sin(TURN) + 20 : deepest * FONT_TEXT * LINE_HEIGHT + 8;
}

static void layout_x(layout *l, double reference_room)
{
    const plot_spec *spec = l->spec;
    double plot_width = spec->kind == PLOT_CURVES ? PLOT_HEIGHT + 40 : 620;
    if (spec->kind == PLOT_BARS) {
        double series = spec->series_count > 0 ? (double)spec->series_count : 1;
        double slots = spec->category_count > 0 ? (double)spec->category_count : 1;
        double gap = series > 1 ? 1.2 : 0.7; /* between groups, in bars */
        double bar = 880 / (slots * (series + gap));
        bar = bar < 13 ? 13 : bar > BAR_MAX ? BAR_MAX : bar;
        plot_width = slots * (series + gap) * bar;
        plot_width = plot_width < 460 ? 460 : plot_width > WIDTH_MAX ? WIDTH_MAX : plot_width;
        l->slot = plot_width / slots;
        l->bar = l->slot / (series + gap);
        l->bar = l->bar > BAR_MAX ? BAR_MAX : l->bar;
        l->labelled = l->bar >= 28;
    }
    l->right = l->left + plot_width;
    l->width = l->right + MARGIN + reference_room;
    l->width = l->width < 520 ? 520 : l->width;
}

static void layout_plot(layout *l, const plot_spec *spec, cairo_t *cr)
{
    *l = (layout){ .spec = spec };
    plot_scale_y(spec, &l->y);
    if (spec->kind != PLOT_BARS)
        plot_scale_x(spec, &l->x);
    set_font(cr, FONT_TICK, false);
    double widest = 0, reference = 0;
    for (int i = 0; i < l->y.count; i++) {
        char text[64];
        tick_text(text, l->y.ticks[i], l->y.decimals, spec->percent);
        double width = text_width(cr, text);
        widest = width > widest ? width : widest;
    }
    if (isfinite(spec->reference)) {
        char text[LABEL_BYTES];
        fit_label(cr, text, spec->reference_label, 150);
        reference = text_width(cr, text) + 6;
    }
    l->left = MARGIN + widest + 8;
    layout_x(l, reference);
    double below = spec->kind == PLOT_BARS ? layout_categories(l, cr) : FONT_TICK * 1.3 + 8;
    layout_x(l, reference); /* again: turned names may have moved the left edge */

    set_font(cr, FONT_TITLE, true);
    wrap(cr, &l->title, spec->title, l->width - 2 * MARGIN);
    set_font(cr, FONT_TEXT, false);
    wrap(cr, &l->subtitle, spec->subtitle, l->width - 2 * MARGIN);
    double y = MARGIN + l->title.count * FONT_TITLE * LINE_HEIGHT +
               l->subtitle.count * FONT_TEXT * LINE_HEIGHT + 10;
    l->legend_top = y;
    y += layout_legend(l, cr);
    y += spec->y_label && spec->y_label[0] ? FONT_TEXT * LINE_HEIGHT + 4 : 0;
    y += l->labelled ? 16 : 6; /* a value may stand above the highest bar */
    l->top = y;
    l->bottom = y + PLOT_HEIGHT + (spec->kind == PLOT_CURVES ? 40 : 0);
    l->names = l->bottom + (l->labelled && l->y.low < 0 ? 16 : 0); /* below the lowest bar too */
    l->height = l->names + below + (spec->x_label && spec->x_label[0] ? 22 : 0) + MARGIN - 4;
}

/* ---- drawing ---------------------------------------------------------------------------- */

static void grey(cairo_t *cr, double shade)
{
    cairo_set_source_rgb(cr, shade, shade, shade);
}

static void colour(cairo_t *cr, const style *s)
{
    cairo_set_source_rgb(cr, s->r, s->g, s->b);
}

static void line(cairo_t *cr, double x1, double y1, double x2, double y2, double width)
{
    cairo_set_line_width(cr, width);
    cairo_move_to(cr, x1, y1);
    cairo_line_to(cr, x2, y2);
    cairo_stroke(cr);
}

/* Parallel lines through a box; one path, so that an SVG stays small. */
static void hatch_lines(cairo_t *cr, double x, double y, double w, double h, hatch pattern)
{
    const double step = 6;
    for (double d = -h; d < w && (pattern == RISING || pattern == CROSSED); d += step) {
        cairo_move_to(cr, x + d, y + h);
        cairo_line_to(cr, x + d + h, y);
    }
    for (double d = -h; d < w && (pattern == FALLING || pattern == CROSSED); d += step) {
        cairo_move_to(cr, x + d, y);
        cairo_line_to(cr, x + d + h, y + h);
    }
    for (double d = 3; d < h && pattern == LEVEL; d += step) {
        cairo_move_to(cr, x, y + h - d);
        cairo_line_to(cr, x + w, y + h - d);
    }
    for (double d = 3; d < w && pattern == UPRIGHT; d += 4) {
        cairo_move_to(cr, x + d, y);
        cairo_line_to(cr, x + d, y + h);
    }
    for (double dy = 3; dy < h + 3 && pattern == DOTS; dy += step)
        for (double dx = 3; dx < w + 3; dx += step) {
            cairo_move_to(cr, x + dx, y + h - dy);
            cairo_close_path(cr); /* nothing but its round caps */
        }
}

static void draw_hatch(cairo_t *cr, const style *s, double x, double y, double w, double h)
{
    cairo_save(cr);
    cairo_rectangle(cr, x, y, w, h);
    cairo_clip(cr);
    cairo_set_source_rgba(cr, s->ink, s->ink, s->ink, s->ink > 0 ? 0.75 : 0.5);
    cairo_set_line_width(cr, s->pattern == DOTS ? 2.2 : 1.2);
    cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
    cairo_new_path(cr);
    hatch_lines(cr, x, y, w, h, s->pattern);
    cairo_stroke(cr);
    cairo_restore(cr);
}

static void draw_box(cairo_t *cr, const style *s, double x, double y, double w, double h)
{
    colour(cr, s);
    cairo_rectangle(cr, x, y, w, h);
    cairo_fill(cr);
    if (s->pattern != SOLID)
        draw_hatch(cr, s, x, y, w, h);
    grey(cr, 0.25);
    cairo_set_line_width(cr, 0.7);
    cairo_rectangle(cr, x, y, w, h);
    cairo_stroke(cr);
}

static void polygon(cairo_t *cr, double x, double y, double r, int corners, double turn)
{
    for (int i = 0; i < corners; i++) {
        double angle = turn + 2 * M_PI * i / corners;
        cairo_line_to(cr, x + r * sin(angle), y - r * cos(angle));
    }
    cairo_close_path(cr);
}

static void draw_marker(cairo_t *cr, size_t index, double x, double y)
{
    const style *s = &styles[index % STYLES];
    const double r = 4.6;
    cairo_new_path(cr);
    switch (index % STYLES) {
    case 0:
    case 8:
        cairo_arc(cr, x, y, r - 0.4, 0, 2 * M_PI);
        break;
    case 1:
        polygon(cr, x, y, r + 1, 4, M_PI / 4);
        break;
    case 2:
        polygon(cr, x, y, r + 1.2, 3, 0);
        break;
    case 3:
    case 7:
        polygon(cr, x, y, r + 0.8, 4, 0);
        break;
    case 4:
        polygon(cr, x, y, r + 1.2, 3, M_PI);
        break;
    case 5:
        polygon(cr, x, y, r + 0.4, 5, 0);
        break;
    default:
        polygon(cr, x, y, r + 0.4, 6, M_PI / 6);
    }
    if (index % STYLES >= 7) /* hollow: their shapes come a second time */
        cairo_set_source_rgb(cr, 1, 1, 1);
    else
        colour(cr, s);
    cairo_fill_preserve(cr);
    if (index % STYLES >= 7)
        colour(cr, s);
    else
        grey(cr, 0.2);
    cairo_set_line_width(cr, index % STYLES >= 7 ? 1.8 : 0.7);
    cairo_stroke(cr);
}

/* White under the line, so that it shows on any colour. */
static void draw_whisker(cairo_t *cr, const layout *l, double x, const plot_point *p, double cap)
{
    if (!isfinite(p->low) || !isfinite(p->high))
        return;
    double high = y_at(l, p->high), low = y_at(l, p->low);
    for (int pass = 0; pass < 2; pass++) {
        grey(cr, pass ? 0.15 : 1);
        double width = pass ? 1.2 : 3, more = pass ? 0 : 0.9;
        line(cr, x, high - more, x, low + more, width);
        line(cr, x - cap - more, high, x + cap + more, high, width);
        line(cr, x - cap - more, low, x + cap + more, low, width);
    }
}

static void draw_value(cairo_t *cr, const layout *l, double x, const plot_point *p)
{
    double value = l->spec->percent ? p->y * 100 : p->y;
    char text[64];
    double most = fmax(fabs(l->y.low), fabs(l->y.high));
    int decimals = l->spec->percent ? 1 : most < 10 ? 2 : most < 100 ? 1 : 0;
    snprintf(text, sizeof text, "%.*f", decimals, value);
    bool below = p->y < 0 && isfinite(p->y);
    double edge = below ? fmin(p->y, isfinite(p->low) ? p->low : p->y)
                        : fmax(p->y, isfinite(p->high) ? p->high : p->y);
    set_font(cr, FONT_TICK, false);
    grey(cr, 0.1);
    show(cr, x, y_at(l, edge) + (below ? 14 : -5), 0.5, text);
}

static void draw_missing(cairo_t *cr, const layout *l, double x)
{
    set_font(cr, FONT_TICK, false);
    grey(cr, 0.45);
    cairo_save(cr);
    double base = y_at(l, l->y.low > 0 ? l->y.low : 0);
    cairo_translate(cr, x + FONT_TICK * 0.35, base - 4);
    cairo_rotate(cr, -M_PI / 2);
    if (l->bar >= 9)
        show(cr, 0, 0, 0, "no value");
    cairo_restore(cr);
}

static void draw_bars(cairo_t *cr, const layout *l)
{
    const plot_spec *spec = l->spec;
    double zero = y_at(l, 0), cap = fmin(l->bar * 0.28, 7);
    for (size_t s = 0; s < spec->series_count; s++)
        for (size_t i = 0; i < spec->series[s].count; i++) {
            const plot_point *p = &spec->series[s].points[i];
            if (!(p->x >= 0 && p->x < (double)spec->category_count))
                continue;
            double middle =
                x_at(l, p->x) + ((double)s - (double)(spec->series_count - 1) / 2) * l->bar;
            if (!isfinite(p->y)) {
                draw_missing(cr, l, middle);
                continue;
            }
            double y = y_at(l, p->y), inset = l->bar > 12 ? 1 : 0.3;
            draw_box(cr, &styles[s % STYLES], middle - l->bar / 2 + inset, fmin(y, zero),
                     l->bar - 2 * inset, fabs(y - zero));
            draw_whisker(cr, l, middle, p, cap);
            if (l->labelled)
                draw_value(cr, l, middle, p);
        }
    grey(cr, 0.2);
    line(cr, l->left, zero, l->right, zero, 1);
}

/* Lines are drawn side by side, so that the intervals of one x do not hide each other. */
static double line_x(const layout *l, size_t s, double x)
{
    if (l->spec->kind != PLOT_LINES)
        return x_at(l, x);
    double step = l->spec->series_count > 5 ? 4.4 : 6;
    return x_at(l, x) + ((double)s - (double)(l->spec->series_count - 1) / 2) * step;
}

static void draw_path(cairo_t *cr, const layout *l, size_t s)
{
    const plot_series *series = &l->spec->series[s];
    const style *look = &styles[s % STYLES];
    bool down = false;
    cairo_new_path(cr);
    for (size_t i = 0; i < series->count; i++) {
        const plot_point *p = &series->points[i];
        bool draw = plot_drawable(l->spec, p);
        if (draw && down)
            cairo_line_to(cr, line_x(l, s, p->x), y_at(l, p->y));
        else if (draw)
            cairo_move_to(cr, line_x(l, s, p->x), y_at(l, p->y));
        down = draw; /* a missing value breaks the line */
    }
    colour(cr, look);
    cairo_set_line_width(cr, 2);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_dash(cr, look->dash, look->dashes, 0);
    cairo_stroke(cr);
    cairo_set_dash(cr, NULL, 0, 0);
}

static bool has_markers(const plot_spec *spec, size_t s)
{
    return spec->kind == PLOT_LINES || (spec->kind == PLOT_CURVES && spec->series[s].count == 1);
}

static void draw_lines(cairo_t *cr, const layout *l)
{
    const plot_spec *spec = l->spec;
    for (size_t s = 0; s < spec->series_count; s++)
        draw_path(cr, l, s);
    for (size_t s = 0; s < spec->series_count; s++)
        for (size_t i = 0; has_markers(spec, s) && i < spec->series[s].count; i++) {
            const plot_point *p = &spec->series[s].points[i];
            if (!plot_drawable(spec, p))
                continue;
            double x = line_x(l, s, p->x);
            if (isfinite(p->low) && isfinite(p->high)) {
                colour(cr, &styles[s % STYLES]);
                line(cr, x, y_at(l, p->low), x, y_at(l, p->high), 1.2);
            }
            draw_marker(cr, s, x, y_at(l, p->y));
        }
}

static void draw_axes(cairo_t *cr, const layout *l)
{
    const plot_spec *spec = l->spec;
    set_font(cr, FONT_TICK, false);
    for (int i = 0; i < l->y.count; i++) {
        double y = y_at(l, l->y.ticks[i]);
        grey(cr, 0.88);
        line(cr, l->left, y, l->right, y, 1);
        char text[64];
        tick_text(text, l->y.ticks[i], l->y.decimals, spec->percent);
        grey(cr, 0.25);
        show(cr, l->left - 6, y + FONT_TICK * 0.36, 1, text);
    }
    double last = -INFINITY;
    for (int i = 0; i < l->x.count; i++) {
        double x = x_at(l, l->x.ticks[i]);
        char text[64];
        tick_text(text, l->x.ticks[i], l->x.decimals, false);
        grey(cr, 0.25);
        line(cr, x, l->bottom, x, l->bottom + 4, 1);
        double half = text_width(cr, text) / 2;
        if (x - half < last + 4)
            continue;
        show(cr, x, l->bottom + 6 + FONT_TICK, 0.5, text);
        last = x + half;
    }
    set_font(cr, FONT_TEXT, false);
    char label[LABEL_BYTES];
    grey(cr, 0.25);
    fit_label(cr, label, spec->y_label, l->width - 2 * MARGIN);
    show(cr, MARGIN, l->top - (l->labelled ? 16 : 6) - 4, 0, label);
    fit_label(cr, label, spec->x_label, l->width - 2 * MARGIN);
    show(cr, (l->left + l->right) / 2, l->height - MARGIN + 2, 0.5, label);
    if (spec->kind == PLOT_BARS)
        return;
    line(cr, l->left, l->bottom, l->right, l->bottom, 1);
    line(cr, l->left, l->top, l->left, l->bottom, 1);
}

static void draw_categories(cairo_t *cr, const layout *l)
{
    set_font(cr, FONT_TEXT, false);
    grey(cr, 0.1);
    for (size_t i = 0; i < l->spec->category_count; i++) {
        double x = x_at(l, (double)i);
        if (!l->turned) {
            wrapped w;
            wrap(cr, &w, l->spec->categories[i], l->slot - 8);
            show_wrapped(cr, &w, x, l->names + 6 + FONT_TEXT, 0.5, FONT_TEXT);
            continue;
        }
        char name[LABEL_BYTES];
        fit_label(cr, name, l->spec->categories[i], TURNED_MAX);
        cairo_save(cr);
        cairo_translate(cr, x + 4, l->names + FONT_TEXT);
        cairo_rotate(cr, -TURN);
        show(cr, 0, 0, 1, name);
        cairo_restore(cr);
    }
}

static void draw_reference(cairo_t *cr, const layout *l)
{
    const plot_spec *spec = l->spec;
    static const double dash[] = { 5, 4 };
    grey(cr, 0.3);
    cairo_set_dash(cr, dash, 2, 0);
    if (spec->kind == PLOT_CURVES)
        line(cr, x_at(l, 0), y_at(l, 0), x_at(l, 1), y_at(l, 1), 1);
    if (isfinite(spec->reference)) {
        double y = y_at(l, spec->reference);
        line(cr, l->left, y, l->right, y, 1.2);
        char text[LABEL_BYTES];
        set_font(cr, FONT_TICK, false);
        fit_label(cr, text, spec->reference_label, 150);
        show(cr, l->right + 5, y + FONT_TICK * 0.36, 0, text);
    }
    cairo_set_dash(cr, NULL, 0, 0);
}

static void draw_legend(cairo_t *cr, const layout *l)
{
    for (size_t s = 0; has_legend(l->spec) && s < l->spec->series_count; s++) {
        double x = MARGIN + (double)(s % (size_t)l->legend_columns) * l->legend_cell;
        double y = l->legend_top + (double)(s / (size_t)l->legend_columns) * 19;
        const style *look = &styles[s % STYLES];
        if (l->spec->kind == PLOT_BARS) {
            draw_box(cr, look, x, y + 1, 24, 13);
        } else {
            colour(cr, look);
            cairo_set_dash(cr, look->dash, look->dashes, 0);
            if (l->spec->kind == PLOT_LINES || !has_markers(l->spec, s))
                line(cr, x, y + 8, x + 26, y + 8, 2);
            cairo_set_dash(cr, NULL, 0, 0);
            if (has_markers(l->spec, s))
                draw_marker(cr, s, x + 13, y + 8);
        }
        char name[LABEL_BYTES];
        set_font(cr, FONT_TEXT, false);
        fit_label(cr, name, l->spec->series[s].name, 260);
        grey(cr, 0.1);
        show(cr, x + 32, y + 12, 0, name);
    }
}

static bool has_data(const plot_spec *spec)
{
    for (size_t s = 0; s < spec->series_count; s++)
        for (size_t i = 0; i < spec->series[s].count; i++)
            if (plot_drawable(spec, &spec->series[s].points[i]))
                return true;
    return false;
}

static void draw(cairo_t *cr, const layout *l)
{
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    grey(cr, 0.1);
    set_font(cr, FONT_TITLE, true);
    show_wrapped(cr, &l->title, MARGIN, MARGIN + FONT_TITLE - 2, 0, FONT_TITLE);
    set_font(cr, FONT_TEXT, false);
    grey(cr, 0.35);
    show_wrapped(cr, &l->subtitle, MARGIN,
                 MARGIN + l->title.count * FONT_TITLE * LINE_HEIGHT + FONT_TEXT - 1, 0, FONT_TEXT);
    draw_legend(cr, l);
    draw_axes(cr, l);
    if (l->spec->kind == PLOT_BARS) {
        draw_categories(cr, l);
        draw_bars(cr, l);
        draw_reference(cr, l);
    } else {
        draw_reference(cr, l);
        draw_lines(cr, l);
    }
    if (!has_data(l->spec)) {
        set_font(cr, FONT_TEXT, false);
        grey(cr, 0.35);
        show(cr, (l->left + l->right) / 2, (l->top + l->bottom) / 2, 0.5, "no data");
    }
}

/* ---- surfaces --------------------------------------------------------------------------- */

static cairo_status_t append(void *closure, const unsigned char *data, unsigned int len)
{
    buf *out = closure;
    buf_add(out, (const char *)data, len);
    return out->status == S2A_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static cairo_t *context(cairo_surface_t *surface)
{
    cairo_t *cr = cairo_create(surface);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(cr, options);
    cairo_font_options_destroy(options);
    return cr;
}

static cairo_status_t measure(const plot_spec *spec, layout *l)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    cairo_t *cr = context(surface);
    layout_plot(l, spec, cr);
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return status;
}

/* Draws on the surface, which is destroyed. */
static cairo_status_t paint(cairo_surface_t *surface, const layout *l, double scale, buf *png)
{
    cairo_t *cr = context(surface);
    cairo_scale(cr, scale, scale);
    draw(cr, l);
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    if (status == CAIRO_STATUS_SUCCESS && png)
        status = cairo_surface_write_to_png_stream(surface, append, png);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    return status;
}

static s2a_status checked(cairo_status_t status, const buf *out, s2a_error *err)
{
    if (status == CAIRO_STATUS_NO_MEMORY || out->status == S2A_NOMEM)
        return error_nomem(err);
    if (status != CAIRO_STATUS_SUCCESS || out->status != S2A_OK)
        return error_set(err, S2A_INTERNAL, "cannot draw a plot: %s",
                         cairo_status_to_string(status));
    return S2A_OK;
}

/* A title that screen readers and hovering show; cairo writes none. */
static s2a_status add_title(buf *drawn, const char *title, char **text, size_t *len, s2a_error *err)
{
    const char *root = drawn->data ? strstr(drawn->data, "<svg") : NULL;
    const char *end = root ? strchr(root, '>') : NULL;
    if (!end)
        return error_set(err, S2A_INTERNAL, "cannot draw a plot: no <svg> in cairo's output");
    buf out;
    buf_init(&out, LIMIT_NONE);
    size_t head = (size_t)(end + 1 - drawn->data);
    buf_add(&out, drawn->data, head);
    buf_adds(&out, "\n<title>");
    text_add_html(&out, title);
    buf_adds(&out, "</title>");
    buf_add(&out, drawn->data + head, drawn->len - head);
    *text = buf_take(&out, len);
    s2a_status status = *text ? S2A_OK : error_nomem(err);
    buf_free(&out);
    return status;
}

s2a_status plot_svg(const plot_spec *spec, char **text, size_t *len, s2a_error *err)
{
    *text = NULL;
    *len = 0;
    layout l;
    buf out;
    buf_init(&out, LIMIT_NONE);
    cairo_status_t drawn = measure(spec, &l);
    if (drawn == CAIRO_STATUS_SUCCESS) {
        cairo_surface_t *surface =
            cairo_svg_surface_create_for_stream(append, &out, ceil(l.width), ceil(l.height));
        if (cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS)
            cairo_svg_surface_set_document_unit(surface, CAIRO_SVG_UNIT_PX);
        drawn = paint(surface, &l, 1, NULL);
    }
    s2a_status status = checked(drawn, &out, err);
    if (status == S2A_OK)
        status = add_title(&out, spec->title, text, len, err);
    buf_free(&out);
    return status;
}

s2a_status plot_write_svg(const plot_spec *spec, const char *path, s2a_error *err)
{
    char *text;
    size_t len;
    s2a_status status = plot_svg(spec, &text, &len, err);
    if (status == S2A_OK)
        status = outfile_write(path, text, len, err);
    free(text);
    return status;
}

s2a_status plot_write_png(const plot_spec *spec, const char *path, s2a_error *err)
{
    layout l;
    buf out;
    buf_init(&out, LIMIT_NONE);
    cairo_status_t drawn = measure(spec, &l);
    if (drawn == CAIRO_STATUS_SUCCESS)
        drawn = paint(cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(l.width) * 2,
                                                 (int)ceil(l.height) * 2),
                      &l, 2, &out);
    s2a_status status = checked(drawn, &out, err);
    if (status == S2A_OK)
        status = outfile_write(path, out.data, out.len, err);
    buf_free(&out);
    return status;
}
