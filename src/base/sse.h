/* Parses event streams (text/event-stream, WHATWG HTML section 9.2) incrementally, without I/O.
 * Any split of a stream into pieces gives the same events. Not thread-safe. */
#ifndef S2A_BASE_SSE_H
#define S2A_BASE_SSE_H

#include "base/buf.h"

typedef struct sse_parser {
    buf line;        /* the incomplete line */
    buf data;        /* the data lines of the event, joined by newlines */
    buf type;        /* the event field of the event */
    bool has_data;   /* there was a data field, maybe an empty one */
    bool after_cr;   /* the last line ended in CR: a newline now belongs to it */
    bool dispatched; /* the last event was returned: drop it first */
    size_t line_count;
} sse_parser;

/* Both pointers are valid until the next call of the parser. data may contain NUL. */
typedef struct sse_event {
    const char *type; /* "" unless the stream names one */
    const char *data;
    size_t len;
} sse_event;

typedef enum sse_result {
    SSE_MORE,  /* the input is used up */
    SSE_EVENT, /* *event is filled; call again with the rest */
    SSE_LIMIT, /* a line, or the data of one event, exceeds the limit; sticky */
    SSE_NOMEM, /* sticky */
} sse_result;

/* line_max limits a line, and the data of one event. */
void sse_init(sse_parser *parser, size_t line_max);
void sse_free(sse_parser *parser);

/* Reads bytes from *data until an event is complete or the input is used up; moves *data and *len
 * past the bytes it read. */
sse_result sse_next(sse_parser *parser, const char **data, size_t *len, sse_event *event);

/* Call at the end of the stream: SSE_EVENT if an event lacks only its empty line or its last
 * newline. The standard drops such an event, but many servers forget the empty line after their
 * last one, and an event that was cut is not valid JSON. Otherwise SSE_MORE. */
sse_result sse_finish(sse_parser *parser, sse_event *event);

#endif
