/* A request in the server: its lifetime, its responses, its log line, its requests to upstream. */
#include "serve/txn.h"

#include "base/clock.h"
#include "base/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- a transaction ---------------------------------------------------------------------- */

txn *txn_new(serve *s, http_call *call)
{
    txn *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->s = s;
    t->call = call;
    t->relay.ms = t->step1.deadline_ms = t->step1.ping_ms = -1;
    atomic_init(&t->refs, 1);
    buf_init(&t->relay.gathered, SERVE_REPLY_BYTES);
    t->step1.cancel = s2a_cancel_new();
    t->relay.cancel = s2a_cancel_new();
    if (!t->step1.cancel || !t->relay.cancel || pthread_mutex_init(&t->relay.lock, NULL) != 0) {
        s2a_cancel_free(t->step1.cancel);
        s2a_cancel_free(t->relay.cancel);
        free(t);
        return NULL;
    }
    http_call_ref(call);
    return t;
}

/* ---- log and metrics -------------------------------------------------------------------- */

static void put(json_t *line, const char *key, json_t *value)
{
    json_object_set_new(line, key, value); /* on failure the member is missing */
}

static json_t *ms_json(double ms)
{
    return json_real(round(ms * 100) / 100);
}

static void log_s2a(txn *t, json_t *line)
{
    const step1_outcome *s1 = &t->step1.outcome;
    put(line, "model", json_string(chat_model_name(&t->q)));
    put(line, "mode", json_string(s2a_mode_name(s1->mode)));
    put(line, "preset", json_string(s2a_preset_name(s1->preset)));
    put(line, "fallback", s1->fallback ? json_string(s1->fallback) : json_null());
    put(line, "judged_bytes", json_integer((json_int_t)s1->bytes));
    put(line, "removed_bytes", json_integer((json_int_t)(s1->fallback ? 0 : s1->removed)));
    put(line, "step1_ms", ms_json(s1->ms));
    if (t->relay.ms >= 0)
        put(line, "step2_ms", ms_json(t->relay.ms));
    uint64_t prompt = s1->usage.prompt_tokens + t->relay.usage.prompt_tokens;
    uint64_t completion = s1->usage.completion_tokens + t->relay.usage.completion_tokens;
    put(line, "prompt_tokens", json_integer((json_int_t)prompt));
    put(line, "completion_tokens", json_integer((json_int_t)completion));
    if (t->s->o.log_prompts && t->q.target_count > 0) {
        const chat_target *last = &t->q.targets[t->q.target_count - 1];
        size_t len = 0;
        const char *x = serve_step1_rewritten(s1, &len);
        put(line, "prompt", json_stringn(last->text, last->len));
        put(line, "rewritten", x ? json_stringn(x, len) : json_null());
    }
}

static void log_line(txn *t, const http_outcome *o, double ms, double first_ms)
{
    const http_call *call = t->call;
    json_t *line = json_object();
    put(line, "id", json_string(t->id));
    const char *trace = headers_trace(http_call_field(call, "traceparent"));
    if (trace)
        put(line, "trace", json_stringn(trace + 3, 32));
    put(line, "client", json_string(call->client));
    put(line, "method", json_string(call->method));
    put(line, "path", json_stringn(call->target, txn_path_len(call->target)));
    put(line, "status", json_integer(o->status));
    put(line, "complete", json_boolean(o->complete));
    put(line, "ms", ms_json(ms));
    if (first_ms >= 0)
        put(line, "first_ms", ms_json(first_ms));
    put(line, "bytes_in", json_integer((json_int_t)o->bytes_in));
    put(line, "bytes_out", json_integer((json_int_t)o->bytes_out));
    if (t->step1.ran)
        log_s2a(t, line);
    access_log_write(t->s->log, line);
}

void txn_log_refused(serve *s, const http_call *call, const http_outcome *o)
{
    double ms = clock_ms() - call->start_ms;
    metrics_request(&s->metrics, METRICS_OTHER, o->status, ms, -1);
    if (!access_log_is_on(s->log))
        return;
    json_t *line = json_object();
    put(line, "client", json_string(call->client));
    put(line, "method", call->method ? json_string(call->method) : json_null());
    put(line, "path", json_stringn(call->target, txn_path_len(call->target)));
    put(line, "status", json_integer(o->status));
    put(line, "complete", json_boolean(o->complete));
    put(line, "ms", ms_json(ms));
    access_log_write(s->log, line);
}

/* Counts and logs a transaction that no thread uses any more. */
static void txn_finish(txn *t)
{
    serve *s = t->s;
    metrics *m = &s->metrics;
    const http_outcome *o = &t->outcome;
    double ms = t->done_ms - t->call->start_ms;
    double first_ms = o->head_ms > 0 ? o->head_ms - t->call->start_ms : -1;
    metrics_request(m, t->route, o->status, ms, first_ms);
    if (t->step1.ran && o->complete) {
        atomic_fetch_add(&m->prompt_tokens[1], t->relay.usage.prompt_tokens);
        atomic_fetch_add(&m->completion_tokens[1], t->relay.usage.completion_tokens);
        atomic_fetch_add(&m->cached_tokens[1], t->relay.usage.cached_tokens);
        if (t->relay.ms >= 0)
            metrics_observe(&m->step2, t->relay.ms);
    }
    if (access_log_is_on(s->log))
        log_line(t, o, ms, first_ms);
}

static void txn_ref(txn *t)
{
    atomic_fetch_add(&t->refs, 1);
}

void txn_unref(txn *t)
{
    if (atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    if (t->done)
        txn_finish(t);
    for (size_t i = 0; i < t->relay.field_count; i++) {
        free(t->relay.fields[i].name);
        free(t->relay.fields[i].value);
    }
    free(t->relay.fields);
    free(t->target);
    if (t->relay.filters)
        sse_filter_free(&t->relay.filter);
    if (t->step1.ran)
        serve_step1_free(&t->step1.outcome);
    guardrail_free(t->guardrail);
    chat_free(&t->q);
    buf_free(&t->relay.gathered);
    free(t->relay.body);
    s2a_cancel_free(t->step1.cancel);
    s2a_cancel_free(t->relay.cancel);
    pthread_mutex_destroy(&t->relay.lock);
    http_call_unref(t->call);
    free(t);
}

/* ---- our responses ---------------------------------------------------------------------- */

void txn_json(txn *t, int status, json_t *value, const char *fallback)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    const char *body = text ? text
                            : "{\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\","
                              "\"param\":null,\"code\":null}}";
    http_field fields[6] = { { (char *)"Content-Type", (char *)"application/json" },
                             { (char *)"X-Request-Id", t->id } };
    size_t n = 2;
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%d", SERVE_RETRY_AFTER_S);
    if (fallback)
        fields[n++] = (http_field){ (char *)"X-S2A-Fallback", (char *)fallback };
    if (status == 503)
        fields[n++] = (http_field){ (char *)"Retry-After", seconds };
    if (status == 401)
        fields[n++] = (http_field){ (char *)"WWW-Authenticate", (char *)"Bearer" };
    size_t len = strlen(body);
    if (http_call_begin(t->call, text ? status : 500, fields, n, (int64_t)len, false)) {
        http_call_write(t->call, body, len);
        http_call_end(t->call, true);
    }
    free(text);
}

void txn_error(txn *t, int status, const char *message, const char *code)
{
    txn_json(t, status, reply_error(&t->reply, status, message, code), NULL);
}

bool txn_stream_begin(txn *t)
{
    static const char comment[] = ": s2a\n\n"; /* so that proxies flush the head */
    const http_field fields[] = {
        { (char *)"Content-Type", (char *)"text/event-stream; charset=utf-8" },
        { (char *)"Cache-Control", (char *)"no-cache" },
        { (char *)"X-Accel-Buffering", (char *)"no" },
        { (char *)"X-Request-Id", t->id },
    };
    t->streaming =
        http_call_begin(t->call, 200, fields, sizeof fields / sizeof fields[0], -1, false);
    if (t->streaming)
        http_call_write(t->call, comment, sizeof comment - 1);
    return t->streaming;
}

void txn_write(txn *t, buf *out, bool ok)
{
    if (ok && out->status == S2A_OK)
        http_call_write(t->call, out->data, out->len);
    else
        http_call_end(t->call, false); /* out of memory: the client sees that the stream was cut */
    buf_free(out);
}

void txn_event(txn *t, json_t *value)
{
    buf out;
    buf_init(&out, LIMIT_NONE);
    txn_write(t, &out, reply_event(&out, value));
}

void txn_fail(txn *t, int status, const char *message, const char *code)
{
    if (!t->streaming) {
        txn_error(t, status, message, code);
        return;
    }
    txn_event(t, reply_error_event(&t->reply, status, message, code));
    http_call_end(t->call, true);
}

void txn_submit(txn *t, pool *to)
{
    txn_ref(t);
    if (pool_submit(to, t))
        return;
    atomic_fetch_add(&t->s->metrics.rejected, 1);
    txn_error(t, 503, "too many requests are waiting; try again", "queue_full");
    txn_unref(t);
}

/* ---- to upstream ------------------------------------------------------------------------ */

/* malloc'ed */
static char *upstream_target(const serve *s, const char *target)
{
    buf b;
    buf_init(&b, LIMIT_NONE);
    bool api = !strncmp(target, "/v1", 3) && (target[3] == '/' || target[3] == '?' || !target[3]);
    buf_add(&b, s->base.path, api ? strlen(s->base.path) : base_url_root(&s->base));
    buf_adds(&b, api ? target + 3 : target);
    char *text = buf_take(&b, NULL);
    buf_free(&b);
    return text;
}

size_t txn_fields_back(const txn *t, const http_field *fields, size_t count, http_field *out,
                       size_t max)
{
    static const char cors[] = "Access-Control-";
    size_t n = headers_back(fields, count, out, max), kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!t->cors || strncasecmp(out[i].name, cors, sizeof cors - 1) != 0)
            out[kept++] = out[i];
    return kept;
}

/* Whether upstream_key is sent as X-Api-Key: if the client sent that field. */
static bool sends_api_key(const txn *t)
{
    return t->s->o.upstream_key && http_call_field(t->call, "X-Api-Key");
}

/* The fields for upstream. parsed: the response is parsed here, so it must not be compressed. */
static size_t fields_up(txn *t, bool parsed, http_field *fields, size_t max)
{
    const http_call *call = t->call;
    bool client_keys = t->own_authorization && !t->s->o.upstream_key;
    size_t n = headers_forward(call->fields, call->field_count, client_keys, fields, max);
    if (parsed) {
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if (strcasecmp(fields[i].name, "Accept-Encoding") != 0)
                fields[kept++] = fields[i];
        n = kept;
    }
    fields[n++] = (http_field){ (char *)"X-Request-Id", t->id };
    if (sends_api_key(t))
        fields[n++] = (http_field){ (char *)"X-Api-Key", (char *)t->s->o.upstream_key };
    return n;
}

bool txn_flow(txn *t, const char *target, const char *body, size_t body_len, bool streamed,
              bool parsed, const flow_handler *handler)
{
    serve *s = t->s;
    http_field fields[SERVE_HEADERS + 3];
    char *path = upstream_target(s, target ? target : t->target);
    flow_request q = {
        .method = t->call->method,
        .url = s->base.origin,
        .target = path,
        .fields = fields,
        .field_count = fields_up(t, parsed, fields, SERVE_HEADERS),
        .body = body,
        .body_len = body_len,
        .streamed = streamed,
        .streamed_length = t->call->body_length,
        .bearer = sends_api_key(t) ? NULL : s->o.upstream_key,
    };
    txn_ref(t); /* the flow's, which may end before flow_start returns */
    pthread_mutex_lock(&t->relay.lock);
    flow *f = path ? flow_start(s->up, &q, handler, t) : NULL;
    t->relay.flow = f;
    bool gone = atomic_load(&t->gone);
    if (f && gone)
        flow_cancel(f);
    pthread_mutex_unlock(&t->relay.lock);
    free(path);
    if (f)
        return true;
    txn_fail(t, 502, "the request cannot be sent upstream", "upstream_failed");
    txn_unref(t);
    return false;
}

int txn_flow_status(flow_result result)
{
    return result == FLOW_TIMEOUT     ? 504
           : result == FLOW_NOMEM     ? 500
           : result == FLOW_CANCELLED ? 503
                                      : 502;
}

void txn_flow_ended(txn *t, flow_result result)
{
    metrics *m = &t->s->metrics;
    if (result != FLOW_CANCELLED)
        atomic_store(&m->upstream_up, result == FLOW_DONE);
    if (result != FLOW_CANCELLED && result != FLOW_DONE)
        atomic_fetch_add(&m->upstream_failures, 1);
    pthread_mutex_lock(&t->relay.lock);
    flow *f = t->relay.flow;
    t->relay.flow = NULL;
    pthread_mutex_unlock(&t->relay.lock);
    flow_unref(f);
    txn_unref(t);
}
