/* The parts of llama.cpp's library "common" that we use: chat templates in Jinja, tool calls,
 * grammars from JSON schemas, and sampling under a grammar. Its headers are C++: only common.cpp
 * includes them, and no exception leaves it. A build without the library uses common_none.c, where
 * everything is S2A_UNSUPPORTED.
 *
 * JSON is passed as text, in the form of OpenAI's chat completions. Returned texts are
 * malloc'ed. */
#ifndef S2A_LLAMA_COMMON_H
#define S2A_LLAMA_COMMON_H

#include "backend/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

struct llama_model;
struct llama_context;

/* The fields of a request that are read here; NULL = absent. */
typedef struct common_ask {
    const char *messages; /* a list */
    const char *tools;    /* a list */
    const char *choice;   /* "auto", "required" or "none" */
    const char *schema;   /* the answer is JSON of this schema; without tools */
    int parallel; /* whether several calls at a time are allowed; -1 = as the template says */
} common_ask;

/* The chat templates of a model; thread-safe. */
typedef struct common_chat common_chat;

/* S2A_UNSUPPORTED (the model has no template, or one that cannot be run), S2A_NOMEM. */
s2a_status common_chat_open(const struct llama_model *model, common_chat **out, s2a_error *err);
void common_chat_close(common_chat *chat);
/* Renders the messages with the template, with the tools and the beginning of the assistant's turn.
 * S2A_INPUT (the template refuses them), S2A_NOMEM. */
s2a_status common_chat_render(const common_chat *chat, const common_ask *ask, char **prompt,
                              s2a_error *err);

/* How one answer is sampled and parsed. Used by one thread at a time. */
typedef struct common_plan common_plan;

/* chat may be NULL if there are no tools. S2A_INPUT (invalid schema or tools), S2A_NOMEM. */
s2a_status common_plan_new(const common_chat *chat, const struct llama_model *model,
                           const common_ask *ask, const backend_params *params, uint32_t ctx_tokens,
                           common_plan **out, s2a_error *err);
void common_plan_free(common_plan *plan);
/* The template's stop texts, which end the answer like the request's; NULL after the last. */
const char *common_plan_stop(const common_plan *plan, size_t index);
/* Whether the token's text belongs to the answer though it is a control token. */
bool common_plan_shows(const common_plan *plan, int32_t token);
/* The next token, from a row of logits; -1 with an error. */
int32_t common_plan_sample(common_plan *plan, struct llama_context *ctx, int32_t row,
                           s2a_error *err);
/* Parses the generated text as a message; partial: more text will follow. */
s2a_status common_plan_read(const common_plan *plan, const char *text, size_t len, bool partial,
                            char **message, s2a_error *err);

#ifdef __cplusplus
}
#endif

#endif
