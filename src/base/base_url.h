/* A server's base URL as people paste it. */
#ifndef S2A_BASE_BASE_URL_H
#define S2A_BASE_BASE_URL_H

#include "s2a.h"

typedef struct base_url {
    char *origin; /* "http://127.0.0.1:8000" */
    char *path;   /* "/v1", or "/proxy/v1"; without a slash at its end */
} base_url;

/* Reads http://host:port/path, or https. Drops slashes and /chat/completions at the end; without a
 * path, the path is /v1. name: what messages call the URL. Always call base_url_free. S2A_ARGUMENT,
 * S2A_NOMEM. */
s2a_status base_url_read(const char *name, const char *text, base_url *out, s2a_error *err);
void base_url_free(base_url *url);

/* Length of the path without /v1 at its end: the server's endpoints outside the API begin there. */
size_t base_url_root(const base_url *url);

#endif
