/* Shared by the three files of the HTTP server: http_call.c (responses), http_request.c (reading
 * requests), http_server.c (connections, threads, start and stop). No other file includes it,
 * because it includes microhttpd.h (MHD).
 *
 * Locks: server->gone_lock is taken before all others. server->lock guards the table of
 * connections, call->lock the response; server->lock is never taken while call->lock is held. No
 * function of the handler is called with one of these two held. A call's flag `suspended` and MHD's
 * suspension change together under its lock. "MHD's thread" is the thread of the connection. */
#ifndef S2A_SERVE_HTTP_INTERNAL_H
#define S2A_SERVE_HTTP_INTERNAL_H

#include "base/buf.h"
#include "serve/http_server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

typedef enum phase {
    PHASE_FIRST, /* before the end of the first head */
    PHASE_IDLE,  /* between two requests, or in the head of a later one */
    PHASE_BODY,
    PHASE_WORK, /* the request is complete */
} phase;

typedef enum body_mode { BODY_GATHER, BODY_PIECES, BODY_DISCARD } body_mode;

typedef struct conn {
    int socket; /* also its index in the table */
    uint32_t generation;
    bool started; /* MHD owns it */
    phase phase;
    double since; /* clock_ms() when the phase began */
    struct call *call;
    bool over;      /* past the connection limit: it gets 503 */
    double hung_up; /* clock_ms() when the client closed its side; 0 = it did not */
} conn;

typedef struct call {
    http_call pub; /* first */
    http_server *server;
    conn *conn; /* MHD's thread only */
    atomic_int refs;
    buf body;
    body_mode mode;
    bool head_seen, body_done; /* MHD's thread only */
    size_t head_bytes;         /* bytes of the connection's memory that the request's head uses */
    char *origin; /* the origin that may read the response, set before it begins; NULL = none */
    pthread_mutex_t lock;
    /* from here on guarded by lock */
    struct MHD_Connection *connection; /* NULL once MHD is done with the call */
    struct MHD_Response *response;
    bool suspended, begun, queued, ended, cut, gone, gone_told, known, wants_room, more, close;
    int status;
    int64_t length; /* -1 = unknown */
    double head_ms;
    uint64_t bytes_in, bytes_out;
    buf out;
    size_t out_at;
} call;

struct http_server {
    http_server_options options;
    http_handler handler;
    struct MHD_Daemon *daemon;
    uint16_t port;
    bool tls;
    int epoll, wake;
    int listener; /* -1 = closed; guarded by lock once the watch thread runs */
    bool full;    /* accepting is paused; used by the watch thread only */
    pthread_t watch;
    bool watching;
    atomic_bool stopping, quiesced;
    pthread_mutex_t lock, gone_lock; /* gone_lock is taken before all others */
    conn **slots;                    /* connections by socket, from accept4 until they are closed */
    size_t slot_count;
    uint32_t generation;
    size_t connections, active;
    bool closing; /* no more requests are accepted */
};

/* NULL when out of memory. */
call *http_call_new(http_server *server, const char *target);
/* Tells the handler, once, that the client is gone or will not get a complete response. Holds the
 * server's gone_lock meanwhile, so that on_done comes later. */
void http_call_gone(call *c);
/* Gives MHD the response that was begun. On MHD's thread. */
enum MHD_Result http_call_queue(call *c);
/* Responds with our own error; why must need no escaping in JSON. */
void http_call_error(http_call *pub, int status, const char *why, bool close);

/* On MHD's thread: the head of a request, a piece of its body, and its end. */
enum MHD_Result http_request_head(call *c, struct MHD_Connection *connection, const char *method,
                                  const char *version);
enum MHD_Result http_request_body(call *c, const char *data, size_t *len);
enum MHD_Result http_request_work(call *c);

/* Sets the phase of the call's connection. On MHD's thread. */
void http_conn_phase(call *c, phase p);

#endif
