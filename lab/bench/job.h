/* One measurement as a job for an engine: concurrent prompts, one thread each, run through s2a.h.
 * Jobs and their results go through a pipe as lines of JSON; see worker.h. */
#ifndef S2A_BENCH_JOB_H
#define S2A_BENCH_JOB_H

#include "bench/arms.h"

#include <jansson.h>

#define BENCH_CONCURRENCY_MAX 64u

/* Options of an engine. Strings are borrowed. */
typedef struct bench_engine {
    const char *backend, *model, *url; /* model and url may be NULL */
    uint32_t ctx_tokens, threads, timeout_ms;
    int32_t gpu_layers;
    const char *head; /* a file; NULL = the built-in one */
    bool draft;       /* copy drafting */
    bool kernels;     /* our own kernels, if available */
} bench_engine;

/* Errors are those of s2a_engine_open. */
s2a_status bench_engine_open(const bench_engine *of, s2a_engine **out, s2a_error *err);
/* Whether the engine supports copy drafting. */
bool bench_engine_drafts(const s2a_engine *engine);
/* The kernels in use: capabilities.kernels; "" = ggml's. */
const char *bench_engine_kernels(const s2a_engine *engine);
/* Tokens of a text without a template. Exact with llama and script, an upper bound with http. */
size_t bench_engine_count(const s2a_engine *engine, const char *text, size_t len);

typedef struct bench_job {
    s2a_mode mode;
    s2a_preset preset;
    uint32_t max_tokens; /* of the answer */
    char **texts;        /* malloc'ed; owned by the job if it was read from JSON */
    size_t count;        /* 1 to BENCH_CONCURRENCY_MAX */
} bench_job;

void bench_job_free(bench_job *job);

/* One request. */
typedef struct bench_timing {
    s2a_status status;
    char message[200]; /* of a failure */
    double step1_ms;   /* everything except step 2 */
    double total_ms;
    double first_ms, last_ms; /* first and last token of step 2, from its start; 0 = none */
    s2a_usage step1, step2;
    bool fell_back;
} bench_timing;

typedef struct bench_done {
    bench_timing timings[BENCH_CONCURRENCY_MAX];
    size_t count;
    double wall_ms;
    uint64_t peak_kb; /* peak memory of the process that computed; 0 = unknown */
} bench_done;

/* Runs a job with greedy sampling. Fails only for lack of threads or memory; the status of each
 * request is in its timing. */
s2a_status bench_job_run(s2a_engine *engine, const bench_job *job, s2a_cancel *cancel,
                         bench_done *done, s2a_error *err);

/* Fills the sample's times, sums and rates from all requests. S2A_OK, or the status and message of
 * the first request that failed. */
s2a_status bench_done_sum(const bench_done *done, bench_sample *sample, s2a_error *err);

/* A new reference, or NULL when out of memory. */
json_t *bench_engine_json(const bench_engine *engine);
json_t *bench_job_json(const bench_job *job);
json_t *bench_done_json(const bench_done *done);
/* False if the value has another form, or when out of memory. Strings of *out live as long as
 * value. */
bool bench_engine_from_json(const json_t *value, bench_engine *out);
bool bench_job_from_json(const json_t *value, bench_job *out);
bool bench_done_from_json(const json_t *value, bench_done *out);

#endif
