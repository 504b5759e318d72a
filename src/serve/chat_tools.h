/* Converts conversations, tools and the answer's format from each API to the form of
 * /v1/chat/completions. Pure. */
#ifndef S2A_SERVE_CHAT_TOOLS_H
#define S2A_SERVE_CHAT_TOOLS_H

#include "serve/chat.h"

/* The messages, each {role, content, ...} with content a string, and tool_calls, tool_call_id and
 * name if it has them. The caller owns the reference; NULL on failure. S2A_INPUT (content or calls
 * that the embedded model cannot read), S2A_NOMEM. */
s2a_status chat_conversation(const chat_request *q, json_t **out, s2a_error *err);

/* tools, tool_choice, parallel_tool_calls and response_format; *out is NULL if the request has
 * neither tools nor a format. S2A_INPUT, S2A_NOMEM. */
s2a_status chat_options(const chat_request *q, json_t **out, s2a_error *err);

#endif
