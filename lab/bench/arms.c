#include "bench/arms.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

const bench_arm_info bench_arms[BENCH_ARMS] = {
#define BENCH_ARM_ROW(id, name, peer, mode, preset) \
    { name, BENCH_PEER_##peer, S2A_MODE_##mode, S2A_PRESET_##preset },
    BENCH_ARM_MAP(BENCH_ARM_ROW)
#undef BENCH_ARM_ROW
};

const char *const bench_peer_names[BENCH_PEERS] = { "select and plain", "rewrite",
                                                    "rewrite, draft off", "llama-server",
                                                    "llama-server with speculation" };

bool bench_samples_add(bench_samples *samples, const bench_sample *sample)
{
    void *items = samples->items;
    if (!array_reserve(&items, &samples->cap, samples->count + 1, sizeof *sample))
        return false;
    samples->items = items;
    samples->items[samples->count++] = *sample;
    return true;
}

void bench_samples_free(bench_samples *samples)
{
    free(samples->items);
    *samples = (bench_samples){ .items = NULL };
}

bool bench_skips_add(bench_skips *skips, bench_arm arm, uint32_t length, uint32_t concurrency,
                     const char *reason)
{
    void *items = skips->items;
    if (!array_reserve(&items, &skips->cap, skips->count + 1, sizeof *skips->items))
        return false;
    skips->items = items;
    bench_skip *skip = &skips->items[skips->count++];
    *skip = (bench_skip){ .arm = arm, .length = length, .concurrency = concurrency };
    snprintf(skip->reason, sizeof skip->reason, "%s", reason);
    return true;
}

const char *bench_skips_find(const bench_skips *skips, bench_arm arm, uint32_t length,
                             uint32_t concurrency)
{
    for (size_t i = 0; i < skips->count; i++) {
        const bench_skip *skip = &skips->items[i];
        if (skip->arm == arm && (skip->length == 0 || skip->length == length) &&
            (skip->concurrency == 0 || skip->concurrency == concurrency))
            return skip->reason;
    }
    return NULL;
}

void bench_skips_free(bench_skips *skips)
{
    free(skips->items);
    *skips = (bench_skips){ .items = NULL };
}
