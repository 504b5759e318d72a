/* What servers write, made fit to use: JSON that is not quite JSON, and error messages. Pure. */
#ifndef S2A_BASE_HTTP_TEXT_H
#define S2A_BASE_HTTP_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes of a server's own words that an error quotes. */
enum { HTTP_QUOTE_MAX = 240 };

/* The value of data, NUL in strings allowed; NULL when it is not JSON, or memory is out. Bytes that
 * are not UTF-8, and halves of surrogate pairs, become U+FFFD. The caller has the reference. */
json_t *http_parse_json(const char *data, size_t len);

/* What the server says, as one line into text: no control characters, no key ("***" stands for it;
 * NULL = there is none), "nothing" when it says nothing. root is body parsed, or NULL; body is
 * NUL-terminated, or NULL. */
void http_quote(const json_t *root, const char *body, size_t len, const char *key,
                char text[static HTTP_QUOTE_MAX + 1]);

/* Whether a server's error says that the prompt is too long for the model. text may be NULL. */
bool http_is_context_error(const char *text);

#endif
