/* Responses of /v1/messages (Anthropic). */
#include "serve/reply_internal.h"

#include <string.h>

static const char *type_of(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 503:
        return "overloaded_error";
    case 504:
        return "timeout_error";
    default:
        return status < 500 ? "invalid_request_error" : "api_error";
    }
}

static json_t *error(reply *r, int status, const char *message, const char *code)
{
    (void)r;
    (void)code;
    json_t *root = json_object(), *inner = json_object();
    reply_put(&inner, "type", json_string(type_of(status)));
    reply_put(&inner, "message", json_string(message));
    reply_put(&root, "type", json_string("error"));
    reply_put(&root, "error", inner);
    return root;
}

static json_t *message(const reply *r, json_t *content, const char *stop, json_t *usage)
{
    json_t *root = json_object();
    reply_put(&root, "id", json_string(r->id));
    reply_put(&root, "type", json_string("message"));
    reply_put(&root, "role", json_string("assistant"));
    reply_put(&root, "model", json_string(r->model));
    reply_put(&root, "content", content);
    reply_put(&root, "stop_reason", reply_name_json(stop));
    reply_put(&root, "stop_sequence", json_null());
    reply_put(&root, "usage", usage);
    return root;
}

static const char *stop_of(const reply_answer *a)
{
    return a->cut ? "max_tokens" : "end_turn";
}

static json_t *whole(const reply *r, const reply_answer *a)
{
    json_t *part = json_object();
    reply_put(&part, "type", json_string("text"));
    reply_put(&part, "text", json_stringn(a->text, a->len));
    return message(r, reply_list_of(part), stop_of(a), reply_usage(r, a->step1, a->step2));
}

/* The tokens of the prompt are not known yet: the last events have them. */
static bool begin(reply *r, const json_t *request, buf *out)
{
    (void)request;
    static const s2a_usage none;
    json_t *start = json_object();
    reply_put(&start, "type", json_string("message_start"));
    reply_put(&start, "message", message(r, json_array(), NULL, reply_usage(r, &none, &none)));
    return reply_event(out, start) &&
           reply_event(out, json_pack("{s:s, s:i, s:{s:s, s:s}}", "type", "content_block_start",
                                      "index", 0, "content_block", "type", "text", "text", ""));
}

static bool text(reply *r, const char *text, size_t len, buf *out)
{
    (void)r;
    json_t *delta = json_object(), *root = json_object();
    reply_put(&delta, "type", json_string("text_delta"));
    reply_put(&delta, "text", json_stringn(text, len));
    reply_put(&root, "type", json_string("content_block_delta"));
    reply_put(&root, "index", json_integer(0));
    reply_put(&root, "delta", delta);
    return reply_event(out, root);
}

static bool end(reply *r, const reply_answer *a, buf *out)
{
    json_t *last = json_pack("{s:s}", "type", "message_stop");
    if (a->s2a)
        reply_put(&last, "s2a", json_incref(a->s2a));
    bool ok = reply_event(out, json_pack("{s:s, s:i}", "type", "content_block_stop", "index", 0)) &&
              reply_event(out, json_pack("{s:s, s:{s:s, s:n}, s:o}", "type", "message_delta",
                                         "delta", "stop_reason", stop_of(a), "stop_sequence",
                                         "usage", reply_usage(r, a->step1, a->step2)));
    if (ok)
        return reply_event(out, last);
    json_decref(last);
    return false;
}

/* Adds to a count that is there. */
static bool add(json_t *usage, const char *key, uint64_t more)
{
    return !json_object_get(usage, key) || reply_count_add(usage, key, more);
}

static reply_seen see(reply *r, json_t *root, const s2a_usage *step1, s2a_usage *usage)
{
    const char *type = json_string_value(json_object_get(root, "type"));
    bool start = type && !strcmp(type, "message_start");
    if (!start && (!type || strcmp(type, "message_delta") != 0))
        return !type                           ? REPLY_SEEN_OTHER
               : !strcmp(type, "error")        ? REPLY_SEEN_FAILED
               : !strcmp(type, "message_stop") ? REPLY_SEEN_LAST
                                               : REPLY_SEEN_OTHER;
    json_t *counts = json_object_get(start ? json_object_get(root, "message") : root, "usage");
    if (!json_is_object(counts))
        return REPLY_SEEN_OTHER;
    reply_usage_read(r, counts, usage);
    bool ok = add(counts, "input_tokens", step1->prompt_tokens - step1->cached_tokens) &&
              add(counts, "cache_read_input_tokens", step1->cached_tokens) &&
              (start || add(counts, "output_tokens", step1->completion_tokens));
    return ok ? REPLY_SEEN_CHANGED : REPLY_SEEN_NOMEM;
}

const reply_shape reply_messages_shape = {
    .error = error,
    .error_event = error,
    .whole = whole,
    .begin = begin,
    .text = text,
    .end = end,
    .see = see,
    .usage = { .prompt = "input_tokens",
               .completion = "output_tokens",
               .cached = "cache_read_input_tokens",
               .apart = true },
};
