/* Requests to upstream: any number of them on four threads, over libcurl. upstream.c and
 * base/fetch.c are the only files that include curl.h. Bytes are passed on as they arrive, without
 * buffering whole bodies, and connections are reused.
 *
 * A flow is one request and its response. Its callbacks run on one of the four threads, always the
 * same, and must not block. It is freed when it has ended and there is no reference to it. */
#ifndef S2A_SERVE_UPSTREAM_H
#define S2A_SERVE_UPSTREAM_H

#include "serve/http_server.h"

typedef struct upstream upstream;
typedef struct flow flow;

typedef enum flow_result {
    FLOW_DONE,      /* the response is complete */
    FLOW_CANCELLED, /* flow_cancel */
    FLOW_CONNECT,   /* no connection */
    FLOW_TIMEOUT,
    FLOW_BROKEN, /* the connection broke, or the response is not HTTP */
    FLOW_NOMEM,
} flow_result;

typedef struct flow_handler {
    /* The head of the final response. fields are valid during the call. length -1: unknown. */
    void (*on_head)(void *ctx, int status, const http_field *fields, size_t count, int64_t length);
    /* A piece of the body. False: no room; the piece comes again after flow_resume. */
    bool (*on_data)(void *ctx, const char *data, size_t len);
    /* The end, once. why: one line, without the URL's user, path and query; "" for FLOW_DONE. */
    void (*on_end)(void *ctx, flow_result result, const char *why);
    /* The data of flow_send was sent: there is room. */
    void (*on_sent)(void *ctx);
} flow_handler;

typedef struct flow_request {
    const char *method, *url; /* url: scheme, host and port */
    const char *target;       /* path and query, sent as they are */
    const http_field *fields; /* libcurl adds Host and the fields of the connection */
    size_t field_count;
    const char *body; /* borrowed until on_end; NULL = none, or streamed */
    size_t body_len;
    bool streamed;           /* the body comes through flow_send */
    int64_t streamed_length; /* -1 = unknown: chunked */
    const char *bearer;      /* replaces the Authorization in fields; NULL = do not replace it */
} flow_request;

typedef struct upstream_options {
    uint32_t connect_ms, idle_ms;
} upstream_options;

/* S2A_NOMEM, S2A_IO, S2A_INTERNAL. */
s2a_status upstream_start(const upstream_options *options, upstream **out, s2a_error *err);
/* Cancels running flows and waits for the threads. */
void upstream_stop(upstream *up);

/* Copies everything except the body. The caller has a reference. NULL when out of memory, or if a
 * field cannot be sent; then no callback is called. */
flow *flow_start(upstream *up, const flow_request *request, const flow_handler *handler, void *ctx);
void flow_unref(flow *f);

/* Any thread. on_end is called, with FLOW_CANCELLED unless the flow had ended. */
void flow_cancel(flow *f);
/* Call it after on_data returned false. Any thread. */
void flow_resume(flow *f);
/* Sends a piece of a streamed body. False: there is no room; try again after on_sent. */
bool flow_send(flow *f, const char *data, size_t len);
void flow_send_end(flow *f);

#endif
