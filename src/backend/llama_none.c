/* Replaces llama.c in a build without libllama. */
#include "backend/backend.h"
#include "base/error.h"

s2a_status backend_llama_open(const s2a_engine_options *options, const backend *judge,
                              backend **out, s2a_error *err)
{
    (void)judge;
    (void)options;
    *out = NULL;
    return error_set(err, S2A_UNAVAILABLE,
                     "backend llama: this s2a was built without libllama; use the http backend, or "
                     "build with libllama (scripts/bootstrap.sh)");
}
