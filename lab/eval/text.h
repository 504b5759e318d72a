/* Text of unknown making, made fit for where it is written. Whatever is not UTF-8 and every control
 * character except tab and newline becomes U+FFFD, one for each byte. Pure. */
#ifndef S2A_EVAL_TEXT_H
#define S2A_EVAL_TEXT_H

#include "base/buf.h"

/* Each accepts NULL as "". */
void text_add_html(buf *out, const char *text);     /* in an element or in a quoted attribute */
void text_add_json(buf *out, const char *text);     /* quoted; fit for a <script> block: no '<' */
void text_add_csv(buf *out, const char *text);      /* a text field, quoted where RFC 4180 asks for it; "'" before what a
                                                       * spreadsheet would run */
void text_add_markdown(buf *out, const char *text); /* in a table cell: one line, no markup */

/* One line for a label: at most cap - 1 bytes, cut at a character, white space as single spaces. */
void text_label(char *out, size_t cap, const char *text);

/* "TASK-MODEL" for file names: what is not a letter, digit, '.', '_' or '-' becomes '-'. */
void text_add_slug(buf *out, const char *text);

void text_add_base64(buf *out, const char *data, size_t len);

/* Turns byte offsets of a text into UTF-16 offsets of what text_add_json wrote, as JavaScript
 * counts. Fast when the offsets ascend. Offsets past the end count as the end. */
typedef struct text_utf16 {
    const char *text;
    size_t len, byte, unit;
} text_utf16;
void text_utf16_init(text_utf16 *at, const char *text);
size_t text_utf16_offset(text_utf16 *at, size_t byte);

#endif
