/* The s2a object of a response, and the list of models. */
#include "serve/reply_internal.h"

#include "base/limits.h"
#include "json/result_parts.h"

#include <math.h>

static json_t *ms_json(double ms)
{
    return ms >= 0 && isfinite(ms) ? json_integer((json_int_t)llround(ms)) : json_null();
}

typedef struct removed_list {
    json_t *list;
    bool marker;
} removed_list;

static void span_append(void *ctx, const chat_target *of, const char *text, s2a_span span)
{
    removed_list *l = ctx;
    char id[REMOVED_ID_SIZE];
    json_t *item = json_pack("{s:I}", "message", (json_int_t)of->message.index);
    json_t *where = result_span(span, text);
    bool ok = item && where && json_object_update(item, where) == 0;
    json_decref(where);
    if (!ok) {
        json_decref(item);
        item = NULL;
    }
    if (l->marker && removed_id(text + span.start, span.end - span.start, id))
        tree_put(&item, "id", json_string(id));
    tree_append(&l->list, item);
}

static json_t *removed_json(const step1_outcome *s, const chat_request *q)
{
    removed_list l = { json_array(), q->ask.marker };
    serve_step1_each_removed(s, q, span_append, &l);
    return l.list;
}

static json_t *usage_json(const s2a_usage *u)
{
    return json_pack("{s:I, s:I, s:I}", "prompt_tokens", (json_int_t)u->prompt_tokens,
                     "cached_tokens", (json_int_t)u->cached_tokens, "completion_tokens",
                     (json_int_t)u->completion_tokens);
}

static json_t *explain_put(json_t *root, const step1_outcome *s)
{
    const s2a_result *result = s->count > 0 ? s->results[s->count - 1] : NULL;
    static const struct {
        const char *name;
        const char *(*get)(const s2a_result *, size_t *);
    } texts[] = { { "input", s2a_result_input },
                  { "rewritten", s2a_result_rewritten },
                  { "context", s2a_result_context },
                  { "question", s2a_result_question } };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t len = 0;
        const char *text = result ? texts[i].get(result, &len) : NULL;
        tree_put(&root, texts[i].name, tree_text(text, len));
    }
    double threshold = result ? s2a_result_threshold(result) : NAN;
    tree_put(&root, "threshold", isfinite(threshold) ? json_real(threshold) : json_null());
    tree_put(&root, "units", result_all_units(result));
    return root;
}

json_t *reply_s2a(const step1_outcome *s, const chat_request *q, double ms2, const s2a_usage *step2)
{
    json_t *root = json_object(), *ms = json_object(), *usage = json_object();
    tree_put(&root, "mode", json_string(s2a_mode_name(s->mode)));
    tree_put(&root, "preset", json_string(s2a_preset_name(s->preset)));
    tree_put(&root, "fallback", tree_name(s->fallback));
    if (s->fallback)
        tree_put(&root, "fallback_detail", json_string(s->detail));
    tree_put(&root, "removed", removed_json(s, q));
    if (q->unjudged > 0)
        tree_put(&root, "unjudged", json_integer((json_int_t)q->unjudged));
    tree_put(&ms, "step1", ms_json(s->ms));
    tree_put(&ms, "step2", ms_json(ms2));
    tree_put(&root, "ms", ms);
    tree_put(&usage, "step1", usage_json(&s->usage));
    bool known = step2 && step2->prompt_tokens + step2->completion_tokens > 0;
    tree_put(&usage, "step2", known ? usage_json(step2) : json_null());
    tree_put(&root, "usage", usage);
    if (q->ask.explain)
        return explain_put(root, s);
    /* Responses of these APIs have no other field for x'. */
    if (q->ask.show != CHAT_SHOW_NONE && reply_names_events(q->api)) {
        size_t len = 0;
        const char *shown = serve_step1_rewritten(s, &len);
        tree_put(&root, "rewritten", tree_text(shown, len));
    }
    return root;
}

/* ---- models ----------------------------------------------------------------------------- */

static json_t *with_prefix(const json_t *entry, const char *prefix)
{
    const char *id = json_string_value(json_object_get(entry, "id"));
    json_t *copy = id ? json_deep_copy(entry) : NULL;
    buf name;
    buf_init(&name, LIMIT_NONE);
    buf_adds(&name, prefix);
    buf_adds(&name, id ? id : "");
    if (name.status == S2A_OK)
        tree_put(&copy, "id", json_string(name.data));
    buf_free(&name);
    return copy;
}

bool reply_models_double(json_t *list, const char *prefix)
{
    json_t *data = json_object_get(list, "data");
    if (!json_is_array(data))
        return false;
    json_t *both = json_array();
    bool ok = both != NULL;
    for (size_t i = 0; ok && i < json_array_size(data); i++) {
        json_t *entry = json_array_get(data, i);
        ok = json_is_string(json_object_get(entry, "id")) && json_array_append(both, entry) == 0 &&
             json_array_append_new(both, with_prefix(entry, prefix)) == 0;
    }
    ok = ok && json_object_set(list, "data", both) == 0;
    json_decref(both);
    return ok;
}
