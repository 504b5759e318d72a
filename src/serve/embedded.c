/* Requests that the engine of this process answers. What it cannot do is refused by name: nothing
 * that changes an answer is passed over in silence. */
#include "base/limits.h"
#include "base/utf8.h"
#include "serve/txn.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what can be asked for -------------------------------------------------------------- */

typedef enum rule {
    ANY,      /* it has no influence on the answer, or is read elsewhere */
    NO_FALSE, /* only false */
    ZERO,     /* only 0 */
    ONE,      /* only 1 */
    OFF,      /* only 0 and -1 */
    EMPTY,    /* only an empty list, object or text */
    TEXT,     /* only {"type":"text"} */
    NONE,     /* "none" or "auto" */
} rule;

static const struct {
    const char *name;
    rule rule;
} fields[] = {
    { "model", ANY },
    { "messages", ANY },
    { "prompt", ANY },
    { "stream", ANY },
    { "stream_options", ANY },
    { "temperature", ANY },
    { "top_p", ANY },
    { "seed", ANY },
    { "max_tokens", ANY },
    { "user", ANY },
    { "metadata", ANY },
    { "service_tier", ANY },
    { "store", ANY },
    { "safety_identifier", ANY },
    { "prompt_cache_key", ANY },
    { "reasoning_effort", ANY },
    { "verbosity", ANY },
    { "parallel_tool_calls", ANY },
    { "max_completion_tokens", ANY },
    { "n", ONE },
    { "best_of", ONE },
    { "frequency_penalty", ZERO },
    { "presence_penalty", ZERO },
    { "top_logprobs", ZERO },
    { "logprobs", NO_FALSE },
    { "echo", NO_FALSE },
    { "logit_bias", EMPTY },
    { "stop", EMPTY },
    { "tools", EMPTY },
    { "functions", EMPTY },
    { "suffix", EMPTY },
    { "tool_choice", NONE },
    { "function_call", NONE },
    { "response_format", TEXT },
    { "top_k", OFF },
    { "min_p", ZERO },
};

static bool empty(const json_t *v)
{
    return (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0) ||
           (json_is_string(v) && json_string_length(v) == 0);
}

static bool allowed(rule r, const json_t *v)
{
    const char *text = json_string_value(v);
    if (json_is_null(v))
        return true;
    switch (r) {
    case ANY:
        return true;
    case NO_FALSE:
        return json_is_false(v);
    case ZERO:
        return json_is_number(v) && !(json_number_value(v) > 0) && !(json_number_value(v) < 0);
    case ONE:
        return json_is_integer(v) && json_integer_value(v) == 1;
    case OFF:
        return json_is_integer(v) && (json_integer_value(v) == 0 || json_integer_value(v) == -1);
    case EMPTY:
        return empty(v);
    case TEXT: {
        const char *type = json_string_value(json_object_get(v, "type"));
        return type && !strcmp(type, "text");
    }
    case NONE:
        return text && (!strcmp(text, "none") || !strcmp(text, "auto"));
    }
    return false;
}

static s2a_status field_check(const char *name, const json_t *value, s2a_error *err)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (!strcmp(fields[i].name, name) && allowed(fields[i].rule, value))
            return S2A_OK;
    return error_set(err, S2A_INPUT,
                     "%.60s: not supported by the embedded model; leave it out, or put s2a in "
                     "front of a server that has it with --upstream",
                     name);
}

static s2a_status content_check(const json_t *content, size_t index, s2a_error *err)
{
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const char *type = json_string_value(json_object_get(part, "type"));
        if (!type || strcmp(type, "text") != 0 || !json_is_string(json_object_get(part, "text")))
            return error_set(err, S2A_INPUT,
                             "messages[%zu].content[%zu]: the embedded model reads parts of type "
                             "text only",
                             index, i);
    }
    if (!json_is_string(content) && !json_is_array(content))
        return error_set(err, S2A_INPUT,
                         "messages[%zu].content: must be a string or an array of text parts",
                         index);
    return S2A_OK;
}

static s2a_status messages_check(const json_t *messages, s2a_error *err)
{
    size_t count = json_array_size(messages);
    if (count == 0)
        return error_set(err, S2A_INPUT, "messages: must be an array with a message in it");
    for (size_t i = 0; i < count; i++) {
        const json_t *message = json_array_get(messages, i), *calls;
        const char *role = json_string_value(json_object_get(message, "role"));
        if (!role)
            return error_set(err, S2A_INPUT, "messages[%zu]: must be an object with a role", i);
        calls = json_object_get(message, "tool_calls");
        if (calls && !json_is_null(calls) && !empty(calls))
            return error_set(err, S2A_INPUT,
                             "messages[%zu].tool_calls: not supported by the embedded model", i);
        const json_t *content = json_object_get(message, "content");
        /* What clients write for a message of their own that only called tools. */
        bool none = (!content || json_is_null(content)) && !strcmp(role, "assistant");
        s2a_status status = none ? S2A_OK : content_check(content, i, err);
        if (status != S2A_OK)
            return status;
        if (i + 1 == count && strcmp(role, "user") != 0)
            return error_set(err, S2A_INPUT, "messages: the last one must be the user's");
    }
    return S2A_OK;
}

s2a_status embedded_check(const chat_request *q, const char *model, s2a_error *err)
{
    const char *asked = chat_model(q), *name;
    json_t *value;
    if (*asked && strcmp(asked, model) != 0 && strcmp(asked, "default") != 0)
        return error_set(err, S2A_MODEL,
                         "model: \"%.*s\" is not here; use \"%.200s\", with the prefix for S2A",
                         (int)utf8_cut(asked, 100), asked, model);
    json_object_foreach(q->root, name, value)
    {
        s2a_status status = field_check(name, value, err);
        if (status != S2A_OK)
            return status;
    }
    if (q->chat)
        return messages_check(json_object_get(q->root, "messages"), err);
    const json_t *prompt = json_object_get(q->root, "prompt");
    bool text = json_is_string(prompt) || (json_is_array(prompt) && json_array_size(prompt) == 1 &&
                                           json_is_string(json_array_get(prompt, 0)));
    return text ? S2A_OK
                : error_set(err, S2A_INPUT, "prompt: the embedded model takes one text at a time");
}

/* ---- the request ------------------------------------------------------------------------ */

static s2a_status message_add(s2a_request *r, const json_t *message, s2a_error *err)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    const json_t *content = json_object_get(message, "content");
    if (!json_is_array(content) && !json_is_string(content))
        return s2a_request_add_message(r, role, "", 0, err);
    if (json_is_string(content))
        return s2a_request_add_message(r, role, json_string_value(content),
                                       json_string_length(content), err);
    buf text;
    buf_init(&text, LIMIT_NONE);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *t = json_object_get(json_array_get(content, i), "text");
        if (i > 0)
            buf_adds(&text, "\n");
        buf_add(&text, json_string_value(t), json_string_length(t));
    }
    buf_add(&text, "", 0);
    s2a_status status = text.status == S2A_OK
                            ? s2a_request_add_message(r, role, text.data, text.len, err)
                            : error_nomem(err);
    buf_free(&text);
    return status;
}

static s2a_status prompt_set(s2a_request *r, const chat_request *q, s2a_error *err)
{
    const json_t *prompt = json_object_get(q->root, "prompt");
    if (!q->chat) {
        if (json_is_array(prompt))
            prompt = json_array_get(prompt, 0);
        return s2a_request_set_text(r, json_string_value(prompt), json_string_length(prompt), err);
    }
    const json_t *messages = json_object_get(q->root, "messages");
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < json_array_size(messages) && status == S2A_OK; i++)
        status = message_add(r, json_array_get(messages, i), err);
    return status;
}

/* A number of the request, or what the server has. */
static s2a_status number(const json_t *root, const char *name, double low, double high,
                         double otherwise, double *out, s2a_error *err)
{
    const json_t *value = json_object_get(root, name);
    *out = otherwise;
    if (!value || json_is_null(value))
        return S2A_OK;
    *out = json_number_value(value);
    if (!json_is_number(value) || !(*out >= low && *out <= high))
        return error_set(err, S2A_INPUT, "%s: must be a number from %g to %g", name, low, high);
    return S2A_OK;
}

/* -1: as many as fit, as llama.cpp's clients write it. */
static s2a_status tokens_read(const json_t *root, const char *name, double otherwise, double *out,
                              s2a_error *err)
{
    const double most = 16777216;
    const json_t *value = json_object_get(root, name);
    if (!json_is_integer(value) || json_integer_value(value) != -1)
        return number(root, name, 1, most, otherwise, out, err);
    *out = most;
    return S2A_OK;
}

static s2a_status sampling_set(s2a_request *r, const txn *t, s2a_error *err)
{
    const json_t *root = t->q.root;
    const serve_options *o = &t->s->o;
    double temperature, top_p, seed, tokens = 0;
    s2a_status status = number(root, "temperature", 0, 5, o->temperature, &temperature, err);
    if (status == S2A_OK)
        status = number(root, "top_p", 0, 1, o->top_p, &top_p, err);
    if (status == S2A_OK)
        status = number(root, "seed", -9e15, 9e15, o->seed, &seed, err);
    if (status == S2A_OK)
        status = tokens_read(root, "max_tokens", o->max_tokens, &tokens, err);
    if (status == S2A_OK)
        status = tokens_read(root, "max_completion_tokens", tokens, &tokens, err);
    if (status != S2A_OK)
        return status;
    s2a_request_set_max_tokens(r, (uint32_t)tokens);
    return s2a_request_set_sampling(r, temperature, top_p > 0 ? top_p : 1e-6,
                                    (uint32_t)(uint64_t)(int64_t)seed, err);
}

/* ---- the answer ------------------------------------------------------------------------- */

static int on_token(void *ctx, int step, const char *text, size_t len)
{
    txn *t = ctx;
    if (step == 2 && t->streaming && len > 0) {
        json_t *delta = t->q.chat ? reply_delta_content(text, len) : NULL;
        char *copy = t->q.chat ? NULL : strndup(text, len);
        txn_event(t, reply_chunk(&t->reply, delta, copy, NULL));
        free(copy);
    }
    return atomic_load(&t->gone);
}

/* The s2a object goes into the last chunk, which is the usage's where that was asked for. */
static void stream_finish(txn *t, const char *finish, json_t *object)
{
    json_t *end = reply_chunk(&t->reply, NULL, NULL, finish), *last = end;
    if (t->q.include_usage) {
        txn_event(t, end);
        last = reply_usage_chunk(&t->reply, reply_usage(&t->step1.outcome.usage, &t->relay.usage));
    }
    if (object && last)
        json_object_set(last, "s2a", object);
    txn_event(t, last);
    http_call_write(t->call, "data: [DONE]\n\n", 14);
    http_call_end(t->call, true);
}

static void whole_finish(txn *t, const s2a_result *result, const char *finish, json_t *object)
{
    size_t len = 0, shown_len = 0;
    const char *answer = s2a_result_answer(result, &len);
    const char *shown = t->q.wanted ? serve_step1_rewritten(&t->step1.outcome, &shown_len) : NULL;
    json_t *usage = reply_usage(&t->step1.outcome.usage, &t->relay.usage);
    json_t *root = reply_whole(&t->reply, t->q.ask.show, shown, shown_len, answer ? answer : "",
                               len, finish, usage);
    if (root && object)
        json_object_set(root, "s2a", object);
    txn_json(t, 200, root, t->step1.outcome.fallback);
}

static int status_of(s2a_status status)
{
    switch (status) {
    case S2A_ARGUMENT:
    case S2A_INPUT:
    case S2A_LIMIT:
        return 400;
    case S2A_TIMEOUT:
        return 504;
    default:
        return 500;
    }
}

void embedded_answer(txn *t)
{
    s2a_error err = { .status = S2A_OK };
    s2a_result *result = NULL;
    s2a_request *r = s2a_request_new();
    s2a_status status = r ? prompt_set(r, &t->q, &err) : error_nomem(&err);
    if (status == S2A_OK)
        status = sampling_set(r, t, &err);
    if (status == S2A_OK) {
        s2a_request_set_preset(r, S2A_PRESET_PLAIN);
        s2a_request_set_cancel(r, t->relay.cancel);
        s2a_request_set_on_token(r, on_token, t);
        status = s2a_answer(t->s->o.engine, r, &result, &err);
    }
    s2a_request_free(r);
    if (status == S2A_CANCELLED) {
        http_call_end(t->call, false);
    } else if (status != S2A_OK) {
        txn_fail(t, status_of(status), err.message,
                 status == S2A_LIMIT ? "context_length_exceeded" : NULL);
    } else {
        const char *finish = s2a_result_answer_cut(result) ? "length" : "stop";
        t->relay.usage = s2a_result_usage(result, 2);
        t->relay.ms = t->relay.usage.ms;
        json_t *object =
            t->q.wanted ? reply_s2a(&t->step1.outcome, &t->q, t->relay.ms, &t->relay.usage) : NULL;
        if (t->streaming)
            stream_finish(t, finish, object);
        else
            whole_finish(t, result, finish, object);
        json_decref(object);
    }
    s2a_result_free(result);
}

void embedded_models(txn *t)
{
    const char *model = t->s->o.model;
    json_t *list = json_pack("{s:s, s:[{s:s, s:s, s:i, s:s}]}", "object", "list", "data", "id",
                             model, "object", "model", "created", 0, "owned_by", "s2a");
    if (list && !reply_models_double(list, t->s->o.prefix)) {
        json_decref(list);
        list = NULL;
    }
    if (!strcmp(t->target, "/v1/models") || !strncmp(t->target, "/v1/models?", 11)) {
        txn_json(t, 200, list, NULL);
        return;
    }
    const char *asked = t->target + strlen("/v1/models/");
    const json_t *data = json_object_get(list, "data");
    for (size_t i = 0; i < json_array_size(data); i++) {
        json_t *entry = json_array_get(data, i);
        if (!strcmp(json_string_value(json_object_get(entry, "id")), asked)) {
            txn_json(t, 200, json_incref(entry), NULL);
            json_decref(list);
            return;
        }
    }
    json_decref(list);
    txn_error(t, 404, "no such model", "model_not_found");
}
