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
    tree_put(&inner, "type", json_string(type_of(status)));
    tree_put(&inner, "message", json_string(message));
    tree_put(&root, "type", json_string("error"));
    tree_put(&root, "error", inner);
    return root;
}

static const char *stop_of(const reply_choice *c)
{
    return c->cut ? "max_tokens" : c->calls ? "tool_use" : c->stop ? "stop_sequence" : "end_turn";
}

/* c NULL: the answer has just begun. */
static json_t *message(const reply *r, json_t *content, const reply_choice *c, json_t *usage)
{
    json_t *root = json_object();
    tree_put(&root, "id", json_string(r->id));
    tree_put(&root, "type", json_string("message"));
    tree_put(&root, "role", json_string("assistant"));
    tree_put(&root, "model", json_string(r->model));
    tree_put(&root, "content", content);
    tree_put(&root, "stop_reason", tree_name(c ? stop_of(c) : NULL));
    tree_put(&root, "stop_sequence", tree_name(c ? c->stop : NULL));
    tree_put(&root, "usage", usage);
    return root;
}

/* A tool call as a block. empty: a delta will have the input. */
static json_t *tool_use(const json_t *call, bool empty)
{
    const json_t *function = json_object_get(call, "function");
    const char *arguments = json_string_value(json_object_get(function, "arguments"));
    json_t *input = empty || !arguments ? NULL : json_loads(arguments, JSON_ALLOW_NUL, NULL);
    json_t *root = json_object();
    tree_put(&root, "type", json_string("tool_use"));
    tree_put(&root, "id", json_incref(json_object_get(call, "id")));
    tree_put(&root, "name", json_incref(json_object_get(function, "name")));
    tree_put(&root, "input", input ? input : json_object());
    return root;
}

static json_t *whole(const reply *r, const reply_answer *a)
{
    const reply_choice *c = &a->choices[0];
    json_t *content = json_array();
    if (c->len > 0 || !c->calls) {
        json_t *part = json_object();
        tree_put(&part, "type", json_string("text"));
        tree_put(&part, "text", json_stringn(c->text, c->len));
        tree_append(&content, part);
    }
    for (size_t i = 0; i < json_array_size(c->calls); i++)
        tree_append(&content, tool_use(json_array_get(c->calls, i), false));
    return message(r, content, c, reply_usage(r, a->step1, a->step2));
}

/* The prompt's tokens are not known yet: message_delta has them. */
static bool begin(reply *r, const json_t *request, buf *out)
{
    (void)request;
    static const s2a_usage none;
    json_t *start = json_object();
    tree_put(&start, "type", json_string("message_start"));
    tree_put(&start, "message", message(r, json_array(), NULL, reply_usage(r, &none, &none)));
    return reply_event(out, start);
}

static bool block_start(size_t index, json_t *block, buf *out)
{
    json_t *root = json_object();
    tree_put(&root, "type", json_string("content_block_start"));
    tree_put(&root, "index", json_integer((json_int_t)index));
    tree_put(&root, "content_block", block);
    return reply_event(out, root);
}

static bool block_delta(size_t index, const char *type, const char *key, json_t *value, buf *out)
{
    json_t *delta = json_object(), *root = json_object();
    tree_put(&delta, "type", json_string(type));
    tree_put(&delta, key, value);
    tree_put(&root, "type", json_string("content_block_delta"));
    tree_put(&root, "index", json_integer((json_int_t)index));
    tree_put(&root, "delta", delta);
    return reply_event(out, root);
}

static bool block_stop(size_t index, buf *out)
{
    return reply_event(
        out, json_pack("{s:s, s:I}", "type", "content_block_stop", "index", (json_int_t)index));
}

static bool text_open(reply *r, buf *out)
{
    bool ok = r->open || block_start(0, json_pack("{s:s, s:s}", "type", "text", "text", ""), out);
    r->open = true;
    return ok;
}

static bool text(reply *r, const char *text, size_t len, json_t *logprobs, buf *out)
{
    (void)logprobs;
    return text_open(r, out) && block_delta(0, "text_delta", "text", json_stringn(text, len), out);
}

static bool calls_add(const reply *r, const reply_choice *c, buf *out)
{
    for (size_t i = 0; i < json_array_size(c->calls); i++) {
        const json_t *call = json_array_get(c->calls, i);
        json_t *arguments = json_object_get(json_object_get(call, "function"), "arguments");
        size_t index = i + r->open;
        if (!block_start(index, tool_use(call, true), out) ||
            !block_delta(index, "input_json_delta", "partial_json", json_incref(arguments), out) ||
            !block_stop(index, out))
            return false;
    }
    return true;
}

static bool end(reply *r, const reply_answer *a, buf *out)
{
    const reply_choice *c = &a->choices[0];
    if ((!c->calls && !text_open(r, out)) || (r->open && !block_stop(0, out)) ||
        !calls_add(r, c, out))
        return false;
    json_t *delta = json_object(), *root = json_object(), *last = json_object();
    tree_put(&delta, "stop_reason", json_string(stop_of(c)));
    tree_put(&delta, "stop_sequence", tree_name(c->stop));
    tree_put(&root, "type", json_string("message_delta"));
    tree_put(&root, "delta", delta);
    tree_put(&root, "usage", reply_usage(r, a->step1, a->step2));
    tree_put(&last, "type", json_string("message_stop"));
    if (a->s2a)
        tree_put(&last, "s2a", json_incref(a->s2a));
    if (reply_event(out, root))
        return reply_event(out, last);
    json_decref(last);
    return false;
}

/* Adds to a count, if it exists. */
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
