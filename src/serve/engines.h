/* The engines that step 1 runs on. Embedded: one, opened at the start. In front of a server: one
 * for each pair of model and Authorization, opened when first asked for, so that a client's
 * requests are made with the client's own key and no other's. At most SERVE_ENGINES are
 * remembered; the one that was used longest ago goes. Of a key only its SHA-256 is kept beside the
 * engine itself. Any thread. */
#ifndef S2A_SERVE_ENGINES_H
#define S2A_SERVE_ENGINES_H

#include "s2a.h"

typedef struct engines engines;
typedef struct engine_ref engine_ref;

/* options: what engines are opened with; model and api_key are put in. The strings must live as
 * long. fixed: the embedded engine, which stays the caller's; NULL in front of a server. NULL when
 * out of memory. */
engines *engines_new(const s2a_engine_options *options, s2a_engine *fixed);
/* No reference may be out. */
void engines_free(engines *e);

/* model NULL or "": the server's first. bearer NULL: none. May block while the server is asked for
 * its models. Errors of s2a_engine_open. */
s2a_status engines_get(engines *e, const char *model, const char *bearer, engine_ref **out,
                       s2a_error *err);
s2a_engine *engines_engine(const engine_ref *ref);
void engines_put(engines *e, engine_ref *ref);

#endif
