/* Filters the event stream of step 2 from upstream to the client. Each chunk is passed on as it
 * arrives, with the id, time and model name of the first chunk, which is ours, and without a role.
 * Usage includes step 1's tokens, and the last chunk has the s2a object. In APIs that name their
 * events (/v1/responses, /v1/messages) only these two change. Numbers are serialised again. Errors,
 * and data that is not a JSON object, are passed on unchanged. Pure; not thread-safe. */
#ifndef S2A_SERVE_SSE_FILTER_H
#define S2A_SERVE_SSE_FILTER_H

#include "base/sse.h"
#include "serve/reply.h"

typedef struct sse_filter {
    sse_parser parser;
    const s2a_usage *step1;
    json_t *(*s2a)(void *ctx); /* makes the s2a object; called once, at the end */
    void *ctx;
    reply reply; /* API; id, time and model of the chunks */
    char *held;  /* an event that may be the last one; NULL = none */
    size_t held_len;
    buf whole; /* a body that is not an event stream */
    bool began, is_json, done, failed;
    s2a_usage usage; /* of step 2, if the stream had it */
} sse_filter;

void sse_filter_init(sse_filter *f, const reply *r, const s2a_usage *step1,
                     json_t *(*s2a)(void *ctx), void *ctx);
void sse_filter_free(sse_filter *f);

/* Appends to out the events that can be sent. S2A_BACKEND (an event is too long), S2A_NOMEM. */
s2a_status sse_filter_feed(sse_filter *f, const char *data, size_t len, buf *out);
/* Ends the stream. S2A_BACKEND: it ended without [DONE] and without a last chunk. */
s2a_status sse_filter_end(sse_filter *f, buf *out);

#endif
