/* The benchmark: starts the peers, warms them up, runs the plan, computes the figures. */
#ifndef S2A_BENCH_RUN_H
#define S2A_BENCH_RUN_H

#include "bench/job.h"
#include "bench/report.h"

typedef struct bench_options {
    bench_engine engine;   /* model is a path; the run sets url, and ctx_tokens if it is 0 */
    const char *program;   /* path of this program, which is run again as `bench-worker` */
    const char *server;    /* path of llama-server; NULL = none */
    const char *no_server; /* if server is NULL: the reason, and how to get one */
    uint32_t lengths[BENCH_LIST_MAX], concurrency[BENCH_LIST_MAX];
    size_t length_count, concurrency_count;
    uint32_t repetitions, max_tokens;
    uint64_t seed;
    bool quick;
    double minutes; /* start no run that would end later; 0 = no limit */
    const s2a_cancel *cancel;
    void (*say)(void *ctx, const char *line); /* progress; may be NULL */
    void *ctx;
} bench_options;

/* Fills *report, on failure as far as it got; call bench_report_free in any case. If an arm or cell
 * cannot be measured, that is a skip and not a failure. Errors: the model cannot be opened (those
 * of s2a_engine_open), S2A_CANCELLED, S2A_BACKEND (nothing could be measured), S2A_NOMEM. */
s2a_status bench_run(const bench_options *options, bench_report *report, s2a_error *err);

#endif
