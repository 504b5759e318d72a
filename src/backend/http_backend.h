/* What the parts of the http backend share: http.c, which asks and opens, and http_score.c. Nobody
 * else includes it. */
#ifndef S2A_BACKEND_HTTP_BACKEND_H
#define S2A_BACKEND_HTTP_BACKEND_H

#include "backend/backend.h"
#include "net/fetch.h"

#include <jansson.h>
#include <stdatomic.h>

/* Set when it is opened and constant after, but for the last three, which score finds out. */
typedef struct http_backend {
    backend base;
    char *chat_url, *models_url, *model, *api_key;
    char origin[300];
    uint32_t ctx_tokens, connect_timeout_ms, idle_timeout_ms, request_timeout_ms, max_retries;
    void (*log)(void *ctx, int level, const char *line);
    void *log_ctx;
    fetch_pool *pool;
    atomic_bool no_logprobs;        /* it gives none */
    atomic_bool no_prompt_logprobs; /* it does not know vLLM's field of that name */
    atomic_bool no_continue;        /* it refuses the fields that ask for the turn to go on */
} http_backend;

/* One chat completion. Zero-initialise, set what is needed; only usage must be set. */
typedef struct http_chat {
    const s2a_cancel *cancel;
    const char *request_id; /* NULL = none */
    double deadline;        /* of clock_ms() */
    backend_token_fn on_token;
    void *on_token_ctx;
    /* Each JSON object of an answer: the whole, or an event of a stream. */
    void (*on_object)(void *ctx, const json_t *root);
    /* The body of a response that says that the request is not taken as it is: 400, 422, 501. */
    void (*on_refusal)(void *ctx, const char *body);
    void *ctx; /* of these two */
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

/* backend_vtable.score */
s2a_status http_score(backend *base, const backend_message *messages, size_t count,
                      const backend_branch *branches, size_t branch_count,
                      const char *const *labels, size_t label_count, const backend_params *params,
                      double *logprob, backend_usage *usage, s2a_error *err);

#endif
