/* The command line of `s2a serve`. One thread. */
#ifndef S2A_CLI_SERVE_OPTIONS_H
#define S2A_CLI_SERVE_OPTIONS_H

#include "cli/options.h"
#include "serve/serve.h"

typedef struct serve_names {
    const char *names[SERVE_ALLOWED];
    size_t count;
} serve_names;

typedef struct serve_flags {
    options base; /* settings, strict, quiet, verbose, help, version */
    serve_options serve;
    const char *tls_cert, *tls_key; /* paths */
    serve_names hosts, origins;     /* of serve's lists */
    uint32_t drain_ms;
} serve_flags;

/* Reads argv, the environment and the configuration file. S2A_ARGUMENT, S2A_NOMEM. Call
 * options_free on base also after a failure. */
s2a_status serve_flags_read(serve_flags *f, int argc, char **argv, s2a_error *err);

#endif
