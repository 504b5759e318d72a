/* Computes the figures with goals from the measurements. Pure. */
#ifndef S2A_BENCH_FIGURES_H
#define S2A_BENCH_FIGURES_H

#include "bench/arms.h"

/* id, name in the JSON, direction of the goal, the goal, description. FREE: no goal. */
#define BENCH_FIGURE_MAP(X)                                                            \
    X(SELECT_STEP1, "select_step1_speedup", AT_LEAST, 5,                               \
      "select, step 1: times faster than naive")                                       \
    X(SELECT_TOTAL, "select_total_over_plain", AT_MOST, 1.25,                          \
      "select, both steps: times one plain call")                                      \
    X(REWRITE, "rewrite_speedup", FREE, 0, "rewrite, step 1: times faster than naive") \
    X(REWRITE_SHARE, "rewrite_share_of_limit", AT_LEAST, 0.8,                          \
      "that, as a share of prefill rate / generation rate")                            \
    X(REWRITE_SPEC, "rewrite_over_server_speculation", MORE_THAN, 1,                   \
      "rewrite, step 1: times faster than naive with speculation")                     \
    X(THROUGHPUT, "throughput_8_over_server", AT_LEAST, 1,                             \
      "8 at once: throughput over llama-server's")                                     \
    X(RSS, "rss_over_server", AT_MOST, 1, "peak memory over llama-server's")           \
    X(GROWTH, "growth_exponent", AT_MOST, 1.1, "growth of select's step 1 with length: exponent")

typedef enum bench_figure_id {
#define BENCH_FIGURE_ENUM(id, name, side, goal, words) BENCH_FIGURE_##id,
    BENCH_FIGURE_MAP(BENCH_FIGURE_ENUM)
#undef BENCH_FIGURE_ENUM
        BENCH_FIGURES
} bench_figure_id;

typedef enum bench_goal { BENCH_AT_LEAST, BENCH_AT_MOST, BENCH_MORE_THAN, BENCH_FREE } bench_goal;

typedef struct bench_figure_info {
    const char *name;
    bench_goal side;
    double goal;
    const char *words;
} bench_figure_info;

extern const bench_figure_info bench_figures[BENCH_FIGURES];

typedef struct bench_figure {
    double value;     /* NaN = not measured */
    size_t n;         /* the smallest number of runs or pairs behind one of its medians */
    char reason[240]; /* why it was not measured; "" otherwise */
} bench_figure;

typedef enum bench_verdict {
    BENCH_MET,
    BENCH_MISSED,
    BENCH_NO_GOAL,
    BENCH_NOT_MEASURED
} bench_verdict;

bench_verdict bench_figure_verdict(bench_figure_id id, double value);

/* A quantity of a cell (arm, length, concurrency). */
typedef enum bench_field {
    BENCH_STEP1_MS,
    BENCH_TOTAL_MS,
    BENCH_WALL_MS,
    BENCH_REQUESTS_PER_S,
    BENCH_TOKENS_PER_S, /* generated in both steps, by wall time */
    BENCH_PREFILL_PER_S,
    BENCH_GENERATE_PER_S,
    BENCH_READ_TOKENS,    /* per request: prompt tokens that were not cached, both steps */
    BENCH_WRITTEN_TOKENS, /* per request: generated tokens, both steps */
} bench_field;

/* Over the repetitions of a cell; n 0 and NaN where there are none. */
typedef struct bench_spread {
    size_t n;
    double median, low, high; /* quartiles */
} bench_spread;

bench_spread bench_spread_of(const bench_samples *samples, bench_arm arm, uint32_t length,
                             uint32_t concurrency, bench_field field);

/* Slope of the least-squares line of log y over log x; NaN for fewer than two different x, or for
 * values not above 0. */
double bench_log_slope(const double *x, const double *y, size_t count);

/* Peak memory of a peer's process over all samples, in KiB; 0 = unknown. */
uint64_t bench_peak_kb(const bench_samples *samples, bench_peer_id peer);

/* Ratios are medians of the ratios in each repetition, whose prompts all arms share, with one
 * request at a time and the first length. The limit in rewrite_share_of_limit is a ratio of two
 * medians of one arm. growth_exponent covers all lengths of select. throughput_8_over_server is the
 * lower of two ratios: rewrite over naive, and plain over plain-server. rss_over_server uses the
 * larger of the processes of select and rewrite. skips has the reasons of missing figures. */
void bench_figures_compute(const bench_samples *samples, const bench_skips *skips, uint32_t length,
                           bench_figure out[BENCH_FIGURES]);

#endif
