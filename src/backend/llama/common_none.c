/* Without llama.cpp's library "common". */
#include "backend/llama/common.h"

#include "base/error.h"

static s2a_status none(s2a_error *err)
{
    return error_set(err, S2A_UNSUPPORTED,
                     "tools and JSON schemas: this s2a was built without llama.cpp's library "
                     "common; use a server with --upstream");
}

s2a_status common_chat_open(const struct llama_model *model, common_chat **out, s2a_error *err)
{
    (void)model;
    *out = NULL;
    return none(err);
}

void common_chat_close(common_chat *chat)
{
    (void)chat;
}

s2a_status common_chat_render(const common_chat *chat, const common_ask *ask, char **prompt,
                              s2a_error *err)
{
    (void)chat, (void)ask;
    *prompt = NULL;
    return none(err);
}

s2a_status common_plan_new(const common_chat *chat, const struct llama_model *model,
                           const common_ask *ask, const backend_params *params, uint32_t ctx_tokens,
                           common_plan **out, s2a_error *err)
{
    (void)chat, (void)model, (void)ask, (void)params, (void)ctx_tokens;
    *out = NULL;
    return none(err);
}

void common_plan_free(common_plan *plan)
{
    (void)plan;
}

const char *common_plan_stop(const common_plan *plan, size_t index)
{
    (void)plan, (void)index;
    return NULL;
}

bool common_plan_shows(const common_plan *plan, int32_t token)
{
    (void)plan, (void)token;
    return false;
}

int32_t common_plan_sample(common_plan *plan, struct llama_context *ctx, int32_t row,
                           s2a_error *err)
{
    (void)plan, (void)ctx, (void)row;
    none(err);
    return -1;
}

s2a_status common_plan_read(const common_plan *plan, const char *text, size_t len, bool partial,
                            char **message, s2a_error *err)
{
    (void)plan, (void)text, (void)len, (void)partial;
    *message = NULL;
    return none(err);
}
