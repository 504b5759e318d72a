/* The engines that run step 1. Embedded: one, opened at the start. With an upstream: one for each
 * pair of model and key, opened at first use, so that each client's requests have that client's
 * key. At most SERVE_ENGINES are cached; the least recently used one is closed. Apart from the
 * engine itself only the SHA-256 of a key is stored. Any thread. */
#ifndef S2A_SERVE_ENGINES_H
#define S2A_SERVE_ENGINES_H

#include "s2a.h"

typedef struct engines engines;
typedef struct engine_ref engine_ref;

/* options: the options of new engines, except model and api_key; its strings must live as long as
 * the engines. fixed: the embedded engine, which stays the caller's; NULL with an upstream. NULL
 * when out of memory. */
engines *engines_new(const s2a_engine_options *options, s2a_engine *fixed);
/* All references must have been returned. */
void engines_free(engines *e);

/* model NULL or "": upstream's first model. bearer NULL: no key. May block while upstream's list of
 * models is fetched. Errors of s2a_engine_open. */
s2a_status engines_get(engines *e, const char *model, const char *bearer, engine_ref **out,
                       s2a_error *err);
s2a_engine *engines_engine(const engine_ref *ref);
void engines_put(engines *e, engine_ref *ref);

#endif
