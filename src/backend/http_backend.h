/* What the parts of the http backend share: http.c, which asks and opens, and http_score.c. Nobody
 * else includes it. */
#ifndef S2A_BACKEND_HTTP_BACKEND_H
#define S2A_BACKEND_HTTP_BACKEND_H

#include "backend/backend.h"
#include "net/fetch.h"

#include <jansson.h>

/* Set when it is opened and constant after. */
typedef struct http_backend {
    backend base;
    char *chat_url, *models_url, *model, *api_key;
    char origin[300];
    uint32_t ctx_tokens, connect_timeout_ms, idle_timeout_ms, request_timeout_ms, max_retries;
    void (*log)(void *ctx, int level, const char *line);
    void *log_ctx;
    fetch_pool *pool;
} http_backend;

/* One chat completion. Zero-initialise, set what is needed; only usage must be set. */
typedef struct http_chat {
    const s2a_cancel *cancel;
    const char *request_id; /* NULL = none */
    double deadline;        /* of clock_ms() */
    backend_token_fn on_token;
    void *on_token_ctx;
    backend_usage *usage; /* filled also on failure, as far as it is known */
} http_chat;

/* The request that every use begins with: model, messages, temperature, top_p, seed, and max_tokens
 * if there is a limit. The caller has the reference; on failure *out is NULL. S2A_INPUT (a message
 * is not UTF-8), S2A_NOMEM. */
s2a_status http_request_new(const http_backend *self, const backend_message *messages, size_t count,
                            const backend_params *params, json_t **out, s2a_error *err);

/* True when it went in; takes value over in any case. */
bool http_put(json_t *object, const char *key, json_t *value);

/* Sends the request, which it takes over, and again where that may help; a second try begins only
 * where on_token was not called. ok false: the request is not whole, out of memory. Errors as for
 * generate. */
s2a_status http_chat_run(const http_backend *self, json_t *request, bool ok, http_chat *chat,
                         s2a_error *err);

#endif
