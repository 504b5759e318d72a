/* UTF-8: what is valid, where characters end, and what stands for bytes that are none. */
#ifndef S2A_BASE_UTF8_H
#define S2A_BASE_UTF8_H

#include "base/buf.h"

#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* Bytes of the character that this byte begins; 0 when it begins none. */
size_t utf8_length(unsigned char lead);

/* The offset of the first byte that is not valid UTF-8, or len when all are. */
size_t utf8_valid_prefix(const char *text, size_t len);

/* The length of text (NUL-terminated), at most max, that ends at the end of a UTF-8 character. */
size_t utf8_cut(const char *text, size_t max);

/* Appends the text to *out, with U+FFFD for each byte that is not valid UTF-8. */
void utf8_repair(buf *out, const char *text, size_t len);

/* Bytes in, whole characters out: tokens of a model end anywhere in a character. */
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
