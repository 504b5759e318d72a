/* All of JSON (RFC 8259) through jansson, which cannot hold all of it: integers past 63 bits, numbers
 * past a double, halves of surrogate pairs, and NUL in the name of a member. In a text that has some of
 * these they are kept in the shape of strings with characters of the private range U+10F7FE to
 * U+10FFFF, and written as they came. Pure. */
#ifndef S2A_SERVE_JSON_KEEP_H
#define S2A_SERVE_JSON_KEEP_H

#include "s2a.h"

#include <jansson.h>

/* The value of text, NUL in strings allowed; the caller has the reference. *kept: there is something in
 * it that has to be written as it came, so that json_keep_dump must be told. S2A_INPUT with the place of
 * the fault, also for a text that has such things and characters of that range, too; S2A_NOMEM. */
s2a_status json_keep_load(const char *text, size_t len, json_t **out, bool *kept, s2a_error *err);

/* The value as compact JSON, malloc'ed and NUL-terminated, which json_keep_load reads: where kept, U+10F7FE in a
 * text that somebody put into it is left out. NULL when out of memory. */
char *json_keep_dump(const json_t *root, bool kept, size_t *len);

/* Bytes at the beginning of a text that would make a number of it where kept; 0 of most texts. */
size_t json_keep_mark(const char *text, size_t len);

#endif
