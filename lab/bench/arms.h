/* The arms of the benchmark and the data of one measurement. Data only; run.h runs `s2a bench`. */
#ifndef S2A_BENCH_ARMS_H
#define S2A_BENCH_ARMS_H

#include "s2a.h"

/* The processes that compute. They are separate so that each has its own peak memory, and so that
 * one arm's prompt cache does not help another arm's step 2. */
typedef enum bench_peer_id {
    BENCH_PEER_SELECT,      /* this library, for select and plain */
    BENCH_PEER_REWRITE,     /* this library, copy drafting on */
    BENCH_PEER_REWRITE_OFF, /* this library, copy drafting off */
    BENCH_PEER_SERVER,      /* llama-server */
    BENCH_PEER_SERVER_SPEC, /* llama-server with its n-gram speculation */
    BENCH_PEERS
} bench_peer_id;

/* id, name, peer, mode, preset. The naive arms are mode rewrite of the http backend: two plain chat
 * completions, one with the paper's prompt and one with its result, as in the usual recipe. */
#define BENCH_ARM_MAP(X)                                               \
    X(SELECT, "select", SELECT, SELECT, AUTO)                          \
    X(REWRITE, "rewrite", REWRITE, REWRITE, OPINION)                   \
    X(REWRITE_OFF, "rewrite-draft-off", REWRITE_OFF, REWRITE, OPINION) \
    X(NAIVE, "naive", SERVER, REWRITE, OPINION)                        \
    X(NAIVE_SPEC, "naive-speculation", SERVER_SPEC, REWRITE, OPINION)  \
    X(PLAIN, "plain", SELECT, NONE, PLAIN)                             \
    X(SERVER_PLAIN, "plain-server", SERVER, NONE, PLAIN)

typedef enum bench_arm {
#define BENCH_ARM_ENUM(id, name, peer, mode, preset) BENCH_##id,
    BENCH_ARM_MAP(BENCH_ARM_ENUM)
#undef BENCH_ARM_ENUM
        BENCH_ARMS
} bench_arm;

typedef struct bench_arm_info {
    const char *name;
    bench_peer_id peer;
    s2a_mode mode;
    s2a_preset preset;
} bench_arm_info;

extern const bench_arm_info bench_arms[BENCH_ARMS];
extern const char *const bench_peer_names[BENCH_PEERS];

/* One measurement: concurrent requests, each with a different prompt. Times are wall time. */
typedef struct bench_sample {
    bench_arm arm;
    uint32_t length; /* intended tokens of x */
    uint32_t concurrency, repetition;
    double wall_ms;                       /* from the start to the end of the last request */
    double step1_ms, total_ms;            /* median of the requests */
    double prefill_per_s, generate_per_s; /* tokens a second in step 2, median; NaN = unknown */
    /* Sums over the requests. */
    uint64_t input_tokens; /* of x */
    s2a_usage step1, step2;
    uint32_t fallbacks;
    uint64_t peak_kb; /* peak memory so far of the process that computed; 0 = unknown */
} bench_sample;

typedef struct bench_samples {
    bench_sample *items;
    size_t count, cap;
} bench_samples;

/* False when out of memory. */
bool bench_samples_add(bench_samples *samples, const bench_sample *sample);
void bench_samples_free(bench_samples *samples);

/* Something that was not measured, with the reason in a sentence. */
typedef struct bench_skip {
    bench_arm arm;
    uint32_t length, concurrency; /* 0 = any */
    char reason[200];
} bench_skip;

typedef struct bench_skips {
    bench_skip *items;
    size_t count, cap;
} bench_skips;

bool bench_skips_add(bench_skips *skips, bench_arm arm, uint32_t length, uint32_t concurrency,
                     const char *reason);
/* The reason for a cell, or NULL. */
const char *bench_skips_find(const bench_skips *skips, bench_arm arm, uint32_t length,
                             uint32_t concurrency);
void bench_skips_free(bench_skips *skips);

#endif
