#include "bench/figures.h"

#include "eval/stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CROWD 8u       /* requests at once */
#define MOST_RUNS 1024 /* of a cell that are looked at */
#define MOST_LENGTHS 64

const bench_figure_info bench_figures[BENCH_FIGURES] = {
#define BENCH_FIGURE_ROW(id, name, side, goal, words) { name, BENCH_##side, goal, words },
    BENCH_FIGURE_MAP(BENCH_FIGURE_ROW)
#undef BENCH_FIGURE_ROW
};

bench_verdict bench_figure_verdict(bench_figure_id id, double value)
{
    const bench_figure_info *info = &bench_figures[id];
    if (!isfinite(value))
        return BENCH_NOT_MEASURED;
    bool met = info->side == BENCH_AT_LEAST    ? value >= info->goal
               : info->side == BENCH_AT_MOST   ? value <= info->goal
               : info->side == BENCH_MORE_THAN ? value > info->goal
                                               : false;
    return info->side == BENCH_FREE ? BENCH_NO_GOAL : met ? BENCH_MET : BENCH_MISSED;
}

/* ---- cells ------------------------------------------------------------------------------ */

static double bench_sample_field(const bench_sample *s, bench_field field)
{
    double n = s->concurrency > 0 ? s->concurrency : 1;
    double written = (double)(s->step1.completion_tokens + s->step2.completion_tokens);
    double read = (double)s->step1.prompt_tokens - (double)s->step1.cached_tokens +
                  (double)s->step2.prompt_tokens - (double)s->step2.cached_tokens;
    switch (field) {
    case BENCH_STEP1_MS:
        return s->step1_ms;
    case BENCH_TOTAL_MS:
        return s->total_ms;
    case BENCH_WALL_MS:
        return s->wall_ms;
    case BENCH_REQUESTS_PER_S:
        return s->wall_ms > 0 ? n / s->wall_ms * 1e3 : NAN;
    case BENCH_TOKENS_PER_S:
        return s->wall_ms > 0 ? written / s->wall_ms * 1e3 : NAN;
    case BENCH_PREFILL_PER_S:
        return s->prefill_per_s;
    case BENCH_GENERATE_PER_S:
        return s->generate_per_s;
    case BENCH_READ_TOKENS:
        return read / n;
    case BENCH_WRITTEN_TOKENS:
        return written / n;
    }
    return NAN;
}

bench_spread bench_spread_of(const bench_samples *samples, bench_arm arm, uint32_t length,
                             uint32_t concurrency, bench_field field)
{
    double values[MOST_RUNS];
    size_t n = 0;
    for (size_t i = 0; i < samples->count && n < MOST_RUNS; i++) {
        const bench_sample *s = &samples->items[i];
        if (s->arm != arm || s->length != length || s->concurrency != concurrency)
            continue;
        double value = bench_sample_field(s, field);
        if (isfinite(value))
            values[n++] = value;
    }
    return (bench_spread){ .n = n,
                           .median = stats_quantile(values, n, 0.5),
                           .low = stats_quantile(values, n, 0.25),
                           .high = stats_quantile(values, n, 0.75) };
}

double bench_log_slope(const double *x, const double *y, size_t count)
{
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < count; i++) {
        if (!(x[i] > 0) || !(y[i] > 0))
            return NAN;
        mean_x += log(x[i]) / (double)count;
        mean_y += log(y[i]) / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        double dx = log(x[i]) - mean_x;
        xx += dx * dx;
        xy += dx * (log(y[i]) - mean_y);
    }
    return xx > 1e-12 ? xy / xx : NAN;
}

uint64_t bench_peak_kb(const bench_samples *samples, bench_peer_id peer)
{
    uint64_t peak = 0;
    for (size_t i = 0; i < samples->count; i++)
        if (bench_arms[samples->items[i].arm].peer == peer && samples->items[i].peak_kb > peak)
            peak = samples->items[i].peak_kb;
    return peak;
}

/* ---- figures ---------------------------------------------------------------------------- */

typedef struct figuring {
    const bench_samples *samples;
    const bench_skips *skips;
    uint32_t length;
} figuring;

static void missing(const figuring *f, bench_figure *out, bench_arm arm, uint32_t length,
                    uint32_t concurrency)
{
    const char *why = bench_skips_find(f->skips, arm, length, concurrency);
    if (out->reason[0])
        return; /* the first thing that lacks */
    out->value = NAN;
    snprintf(out->reason, sizeof out->reason, "%s: %s", bench_arms[arm].name,
             why ? why : "it was not run");
}

/* The median; where there is none the figure says why. */
static double median(const figuring *f, bench_figure *out, bench_arm arm, uint32_t concurrency,
                     bench_field field)
{
    bench_spread s = bench_spread_of(f->samples, arm, f->length, concurrency, field);
    if (s.n == 0)
        missing(f, out, arm, f->length, concurrency);
    if (out->n == 0 || s.n < out->n)
        out->n = s.n;
    return s.median;
}

static const bench_sample *sample_find(const figuring *f, bench_arm arm, uint32_t concurrency,
                                       uint32_t repetition)
{
    for (size_t i = 0; i < f->samples->count; i++) {
        const bench_sample *s = &f->samples->items[i];
        if (s->arm == arm && s->length == f->length && s->concurrency == concurrency &&
            s->repetition == repetition)
            return s;
    }
    return NULL;
}

/* The median, over the repetitions that both arms took part in, of a quotient: there both had the
 * same prompts, which differ more from one repetition to the next than arms do. */
static void ratio(const figuring *f, bench_figure *out, bench_arm above, bench_arm below,
                  uint32_t concurrency, bench_field field)
{
    double values[MOST_RUNS];
    size_t n = 0, pairs = 0;
    for (size_t i = 0; i < f->samples->count && n < MOST_RUNS; i++) {
        const bench_sample *a = &f->samples->items[i];
        if (a->arm != above || a->length != f->length || a->concurrency != concurrency)
            continue;
        const bench_sample *b = sample_find(f, below, concurrency, a->repetition);
        if (!b)
            continue;
        pairs++;
        double value = bench_sample_field(a, field) / bench_sample_field(b, field);
        if (isfinite(value))
            values[n++] = value;
    }
    out->n = n;
    out->value = stats_quantile(values, n, 0.5);
    if (n > 0)
        return;
    if (bench_spread_of(f->samples, above, f->length, concurrency, field).n == 0)
        missing(f, out, above, f->length, concurrency);
    else if (bench_spread_of(f->samples, below, f->length, concurrency, field).n == 0)
        missing(f, out, below, f->length, concurrency);
    else
        snprintf(out->reason, sizeof out->reason, "%s: %s", bench_arms[below].name,
                 pairs > 0 ? "it took no time that can be measured"
                           : "it was run in no repetition that the other was run in");
}

static void share_of_limit(const figuring *f, const bench_figure *speedup, bench_figure *out)
{
    if (!isfinite(speedup->value)) {
        *out = *speedup;
        return;
    }
    out->n = speedup->n;
    double prefill = median(f, out, BENCH_PLAIN, 1, BENCH_PREFILL_PER_S);
    double generate = median(f, out, BENCH_PLAIN, 1, BENCH_GENERATE_PER_S);
    out->value = speedup->value / (prefill / generate);
}

static void throughput(const figuring *f, bench_figure *out)
{
    bench_figure plain = { .n = 0 };
    ratio(f, out, BENCH_REWRITE, BENCH_NAIVE, CROWD, BENCH_TOKENS_PER_S);
    ratio(f, &plain, BENCH_PLAIN, BENCH_SERVER_PLAIN, CROWD, BENCH_TOKENS_PER_S);
    if (isfinite(out->value) && !(plain.value >= out->value))
        *out = plain;
}

static void memory(const figuring *f, bench_figure *out)
{
    uint64_t select = bench_peak_kb(f->samples, BENCH_PEER_SELECT);
    uint64_t rewrite = bench_peak_kb(f->samples, BENCH_PEER_REWRITE);
    uint64_t server = bench_peak_kb(f->samples, BENCH_PEER_SERVER);
    out->value = NAN;
    out->n = 1;
    if (select == 0 && rewrite == 0)
        missing(f, out, BENCH_SELECT, f->length, 1);
    else if (server == 0)
        missing(f, out, BENCH_NAIVE, f->length, 1);
    else
        out->value = (double)(select > rewrite ? select : rewrite) / (double)server;
}

/* By the tokens that the prompts really had. */
static void growth(const figuring *f, bench_figure *out)
{
    double x[MOST_LENGTHS] = { 0 }, y[MOST_LENGTHS] = { 0 };
    uint32_t seen[MOST_LENGTHS];
    size_t n = 0;
    for (size_t i = 0; i < f->samples->count && n < MOST_LENGTHS; i++) {
        const bench_sample *s = &f->samples->items[i];
        bool known = s->arm != BENCH_SELECT || s->concurrency != 1;
        for (size_t k = 0; k < n && !known; k++)
            known = seen[k] == s->length;
        if (known)
            continue;
        bench_spread step1 =
            bench_spread_of(f->samples, BENCH_SELECT, s->length, 1, BENCH_STEP1_MS);
        out->n = n == 0 || step1.n < out->n ? step1.n : out->n;
        seen[n] = s->length;
        x[n] = s->input_tokens > 0 ? (double)s->input_tokens : s->length;
        y[n++] = step1.median;
    }
    out->value = bench_log_slope(x, y, n);
    if (n == 0)
        missing(f, out, BENCH_SELECT, f->length, 1);
    else if (!isfinite(out->value))
        snprintf(out->reason, sizeof out->reason, "select: %s",
                 n == 1 ? "measured at one length only; give two or more"
                        : "it took no time that can be measured");
}

void bench_figures_compute(const bench_samples *samples, const bench_skips *skips, uint32_t length,
                           bench_figure out[BENCH_FIGURES])
{
    figuring f = { samples, skips, length };
    memset(out, 0, BENCH_FIGURES * sizeof *out);
    ratio(&f, &out[BENCH_FIGURE_SELECT_STEP1], BENCH_NAIVE, BENCH_SELECT, 1, BENCH_STEP1_MS);
    ratio(&f, &out[BENCH_FIGURE_SELECT_TOTAL], BENCH_SELECT, BENCH_PLAIN, 1, BENCH_TOTAL_MS);
    ratio(&f, &out[BENCH_FIGURE_REWRITE], BENCH_NAIVE, BENCH_REWRITE, 1, BENCH_STEP1_MS);
    share_of_limit(&f, &out[BENCH_FIGURE_REWRITE], &out[BENCH_FIGURE_REWRITE_SHARE]);
    ratio(&f, &out[BENCH_FIGURE_REWRITE_SPEC], BENCH_NAIVE_SPEC, BENCH_REWRITE, 1, BENCH_STEP1_MS);
    throughput(&f, &out[BENCH_FIGURE_THROUGHPUT]);
    memory(&f, &out[BENCH_FIGURE_RSS]);
    growth(&f, &out[BENCH_FIGURE_GROWTH]);
}
