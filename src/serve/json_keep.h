/* All of JSON (RFC 8259) with jansson, which cannot represent integers beyond 63 bits, numbers
 * beyond a double, halves of surrogate pairs, and NUL in a member's name. Such values are kept as
 * strings with characters of the private range U+10F7FE to U+10FFFF, and written unchanged.
 * Pure. */
#ifndef S2A_SERVE_JSON_KEEP_H
#define S2A_SERVE_JSON_KEEP_H

#include "s2a.h"

#include <jansson.h>

/* Parses text; strings may contain NUL. The caller owns the reference. *kept: it has such values,
 * and json_keep_dump must be told. cancel: NULL = none. S2A_INPUT with the position of the fault,
 * also if the text has both such values and characters of that range; S2A_CANCELLED, S2A_NOMEM. */
s2a_status json_keep_load(const char *text, size_t len, const s2a_cancel *cancel, json_t **out,
                          bool *kept, s2a_error *err);

/* The value as compact JSON, malloc'ed and NUL-terminated, which json_keep_load can parse. kept:
 * U+10F7FE in texts that were added later is omitted. NULL when out of memory or cancelled. */
char *json_keep_dump(const json_t *root, bool kept, const s2a_cancel *cancel, size_t *len);

/* The length of a prefix of text that would mark it as a kept number; 0 for most texts. */
size_t json_keep_mark(const char *text, size_t len);

#endif
