#include "serve/metrics.h"

#include "base/clock.h"

#include <string.h>

static const char *const routes[] = {
#define ROUTE_NAME(id, name) name,
    METRICS_ROUTE_MAP(ROUTE_NAME)
#undef ROUTE_NAME
};

static const char *const reasons[] = {
#define REASON_NAME(id, name) name,
    S2A_FALLBACK_MAP(REASON_NAME)
#undef REASON_NAME
        "budget",
    "no_text",
    "other",
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BYTES_A_TOKEN 4 /* an estimate: removed text is not tokenised */
_Static_assert(COUNT(reasons) <= METRICS_REASONS, "METRICS_REASONS is too small");

static const double bounds_ms[METRICS_BUCKETS] = { 1,   2.5,  5,    10,   25,    50,    100,  250,
                                                   500, 1000, 2500, 5000, 10000, 30000, 60000 };

void metrics_init(metrics *m)
{
    memset(m, 0, sizeof *m);
    atomic_init(&m->upstream_up, -1);
    pthread_mutex_init(&m->lock, NULL);
}

void metrics_free(metrics *m)
{
    pthread_mutex_destroy(&m->lock);
}

void metrics_observe(metrics_histogram *h, double ms)
{
    size_t i = 0;
    while (i < METRICS_BUCKETS && ms > bounds_ms[i])
        i++;
    atomic_fetch_add(&h->buckets[i], 1);
    atomic_fetch_add(&h->count, 1);
    atomic_fetch_add(&h->sum_us, ms > 0 ? (unsigned long long)(ms * 1e3) : 0);
}

void metrics_request(metrics *m, metrics_route route, int status, double ms, double first_ms)
{
    size_t at = status >= 0 && status < METRICS_STATUSES ? (size_t)status : 0;
    atomic_fetch_add(&m->requests[route][at], 1);
    metrics_observe(&m->total, ms);
    if (first_ms >= 0)
        metrics_observe(&m->first_byte, first_ms);
}

/* The current minute. With the lock held. */
static metrics_minute *minute_of(metrics *m, int64_t now)
{
    metrics_minute *minute = &m->minutes[now % METRICS_MINUTES];
    if (minute->minute != now)
        *minute = (metrics_minute){ .minute = now };
    return minute;
}

static int64_t minute_now(void)
{
    return 1 + (int64_t)(clock_ms() / 60e3);
}

void metrics_attended(metrics *m, const metrics_step1 *s)
{
    size_t reason = 0;
    while (s->fallback && reason + 1 < COUNT(reasons) && strcmp(reasons[reason], s->fallback) != 0)
        reason++;
    uint64_t removed = s->fallback ? 0 : s->removed_bytes;
    bool fell_back = s->fallback && !s->cancelled;
    atomic_fetch_add(&m->s2a_requests, 1);
    metrics_observe(&m->step1, s->ms);
    atomic_fetch_add(&m->prompt_tokens[0], s->prompt_tokens);
    atomic_fetch_add(&m->completion_tokens[0], s->completion_tokens);
    atomic_fetch_add(&m->cached_tokens[0], s->cached_tokens);
    atomic_fetch_add(&m->judged_bytes, s->judged_bytes);
    atomic_fetch_add(&m->removed_bytes, removed);
    if (fell_back)
        atomic_fetch_add(&m->fallbacks[reason], 1);
    pthread_mutex_lock(&m->lock);
    metrics_minute *minute = minute_of(m, minute_now());
    minute->requests++;
    minute->judged_bytes += s->judged_bytes;
    minute->removed_bytes += removed;
    minute->spent_tokens += s->prompt_tokens - s->cached_tokens + s->completion_tokens;
    minute->fallbacks[reason] += fell_back;
    pthread_mutex_unlock(&m->lock);
}

void metrics_effect(metrics *m, buf *out)
{
    metrics_minute sum = { 0 };
    int64_t now = minute_now();
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < METRICS_MINUTES; i++) {
        const metrics_minute *minute = &m->minutes[i];
        if (minute->minute <= now - METRICS_MINUTES)
            continue;
        sum.requests += minute->requests;
        sum.judged_bytes += minute->judged_bytes;
        sum.removed_bytes += minute->removed_bytes;
        sum.spent_tokens += minute->spent_tokens;
        for (size_t k = 0; k < COUNT(reasons); k++)
            sum.fallbacks[k] += minute->fallbacks[k];
    }
    pthread_mutex_unlock(&m->lock);
    double share = sum.judged_bytes ? (double)sum.removed_bytes / (double)sum.judged_bytes : 0;
    buf_addf(out,
             "{\"minutes\":%d,\"requests\":%llu,\"judged_bytes\":%llu,\"removed_bytes\":%llu,"
             "\"removed_share\":%.4f,\"saved_tokens_estimated\":%llu,\"spent_tokens\":%llu,"
             "\"fallbacks\":{",
             METRICS_MINUTES, (unsigned long long)sum.requests,
             (unsigned long long)sum.judged_bytes, (unsigned long long)sum.removed_bytes, share,
             (unsigned long long)(sum.removed_bytes / BYTES_A_TOKEN),
             (unsigned long long)sum.spent_tokens);
    const char *comma = "";
    for (size_t i = 0; i < COUNT(reasons); i++) {
        if (sum.fallbacks[i]) {
            buf_addf(out, "%s\"%s\":%llu", comma, reasons[i], (unsigned long long)sum.fallbacks[i]);
            comma = ",";
        }
    }
    buf_adds(out, "}}");
}

/* ---- writing ---------------------------------------------------------------------------- */

static void family(buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(buf *out, const char *name, const char *type, const char *help,
                unsigned long long value)
{
    family(out, name, type, help);
    buf_addf(out, "%s %llu\n", name, value);
}

static void histogram(buf *out, const char *name, const char *help, const metrics_histogram *h)
{
    family(out, name, "histogram", help);
    unsigned long long sum = 0;
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        sum += atomic_load(&h->buckets[i]);
        buf_addf(out, "%s_bucket{le=\"%g\"} %llu\n", name, bounds_ms[i] / 1e3, sum);
    }
    sum += atomic_load(&h->buckets[METRICS_BUCKETS]);
    buf_addf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name, sum, name,
             (double)atomic_load(&h->sum_us) / 1e6, name, sum);
}

static void requests_write(const metrics *m, buf *out)
{
    family(out, "s2a_requests_total", "counter",
           "Requests by route and status; status 0: the connection ended before a response.");
    for (size_t r = 0; r < METRICS_ROUTES; r++)
        for (size_t s = 0; s < METRICS_STATUSES; s++) {
            unsigned long long n = atomic_load(&m->requests[r][s]);
            if (n)
                buf_addf(out, "s2a_requests_total{route=\"%s\",status=\"%zu\"} %llu\n", routes[r],
                         s, n);
        }
}

static void tokens_write(const metrics *m, buf *out)
{
    family(out, "s2a_tokens_total", "counter", "Tokens of requests with S2A, by step and kind.");
    for (int step = 0; step < 2; step++)
        buf_addf(out,
                 "s2a_tokens_total{step=\"%d\",kind=\"prompt\"} %llu\n"
                 "s2a_tokens_total{step=\"%d\",kind=\"cached\"} %llu\n"
                 "s2a_tokens_total{step=\"%d\",kind=\"completion\"} %llu\n",
                 step + 1, atomic_load(&m->prompt_tokens[step]), step + 1,
                 atomic_load(&m->cached_tokens[step]), step + 1,
                 atomic_load(&m->completion_tokens[step]));
    unsigned long long judged = atomic_load(&m->judged_bytes);
    unsigned long long removed = atomic_load(&m->removed_bytes);
    one(out, "s2a_judged_bytes_total", "counter", "Bytes of text that step 1 has judged.", judged);
    one(out, "s2a_removed_bytes_total", "counter", "Bytes of text that step 2 did not get.",
        removed);
    one(out, "s2a_saved_tokens_estimated_total", "counter",
        "Tokens that step 2 did not get: removed bytes at four bytes a token.",
        removed / BYTES_A_TOKEN);
    family(out, "s2a_removed_share", "gauge",
           "Share of the judged bytes that was removed, since the start.");
    buf_addf(out, "s2a_removed_share %.6f\n", judged ? (double)removed / (double)judged : 0.0);
}

void metrics_write(const metrics *m, const metrics_gauges *g, buf *out)
{
    requests_write(m, out);
    histogram(out, "s2a_request_seconds", "From the request line to the end of the response.",
              &m->total);
    histogram(out, "s2a_first_byte_seconds", "From the request line to the head of the response.",
              &m->first_byte);
    histogram(out, "s2a_step1_seconds", "Step 1 of requests with S2A.", &m->step1);
    histogram(out, "s2a_step2_seconds", "Step 2 of requests with S2A.", &m->step2);
    one(out, "s2a_step1_requests_total", "counter", "Requests that went through step 1.",
        atomic_load(&m->s2a_requests));
    tokens_write(m, out);
    family(out, "s2a_fallbacks_total", "counter",
           "Requests sent to step 2 unchanged, by the reason why step 1 was not used.");
    for (size_t i = 1; i < COUNT(reasons); i++)
        buf_addf(out, "s2a_fallbacks_total{reason=\"%s\"} %llu\n", reasons[i],
                 atomic_load(&m->fallbacks[i]));
    one(out, "s2a_hang_ups_total", "counter",
        "Clients that left before their response was complete.", atomic_load(&m->hang_ups));
    one(out, "s2a_rejected_total", "counter", "Requests refused because the queue was full.",
        atomic_load(&m->rejected));
    one(out, "s2a_upstream_failures_total", "counter",
        "Requests to which upstream did not respond.", atomic_load(&m->upstream_failures));
    one(out, "s2a_log_dropped_total", "counter", "Log lines that were dropped or not written.",
        g->log_dropped);
    int up = atomic_load(&m->upstream_up);
    if (up >= 0)
        one(out, "s2a_upstream_up", "gauge", "Whether upstream responded last time.",
            (unsigned long long)up);
    int queued = atomic_load(&m->queued), working = atomic_load(&m->working);
    one(out, "s2a_queue_length", "gauge", "Requests that wait for a worker.",
        (unsigned long long)(queued > 0 ? queued : 0));
    one(out, "s2a_workers_busy", "gauge", "Busy workers.",
        (unsigned long long)(working > 0 ? working : 0));
    one(out, "s2a_connections", "gauge", "Open connections of clients.", g->connections);
    one(out, "s2a_in_flight", "gauge", "Requests without a complete response.", g->active);
    one(out, "s2a_draining", "gauge", "Whether the server is shutting down.", g->draining);
}
