#include "core/request.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

s2a_request *s2a_request_new(void)
{
    s2a_request *request = calloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->mode = S2A_MODE_DEFAULT;
    request->preset = S2A_PRESET_AUTO;
    request->temperature = 0.6; /* section 4: the decoding of all experiments */
    request->top_p = 0.9;
    request->max_tokens = 1024;
    request->threshold = NAN;
    return request;
}

static void request_clear(s2a_request *request)
{
    free(request->text);
    free(request->question);
    for (size_t i = 0; i < request->message_count; i++) {
        free(request->messages[i].role);
        free(request->messages[i].content);
        free(request->messages[i].fields);
    }
    free(request->messages);
    for (size_t i = 0; i < request->document_count; i++)
        free(request->documents[i].text);
    free(request->documents);
    request->documents = NULL;
    request->document_count = request->document_cap = request->documents_len = 0;
    request->text = request->question = NULL;
    request->text_len = request->question_len = 0;
    request->messages = NULL;
    request->message_count = request->message_cap = 0;
    request->form = REQUEST_NOTHING;
}

void s2a_request_free(s2a_request *request)
{
    if (!request)
        return;
    request_clear(request);
    s2a_request_unprotect(request);
    s2a_request_clear_stops(request);
    free(request->biases);
    free(request->chat_fields);
    free(request->protect);
    free(request->id);
    free(request->trace);
    free(request);
}

static s2a_status text_check(const char *what, const char *text, size_t len, s2a_error *err)
{
    if (!text && len > 0)
        return error_set(err, S2A_ARGUMENT, "%s: text is NULL", what);
    if (len > LIMIT_INPUT_BYTES)
        return error_set(err, S2A_LIMIT, "%s: %zu bytes are more than the limit of %zu; shorten it",
                         what, len, LIMIT_INPUT_BYTES);
    size_t valid = utf8_valid_prefix(text, len);
    if (valid < len)
        return error_set_at(err, S2A_INPUT, valid,
                            "%s: invalid UTF-8 at byte %zu; convert the text to UTF-8", what,
                            valid);
    return S2A_OK;
}

s2a_status s2a_request_set_text(s2a_request *request, const char *text, size_t len, s2a_error *err)
{
    s2a_status status = text_check("prompt", text, len, err);
    if (status != S2A_OK)
        return status;
    char *copy = bytes_dup(text, len);
    if (!copy)
        return error_nomem(err);
    request_clear(request);
    request->form = REQUEST_TEXT;
    request->text = copy;
    request->text_len = len;
    return S2A_OK;
}

s2a_status s2a_request_set_parts(s2a_request *request, const char *context, size_t context_len,
                                 const char *question, size_t question_len, s2a_error *err)
{
    s2a_status status = text_check("context", context, context_len, err);
    if (status == S2A_OK)
        status = text_check("question", question, question_len, err);
    if (status == S2A_OK && context_len + question_len > LIMIT_INPUT_BYTES - 2)
        status = error_set(err, S2A_LIMIT,
                           "context and question: together more than the limit of %zu bytes; "
                           "shorten them",
                           LIMIT_INPUT_BYTES);
    if (status != S2A_OK)
        return status;
    char *first = bytes_dup(context, context_len);
    char *second = bytes_dup(question, question_len);
    if (!first || !second) {
        free(first);
        free(second);
        return error_nomem(err);
    }
    request_clear(request);
    request->form = REQUEST_PARTS;
    request->text = first;
    request->text_len = context_len;
    request->question = second;
    request->question_len = question_len;
    return S2A_OK;
}

s2a_status s2a_request_set_question(s2a_request *request, const char *question, size_t len,
                                    s2a_error *err)
{
    s2a_status status = text_check("question", question, len, err);
    if (status != S2A_OK)
        return status;
    char *copy = bytes_dup(question, len);
    if (!copy)
        return error_nomem(err);
    request_clear(request);
    request->form = REQUEST_DOCUMENTS;
    request->question = copy;
    request->question_len = len;
    return S2A_OK;
}

s2a_status s2a_request_add_document(s2a_request *request, const char *text, size_t len,
                                    s2a_error *err)
{
    char what[48];
    if (request->form != REQUEST_DOCUMENTS)
        return error_set(err, S2A_ARGUMENT, "documents: no question; set the question first");
    if (request->document_count == LIMIT_DOCUMENTS)
        return error_set(err, S2A_LIMIT, "documents: more than %zu; give fewer at a time",
                         LIMIT_DOCUMENTS);
    snprintf(what, sizeof what, "documents[%zu]", request->document_count);
    s2a_status status = text_check(what, text, len, err);
    if (status != S2A_OK)
        return status;
    size_t more = len > 0 ? len + REQUEST_BORDER_BYTES : 0;
    if (more > LIMIT_INPUT_BYTES - request->question_len - request->documents_len)
        return error_set(err, S2A_LIMIT,
                         "%s: documents and question are together more than the limit of %zu "
                         "bytes; give fewer at a time",
                         what, LIMIT_INPUT_BYTES);
    if (!array_reserve((void **)&request->documents, &request->document_cap,
                       request->document_count + 1, sizeof *request->documents))
        return error_nomem(err);
    char *copy = bytes_dup(text, len);
    if (!copy)
        return error_nomem(err);
    request->documents[request->document_count++] = (request_document){ copy, len };
    request->documents_len += more;
    return S2A_OK;
}

static bool role_known(const char *role)
{
    static const char *const roles[] = { "system", "developer", "user", "assistant", "tool" };
    for (size_t i = 0; role && i < sizeof roles / sizeof roles[0]; i++)
        if (!strcmp(role, roles[i]))
            return true;
    return false;
}

s2a_status s2a_request_add_message(s2a_request *request, const char *role, const char *content,
                                   size_t len, s2a_error *err)
{
    if (!role_known(role))
        return error_set(err, S2A_ARGUMENT,
                         "message: unknown role \"%.40s\"; use system, developer, user, assistant "
                         "or tool",
                         role ? role : "(null)");
    s2a_status status = text_check("message", content, len, err);
    if (status != S2A_OK)
        return status;
    if (request->form != REQUEST_MESSAGES)
        request_clear(request);
    if (request->message_count == LIMIT_MESSAGES)
        return error_set(err, S2A_LIMIT, "messages: more than %zu; drop the oldest",
                         LIMIT_MESSAGES);
    void *items = request->messages;
    if (!array_reserve(&items, &request->message_cap, request->message_count + 1,
                       sizeof *request->messages))
        return error_nomem(err);
    request->messages = items;
    request_message message = { .role = bytes_dup(role, strlen(role)),
                                .content = bytes_dup(content, len),
                                .len = len };
    if (!message.role || !message.content) {
        free(message.role);
        free(message.content);
        return error_nomem(err);
    }
    request->form = REQUEST_MESSAGES;
    request->messages[request->message_count++] = message;
    return S2A_OK;
}

/* Replaces *copy; json NULL = none. */
static s2a_status json_set(const char *what, const char *json, size_t len, char **copy,
                           s2a_error *err)
{
    s2a_status status = json ? text_check(what, json, len, err) : S2A_OK;
    if (status != S2A_OK)
        return status;
    char *text = json ? bytes_dup(json, len) : NULL;
    if (json && !text)
        return error_nomem(err);
    free(*copy);
    *copy = text;
    return S2A_OK;
}

s2a_status s2a_request_set_message_fields(s2a_request *request, const char *json, size_t len,
                                          s2a_error *err)
{
    if (request->form != REQUEST_MESSAGES)
        return error_set(err, S2A_ARGUMENT, "message fields: add the message first");
    return json_set("message fields", json, len,
                    &request->messages[request->message_count - 1].fields, err);
}

s2a_status s2a_request_set_chat_fields(s2a_request *request, const char *json, size_t len,
                                       s2a_error *err)
{
    return json_set("chat fields", json, len, &request->chat_fields, err);
}

const char *request_last_role(const s2a_request *request)
{
    bool tool = request->form == REQUEST_MESSAGES &&
                !strcmp(request->messages[request->message_count - 1].role, "tool");
    return tool ? "tool" : "user";
}

const char **request_message_fields(const s2a_request *request)
{
    size_t count = request->form == REQUEST_MESSAGES ? request->message_count : 0;
    const char **fields = calloc(count + 1, sizeof *fields);
    for (size_t i = 0; fields && i < count; i++)
        fields[i] = request->messages[i].fields;
    return fields;
}

void s2a_request_set_mode(s2a_request *request, s2a_mode mode)
{
    request->mode = mode;
}

void s2a_request_set_preset(s2a_request *request, s2a_preset preset)
{
    request->preset = preset;
}

s2a_status s2a_request_set_sampling(s2a_request *request, double temperature, double top_p,
                                    uint32_t seed, s2a_error *err)
{
    if (!(temperature >= 0 && temperature <= 5))
        return error_set(err, S2A_ARGUMENT, "temperature %g is out of range; use 0 to 5",
                         temperature);
    if (!(top_p > 0 && top_p <= 1))
        return error_set(err, S2A_ARGUMENT, "top-p %g is out of range; use more than 0, at most 1",
                         top_p);
    request->temperature = temperature;
    request->top_p = top_p;
    request->seed = seed;
    return S2A_OK;
}

void s2a_request_set_top_k(s2a_request *request, uint32_t top_k)
{
    request->top_k = top_k;
}

s2a_status s2a_request_set_min_p(s2a_request *request, double min_p, s2a_error *err)
{
    if (!(min_p >= 0 && min_p <= 1))
        return error_set(err, S2A_ARGUMENT, "min-p %g is out of range; use 0 to 1", min_p);
    request->min_p = min_p;
    return S2A_OK;
}

s2a_status s2a_request_set_penalties(s2a_request *request, double frequency, double presence,
                                     s2a_error *err)
{
    if (!(frequency >= -2 && frequency <= 2 && presence >= -2 && presence <= 2))
        return error_set(err, S2A_ARGUMENT, "penalties %g and %g: use -2 to 2 for both", frequency,
                         presence);
    request->frequency_penalty = frequency;
    request->presence_penalty = presence;
    return S2A_OK;
}

s2a_status s2a_request_add_bias(s2a_request *request, uint32_t token, double bias, s2a_error *err)
{
    if (!(bias >= -100 && bias <= 100))
        return error_set(err, S2A_ARGUMENT, "bias %g of token %u is out of range; use -100 to 100",
                         bias, token);
    if (request->bias_count >= LIMIT_BIASES)
        return error_set(err, S2A_LIMIT, "biases: more than the limit of %d tokens", LIMIT_BIASES);
    if (!array_reserve((void **)&request->biases, &request->bias_cap, request->bias_count + 1,
                       sizeof *request->biases))
        return error_nomem(err);
    request->biases[request->bias_count++] = (backend_bias){ token, bias };
    return S2A_OK;
}

s2a_status s2a_request_add_stop(s2a_request *request, const char *text, size_t len, s2a_error *err)
{
    if (len > LIMIT_STOP_BYTES)
        return error_set(err, S2A_LIMIT, "stop: %zu bytes are more than the limit of %d", len,
                         LIMIT_STOP_BYTES);
    s2a_status status = text_check("stop", text, len, err);
    if (status == S2A_OK && len == 0)
        status = error_set(err, S2A_INPUT, "stop: the text is empty; leave it out");
    if (status == S2A_OK && request->stop_count >= LIMIT_STOPS)
        status = error_set(err, S2A_LIMIT, "stop: more than the limit of %d texts", LIMIT_STOPS);
    if (status != S2A_OK)
        return status;
    char *copy = bytes_dup(text, len);
    if (!copy)
        return error_nomem(err);
    request->stops[request->stop_count++] = (stop_text){ copy, len };
    return S2A_OK;
}

void s2a_request_clear_stops(s2a_request *request)
{
    for (size_t i = 0; i < request->stop_count; i++)
        free((char *)request->stops[i].text);
    request->stop_count = 0;
}

s2a_status s2a_request_set_logprobs(s2a_request *request, uint32_t top, s2a_logprob_fn fn,
                                    void *ctx, s2a_error *err)
{
    if (top > LIMIT_TOP_LOGPROBS)
        return error_set(err, S2A_ARGUMENT, "logprobs: %u tokens are more than the limit of %d",
                         top, LIMIT_TOP_LOGPROBS);
    request->top_logprobs = top;
    request->on_logprob = fn;
    request->on_logprob_ctx = ctx;
    return S2A_OK;
}

s2a_status s2a_request_set_threshold(s2a_request *request, double log_odds, s2a_error *err)
{
    if (!isfinite(log_odds))
        return error_set(err, S2A_ARGUMENT,
                         "threshold: not a finite number; leave it out for the preset's threshold");
    request->threshold = log_odds;
    return S2A_OK;
}

s2a_status s2a_request_set_keep(s2a_request *request, double share, s2a_error *err)
{
    if (!(share >= 0 && share <= 1))
        return error_set(err, S2A_ARGUMENT, "keep: %g is not a share from 0 to 1", share);
    request->keep = share;
    return S2A_OK;
}

static s2a_status protect_add(s2a_request *request, const request_protect *p, s2a_error *err)
{
    if (request->protect_count >= LIMIT_PROTECTED)
        return error_set(err, S2A_LIMIT, "protect: more than the limit of %d texts and lines",
                         LIMIT_PROTECTED);
    if (!array_reserve((void **)&request->protect, &request->protect_cap,
                       request->protect_count + 1, sizeof *request->protect))
        return error_nomem(err);
    request->protect[request->protect_count++] = *p;
    return S2A_OK;
}

s2a_status s2a_request_protect_text(s2a_request *request, const char *text, size_t len,
                                    s2a_error *err)
{
    s2a_status status = text_check("protect", text, len, err);
    if (status == S2A_OK && len == 0)
        status = error_set(err, S2A_INPUT, "protect: the text is empty; give what shall stay");
    if (status != S2A_OK)
        return status;
    request_protect p = { .text = bytes_dup(text, len), .len = len };
    status = p.text ? protect_add(request, &p, err) : error_nomem(err);
    if (status != S2A_OK)
        free(p.text);
    return status;
}

s2a_status s2a_request_protect_lines(s2a_request *request, size_t first, size_t last,
                                     s2a_error *err)
{
    request_protect p = { .first = first, .last = last };
    if (first < 1 || last < first)
        return error_set(
            err, S2A_ARGUMENT,
            "protect: lines %zu to %zu are not a range; count from 1, smaller number first", first,
            last);
    return protect_add(request, &p, err);
}

void s2a_request_unprotect(s2a_request *request)
{
    for (size_t i = 0; i < request->protect_count; i++)
        free(request->protect[i].text);
    request->protect_count = 0;
}

void s2a_request_set_max_tokens(s2a_request *request, uint32_t max_tokens)
{
    request->max_tokens = max_tokens > 0 ? max_tokens : 1;
}

void s2a_request_set_on_token(s2a_request *request, s2a_token_fn fn, void *ctx)
{
    request->on_token = fn;
    request->on_token_ctx = ctx;
}

/* Sets the value of a header field. */
static s2a_status field_set(char **field, const char *what, const char *value, s2a_error *err)
{
    size_t len = value ? strlen(value) : 0, good = 0;
    while (good < len && value[good] > ' ' && value[good] < 127)
        good++;
    if (value && (good < len || len == 0 || len > LIMIT_REQUEST_ID_BYTES))
        return error_set(err, S2A_ARGUMENT, "%s: give it 1 to %d visible ASCII characters", what,
                         LIMIT_REQUEST_ID_BYTES);
    char *copy = value ? strdup(value) : NULL;
    if (value && !copy)
        return error_nomem(err);
    free(*field);
    *field = copy;
    return S2A_OK;
}

s2a_status s2a_request_set_id(s2a_request *request, const char *id, s2a_error *err)
{
    return field_set(&request->id, "request id", id, err);
}

s2a_status s2a_request_set_trace(s2a_request *request, const char *traceparent, s2a_error *err)
{
    return field_set(&request->trace, "traceparent", traceparent, err);
}

void s2a_request_set_cancel(s2a_request *request, s2a_cancel *cancel)
{
    request->cancel = cancel;
}

/* ---- the prompt ------------------------------------------------------------------------- */

static s2a_status join_parts(const s2a_request *request, char **x, size_t *len, s2a_span *question,
                             s2a_error *err)
{
    if (ascii_blank(request->question, request->question_len))
        return error_set(err, S2A_INPUT, "question: it is empty; write one");
    if (request->form == REQUEST_DOCUMENTS && request->document_count == 0)
        return error_set(err, S2A_ARGUMENT, "documents: there are none; add one");
    buf joined;
    buf_init(&joined, LIMIT_INPUT_BYTES);
    for (size_t i = 0; i < request->document_count; i++) {
        buf_add(&joined, request->documents[i].text, request->documents[i].len);
        buf_adds(&joined, request->documents[i].len > 0 ? REQUEST_BORDER : "");
    }
    if (request->form == REQUEST_PARTS && !ascii_blank(request->text, request->text_len)) {
        buf_add(&joined, request->text, request->text_len);
        buf_adds(&joined, REQUEST_BORDER);
    }
    question->start = joined.len;
    buf_add(&joined, request->question, request->question_len);
    question->end = joined.len;
    s2a_status failed = joined.status;
    *x = buf_take(&joined, len);
    buf_free(&joined);
    if (*x)
        return S2A_OK;
    return failed == S2A_LIMIT ? error_set(err, failed, "prompt: too long") : error_nomem(err);
}

s2a_status request_prompt(const s2a_request *request, bool tool, char **x, size_t *len,
                          s2a_span *question, s2a_error *err)
{
    const char *data = request->text;
    *len = request->text_len;
    *x = NULL;
    *question = (s2a_span){ 0, 0 };
    if (request->form == REQUEST_NOTHING)
        return error_set(err, S2A_ARGUMENT, "request: it has no prompt; set one first");
    if (request->form == REQUEST_PARTS || request->form == REQUEST_DOCUMENTS)
        return join_parts(request, x, len, question, err);
    if (request->form == REQUEST_MESSAGES) {
        const request_message *last = &request->messages[request->message_count - 1];
        tool = tool && !strcmp(last->role, "tool");
        if (!tool && strcmp(last->role, "user") != 0)
            return error_set(err, S2A_ARGUMENT,
                             "messages: the last one is the %s's; end with the user's", last->role);
        data = last->content;
        *len = last->len;
    }
    if (!(tool && request->form == REQUEST_MESSAGES) && ascii_blank(data, *len))
        return error_set(err, S2A_INPUT, "prompt: it is empty; write a question");
    *x = bytes_dup(data, *len);
    return *x ? S2A_OK : error_nomem(err);
}
