/* One measurement as a job for an engine: some prompts at once, one thread each, by s2a.h alone.
 * Jobs and what they gave go through a pipe as JSON, a line each; see worker.h. */
#ifndef S2A_BENCH_JOB_H
#define S2A_BENCH_JOB_H

#include "bench/arms.h"

#include <jansson.h>

#define BENCH_CONCURRENCY_MAX 64u

/* What an engine is opened with. Strings are borrowed. */
typedef struct bench_engine {
    const char *backend, *model, *url; /* model and url may be NULL */
    uint32_t ctx_tokens, threads, timeout_ms;
    int32_t gpu_layers;
    const char *head; /* a file; NULL = the built-in one */
    bool draft; /* copy drafting */
    bool kernels; /* of our own, where there are any */
} bench_engine;

/* Errors are those of s2a_engine_open. */
s2a_status bench_engine_open(const bench_engine *of, s2a_engine **out, s2a_error *err);
/* Whether copy drafting makes a difference to it. */
bool bench_engine_drafts(const s2a_engine *engine);
/* Of whose kernels it makes use: capabilities.kernels, "" = none of ours. */
const char *bench_engine_kernels(const s2a_engine *engine);
/* Tokens of a text without any template. Exact with llama and script, an upper bound with http. */
size_t bench_engine_count(const s2a_engine *engine, const char *text, size_t len);

typedef struct bench_job {
    s2a_mode mode;
    s2a_preset preset;
    uint32_t max_tokens; /* of the answer */
    char **texts; /* malloc'ed, owned where the job was read from JSON */
    size_t count; /* 1 to BENCH_CONCURRENCY_MAX */
} bench_job;

void bench_job_free(bench_job *job);

/* One request. */
typedef struct bench_timing {
    s2a_status status;
    char message[200];       /* of a failure */
    double step1_ms;         /* all that is not step 2 */
    double total_ms;
    double first_ms, last_ms; /* tokens of step 2, from its start; 0 = none came */
    s2a_usage step1, step2;
    bool fell_back;
} bench_timing;

typedef struct bench_done {
    bench_timing timings[BENCH_CONCURRENCY_MAX];
    size_t count;
    double wall_ms;
    uint64_t peak_kb; /* of the process that computed; 0 = not known */
} bench_done;

/* Greedy. Fails only where threads or memory are out; what became of a request is in its timing. */
s2a_status bench_job_run(s2a_engine *engine, const bench_job *job, s2a_cancel *cancel,
                         bench_done *done, s2a_error *err);

/* What the requests say together: the sample's times, sums and rates. S2A_OK, or the status of the
 * first request that failed, with its message. */
s2a_status bench_done_sum(const bench_done *done, bench_sample *sample, s2a_error *err);

/* A new reference, or NULL when out of memory. */
json_t *bench_engine_json(const bench_engine *engine);
json_t *bench_job_json(const bench_job *job);
json_t *bench_done_json(const bench_done *done);
/* False when the value is none of ours, or memory is out. Strings of *out live as long as value. */
bool bench_engine_from_json(const json_t *value, bench_engine *out);
bool bench_job_from_json(const json_t *value, bench_job *out);
bool bench_done_from_json(const json_t *value, bench_done *out);

#endif
