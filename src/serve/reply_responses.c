/* Responses of /v1/responses (OpenAI). */
#include "serve/reply_internal.h"

#include <string.h>

/* Both shapes: the documented one, and the object "error" that OpenAI's server sends. OpenAI's SDKs
 * raise an exception for the second one only. */
static json_t *error_event(reply *r, int status, const char *message, const char *code)
{
    json_t *root = json_object(), *body = reply_openai_error(r, status, message, code);
    tree_put(&root, "type", json_string("error"));
    tree_put(&root, "sequence_number", json_integer(r->sequence++));
    tree_put(&root, "code", tree_name(code));
    tree_put(&root, "message", json_string(message));
    tree_put(&root, "param", json_null());
    tree_put(&root, "error", json_incref(json_object_get(body, "error")));
    json_decref(body);
    return root;
}

/* ---- the response object ---------------------------------------------------------------- */

/* The request's fields that the response repeats. otherwise: the default, as JSON. */
static const struct {
    const char *name, *otherwise;
} echoes[] = {
    { "instructions", "null" },
    { "max_output_tokens", "null" },
    { "metadata", "{}" },
    { "parallel_tool_calls", "true" },
    { "previous_response_id", "null" },
    { "reasoning", "{\"effort\":null,\"summary\":null}" },
    { "temperature", "null" },
    { "text", "{\"format\":{\"type\":\"text\"}}" },
    { "tool_choice", "\"auto\"" },
    { "tools", "[]" },
    { "top_p", "null" },
    { "truncation", "\"disabled\"" },
    { "user", "null" },
};

static json_t *response(const reply *r, const json_t *request, const char *status, json_t *output,
                        json_t *usage)
{
    json_t *root = json_object();
    tree_put(&root, "id", json_string(r->id));
    tree_put(&root, "object", json_string("response"));
    tree_put(&root, "created_at", json_integer(r->created));
    tree_put(&root, "status", json_string(status));
    tree_put(&root, "error", json_null());
    tree_put(&root, "incomplete_details",
             !strcmp(status, "incomplete") ? json_pack("{s:s}", "reason", "max_output_tokens")
                                           : json_null());
    tree_put(&root, "model", json_string(r->model));
    for (size_t i = 0; i < sizeof echoes / sizeof echoes[0]; i++) {
        json_t *value = json_object_get(request, echoes[i].name);
        value = value ? json_incref(value) : json_loads(echoes[i].otherwise, JSON_DECODE_ANY, NULL);
        tree_put(&root, echoes[i].name, value);
    }
    tree_put(&root, "store", json_false());
    tree_put(&root, "output", output);
    tree_put(&root, "usage", usage);
    return root;
}

static json_t *part(const char *text, size_t len)
{
    json_t *root = json_object();
    tree_put(&root, "type", json_string("output_text"));
    tree_put(&root, "text", json_stringn(text, len));
    tree_put(&root, "annotations", json_array());
    tree_put(&root, "logprobs", json_array());
    return root;
}

/* The id of the message in output: the response's id with another prefix. */
static json_t *item_id(const reply *r)
{
    const char *rest = strchr(r->id, '_');
    return json_sprintf("msg_%s", rest ? rest + 1 : r->id);
}

static json_t *item(const reply *r, const char *status, json_t *content)
{
    json_t *root = json_object();
    tree_put(&root, "id", item_id(r));
    tree_put(&root, "type", json_string("message"));
    tree_put(&root, "status", json_string(status));
    tree_put(&root, "role", json_string("assistant"));
    tree_put(&root, "content", content);
    return root;
}

static const char *status_of(const reply_choice *c)
{
    return c->cut ? "incomplete" : "completed";
}

/* A function call as an item. begun: its arguments follow in other events. */
static json_t *call_item(const reply *r, const json_t *call, size_t index, bool begun)
{
    const json_t *function = json_object_get(call, "function");
    const char *rest = strchr(r->id, '_');
    json_t *root = json_object();
    tree_put(&root, "id", json_sprintf("fc_%s_%d", rest ? rest + 1 : r->id, (int)index));
    tree_put(&root, "type", json_string("function_call"));
    tree_put(&root, "status", json_string(begun ? "in_progress" : "completed"));
    tree_put(&root, "call_id", json_incref(json_object_get(call, "id")));
    tree_put(&root, "name", json_incref(json_object_get(function, "name")));
    tree_put(&root, "arguments",
             begun ? json_string("") : json_incref(json_object_get(function, "arguments")));
    return root;
}

static json_t *whole(const reply *r, const reply_answer *a)
{
    const reply_choice *c = &a->choices[0];
    json_t *output = json_array();
    if (c->len > 0 || !c->calls)
        tree_append(&output, item(r, status_of(c), tree_list_of(part(c->text, c->len))));
    for (size_t i = 0; i < json_array_size(c->calls); i++)
        tree_append(&output, call_item(r, json_array_get(c->calls, i), i, false));
    return response(r, a->request, status_of(c), output, reply_usage(r, a->step1, a->step2));
}

/* ---- our own stream --------------------------------------------------------------------- */

static json_t *event(reply *r, const char *type)
{
    json_t *root = json_object();
    tree_put(&root, "type", json_string(type));
    tree_put(&root, "sequence_number", json_integer(r->sequence++));
    return root;
}

/* An event of the message item. */
static json_t *item_event(reply *r, const char *type)
{
    json_t *root = event(r, type);
    tree_put(&root, "item_id", item_id(r));
    tree_put(&root, "output_index", json_integer(0));
    tree_put(&root, "content_index", json_integer(0));
    return root;
}

/* Sends an event with an item of the output. */
static bool output_event(reply *r, const char *type, size_t index, json_t *item, buf *out)
{
    json_t *root = event(r, type);
    tree_put(&root, "output_index", json_integer((json_int_t)index));
    tree_put(&root, "item", item);
    return reply_event(out, root);
}

static bool begin(reply *r, const json_t *request, buf *out)
{
    static const char *const types[] = { "response.created", "response.in_progress" };
    for (size_t i = 0; i < 2; i++) {
        json_t *root = event(r, types[i]);
        tree_put(&root, "response", response(r, request, "in_progress", json_array(), json_null()));
        if (!reply_event(out, root))
            return false;
    }
    return true;
}

static bool text_open(reply *r, buf *out)
{
    if (r->open)
        return true;
    r->open = true;
    if (!output_event(r, "response.output_item.added", 0, item(r, "in_progress", json_array()),
                      out))
        return false;
    json_t *content = item_event(r, "response.content_part.added");
    tree_put(&content, "part", part("", 0));
    return reply_event(out, content);
}

static bool text(reply *r, const char *text, size_t len, json_t *logprobs, buf *out)
{
    (void)logprobs;
    if (!text_open(r, out))
        return false;
    json_t *root = item_event(r, "response.output_text.delta");
    tree_put(&root, "delta", json_stringn(text, len));
    tree_put(&root, "logprobs", json_array());
    return reply_event(out, root);
}

static bool text_close(reply *r, const reply_choice *c, buf *out)
{
    json_t *done = item_event(r, "response.output_text.done");
    tree_put(&done, "text", json_stringn(c->text, c->len));
    tree_put(&done, "logprobs", json_array());
    if (!reply_event(out, done))
        return false;
    done = item_event(r, "response.content_part.done");
    tree_put(&done, "part", part(c->text, c->len));
    return reply_event(out, done) &&
           output_event(r, "response.output_item.done", 0,
                        item(r, status_of(c), tree_list_of(part(c->text, c->len))), out);
}

static bool call_add(reply *r, const json_t *call, size_t i, buf *out)
{
    static const char *const types[] = { "response.function_call_arguments.delta",
                                         "response.function_call_arguments.done" };
    static const char *const keys[] = { "delta", "arguments" };
    const json_t *function = json_object_get(call, "function");
    size_t index = i + r->open;
    if (!output_event(r, "response.output_item.added", index, call_item(r, call, i, true), out))
        return false;
    for (size_t k = 0; k < 2; k++) {
        json_t *root = event(r, types[k]), *done = call_item(r, call, i, false);
        tree_put(&root, "item_id", json_incref(json_object_get(done, "id")));
        json_decref(done);
        tree_put(&root, "output_index", json_integer((json_int_t)index));
        tree_put(&root, keys[k], json_incref(json_object_get(function, "arguments")));
        if (!reply_event(out, root))
            return false;
    }
    return output_event(r, "response.output_item.done", index, call_item(r, call, i, false), out);
}

static bool end(reply *r, const reply_answer *a, buf *out)
{
    const reply_choice *c = &a->choices[0];
    if ((!c->calls && !text_open(r, out)) || (r->open && !text_close(r, c, out)))
        return false;
    for (size_t i = 0; i < json_array_size(c->calls); i++)
        if (!call_add(r, json_array_get(c->calls, i), i, out))
            return false;
    json_t *done = event(r, c->cut ? "response.incomplete" : "response.completed");
    tree_put(&done, "response", whole(r, a));
    if (done && a->s2a && !reply_see_last(done, a->s2a)) {
        json_decref(done);
        done = NULL;
    }
    return reply_event(out, done);
}

/* ---- upstream's stream ------------------------------------------------------------------ */

static reply_seen see(reply *r, json_t *root, const s2a_usage *step1, s2a_usage *usage)
{
    const char *type = json_string_value(json_object_get(root, "type"));
    const json_t *number = json_object_get(root, "sequence_number");
    if (json_is_integer(number))
        r->sequence = json_integer_value(number) + 1;
    if (!type)
        return REPLY_SEEN_OTHER;
    if (!strcmp(type, "error") || !strcmp(type, "response.failed"))
        return REPLY_SEEN_FAILED;
    if (strcmp(type, "response.completed") != 0 && strcmp(type, "response.incomplete") != 0)
        return REPLY_SEEN_OTHER;
    json_t *counts = json_object_get(json_object_get(root, "response"), "usage");
    if (!json_is_object(counts))
        return REPLY_SEEN_LAST;
    reply_usage_read(r, counts, usage);
    return reply_usage_add(r, counts, step1) ? REPLY_SEEN_LAST : REPLY_SEEN_NOMEM;
}

const reply_shape reply_responses_shape = {
    .error = reply_openai_error,
    .error_event = error_event,
    .whole = whole,
    .begin = begin,
    .text = text,
    .end = end,
    .see = see,
    .usage = { .prompt = "input_tokens",
               .completion = "output_tokens",
               .total = "total_tokens",
               .prompt_details = "input_tokens_details",
               .cached = "cached_tokens",
               .completion_details = "output_tokens_details",
               .reasoning = "reasoning_tokens" },
};
