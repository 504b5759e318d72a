/* Builds the library's request from the client's. */
#include "base/limits.h"
#include "serve/chat_tools.h"
#include "serve/json_keep.h"
#include "serve/txn.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the prompt ------------------------------------------------------------------------- */

/* Sets a value as JSON; NULL sets nothing. */
static s2a_status json_set(s2a_request *r, const chat_request *q, const json_t *value,
                           s2a_status (*set)(s2a_request *, const char *, size_t, s2a_error *),
                           s2a_error *err)
{
    size_t len = 0;
    char *text = value ? json_keep_dump(value, q->kept, q->cancel, &len) : NULL;
    s2a_status status = !value ? S2A_OK : text ? set(r, text, len, err) : error_nomem(err);
    free(text);
    return status;
}

static s2a_status message_add(s2a_request *r, const chat_request *q, json_t *message,
                              s2a_error *err)
{
    json_t *content = json_incref(json_object_get(message, "content"));
    json_t *role = json_incref(json_object_get(message, "role"));
    json_object_del(message, "content");
    json_object_del(message, "role");
    s2a_status status = s2a_request_add_message(
        r, json_string_value(role), json_string_value(content), json_string_length(content), err);
    if (status == S2A_OK && json_object_size(message) > 0)
        status = json_set(r, q, message, s2a_request_set_message_fields, err);
    json_decref(content);
    json_decref(role);
    return status;
}

s2a_status embedded_prompt(s2a_request *r, const chat_request *q, s2a_error *err)
{
    if (q->api == CHAT_API_COMPLETIONS) {
        const json_t *prompt = chat_content(&q->messages[0]);
        return s2a_request_set_text(r, json_string_value(prompt), json_string_length(prompt), err);
    }
    json_t *talk = NULL, *options = NULL;
    s2a_status status = chat_conversation(q, &talk, err);
    if (status == S2A_OK)
        status = chat_options(q, &options, err);
    for (size_t i = 0; i < json_array_size(talk) && status == S2A_OK; i++)
        status = message_add(r, q, json_array_get(talk, i), err);
    if (status == S2A_OK)
        status = json_set(r, q, options, s2a_request_set_chat_fields, err);
    json_decref(talk);
    json_decref(options);
    return status;
}

/* ---- numbers ---------------------------------------------------------------------------- */

/* A number of the request, or the server's default. */
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

/* -1 means as many as fit: llama.cpp's clients send it. */
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

s2a_status embedded_choices(const txn *t, size_t *count, s2a_error *err)
{
    double n = 1;
    s2a_status status = number(t->q.root, "n", 1, SERVE_CHOICES, 1, &n, err);
    *count = (size_t)n;
    return status;
}

static s2a_status seed_and_length(s2a_request *r, const txn *t, size_t choice, s2a_error *err)
{
    const json_t *root = t->q.root;
    const serve_options *o = &t->s->o;
    double temperature = 0, top_p = 0, seed = 0, tokens = 0;
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
                                    (uint32_t)((uint64_t)(int64_t)seed + choice), err);
}

static s2a_status penalties(s2a_request *r, const txn *t, s2a_error *err)
{
    const json_t *root = t->q.root;
    double top_k = 0, min_p = 0, frequency = 0, presence = 0;
    s2a_status status = number(root, "top_k", -1, INT32_MAX, 0, &top_k, err);
    if (status == S2A_OK)
        status = number(root, "min_p", 0, 1, 0, &min_p, err);
    if (status == S2A_OK)
        status = number(root, "frequency_penalty", -2, 2, 0, &frequency, err);
    if (status == S2A_OK)
        status = number(root, "presence_penalty", -2, 2, 0, &presence, err);
    if (status == S2A_OK)
        status = s2a_request_set_min_p(r, min_p, err);
    if (status != S2A_OK)
        return status;
    s2a_request_set_top_k(r, top_k > 0 ? (uint32_t)top_k : 0);
    return s2a_request_set_penalties(r, frequency, presence, err);
}

/* ---- stops, biases, probabilities ------------------------------------------------------- */

static s2a_status stop_add(s2a_request *r, const char *name, const json_t *text, s2a_error *err)
{
    if (!json_is_string(text))
        return error_set(err, S2A_INPUT, "%s: must be a string or an array of strings", name);
    return s2a_request_add_stop(r, json_string_value(text), json_string_length(text), err);
}

static s2a_status stops(s2a_request *r, const txn *t, s2a_error *err)
{
    const char *name = t->q.api == CHAT_API_MESSAGES ? "stop_sequences" : "stop";
    const json_t *value = json_object_get(t->q.root, name);
    bool none =
        !value || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0);
    s2a_status status = S2A_OK;
    if (none)
        return S2A_OK;
    if (!json_is_array(value))
        return stop_add(r, name, value, err);
    for (size_t i = 0; i < json_array_size(value) && status == S2A_OK; i++)
        status = stop_add(r, name, json_array_get(value, i), err);
    return status;
}

static s2a_status biases(s2a_request *r, const txn *t, s2a_error *err)
{
    json_t *list = json_object_get(t->q.root, "logit_bias"), *value;
    const char *token;
    if (!list || json_is_null(list))
        return S2A_OK;
    if (!json_is_object(list))
        return error_set(err, S2A_INPUT, "logit_bias: must be an object with token ids as names");
    json_object_foreach(list, token, value)
    {
        char *end = NULL;
        errno = 0;
        long long id = strtoll(token, &end, 10);
        if (end == token || *end || errno != 0 || id < 0 || id > INT32_MAX ||
            !json_is_number(value))
            return error_set(
                err, S2A_INPUT,
                "logit_bias: \"%.40s\": the name must be a token id and the value a number", token);
        s2a_status status = s2a_request_add_bias(r, (uint32_t)id, json_number_value(value), err);
        if (status != S2A_OK)
            return status;
    }
    return S2A_OK;
}

s2a_status embedded_logprobs(const txn *t, bool *wanted, uint32_t *top, s2a_error *err)
{
    const json_t *value = json_object_get(t->q.root, "logprobs");
    double count = 0;
    bool number_wanted = t->q.api == CHAT_API_COMPLETIONS && json_is_integer(value);
    *wanted = json_is_true(value) || number_wanted;
    if (value && !json_is_null(value) && !json_is_boolean(value) && !number_wanted)
        return error_set(err, S2A_INPUT, "logprobs: must be %s",
                         t->q.api == CHAT_API_COMPLETIONS ? "a whole number" : "true or false");
    s2a_status status = number(t->q.root, number_wanted ? "logprobs" : "top_logprobs", 0,
                               LIMIT_TOP_LOGPROBS, 0, &count, err);
    if (status == S2A_OK && count > 0 && !*wanted)
        return error_set(err, S2A_INPUT, "top_logprobs: needs \"logprobs\": true");
    *top = (uint32_t)count;
    return status;
}

s2a_status embedded_sampling(s2a_request *r, const txn *t, size_t choice, s2a_error *err)
{
    bool wanted = false;
    uint32_t top = 0;
    s2a_status status = seed_and_length(r, t, choice, err);
    if (status == S2A_OK)
        status = penalties(r, t, err);
    if (status == S2A_OK)
        status = stops(r, t, err);
    if (status == S2A_OK)
        status = biases(r, t, err);
    return status == S2A_OK && t->q.api != CHAT_API_RESPONSES
               ? embedded_logprobs(t, &wanted, &top, err)
               : status;
}
