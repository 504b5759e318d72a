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
    FORMAT,   /* only {"format":{"type":"text"}} */
    DISABLED, /* only {"type":"disabled"} */
    NONE,     /* "none" or "auto", or an object of that type */
} rule;

/* The APIs that have a field. */
enum {
    CHAT = 1 << CHAT_API_CHAT,
    COMPLETIONS = 1 << CHAT_API_COMPLETIONS,
    RESPONSES = 1 << CHAT_API_RESPONSES,
    MESSAGES = 1 << CHAT_API_MESSAGES,
    RERANK = 1 << CHAT_API_RERANK,
    TEXTS = CHAT | COMPLETIONS,
    OPENAI = TEXTS | RESPONSES,
    ALL = OPENAI | MESSAGES | RERANK,
};

static const struct {
    const char *name;
    rule rule;
    int apis;
} fields[] = {
    { "model", ANY, ALL },
    { "messages", ANY, CHAT | MESSAGES },
    { "prompt", ANY, COMPLETIONS },
    { "input", ANY, RESPONSES },
    { "instructions", ANY, RESPONSES },
    { "system", ANY, MESSAGES },
    { "query", ANY, RERANK },
    { "documents", ANY, RERANK },
    { "top_n", ANY, RERANK },
    { "return_documents", ANY, RERANK },
    { "stream", ANY, ALL },
    { "stream_options", ANY, OPENAI },
    { "temperature", ANY, ALL },
    { "top_p", ANY, ALL },
    { "seed", ANY, TEXTS },
    { "max_tokens", ANY, TEXTS | MESSAGES },
    { "max_completion_tokens", ANY, TEXTS },
    { "max_output_tokens", ANY, RESPONSES },
    { "user", ANY, OPENAI },
    { "metadata", ANY, ALL },
    { "service_tier", ANY, ALL },
    { "store", ANY, OPENAI },
    { "safety_identifier", ANY, OPENAI },
    { "prompt_cache_key", ANY, OPENAI },
    { "prompt_cache_retention", ANY, OPENAI },
    { "reasoning_effort", ANY, TEXTS },
    { "reasoning", ANY, RESPONSES },
    { "verbosity", ANY, TEXTS },
    { "truncation", ANY, RESPONSES },
    { "max_tool_calls", ANY, RESPONSES },
    { "cache_control", ANY, MESSAGES },
    { "parallel_tool_calls", ANY, OPENAI },
    { "n", ONE, TEXTS },
    { "best_of", ONE, TEXTS },
    { "frequency_penalty", ZERO, TEXTS },
    { "presence_penalty", ZERO, TEXTS },
    { "top_logprobs", ZERO, OPENAI },
    { "logprobs", NO_FALSE, TEXTS },
    { "echo", NO_FALSE, TEXTS },
    { "background", NO_FALSE, RESPONSES },
    { "logit_bias", EMPTY, TEXTS },
    { "stop", EMPTY, TEXTS },
    { "stop_sequences", EMPTY, MESSAGES },
    { "tools", EMPTY, ALL },
    { "functions", EMPTY, TEXTS },
    { "include", EMPTY, RESPONSES },
    { "mcp_servers", EMPTY, MESSAGES },
    { "suffix", EMPTY, TEXTS },
    { "tool_choice", NONE, ALL },
    { "function_call", NONE, TEXTS },
    { "response_format", TEXT, TEXTS },
    { "text", FORMAT, RESPONSES },
    { "thinking", DISABLED, MESSAGES },
    { "top_k", OFF, TEXTS | MESSAGES },
    { "min_p", ZERO, TEXTS },
};

static bool empty(const json_t *v)
{
    return (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0) ||
           (json_is_string(v) && json_string_length(v) == 0);
}

static bool type_is(const json_t *object, const char *type)
{
    const char *is = json_string_value(json_object_get(object, "type"));
    return is && !strcmp(is, type);
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
    case TEXT:
        return type_is(v, "text");
    case FORMAT:
        return !json_object_get(v, "format") || type_is(json_object_get(v, "format"), "text");
    case DISABLED:
        return type_is(v, "disabled");
    case NONE:
        text = text ? text : json_string_value(json_object_get(v, "type"));
        return text && (!strcmp(text, "none") || !strcmp(text, "auto"));
    }
    return false;
}

static s2a_status field_check(chat_api api, const char *name, const json_t *value, s2a_error *err)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i].apis & 1 << api && !strcmp(fields[i].name, name) &&
            allowed(fields[i].rule, value))
            return S2A_OK;
    return error_set(err, S2A_INPUT,
                     "%.60s: not supported by the embedded model; leave it out, or put s2a in "
                     "front of a server that has it with --upstream",
                     name);
}

static s2a_status content_check(const chat_request *q, const chat_message *m, s2a_error *err)
{
    const char *list = chat_list_name(q->api);
    const json_t *content = chat_content(m), *raw = json_object_get(m->holder, m->key);
    /* What clients write for a message of their own that only called tools. */
    if (!content && (!raw || json_is_null(raw)) && !strcmp(m->role, "assistant"))
        return S2A_OK;
    for (size_t i = 0; i < json_array_size(content); i++)
        if (!chat_part_is_text(json_array_get(content, i)))
            return error_set(err, S2A_INPUT,
                             "%s[%zu].%s[%zu]: the embedded model reads parts of type text only",
                             list, m->index, m->key, i);
    if (!content)
        return error_set(err, S2A_INPUT, "%s[%zu].%s: must be a string or an array of text parts",
                         list, m->index, m->key);
    return S2A_OK;
}

/* Elements of the list that are no message: calls of tools, for one. */
static s2a_status element_check(const chat_request *q, const json_t *element, size_t index,
                                s2a_error *err)
{
    const json_t *calls = json_object_get(element, "tool_calls");
    const json_t *type = q->api == CHAT_API_RESPONSES ? json_object_get(element, "type") : NULL;
    const char *list = chat_list_name(q->api);
    if (calls && !json_is_null(calls) && !empty(calls))
        return error_set(err, S2A_INPUT, "%s[%zu].tool_calls: not supported by the embedded model",
                         list, index);
    if (type && !type_is(element, "message"))
        return error_set(err, S2A_INPUT, "%s[%zu]: the embedded model reads items of type message",
                         list, index);
    if (!json_is_string(json_object_get(element, "role")))
        return error_set(err, S2A_INPUT, "%s[%zu]: must be an object with a role", list, index);
    return S2A_OK;
}

static s2a_status messages_check(chat_request *q, s2a_error *err)
{
    const char *name = chat_list_name(q->api);
    const json_t *list = json_object_get(q->root, name);
    s2a_status status = chat_messages(q, err);
    if (status == S2A_OK && json_is_array(list) && json_array_size(list) == 0)
        return error_set(err, S2A_INPUT, "%s: must be an array with a message in it", name);
    for (size_t i = 0; i < json_array_size(list) && status == S2A_OK; i++)
        status = element_check(q, json_array_get(list, i), i, err);
    for (size_t i = 0; i < q->message_count && status == S2A_OK; i++)
        status = content_check(q, &q->messages[i], err);
    if (status != S2A_OK)
        return status;
    if (q->message_count == 0 || strcmp(q->messages[q->message_count - 1].role, "user") != 0)
        return error_set(err, S2A_INPUT, "%s: the last one must be the user's", name);
    return S2A_OK;
}

s2a_status embedded_check(txn *t, s2a_error *err)
{
    chat_request *q = &t->q;
    const char *model = t->s->o.model;
    const char *asked = chat_model(q), *name;
    json_t *value;
    if (*asked && strcmp(asked, model) != 0 && strcmp(asked, "default") != 0)
        return error_set(err, S2A_MODEL,
                         "model: \"%.*s\" is not here; use \"%.200s\", with the prefix for S2A",
                         (int)utf8_cut(asked, 100), asked, model);
    if (json_is_string(json_object_get(q->root, "previous_response_id")))
        return error_set(err, S2A_INPUT,
                         "previous_response_id: no response is stored here; send the conversation "
                         "as input");
    json_object_foreach(q->root, name, value)
    {
        s2a_status status = json_is_null(value) ? S2A_OK : field_check(q->api, name, value, err);
        if (status != S2A_OK)
            return status;
    }
    if (t->route == METRICS_MESSAGES && !json_object_get(q->root, "max_tokens"))
        return error_set(err, S2A_INPUT, "max_tokens: is missing");
    if (q->api == CHAT_API_RERANK)
        return S2A_OK;
    if (q->api != CHAT_API_COMPLETIONS)
        return messages_check(q, err);
    s2a_status status = chat_messages(q, err);
    return status == S2A_OK && q->message_count == 0
               ? error_set(err, S2A_INPUT, "prompt: the embedded model takes one text at a time")
               : status;
}

/* ---- the request ------------------------------------------------------------------------ */

static s2a_status message_add(s2a_request *r, const chat_message *m, s2a_error *err)
{
    const json_t *content = chat_content(m);
    if (json_is_string(content))
        return s2a_request_add_message(r, m->role, json_string_value(content),
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
                            ? s2a_request_add_message(r, m->role, text.data, text.len, err)
                            : error_nomem(err);
    buf_free(&text);
    return status;
}

static s2a_status prompt_set(s2a_request *r, const chat_request *q, s2a_error *err)
{
    const json_t *prompt = chat_content(&q->messages[0]);
    if (q->api == CHAT_API_COMPLETIONS)
        return s2a_request_set_text(r, json_string_value(prompt), json_string_length(prompt), err);
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < q->message_count && status == S2A_OK; i++)
        status = message_add(r, &q->messages[i], err);
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
    if (status == S2A_OK)
        status = tokens_read(root, "max_output_tokens", tokens, &tokens, err);
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
        buf out;
        buf_init(&out, LIMIT_NONE);
        txn_write(t, &out, reply_text(&t->reply, text, len, &out));
    }
    return atomic_load(&t->gone);
}

static void finish(txn *t, const s2a_result *result)
{
    reply_answer a = { .cut = s2a_result_answer_cut(result),
                       .show = t->q.ask.show,
                       .step1 = &t->step1.outcome.usage,
                       .step2 = &t->relay.usage,
                       .request = t->q.kept ? NULL : t->q.root,
                       .include_usage = t->q.include_usage };
    a.text = s2a_result_answer(result, &a.len);
    a.text = a.text ? a.text : "";
    if (t->q.wanted) {
        a.shown = serve_step1_rewritten(&t->step1.outcome, &a.shown_len);
        a.s2a = reply_s2a(&t->step1.outcome, &t->q, t->relay.ms, &t->relay.usage);
    }
    if (t->streaming) {
        buf out;
        buf_init(&out, LIMIT_NONE);
        txn_write(t, &out, reply_end(&t->reply, &a, &out));
        http_call_end(t->call, true);
    } else {
        txn_json(t, 200, reply_whole(&t->reply, &a), t->step1.outcome.fallback);
    }
    json_decref(a.s2a);
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
        t->relay.usage = s2a_result_usage(result, 2);
        t->relay.ms = t->relay.usage.ms;
        finish(t, result);
    }
    s2a_result_free(result);
}

void embedded_count(txn *t)
{
    s2a_error err = { .status = S2A_OK };
    size_t tokens = 0;
    s2a_request *r = s2a_request_new();
    s2a_status status = r ? prompt_set(r, &t->q, &err) : error_nomem(&err);
    if (status == S2A_OK)
        status = s2a_count_tokens(t->s->o.engine, r, &tokens, &err);
    s2a_request_free(r);
    json_t *count = json_pack("{s:I}", "input_tokens", (json_int_t)tokens);
    if (count && t->reply.api == CHAT_API_RESPONSES)
        json_object_set_new(count, "object", json_string("response.input_tokens"));
    if (status == S2A_OK) {
        txn_json(t, 200, count, NULL);
    } else {
        json_decref(count);
        txn_error(t, status_of(status), err.message, NULL);
    }
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
