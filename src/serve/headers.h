/* Header fields on their way through, and request ids. Pure. */
#ifndef S2A_SERVE_HEADERS_H
#define S2A_SERVE_HEADERS_H

#include "serve/http_server.h"

/* What goes with a message and what with its connection (RFC 9110, section 7.6.1): out gets those
 * of fields, by reference, that may be passed on, at most max. Left out are the connection's own,
 * those that its Connection field names, Host, Content-Length, Transfer-Encoding, Expect, X-S2A
 * and X-Request-Id, which is written anew; with authorization false also Authorization. */
size_t headers_forward(const http_field *fields, size_t count, bool authorization, http_field *out,
                       size_t max);
/* The same for an answer: Date and the like stay. */
size_t headers_back(const http_field *fields, size_t count, http_field *out, size_t max);

/* The bytes of one id and its NUL. */
enum { HEADERS_ID_SIZE = 129 };
/* given, if it is 1 to 128 of A-Z a-z 0-9 . _ : / + = @ -, which can do no harm in a field, a log
 * or JSON; otherwise (also for NULL) one of our own, "s2a-" and 24 random digits. */
void headers_request_id(const char *given, char id[HEADERS_ID_SIZE]);

/* The token of "Bearer TOKEN"; NULL if value is NULL or of another kind. */
const char *headers_bearer(const char *value);

#endif
