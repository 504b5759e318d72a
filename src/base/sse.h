/* Event streams (text/event-stream, WHATWG HTML section 9.2) byte by byte: pure, incremental, no
 * I/O. Any split of a stream into pieces gives the same events. Not thread-safe. */
#ifndef S2A_BASE_SSE_H
#define S2A_BASE_SSE_H

#include "base/buf.h"

typedef struct sse_parser {
    buf line;        /* the line that is not complete yet */
    buf data;        /* the data lines of the event, joined by newlines */
    buf type;        /* its event field */
    bool has_data;   /* a data field came, though it may have been empty */
    bool after_cr;   /* a newline now belongs to the line that CR has ended */
    bool dispatched; /* the last event was handed out: drop it before going on */
    size_t line_count;
} sse_parser;

/* Both point into the parser and are valid until its next call. data may hold NUL. */
typedef struct sse_event {
    const char *type; /* "" unless the stream names one */
    const char *data;
    size_t len;
} sse_event;

typedef enum sse_result {
    SSE_MORE,  /* the input is used up */
    SSE_EVENT, /* *event is filled; call again with what is left */
    SSE_LIMIT, /* a line, or the data of one event, is longer than the limit; stays so */
    SSE_NOMEM, /* stays so */
} sse_result;

/* line_max bounds a line, and the data of one event. */
void sse_init(sse_parser *parser, size_t line_max);
void sse_free(sse_parser *parser);

/* Takes bytes from *data on, moving *data and *len past what was used, until an event is complete
 * or the input is used up. */
sse_result sse_next(sse_parser *parser, const char **data, size_t *len, sse_event *event);

/* At the end of the stream: SSE_EVENT when an event was complete but for its empty line, or its
 * last newline. The standard drops it; servers that forget the empty line after their last event
 * are common enough, and an event that was cut is not valid JSON. SSE_MORE when there is none. */
sse_result sse_finish(sse_parser *parser, sse_event *event);

#endif
