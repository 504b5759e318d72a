/* Escaping untrusted text for output formats. Every byte that is not UTF-8, and every control
 * character except tab and newline, becomes U+FFFD. Pure. */
#ifndef S2A_EVAL_TEXT_H
#define S2A_EVAL_TEXT_H

#include "base/buf.h"

/* Each accepts NULL as "". */
void text_add_html(buf *out, const char *text);     /* for an element or a quoted attribute */
void text_add_json(buf *out, const char *text);     /* quoted; safe in a <script> block: no '<' */
void text_add_csv(buf *out, const char *text);      /* a field, quoted as in RFC 4180, "'" before
                                                     * text that a spreadsheet would evaluate */
void text_add_markdown(buf *out, const char *text); /* for a table cell: one line, no markup */

/* One line for a label: at most cap - 1 bytes, cut at a character, white space as single spaces. */
void text_label(char *out, size_t cap, const char *text);

/* Appends text for a file name: characters except letters, digits, '.', '_' and '-' become '-'. */
void text_add_slug(buf *out, const char *text);

void text_add_base64(buf *out, const char *data, size_t len);

/* Converts byte offsets of a text to UTF-16 offsets in the output of text_add_json, as JavaScript
 * counts. Fast if the offsets ascend. Offsets past the end count as the end. */
typedef struct text_utf16 {
    const char *text;
    size_t len, byte, unit;
} text_utf16;
void text_utf16_init(text_utf16 *at, const char *text);
size_t text_utf16_offset(text_utf16 *at, size_t byte);

#endif
