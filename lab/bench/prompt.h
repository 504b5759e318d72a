/* Prompts of a given length in tokens, made from sentences that stand here: one needed fact among
 * sentences that say nothing about the question, an opinion, a question. Pure; the same seed gives
 * the same text. Names and figures are drawn anew for each sentence, so that a long prompt does not
 * repeat itself: repetition would flatter every kind of drafting. */
#ifndef S2A_BENCH_PROMPT_H
#define S2A_BENCH_PROMPT_H

#include "base/buf.h"

#define BENCH_PROMPT_TOKENS_MIN 64u
#define BENCH_PROMPT_TOKENS_MAX 1000000u

/* Tokens of a text, by itself; 0 = it could not be said. */
typedef size_t (*bench_count_fn)(void *ctx, const char *text, size_t len);

/* Appends a prompt whose sentences have, one by one, about so many tokens in sum. S2A_ARGUMENT
 * outside the limits, S2A_BACKEND when count said 0, S2A_NOMEM, S2A_LIMIT. */
s2a_status bench_prompt_build(uint64_t seed, uint32_t tokens, bench_count_fn count, void *ctx,
                              buf *out, s2a_error *err);

#endif
