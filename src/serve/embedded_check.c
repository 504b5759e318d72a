/* Checks that this process's engine supports a request. An unsupported field is refused by name: no
 * field that changes the answer is silently ignored. */
#include "base/utf8.h"
#include "serve/chat_tools.h"
#include "serve/txn.h"

#include "base/error.h"

#include <string.h>

/* ---- fields ----------------------------------------------------------------------------- */

typedef enum rule {
    ANY,      /* read elsewhere, or without effect on the answer */
    NO_FALSE, /* only false */
    ZERO,     /* only 0 */
    ONE,      /* only 1 */
    EMPTY,    /* only an empty list, object or text */
    TEXT,     /* only {"type":"text"} */
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
    { "n", ANY, TEXTS },
    { "best_of", ONE, TEXTS },
    { "frequency_penalty", ANY, TEXTS },
    { "presence_penalty", ANY, TEXTS },
    { "top_logprobs", ANY, TEXTS },
    { "top_logprobs", ZERO, RESPONSES },
    { "logprobs", ANY, TEXTS },
    { "echo", NO_FALSE, TEXTS },
    { "background", NO_FALSE, RESPONSES },
    { "logit_bias", ANY, TEXTS },
    { "stop", ANY, TEXTS },
    { "stop_sequences", ANY, MESSAGES },
    { "tools", ANY, CHAT | RESPONSES | MESSAGES },
    { "tools", EMPTY, COMPLETIONS },
    { "functions", EMPTY, TEXTS },
    { "include", EMPTY, RESPONSES },
    { "mcp_servers", EMPTY, MESSAGES },
    { "suffix", EMPTY, TEXTS },
    { "tool_choice", ANY, CHAT | RESPONSES | MESSAGES },
    { "tool_choice", NONE, COMPLETIONS },
    { "function_call", NONE, TEXTS },
    { "response_format", ANY, CHAT },
    { "response_format", TEXT, COMPLETIONS },
    { "text", ANY, RESPONSES },
    { "thinking", DISABLED, MESSAGES },
    { "top_k", ANY, TEXTS | MESSAGES },
    { "min_p", ANY, TEXTS },
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
    case EMPTY:
        return empty(v);
    case TEXT:
        return chat_is(v, "text");
    case DISABLED:
        return chat_is(v, "disabled");
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
                     "%.60s: not supported by the embedded model; leave it out, or start the "
                     "server with an --upstream that supports it",
                     name);
}

static s2a_status messages_check(chat_request *q, s2a_error *err)
{
    const char *name = chat_list_name(q->api);
    const json_t *list = json_object_get(q->root, name);
    json_t *talk = NULL, *options = NULL;
    s2a_status status = chat_messages(q, err);
    if (status == S2A_OK && json_is_array(list) && json_array_size(list) == 0)
        return error_set(err, S2A_INPUT, "%s: must be an array of at least one message", name);
    if (status == S2A_OK)
        status = chat_conversation(q, &talk, err);
    if (status == S2A_OK)
        status = chat_options(q, &options, err);
    const json_t *last = json_array_get(talk, json_array_size(talk) - 1);
    const char *role = json_string_value(json_object_get(last, "role"));
    if (status == S2A_OK && (!role || (strcmp(role, "user") != 0 && strcmp(role, "tool") != 0)))
        status =
            error_set(err, S2A_INPUT, "%s: the last message must be the user's or a tool's", name);
    json_decref(talk);
    json_decref(options);
    return status;
}

/* Checks the range of values that are read elsewhere, before the response begins. */
static s2a_status values_check(const txn *t, s2a_error *err)
{
    size_t count = 0;
    s2a_request *scratch = s2a_request_new();
    s2a_status status = scratch ? embedded_choices(t, &count, err) : error_nomem(err);
    if (status == S2A_OK)
        status = embedded_sampling(scratch, t, 0, err);
    s2a_request_free(scratch);
    return status == S2A_ARGUMENT || status == S2A_LIMIT ? S2A_INPUT : status;
}

s2a_status embedded_check(txn *t, s2a_error *err)
{
    chat_request *q = &t->q;
    const char *model = t->s->o.model;
    const char *asked = chat_model_name(q), *name;
    json_t *value;
    if (*asked && strcmp(asked, model) != 0 && strcmp(asked, "default") != 0)
        return error_set(err, S2A_MODEL,
                         "model: \"%.*s\" is unknown; use \"%.200s\", with the prefix for S2A",
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
    s2a_status status = values_check(t, err);
    if (status != S2A_OK || q->api == CHAT_API_RERANK)
        return status;
    if (q->api != CHAT_API_COMPLETIONS)
        return messages_check(q, err);
    status = chat_messages(q, err);
    return status == S2A_OK && q->message_count == 0
               ? error_set(err, S2A_INPUT,
                           "prompt: the embedded model takes one text; send each text in a "
                           "separate request")
               : status;
}

bool embedded_ready(txn *t)
{
    json_t *options = NULL;
    size_t tokens = 0;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = chat_options(&t->q, &options, &err);
    s2a_request *r = status == S2A_OK && options ? s2a_request_new() : NULL;
    if (r) {
        status = embedded_prompt(r, &t->q, &err);
        if (status == S2A_OK)
            status = s2a_count_tokens(t->s->o.engine, r, &tokens, &err);
    }
    s2a_request_free(r);
    json_decref(options);
    if (status != S2A_INPUT && status != S2A_UNSUPPORTED)
        return true;
    txn_error(t, 400, err.message, NULL);
    return false;
}
