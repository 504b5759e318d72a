#include "backend/http_ask.h"

#include "base/error.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* True on success; takes ownership of value in any case. */
static bool http_put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

/* Adds the members of an object, given as JSON. */
static s2a_status put_fields(json_t *root, const char *what, const char *json, s2a_error *err)
{
    json_t *fields = json_loads(json, JSON_ALLOW_NUL, NULL);
    s2a_status status = S2A_OK;
    if (!json_is_object(fields))
        status = error_set(err, S2A_INPUT, "%s: not a JSON object", what);
    else if (json_object_update(root, fields) != 0)
        status = error_nomem(err);
    json_decref(fields);
    return status;
}

static json_t *messages_json(const backend_message *messages, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++) {
        json_t *message = json_object();
        const char *content = messages[i].len ? messages[i].content : "";
        bool ok = http_put(message, "role", json_string(messages[i].role)) &&
                  http_put(message, "content", json_stringn(content, messages[i].len));
        if (!ok || json_array_append_new(list, message) != 0) {
            if (!ok)
                json_decref(message);
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* A list of the stops; NULL when out of memory. */
static json_t *stops_json(const backend_params *params)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < params->stop_count; i++)
        if (json_array_append_new(list,
                                  json_stringn(params->stops[i].text, params->stops[i].len)) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

static json_t *biases_json(const backend_params *params)
{
    json_t *biases = json_object();
    bool ok = biases != NULL;
    for (size_t i = 0; ok && i < params->bias_count; i++) {
        char token[16];
        snprintf(token, sizeof token, "%" PRIu32, params->biases[i].token);
        ok = http_put(biases, token, json_real(params->biases[i].bias));
    }
    if (ok)
        return biases;
    json_decref(biases);
    return NULL;
}

/* Parameters that not every server knows are sent only if they are set. */
static bool put_sampling(json_t *root, const backend_params *params)
{
    bool ok = true;
    if (params->top_k > 0)
        ok = http_put(root, "top_k", json_integer(params->top_k));
    if (ok && params->min_p > 0)
        ok = http_put(root, "min_p", json_real(params->min_p));
    if (ok && params->frequency_penalty != 0)
        ok = http_put(root, "frequency_penalty", json_real(params->frequency_penalty));
    if (ok && params->presence_penalty != 0)
        ok = http_put(root, "presence_penalty", json_real(params->presence_penalty));
    if (ok && params->bias_count > 0)
        ok = http_put(root, "logit_bias", biases_json(params));
    if (ok && params->stop_count > 0)
        ok = http_put(root, "stop", stops_json(params));
    if (ok && params->on_logprob)
        ok = http_put(root, "logprobs", json_true()) &&
             http_put(root, "top_logprobs", json_integer(params->top_logprobs));
    return ok;
}

s2a_status http_ask_new(const char *model, const backend_message *messages, size_t count,
                        const backend_params *params, json_t **out, s2a_error *err)
{
    *out = NULL;
    for (size_t i = 0; i < count; i++)
        if (utf8_valid_prefix(messages[i].content, messages[i].len) != messages[i].len)
            return error_set(err, S2A_INPUT, "message %zu is not UTF-8", i);
    json_t *root = json_object();
    bool ok = http_put(root, "model", json_string(model)) &&
              http_put(root, "messages", messages_json(messages, count)) &&
              http_put(root, "temperature", json_real(params->temperature)) &&
              http_put(root, "top_p", json_real(params->top_p)) &&
              http_put(root, "seed", json_integer(params->seed));
    if (ok && params->max_tokens)
        ok = http_put(root, "max_tokens", json_integer(params->max_tokens));
    json_t *options = json_object();
    ok = ok && put_sampling(root, params) && http_put(options, "include_usage", json_true());
    ok = http_put(root, "stream_options", options) && ok;
    ok = ok && http_put(root, "stream", json_true());
    s2a_status status = ok ? S2A_OK : error_nomem(err);
    if (status == S2A_OK && params->chat_fields)
        status = put_fields(root, "chat fields", params->chat_fields, err);
    json_t *list = json_object_get(root, "messages");
    for (size_t i = 0; status == S2A_OK && params->message_fields && i < count; i++)
        if (params->message_fields[i])
            status = put_fields(json_array_get(list, i), "message fields",
                                params->message_fields[i], err);
    *out = status == S2A_OK ? root : NULL;
    if (status != S2A_OK)
        json_decref(root);
    return status;
}

/* object[key] += text, where text may be missing. */
static bool text_append(json_t *object, const char *key, const json_t *text)
{
    const char *had = json_string_value(json_object_get(object, key));
    const char *more = json_string_value(text);
    return !more || http_put(object, key, json_sprintf("%s%s", had ? had : "", more));
}

bool http_ask_call_add(json_t **calls, const json_t *piece, size_t position)
{
    const json_t *index = json_object_get(piece, "index");
    size_t at = json_is_integer(index) && json_integer_value(index) >= 0
                    ? (size_t)json_integer_value(index)
                    : position;
    if (!*calls)
        *calls = json_array();
    size_t count = json_array_size(*calls);
    if (at >= count) { /* calls come in order */
        at = count;
        json_t *call = json_object();
        if (json_array_append_new(*calls, call) != 0 ||
            !http_put(call, "type", json_string("function")) ||
            !http_put(call, "function", json_object()))
            return false;
    }
    json_t *call = json_array_get(*calls, at), *function = json_object_get(call, "function");
    const json_t *more = json_object_get(piece, "function");
    return text_append(call, "id", json_object_get(piece, "id")) &&
           text_append(function, "name", json_object_get(more, "name")) &&
           text_append(function, "arguments", json_object_get(more, "arguments"));
}
