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

json_t *result_json_name(const char *text)
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

json_t *result_json_usage(const s2a_result *result, int step)
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
    return json_pack("{s:o, s:o}", "step1", step1 ? result_json_usage(result, 1) : json_null(),
                     "step2", step2 ? result_json_usage(result, 2) : json_null());
}

/* Adds to an array; NULL, and the array is gone, when memory is out. */
static json_t *append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) == 0)
        return array;
    json_decref(array);
    return NULL;
}

static json_t *unit_json(s2a_unit u)
{
    return json_pack("{s:I, s:I, s:b, s:o, s:o}", "start", (json_int_t)u.start, "end",
                     (json_int_t)u.end, "kept", u.kept, "label", result_json_name(u.label), "score",
                     u.has_score ? json_real(u.score) : json_null());
}

static json_t *units_json(const s2a_result *result)
{
    json_t *units = json_array();
    for (size_t i = 0; units && i < s2a_result_unit_count(result); i++)
        units = append(units, unit_json(s2a_result_unit(result, i)));
    return units;
}

/* Adds a span with the text that it covers. */
static json_t *span_add(json_t *spans, s2a_span s, const char *text)
{
    return append(spans,
                  json_pack("{s:I, s:I, s:o}", "start", (json_int_t)s.start, "end",
                            (json_int_t)s.end, "text", text_json(text + s.start, s.end - s.start)));
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
        turns = append(turns,
                       json_pack("{s:I, s:o}", "index", (json_int_t)t.index, "removed", removed));
    }
    return turns;
}

json_t *result_json_removed(const s2a_result *result)
{
    return spans_json(result, s2a_result_removed_count(result), s2a_result_removed,
                      s2a_result_input(result, NULL));
}

/* ---- documents -------------------------------------------------------------------------- */

typedef struct ranked {
    double relevance;
    size_t index;
} ranked;

/* The most relevant first; equal ones in order. */
static int rank(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->relevance > y->relevance || x->relevance < y->relevance)
        return x->relevance > y->relevance ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

bool result_documents_order(const s2a_result *result, size_t top, size_t **order, size_t *count)
{
    size_t n = s2a_result_document_count(result);
    ranked *all = calloc(n + 1, sizeof *all);
    *order = calloc(n + 1, sizeof **order);
    *count = top > 0 && top < n ? top : n;
    bool ok = all && *order;
    for (size_t i = 0; i < n && ok; i++)
        all[i] = (ranked){ s2a_result_document(result, i).relevance, i };
    if (ok && top > 0)
        qsort(all, n, sizeof *all, rank);
    for (size_t i = 0; i < n && ok; i++)
        (*order)[i] = all[i].index;
    free(all);
    return ok;
}

static json_t *document_json(const s2a_document *d, size_t index)
{
    json_t *removed = json_array(), *units = json_array();
    for (size_t i = 0; removed && i < d->removed_count; i++)
        removed = span_add(removed, d->removed[i], d->text);
    for (size_t i = 0; units && i < d->unit_count; i++)
        units = append(units, unit_json(d->units[i]));
    return json_pack("{s:I, s:f, s:o, s:o, s:o}", "index", (json_int_t)index, "relevance_score",
                     d->relevance, "pruned_text", text_json(d->pruned, d->pruned_len), "removed",
                     removed, "units", units);
}

json_t *result_json_documents(const s2a_result *result, size_t top)
{
    size_t *order = NULL, count = 0;
    json_t *documents = result_documents_order(result, top, &order, &count) ? json_array() : NULL;
    for (size_t i = 0; documents && i < count; i++) {
        s2a_document d = s2a_result_document(result, order[i]);
        documents = append(documents, document_json(&d, order[i]));
    }
    free(order);
    return documents;
}

/* ---- results ---------------------------------------------------------------------------- */

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
    const char *y = s2a_result_rewritten(result, NULL);
    s2a_fallback fallback = s2a_result_fallback(result);
    bool fell_back = fallback != S2A_FALLBACK_NONE;
    json_t *o = json_object();
    put(&o, "id", id_json(id));
    put(&o, "mode", result_json_name(s2a_mode_name(s2a_result_mode(result))));
    put(&o, "preset", result_json_name(s2a_preset_name(s2a_result_preset(result))));
    put(&o, "model", result_json_name(s2a_result_model(result)));
    put(&o, "input", result_text(result, s2a_result_input));
    put(&o, "context", result_text(result, s2a_result_context));
    put(&o, "question", result_text(result, s2a_result_question));
    put(&o, "rewritten", result_text(result, s2a_result_rewritten));
    put(&o, "units", units_json(result));
    put(&o, "removed", result_json_removed(result));
    put(&o, "added", spans_json(result, s2a_result_added_count(result), s2a_result_added, y));
    if (s2a_result_turn_count(result) > 0)
        put(&o, "turns", turns_json(result));
    put(&o, "fallback", fell_back ? result_json_name(s2a_fallback_name(fallback)) : json_null());
    if (fell_back)
        put(&o, "fallback_detail", result_json_name(s2a_result_fallback_detail(result)));
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
                     "error", "status", status, "message", result_json_name(err->message));
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
