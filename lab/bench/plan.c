#include "bench/plan.h"

/* Of the rewriting prompt, the labels of x', the chat template and the instructed step 2. */
#define AROUND_TOKENS 640u

static void add(bench_plan *plan, uint32_t length, uint32_t concurrency, uint32_t repetitions,
                const bench_arm *arms, size_t arm_count)
{
    if (plan->count == BENCH_BLOCKS_MAX)
        return;
    bench_block *block = &plan->blocks[plan->count++];
    *block = (bench_block){ .length = length,
                            .concurrency = concurrency,
                            .repetitions = repetitions,
                            .arm_count = arm_count };
    for (size_t i = 0; i < arm_count; i++)
        block->arms[i] = arms[i];
}

static void make_all(const uint32_t *lengths, size_t length_count, const uint32_t *concurrency,
                     size_t concurrency_count, uint32_t repetitions, bench_plan *out)
{
    static const bench_arm all[] = { BENCH_SELECT,      BENCH_REWRITE,    BENCH_REWRITE_OFF,
                                     BENCH_NAIVE,       BENCH_NAIVE_SPEC, BENCH_PLAIN,
                                     BENCH_SERVER_PLAIN };
    _Static_assert(sizeof all / sizeof *all == BENCH_ARMS, "every arm is in it");
    add(out, lengths[0], 1, repetitions, all, BENCH_ARMS);
    for (size_t i = concurrency_count; i-- > 0;)
        if (concurrency[i] > 1)
            add(out, lengths[0], concurrency[i], repetitions, all, BENCH_ARMS);
    for (size_t i = 1; i < length_count; i++)
        add(out, lengths[i], 1, repetitions, all, BENCH_ARMS);
}

static void make_quick(const uint32_t *lengths, size_t length_count, const uint32_t *concurrency,
                       size_t concurrency_count, uint32_t repetitions, bench_plan *out)
{
    static const bench_arm first[] = { BENCH_SELECT,     BENCH_REWRITE, BENCH_NAIVE,
                                       BENCH_NAIVE_SPEC, BENCH_PLAIN,   BENCH_SERVER_PLAIN };
    static const bench_arm crowd[] = { BENCH_PLAIN, BENCH_SERVER_PLAIN, BENCH_REWRITE,
                                       BENCH_NAIVE };
    static const bench_arm growth[] = { BENCH_SELECT, BENCH_PLAIN };
    add(out, lengths[0], 1, repetitions, first, sizeof first / sizeof *first);
    for (size_t i = 1; i < length_count && i < 2; i++)
        add(out, lengths[i], 1, 1, growth, 2);
    for (size_t i = concurrency_count; i-- > 0;)
        if (concurrency[i] > 1)
            add(out, lengths[0], concurrency[i], 1, crowd, sizeof crowd / sizeof *crowd);
    for (size_t i = 2; i < length_count; i++)
        add(out, lengths[i], 1, 1, growth, 2);
}

void bench_plan_make(const uint32_t *lengths, size_t length_count, const uint32_t *concurrency,
                     size_t concurrency_count, uint32_t repetitions, bool quick, bench_plan *out)
{
    out->count = 0;
    (quick ? make_quick : make_all)(lengths, length_count, concurrency, concurrency_count,
                                    repetitions, out);
}

bench_arm bench_plan_arm(const bench_block *block, uint32_t repetition, size_t i)
{
    return block->arms[(i + repetition) % block->arm_count];
}

uint32_t bench_plan_ctx_tokens(const bench_plan *plan, uint32_t max_tokens)
{
    uint64_t most = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const bench_block *b = &plan->blocks[i];
        uint64_t one = 2ull * b->length + b->length / 8 + AROUND_TOKENS + max_tokens;
        most = one * b->concurrency > most ? one * b->concurrency : most;
    }
    most = (most + 1023) / 1024 * 1024;
    return most > UINT32_MAX ? UINT32_MAX : (uint32_t)most;
}
