/* Counters, and their output in Prometheus's text format 0.0.4. Any thread. */
#ifndef S2A_SERVE_METRICS_H
#define S2A_SERVE_METRICS_H

#include "base/buf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define METRICS_ROUTE_MAP(X)      \
    X(CHAT, "chat_completions")   \
    X(COMPLETIONS, "completions") \
    X(RESPONSES, "responses")     \
    X(MESSAGES, "messages")       \
    X(COUNT, "count_tokens")      \
    X(GUARDRAIL, "guardrail")     \
    X(RERANK, "rerank")           \
    X(MODELS, "models")           \
    X(HEALTH, "health")           \
    X(METRICS, "metrics")         \
    X(EFFECT, "effect")           \
    X(REMOVED, "removed")         \
    X(PAGE, "page")               \
    X(OTHER, "other")

typedef enum metrics_route {
#define METRICS_ROUTE_ENUM(id, name) METRICS_##id,
    METRICS_ROUTE_MAP(METRICS_ROUTE_ENUM)
#undef METRICS_ROUTE_ENUM
        METRICS_ROUTES
} metrics_route;

enum { METRICS_BUCKETS = 15, METRICS_REASONS = 16, METRICS_STATUSES = 600 };

typedef struct metrics_histogram {
    atomic_ullong buckets[METRICS_BUCKETS + 1], count, sum_us;
} metrics_histogram;

/* A minute of requests with S2A. */
typedef struct metrics_minute {
    int64_t minute; /* since the clock began; 0 = none */
    uint64_t requests, judged_bytes, removed_bytes, spent_tokens;
    uint64_t fallbacks[METRICS_REASONS];
} metrics_minute;

enum { METRICS_MINUTES = 60 };

typedef struct metrics {
    atomic_ullong requests[METRICS_ROUTES][METRICS_STATUSES]; /* status 0: no response began */
    metrics_histogram step1, step2, total, first_byte;
    atomic_ullong s2a_requests, prompt_tokens[2], completion_tokens[2], cached_tokens[2];
    atomic_ullong judged_bytes, removed_bytes;
    atomic_ullong fallbacks[METRICS_REASONS];
    atomic_ullong hang_ups, rejected, upstream_failures;
    atomic_int upstream_up; /* whether upstream responded last time; -1 = unknown */
    atomic_int queued, working;
    pthread_mutex_t lock; /* guards minutes */
    metrics_minute minutes[METRICS_MINUTES];
} metrics;

/* What step 1 did with one request. */
typedef struct metrics_step1 {
    double ms;
    uint64_t prompt_tokens, completion_tokens, cached_tokens;
    size_t judged_bytes, removed_bytes; /* removed_bytes is ignored after a fallback */
    const char *fallback;               /* NULL = none. Unknown reasons count as "other" */
    bool cancelled;                     /* the client is gone: no fallback */
} metrics_step1;

/* Values that are counted elsewhere, at the time of writing. */
typedef struct metrics_gauges {
    size_t connections, active;
    bool draining;
    unsigned long long log_dropped;
} metrics_gauges;

void metrics_init(metrics *m);
void metrics_observe(metrics_histogram *h, double ms);
void metrics_request(metrics *m, metrics_route route, int status, double ms, double first_ms);
void metrics_attended(metrics *m, const metrics_step1 *s);
/* The effect of the last METRICS_MINUTES minutes, the current one among them, as a JSON object. */
void metrics_effect(metrics *m, buf *out);
void metrics_free(metrics *m);
void metrics_write(const metrics *m, const metrics_gauges *g, buf *out);

#endif
