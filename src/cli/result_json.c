#include "cli/result_json.h"

#include "base/ascii.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 15 digits give back every decimal fraction of as many digits as it was. */
#define REAL_DIGITS 15

/* A string; bytes that are not UTF-8 (they come from file names and from servers) as U+FFFD. */
static json_t *text_json(const char *text, size_t len)
{
    if (!text)
        return json_null();
    json_t *string = json_stringn(text, len);
    if (string || utf8_valid_prefix(text, len) == len)
        return string;
    buf fixed;
    buf_init(&fixed, LIMIT_NONE);
    utf8_repair(&fixed, text, len);
    if (fixed.status == S2A_OK)
        string = json_stringn(fixed.data, fixed.len);
    buf_free(&fixed);
    return string;
}

static json_t *name_json(const char *text)
{
    return text_json(text, text ? strlen(text) : 0);
}

static json_t *result_text(const s2a_result *result,
                           const char *(*get)(const s2a_result *, size_t *))
{
    size_t len = 0;
    const char *text = get(result, &len);
    return text_json(text, len);
}

static json_t *usage_json(const s2a_result *result, int step)
{
    s2a_usage u = s2a_result_usage(result, step);
    double ms = isfinite(u.ms) ? round(u.ms * 1e3) / 1e3 : 0;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "prompt_tokens", (json_int_t)u.prompt_tokens,
                     "cached_tokens", (json_int_t)u.cached_tokens, "completion_tokens",
                     (json_int_t)u.completion_tokens, "drafted_tokens",
                     (json_int_t)u.drafted_tokens, "accepted_tokens", (json_int_t)u.accepted_tokens,
                     "ms", ms);
}

static json_t *usages_json(const s2a_result *result)
{
    bool step1 = s2a_result_mode(result) != S2A_MODE_NONE;
    bool step2 = s2a_result_answer(result, NULL) != NULL;
    return json_pack("{s:o, s:o}", "step1", step1 ? usage_json(result, 1) : json_null(), "step2",
                     step2 ? usage_json(result, 2) : json_null());
}

static json_t *units_json(const s2a_result *result)
{
    json_t *units = json_array();
    for (size_t i = 0; units && i < s2a_result_unit_count(result); i++) {
        s2a_unit u = s2a_result_unit(result, i);
        json_t *unit = json_pack("{s:I, s:I, s:b, s:o, s:o}", "start", (json_int_t)u.start, "end",
                                 (json_int_t)u.end, "kept", u.kept, "label", name_json(u.label),
                                 "score", u.has_score ? json_real(u.score) : json_null());
        if (json_array_append_new(units, unit) != 0) {
            json_decref(units);
            units = NULL;
        }
    }
    return units;
}

/* Adds a span with the text that it covers; NULL, and the array is gone, when memory is out. */
static json_t *span_add(json_t *spans, s2a_span s, const char *text)
{
    json_t *span = json_pack("{s:I, s:I, s:o}", "start", (json_int_t)s.start, "end",
                             (json_int_t)s.end, "text", text_json(text + s.start, s.end - s.start));
    if (json_array_append_new(spans, span) == 0)
        return spans;
    json_decref(spans);
    return NULL;
}

static json_t *spans_json(const s2a_result *result, size_t count,
                          s2a_span (*get)(const s2a_result *, size_t), const char *text)
{
    json_t *spans = json_array();
    for (size_t i = 0; spans && i < count; i++)
        spans = span_add(spans, get(result, i), text);
    return spans;
}

static json_t *turns_json(const s2a_result *result)
{
    json_t *turns = json_array();
    for (size_t i = 0; turns && i < s2a_result_turn_count(result); i++) {
        s2a_turn t = s2a_result_turn(result, i);
        json_t *removed = json_array();
        for (size_t k = 0; removed && k < t.removed_count; k++)
            removed = span_add(removed, t.removed[k], t.input);
        json_t *turn = json_pack("{s:I, s:o}", "index", (json_int_t)t.index, "removed", removed);
        if (json_array_append_new(turns, turn) != 0) {
            json_decref(turns);
            turns = NULL;
        }
    }
    return turns;
}

/* Sets a key unless something failed before; takes the reference over. */
static void put(json_t **object, const char *key, json_t *value)
{
    if (!*object) {
        json_decref(value);
    } else if (json_object_set_new(*object, key, value) != 0) { /* also when value is NULL */
        json_decref(*object);
        *object = NULL;
    }
}

static json_t *id_json(const json_t *id)
{
    return id ? json_deep_copy(id) : json_null();
}

json_t *result_json(const s2a_result *result, const json_t *id, const s2a_result *plain)
{
    const char *x = s2a_result_input(result, NULL), *y = s2a_result_rewritten(result, NULL);
    s2a_fallback fallback = s2a_result_fallback(result);
    bool fell_back = fallback != S2A_FALLBACK_NONE;
    json_t *o = json_object();
    put(&o, "id", id_json(id));
    put(&o, "mode", name_json(s2a_mode_name(s2a_result_mode(result))));
    put(&o, "preset", name_json(s2a_preset_name(s2a_result_preset(result))));
    put(&o, "model", name_json(s2a_result_model(result)));
    put(&o, "input", result_text(result, s2a_result_input));
    put(&o, "context", result_text(result, s2a_result_context));
    put(&o, "question", result_text(result, s2a_result_question));
    put(&o, "rewritten", result_text(result, s2a_result_rewritten));
    put(&o, "units", units_json(result));
    put(&o, "removed", spans_json(result, s2a_result_removed_count(result), s2a_result_removed, x));
    put(&o, "added", spans_json(result, s2a_result_added_count(result), s2a_result_added, y));
    if (s2a_result_turn_count(result) > 0)
        put(&o, "turns", turns_json(result));
    put(&o, "fallback", fell_back ? name_json(s2a_fallback_name(fallback)) : json_null());
    if (fell_back)
        put(&o, "fallback_detail", name_json(s2a_result_fallback_detail(result)));
    put(&o, "answer", result_text(result, s2a_result_answer));
    if (s2a_result_answer_cut(result))
        put(&o, "answer_cut", json_true());
    put(&o, "usage", usages_json(result));
    if (plain) {
        json_t *other = json_object();
        put(&other, "answer", result_text(plain, s2a_result_answer));
        if (s2a_result_answer_cut(plain))
            put(&other, "answer_cut", json_true());
        put(&other, "usage", usages_json(plain));
        put(&o, "plain", other);
    }
    return o;
}

/* The status as it stands in error objects: "input" for S2A_INPUT. */
static void result_json_status(s2a_status status, char name[24])
{
    const char *full = s2a_status_name(status) + strlen("S2A_");
    size_t n = 0;
    for (; full[n] && n < 23; n++)
        name[n] = ascii_lower(full[n]);
    name[n] = '\0';
}

json_t *result_json_error(const json_t *id, uint64_t line, const s2a_error *err)
{
    char status[24];
    result_json_status(err->status, status);
    return json_pack("{s:o, s:I, s:{s:s, s:o}}", "id", id_json(id), "line", (json_int_t)line,
                     "error", "status", status, "message", name_json(err->message));
}

static int write_piece(const char *data, size_t len, void *ctx)
{
    return term_write(ctx, data, len) ? 0 : -1;
}

s2a_status result_json_write(const term *t, json_t *value, bool indent)
{
    if (!value)
        return S2A_NOMEM;
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS);
    flags |= indent ? JSON_INDENT(2) : JSON_COMPACT;
    term target = *t;
    int failed = json_dump_callback(value, write_piece, &target, flags);
    json_decref(value);
    if (ferror(stdout))
        return S2A_IO;
    fputc('\n', stdout);
    if (fflush(stdout) != 0)
        return S2A_IO;
    return failed ? S2A_NOMEM : S2A_OK;
}
