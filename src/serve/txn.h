/* Shared by the files of serve: the server, and one request in it (txn). No other file includes
 * it. */
#ifndef S2A_SERVE_TXN_H
#define S2A_SERVE_TXN_H

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

typedef struct txn txn;

struct serve {
    serve_options o;
    char *origin;    /* upstream's scheme, host and port */
    char *base_path; /* upstream's path for our /v1 */
    char *root_path; /* upstream's prefix of all other paths */
    bool guarded;    /* check for web pages: no keys, and a loopback address or allow_hosts */
    http_server *http;
    upstream *up;
    pool *readers; /* parse bodies; they never block */
    pool *pool;    /* workers: step 1 */
    engines *engines;
    access_log *log;
    metrics metrics;
    pthread_mutex_t lock; /* guards keys and steps */
    keys *keys;
    txn *steps; /* requests in step 1, for pings and the budget */
    atomic_bool draining;
};

/* One request. The call has a reference until on_done; a job and a flow have one each. */
struct txn {
    serve *s;
    http_call *call;
    atomic_int refs;
    char *target; /* the call's target in normal form; all decisions use it */
    metrics_route route;
    char id[HEADERS_ID_SIZE];
    const char *bearer; /* Authorization for upstream: the client's, or the server's */
    bool own_authorization; /* the client's Authorization may be sent upstream */
    bool model_by_id;   /* GET /v1/models/ID */
    bool cors;          /* a page of another origin reads the response: drop upstream's CORS */
    pthread_mutex_t lock;
    flow *flow; /* guarded by lock; the running flow */
    atomic_bool gone, late;
    s2a_cancel *cancel[2]; /* of the two steps; the budget cancels the first one only */
    /* guarded by s->lock, for the list s->steps */
    bool stepping;
    txn *step_next;
    double step_deadline, ping_at; /* < 0 = none */
    /* for requests with S2A, or answered by the engine */
    chat_request q;
    bool streaming; /* the head of an event stream was sent */
    step1_outcome s1;
    bool s1_ran;
    char *body; /* sent upstream instead of the call's body */
    size_t body_len;
    double step2_start, step2_ms; /* step2_ms < 0: unknown */
    s2a_usage usage2;
    reply reply;
    sse_filter filter;
    bool filtering;
    /* for a response of upstream that is buffered */
    int up_status;
    http_field *up_fields;
    size_t up_field_count;
    buf whole;
    /* once the call is done; the last reference logs it */
    bool done;
    http_outcome outcome;
    double done_ms;
};

void txn_ref(txn *t);
void txn_unref(txn *t);

/* Responds with our own error, as JSON. Does nothing if a response was begun. */
void txn_error(txn *t, int status, const char *message, const char *code);
/* Responds with JSON; takes ownership of value. fallback NULL: no field X-S2A-Fallback. */
void txn_json(txn *t, int status, json_t *value, const char *fallback);
/* Begins an event stream. False if the client is gone. */
bool txn_stream_begin(txn *t);
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

/* pass.c: sends the request upstream unchanged, or with t->body instead of its body. */
void pass_start(txn *t);
void pass_start_streamed(txn *t);
bool pass_piece(txn *t, const char *data, size_t len);
/* job.c: job_read parses the body on a reader, job_run runs step 1 on a worker. Each returns its
 * reference. */
void job_read(void *ctx);
void job_run(void *ctx);
int job_tick(serve *s);
/* forward.c */
void forward_start(txn *t);
void forward_models(txn *t);
/* embedded.c: S2A_INPUT or S2A_MODEL if the engine cannot do what the request asks for. */
s2a_status embedded_check(const chat_request *q, const char *model, s2a_error *err);
void embedded_answer(txn *t);
void embedded_models(txn *t);
/* entry.c: checks method, Host, Origin and Content-Type. False if it has responded: with an error,
 * or to a preflight. */
bool entry_check(txn *t);
/* Responds with the allowed methods; the body is empty unless status is 405. */
void entry_methods(txn *t, int status, const char *allow);
/* page.c: false if the path is not a file of the page. */
bool page_reply(http_call *call, const char *path, size_t len);

#endif
