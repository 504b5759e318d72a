/* What is run, in which order. Pure. */
#ifndef S2A_BENCH_PLAN_H
#define S2A_BENCH_PLAN_H

#include "bench/arms.h"

#define BENCH_LIST_MAX 16u /* lengths, or numbers of requests at once */
#define BENCH_BLOCKS_MAX (2 * BENCH_LIST_MAX)

/* The arms that are interleaved at one length and one concurrency. */
typedef struct bench_block {
    uint32_t length, concurrency, repetitions;
    bench_arm arms[BENCH_ARMS];
    size_t arm_count;
} bench_block;

typedef struct bench_plan {
    bench_block blocks[BENCH_BLOCKS_MAX];
    size_t count;
} bench_plan;

/* What decides most comes first: all arms at the first length, alone; then the other numbers of
 * requests at once, the most first, at that length; then the other lengths, alone. quick: less of
 * it, and all but the first block once. No draft-off arm; the second length before the crowd; of
 * several at once only the arms that are compared there, the cheapest first; at other lengths only
 * select and plain, whose growth is a figure. */
void bench_plan_make(const uint32_t *lengths, size_t length_count, const uint32_t *concurrency,
                     size_t concurrency_count, uint32_t repetitions, bool quick, bench_plan *out);

/* The arm at place i of a repetition: the order is turned by one from each to the next, so that no
 * arm always follows the same one or comes first. */
bench_arm bench_plan_arm(const bench_block *block, uint32_t repetition, size_t i);

/* KV cells in which everything of the plan fits: a prompt, the instructions around it and a copy
 * of it, times the requests at once. */
uint32_t bench_plan_ctx_tokens(const bench_plan *plan, uint32_t max_tokens);

#endif
