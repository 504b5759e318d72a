/* Jobs, engines and timings as JSON, for the pipe between the benchmark and its workers. */
#include "bench/job.h"

#include "base/buf.h"
#include "eval/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- engines ---------------------------------------------------------------------------- */

json_t *bench_engine_json(const bench_engine *e)
{
    return json_pack("{s:s?,s:s?,s:s?,s:I,s:I,s:I,s:I,s:s?,s:b,s:b}", "backend", e->backend,
                     "model", e->model, "url", e->url, "ctx", (json_int_t)e->ctx_tokens, "threads",
                     (json_int_t)e->threads, "timeout_ms", (json_int_t)e->timeout_ms, "gpu_layers",
                     (json_int_t)e->gpu_layers, "head", e->head, "draft", (int)e->draft, "kernels",
                     (int)e->kernels);
}

static uint32_t count_of(const json_t *object, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(object, key));
    return n < 0 ? 0 : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

bool bench_engine_from_json(const json_t *value, bench_engine *out)
{
    *out = (bench_engine){ .backend = text_of(value, "backend"),
                           .model = text_of(value, "model"),
                           .url = text_of(value, "url"),
                           .head = text_of(value, "head"),
                           .ctx_tokens = count_of(value, "ctx"),
                           .threads = count_of(value, "threads"),
                           .timeout_ms = count_of(value, "timeout_ms"),
                           .gpu_layers =
                               (int32_t)json_integer_value(json_object_get(value, "gpu_layers")),
                           .draft = json_is_true(json_object_get(value, "draft")),
                           .kernels = json_is_true(json_object_get(value, "kernels")) };
    return out->backend;
}

/* ---- jobs ------------------------------------------------------------------------------- */

json_t *bench_job_json(const bench_job *job)
{
    json_t *texts = json_array();
    for (size_t i = 0; i < job->count; i++)
        if (json_array_append_new(texts, json_string(job->texts[i])) != 0) {
            json_decref(texts);
            return NULL;
        }
    return json_pack("{s:s,s:s,s:I,s:o}", "mode", s2a_mode_name(job->mode), "preset",
                     s2a_preset_name(job->preset), "max_tokens", (json_int_t)job->max_tokens,
                     "texts", texts);
}

static bool mode_of(const char *name, s2a_mode *out)
{
    if (name && !strcmp(name, s2a_mode_name(S2A_MODE_NONE))) { /* no mode that a user may name */
        *out = S2A_MODE_NONE;
        return true;
    }
    return name && s2a_mode_from_name(name, out);
}

bool bench_job_from_json(const json_t *value, bench_job *out)
{
    const json_t *texts = json_object_get(value, "texts");
    const char *preset = text_of(value, "preset");
    *out = (bench_job){ .max_tokens = count_of(value, "max_tokens") };
    size_t count = json_array_size(texts);
    if (!mode_of(text_of(value, "mode"), &out->mode) || !preset ||
        !s2a_preset_from_name(preset, &out->preset) || count == 0 ||
        count > BENCH_CONCURRENCY_MAX || out->max_tokens == 0)
        return false;
    out->texts = calloc(count, sizeof *out->texts);
    if (!out->texts)
        return false;
    for (out->count = 0; out->count < count; out->count++) {
        const json_t *text = json_array_get(texts, out->count);
        char *copy = json_is_string(text)
                         ? bytes_dup(json_string_value(text), json_string_length(text))
                         : NULL;
        if (!copy) {
            bench_job_free(out);
            return false;
        }
        out->texts[out->count] = copy;
    }
    return true;
}

/* ---- timings ---------------------------------------------------------------------------- */

static json_t *timing_json(const bench_timing *t)
{
    return json_pack("{s:i,s:s,s:f,s:f,s:f,s:f,s:o,s:o,s:b}", "status", (int)t->status, "message",
                     t->message, "step1_ms", t->step1_ms, "total_ms", t->total_ms, "first_ms",
                     t->first_ms, "last_ms", t->last_ms, "step1", eval_usage_json(&t->step1),
                     "step2", eval_usage_json(&t->step2), "fell_back", (int)t->fell_back);
}

json_t *bench_done_json(const bench_done *done)
{
    json_t *list = json_array();
    for (size_t i = 0; i < done->count; i++)
        if (json_array_append_new(list, timing_json(&done->timings[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return json_pack("{s:f,s:I,s:o}", "wall_ms", done->wall_ms, "peak_kb",
                     (json_int_t)done->peak_kb, "requests", list);
}

static bool timing_from_json(const json_t *value, bench_timing *t)
{
    json_int_t status = json_integer_value(json_object_get(value, "status"));
    const char *message = text_of(value, "message");
    *t = (bench_timing){ .status = (s2a_status)status,
                         .step1_ms = json_number_value(json_object_get(value, "step1_ms")),
                         .total_ms = json_number_value(json_object_get(value, "total_ms")),
                         .first_ms = json_number_value(json_object_get(value, "first_ms")),
                         .last_ms = json_number_value(json_object_get(value, "last_ms")),
                         .fell_back = json_is_true(json_object_get(value, "fell_back")) };
    snprintf(t->message, sizeof t->message, "%s", message ? message : "");
    return status >= S2A_OK && status <= S2A_INTERNAL &&
           eval_usage_from_json(json_object_get(value, "step1"), &t->step1) &&
           eval_usage_from_json(json_object_get(value, "step2"), &t->step2);
}

bool bench_done_from_json(const json_t *value, bench_done *out)
{
    const json_t *list = json_object_get(value, "requests");
    *out = (bench_done){ .count = json_array_size(list),
                         .wall_ms = json_number_value(json_object_get(value, "wall_ms")) };
    json_int_t peak = json_integer_value(json_object_get(value, "peak_kb"));
    out->peak_kb = peak > 0 ? (uint64_t)peak : 0;
    if (out->count == 0 || out->count > BENCH_CONCURRENCY_MAX)
        return false;
    for (size_t i = 0; i < out->count; i++)
        if (!timing_from_json(json_array_get(list, i), &out->timings[i]))
            return false;
    return true;
}
