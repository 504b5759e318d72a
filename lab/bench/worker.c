#include "bench/worker.h"

#include "base/error.h"
#include "bench/job.h"
#include "bench/process.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct worker {
    s2a_engine *engine;
    bench_done done; /* large */
} worker;

static json_t *failed(const s2a_error *err)
{
    return json_pack("{s:i,s:s}", "status", (int)err->status, "error", err->message);
}

static json_t *not_understood(void)
{
    return json_pack("{s:i,s:s}", "status", (int)S2A_INPUT, "error",
                     "worker: a line that it does not understand");
}

static json_t *open_line(worker *w, const json_t *value)
{
    bench_engine engine;
    s2a_error err;
    if (w->engine || !bench_engine_from_json(value, &engine))
        return not_understood();
    if (bench_engine_open(&engine, &w->engine, &err) != S2A_OK)
        return failed(&err);
    return json_pack("{s:s,s:b,s:s,s:I}", "model", s2a_engine_model(w->engine), "drafts",
                     (int)bench_engine_drafts(w->engine), "kernels",
                     bench_engine_kernels(w->engine), "ctx",
                     (json_int_t)s2a_engine_ctx_tokens(w->engine));
}

static json_t *run_line(worker *w, const json_t *value)
{
    bench_job job;
    s2a_error err;
    if (!bench_job_from_json(value, &job))
        return not_understood();
    s2a_status status = bench_job_run(w->engine, &job, NULL, &w->done, &err);
    bench_job_free(&job);
    if (status != S2A_OK)
        return failed(&err);
    w->done.peak_kb = bench_process_peak_kb(0);
    return json_pack("{s:o}", "done", bench_done_json(&w->done));
}

static json_t *one_line(worker *w, const char *text, size_t len)
{
    json_t *line = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    const json_t *open = json_object_get(line, "open"), *run = json_object_get(line, "run");
    const json_t *count = json_object_get(line, "count");
    json_t *out = NULL;
    if (open)
        out = open_line(w, open);
    else if (w->engine && run)
        out = run_line(w, run);
    else if (w->engine && json_is_string(count))
        out = json_pack("{s:I}", "tokens",
                        (json_int_t)bench_engine_count(w->engine, json_string_value(count),
                                                       json_string_length(count)));
    else
        out = not_understood();
    json_decref(line);
    return out;
}

int bench_worker_main(void)
{
    worker *w = calloc(1, sizeof *w);
    char *line = NULL;
    size_t cap = 0;
    bool ok = w != NULL;
    for (ssize_t n = 0; ok && (n = getline(&line, &cap, stdin)) > 0;) {
        json_t *out = one_line(w, line, (size_t)n);
        char *text = out ? json_dumps(out, JSON_COMPACT) : NULL;
        ok = text && puts(text) >= 0 && fflush(stdout) == 0;
        free(text);
        json_decref(out);
    }
    free(line);
    if (w)
        s2a_engine_close(w->engine);
    free(w);
    return ok ? 0 : 1;
}
