/* One HTTP request: what the http backend and the model download need of libcurl, and no more.
 * fetch.c and serve/upstream.c are the only files that include curl.h. All functions may be called from many threads at
 * once; a request and its response belong to the thread that runs it.
 *
 * Certificates and host names are always verified; only http and https are spoken; a redirect from
 * https never leads to http, and a POST is never redirected. No error text holds the bearer key,
 * or anything of the URL but scheme, host and port. The environment's proxy settings are not read
 * unless the request says so. */
#ifndef S2A_BASE_FETCH_H
#define S2A_BASE_FETCH_H

#include "s2a.h"

/* Connections that are kept open between requests; see fetch_request.pool. */
typedef struct fetch_pool fetch_pool;

/* What the final response says before its body. */
typedef struct fetch_head {
    int status;             /* 200, 206, 404 ... */
    int64_t content_length; /* of this body; -1 = not said */
    int64_t total_length;   /* of the whole thing: from Content-Range if 206, else content_length */
    char content_type[96];  /* lower case, without parameters: "text/event-stream"; "" = not said */
} fetch_head;

/* What a callback returns. */
enum {
    FETCH_GO_ON = 0,
    FETCH_STOP = 1,  /* close the connection at once */
    FETCH_DRAIN = 2, /* nothing more is needed; the connection may be kept if the body ends soon */
};

/* Once, before the body of a 2xx response (also when it is empty). */
typedef int (*fetch_head_fn)(void *ctx, const fetch_head *head);
/* Bytes of the body of a 2xx response, as they come. Bodies of other responses never come here:
 * they go to fetch_response.error_body, so that no error page ends up in a downloaded file. */
typedef int (*fetch_data_fn)(void *ctx, const char *data, size_t len);

/* Zero-initialise, set what is needed; only url must be set. Strings are borrowed for the call. */
typedef struct fetch_request {
    const char *url;
    const char *method; /* NULL = "GET", or "POST" when body is not NULL */
    const char *body;   /* may hold NUL; NULL = none */
    size_t body_len;
    const char *const *headers; /* "Name: value" */
    size_t header_count;
    const char *bearer;   /* "Authorization: Bearer ..."; to the URL's own host only. NULL = none */
    const char *ca_file;  /* PEM file in place of the system's certificates; NULL = the system's */
    uint64_t resume_from; /* GET: ask for the bytes from here. A server that honours it answers 206,
                             checked to begin here; one that does not answers 200 with the whole */
    bool follow_redirects;       /* GET only, at most 10 */
    bool env_proxy;              /* honour http_proxy, https_proxy, all_proxy, no_proxy */
    uint32_t connect_timeout_ms; /* name lookup, TCP and TLS; 0 = 60000 */
    uint32_t idle_timeout_ms;    /* once connected: no byte either way; 0 = no limit */
    uint32_t total_timeout_ms;   /* the whole call; 0 = no limit */
    uint64_t max_bytes;          /* of a 2xx body; 0 = no limit */
    const s2a_cancel *cancel;    /* looked at every 20 ms; NULL = none */
    fetch_pool *pool;            /* NULL = a connection of its own, closed at the end */
    fetch_head_fn on_head;       /* either may be NULL */
    fetch_data_fn on_data;
    void *ctx; /* passed to both */
} fetch_request;

typedef struct fetch_response {
    fetch_head head;         /* status 0: no response came */
    uint64_t retry_after_ms; /* from Retry-After, seconds or date; 0 = not said, or now */
    uint64_t bytes;          /* of a 2xx body handed to on_data */
    bool stopped;            /* a callback stopped it */
    bool retryable;          /* failed to connect, or the connection broke: may work later */
    char *error_body;        /* body of a response outside 2xx, at most 64 KiB of it; may be NULL */
    size_t error_body_len;
    char location[256]; /* where an unfollowed redirect points, cut to fit, without user
                                and query; "" = none */
} fetch_response;

/* Runs the request and fills *response, also on failure as far as it is known; the caller frees it
 * with fetch_response_free in every case. S2A_OK when a response came whole or a callback stopped
 * it, whatever its status. Otherwise S2A_UNAVAILABLE (name not resolved, no connection, TLS
 * refused: the text says which), S2A_TIMEOUT (idle or total), S2A_BACKEND (connection broken, body
 * cut short, answer that is not HTTP, too many redirects), S2A_CANCELLED, S2A_LIMIT (max_bytes),
 * S2A_ARGUMENT (URL, header), S2A_NOMEM. */
s2a_status fetch_run(const fetch_request *request, fetch_response *response, s2a_error *err);

void fetch_response_free(fetch_response *response);

/* NULL when out of memory. */
fetch_pool *fetch_pool_new(void);
/* No request may be running on it. */
void fetch_pool_free(fetch_pool *pool);

/* "scheme://host:port" of a URL, without user, path and query, for messages: text of at most size
 * bytes with its NUL; "the server" when url is none. */
void fetch_origin(const char *url, char *text, size_t size);

#endif
