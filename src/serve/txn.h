/* Shared by the files of serve: the server, and one request in it (txn). No other file includes
 * it. */
#ifndef S2A_SERVE_TXN_H
#define S2A_SERVE_TXN_H

#include "base/base_url.h"
#include "serve/access_log.h"
#include "serve/engines.h"
#include "serve/headers.h"
#include "serve/http_server.h"
#include "serve/keys.h"
#include "serve/metrics.h"
#include "serve/pool.h"
#include "serve/reply.h"
#include "serve/serve.h"
#include "serve/sse_filter.h"
#include "serve/upstream.h"

#include <pthread.h>
#include <string.h>

typedef struct txn txn;
typedef struct guardrail guardrail;

struct serve {
    serve_options o;
    base_url base; /* upstream's: its path replaces /v1; other paths are appended to its root */
    bool guarded;  /* no keys, and web pages of other origins are refused */
    http_server *http;
    upstream *up;
    pool *readers; /* parse bodies; they never block */
    pool *pool;    /* workers: step 1 */
    engines *engines;
    access_log *log;
    removed_store *removed; /* NULL = removed texts are not stored */
    metrics metrics;
    pthread_mutex_t lock; /* guards keys and steps */
    keys *keys;
    txn *steps; /* requests in step 1, for pings and the budget */
    atomic_bool draining;
};

/* Step 1 of a request. Its worker writes it. s->lock guards the fields that the tick uses: runs,
 * next and the times. Once it has ended it does not change, and the relay reads its outcome. */
typedef struct txn_step1 {
    bool runs;
    txn *next;                   /* of s->steps */
    double deadline_ms, ping_ms; /* < 0 = none */
    atomic_bool late;
    s2a_cancel *cancel; /* the budget fires only this one */
    bool ran;
    step1_outcome outcome;
} txn_step1;

/* Step 2, or a request that is passed on. One thread at a time uses it: the one that starts the
 * flow, then the flow's; with an engine, the worker. Any thread may use lock, flow and cancel. */
typedef struct txn_relay {
    pthread_mutex_t lock;
    flow *flow; /* the running one; guarded by lock */
    s2a_cancel *cancel;
    char *body; /* sent upstream instead of the call's; NULL = not replaced */
    size_t body_len;
    double started_ms, ms; /* ms < 0: not known */
    s2a_usage usage;
    sse_filter filter; /* of a stream */
    bool filters;
    int status; /* of upstream's response; the members below are for a gathered one */
    http_field *fields;
    size_t field_count;
    buf gathered;
} txn_relay;

/* One request. The server's threads own it until a reader, a worker and a flow own it in turn. It
 * is logged when the last reference is returned. References: the call's, until on_done; a job's; a
 * flow's. */
struct txn {
    serve *s;
    http_call *call;
    atomic_int refs;
    atomic_bool gone; /* the client */
    char *target;     /* the call's in normal form; all decisions use it */
    metrics_route route;
    char id[HEADERS_ID_SIZE];
    const char *key;        /* the client's; NULL = it gave none */
    const char *bearer;     /* Authorization for upstream: the client's, or the server's */
    bool own_authorization; /* the client's Authorization and X-Api-Key may be sent upstream */
    bool model_by_id;       /* GET /v1/models/ID */
    bool cors;      /* an allowed page reads the response: upstream's CORS fields are removed */
    chat_request q; /* the parsed body, of a request with S2A or to the engine */
    reply reply;
    guardrail *guardrail; /* of METRICS_GUARDRAIL */
    bool streaming;       /* the head of an event stream was sent */
    txn_step1 step1;
    txn_relay relay;
    bool done; /* the call has ended, with this outcome */
    http_outcome outcome;
    double done_ms;
};

/* Bytes of a target before its query. */
static inline size_t txn_path_len(const char *target)
{
    return strcspn(target, "?");
}

/* Whether the route's POST is a request to a model. */
static inline bool txn_is_model(const txn *t)
{
    return t->route == METRICS_CHAT || t->route == METRICS_COMPLETIONS ||
           t->route == METRICS_RESPONSES || t->route == METRICS_MESSAGES ||
           t->route == METRICS_COUNT || t->route == METRICS_GUARDRAIL || t->route == METRICS_RERANK;
}

static inline bool txn_reads(const txn *t)
{
    return !strcmp(t->call->method, "GET") || !strcmp(t->call->method, "HEAD");
}

/* Whether the request needs no key: health, for load balancers, and the page, which has no secrets.
 */
static inline bool txn_is_open(const txn *t)
{
    return txn_reads(t) && (t->route == METRICS_HEALTH || t->route == METRICS_PAGE);
}

/* Whether the path is never passed upstream. */
static inline bool txn_is_ours(const txn *t)
{
    return t->route == METRICS_GUARDRAIL || t->route == METRICS_EFFECT ||
           t->route == METRICS_REMOVED;
}

/* With one reference, the call's; NULL when out of memory. */
txn *txn_new(serve *s, http_call *call);
void txn_unref(txn *t);

/* Logs and counts a call that never had a transaction: refused in its head, or without one. */
void txn_log_refused(serve *s, const http_call *call, const http_outcome *o);

/* Responds with an error as JSON. No effect if a response was begun. */
void txn_error(txn *t, int status, const char *message, const char *code);
/* Responds with JSON; takes ownership of value. fallback NULL: no field X-S2A-Fallback. */
void txn_json(txn *t, int status, json_t *value, const char *fallback);
/* Begins an event stream. False if the client is gone. */
bool txn_stream_begin(txn *t);
/* Sends out, if ok; otherwise cuts the stream. Frees out. */
void txn_write(txn *t, buf *out, bool ok);
/* Sends an event; takes ownership of value. */
void txn_event(txn *t, json_t *value);
/* Queues the request for the readers or the workers, with a reference; 503 if the queue is full. */
void txn_submit(txn *t, pool *to);
/* Ends the response with an error: with this status if the head was not sent, else as an event. */
void txn_fail(txn *t, int status, const char *message, const char *code);
/* The fields of upstream's response for the client, as headers_back. */
size_t txn_fields_back(const txn *t, const http_field *fields, size_t count, http_field *out,
                       size_t max);
/* Starts the flow of the request, which gets a reference. False: it was not started, and the
 * response is an error. body NULL: none. target NULL: the request's; must be in normal form. */
bool txn_flow(txn *t, const char *target, const char *body, size_t body_len, bool streamed,
              bool parsed, const flow_handler *handler);
/* Call it at the end of the flow's on_end. */
void txn_flow_ended(txn *t, flow_result result);
/* The status for a flow without a response. */
int txn_flow_status(flow_result result);

/* pass.c: sends the request upstream unchanged, or with relay.body as its body. */
void pass_start(txn *t);
void pass_start_streamed(txn *t);
bool pass_piece(txn *t, const char *data, size_t len);
/* job.c: job_read parses the body on a reader, job_run runs step 1 on a worker. Each returns its
 * reference. */
void job_read(void *ctx);
void job_run(void *ctx);
int job_tick(serve *s);
/* Call them before and after step 1, on its worker: the tick watches the requests in between. */
void job_step_begin(txn *t);
void job_step_end(txn *t);
/* forward.c */
void forward_start(txn *t);
void forward_models(txn *t);
/* embedded_check.c: S2A_INPUT or S2A_MODEL if the engine does not support the request. */
s2a_status embedded_check(txn *t, s2a_error *err);
/* Whether the engine's template and grammars support the request. False if it has responded. */
bool embedded_ready(txn *t);
/* embedded_ask.c: the messages, with tools; the sampling of a choice, counted from 0; the number of
 * choices; whether probabilities are wanted, and of how many tokens. S2A_INPUT with a message for
 * the client, errors of the setters. */
s2a_status embedded_prompt(s2a_request *r, const chat_request *q, s2a_error *err);
s2a_status embedded_sampling(s2a_request *r, const txn *t, size_t choice, s2a_error *err);
s2a_status embedded_choices(const txn *t, size_t *count, s2a_error *err);
s2a_status embedded_logprobs(const txn *t, bool *wanted, uint32_t *top, s2a_error *err);
/* embedded.c */
void embedded_answer(txn *t);
/* METRICS_COUNT */
void embedded_count(txn *t);
void embedded_models(txn *t);
/* guardrail.c: reads the body into t->q and t->guardrail; without texts to judge q.wanted stays
 * false. guardrail_reply responds after step 1. */
s2a_status guardrail_read(txn *t, s2a_error *err);
void guardrail_reply(txn *t);
void guardrail_free(guardrail *g);
/* rerank.c: rerank_check returns S2A_INPUT for a faulty body; rerank_run judges the documents and
 * responds. */
s2a_status rerank_check(const txn *t, s2a_error *err);
void rerank_run(txn *t);
/* entry.c: checks method, Host, Origin and Content-Type. False if it has responded: with an error,
 * or to a preflight. */
bool entry_check(txn *t);
/* Responds with the allowed methods; the body is empty unless status is 405. */
void entry_methods(txn *t, int status, const char *allow);
/* page.c: false if the path is not a file of the page. */
bool page_reply(http_call *call, const char *path, size_t len);

#endif
