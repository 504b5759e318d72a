#include "cli/result_json.h"

#include "base/ascii.h"
#include "base/limits.h"
#include "json/result_parts.h"
#include "json/tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 15 digits reproduce every decimal fraction of at most 15 digits. */
#define REAL_DIGITS 15

static json_t *result_text(const s2a_result *result,
                           const char *(*get)(const s2a_result *, size_t *))
{
    size_t len = 0;
    const char *text = get(result, &len);
    return tree_text(text, len);
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

static json_t *spans_json(const s2a_result *result, size_t count,
                          s2a_span (*get)(const s2a_result *, size_t), const char *text)
{
    json_t *spans = json_array();
    for (size_t i = 0; i < count; i++)
        tree_append(&spans, result_span(get(result, i), text));
    return spans;
}

static json_t *turns_json(const s2a_result *result)
{
    json_t *turns = json_array();
    for (size_t i = 0; i < s2a_result_turn_count(result); i++) {
        s2a_turn t = s2a_result_turn(result, i);
        tree_append(&turns, json_pack("{s:I, s:o}", "index", (json_int_t)t.index, "removed",
                                      result_spans(t.removed, t.removed_count, t.input)));
    }
    return turns;
}

json_t *result_json_removed(const s2a_result *result)
{
    return spans_json(result, s2a_result_removed_count(result), s2a_result_removed,
                      s2a_result_input(result, NULL));
}

/* ---- documents -------------------------------------------------------------------------- */

static json_t *document_json(const s2a_document *d, size_t index)
{
    return json_pack("{s:I, s:f, s:o, s:o, s:o}", "index", (json_int_t)index, "relevance_score",
                     d->relevance, "pruned_text", tree_text(d->pruned, d->pruned_len), "removed",
                     result_spans(d->removed, d->removed_count, d->text), "units",
                     result_units(d->units, d->unit_count));
}

json_t *result_json_documents(const s2a_result *result, size_t top)
{
    size_t *order = NULL, count = 0;
    json_t *documents = result_documents_order(result, top, &order, &count) ? json_array() : NULL;
    for (size_t i = 0; documents && i < count; i++) {
        s2a_document d = s2a_result_document(result, order[i]);
        tree_append(&documents, document_json(&d, order[i]));
    }
    free(order);
    return documents;
}

/* ---- results ---------------------------------------------------------------------------- */

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
    tree_put(&o, "id", id_json(id));
    tree_put(&o, "mode", tree_name(s2a_mode_name(s2a_result_mode(result))));
    tree_put(&o, "preset", tree_name(s2a_preset_name(s2a_result_preset(result))));
    tree_put(&o, "model", tree_name(s2a_result_model(result)));
    tree_put(&o, "input", result_text(result, s2a_result_input));
    tree_put(&o, "context", result_text(result, s2a_result_context));
    tree_put(&o, "question", result_text(result, s2a_result_question));
    tree_put(&o, "rewritten", result_text(result, s2a_result_rewritten));
    tree_put(&o, "units", result_all_units(result));
    tree_put(&o, "removed", result_json_removed(result));
    tree_put(&o, "added", spans_json(result, s2a_result_added_count(result), s2a_result_added, y));
    if (s2a_result_turn_count(result) > 0)
        tree_put(&o, "turns", turns_json(result));
    tree_put(&o, "fallback", fell_back ? tree_name(s2a_fallback_name(fallback)) : json_null());
    if (fell_back)
        tree_put(&o, "fallback_detail", tree_name(s2a_result_fallback_detail(result)));
    tree_put(&o, "answer", result_text(result, s2a_result_answer));
    if (s2a_result_answer_cut(result))
        tree_put(&o, "answer_cut", json_true());
    tree_put(&o, "usage", usages_json(result));
    if (plain) {
        json_t *other = json_object();
        tree_put(&other, "answer", result_text(plain, s2a_result_answer));
        if (s2a_result_answer_cut(plain))
            tree_put(&other, "answer_cut", json_true());
        tree_put(&other, "usage", usages_json(plain));
        tree_put(&o, "plain", other);
    }
    return o;
}

/* The status's name in error objects: "input" for S2A_INPUT. */
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
                     "error", "status", status, "message", tree_name(err->message));
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
