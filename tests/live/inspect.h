/* A window into the llama backend, through the state it keeps in embedded.h. */
#ifndef S2A_TESTS_INSPECT_H
#define S2A_TESTS_INSPECT_H

#include "backend/llama/chat_prompt.h"

/* The tokens of the prompt that generate makes of these messages. */
s2a_status llama_inspect_prompt(backend *self, const backend_message *messages, size_t count,
                                token_list *out, bool *split, s2a_error *err);

bool llama_inspect_is_control(backend *self, int32_t token);

/* The text of tokens, with the names of special tokens. */
s2a_status llama_inspect_text(backend *self, const token_list *tokens, buf *out);

/* True if the KV cache has, for each slot, exactly the tokens that the slot says it has. No call
 * may be running. */
bool llama_inspect_slots_agree(backend *self);

/* The thread counts for a decode with many rows, and for one with a single row. */
void llama_inspect_threads(backend *self, uint32_t *read, uint32_t *write);

/* Sets how the backend drafts from now on: never, where it pays, or wherever there is something to
 * copy, whatever it costs. */
typedef enum llama_inspect_drafts { INSPECT_NEVER, INSPECT_PAYS, INSPECT_ALWAYS } llama_inspect_drafts;
void llama_inspect_set_drafts(backend *self, llama_inspect_drafts drafts);

#endif
