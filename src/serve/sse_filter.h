/* The event stream of step 2 on its way from the server to the client: every chunk goes on when it
 * comes, with the id, the time and the model's name of the chunks that came before it, and without a
 * role, which those had; usage gets step 1's tokens added, and the last chunk gets the s2a object.
 * Numbers are written anew; what is no JSON object, and errors, go on as they came. Pure; not
 * thread-safe. */
#ifndef S2A_SERVE_SSE_FILTER_H
#define S2A_SERVE_SSE_FILTER_H

#include "base/sse.h"
#include "serve/reply.h"

typedef struct sse_filter {
    sse_parser parser;
    const s2a_usage *step1;
    json_t *(*s2a)(void *ctx); /* makes the object; asked for once, at the end */
    void *ctx;
    reply reply;   /* what each chunk is called; for one of our own, where there is no last one */
    char *held;    /* an event that may be the last one; NULL = none */
    size_t held_len;
    buf whole;     /* a body that is no event stream */
    bool began, is_json, done, failed;
    s2a_usage usage; /* of step 2, if the stream said */
} sse_filter;

void sse_filter_init(sse_filter *f, const reply *r, const s2a_usage *step1,
                     json_t *(*s2a)(void *ctx), void *ctx);
void sse_filter_free(sse_filter *f);

/* Appends to out what can go on. S2A_BACKEND (an event is too long), S2A_NOMEM. */
s2a_status sse_filter_feed(sse_filter *f, const char *data, size_t len, buf *out);
/* The stream has ended. S2A_BACKEND: it ended without [DONE] and without a last chunk. */
s2a_status sse_filter_end(sse_filter *f, buf *out);

#endif
