/* What the files of serve share: the server, and one request on its way through it. Nobody else
 * includes this. */
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

struct serve {
    serve_options o;
    base_url base; /* of upstream: its path stands for /v1, and other paths go after its root */
    bool guarded;  /* whoever is on this machine may ask, and no web page may */
    http_server *http;
    upstream *up;
    pool *readers; /* of bodies; they wait for nothing */
    pool *pool;    /* step 1 */
    engines *engines;
    access_log *log;
    metrics metrics;
    pthread_mutex_t lock; /* keys and steps */
    keys *keys;
    txn *steps; /* in step 1: for pings and the budget */
    atomic_bool draining;
};

/* Step 1 of a request. The worker that runs it writes; what the tick reads (runs, next, the times) is under
 * s->lock. When it has ended nobody writes any more, and the relay reads its outcome. */
typedef struct txn_step1 {
    bool runs;
    txn *next; /* of s->steps */
    double deadline_ms, ping_ms; /* < 0 = none */
    atomic_bool late;
    s2a_cancel *cancel; /* the budget fires this one alone */
    bool ran;
    step1_outcome outcome;
} txn_step1;

/* Step 2 on its way back to the client, or a request that is passed on. One thread at a time writes: the one
 * that starts the flow, then the flow's; with an engine, the worker. Only lock and flow are for all. */
typedef struct txn_relay {
    pthread_mutex_t lock;
    flow *flow; /* under lock; the one that runs */
    s2a_cancel *cancel;
    char *body; /* what is sent upstream in place of the call's */
    size_t body_len;
    double started_ms, ms; /* ms < 0: not known */
    s2a_usage usage;
    sse_filter filter; /* of a stream */
    bool filters;
    int status; /* of the upstream response; with those below where it is gathered */
    http_field *fields;
    size_t field_count;
    buf gathered;
} txn_relay;

/* One request. The server's threads write what stands here until it is handed to a reader, a worker or a flow,
 * which then own it in turn; at the end the last reference logs it. References: the call's, until on_done; one
 * of a job, one of a flow. */
struct txn {
    serve *s;
    http_call *call;
    atomic_int refs;
    atomic_bool gone; /* the client */
    char *target; /* the call's in normal form; what is decided is decided by it */
    metrics_route route;
    char id[HEADERS_ID_SIZE];
    const char *bearer; /* what goes upstream as Authorization: the call's own, or the server's */
    bool own_authorization; /* the call's Authorization may go upstream */
    bool model_by_id;   /* GET /v1/models/ID */
    bool cors;          /* a page of another origin reads the answer: upstream has no say in that */
    chat_request q;     /* a request with S2A, or one that the engine answers; and how it is answered */
    reply reply;
    bool streaming;     /* the head of an event stream has gone out */
    txn_step1 step1;
    txn_relay relay;
    bool done; /* the call is, and this is how */
    http_outcome outcome;
    double done_ms;
};

/* Bytes of a target before its query. */
static inline size_t txn_path_len(const char *target)
{
    return strcspn(target, "?");
}

/* With one reference, the call's; NULL when memory is out. */
txn *txn_new(serve *s, http_call *call);
void txn_unref(txn *t);

/* Logs and counts a call that never had a transaction: refused in its head, or without one. */
void txn_log_refused(serve *s, const http_call *call, const http_outcome *o);

/* An error of ours as JSON; the status of the answer. Nothing if an answer was begun. */
void txn_error(txn *t, int status, const char *message, const char *code);
/* JSON; takes value over. fallback NULL: no field X-S2A-Fallback. */
void txn_json(txn *t, int status, json_t *value, const char *fallback);
/* Begins an event stream. False when the client is gone. */
bool txn_stream_begin(txn *t);
/* An event; takes value over. */
void txn_event(txn *t, json_t *value);
/* To the readers, or to the workers, with a reference; 503 when their queue is full. */
void txn_submit(txn *t, pool *to);
/* Ends the answer with an error: of the status where the head has not gone, else as an event. */
void txn_fail(txn *t, int status, const char *message, const char *code);
/* The fields of an answer of upstream that go on to the client, as headers_back. */
size_t txn_fields_back(const txn *t, const http_field *fields, size_t count, http_field *out,
                       size_t max);
/* Starts a flow as the one of the transaction, which gets a reference; false: none was started, and
 * the answer is an error. body NULL: none; target NULL: the call's own. A target is in normal
 * form. */
bool txn_flow(txn *t, const char *target, const char *body, size_t body_len, bool streamed,
              bool parsed, const flow_handler *handler);
/* The flow has ended: to be called in on_end, last. */
void txn_flow_ended(txn *t, flow_result result);
/* The status for a flow that gave no answer. */
int txn_flow_status(flow_result result);

/* pass.c: the request as it came, or with relay.body in place of its body. */
void pass_start(txn *t);
void pass_start_streamed(txn *t);
bool pass_piece(txn *t, const char *data, size_t len);
/* job.c: reads the body on a reader, and does step 1 on a worker. Each has a reference, which it gives
 * back. */
void job_read(void *ctx);
void job_run(void *ctx);
int job_tick(serve *s);
/* forward.c */
void forward_start(txn *t);
void forward_models(txn *t);
/* embedded.c: S2A_INPUT or S2A_MODEL where the request has what the engine cannot do. */
s2a_status embedded_check(const chat_request *q, const char *model, s2a_error *err);
void embedded_answer(txn *t);
void embedded_models(txn *t);
/* entry.c: whether the request may be made at all, from where it comes and as what; answered if not,
 * and if it only asks what it may do. */
bool entry_check(txn *t);
/* An answer without a body but that of an error: the methods that there are. */
void entry_methods(txn *t, int status, const char *allow);
/* page.c: false when the path is none of the page's. */
bool page_reply(http_call *call, const char *path, size_t len);

#endif
