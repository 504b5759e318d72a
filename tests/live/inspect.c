#include "inspect.h"

#include "backend/llama/embedded.h"

s2a_status llama_inspect_prompt(backend *self, const backend_message *messages, size_t count,
                                token_list *out, bool *split, s2a_error *err)
{
    embedded *e = (embedded *)self;
    return chat_prompt_tokens(&e->chat, messages, count, out, split, err);
}

bool llama_inspect_is_control(backend *self, int32_t token)
{
    embedded *e = (embedded *)self;
    return e->chat.kind(e->chat.ctx, token) == TOKEN_CONTROL;
}

s2a_status llama_inspect_text(backend *self, const token_list *tokens, buf *out)
{
    utf8_stream stream = { .need = 0 };
    for (size_t i = 0; i < tokens->count; i++) {
        char piece[256]; /* of a real model's tokens, and all special ones' names */
        int32_t n = llama_token_to_piece(((const embedded *)self)->vocab, tokens->items[i], piece,
                                         sizeof piece, 0, true);
        if (n < 0)
            return S2A_LIMIT;
        utf8_stream_add(&stream, piece, (size_t)n, out);
    }
    utf8_stream_end(&stream, out);
    return out->status;
}

static bool slot_agrees(const embedded *e, int slot)
{
    size_t count = e->slots.slot[slot].count;
    llama_pos last = llama_memory_seq_pos_max(e->memory, slot);
    if (count == 0)
        return last < 0;
    bool all = e->whole_slots || llama_memory_seq_pos_min(e->memory, slot) == 0;
    return all && last == (llama_pos)count - 1;
}

bool llama_inspect_slots_agree(backend *self)
{
    const embedded *e = (const embedded *)self;
    for (int i = 0; i < KV_SLOTS; i++)
        if (e->slots.slot[i].busy || !slot_agrees(e, i))
            return false;
    return true;
}

void llama_inspect_threads(backend *self, uint32_t *read, uint32_t *write)
{
    const embedded *e = (const embedded *)self;
    *read = (uint32_t)llama_n_threads_batch(e->ctx);
    *write = (uint32_t)llama_n_threads(e->ctx);
}

void llama_inspect_set_drafts(backend *self, llama_inspect_drafts drafts)
{
    embedded *e = (embedded *)self;
    e->drafts = drafts != INSPECT_NEVER;
    e->cost_is_flat = drafts == INSPECT_ALWAYS;
    e->cost = (cost_curve){ 0 };
}
