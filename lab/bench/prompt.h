/* Prompts of a given length in tokens, made from built-in sentences: one needed fact among
 * sentences that do not help with the question, an opinion, a question. Pure; the same seed gives
 * the same text. Names and figures are drawn for each sentence, so that a long prompt does not
 * repeat itself: repetition would favour every kind of drafting. */
#ifndef S2A_BENCH_PROMPT_H
#define S2A_BENCH_PROMPT_H

#include "base/buf.h"

#define BENCH_PROMPT_TOKENS_MIN 64u
#define BENCH_PROMPT_TOKENS_MAX 1000000u

/* The number of tokens of a text alone; 0 = failure. */
typedef size_t (*bench_count_fn)(void *ctx, const char *text, size_t len);

/* Appends a prompt of about tokens tokens, counted sentence by sentence. S2A_ARGUMENT outside the
 * limits, S2A_BACKEND if count returned 0, S2A_NOMEM, S2A_LIMIT. */
s2a_status bench_prompt_build(uint64_t seed, uint32_t tokens, bench_count_fn count, void *ctx,
                              buf *out, s2a_error *err);

#endif
