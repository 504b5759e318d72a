#include "bench/job.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/usage.h"
#include "base/utf8.h"
#include "core/engine.h"
#include "eval/stats.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- engines ---------------------------------------------------------------------------- */

/* The only place that turns copy drafting on and off. An engine that cannot draft is the same
 * either way, and says so in its capabilities. */
static void draft_set(s2a_engine_options *options, bool on)
{
    options->draft = on;
}

s2a_status bench_engine_open(const bench_engine *of, s2a_engine **out, s2a_error *err)
{
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.backend = of->backend;
    options.model = of->model;
    options.url = of->url;
    options.ctx_tokens = of->ctx_tokens;
    options.threads = of->threads;
    options.gpu_layers = of->gpu_layers;
    options.head = of->head;
    options.max_retries = 0; /* a second try would be measured as a slow first one */
    if (of->timeout_ms > 0)
        options.request_timeout_ms = options.idle_timeout_ms = of->timeout_ms;
    else
        options.idle_timeout_ms = options.request_timeout_ms; /* a long prefill is silent */
    options.kernels = of->kernels;
    draft_set(&options, of->draft);
    return s2a_engine_open(&options, out, err);
}

bool bench_engine_drafts(const s2a_engine *engine)
{
    return engine->backend->vtable->capabilities(engine->backend).can_draft;
}

const char *bench_engine_kernels(const s2a_engine *engine)
{
    const char *kernels = engine->backend->vtable->capabilities(engine->backend).kernels;
    return kernels ? kernels : "";
}

size_t bench_engine_count(const s2a_engine *engine, const char *text, size_t len)
{
    return engine->backend->vtable->count_tokens(engine->backend, text, len);
}

/* ---- running ---------------------------------------------------------------------------- */

typedef struct runner {
    pthread_t thread;
    sem_t *go;        /* NULL = at once */
    const bool *stop; /* set before go is given: do nothing */
    s2a_engine *engine;
    s2a_request *request;
    double first_ms, last_ms; /* by the clock */
    bench_timing *timing;
} runner;

static int on_token(void *ctx, int step, const char *text, size_t len)
{
    (void)text;
    (void)len;
    runner *r = ctx;
    if (step == 2) {
        r->last_ms = clock_ms();
        r->first_ms = r->first_ms > 0 ? r->first_ms : r->last_ms;
    }
    return 0;
}

static void *run(void *ctx)
{
    runner *r = ctx;
    bench_timing *t = r->timing;
    s2a_error err = { .status = S2A_OK };
    s2a_result *result = NULL;
    while (r->go && sem_wait(r->go) != 0)
        ;
    if (r->stop && *r->stop)
        return NULL;
    double start = clock_ms();
    t->status = s2a_answer(r->engine, r->request, &result, &err);
    double end = clock_ms();
    t->total_ms = end - start;
    if (t->status != S2A_OK) {
        snprintf(t->message, sizeof t->message, "%.*s",
                 (int)utf8_cut(err.message, sizeof t->message - 1), err.message);
        return NULL;
    }
    t->step1 = s2a_result_usage(result, 1);
    t->step2 = s2a_result_usage(result, 2);
    double step2_start = end - t->step2.ms;
    t->step1_ms = t->total_ms - t->step2.ms;
    t->first_ms = r->first_ms > 0 ? r->first_ms - step2_start : 0;
    t->last_ms = r->last_ms > 0 ? r->last_ms - step2_start : 0;
    t->fell_back = s2a_result_fallback(result) != S2A_FALLBACK_NONE;
    /* Step 1 that failed is no measurement of step 1. */
    if (s2a_result_fallback(result) == S2A_FALLBACK_STEP1_FAILED) {
        const char *detail = s2a_result_fallback_detail(result);
        t->status = S2A_BACKEND;
        snprintf(t->message, sizeof t->message, "%.*s",
                 (int)utf8_cut(detail, sizeof t->message - 1), detail);
    }
    s2a_result_free(result);
    return NULL;
}

static s2a_request *request_of(const bench_job *job, size_t i, runner *r, s2a_cancel *cancel,
                               s2a_error *err)
{
    s2a_request *request = s2a_request_new();
    if (!request) {
        error_nomem(err);
        return NULL;
    }
    s2a_request_set_mode(request, job->mode == S2A_MODE_NONE ? S2A_MODE_DEFAULT : job->mode);
    s2a_request_set_preset(request, job->preset);
    s2a_request_set_max_tokens(request, job->max_tokens);
    s2a_request_set_cancel(request, cancel);
    s2a_request_set_on_token(request, on_token, r);
    if (s2a_request_set_sampling(request, 0, 1, 0, err) != S2A_OK ||
        s2a_request_set_text(request, job->texts[i], strlen(job->texts[i]), err) != S2A_OK) {
        s2a_request_free(request);
        return NULL;
    }
    return request;
}

/* All threads are made before any starts. */
static s2a_status run_together(runner *runners, size_t count, double *wall_ms, s2a_error *err)
{
    sem_t go;
    bool stop = false;
    size_t made = 0;
    sem_init(&go, 0, 0);
    for (; made < count; made++) {
        runners[made].go = &go;
        runners[made].stop = &stop;
        if (pthread_create(&runners[made].thread, NULL, run, &runners[made]) != 0)
            break;
    }
    stop = made < count;
    double begin = clock_ms();
    for (size_t i = 0; i < made; i++)
        sem_post(&go);
    for (size_t i = 0; i < made; i++)
        pthread_join(runners[i].thread, NULL);
    *wall_ms = clock_ms() - begin;
    sem_destroy(&go);
    if (stop)
        return error_set(err, S2A_NOMEM,
                         "no more than %zu threads can be made; use a smaller "
                         "--concurrency",
                         made);
    return S2A_OK;
}

s2a_status bench_job_run(s2a_engine *engine, const bench_job *job, s2a_cancel *cancel,
                         bench_done *done, s2a_error *err)
{
    *done = (bench_done){ .count = job->count };
    if (job->count == 0 || job->count > BENCH_CONCURRENCY_MAX)
        return error_set(err, S2A_ARGUMENT, "%zu requests at once: give 1 to %u", job->count,
                         BENCH_CONCURRENCY_MAX);
    runner *runners = calloc(job->count, sizeof *runners);
    if (!runners)
        return error_nomem(err);
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < job->count && status == S2A_OK; i++) {
        runner *r = &runners[i];
        *r = (runner){ .engine = engine, .timing = &done->timings[i] };
        s2a_error fault = { .status = S2A_OK };
        r->request = request_of(job, i, r, cancel, &fault);
        if (!r->request)
            status = error_set(err, fault.status, "%s", fault.message);
    }
    if (status == S2A_OK && job->count == 1) {
        double begin = clock_ms();
        run(&runners[0]);
        done->wall_ms = clock_ms() - begin;
    } else if (status == S2A_OK) {
        status = run_together(runners, job->count, &done->wall_ms, err);
    }
    for (size_t i = 0; i < job->count; i++)
        s2a_request_free(runners[i].request);
    free(runners);
    return status;
}

/* ---- what the requests say together ----------------------------------------------------- */

s2a_status bench_done_sum(const bench_done *done, bench_sample *sample, s2a_error *err)
{
    double step1[BENCH_CONCURRENCY_MAX], total[BENCH_CONCURRENCY_MAX];
    double read[BENCH_CONCURRENCY_MAX], written[BENCH_CONCURRENCY_MAX];
    size_t rates = 0;
    sample->wall_ms = done->wall_ms;
    sample->peak_kb = done->peak_kb;
    sample->step1 = sample->step2 = (s2a_usage){ .ms = 0 };
    sample->fallbacks = 0;
    for (size_t i = 0; i < done->count; i++) {
        const bench_timing *t = &done->timings[i];
        if (t->status != S2A_OK)
            return error_set(err, t->status, "%s", t->message);
        step1[i] = t->step1_ms;
        total[i] = t->total_ms;
        usage_add(&sample->step1, &t->step1);
        usage_add(&sample->step2, &t->step2);
        sample->fallbacks += t->fell_back;
        const s2a_usage *u = &t->step2;
        if (t->first_ms > 0 && t->last_ms > t->first_ms && u->completion_tokens > 1) {
            read[rates] = ((double)u->prompt_tokens - (double)u->cached_tokens) / t->first_ms * 1e3;
            written[rates++] =
                (double)(u->completion_tokens - 1) / (t->last_ms - t->first_ms) * 1e3;
        }
    }
    sample->step1_ms = stats_quantile(step1, done->count, 0.5);
    sample->total_ms = stats_quantile(total, done->count, 0.5);
    sample->prefill_per_s = stats_quantile(read, rates, 0.5);
    sample->generate_per_s = stats_quantile(written, rates, 0.5);
    return S2A_OK;
}

void bench_job_free(bench_job *job)
{
    for (size_t i = 0; job->texts && i < job->count; i++)
        free(job->texts[i]);
    free(job->texts);
    *job = (bench_job){ .texts = NULL };
}
