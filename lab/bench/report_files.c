/* The files of --out, with three plots: wall time over length, throughput over requests at once,
 * and what a request costs for the tokens that it computes. */
#include "bench/report.h"

#include "base/error.h"
#include "base/outfile.h"
#include "eval/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static s2a_status path_of(const char *dir, const char *name, buf *path, s2a_error *err)
{
    buf_init(path, 65536);
    buf_addf(path, "%s/%s", dir, name);
    return path->status == S2A_OK ? S2A_OK : error_nomem(err);
}

static s2a_status write_text(const char *dir, const char *name, const buf *text, s2a_error *err)
{
    buf path;
    if (text->status != S2A_OK)
        return error_nomem(err);
    s2a_status status = path_of(dir, name, &path, err);
    if (status == S2A_OK)
        status = outfile_write(path.data, text->data ? text->data : "", text->len, err);
    buf_free(&path);
    return status;
}

static s2a_status write_made(const bench_report *r, void (*make)(const bench_report *, buf *),
                             const char *dir, const char *name, s2a_error *err)
{
    buf text;
    buf_init(&text, (size_t)256 << 20);
    make(r, &text);
    s2a_status status = write_text(dir, name, &text, err);
    buf_free(&text);
    return status;
}

/* ---- plots ------------------------------------------------------------------------------ */

/* One line a plot may have; a point for each block of the plan. */
typedef struct line {
    const char *name;
    plot_point points[BENCH_BLOCKS_MAX];
    size_t count;
} line;

typedef struct drawing {
    const bench_report *r;
    line lines[BENCH_ARMS + 1];
    plot_series series[BENCH_ARMS + 1];
    size_t count;
} drawing;

static void point_add(line *l, double x, bench_spread y, double scale)
{
    if (y.n == 0 || !isfinite(y.median) || !isfinite(x))
        return;
    size_t at = l->count++;
    for (; at > 0 && l->points[at - 1].x > x; at--) /* lines go from left to right */
        l->points[at] = l->points[at - 1];
    l->points[at] =
        (plot_point){ .x = x, .y = y.median * scale, .low = y.low * scale, .high = y.high * scale };
}

static void line_end(drawing *d, line *l)
{
    if (l->count == 0)
        return;
    d->series[d->count] = (plot_series){ l->name, l->points, l->count };
    d->count++;
}

/* Wall time of both steps, and of step 1 alone where that is what an arm is about. */
static void draw_time(drawing *d)
{
    static const struct {
        const char *name;
        bench_arm arm;
        bench_field field;
    } rows[] = {
        { "select, step 1", BENCH_SELECT, BENCH_STEP1_MS },
        { "rewrite, step 1", BENCH_REWRITE, BENCH_STEP1_MS },
        { "rewrite, draft off, step 1", BENCH_REWRITE_OFF, BENCH_STEP1_MS },
        { "naive, step 1", BENCH_NAIVE, BENCH_STEP1_MS },
        { "naive with speculation, step 1", BENCH_NAIVE_SPEC, BENCH_STEP1_MS },
        { "select, both steps", BENCH_SELECT, BENCH_TOTAL_MS },
        { "one plain call", BENCH_PLAIN, BENCH_TOTAL_MS },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        line *l = &d->lines[d->count];
        *l = (line){ .name = rows[i].name };
        for (size_t k = 0; k < d->r->plan.count; k++)
            if (d->r->plan.blocks[k].concurrency == 1)
                point_add(l, d->r->plan.blocks[k].length,
                          bench_spread_of(&d->r->samples, rows[i].arm, d->r->plan.blocks[k].length,
                                          1, rows[i].field),
                          1e-3);
        line_end(d, l);
    }
}

static void draw_throughput(drawing *d)
{
    uint32_t length = d->r->plan.blocks[0].length;
    for (int arm = 0; arm < BENCH_ARMS; arm++) {
        line *l = &d->lines[d->count];
        *l = (line){ .name = bench_arms[arm].name };
        for (size_t k = 0; k < d->r->plan.count; k++)
            if (d->r->plan.blocks[k].length == length)
                point_add(l, d->r->plan.blocks[k].concurrency,
                          bench_spread_of(&d->r->samples, (bench_arm)arm, length,
                                          d->r->plan.blocks[k].concurrency, BENCH_REQUESTS_PER_S),
                          60);
        line_end(d, l);
    }
}

static void draw_cost(drawing *d)
{
    for (int arm = 0; arm < BENCH_ARMS; arm++) {
        line *l = &d->lines[d->count];
        *l = (line){ .name = bench_arms[arm].name };
        for (size_t k = 0; k < d->r->plan.count; k++) {
            const bench_block *b = &d->r->plan.blocks[k];
            if (b->concurrency != 1)
                continue;
            double read =
                bench_spread_of(&d->r->samples, (bench_arm)arm, b->length, 1, BENCH_READ_TOKENS)
                    .median;
            double written =
                bench_spread_of(&d->r->samples, (bench_arm)arm, b->length, 1, BENCH_WRITTEN_TOKENS)
                    .median;
            if (read + written > 0)
                point_add(
                    l, read + written,
                    bench_spread_of(&d->r->samples, (bench_arm)arm, b->length, 1, BENCH_TOTAL_MS),
                    1e-3);
        }
        line_end(d, l);
    }
}

static s2a_status write_plot(drawing *d, plot_spec *spec, const char *dir, const char *name,
                             s2a_error *err)
{
    char file[64];
    buf path;
    if (d->count == 0)
        return S2A_OK;
    spec->kind = PLOT_LINES;
    spec->x_log = true;
    spec->series = d->series;
    spec->series_count = d->count;
    spec->y_min = spec->y_max = spec->reference = NAN;
    snprintf(file, sizeof file, "%s.svg", name);
    s2a_status status = path_of(dir, file, &path, err);
    if (status == S2A_OK)
        status = plot_write_svg(spec, path.data, err);
    buf_free(&path);
    if (status != S2A_OK)
        return status;
    snprintf(file, sizeof file, "%s.png", name);
    status = path_of(dir, file, &path, err);
    if (status == S2A_OK)
        status = plot_write_png(spec, path.data, err);
    buf_free(&path);
    return status;
}

static s2a_status write_plots(const bench_report *r, const char *dir, s2a_error *err)
{
    static const struct {
        const char *file, *title, *x, *y;
        void (*draw)(drawing *);
    } plots[] = {
        { "time-over-length", "Wall time over length", "tokens of the prompt", "seconds",
          draw_time },
        { "throughput-over-concurrency", "Throughput over requests at once", "requests at once",
          "requests a minute", draw_throughput },
        { "tokens-against-cost", "Tokens against cost", "tokens read and written, both steps",
          "seconds", draw_cost },
    };
    char subtitle[400];
    snprintf(subtitle, sizeof subtitle, "%.120s, %u thread%s, %s; medians and quartiles", r->model,
             r->threads, r->threads == 1 ? "" : "s", r->machine.cpu);
    drawing *d = calloc(1, sizeof *d);
    s2a_status status = d ? S2A_OK : error_nomem(err);
    for (size_t i = 0; i < sizeof plots / sizeof *plots && status == S2A_OK; i++) {
        *d = (drawing){ .r = r };
        plots[i].draw(d);
        plot_spec spec = { .title = plots[i].title,
                           .subtitle = subtitle,
                           .x_label = plots[i].x,
                           .y_label = plots[i].y };
        status = write_plot(d, &spec, dir, plots[i].file, err);
    }
    free(d);
    return status;
}

/* ---- all -------------------------------------------------------------------------------- */

s2a_status bench_report_write_runs(const bench_report *report, const char *dir, s2a_error *err)
{
    s2a_status status = outfile_make_dir(dir, err);
    return status == S2A_OK ? write_made(report, bench_report_runs_csv, dir, "runs.csv", err)
                            : status;
}

static s2a_status write_json(const bench_report *r, const char *dir, s2a_error *err)
{
    json_t *json = bench_report_json(r);
    char *data = json ? json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(json);
    buf text;
    buf_init(&text, (size_t)256 << 20);
    if (data)
        buf_addf(&text, "%s\n", data);
    s2a_status status = data ? write_text(dir, "bench.json", &text, err) : error_nomem(err);
    buf_free(&text);
    free(data);
    return status;
}

s2a_status bench_report_write(const bench_report *report, const char *dir, s2a_error *err)
{
    s2a_status status = bench_report_write_runs(report, dir, err);
    if (status == S2A_OK)
        status = write_made(report, bench_report_cells_csv, dir, "cells.csv", err);
    if (status == S2A_OK)
        status = write_made(report, bench_report_figures_csv, dir, "figures.csv", err);
    if (status == S2A_OK)
        status = write_made(report, bench_report_text, dir, "verdict.txt", err);
    if (status == S2A_OK)
        status = write_json(report, dir, err);
    if (status == S2A_OK)
        status = write_plots(report, dir, err);
    return status;
}
