#include "eval/step.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/fnv.h"
#include "base/sha256.h"
#include "core/engine.h"
#include "eval/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void step1_result_free(step1_result *r)
{
    free(r->rewritten);
    free(r->context);
    free(r->question);
    free(r->fallback);
    free(r->removed);
    free(r->units);
    free(r->kept);
    free(r->scores);
    *r = (step1_result){ 0 };
}

/* The key of a step: a hash over all that determines what it gives. values is taken over. */
static s2a_status key_make(const step_context *c, json_t *values, char hex[65])
{
    json_t *key = json_pack("{s:s,s:s,s:f,s:o}", "version", s2a_version(), "model", c->model_hash,
                            "top_p", c->settings->top_p, "of", values);
    char *text = key ? json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(key);
    s2a_status status = text ? sha256_bytes(text, strlen(text), hex, c->err) : error_nomem(c->err);
    free(text);
    return status;
}

/* *value: the stored step, or NULL. */
static s2a_status step_find(const step_context *c, const char *key, json_t **value)
{
    char *text = NULL;
    s2a_status status = eval_store_step_get(c->store, key, &text, c->err);
    *value = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
    free(text);
    return status;
}

/* value is taken over. */
static s2a_status step_keep(const step_context *c, const char *key, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    s2a_status status =
        text ? eval_store_step_put(c->store, key, text, c->err) : error_nomem(c->err);
    free(text);
    return status;
}

static json_t *text_or_null(const char *text, size_t len)
{
    return text ? json_stringn(text, len) : json_null();
}

static bool take(const json_t *value, const char *name, char **out)
{
    const json_t *text = json_object_get(value, name);
    if (!json_is_string(text))
        return json_is_null(text);
    *out = bytes_dup(json_string_value(text), json_string_length(text));
    return *out != NULL;
}

/* ---- step 1 ----------------------------------------------------------------------------- */

static s2a_preset preset_of(const step_context *c, const eval_item *item, const arm *a)
{
    if (a->step1 == ARM_SINGLE)
        return S2A_PRESET_SINGLE;
    if (a->step1 == ARM_SELECT)
        return a->keep > 0       ? S2A_PRESET_RELEVANCE
               : item->untrusted ? S2A_PRESET_UNTRUSTED
                                 : eval_task_preset(c->settings->task);
    return arm_flavour_of(item) == FLAVOUR_OPINION ? S2A_PRESET_OPINION : S2A_PRESET_RELEVANCE;
}

uint64_t step1_reader(const s2a_engine *engine)
{
    const s2a_engine *judge = engine_judge(engine);
    backend_capabilities can = judge->backend->vtable->capabilities(judge->backend);
    uint64_t id = judge->head ? judge->head->id : 0;
    return fnv_mix(fnv_add(FNV_START, can.model, strlen(can.model)), fnv_mix(id, can.weights_id));
}

/* What step 1 is asked with, and how it is read: only what it uses belongs to its key. */
static json_t *prompt_of(const step_context *c, const eval_item *item, const arm *a)
{
    const prompt_set *prompts = &c->engine->prompts;
    if (a->step1 == ARM_SELECT && a->keep > 0)
        return json_pack("[s,o,f]", s2a_preset_name(preset_of(c, item, a)),
                         json_sprintf("%016" PRIx64, step1_reader(c->engine)), a->keep);
    if (a->step1 == ARM_SELECT)
        return json_pack("[s,o]", s2a_preset_name(preset_of(c, item, a)),
                         json_sprintf("%016" PRIx64, step1_reader(c->engine)));
    if (a->step1 == ARM_SINGLE)
        return json_string(prompts->text[PROMPT_REWRITE_SINGLE]);
    return json_string(preset_of(c, item, a) == S2A_PRESET_RELEVANCE
                           ? prompts->text[PROMPT_REWRITE_RELEVANCE]
                           : prompts->text[PROMPT_REWRITE_OPINION]);
}

static json_t *units_json(const s2a_result *result)
{
    json_t *units = json_array();
    for (size_t i = 0; units && i < s2a_result_unit_count(result); i++) {
        s2a_unit u = s2a_result_unit(result, i);
        json_t *one =
            u.has_score && isfinite(u.score)
                ? json_pack("[I,I,b,f]", (json_int_t)u.start, (json_int_t)u.end, (int)u.kept,
                            u.score)
                : json_pack("[I,I,b]", (json_int_t)u.start, (json_int_t)u.end, (int)u.kept);
        if (json_array_append_new(units, one) != 0) {
            json_decref(units);
            units = NULL;
        }
    }
    return units;
}

static json_t *step1_json(const s2a_result *result)
{
    size_t rewritten_len = 0, context_len = 0, question_len = 0,
           n = s2a_result_removed_count(result);
    const char *rewritten = s2a_result_rewritten(result, &rewritten_len);
    const char *context = s2a_result_context(result, &context_len);
    const char *question = s2a_result_question(result, &question_len);
    s2a_fallback fallback = s2a_result_fallback(result);
    s2a_usage usage = s2a_result_usage(result, 1);
    s2a_span *removed = calloc(n + 1, sizeof *removed);
    for (size_t i = 0; removed && i < n; i++)
        removed[i] = s2a_result_removed(result, i);
    json_t *json =
        removed ? json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "rewritten",
                            text_or_null(rewritten, rewritten_len), "context",
                            text_or_null(context, context_len), "question",
                            text_or_null(question, question_len), "fallback",
                            fallback ? json_string(s2a_fallback_name(fallback)) : json_null(),
                            "removed", eval_spans_json(removed, n), "units", units_json(result),
                            "usage", eval_usage_json(&usage))
                : NULL;
    free(removed);
    return json;
}

static bool step1_from_json(const json_t *value, step1_result *out)
{
    const json_t *units = json_object_get(value, "units");
    size_t n = json_array_size(units);
    out->units = calloc(n + 1, sizeof *out->units);
    out->kept = calloc(n + 1, sizeof *out->kept);
    out->scores = calloc(n + 1, sizeof *out->scores);
    if (!out->units || !out->kept || !out->scores)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(units, i);
        out->units[i].start = (size_t)json_integer_value(json_array_get(one, 0));
        out->units[i].end = (size_t)json_integer_value(json_array_get(one, 1));
        out->kept[i] = json_is_true(json_array_get(one, 2));
        const json_t *score = json_array_get(one, 3);
        out->scores[i] = json_is_number(score) ? json_number_value(score) : NAN;
    }
    out->unit_count = n;
    return take(value, "rewritten", &out->rewritten) && take(value, "context", &out->context) &&
           take(value, "question", &out->question) && take(value, "fallback", &out->fallback) &&
           out->rewritten &&
           eval_spans_from_json(json_object_get(value, "removed"), &out->removed,
                                &out->removed_count) &&
           eval_usage_from_json(json_object_get(value, "usage"), &out->usage);
}

/* A prompt that is too long for step 1 falls back, as in s2a_answer. */
static json_t *too_long_json(const char *x)
{
    return json_pack("{s:s,s:n,s:n,s:s,s:[],s:[],s:{}}", "rewritten", x, "context", "question",
                     "fallback", s2a_fallback_name(S2A_FALLBACK_STEP1_FAILED), "removed", "units",
                     "usage");
}

static s2a_status request_fill(const step_context *c, s2a_request *request, const eval_item *item,
                               const arm *a, uint32_t seed)
{
    const eval_settings *o = c->settings;
    size_t len = strlen(item->x), at = item->question_start;
    s2a_request_set_mode(request, a->step1 == ARM_SELECT ? S2A_MODE_SELECT : S2A_MODE_REWRITE);
    s2a_request_set_preset(request, preset_of(c, item, a));
    s2a_request_set_cancel(request, o->cancel);
    s2a_status status = s2a_request_set_sampling(request, o->temperature, o->top_p, seed, c->err);
    if (status == S2A_OK)
        status = s2a_request_set_keep(request, a->keep, c->err);
    if (status != S2A_OK)
        return status;
    return at >= 2 ? s2a_request_set_parts(request, item->x, at - 2, item->x + at, len - at, c->err)
                   : s2a_request_set_text(request, item->x, len, c->err);
}

static s2a_status step1_ask(const step_context *c, const eval_item *item, const arm *a,
                            uint32_t seed, json_t **value)
{
    s2a_request *request = s2a_request_new();
    s2a_result *result = NULL;
    s2a_status status = request ? request_fill(c, request, item, a, seed) : error_nomem(c->err);
    if (status == S2A_OK)
        status = s2a_attend(c->engine, request, &result, c->err);
    *value = status == S2A_OK      ? step1_json(result)
             : status == S2A_LIMIT ? too_long_json(item->x)
                                   : NULL;
    if (status == S2A_LIMIT)
        status = S2A_OK;
    if (status == S2A_OK && !*value)
        status = error_nomem(c->err);
    s2a_result_free(result);
    s2a_request_free(request);
    return status;
}

/* With the key claimed. */
static s2a_status step1_value(const step_context *c, const eval_item *item, const arm *a,
                              uint32_t seed, const char *key, json_t **value)
{
    s2a_status status = step_find(c, key, value);
    if (status != S2A_OK || *value)
        return status;
    status = step1_ask(c, item, a, seed, value);
    return status == S2A_OK ? step_keep(c, key, json_incref(*value)) : status;
}

s2a_status step1_run(const step_context *c, const eval_item *item, const arm *a, uint32_t seed,
                     step1_result *out)
{
    *out = (step1_result){ 0 };
    char key[65];
    json_t *value = NULL;
    s2a_status status =
        key_make(c,
                 json_pack("{s:i,s:i,s:o,s:s,s:I,s:I,s:f}", "step1", (int)a->step1, "preset",
                           (int)preset_of(c, item, a), "prompt", prompt_of(c, item, a), "x",
                           item->x, "question_start", (json_int_t)item->question_start, "seed",
                           (json_int_t)seed, "temperature", c->settings->temperature),
                 key);
    if (status == S2A_OK) {
        claim mine;
        claims_enter(c->claims, &mine, key);
        status = step1_value(c, item, a, seed, key, &value);
        claims_leave(c->claims, &mine);
    }
    if (status == S2A_OK && !step1_from_json(value, out))
        status = error_set(c->err, S2A_IO, "a step of the store cannot be read; name a new store");
    json_decref(value);
    if (status != S2A_OK)
        step1_result_free(out);
    return status;
}

/* ---- answers ---------------------------------------------------------------------------- */

static s2a_status answer_ask(const step_context *c, const char *prompt, size_t len,
                             double temperature, uint32_t seed, uint32_t max_tokens, json_t **value)
{
    s2a_request *request = s2a_request_new();
    s2a_result *result = NULL;
    s2a_status status =
        request ? s2a_request_set_text(request, prompt, len, c->err) : error_nomem(c->err);
    if (status == S2A_OK)
        status = s2a_request_set_sampling(request, temperature, c->settings->top_p, seed, c->err);
    if (status == S2A_OK) {
        s2a_request_set_preset(request, S2A_PRESET_PLAIN);
        s2a_request_set_max_tokens(request, max_tokens);
        s2a_request_set_cancel(request, c->settings->cancel);
        status = s2a_answer(c->engine, request, &result, c->err);
    }
    if (status == S2A_OK) {
        size_t n = 0;
        const char *answer = s2a_result_answer(result, &n);
        s2a_usage usage = s2a_result_usage(result, 2);
        *value = json_pack("{s:o,s:b,s:o}", "answer", text_or_null(answer, n), "cut",
                           (int)s2a_result_answer_cut(result), "usage", eval_usage_json(&usage));
        if (!*value)
            status = error_nomem(c->err);
    }
    s2a_result_free(result);
    s2a_request_free(request);
    return status;
}

static s2a_status answer_value(const step_context *c, const char *prompt, size_t len,
                               double temperature, uint32_t seed, uint32_t max_tokens,
                               const char *key, json_t **value)
{
    s2a_status status = step_find(c, key, value);
    if (status != S2A_OK || *value)
        return status;
    status = answer_ask(c, prompt, len, temperature, seed, max_tokens, value);
    return status == S2A_OK ? step_keep(c, key, json_incref(*value)) : status;
}

s2a_status answer_run(const step_context *c, const char *prompt, size_t len, double temperature,
                      uint32_t seed, uint32_t max_tokens, answer_result *out)
{
    *out = (answer_result){ 0 };
    char key[65];
    json_t *value = NULL;
    if (temperature < 0)
        temperature = c->settings->temperature;
    s2a_status status = key_make(c,
                                 json_pack("{s:o,s:I,s:f,s:I}", "answer", text_or_null(prompt, len),
                                           "seed", (json_int_t)seed, "temperature", temperature,
                                           "max_tokens", (json_int_t)max_tokens),
                                 key);
    if (status == S2A_OK) {
        claim mine;
        claims_enter(c->claims, &mine, key);
        status = answer_value(c, prompt, len, temperature, seed, max_tokens, key, &value);
        claims_leave(c->claims, &mine);
    }
    if (status == S2A_OK && !(take(value, "answer", &out->text) && out->text &&
                              eval_usage_from_json(json_object_get(value, "usage"), &out->usage)))
        status = error_set(c->err, S2A_IO, "a step of the store cannot be read; name a new store");
    out->cut = json_is_true(json_object_get(value, "cut"));
    json_decref(value);
    return status;
}
