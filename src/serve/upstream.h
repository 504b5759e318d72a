/* Requests to the server behind: any number of them on one thread, over libcurl. upstream.c and
 * base/fetch.c are the only files that include curl.h. Bytes go through as they come, nothing is
 * gathered, and connections are kept for the next request.
 *
 * A flow is one request and its answer. Its callbacks run on the thread of all flows and must not
 * block. It is freed when it has ended and nobody holds a reference. */
#ifndef S2A_SERVE_UPSTREAM_H
#define S2A_SERVE_UPSTREAM_H

#include "serve/http_server.h"

typedef struct upstream upstream;
typedef struct flow flow;

typedef enum flow_result {
    FLOW_DONE,      /* the answer came whole */
    FLOW_CANCELLED, /* flow_cancel */
    FLOW_CONNECT,   /* no connection */
    FLOW_TIMEOUT,
    FLOW_BROKEN, /* the connection broke, or what came is no HTTP */
    FLOW_NOMEM,
} flow_result;

typedef struct flow_handler {
    /* The head of the final answer. The fields are valid during the call. length -1: not known. */
    void (*on_head)(void *ctx, int status, const http_field *fields, size_t count, int64_t length);
    /* False: there is too much already; it comes again after flow_resume. */
    bool (*on_data)(void *ctx, const char *data, size_t len);
    /* The last word, once. why: one line, without the URL's user, path and query; "" if done. */
    void (*on_end)(void *ctx, flow_result result, const char *why);
    /* What flow_send took has gone: there is room. */
    void (*on_sent)(void *ctx);
} flow_handler;

typedef struct flow_request {
    const char *method, *url; /* url: scheme, host and port */
    const char *target;       /* path and query, sent as they are */
    const http_field *fields; /* Host and those of the connection are libcurl's own */
    size_t field_count;
    const char *body; /* borrowed until on_end; NULL = none, or streamed */
    size_t body_len;
    bool streamed;          /* the body comes by flow_send */
    int64_t streamed_length; /* -1 = not known: chunked */
    const char *bearer;     /* an Authorization in place of that of fields; NULL = theirs */
} flow_request;

typedef struct upstream_options {
    uint32_t connect_ms, idle_ms;
} upstream_options;

/* S2A_NOMEM, S2A_IO, S2A_INTERNAL. */
s2a_status upstream_start(const upstream_options *options, upstream **out, s2a_error *err);
/* Cancels what runs, and waits. */
void upstream_stop(upstream *up);

/* Everything but the body is copied. NULL when out of memory, or a field cannot be sent: then no
 * callback comes. The caller has a reference. */
flow *flow_start(upstream *up, const flow_request *request, const flow_handler *handler, void *ctx);
void flow_unref(flow *f);

/* Any thread. on_end comes, with FLOW_CANCELLED unless it ended before. */
void flow_cancel(flow *f);
/* After on_data returned false. Any thread. */
void flow_resume(flow *f);
/* A piece of a streamed body; false: it is not taken, on_sent says when to come again. */
bool flow_send(flow *f, const char *data, size_t len);
void flow_send_end(flow *f);

#endif
