/* What we use of llama.cpp's library "common": chat templates in Jinja, calls of tools, grammars
 * from JSON schemas, and sampling under a grammar. Its headers are C++: common.cpp alone has them,
 * and no exception leaves it. Where the library is not there, common_none.c stands in, and
 * everything is S2A_UNSUPPORTED.
 *
 * JSON goes in and out as text, in the form of OpenAI's chat completions. Texts that are returned
 * are malloc'ed. */
#ifndef S2A_LLAMA_COMMON_H
#define S2A_LLAMA_COMMON_H

#include "backend/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

struct llama_model;
struct llama_context;

/* What of a request is read here. Members that are NULL are not there. */
typedef struct common_ask {
    const char *messages; /* a list */
    const char *tools;    /* a list */
    const char *choice;   /* "auto", "required" or "none" */
    const char *schema;   /* the answer is JSON of this schema; without tools */
    int parallel;         /* more than one call at a time; -1 = as the template says */
} common_ask;

/* The chat templates of a model; thread-safe. */
typedef struct common_chat common_chat;

/* S2A_UNSUPPORTED (the model has no template, or one that cannot be run), S2A_NOMEM. */
s2a_status common_chat_open(const struct llama_model *model, common_chat **out, s2a_error *err);
void common_chat_close(common_chat *chat);
/* The messages in the form of the template, with the tools and the beginning of the assistant's
 * turn. S2A_INPUT (what the template refuses), S2A_NOMEM. */
s2a_status common_chat_render(const common_chat *chat, const common_ask *ask, char **prompt,
                              s2a_error *err);

/* How one answer is sampled and read. Used by one thread at a time. */
typedef struct common_plan common_plan;

/* chat may be NULL where there are no tools. S2A_INPUT (a schema that is none, tools that are
 * none), S2A_NOMEM. */
s2a_status common_plan_new(const common_chat *chat, const struct llama_model *model,
                           const common_ask *ask, const backend_params *params, uint32_t ctx_tokens,
                           common_plan **out, s2a_error *err);
void common_plan_free(common_plan *plan);
/* Texts that end the answer, besides the request's; NULL at the end of the list. */
const char *common_plan_stop(const common_plan *plan, size_t index);
/* Whether the token's text belongs to the answer though it is a control token. */
bool common_plan_shows(const common_plan *plan, int32_t token);
/* The next token, from a row of logits; -1 with an error. */
int32_t common_plan_sample(common_plan *plan, struct llama_context *ctx, int32_t row,
                           s2a_error *err);
/* What the model wrote, as a message; partial: it goes on. */
s2a_status common_plan_read(const common_plan *plan, const char *text, size_t len, bool partial,
                            char **message, s2a_error *err);

#ifdef __cplusplus
}
#endif

#endif
