/* An HTTP/1.1 server: what the rest of serve needs of libmicrohttpd, and no more. Of the includes
 * of serve only http_internal.h has microhttpd.h, for http_call.c, http_request.c and
 * http_server.c.
 *
 * A call is one request and its answer. It is born when the request line is there and is freed
 * when the connection is done with it and nobody holds a reference. The handler's functions run on
 * the server's threads and must not block; answers may be written from any thread. A connection
 * that waits for an answer costs no thread. */
#ifndef S2A_SERVE_HTTP_SERVER_H
#define S2A_SERVE_HTTP_SERVER_H

#include "s2a.h"

typedef struct http_server http_server;

typedef struct http_field {
    char *name, *value; /* as they came; no CR, LF or NUL in them */
} http_field;

/* What is said of a request; constant once on_head is called, but for the body. */
typedef struct http_call {
    char *method, *target; /* target: as it came, path and query */
    http_field *fields;
    size_t field_count;
    char client[64];     /* the address, without the port */
    int64_t body_length; /* what Content-Length says; -1 = chunked, 0 = there is none */
    bool has_body;
    const char *body; /* whole, NUL-terminated: once on_body is called */
    size_t body_len;
    double start_ms; /* clock_ms() when the request line was there */
    void *user;      /* the handler's */
} http_call;

/* What became of a call. */
typedef struct http_outcome {
    int status;     /* of the answer; 0 = none was begun */
    bool complete;  /* it went out whole */
    double head_ms; /* clock_ms() when the answer began; 0 = it did not */
    uint64_t bytes_in, bytes_out;
} http_outcome;

typedef struct http_handler {
    void *ctx;
    /* The head is there. Unless it answers, or asks for pieces, the body is gathered. */
    void (*on_head)(void *ctx, http_call *call);
    /* The body is there, whole; also when it is empty. Not after an answer was begun. */
    void (*on_body)(void *ctx, http_call *call);
    /* For calls that asked for pieces. False: not now; http_call_more says when. len 0: the end. */
    bool (*on_piece)(void *ctx, http_call *call, const char *data, size_t len);
    /* After http_call_has_room was false: there is room again. */
    void (*on_room)(void *ctx, http_call *call);
    /* The client is gone before its answer was whole; at most once, and before on_done. */
    void (*on_gone)(void *ctx, http_call *call);
    /* The last word on a call, once. */
    void (*on_done)(void *ctx, http_call *call, const http_outcome *outcome);
    /* From time to time; returns the milliseconds until it wants to be called again. */
    int (*on_tick)(void *ctx);
} http_handler;

typedef struct http_server_options {
    const char *host; /* address to bind to; no name */
    uint16_t port;    /* 0 = any */
    const char *tls_cert, *tls_key; /* PEM texts; NULL = no TLS */
    size_t max_body;
    uint32_t max_connections;
    uint32_t head_ms, body_ms;
} http_server_options;

/* The options are copied but for the TLS texts, which must live as long as the server.
 * S2A_ARGUMENT (address), S2A_IO (cannot bind), S2A_NOMEM, S2A_INTERNAL. *out is set before the
 * first request. */
s2a_status http_server_start(const http_server_options *options, const http_handler *handler,
                             http_server **out, s2a_error *err);
uint16_t http_server_port(const http_server *server);
/* on_tick is called soon. */
void http_server_wake(http_server *server);
/* No connection is taken from now on; those that are there end after their answer. */
void http_server_quiesce(http_server *server);
/* Requests whose answer is not whole yet. */
size_t http_server_active(http_server *server);
size_t http_server_connections(http_server *server);
/* Ends all connections, waits for the threads. on_gone and on_done still come. No function of the
 * server or its calls may be called by others while it runs, but for http_call_unref. */
void http_server_stop(http_server *server);
void http_server_free(http_server *server);

/* ---- a call ----------------------------------------------------------------------------- */

/* The first field of that name, in any case; NULL = none. */
const char *http_call_field(const http_call *call, const char *name);

void http_call_ref(http_call *call);
void http_call_unref(http_call *call);

/* In on_head: the body comes in pieces, of any length in all. */
void http_call_stream_body(http_call *call);
/* After on_piece returned false: it is called again. Any thread. */
void http_call_more(http_call *call);
/* Frees the gathered body, once nobody needs it. */
void http_call_drop_body(http_call *call);

/* In on_head: a page of that origin may read the answer, whichever it will be (CORS). False when
 * memory is out. */
bool http_call_allow_origin(http_call *call, const char *origin);

/* Begins the answer. fields are copied; those of the connection, the length and the date's are the
 * server's own. length -1: it is not known. close: the connection ends with it. In on_head, an
 * answer that is begun goes out once the body was read away, unless close. False: one was begun
 * before, the client is gone, memory is out: then the connection is cut; or the fields are too many
 * beside those of the request: then the answer is 502. */
bool http_call_begin(http_call *call, int status, const http_field *fields, size_t field_count,
                     int64_t length, bool close);
/* What is written to a client that has gone is dropped. */
void http_call_write(http_call *call, const char *data, size_t len);
/* True while less than SERVE_OUT_HIGH waits to be sent, or the client is gone; otherwise on_room
 * says when that is so again. */
bool http_call_has_room(http_call *call);
/* The answer is whole; or, with complete false, it never will be: the connection is cut, so that
 * the client sees that. */
void http_call_end(http_call *call, bool complete);
/* A whole answer with one field "Content-Type". */
void http_call_reply(http_call *call, int status, const char *type, const char *body, size_t len,
                     bool close);
bool http_call_begun(http_call *call);

#endif
