/* The OpenAI-compatible server, in front of another server (upstream) or of an engine in this
 * process.
 *
 * serve.c routes requests, pass.c passes them through, job.c runs step 1 on a worker, forward.c
 * runs step 2 on upstream, embedded.c on the engine. docs/serve.md is the manual. */
#ifndef S2A_SERVE_SERVE_H
#define S2A_SERVE_SERVE_H

#include "serve/chat.h"
#include "serve/origin.h"

typedef struct serve serve;

/* All strings must live until serve_stop. */
typedef struct serve_options {
    const char *host;           /* NULL: 127.0.0.1 */
    uint16_t port;              /* 0 = any */
    const char *upstream;       /* base URL; NULL: the engine answers */
    const char *upstream_key;   /* sent upstream instead of clients' Authorization; NULL = none */
    bool forward_authorization; /* with keys_file: send the clients' Authorization upstream */
    s2a_engine *engine;         /* without upstream; stays the caller's */
    const char *model;          /* the engine's model name for clients */
    s2a_engine_options engine_options; /* with upstream: options of the engines for step 1 */
    const char *prefix;                /* "s2a-" */
    chat_ask ask;                      /* default S2A options of requests */
    bool strict;                       /* a fallback of step 1 is an error */
    uint32_t step1_budget_ms;          /* 0 = no limit */
    double temperature, top_p;         /* of step 1, and defaults for the engine's answers */
    uint32_t seed, max_tokens;
    const char *keys_file;   /* NULL: no keys needed; on a loopback address web pages are refused */
    origin_list allow_hosts; /* more host names for that address */
    origin_list allow_origins;      /* pages that may send requests and read the responses */
    const char *tls_cert, *tls_key; /* PEM texts */
    size_t max_body;
    uint32_t max_connections, workers, queue, head_ms, body_ms, upstream_idle_ms;
    const char *access_log; /* a file, "-" or "off" */
    bool log_prompts;
    uint32_t keep_removed; /* texts for GET /v1/s2a/removed/ID; 0 = none */
} serve_options;

/* The defaults of serve_limits.h. */
void serve_options_init(serve_options *o);

/* Starts to listen. S2A_ARGUMENT, S2A_IO, S2A_NOMEM, S2A_INTERNAL. */
s2a_status serve_start(const serve_options *options, serve **out, s2a_error *err);
uint16_t serve_port(const serve *s);
/* Reads the key file again and reopens the log. On failure the old keys stay in use. */
s2a_status serve_reload(serve *s, s2a_error *err);
size_t serve_key_count(serve *s);
/* Accepts no more connections. */
void serve_quiesce(serve *s);
/* The number of requests without a complete response. */
size_t serve_active(serve *s);
/* Cuts running requests and frees everything. */
void serve_stop(serve *s);

#endif
