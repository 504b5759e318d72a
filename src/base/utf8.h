/* UTF-8: validation, ends of characters, and replacement of invalid bytes. */
#ifndef S2A_BASE_UTF8_H
#define S2A_BASE_UTF8_H

#include "base/buf.h"

#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* The length in bytes of the character that begins with lead; 0 if no character does. */
size_t utf8_length(unsigned char lead);

/* The offset of the first byte that is not valid UTF-8, or len if all bytes are. */
size_t utf8_valid_prefix(const char *text, size_t len);

/* The longest length, at most max, at which text (NUL-terminated) can be cut after a character. */
size_t utf8_cut(const char *text, size_t max);

/* Appends the text to *out, with U+FFFD for each byte that is not valid UTF-8. */
void utf8_repair(buf *out, const char *text, size_t len);

/* Turns bytes into whole characters: a model's tokens may end inside a character. */
typedef struct utf8_stream {
    char pending[4]; /* the incomplete character */
    unsigned char have, need;
    unsigned char low, high; /* range of its next byte */
} utf8_stream;

/* Appends to *out the characters that the bytes complete. Every maximal part of a sequence that is
 * not UTF-8 becomes one U+FFFD (Unicode 15, section 3.9, as in browsers). A zeroed utf8_stream is
 * at the start of a text. Failures stay in *out. */
void utf8_stream_add(utf8_stream *s, const char *bytes, size_t len, buf *out);

/* Ends the text: an incomplete character becomes U+FFFD, and *s is at the start of a text again. */
void utf8_stream_end(utf8_stream *s, buf *out);

#endif
