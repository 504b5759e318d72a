#include "serve/reply_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- errors ----------------------------------------------------------------------------- */

static const reply_shape *const shapes[] = {
    [CHAT_API_CHAT] = &reply_chat_shape,           [CHAT_API_COMPLETIONS] = &reply_chat_shape,
    [CHAT_API_RESPONSES] = &reply_responses_shape, [CHAT_API_MESSAGES] = &reply_messages_shape,
    [CHAT_API_RERANK] = &reply_chat_shape,
};

json_t *reply_error(reply *r, int status, const char *message, const char *code)
{
    return shapes[r->api]->error(r, status, message, code);
}

json_t *reply_error_event(reply *r, int status, const char *message, const char *code)
{
    return shapes[r->api]->error_event(r, status, message, code);
}

static const char *error_type(int status)
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
json_t *reply_openai_error(reply *r, int status, const char *message, const char *code)
{
    (void)r;
    json_t *error = json_object(), *root = json_object();
    tree_put(&error, "message", json_string(message));
    tree_put(&error, "type", json_string(error_type(status)));
    tree_put(&error, "param", json_null());
    tree_put(&error, "code", tree_name(code));
    tree_put(&root, "error", error);
    return root;
}

/* ---- responses -------------------------------------------------------------------------- */

json_t *reply_whole(const reply *r, const reply_answer *a)
{
    json_t *root = shapes[r->api]->whole(r, a);
    if (root && a->s2a)
        json_object_set(root, "s2a", a->s2a);
    return root;
}

bool reply_begin(reply *r, const json_t *request, buf *out)
{
    return shapes[r->api]->begin(r, request, out);
}

bool reply_text(reply *r, const char *text, size_t len, json_t *logprobs, buf *out)
{
    return shapes[r->api]->text(r, text, len, logprobs, out);
}

bool reply_end(reply *r, const reply_answer *a, buf *out)
{
    return shapes[r->api]->end(r, a, out);
}

bool reply_event(buf *out, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    const char *type = json_string_value(json_object_get(value, "type"));
    if (text && type) {
        buf_adds(out, "event: ");
        buf_adds(out, type);
        buf_adds(out, "\n");
    }
    json_decref(value);
    if (!text)
        return false;
    buf_adds(out, "data: ");
    buf_adds(out, text);
    buf_adds(out, "\n\n");
    free(text);
    return out->status == S2A_OK;
}

/* ---- upstream's events ------------------------------------------------------------------ */

bool reply_names_events(chat_api api)
{
    return shapes[api]->see != NULL;
}

reply_seen reply_see(reply *r, json_t *root, const s2a_usage *step1, s2a_usage *usage)
{
    return shapes[r->api]->see(r, root, step1, usage);
}

bool reply_see_last(json_t *root, json_t *s2a)
{
    json_t *response = json_object_get(root, "response");
    return json_object_set(root, "s2a", s2a) == 0 &&
           (!json_is_object(response) || json_object_set(response, "s2a", s2a) == 0);
}

/* ---- usage ------------------------------------------------------------------------------ */

json_t *reply_usage(const reply *r, const s2a_usage *step1, const s2a_usage *step2)
{
    const reply_usage_names *n = &shapes[r->api]->usage;
    uint64_t prompt = step2->prompt_tokens - (n->apart ? step2->cached_tokens : 0);
    json_t *usage = json_object();
    tree_put(&usage, n->prompt, json_integer((json_int_t)prompt));
    tree_put(&usage, n->completion, json_integer((json_int_t)step2->completion_tokens));
    if (n->total)
        tree_put(&usage, n->total,
                 json_integer((json_int_t)(step2->prompt_tokens + step2->completion_tokens)));
    json_t *cached = json_integer((json_int_t)step2->cached_tokens);
    if (n->prompt_details)
        cached = json_pack("{s:o}", n->cached, cached);
    tree_put(&usage, n->prompt_details ? n->prompt_details : n->cached, cached);
    if (usage && !reply_usage_add(r, usage, step1)) {
        json_decref(usage);
        usage = NULL;
    }
    return usage;
}

static json_int_t count_of(const json_t *object, const char *key)
{
    double value = json_number_value(json_object_get(object, key));
    return value > 0 && value < 1e15 ? (json_int_t)value : 0;
}

bool reply_count_add(json_t *object, const char *key, uint64_t more)
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
    return reply_count_add(detail, key, more);
}

bool reply_usage_add(const reply *r, json_t *usage, const s2a_usage *step1)
{
    const reply_usage_names *n = &shapes[r->api]->usage;
    uint64_t prompt = step1->prompt_tokens - (n->apart ? step1->cached_tokens : 0);
    bool ok = reply_count_add(usage, n->prompt, prompt) &&
              reply_count_add(usage, n->completion, step1->completion_tokens);
    if (ok && n->total)
        ok = reply_count_add(usage, n->total, step1->prompt_tokens + step1->completion_tokens);
    if (ok)
        ok = n->prompt_details
                 ? detail_add(usage, n->prompt_details, n->cached, step1->cached_tokens)
                 : reply_count_add(usage, n->cached, step1->cached_tokens);
    return ok && n->completion_details
               ? detail_add(usage, n->completion_details, n->reasoning, step1->completion_tokens)
               : ok;
}

void reply_usage_read(const reply *r, const json_t *usage, s2a_usage *out)
{
    const reply_usage_names *n = &shapes[r->api]->usage;
    const json_t *details = n->prompt_details ? json_object_get(usage, n->prompt_details) : usage;
    uint64_t cached = (uint64_t)count_of(details, n->cached);
    if (json_object_get(usage, n->prompt)) {
        out->cached_tokens = cached;
        out->prompt_tokens = (uint64_t)count_of(usage, n->prompt) + (n->apart ? cached : 0);
    }
    out->completion_tokens = (uint64_t)count_of(usage, n->completion);
}
