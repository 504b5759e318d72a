/* The body of a chat completion, and the calls of tools in its answer, as OpenAI's API has them.
 * Pure. */
#ifndef S2A_BACKEND_HTTP_ASK_H
#define S2A_BACKEND_HTTP_ASK_H

#include "backend/backend.h"

#include <jansson.h>

/* Model, messages, sampling, and stream with usage; max_tokens if there is a limit; what else is
 * set, where it is set. The caller has the reference; on failure *out is NULL. S2A_INPUT (a message
 * is not UTF-8, fields are no JSON object), S2A_NOMEM. */
s2a_status http_ask_new(const char *model, const backend_message *messages, size_t count,
                        const backend_params *params, json_t **out, s2a_error *err);

/* Adds a piece of a call to *calls, a list that is made where it is NULL. position counts where the
 * piece has no index. False when out of memory. */
bool http_ask_call_add(json_t **calls, const json_t *piece, size_t position);

#endif
