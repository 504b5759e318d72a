/* The order of the measurements. Pure. */
#ifndef S2A_BENCH_PLAN_H
#define S2A_BENCH_PLAN_H

#include "bench/arms.h"

#define BENCH_LIST_MAX 16u /* lengths, or concurrency values */
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

/* The most important blocks come first: all arms at the first length, one request at a time; then
 * the other concurrency values at that length, the highest first; then the other lengths, one
 * request at a time. quick: fewer measurements, and all blocks except the first only once. It has
 * no draft-off arm; the second length comes before the concurrent runs; concurrent runs have only
 * the arms that are compared there, the cheapest first; other lengths have only select and plain,
 * for growth_exponent. */
void bench_plan_make(const uint32_t *lengths, size_t length_count, const uint32_t *concurrency,
                     size_t concurrency_count, uint32_t repetitions, bool quick, bench_plan *out);

/* The arm at place i of a repetition. The order rotates by one from each repetition to the next, so
 * that no arm always comes first. */
bench_arm bench_plan_arm(const bench_block *block, uint32_t repetition, size_t i);

/* KV cells that fit everything in the plan: a prompt, the instructions around it and a copy of it,
 * times the concurrency. */
uint32_t bench_plan_ctx_tokens(const bench_plan *plan, uint32_t max_tokens);

#endif
