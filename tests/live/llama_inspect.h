/* A window into the embedded engine for its tests: it reads what src/backend/llama/embedded.h
 * says, and the engine knows nothing of it. */
#ifndef TESTS_LLAMA_INSPECT_H
#define TESTS_LLAMA_INSPECT_H

#include "backend/backend.h"
#include "backend/llama/chat_prompt.h"

/* The tokens that generate would read for these messages. */
s2a_status llama_inspect_prompt(backend *self, const backend_message *messages, size_t count,
                                token_list *out, bool *split, s2a_error *err);

/* The same with the fields of these parameters. Fails the test. */
void llama_inspect_prompt_with(backend *self, const backend_message *messages, size_t count,
                               const backend_params *params, token_list *out);

bool llama_inspect_is_control(backend *self, int32_t token);

/* The text of tokens, special tokens by their names. */
s2a_status llama_inspect_text(backend *self, const token_list *tokens, buf *out);

/* True when the KV cache holds, for each slot, exactly the tokens that the slot remembers. No call
 * may be running. */
bool llama_inspect_slots_agree(backend *self);

/* The threads of a decode of many rows, and of one. */
void llama_inspect_threads(backend *self, uint32_t *read, uint32_t *write);

/* How the backend drafts from now on: not at all, where it pays, or wherever there is something to
 * copy, whatever that costs. The last for one backend at a time: it learns no costs then, for which
 * the tests are linked with --wrap=cost_add. No call may be running. */
typedef enum llama_inspect_drafts {
    INSPECT_NEVER,
    INSPECT_PAYS,
    INSPECT_ALWAYS
} llama_inspect_drafts;
void llama_inspect_set_drafts(backend *self, llama_inspect_drafts drafts);

#endif
