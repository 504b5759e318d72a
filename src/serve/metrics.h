/* Counters, and their output in Prometheus's text format 0.0.4. Any thread. */
#ifndef S2A_SERVE_METRICS_H
#define S2A_SERVE_METRICS_H

#include "base/buf.h"

#include <stdatomic.h>

#define METRICS_ROUTE_MAP(X)      \
    X(CHAT, "chat_completions")   \
    X(COMPLETIONS, "completions") \
    X(RESPONSES, "responses")     \
    X(MESSAGES, "messages")       \
    X(COUNT, "count_tokens")      \
    X(MODELS, "models")           \
    X(HEALTH, "health")           \
    X(METRICS, "metrics")         \
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

typedef struct metrics {
    atomic_ullong requests[METRICS_ROUTES][METRICS_STATUSES]; /* status 0: no response began */
    metrics_histogram step1, step2, total, first_byte;
    atomic_ullong s2a_requests, prompt_tokens[2], completion_tokens[2], cached_tokens[2];
    atomic_ullong judged_bytes, removed_bytes;
    atomic_ullong fallbacks[METRICS_REASONS];
    atomic_ullong hang_ups, rejected, upstream_failures;
    atomic_int upstream_up; /* whether upstream responded last time; -1 = unknown */
    atomic_int queued, working;
} metrics;

/* Values that are counted elsewhere, at the time of writing. */
typedef struct metrics_gauges {
    size_t connections, active;
    bool draining;
    unsigned long long log_dropped;
} metrics_gauges;

void metrics_init(metrics *m);
void metrics_observe(metrics_histogram *h, double ms);
void metrics_request(metrics *m, metrics_route route, int status, double ms, double first_ms);
/* reason: a value of step1_outcome.fallback; unknown ones count as "other". */
void metrics_fallback(metrics *m, const char *reason);
void metrics_write(const metrics *m, const metrics_gauges *g, buf *out);

#endif
