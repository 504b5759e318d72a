/* The OpenAI-compatible server: in front of another one, or of an engine in this process.
 *
 * serve.c routes, pass.c hands through, job.c does step 1 on a worker, forward.c does step 2 on the
 * server behind, embedded.c on the engine. docs/serve.md is the manual. */
#ifndef S2A_SERVE_SERVE_H
#define S2A_SERVE_SERVE_H

#include "serve/chat.h"
#include "serve/origin.h"

typedef struct serve serve;

/* All strings must live until serve_stop. */
typedef struct serve_options {
    const char *host; /* NULL: 127.0.0.1 */
    uint16_t port;    /* 0 = any */
    const char *upstream;     /* base URL; NULL: the engine answers */
    const char *upstream_key; /* sent upstream in place of clients' Authorization; NULL = none */
    bool forward_authorization; /* the clients' own goes upstream though keys are checked here */
    s2a_engine *engine;       /* without upstream; stays the caller's */
    const char *model;        /* its name for clients */
    s2a_engine_options engine_options; /* with upstream: what engines of step 1 are opened with */
    const char *prefix;       /* "s2a-" */
    chat_ask ask;             /* how S2A is done unless a request says otherwise */
    bool strict;              /* a step 1 that fails is an error */
    uint32_t step1_budget_ms; /* 0 = no limit */
    double temperature, top_p; /* of step 1, and of answers of the engine unless the request says */
    uint32_t seed, max_tokens;
    const char *keys_file; /* NULL: anybody may ask; on a loopback address then no web page */
    origin_list allow_hosts;   /* names under which that address may be asked */
    origin_list allow_origins; /* pages that may ask all the same, and read the answers */
    const char *tls_cert, *tls_key; /* PEM texts */
    size_t max_body;
    uint32_t max_connections, workers, queue, head_ms, body_ms, upstream_idle_ms;
    const char *access_log; /* a file, "-" or "off" */
    bool log_prompts;
} serve_options;

/* The defaults of serve_limits.h. */
void serve_options_init(serve_options *o);

/* Listens. S2A_ARGUMENT, S2A_IO, S2A_NOMEM, S2A_INTERNAL. */
s2a_status serve_start(const serve_options *options, serve **out, s2a_error *err);
uint16_t serve_port(const serve *s);
/* Reads the file of keys again, and opens the log again. On failure the old keys stay. */
s2a_status serve_reload(serve *s, s2a_error *err);
size_t serve_key_count(serve *s);
/* No new connections from now on. */
void serve_quiesce(serve *s);
/* Requests that are not answered yet. */
size_t serve_active(serve *s);
/* Cuts what still runs, and frees everything. */
void serve_stop(serve *s);

#endif
