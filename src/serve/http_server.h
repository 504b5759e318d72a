/* An HTTP/1.1 server, over libmicrohttpd. Only http_internal.h includes microhttpd.h, for
 * http_call.c, http_request.c and http_server.c.
 *
 * A call is one request and its response. It is created when the request line has arrived, and
 * freed when the connection is done with it and there is no reference to it. The handler's
 * functions run on the server's threads and must not block; responses may be written from any
 * thread. A connection that waits for a response needs no thread. */
#ifndef S2A_SERVE_HTTP_SERVER_H
#define S2A_SERVE_HTTP_SERVER_H

#include "s2a.h"

typedef struct http_server http_server;

typedef struct http_field {
    char *name, *value; /* as received; without CR, LF or NUL */
} http_field;

/* A request. Constant once on_head is called, except the body. */
typedef struct http_call {
    char *method, *target; /* target: path and query as received */
    http_field *fields;
    size_t field_count;
    char client[64];     /* the address, without the port */
    int64_t body_length; /* from Content-Length; -1 = chunked, 0 = no body */
    bool has_body;
    const char *body; /* complete and NUL-terminated once on_body is called */
    size_t body_len;
    double start_ms; /* clock_ms() when the request line had arrived */
    void *user;      /* for the handler */
} http_call;

/* The end of a call. */
typedef struct http_outcome {
    int status;     /* of the response; 0 = none was begun */
    bool complete;  /* it was sent completely */
    double head_ms; /* clock_ms() when the response began; 0 = it did not */
    uint64_t bytes_in, bytes_out;
} http_outcome;

typedef struct http_handler {
    void *ctx;
    /* The head has arrived. The server then collects the body, unless this function responds or
     * calls http_call_stream_body. */
    void (*on_head)(void *ctx, http_call *call);
    /* The complete body has arrived; called for an empty one too, but not after a response
     * began. */
    void (*on_body)(void *ctx, http_call *call);
    /* A piece of a streamed body; len 0 is its end. Returns false if it cannot take the piece now;
     * http_call_more then has it called again. */
    bool (*on_piece)(void *ctx, http_call *call, const char *data, size_t len);
    /* After http_call_has_room returned false: there is room again. */
    void (*on_room)(void *ctx, http_call *call);
    /* The client left before its response was complete; at most once, and before on_done. */
    void (*on_gone)(void *ctx, http_call *call);
    /* The last function that is called for a call, once. */
    void (*on_done)(void *ctx, http_call *call, const http_outcome *outcome);
    /* Called from time to time; returns the milliseconds until it must be called again, or -1. */
    int (*on_tick)(void *ctx);
} http_handler;

typedef struct http_server_options {
    const char *host;               /* address to bind to, not a name */
    uint16_t port;                  /* 0 = any */
    const char *tls_cert, *tls_key; /* PEM texts; NULL = no TLS */
    size_t max_body;
    uint32_t max_connections;
    uint32_t head_ms, body_ms;
} http_server_options;

/* Copies the options, except the TLS texts, which must live as long as the server. S2A_ARGUMENT
 * (address), S2A_IO (cannot bind), S2A_NOMEM, S2A_INTERNAL. *out is set before the first
 * request. */
s2a_status http_server_start(const http_server_options *options, const http_handler *handler,
                             http_server **out, s2a_error *err);
uint16_t http_server_port(const http_server *server);
/* Makes the server call on_tick soon. */
void http_server_wake(http_server *server);
/* Accepts no more connections; open ones end after their response. */
void http_server_quiesce(http_server *server);
/* The number of requests without a complete response. */
size_t http_server_active(http_server *server);
size_t http_server_connections(http_server *server);
/* Ends all connections and waits for the threads. on_gone and on_done are still called. Meanwhile
 * other threads may call no function of the server or its calls, except http_call_unref. */
void http_server_stop(http_server *server);
void http_server_free(http_server *server);

/* ---- a call ----------------------------------------------------------------------------- */

/* The first field of that name, in any case; NULL = none. */
const char *http_call_field(const http_call *call, const char *name);

void http_call_ref(http_call *call);
void http_call_unref(http_call *call);

/* In on_head: the body, of any length, goes to on_piece. */
void http_call_stream_body(http_call *call);
/* After on_piece returned false: has it called again. Any thread. */
void http_call_more(http_call *call);
/* Frees the collected body. */
void http_call_drop_body(http_call *call);

/* In on_head: a page of that origin may read the response, even an error (CORS). False when out of
 * memory. */
bool http_call_allow_origin(http_call *call, const char *origin);

/* Begins the response. Copies fields; the server adds those of the connection, the length and the
 * date. length -1: unknown. close: the connection ends with the response. A response begun in
 * on_head is sent once the body has been read and discarded, unless close. False if a response was
 * begun before, if the client is gone, when out of memory (the connection is then cut), or if there
 * is no room for the fields beside the request's (the response is then 502). */
bool http_call_begin(http_call *call, int status, const http_field *fields, size_t field_count,
                     int64_t length, bool close);
/* Appends to the body; drops the data if the client is gone. */
void http_call_write(http_call *call, const char *data, size_t len);
/* True if less than SERVE_OUT_HIGH waits to be sent, or the client is gone; otherwise on_room is
 * called when there is room. */
bool http_call_has_room(http_call *call);
/* Ends the response. complete false: it cannot be completed; the connection is cut, so that the
 * client notices. */
void http_call_end(http_call *call, bool complete);
/* A complete response with one field, Content-Type. */
void http_call_reply(http_call *call, int status, const char *type, const char *body, size_t len,
                     bool close);
bool http_call_begun(http_call *call);

#endif
