/* Text from servers, made safe to use: JSON that is slightly wrong, and error messages. Pure. */
#ifndef S2A_BASE_HTTP_TEXT_H
#define S2A_BASE_HTTP_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The most bytes of a server's message that an error quotes. */
enum { HTTP_QUOTE_MAX = 240 };

/* Parses data; strings may contain NUL. Bytes that are not UTF-8, and halves of surrogate pairs,
 * become U+FFFD. The caller owns the reference. NULL if data is not JSON, or when out of memory. */
json_t *http_parse_json(const char *data, size_t len);

/* Writes the server's message as one line into text, without control characters, and with "***"
 * instead of the key (NULL = no key); "nothing" if there is no message. root is the parsed body, or
 * NULL; body is NUL-terminated, or NULL. */
void http_quote(const json_t *root, const char *body, size_t len, const char *key,
                char text[static HTTP_QUOTE_MAX + 1]);

/* Whether a server's error says that the prompt is too long for the model. text may be NULL. */
bool http_is_context_error(const char *text);

#endif
