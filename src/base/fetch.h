/* One HTTP request: the part of libcurl that the http backend and the model download need. fetch.c
 * and serve/upstream.c are the only files that include curl.h. All functions may be called from
 * many threads at once; a request and its response belong to the thread that runs it.
 *
 * Certificates and host names are always verified. Only http and https are allowed; a redirect
 * never goes from https to http, and a POST is never redirected. Error texts contain no bearer key,
 * and of the URL only scheme, host and port. The environment's proxy settings are read only if the
 * request says so. */
#ifndef S2A_BASE_FETCH_H
#define S2A_BASE_FETCH_H

#include "s2a.h"

/* Connections that stay open between requests; see fetch_request.pool. */
typedef struct fetch_pool fetch_pool;

/* The head of the final response. */
typedef struct fetch_head {
    int status;             /* 200, 206, 404 ... */
    int64_t content_length; /* of this body; -1 = unknown */
    int64_t total_length;   /* of the whole file: from Content-Range if 206, else content_length */
    char content_type[96];  /* lower case, without parameters: "text/event-stream"; "" = unknown */
} fetch_head;

/* Return values of callbacks. */
enum {
    FETCH_GO_ON = 0,
    FETCH_STOP = 1,  /* close the connection at once */
    FETCH_DRAIN = 2, /* the rest is not needed; keep the connection if the body ends soon */
};

/* Called once, before the body of a 2xx response (also if it is empty). */
typedef int (*fetch_head_fn)(void *ctx, const fetch_head *head);
/* Called with bytes of the body of a 2xx response, as they arrive. Bodies of other responses go to
 * fetch_response.error_body, so that no error page ends up in a downloaded file. */
typedef int (*fetch_data_fn)(void *ctx, const char *data, size_t len);

/* Zero-initialise and set the fields you need; url is required. Strings are borrowed during the
 * call. */
typedef struct fetch_request {
    const char *url;
    const char *method; /* NULL = "GET", or "POST" when body is not NULL */
    const char *body;   /* may contain NUL; NULL = none */
    size_t body_len;
    const char *const *headers; /* "Name: value" */
    size_t header_count;
    const char *bearer;   /* "Authorization: Bearer ..."; to the URL's own host only. NULL = none */
    const char *ca_file;  /* PEM file instead of the system's certificates; NULL = the system's */
    uint64_t resume_from; /* GET: request the bytes from here. Servers that support this respond
                             206 (checked to begin here), others 200 with the whole body */
    bool follow_redirects;       /* GET only, at most 10 */
    bool env_proxy;              /* honour http_proxy, https_proxy, all_proxy, no_proxy */
    uint32_t connect_timeout_ms; /* name lookup, TCP and TLS; 0 = 60000 */
    uint32_t idle_timeout_ms;    /* once connected: no byte either way; 0 = no limit */
    uint32_t total_timeout_ms;   /* the whole call; 0 = no limit */
    uint64_t max_bytes;          /* of a 2xx body; 0 = no limit */
    const s2a_cancel *cancel;    /* polled every 20 ms; NULL = none */
    fetch_pool *pool;            /* NULL = a new connection, closed at the end */
    fetch_head_fn on_head;       /* either may be NULL */
    fetch_data_fn on_data;
    void *ctx; /* passed to both */
} fetch_request;

typedef struct fetch_response {
    fetch_head head;         /* status 0: no response came */
    uint64_t retry_after_ms; /* from Retry-After, seconds or date; 0 = none, or now */
    uint64_t bytes;          /* of a 2xx body, passed to on_data */
    bool stopped;            /* a callback stopped it */
    bool retryable;          /* connecting failed, or the connection broke: may work later */
    char *error_body;        /* body of a response outside 2xx, at most 64 KiB of it; may be NULL */
    size_t error_body_len;
    char location[256]; /* target of a redirect that was not followed, cut to fit, without user
                                and query; "" = none */
} fetch_response;

/* Runs the request and fills *response, on failure as far as it is known; the caller always frees
 * it with fetch_response_free. S2A_OK if a complete response came or a callback stopped it,
 * whatever its status. Otherwise S2A_UNAVAILABLE (name not resolved, no connection, TLS refused:
 * the message says which), S2A_TIMEOUT (idle or total), S2A_BACKEND (connection broken, body cut
 * short, response that is not HTTP, too many redirects), S2A_CANCELLED, S2A_LIMIT (max_bytes),
 * S2A_ARGUMENT (URL, header), S2A_NOMEM. */
s2a_status fetch_run(const fetch_request *request, fetch_response *response, s2a_error *err);

void fetch_response_free(fetch_response *response);

/* NULL when out of memory. */
fetch_pool *fetch_pool_new(void);
/* No request may be running on it. */
void fetch_pool_free(fetch_pool *pool);

/* "scheme://host:port" of a URL, without user, path and query, for messages: at most size bytes
 * with the NUL; "the server" if url is not a URL. */
void fetch_origin(const char *url, char *text, size_t size);

#endif
