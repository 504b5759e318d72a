/* Bytes in, whole UTF-8 characters out: tokens of a model end anywhere in a character. */
#ifndef S2A_UTF8_STREAM_H
#define S2A_UTF8_STREAM_H

#include "core/buf.h"

typedef struct utf8_stream {
    char pending[4]; /* the character that has begun */
    unsigned char have, need;
    unsigned char low, high; /* what its next byte may be */
} utf8_stream;

/* Appends to *out the characters that the bytes complete. Every maximal part of a sequence that is
 * not UTF-8 becomes one U+FFFD (Unicode 15, section 3.9, as browsers do it). A zeroed utf8_stream
 * is at the start of a text. Failures stay in *out. */
void utf8_stream_add(utf8_stream *s, const char *bytes, size_t len, buf *out);

/* The text ends: a character that was not completed becomes U+FFFD, and *s starts afresh. */
void utf8_stream_end(utf8_stream *s, buf *out);

#endif
