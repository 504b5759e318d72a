#include "serve/reply.h"

#include "base/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sets a key unless something failed before; takes value over. */
static void put(json_t **object, const char *key, json_t *value)
{
    if (!*object) {
        json_decref(value);
    } else if (json_object_set_new(*object, key, value) != 0) { /* also when value is NULL */
        json_decref(*object);
        *object = NULL;
    }
}

static json_t *text_json(const char *text, size_t len)
{
    return text ? json_stringn(text, len) : json_null();
}

static json_t *name_json(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *list_of(json_t *value)
{
    json_t *list = json_array();
    if (!list)
        json_decref(value);
    else if (json_array_append_new(list, value) != 0) {
        json_decref(list);
        list = NULL;
    }
    return list;
}

/* ---- errors ----------------------------------------------------------------------------- */

json_t *reply_error(const char *message, const char *type, const char *code)
{
    json_t *error = json_object(), *root = json_object();
    put(&error, "message", json_string(message));
    put(&error, "type", json_string(type));
    put(&error, "param", json_null());
    put(&error, "code", name_json(code));
    put(&root, "error", error);
    return root;
}

const char *reply_error_type(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 404:
        return "not_found_error";
    case 408:
    case 504:
        return "timeout";
    case 429:
        return "rate_limit_error";
    default:
        return status < 500 ? "invalid_request_error" : "server_error";
    }
}

/* ---- chunks ----------------------------------------------------------------------------- */

bool reply_event(buf *out, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (!text)
        return false;
    buf_adds(out, "data: ");
    buf_adds(out, text);
    buf_adds(out, "\n\n");
    free(text);
    return out->status == S2A_OK;
}

static json_t *head(const reply *r, bool whole)
{
    json_t *root = json_object();
    const char *object = !r->chat ? "text_completion"
                         : whole  ? "chat.completion"
                                  : "chat.completion.chunk";
    put(&root, "id", json_string(r->id));
    put(&root, "object", json_string(object));
    put(&root, "created", json_integer(r->created));
    put(&root, "model", json_string(r->model));
    return root;
}

json_t *reply_chunk(const reply *r, json_t *delta, const char *text, const char *finish)
{
    json_t *root = head(r, false), *choice = json_object();
    put(&choice, "index", json_integer(0));
    if (r->chat)
        put(&choice, "delta", delta ? delta : json_object());
    else
        put(&choice, "text", json_string(text ? text : ""));
    put(&choice, "logprobs", json_null());
    put(&choice, "finish_reason", name_json(finish));
    put(&root, "choices", list_of(choice));
    return root;
}

json_t *reply_delta_role(void)
{
    json_t *delta = json_object();
    put(&delta, "role", json_string("assistant"));
    put(&delta, "content", json_string(""));
    return delta;
}

json_t *reply_delta_content(const char *text, size_t len)
{
    json_t *delta = json_object();
    put(&delta, "content", json_stringn(text, len));
    return delta;
}

/* <think>x'</think> and a blank line; malloc'ed, NULL when out of memory. */
static char *think(const char *text, size_t len, size_t *out_len)
{
    buf b;
    buf_init(&b, LIMIT_NONE);
    buf_adds(&b, "<think>\n");
    buf_add(&b, text, len);
    buf_adds(&b, "\n</think>\n\n");
    char *joined = buf_take(&b, out_len);
    buf_free(&b);
    return joined;
}

json_t *reply_delta_shown(chat_show show, const char *text, size_t len, bool *ok)
{
    *ok = true;
    if (show == CHAT_SHOW_NONE || !text)
        return NULL;
    json_t *delta = json_object();
    if (show == CHAT_SHOW_THINK) {
        size_t n = 0;
        char *joined = think(text, len, &n);
        put(&delta, "content", joined ? json_stringn(joined, n) : NULL);
        free(joined);
    }
    if (show == CHAT_SHOW_REASONING_CONTENT || show == CHAT_SHOW_BOTH)
        put(&delta, "reasoning_content", json_stringn(text, len));
    if (show == CHAT_SHOW_REASONING || show == CHAT_SHOW_BOTH)
        put(&delta, "reasoning", json_stringn(text, len));
    *ok = delta != NULL;
    return delta;
}

json_t *reply_usage_chunk(const reply *r, json_t *usage)
{
    json_t *root = head(r, false);
    put(&root, "choices", json_array());
    put(&root, "usage", usage);
    return root;
}

/* ---- whole answers ---------------------------------------------------------------------- */

json_t *reply_whole(const reply *r, chat_show show, const char *shown, size_t shown_len,
                    const char *answer, size_t answer_len, const char *finish, json_t *usage)
{
    json_t *root = head(r, true), *choice = json_object();
    put(&choice, "index", json_integer(0));
    if (r->chat) {
        json_t *message = json_object();
        put(&message, "role", json_string("assistant"));
        put(&message, "content", json_stringn(answer, answer_len));
        put(&choice, "message", message);
    } else {
        put(&choice, "text", json_stringn(answer, answer_len));
    }
    put(&choice, "logprobs", json_null());
    put(&choice, "finish_reason", json_string(finish));
    put(&root, "choices", list_of(choice));
    put(&root, "usage", usage);
    if (root && !reply_show(root, show, shown, shown_len)) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

/* In front of the text that is there. */
static bool think_before(json_t *holder, const char *key, const char *text, size_t len)
{
    const json_t *content = json_object_get(holder, key);
    buf b;
    size_t n = 0;
    char *joined = think(text, len, &n);
    buf_init(&b, LIMIT_NONE);
    if (joined)
        buf_add(&b, joined, n);
    if (json_is_string(content))
        buf_add(&b, json_string_value(content), json_string_length(content));
    bool ok = joined && b.status == S2A_OK &&
              json_object_set_new(holder, key, json_stringn(b.data, b.len)) == 0;
    free(joined);
    buf_free(&b);
    return ok;
}

bool reply_show(json_t *answer, chat_show show, const char *text, size_t len)
{
    json_t *choices = json_object_get(answer, "choices");
    bool ok = true;
    for (size_t i = 0; text && show != CHAT_SHOW_NONE && ok && i < json_array_size(choices); i++) {
        json_t *choice = json_array_get(choices, i);
        json_t *message = json_object_get(choice, "message");
        if (!json_is_object(message)) {
            if (show == CHAT_SHOW_THINK && json_is_string(json_object_get(choice, "text")))
                ok = think_before(choice, "text", text, len);
            continue;
        }
        if (show == CHAT_SHOW_THINK)
            ok = think_before(message, "content", text, len);
        if (show == CHAT_SHOW_REASONING_CONTENT || show == CHAT_SHOW_BOTH)
            ok = json_object_set_new(message, "reasoning_content", json_stringn(text, len)) == 0;
        if (ok && (show == CHAT_SHOW_REASONING || show == CHAT_SHOW_BOTH))
            ok = json_object_set_new(message, "reasoning", json_stringn(text, len)) == 0;
    }
    return ok;
}

/* ---- usage ------------------------------------------------------------------------------ */

json_t *reply_usage(const s2a_usage *step1, const s2a_usage *step2)
{
    uint64_t prompt = step1->prompt_tokens + step2->prompt_tokens;
    uint64_t completion = step1->completion_tokens + step2->completion_tokens;
    return json_pack("{s:I, s:I, s:I, s:{s:I}, s:{s:I}}", "prompt_tokens", (json_int_t)prompt,
                     "completion_tokens", (json_int_t)completion, "total_tokens",
                     (json_int_t)(prompt + completion), "prompt_tokens_details", "cached_tokens",
                     (json_int_t)(step1->cached_tokens + step2->cached_tokens),
                     "completion_tokens_details", "reasoning_tokens",
                     (json_int_t)step1->completion_tokens);
}

static json_int_t count_of(const json_t *object, const char *key)
{
    double value = json_number_value(json_object_get(object, key));
    return value > 0 && value < 1e15 ? (json_int_t)value : 0;
}

static bool count_add(json_t *object, const char *key, uint64_t more)
{
    return json_object_set_new(object, key,
                               json_integer(count_of(object, key) + (json_int_t)more)) == 0;
}

/* object[name][key] += more, where object[name] may be missing or null. */
static bool detail_add(json_t *object, const char *name, const char *key, uint64_t more)
{
    json_t *detail = json_object_get(object, name);
    if (!json_is_object(detail)) {
        detail = json_object();
        if (!detail || json_object_set_new(object, name, detail) != 0)
            return false;
    }
    return count_add(detail, key, more);
}

bool reply_usage_add(json_t *usage, const s2a_usage *step1)
{
    return count_add(usage, "prompt_tokens", step1->prompt_tokens) &&
           count_add(usage, "completion_tokens", step1->completion_tokens) &&
           count_add(usage, "total_tokens", step1->prompt_tokens + step1->completion_tokens) &&
           detail_add(usage, "prompt_tokens_details", "cached_tokens", step1->cached_tokens) &&
           detail_add(usage, "completion_tokens_details", "reasoning_tokens",
                      step1->completion_tokens);
}

void reply_usage_read(const json_t *usage, s2a_usage *out)
{
    const json_t *details = json_object_get(usage, "prompt_tokens_details");
    out->prompt_tokens = (uint64_t)count_of(usage, "prompt_tokens");
    out->completion_tokens = (uint64_t)count_of(usage, "completion_tokens");
    out->cached_tokens = (uint64_t)count_of(details, "cached_tokens");
}

/* ---- the s2a object --------------------------------------------------------------------- */

static json_t *ms_json(double ms)
{
    return ms >= 0 && isfinite(ms) ? json_integer((json_int_t)llround(ms)) : json_null();
}

static void append(json_t **list, json_t *value)
{
    if (!*list) {
        json_decref(value);
    } else if (json_array_append_new(*list, value) != 0) {
        json_decref(*list);
        *list = NULL;
    }
}

static void span_append(json_t **list, const chat_target *of, const char *text, s2a_span span)
{
    json_t *item = json_object();
    put(&item, "message", json_integer((json_int_t)of->index));
    put(&item, "start", json_integer((json_int_t)span.start));
    put(&item, "end", json_integer((json_int_t)span.end));
    put(&item, "text", json_stringn(text + span.start, span.end - span.start));
    append(list, item);
}

static json_t *removed_json(const step1_outcome *s, const chat_request *q)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->count && !s->fallback; i++) {
        const s2a_result *result = s->results[i];
        if (!result)
            continue;
        for (size_t k = 0; k < s2a_result_turn_count(result); k++) {
            s2a_turn turn = s2a_result_turn(result, k);
            for (size_t n = 0; n < turn.removed_count; n++)
                span_append(&list, &q->turns[turn.index], turn.input, turn.removed[n]);
        }
        for (size_t k = 0; k < s2a_result_removed_count(result); k++)
            span_append(&list, &q->targets[i], s2a_result_input(result, NULL),
                        s2a_result_removed(result, k));
    }
    return list;
}

static json_t *units_json(const s2a_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; result && i < s2a_result_unit_count(result); i++) {
        s2a_unit u = s2a_result_unit(result, i);
        json_t *item = json_object();
        put(&item, "start", json_integer((json_int_t)u.start));
        put(&item, "end", json_integer((json_int_t)u.end));
        put(&item, "kept", json_boolean(u.kept));
        put(&item, "label", name_json(u.label));
        put(&item, "score", u.has_score && isfinite(u.score) ? json_real(u.score) : json_null());
        append(&list, item);
    }
    return list;
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
        put(&root, texts[i].name, text_json(text, len));
    }
    double threshold = result ? s2a_result_threshold(result) : NAN;
    put(&root, "threshold", isfinite(threshold) ? json_real(threshold) : json_null());
    put(&root, "units", units_json(result));
    return root;
}

json_t *reply_s2a(const step1_outcome *s, const chat_request *q, double ms2, const s2a_usage *step2)
{
    json_t *root = json_object(), *ms = json_object(), *usage = json_object();
    put(&root, "mode", json_string(s2a_mode_name(s->mode)));
    put(&root, "preset", json_string(s2a_preset_name(s->preset)));
    put(&root, "fallback", name_json(s->fallback));
    if (s->fallback)
        put(&root, "fallback_detail", json_string(s->detail));
    put(&root, "removed", removed_json(s, q));
    put(&ms, "step1", ms_json(s->ms));
    put(&ms, "step2", ms_json(ms2));
    put(&root, "ms", ms);
    put(&usage, "step1", usage_json(&s->usage));
    bool known = step2 && step2->prompt_tokens + step2->completion_tokens > 0;
    put(&usage, "step2", known ? usage_json(step2) : json_null());
    put(&root, "usage", usage);
    return q->ask.explain ? explain_put(root, s) : root;
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
        put(&copy, "id", json_string(name.data));
    buf_free(&name);
    return copy;
}

bool reply_models_double(json_t *list, const char *prefix)
{
    json_t *data = json_object_get(list, "data");
    if (!json_is_array(data))
        return false;
    for (size_t i = 0; i < json_array_size(data); i += 2) {
        const json_t *entry = json_array_get(data, i);
        if (!json_is_string(json_object_get(entry, "id")))
            return false;
        if (json_array_insert_new(data, i + 1, with_prefix(entry, prefix)) != 0)
            return false;
    }
    return true;
}
