/* Characters of answers, in classes that are chosen to be those of Python's str, in which the
 * published scorers are written. letters.c is the only file of lab/ that includes unicode/. Pure,
 * UTF-8. */
#ifndef S2A_EVAL_LETTERS_H
#define S2A_EVAL_LETTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point at *at, which moves past it; U+FFFD for ill-formed bytes. at < len. */
int32_t letters_next(const char *text, size_t len, size_t *at);
/* The code point that ends at *at, which moves to its start; 0 at the text's start. */
int32_t letters_previous(const char *text, size_t *at);

bool letters_is_word(int32_t c); /* \w of Python's re, except '_': letters and numeric characters */
bool letters_is_space(int32_t c);
bool letters_is_digit(int32_t c); /* \d */
bool letters_is_upper(int32_t c);
bool letters_is_lower(int32_t c);
bool letters_is_title(int32_t c); /* title case: both at once */
bool letters_is_currency(int32_t c);
bool letters_joins(int32_t c); /* part of the adjacent word: word characters, combining marks */
bool letters_is_unspaced(int32_t c); /* of a script without spaces, or with particles, at words */

/* Unicode's lower case, independent of language; malloc'ed, NUL-terminated. NULL when out of
 * memory, or past 700 MB. */
char *letters_lower(const char *text, size_t len, size_t *lower_len);

/* Trims white space at both ends: returns the new start and shortens *len. */
const char *letters_strip(const char *text, size_t *len);

#endif
