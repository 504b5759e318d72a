/* Filtering header fields between client and upstream, and request ids. Pure. */
#ifndef S2A_SERVE_HEADERS_H
#define S2A_SERVE_HEADERS_H

#include "serve/http_server.h"

/* Copies to out, by reference, the fields that may be sent upstream (RFC 9110, section 7.6.1), at
 * most max. Omitted are fields of the connection, those that the Connection field names, Host,
 * Content-Length, Transfer-Encoding, Expect, X-S2A and X-Request-Id, which the caller adds; with
 * authorization false also Authorization and X-Api-Key. */
size_t headers_forward(const http_field *fields, size_t count, bool authorization, http_field *out,
                       size_t max);
/* The same for a response to the client; Date and similar fields stay. */
size_t headers_back(const http_field *fields, size_t count, http_field *out, size_t max);

/* Bytes of an id with its NUL. */
enum { HEADERS_ID_SIZE = 129 };
/* Copies given to id if it has 1 to 128 of A-Z a-z 0-9 . _ : / + = @ -, which are harmless in a
 * field, a log or JSON; otherwise (also for NULL) makes an id: "s2a-" and 24 random digits. */
void headers_request_id(const char *given, char id[HEADERS_ID_SIZE]);

/* value if it is a traceparent (W3C Trace Context, section 3.2), of any version; else NULL. */
const char *headers_trace(const char *value);

/* The token of "Bearer TOKEN"; NULL if value is NULL or has another scheme. */
const char *headers_bearer(const char *value);

#endif
