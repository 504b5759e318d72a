/* Probabilities of tokens, for callers of generate that ask for them. */
#include "backend/llama/embedded.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The likeliest tokens of a row of logits, best first. */
static size_t best_of(const float *logits, int32_t vocab, size_t most, int32_t *best)
{
    size_t count = 0;
    for (int32_t t = 0; t < vocab && most > 0; t++) {
        if (count == most && !(logits[t] > logits[best[count - 1]]))
            continue;
        size_t at = count < most ? count++ : count - 1;
        for (; at > 0 && logits[t] > logits[best[at - 1]]; at--)
            best[at] = best[at - 1];
        best[at] = t;
    }
    return count;
}

/* The logarithm of the sum of the exponentials. */
static double log_sum(const float *logits, int32_t vocab)
{
    float most = logits[0];
    double sum = 0;
    for (int32_t t = 1; t < vocab; t++)
        most = logits[t] > most ? logits[t] : most;
    for (int32_t t = 0; t < vocab; t++)
        sum += expf(logits[t] - most);
    return most + log(sum);
}

bool logprobs_note(call *c, int32_t row, int32_t token)
{
    const embedded *e = c->e;
    const float *logits = llama_get_logits_ith(e->ctx, row);
    int32_t vocab = llama_vocab_n_tokens(e->vocab);
    void *items = c->probs;
    if (!logits || !array_reserve(&items, &c->probs_cap, c->probs_count + 1, sizeof *c->probs))
        return false;
    c->probs = items;
    token_probs *p = &c->probs[c->probs_count++];
    *p = (token_probs){ .start = c->raw_bytes };
    p->tokens[0] = token;
    p->count = 1 + best_of(logits, vocab, c->params->top_logprobs, p->tokens + 1);
    double sum = log_sum(logits, vocab);
    for (size_t i = 0; i < p->count; i++)
        p->values[i] = logits[p->tokens[i]] - sum;
    return true;
}

size_t logprobs_take(call *c, token_probs **out)
{
    bool all = c->ended && c->usage->stop == 0;
    size_t count = 0;
    while (count < c->probs_count && (all || c->probs[count].start < c->text_bytes))
        count++;
    *out = count > 0 ? malloc(count * sizeof **out) : NULL;
    if (!*out)
        return 0;
    memcpy(*out, c->probs, count * sizeof **out);
    memmove(c->probs, c->probs + count, (c->probs_count - count) * sizeof *c->probs);
    c->probs_count -= count;
    return count;
}

void logprobs_tell(const call *c, const token_probs *probs, size_t count)
{
    char text[1 + LIMIT_TOP_LOGPROBS][128];
    s2a_logprob said[1 + LIMIT_TOP_LOGPROBS];
    for (size_t i = 0; i < count; i++) {
        const token_probs *p = &probs[i];
        for (size_t k = 0; k < p->count; k++) {
            int32_t n =
                llama_token_to_piece(c->e->vocab, p->tokens[k], text[k], sizeof text[k], 0, true);
            said[k] = (s2a_logprob){ text[k], n > 0 ? (size_t)n : 0, p->values[k] };
        }
        c->params->on_logprob(c->params->on_logprob_ctx, &said[0], said + 1, p->count - 1);
    }
}
