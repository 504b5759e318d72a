/* The request body of a chat completion, and the tool calls of its response, in the form of
 * OpenAI's API. Pure. */
#ifndef S2A_BACKEND_HTTP_ASK_H
#define S2A_BACKEND_HTTP_ASK_H

#include "backend/backend.h"

#include <jansson.h>

/* Model, messages, sampling, and stream with usage; max_tokens if there is a limit; other
 * parameters only if they are set. The caller owns *out, which is NULL on failure. S2A_INPUT (a
 * message is not UTF-8, fields are not a JSON object), S2A_NOMEM. */
s2a_status http_ask_new(const char *model, const backend_message *messages, size_t count,
                        const backend_params *params, json_t **out, s2a_error *err);

/* Adds a piece of a tool call to *calls, a list that is created if NULL. position is the index of a
 * piece without one. False when out of memory. */
bool http_ask_call_add(json_t **calls, const json_t *piece, size_t position);

#endif
