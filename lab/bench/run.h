/* The benchmark: starts the peers, warms them, runs the plan, works out the figures. */
#ifndef S2A_BENCH_RUN_H
#define S2A_BENCH_RUN_H

#include "bench/job.h"
#include "bench/report.h"

typedef struct bench_options {
    bench_engine engine;     /* model is a path; url and ctx_tokens 0 are left to the run */
    const char *program;     /* of this tool: it is run again as `bench-worker` */
    const char *server;      /* llama-server; NULL = none */
    const char *no_server;   /* then: why, and how to get it */
    uint32_t lengths[BENCH_LIST_MAX], concurrency[BENCH_LIST_MAX];
    size_t length_count, concurrency_count;
    uint32_t repetitions, max_tokens;
    uint64_t seed;
    bool quick;
    double minutes; /* nothing is begun that would not be done by then; 0 = no limit */
    const s2a_cancel *cancel;
    void (*say)(void *ctx, const char *line); /* what is going on; may be NULL */
    void *ctx;
} bench_options;

/* Fills *report, also on failure as far as it got; bench_report_free is due in any case. What one
 * arm or cell cannot do is a skip, and no failure. Errors: the model cannot be opened (those of
 * s2a_engine_open), S2A_CANCELLED, S2A_BACKEND (nothing could be measured), S2A_NOMEM. */
s2a_status bench_run(const bench_options *options, bench_report *report, s2a_error *err);

#endif
