/* Conversations with calls of tools, tools, and the form of the answer: from each API to one form,
 * that of /v1/chat/completions. Pure. */
#ifndef S2A_SERVE_CHAT_TOOLS_H
#define S2A_SERVE_CHAT_TOOLS_H

#include "serve/chat.h"

/* The messages, each {role, content, ...} with content a string, and tool_calls, tool_call_id, name
 * where it has them. The caller has the reference; NULL on failure. S2A_INPUT (content or calls
 * that the embedded model cannot read), S2A_NOMEM. */
s2a_status chat_conversation(const chat_request *q, json_t **out, s2a_error *err);

/* tools, tool_choice, parallel_tool_calls and response_format, as far as they ask for something;
 * *out NULL: they do not. S2A_INPUT, S2A_NOMEM. */
s2a_status chat_options(const chat_request *q, json_t **out, s2a_error *err);

#endif
