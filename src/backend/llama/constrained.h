/* A generation with tools, with calls of tools in its messages, or with a JSON schema for the
 * answer: its prompt, its sampling, and what becomes of the text. */
#ifndef S2A_LLAMA_CONSTRAINED_H
#define S2A_LLAMA_CONSTRAINED_H

#include "backend/llama/chat_fields.h"
#include "backend/llama/common.h"
#include "backend/llama/embedded.h"

typedef struct constrained {
    embedded *e;
    const backend_params *params;
    chat_fields fields;
    char *tools, *hidden_tools;
    chat_piece *specials;
    size_t special_count;
    bool templated; /* the prompt is the Jinja template's */
    bool reads;     /* the text is parsed for calls of tools */
    chat_model model;
    common_plan *plan; /* NULL = none */
    stop_text *stops;  /* the request's, then the template's */
    size_t stop_count;

    backend_token_fn on_token;
    void *on_token_ctx;
    buf raw;
    size_t sent; /* bytes of the content */
    s2a_status status;
    s2a_error *err;
} constrained;

/* Whether the parameters ask for it. */
bool constrained_wanted(const backend_params *params);
/* generates: the plan is made too. Call constrained_close in any case. *k must not move. S2A_INPUT,
 * S2A_UNSUPPORTED, S2A_NOMEM. */
s2a_status constrained_open(constrained *k, embedded *e, const backend_message *messages,
                            size_t count, const backend_params *params, bool generates,
                            s2a_error *err);
void constrained_close(constrained *k);
/* A backend_token_fn, where reads is set: hands on the content. */
int constrained_token(void *ctx, const char *text, size_t len);
/* The rest of the content, and the calls. */
s2a_status constrained_end(constrained *k, backend_usage *usage, s2a_error *err);

#endif
