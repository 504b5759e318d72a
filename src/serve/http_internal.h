/* What the three files of the HTTP server share: http_call.c, the answer; http_request.c, reading
 * a request; http_server.c, connections, threads, starting and stopping. Nobody else includes it:
 * it brings microhttpd.h (MHD).
 *
 * Locks: server->gone_lock is taken before all others; server->lock guards the table of
 * connections, call->lock the answer, and the first is never taken while the second is held. No
 * function of the handler is called with one of these two held. A call is suspended exactly when
 * its flag says so: both change under its lock. "MHD's thread" is the one that the connection
 * belongs to. */
#ifndef S2A_SERVE_HTTP_INTERNAL_H
#define S2A_SERVE_HTTP_INTERNAL_H

#include "base/buf.h"
#include "serve/http_server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

typedef enum phase {
    PHASE_FIRST, /* nothing but a part of the first head came */
    PHASE_IDLE,  /* between two requests, or in the head of a later one */
    PHASE_BODY,
    PHASE_WORK, /* the request is whole */
} phase;

typedef enum body_mode { BODY_GATHER, BODY_PIECES, BODY_DISCARD } body_mode;

typedef struct conn {
    int socket; /* its place in the table, too */
    uint32_t generation;
    bool started; /* MHD has taken it over */
    phase phase;
    double since; /* clock_ms() when the phase began */
    struct call *call;
    bool over; /* one too many: it gets 503 */
    double hung_up; /* clock_ms() when the client ended its side; 0 = it did not */
} conn;

typedef struct call {
    http_call pub; /* first */
    http_server *server;
    conn *conn; /* MHD's thread only */
    atomic_int refs;
    buf body;
    body_mode mode;
    bool head_seen, body_done; /* MHD's thread only */
    size_t head_bytes;         /* what the request's head takes of the connection's memory */
    char *origin;              /* that may read the answer; NULL = none. Set before it begins */
    pthread_mutex_t lock;
    /* under lock */
    struct MHD_Connection *connection; /* NULL once it is done with the call */
    struct MHD_Response *response;
    bool suspended, begun, queued, ended, cut, gone, gone_told, known, wants_room, more, close;
    int status;
    int64_t length; /* -1 = not known */
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
    int listener; /* -1 = closed; under lock once the watch runs */
    bool full;    /* the listener is not asked; the watch's, as is the next */
    bool starved; /* for want of descriptors or memory: a tick asks again */
    pthread_t watch;
    bool watching;
    atomic_bool stopping, quiesced;
    pthread_mutex_t lock, gone_lock; /* gone_lock is taken before all others */
    conn **slots; /* by socket; a connection is in it from accept4 until it is closed */
    size_t slot_count;
    uint32_t generation;
    size_t connections, active;
    bool closing; /* no request is taken any more */
};

/* NULL when out of memory. */
call *http_call_new(http_server *server, const char *target);
/* The client is gone, or will not get a whole answer: tells the handler, once. The server's
 * gone_lock is held until it knows, so that on_done comes after. */
void http_call_gone(call *c);
/* Hands MHD the answer that was begun. On MHD's thread. */
enum MHD_Result http_call_queue(call *c);
/* An error of ours; why must be fit for JSON. */
void http_call_error(http_call *pub, int status, const char *why, bool close);

/* On MHD's thread: the first look at a request, a piece of its body, and its end. */
enum MHD_Result http_request_head(call *c, struct MHD_Connection *connection, const char *method,
                                  const char *version);
enum MHD_Result http_request_body(call *c, const char *data, size_t *len);
enum MHD_Result http_request_work(call *c);

/* The connection of the call goes over to another phase. On MHD's thread. */
void http_conn_phase(call *c, phase p);

#endif
