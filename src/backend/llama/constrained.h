/* A generation with tools, with tool calls in its messages, or with a JSON schema for the answer:
 * its prompt, its sampling, and the parsing of its text. */
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
    bool reads;     /* the text is parsed for tool calls */
    chat_model model;
    common_plan *plan; /* NULL = none */
    stop_text *stops;  /* the request's, then the template's */
    size_t stop_count;

    backend_token_fn on_token;
    void *on_token_ctx;
    buf raw;
    size_t sent; /* bytes of the content that on_token has had */
    s2a_status status;
    s2a_error *err;
} constrained;

/* Whether the parameters need one. */
bool constrained_wanted(const backend_params *params);
/* generates: keep the plan for sampling. Call constrained_close in any case. *k must not move.
 * S2A_INPUT, S2A_UNSUPPORTED, S2A_NOMEM. */
s2a_status constrained_open(constrained *k, embedded *e, const backend_message *messages,
                            size_t count, const backend_params *params, bool generates,
                            s2a_error *err);
void constrained_close(constrained *k);
/* A backend_token_fn for use if reads is set: passes the content to on_token. */
int constrained_token(void *ctx, const char *text, size_t len);
/* Passes the rest of the content to on_token, and the calls to on_calls. */
s2a_status constrained_end(constrained *k, backend_usage *usage, s2a_error *err);

#endif
