/* The OpenAI-compatible backend: POST {base}/chat/completions, streamed. fetch.c transfers the
 * bytes, sse.c splits them into events, and this file interprets the events.
 *
 * The pool has its own lock. A reply belongs to its call. A request is sent again only if no text
 * has been passed on, so a caller never gets a beginning twice. */
#include "backend/backend.h"
#include "backend/http_ask.h"
#include "base/base_url.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fetch.h"
#include "base/http_text.h"
#include "base/limits.h"
#include "base/sse.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BACKOFF_FIRST_MS = 250,
    BACKOFF_MAX_MS = 8000,
    RETRY_AFTER_MAX_MS = 60000,
    WAIT_SLICE_MS = 20,    /* between checks of the cancel handle */
    LOOKUP_MAX_MS = 10000, /* of the model list, if it is optional */
};

/* Set when the backend is opened, then constant. */
typedef struct http_backend {
    backend base;
    char *chat_url, *models_url, *model, *api_key;
    char origin[300];
    uint32_t ctx_tokens, connect_timeout_ms, idle_timeout_ms, request_timeout_ms, max_retries;
    void (*log)(void *ctx, int level, const char *line);
    void *log_ctx;
    fetch_pool *pool;
} http_backend;

/* One chat completion. Zero-initialise it; only usage must be set. */
typedef struct http_chat {
    const s2a_cancel *cancel;
    const char *request_id, *trace; /* NULL = none */
    double deadline;                /* a time of clock_ms() */
    backend_token_fn on_token;
    void *on_token_ctx;
    const backend_params *params;
    backend_usage *usage; /* filled also on failure, as far as it is known */
} http_chat;

/* The kind of the body, by its first character. Content-Type is ignored: servers and proxies get it
 * wrong. */
typedef enum body_kind {
    BODY_UNKNOWN,
    BODY_EVENTS,
    BODY_JSON, /* collected as a whole: a server that ignores "stream", or the model list */
} body_kind;

typedef struct reply {
    const http_backend *self;
    const http_chat *chat; /* NULL: the model list */
    backend_usage *usage;
    body_kind kind;
    sse_parser events;
    buf body;
    bool finished; /* a finish_reason came, or the caller stopped */
    bool done;     /* [DONE] came */
    bool has_usage;
    json_t *calls;   /* the tool calls so far; NULL = none */
    uint64_t deltas; /* pieces of text: the count of tokens if the server gives none */
    size_t text_len;
    s2a_status status; /* the first fault in the body, with its text in error */
    s2a_error error;
} reply;

/* One request with its retries. body NULL: GET. */
typedef struct exchange {
    const http_backend *self;
    const char *url, *body;
    size_t body_len;
    const s2a_cancel *cancel;
    double deadline;
    reply *reply;
    bool retryable; /* of the last try */
    uint64_t retry_after_ms;
} exchange;

/* ---- reading a reply -------------------------------------------------------------------- */

static uint64_t json_count(const json_t *object, const char *key, uint64_t otherwise)
{
    double value = json_number_value(json_object_get(object, key));
    return value >= 0 && value < 1e15 && json_is_number(json_object_get(object, key))
               ? (uint64_t)value
               : otherwise;
}

/* usage is the standard's; timings is llama-server's, whose prompt_n excludes the cached tokens;
 * prompt_cache_hit_tokens is DeepSeek's. The last one received counts. */
static void reply_usage(reply *r, const json_t *root)
{
    s2a_usage *tokens = &r->usage->tokens;
    const json_t *usage = json_object_get(root, "usage");
    const json_t *timings = json_object_get(root, "timings");
    if (json_is_object(timings)) {
        tokens->cached_tokens = json_count(timings, "cache_n", tokens->cached_tokens);
        tokens->prompt_tokens = json_count(timings, "prompt_n", 0) + tokens->cached_tokens;
        tokens->completion_tokens = json_count(timings, "predicted_n", 0);
        tokens->drafted_tokens = json_count(timings, "draft_n", 0);
        tokens->accepted_tokens = json_count(timings, "draft_n_accepted", 0);
        r->has_usage = true;
    }
    if (json_is_object(usage)) {
        const json_t *details = json_object_get(usage, "prompt_tokens_details");
        uint64_t cached = json_count(usage, "prompt_cache_hit_tokens", tokens->cached_tokens);
        tokens->prompt_tokens = json_count(usage, "prompt_tokens", tokens->prompt_tokens);
        tokens->completion_tokens = json_count(usage, "completion_tokens", 0);
        tokens->cached_tokens = json_count(details, "cached_tokens", cached);
        r->has_usage = true;
    }
}

static int reply_fault(reply *r, s2a_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Ends the reply; later faults are ignored. */
static int reply_fault(reply *r, s2a_status status, const char *format, ...)
{
    if (r->status != S2A_OK)
        return FETCH_STOP;
    char text[sizeof r->error.message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->status = error_set(&r->error, status, "%s", text);
    return FETCH_STOP;
}

static int reply_quote(reply *r, const json_t *root, const char *text, size_t len)
{
    char said[HTTP_QUOTE_MAX + 1];
    http_quote(root, text, len, r->self->api_key, said);
    if (http_is_context_error(text))
        return reply_fault(r, S2A_LIMIT,
                           "%s: the prompt does not fit the model's context; the server says: %s",
                           r->self->origin, said);
    return reply_fault(r, S2A_BACKEND, "%s: the server reports: %s", r->self->origin, said);
}

static int reply_text(reply *r, const json_t *content)
{
    size_t len = json_string_length(content);
    if (!len)
        return FETCH_GO_ON;
    if (len > LIMIT_OUTPUT_BYTES - r->text_len)
        return reply_fault(r, S2A_BACKEND, "%s: the answer is longer than %zu bytes",
                           r->self->origin, LIMIT_OUTPUT_BYTES);
    r->text_len += len;
    r->deltas++;
    const http_chat *chat = r->chat;
    if (!chat->on_token || !chat->on_token(chat->on_token_ctx, json_string_value(content), len))
        return FETCH_GO_ON;
    r->usage->finish = BACKEND_FINISH_CALLER;
    r->finished = true;
    return FETCH_STOP;
}

static int reply_finish(reply *r, const char *reason)
{
    if (!strcmp(reason, "content_filter") || !strcmp(reason, "error"))
        return reply_fault(r, S2A_BACKEND, "%s: the server ended the answer early: %s",
                           r->self->origin, reason);
    bool cut = !strcmp(reason, "length") || !strcmp(reason, "max_tokens");
    r->usage->finish = cut ? BACKEND_FINISH_LENGTH : BACKEND_FINISH_STOP;
    r->finished = true;
    return FETCH_GO_ON;
}

static s2a_logprob logprob_of(const json_t *entry)
{
    const json_t *token = json_object_get(entry, "token");
    const char *text = json_string_value(token);
    return (s2a_logprob){ text ? text : "", json_string_length(token),
                          json_number_value(json_object_get(entry, "logprob")) };
}

/* choice.logprobs.content has an entry for each token. */
static void reply_logprobs(reply *r, const json_t *choice)
{
    const backend_params *params = r->chat->params;
    const json_t *list = json_object_get(json_object_get(choice, "logprobs"), "content");
    for (size_t i = 0; params->on_logprob && i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const json_t *others = json_object_get(entry, "top_logprobs");
        s2a_logprob token = logprob_of(entry), top[LIMIT_TOP_LOGPROBS];
        size_t count = 0;
        while (count < LIMIT_TOP_LOGPROBS && count < json_array_size(others)) {
            top[count] = logprob_of(json_array_get(others, count));
            count++;
        }
        params->on_logprob(params->on_logprob_ctx, &token, top, count);
    }
}

/* Adds tool calls. A stream sends them in pieces: each piece has an index, and arguments are
 * concatenated. */
static int reply_calls(reply *r, const json_t *part)
{
    const json_t *list = json_object_get(part, "tool_calls");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!http_ask_call_add(&r->calls, json_array_get(list, i), i))
            return reply_fault(r, S2A_NOMEM, "out of memory");
    return FETCH_GO_ON;
}

/* vLLM names the stop that ended the text. */
static void reply_stop(reply *r, const json_t *choice)
{
    const backend_params *params = r->chat->params;
    const json_t *stop = json_object_get(choice, "stop_reason");
    for (size_t i = 0; json_is_string(stop) && i < params->stop_count; i++)
        if (json_string_length(stop) == params->stops[i].len &&
            !memcmp(json_string_value(stop), params->stops[i].text, params->stops[i].len))
            r->usage->stop = i + 1;
}

/* An event of the stream ("delta") or the whole answer ("message"). reasoning_content and similar
 * fields are not part of the answer and are ignored. The last event, with the usage, has no
 * choice. */
static int reply_object(reply *r, const json_t *root, const char *text, size_t len)
{
    const json_t *error = json_object_get(root, "error");
    if (error && !json_is_null(error))
        return reply_quote(r, root, text, len);
    reply_usage(r, root);
    const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    const json_t *part = json_object_get(choice, "delta");
    if (!part)
        part = json_object_get(choice, "message");
    reply_logprobs(r, choice);
    reply_stop(r, choice);
    int answer = reply_calls(r, part);
    if (answer == FETCH_GO_ON)
        answer = reply_text(r, json_object_get(part, "content"));
    const char *reason = json_string_value(json_object_get(choice, "finish_reason"));
    return answer == FETCH_GO_ON && reason ? reply_finish(r, reason) : answer;
}

static int reply_event(reply *r, const sse_event *event)
{
    const char *data = event->data;
    size_t len = event->len;
    while (len && data[len - 1] == ' ')
        len--;
    if (len == 6 && !memcmp(data, "[DONE]", 6)) {
        r->done = true;
        return FETCH_DRAIN;
    }
    if (!len || r->done)
        return FETCH_GO_ON;
    json_t *root = http_parse_json(data, len);
    int answer = FETCH_GO_ON;
    if (!strcmp(event->type, "error"))
        answer = reply_quote(r, root, data, len);
    else if (!json_is_object(root))
        answer = reply_fault(r, S2A_BACKEND, "%s: an event of the stream is not a JSON object",
                             r->self->origin);
    else
        answer = reply_object(r, root, data, len);
    json_decref(root);
    return answer;
}

static int reply_sse_fault(reply *r, sse_result result)
{
    if (result == SSE_LIMIT)
        return reply_fault(r, S2A_BACKEND, "%s: an event of the stream is longer than %zu bytes",
                           r->self->origin, LIMIT_SSE_LINE_BYTES);
    return reply_fault(r, S2A_NOMEM, "out of memory");
}

static int reply_data(void *ctx, const char *data, size_t len)
{
    reply *r = ctx;
    while (r->kind == BODY_UNKNOWN && len) {
        if (*data == '{' || *data == '[' || *data == '<')
            r->kind = BODY_JSON;
        else if (!strchr(" \t\r\n", *data) || !*data)
            r->kind = BODY_EVENTS;
        else
            data++, len--;
    }
    if (r->kind == BODY_JSON) {
        buf_add(&r->body, data, len);
        return r->body.status == S2A_OK ? FETCH_GO_ON : reply_fault(r, S2A_NOMEM, "out of memory");
    }
    int answer = FETCH_GO_ON;
    sse_event event;
    sse_result result = SSE_EVENT;
    while (answer == FETCH_GO_ON &&
           (result = sse_next(&r->events, &data, &len, &event)) == SSE_EVENT)
        answer = reply_event(r, &event);
    return result == SSE_LIMIT || result == SSE_NOMEM ? reply_sse_fault(r, result) : answer;
}

static void reply_json_end(reply *r)
{
    json_t *root = http_parse_json(r->body.data, r->body.len);
    if (!json_is_object(root)) {
        char said[HTTP_QUOTE_MAX + 1];
        http_quote(root, r->body.data, r->body.len, r->self->api_key, said);
        reply_fault(r, S2A_BACKEND, "%s: not a response of an OpenAI-compatible server: %s",
                    r->self->origin, said);
    } else if (reply_object(r, root, r->body.data, r->body.len) == FETCH_GO_ON && !r->finished &&
               !r->text_len && !r->calls) {
        reply_fault(r, S2A_BACKEND, "%s: the answer has no choices", r->self->origin);
    }
    r->finished = true;
    json_decref(root);
}

/* The whole body has arrived: checks that the answer is complete. */
static void reply_end(reply *r)
{
    sse_event event;
    sse_result result = SSE_MORE;
    if (r->kind == BODY_JSON)
        reply_json_end(r);
    else if ((result = sse_finish(&r->events, &event)) == SSE_EVENT)
        reply_event(r, &event);
    if (result == SSE_LIMIT || result == SSE_NOMEM)
        reply_sse_fault(r, result);
    if (r->status == S2A_OK && !r->finished && !r->done)
        reply_fault(r, S2A_BACKEND, "%s: the answer ended early", r->self->origin);
}

/* Before each try: clears the last one's results. */
static void reply_begin(reply *r)
{
    r->usage->tokens = (s2a_usage){ 0 };
    r->usage->finish = BACKEND_FINISH_STOP;
    r->usage->stop = 0;
    json_decref(r->calls);
    r->calls = NULL;
    sse_free(&r->events);
    sse_init(&r->events, LIMIT_SSE_LINE_BYTES);
    buf_reset(&r->body);
    if (r->chat)
        r->kind = BODY_UNKNOWN;
    r->finished = r->done = r->has_usage = false;
    r->deltas = 0;
    r->text_len = 0;
    r->status = S2A_OK;
}

static void reply_free(reply *r)
{
    sse_free(&r->events);
    buf_free(&r->body);
    json_decref(r->calls);
}

/* ---- sending and retrying --------------------------------------------------------------- */

static void http_log(const http_backend *self, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void http_log(const http_backend *self, int level, const char *format, ...)
{
    if (!self->log)
        return;
    char line[640];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    self->log(self->log_ctx, level, line);
}

/* A response outside 2xx. */
static s2a_status status_error(exchange *x, const fetch_response *response, s2a_error *err)
{
    const http_backend *self = x->self;
    const char *body = response->error_body, *origin = self->origin;
    int code = response->head.status;
    char said[HTTP_QUOTE_MAX + 1];
    json_t *root = body ? http_parse_json(body, response->error_body_len) : NULL;
    http_quote(root, body, response->error_body_len, self->api_key, said);
    json_decref(root);
    if (http_is_context_error(body) && (code == 400 || code == 413 || code == 422 || code == 500))
        return error_set(err, S2A_LIMIT,
                         "%s: the prompt does not fit the model's context (status %d); the server "
                         "says: %s",
                         origin, code, said);
    if (code == 401 || code == 403)
        return error_set(err, S2A_BACKEND,
                         "%s: the API key is %s (status %d): set S2A_API_KEY; the server says: %s",
                         origin, self->api_key ? "wrong, or not allowed this" : "missing", code,
                         said);
    if (code == 404)
        return error_set(err, S2A_BACKEND,
                         "%s: no such URL or model (status 404): check the URL's path and the "
                         "model's name, \"%s\"; the server says: %s",
                         origin, self->model ? self->model : "", said);
    if (code >= 300 && code < 400)
        return error_set(err, S2A_BACKEND, "%s: status %d: the server moved to %s: use that URL",
                         origin, code, response->location[0] ? response->location : "nowhere");
    x->retryable =
        code == 408 || code == 429 || code == 500 || code == 502 || code == 503 || code == 504;
    if (x->retryable && response->retry_after_ms > RETRY_AFTER_MAX_MS) {
        x->retryable = false;
        return error_set(err, S2A_BACKEND,
                         "%s: status %d: the server asks to wait %" PRIu64
                         " s: try later; the server says: %s",
                         origin, code, response->retry_after_ms / 1000, said);
    }
    return error_set(err, S2A_BACKEND, "%s: status %d; the server says: %s", origin, code, said);
}

static s2a_status exchange_verdict(exchange *x, s2a_status status, const fetch_response *response,
                                   s2a_error *err)
{
    reply *r = x->reply;
    if (r->status == S2A_OK && status == S2A_OK && !response->stopped) {
        if (response->head.status < 200 || response->head.status > 299)
            return status_error(x, response, err);
        if (r->chat)
            reply_end(r);
    }
    if (r->status != S2A_OK)
        return error_set(err, r->status, "%s", r->error.message);
    if (status == S2A_LIMIT)
        return error_set(err, S2A_BACKEND, "%s: the response is larger than %zu bytes",
                         x->self->origin, LIMIT_HTTP_BODY_BYTES);
    /* Only the usage or the end of the body is missing. */
    if (r->finished && (status == S2A_TIMEOUT || status == S2A_BACKEND))
        return S2A_OK;
    x->retryable = response->retryable && !r->text_len;
    return status;
}

static s2a_status exchange_try(exchange *x, s2a_error *err)
{
    const http_backend *self = x->self;
    char id[sizeof "X-Request-Id: " + LIMIT_REQUEST_ID_BYTES];
    char trace[sizeof "traceparent: " + LIMIT_REQUEST_ID_BYTES];
    const char *headers[4] = { "Accept: text/event-stream, application/json" };
    size_t header_count = 1;
    if (x->body)
        headers[header_count++] = "Content-Type: application/json";
    const http_chat *chat = x->reply ? x->reply->chat : NULL;
    if (chat && chat->request_id) {
        snprintf(id, sizeof id, "X-Request-Id: %s", chat->request_id);
        headers[header_count++] = id;
    }
    if (chat && chat->trace) {
        snprintf(trace, sizeof trace, "traceparent: %s", chat->trace);
        headers[header_count++] = trace;
    }
    x->retryable = false;
    x->retry_after_ms = 0;
    reply_begin(x->reply);
    double left = x->deadline - clock_ms();
    if (left < 1)
        return error_set(err, S2A_TIMEOUT, "%s: no answer before the request timeout",
                         self->origin);
    fetch_request request = {
        .url = x->url,
        .body = x->body,
        .body_len = x->body_len,
        .headers = headers,
        .header_count = header_count,
        .bearer = self->api_key,
        .connect_timeout_ms = self->connect_timeout_ms,
        .idle_timeout_ms = self->idle_timeout_ms,
        .total_timeout_ms = (uint32_t)left,
        .max_bytes = LIMIT_HTTP_BODY_BYTES,
        .cancel = x->cancel,
        .pool = self->pool,
        .on_data = reply_data,
        .ctx = x->reply,
    };
    fetch_response response;
    s2a_status status = fetch_run(&request, &response, err);
    x->retry_after_ms = response.retry_after_ms;
    status = exchange_verdict(x, status, &response, err);
    fetch_response_free(&response);
    return status;
}

/* Doubles with each attempt, and varies at random by a quarter, so that clients that failed
 * together do not retry together. The clock is random enough. */
static double backoff_ms(uint32_t attempt)
{
    double wait = BACKOFF_MAX_MS;
    if (attempt < 5)
        wait = BACKOFF_FIRST_MS << attempt;
    uint64_t mix = (uint64_t)(clock_ms() * 1e6) * UINT64_C(0x9E3779B97F4A7C15);
    return wait * (0.75 + 0.5 * (double)(mix >> 40) / (double)(1 << 24));
}

static s2a_status wait_ms(double ms, const s2a_cancel *cancel, s2a_error *err)
{
    for (double end = clock_ms() + ms, left = ms; left > 0; left = end - clock_ms()) {
        if (cancel_fired(cancel))
            return error_set(err, S2A_CANCELLED, "cancelled");
        double slice = left < WAIT_SLICE_MS ? left : WAIT_SLICE_MS;
        struct timespec pause = { .tv_nsec = (long)(slice * 1e6) };
        nanosleep(&pause, NULL);
    }
    return S2A_OK;
}

static s2a_status exchange_run(exchange *x, s2a_error *err)
{
    const http_backend *self = x->self;
    s2a_error fault;
    for (uint32_t attempt = 0;; attempt++) {
        s2a_status status = exchange_try(x, &fault);
        if (status == S2A_OK)
            return S2A_OK;
        double wait = backoff_ms(attempt), asked = (double)x->retry_after_ms;
        wait = asked > wait ? asked : wait;
        bool in_time = clock_ms() + wait < x->deadline;
        if (!x->retryable || attempt >= self->max_retries || !in_time) {
            if (x->retryable && attempt)
                return error_set(err, status, "tried %" PRIu32 " times: %s", attempt + 1,
                                 fault.message);
            return error_set(err, status, "%s", fault.message);
        }
        http_log(self, 1, "http: retry %" PRIu32 " of %" PRIu32 " in %.0f ms: %s", attempt + 1,
                 self->max_retries, wait, fault.message);
        status = wait_ms(wait, x->cancel, err);
        if (status != S2A_OK)
            return status;
    }
}

/* ---- a chat completion ------------------------------------------------------------------- */

/* Sends the request, which it takes ownership of, and again if that may help and on_token was not
 * called. Errors as for generate. */
static s2a_status http_chat_run(const http_backend *self, json_t *request, http_chat *chat,
                                s2a_error *err)
{
    double start = clock_ms();
    backend_usage *usage = chat->usage;
    /* Writes 0.6 as 0.6, not as 0.59999999999999998. */
    char *body = json_dumps(request, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(request);
    *usage = (backend_usage){ 0 };
    if (!body)
        return error_nomem(err);
    reply r = { .self = self, .chat = chat, .usage = usage };
    buf_init(&r.body, LIMIT_HTTP_BODY_BYTES);
    exchange x = {
        .self = self,
        .url = self->chat_url,
        .body = body,
        .body_len = strlen(body),
        .cancel = chat->cancel,
        .deadline = chat->deadline,
        .reply = &r,
    };
    s2a_status status = exchange_run(&x, err);
    char *calls = status == S2A_OK && r.calls ? json_dumps(r.calls, JSON_COMPACT) : NULL;
    if (calls && chat->params->on_calls)
        chat->params->on_calls(chat->params->on_calls_ctx, calls, strlen(calls));
    if (status == S2A_OK && r.calls && !calls)
        status = error_nomem(err);
    free(calls);
    if (!r.has_usage)
        usage->tokens.completion_tokens = r.deltas;
    usage->tokens.ms = clock_ms() - start;
    reply_free(&r);
    free(body);
    return status;
}

/* ---- the backend -------------------------------------------------------------------------- */

static s2a_status http_generate(backend *base, const backend_message *messages, size_t count,
                                const backend_params *params, const backend_draft *draft,
                                backend_token_fn on_token, void *on_token_ctx, backend_usage *usage,
                                s2a_error *err)
{
    (void)draft; /* this API has no drafts */
    const http_backend *self = (const http_backend *)base;
    http_chat chat = {
        .cancel = params->cancel,
        .request_id = params->request_id,
        .trace = params->trace,
        .deadline = clock_ms() + self->request_timeout_ms,
        .on_token = on_token,
        .on_token_ctx = on_token_ctx,
        .params = params,
        .usage = usage,
    };
    json_t *request = NULL;
    *usage = (backend_usage){ 0 };
    s2a_status status = http_ask_new(self->model, messages, count, params, &request, err);
    if (status != S2A_OK)
        return status;
    return http_chat_run(self, request, &chat, err);
}

/* An upper bound without a tokenizer: no token is shorter than a byte. */
static size_t http_count_tokens(backend *base, const char *text, size_t len)
{
    (void)base;
    (void)text;
    return len;
}

static backend_capabilities http_capabilities(const backend *base)
{
    const http_backend *self = (const http_backend *)base;
    return (backend_capabilities){ .model = self->model, .ctx_tokens = self->ctx_tokens };
}

static void http_close(backend *base)
{
    http_backend *self = (http_backend *)base;
    fetch_pool_free(self->pool);
    free(self->chat_url);
    free(self->models_url);
    free(self->model);
    free(self->api_key);
    free(self);
}

static const backend_vtable http_vtable = {
    .generate = http_generate,
    .count_tokens = http_count_tokens,
    .capabilities = http_capabilities,
    .close = http_close,
};

/* ---- opening ---------------------------------------------------------------------------- */

/* The context length of one entry of the model list: vLLM, OpenRouter, Groq, LM Studio,
 * llama-server; 0 if the server does not report it. */
static uint32_t listed_context(const json_t *entry)
{
    static const char *const keys[] = { "max_model_len",      "context_length", "context_window",
                                        "max_context_length", "n_ctx",          "n_ctx_train" };
    const json_t *places[] = { entry, json_object_get(entry, "meta") };
    for (size_t p = 0; p < 2; p++)
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            uint64_t tokens = json_count(places[p], keys[k], 0);
            if (tokens > 0 && tokens <= UINT32_MAX)
                return (uint32_t)tokens;
        }
    return 0;
}

/* Takes the model's name and context length from the list, unless they are given. */
static s2a_status read_models(http_backend *self, const buf *body, s2a_error *err)
{
    s2a_status status = S2A_OK;
    json_t *root = http_parse_json(body->data ? body->data : "", body->len);
    const json_t *list = json_is_array(root) ? root : json_object_get(root, "data"), *found = NULL;
    for (size_t i = 0; !found && i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *id = json_string_value(json_object_get(entry, "id"));
        if (id && (!self->model || !strcmp(id, self->model)))
            found = entry;
    }
    if (!found && !self->model) {
        status = error_set(err, S2A_UNAVAILABLE, "%s: the server lists no model: name one",
                           self->origin);
    } else if (!found) {
        http_log(self, 1, "http: %s: the server does not list the model \"%s\"", self->origin,
                 self->model);
    } else {
        if (!self->model)
            self->model = strdup(json_string_value(json_object_get(found, "id")));
        if (!self->model)
            status = error_nomem(err);
        if (!self->ctx_tokens)
            self->ctx_tokens = listed_context(found);
    }
    json_decref(root);
    return status;
}

/* GET {base}/models. If the model's name is given, the list is needed only for the context length:
 * it may be missing or refused, but the server must be reachable. */
static s2a_status http_discover(http_backend *self, s2a_error *err)
{
    backend_usage usage = { 0 };
    reply r = { .self = self, .usage = &usage, .kind = BODY_JSON };
    buf_init(&r.body, LIMIT_HTTP_BODY_BYTES);
    bool optional = self->model != NULL;
    uint32_t limit_ms = self->request_timeout_ms;
    if (optional && limit_ms > LOOKUP_MAX_MS)
        limit_ms = LOOKUP_MAX_MS;
    exchange x = {
        .self = self, .url = self->models_url, .deadline = clock_ms() + limit_ms, .reply = &r
    };
    s2a_error fault = { 0 };
    s2a_status status = exchange_run(&x, &fault);
    if (status == S2A_OK)
        status = read_models(self, &r.body, &fault);
    reply_free(&r);
    if (status == S2A_OK)
        return S2A_OK;
    if (!optional || status == S2A_UNAVAILABLE || status == S2A_NOMEM || status == S2A_ARGUMENT)
        return error_set(err, status, "%s", fault.message);
    http_log(self, 2, "http: context length not known: %s", fault.message);
    return S2A_OK;
}

static s2a_status set_urls(http_backend *self, const char *url, s2a_error *err)
{
    base_url base;
    s2a_status status = base_url_read("url", url, &base, err);
    if (status == S2A_OK) {
        if (asprintf(&self->chat_url, "%s%s/chat/completions", base.origin, base.path) < 0)
            self->chat_url = NULL;
        if (asprintf(&self->models_url, "%s%s/models", base.origin, base.path) < 0)
            self->models_url = NULL;
        if (!self->chat_url || !self->models_url)
            status = error_nomem(err);
        else
            fetch_origin(self->chat_url, self->origin, sizeof self->origin);
    }
    base_url_free(&base);
    return status;
}

static bool copy_string(char **copy, const char *text)
{
    *copy = text && *text ? strdup(text) : NULL;
    return *copy || !text || !*text;
}

static uint32_t or_default(uint32_t given, uint32_t otherwise)
{
    return given ? given : otherwise;
}

s2a_status backend_http_open(const s2a_engine_options *options, const backend *judge, backend **out,
                             s2a_error *err)
{
    (void)judge;
    *out = NULL;
    http_backend *self = calloc(1, sizeof *self);
    if (!self)
        return error_nomem(err);
    self->base.vtable = &http_vtable;
    self->ctx_tokens = options->ctx_tokens;
    self->connect_timeout_ms = or_default(options->connect_timeout_ms, 10000);
    self->idle_timeout_ms = or_default(options->idle_timeout_ms, 120000);
    self->request_timeout_ms = or_default(options->request_timeout_ms, 3600000);
    self->max_retries = options->max_retries;
    self->log = options->log;
    self->log_ctx = options->log_ctx;
    self->pool = fetch_pool_new();
    s2a_status status = set_urls(self, options->url, err);
    if (status == S2A_OK && (!self->pool || !copy_string(&self->model, options->model) ||
                             !copy_string(&self->api_key, options->api_key)))
        status = error_nomem(err);
    if (status == S2A_OK && self->model &&
        utf8_valid_prefix(self->model, strlen(self->model)) != strlen(self->model))
        status = error_set(err, S2A_ARGUMENT, "model: the name is not UTF-8");
    if (status == S2A_OK && (!self->model || !self->ctx_tokens))
        status = http_discover(self, err);
    if (status != S2A_OK) {
        http_close(&self->base);
        return status;
    }
    *out = &self->base;
    return S2A_OK;
}
