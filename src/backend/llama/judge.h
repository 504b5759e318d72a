/* What the files of the judge share: the context that texts are judged in. It is made when first needed: a
 * unit's cells in the KV cache must be known, and attention can be read only with flash attention off.
 * Labels are read with it, which is an eighth faster at 1,800 tokens; who asks for the other of the two
 * gets a new context. Whoever is in judge_gate has all of it. */
#ifndef S2A_LLAMA_JUDGE_H
#define S2A_LLAMA_JUDGE_H

#include "backend/llama/embedded.h"

typedef struct judge {
    struct llama_context *ctx;
    llama_memory_t memory;
    struct llama_batch batch;
    uint32_t ctx_tokens;
    bool attends;      /* made for reading attention */
    token_list prefix; /* of sequence 0 */
    bool pure;         /* decoded into an empty cache: cell i is token i of the prefix ... */
    bool holes;        /* ... but what is appended next may lie anywhere */
    uint32_t depth;    /* layers whose cells are filled; 0 = all */

    /* Set while a graph is computed of which more is read than logits; read_failed: this model has not
     * what was looked for. */
    bool read_failed;

    const uint32_t *layers; /* hidden states: behind these, ascending; none behind the last is computed */
    size_t layer_count;     /* 0 = all are, and none is read */
    float *hidden;          /* [slot][layer][width] of the decode at hand; NULL = not read */
    size_t hidden_width, hidden_at, hidden_row;

    bool attention;                    /* the question's tokens are decoded */
    const size_t *unit_from, *unit_to; /* token positions of the units */
    size_t unit_count;
    float *mass; /* [unit][heads] of the question at hand */
    size_t head_count;
    float *row; /* what was fetched of a tensor */
    size_t row_cap;
} judge;

/* The judge is the call's until judge_leave. */
s2a_status judge_enter(call *c, bool attends, s2a_error *err);
void judge_leave(call *c);

/* Brings sequence 0 to these tokens: what it has in common with them stays. fresh: its cells must
 * be its tokens, one by one. The first common of them are worth a file. */
s2a_status judge_prefix_set(call *c, const int32_t *tokens, size_t count, size_t common, bool fresh,
                            s2a_error *err);

void judge_batch_add(judge *j, int32_t token, size_t pos, int32_t seq, bool logits);
s2a_status judge_decode(call *c, s2a_error *err);

/* Of on_tensor, while attention is read. */
bool judge_attention_take(judge *j, const struct ggml_tensor *t, bool ask);

#endif
