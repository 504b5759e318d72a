/* A request's fields other than its messages' texts: tools, tool calls and the answer's format, as
 * JSON in the form of OpenAI's chat completions.
 *
 * Texts in these fields are data. For a chat template each occurrence of a special token's text
 * becomes a placeholder (chat_prompt.h), so that no description of a tool can open or close a turn.
 * Pure. */
#ifndef S2A_CHAT_FIELDS_H
#define S2A_CHAT_FIELDS_H

#include "backend/llama/chat_prompt.h"

#include <jansson.h>

typedef struct chat_fields {
    size_t count;       /* messages */
    json_t *tools;      /* a list; NULL = none */
    const char *choice; /* "auto", "required" or "none" */
    int parallel;       /* -1 = not given */
    char *schema;       /* the answer's; NULL = none */
    json_t **of;        /* each message's fields; NULL = none */
    bool any;           /* some message has fields */

    json_t *hidden_tools, **hidden_of; /* the same with placeholders */
    chat_piece *pieces;                /* the texts behind the placeholders */
    size_t piece_count, piece_cap;
} chat_fields;

/* Both may be NULL. Call chat_fields_free in any case. S2A_INPUT (the message names the fault),
 * S2A_NOMEM. */
s2a_status chat_fields_read(chat_fields *f, const char *chat, const char *const *of, size_t count,
                            s2a_error *err);
void chat_fields_free(chat_fields *f);

/* Fills hidden_tools, hidden_of and pieces; specials are the texts of the model's special tokens.
 * S2A_NOMEM. */
s2a_status chat_fields_hide(chat_fields *f, const chat_piece *specials, size_t special_count);

/* The messages with their fields, as a JSON list; malloc'ed. S2A_INPUT (not UTF-8), S2A_NOMEM. */
s2a_status chat_fields_messages(const chat_fields *f, const backend_message *messages, bool hidden,
                                char **out);

#endif
