/* Routes, keys, and the life of a request. The functions of the handler run on the server's
 * threads: what may take time goes to a worker, or is a flow. */
#include "base/clock.h"
#include "base/limits.h"
#include "serve/txn.h"

#include "base/error.h"
#include "base/fetch.h"
#include "serve/target.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void serve_options_init(serve_options *o)
{
    *o = (serve_options){
        .prefix = "s2a-",
        .ask = { .mode = S2A_MODE_DEFAULT, .preset = S2A_PRESET_AUTO, .threshold = NAN,
                 .show = CHAT_SHOW_REASONING_CONTENT },
        .temperature = 0.6,
        .top_p = 0.9,
        .max_tokens = 1024,
        .max_body = SERVE_BODY_BYTES,
        .max_connections = SERVE_CONNECTIONS,
        .workers = SERVE_WORKERS,
        .queue = SERVE_QUEUE,
        .head_ms = SERVE_HEAD_MS,
        .body_ms = SERVE_BODY_MS,
        .upstream_idle_ms = SERVE_UPSTREAM_IDLE_MS,
        .access_log = "-",
    };
    s2a_engine_options_init(&o->engine_options);
    /* Who asks may try again; waiting to do so here would only make step 1 late. */
    o->engine_options.max_retries = 0;
}

/* ---- a transaction ---------------------------------------------------------------------- */

static txn *txn_new(serve *s, http_call *call)
{
    txn *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->s = s;
    t->call = call;
    t->step2_ms = t->step_deadline = t->ping_at = -1;
    atomic_init(&t->refs, 1);
    buf_init(&t->whole, SERVE_REPLY_BYTES);
    t->cancel[0] = s2a_cancel_new();
    t->cancel[1] = s2a_cancel_new();
    if (!t->cancel[0] || !t->cancel[1] || pthread_mutex_init(&t->lock, NULL) != 0) {
        s2a_cancel_free(t->cancel[0]);
        s2a_cancel_free(t->cancel[1]);
        free(t);
        return NULL;
    }
    http_call_ref(call);
    return t;
}

/* ---- the last word ---------------------------------------------------------------------- */

static size_t path_len(const char *target)
{
    return strcspn(target, "?");
}

static void put(json_t *line, const char *key, json_t *value)
{
    json_object_set_new(line, key, value); /* what fails is not in the log */
}

static json_t *ms_json(double ms)
{
    return json_real(round(ms * 100) / 100);
}

static void log_s2a(txn *t, json_t *line)
{
    const step1_outcome *s1 = &t->s1;
    put(line, "model", json_string(chat_model(&t->q)));
    put(line, "mode", json_string(s2a_mode_name(s1->mode)));
    put(line, "preset", json_string(s2a_preset_name(s1->preset)));
    put(line, "fallback", s1->fallback ? json_string(s1->fallback) : json_null());
    put(line, "judged_bytes", json_integer((json_int_t)s1->bytes));
    put(line, "removed_bytes", json_integer((json_int_t)(s1->fallback ? 0 : s1->removed)));
    put(line, "step1_ms", ms_json(s1->ms));
    if (t->step2_ms >= 0)
        put(line, "step2_ms", ms_json(t->step2_ms));
    uint64_t prompt = s1->usage.prompt_tokens + t->usage2.prompt_tokens;
    uint64_t completion = s1->usage.completion_tokens + t->usage2.completion_tokens;
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
    put(line, "client", json_string(call->client));
    put(line, "method", json_string(call->method));
    put(line, "path", json_stringn(call->target, path_len(call->target)));
    put(line, "status", json_integer(o->status));
    put(line, "complete", json_boolean(o->complete));
    put(line, "ms", ms_json(ms));
    if (first_ms >= 0)
        put(line, "first_ms", ms_json(first_ms));
    put(line, "bytes_in", json_integer((json_int_t)o->bytes_in));
    put(line, "bytes_out", json_integer((json_int_t)o->bytes_out));
    if (t->s1_ran)
        log_s2a(t, line);
    access_log_write(t->s->log, line);
}

/* Nobody works on the transaction any more. */
static void txn_finish(txn *t)
{
    serve *s = t->s;
    metrics *m = &s->metrics;
    const http_outcome *o = &t->outcome;
    double ms = t->done_ms - t->call->start_ms;
    double first_ms = o->head_ms > 0 ? o->head_ms - t->call->start_ms : -1;
    metrics_request(m, t->route, o->status, ms, first_ms);
    if (t->s1_ran && o->complete) {
        atomic_fetch_add(&m->prompt_tokens[1], t->usage2.prompt_tokens);
        atomic_fetch_add(&m->completion_tokens[1], t->usage2.completion_tokens);
        atomic_fetch_add(&m->cached_tokens[1], t->usage2.cached_tokens);
        if (t->step2_ms >= 0)
            metrics_observe(&m->step2, t->step2_ms);
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
    for (size_t i = 0; i < t->up_field_count; i++) {
        free(t->up_fields[i].name);
        free(t->up_fields[i].value);
    }
    free(t->up_fields);
    free(t->target);
    if (t->filtering)
        sse_filter_free(&t->filter);
    if (t->s1_ran)
        serve_step1_free(&t->s1);
    chat_free(&t->q);
    buf_free(&t->whole);
    free(t->body);
    s2a_cancel_free(t->cancel[0]);
    s2a_cancel_free(t->cancel[1]);
    pthread_mutex_destroy(&t->lock);
    http_call_unref(t->call);
    free(t);
}

/* ---- answers of ours -------------------------------------------------------------------- */

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
    txn_json(t, status, reply_error(message, reply_error_type(status), code), NULL);
}

bool txn_stream_begin(txn *t)
{
    static const char comment[] = ": s2a\n\n"; /* so that what is between flushes the head */
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

void txn_event(txn *t, json_t *value)
{
    buf out;
    buf_init(&out, LIMIT_NONE);
    if (reply_event(&out, value))
        http_call_write(t->call, out.data, out.len);
    else
        http_call_end(t->call, false); /* no memory: the client sees a stream that was cut */
    buf_free(&out);
}

void txn_fail(txn *t, int status, const char *message, const char *code)
{
    if (!t->streaming) {
        txn_error(t, status, message, code);
        return;
    }
    txn_event(t, reply_error(message, reply_error_type(status), code));
    http_call_end(t->call, true);
}

/* ---- to upstream ------------------------------------------------------------------------ */

/* malloc'ed */
static char *upstream_target(const serve *s, const char *target)
{
    buf b;
    buf_init(&b, LIMIT_NONE);
    bool api = !strncmp(target, "/v1", 3) && (target[3] == '/' || target[3] == '?' || !target[3]);
    buf_adds(&b, api ? s->base_path : s->root_path);
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

/* The fields that go upstream; parsed: the answer will be read here, so it must not be packed. */
static size_t fields_up(txn *t, bool parsed, http_field *fields, size_t max)
{
    const http_call *call = t->call;
    size_t n = headers_forward(call->fields, call->field_count, t->own_authorization, fields, max);
    if (parsed) {
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if (strcasecmp(fields[i].name, "Accept-Encoding") != 0)
                fields[kept++] = fields[i];
        n = kept;
    }
    fields[n++] = (http_field){ (char *)"X-Request-Id", t->id };
    return n;
}

bool txn_flow(txn *t, const char *target, const char *body, size_t body_len, bool streamed,
              bool parsed, const flow_handler *handler)
{
    serve *s = t->s;
    http_field fields[SERVE_HEADERS + 2];
    char *path = upstream_target(s, target ? target : t->target);
    flow_request q = {
        .method = t->call->method,
        .url = s->origin,
        .target = path,
        .fields = fields,
        .field_count = fields_up(t, parsed, fields, SERVE_HEADERS),
        .body = body,
        .body_len = body_len,
        .streamed = streamed,
        .streamed_length = t->call->body_length,
        .bearer = s->o.upstream_key,
    };
    txn_ref(t); /* the flow's, which may end before flow_start is back */
    pthread_mutex_lock(&t->lock);
    flow *f = path ? flow_start(s->up, &q, handler, t) : NULL;
    t->flow = f;
    bool gone = atomic_load(&t->gone);
    if (f && gone)
        flow_cancel(f);
    pthread_mutex_unlock(&t->lock);
    free(path);
    if (f)
        return true;
    txn_fail(t, 502, "the request cannot be sent upstream", "upstream_failed");
    txn_unref(t);
    return false;
}

int txn_flow_status(flow_result result)
{
    return result == FLOW_TIMEOUT ? 504 : result == FLOW_NOMEM ? 500
           : result == FLOW_CANCELLED ? 503 : 502;
}

void txn_flow_ended(txn *t, flow_result result)
{
    metrics *m = &t->s->metrics;
    if (result != FLOW_CANCELLED)
        atomic_store(&m->upstream_up, result == FLOW_DONE);
    if (result != FLOW_CANCELLED && result != FLOW_DONE)
        atomic_fetch_add(&m->upstream_failures, 1);
    pthread_mutex_lock(&t->lock);
    flow *f = t->flow;
    t->flow = NULL;
    pthread_mutex_unlock(&t->lock);
    flow_unref(f);
    txn_unref(t);
}

/* ---- routes ----------------------------------------------------------------------------- */

static bool path_is(const txn *t, const char *path)
{
    return strlen(path) == path_len(t->target) && !strncmp(t->target, path, strlen(path));
}

static metrics_route route_of(txn *t)
{
    static const struct {
        const char *path;
        metrics_route route;
    } routes[] = { { "/v1/chat/completions", METRICS_CHAT },
                   { "/v1/completions", METRICS_COMPLETIONS },
                   { "/v1/models", METRICS_MODELS },
                   { "/health", METRICS_HEALTH },
                   { "/metrics", METRICS_METRICS },
                   { "/", METRICS_PAGE } };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (path_is(t, routes[i].path))
            return routes[i].route;
    if (!strncmp(t->target, "/v1/models/", 11)) {
        t->model_by_id = !strncmp(t->target + 11, t->s->o.prefix, strlen(t->s->o.prefix));
        return t->model_by_id || !t->s->up ? METRICS_MODELS : METRICS_OTHER;
    }
    return METRICS_OTHER;
}

static bool method_is(const txn *t, const char *method)
{
    return !strcmp(t->call->method, method);
}

static bool reads(const txn *t)
{
    return method_is(t, "GET") || method_is(t, "HEAD");
}

/* Whether who makes the request has a key; 401 otherwise. Only reading two paths is free of one:
 * health is for balancers, and the page has no secrets. */
static bool authorized(txn *t)
{
    serve *s = t->s;
    const char *token = headers_bearer(http_call_field(t->call, "Authorization"));
    pthread_mutex_lock(&s->lock);
    bool closed = s->keys != NULL;
    bool open = reads(t) && (t->route == METRICS_HEALTH || t->route == METRICS_PAGE);
    bool ok = !closed || open || keys_allow(s->keys, token);
    pthread_mutex_unlock(&s->lock);
    /* The key of a client of ours is no business of upstream's. */
    t->own_authorization = !closed || s->o.forward_authorization;
    t->bearer = t->own_authorization ? token : NULL;
    if (s->o.upstream_key)
        t->bearer = s->o.upstream_key;
    if (!ok)
        txn_error(t, 401, "no API key, or one that is not known here", "invalid_api_key");
    return ok;
}

static void health(txn *t)
{
    serve *s = t->s;
    bool draining = atomic_load(&s->draining);
    int up = atomic_load(&s->metrics.upstream_up);
    json_t *value = json_pack("{s:s}", "status", draining ? "draining" : "ok");
    if (value && s->up)
        json_object_set_new(value, "upstream",
                            json_string(up < 0 ? "unknown" : up ? "up" : "down"));
    txn_json(t, draining ? 503 : 200, value, NULL);
}

static void metrics_reply(txn *t)
{
    serve *s = t->s;
    metrics_gauges g = { http_server_connections(s->http), http_server_active(s->http),
                         atomic_load(&s->draining), access_log_dropped(s->log) };
    buf out;
    buf_init(&out, LIMIT_NONE);
    metrics_write(&s->metrics, &g, &out);
    if (out.status == S2A_OK)
        http_call_reply(t->call, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len,
                        false);
    else
        txn_error(t, 500, "out of memory", NULL);
    buf_free(&out);
}

void txn_submit(txn *t, pool *to)
{
    txn_ref(t);
    if (pool_submit(to, t))
        return;
    atomic_fetch_add(&t->s->metrics.rejected, 1);
    txn_error(t, 503, "too many requests wait; try again", "queue_full");
    txn_unref(t);
}

/* Whether the body is packed, so that nobody here can say what it asks for. */
static bool is_packed(const http_call *call)
{
    const char *coding = http_call_field(call, "Content-Encoding");
    return coding && *coding && strcasecmp(coding, "identity") != 0;
}

/* A request to a model: to a reader, unless it certainly asks for nothing that is ours. */
static void ask(txn *t)
{
    serve *s = t->s;
    const http_call *call = t->call;
    const char *header = http_call_field(call, "X-S2A");
    bool packed = is_packed(call);
    if (s->up && packed && header && !strcmp(header, "off"))
        pass_start(t);
    else if (packed)
        txn_error(t, 415, "a packed body cannot be looked into; send it without Content-Encoding"
                          ", or with X-S2A: off to have it passed on", NULL);
    else if (s->up && !chat_may_ask(call->body, call->body_len, s->o.prefix, header))
        pass_start(t);
    else
        txn_submit(t, s->readers);
}

/* No such path, or none with that method; OPTIONS is told which there are. */
static void not_here(txn *t)
{
    bool model = t->route == METRICS_CHAT || t->route == METRICS_COMPLETIONS;
    if (t->route == METRICS_OTHER)
        txn_error(t, 404, "no such path", NULL);
    else
        entry_methods(t, method_is(t, "OPTIONS") ? 204 : 405,
                     model ? "POST, OPTIONS" : "GET, HEAD, OPTIONS");
}

/* The whole request is here. */
static void dispatch(txn *t)
{
    serve *s = t->s;
    bool model = t->route == METRICS_CHAT || t->route == METRICS_COMPLETIONS;
    if (model && method_is(t, "POST")) {
        ask(t);
    } else if (t->route == METRICS_HEALTH && reads(t)) {
        health(t);
    } else if (t->route == METRICS_METRICS && reads(t)) {
        metrics_reply(t);
    } else if (t->route == METRICS_MODELS && method_is(t, "GET")) {
        if (s->up)
            forward_models(t);
        else
            embedded_models(t);
    } else if (reads(t) && page_reply(t->call, t->target, path_len(t->target))) {
        t->route = METRICS_PAGE;
    } else if (s->up) {
        pass_start(t);
    } else {
        not_here(t);
    }
}

/* ---- the handler ------------------------------------------------------------------------ */

static void on_head(void *ctx, http_call *call)
{
    serve *s = ctx;
    txn *t = txn_new(s, call);
    if (!t) {
        http_call_reply(call, 503, "text/plain", "out of memory\n", 14, true);
        return;
    }
    call->user = t;
    headers_request_id(http_call_field(call, "X-Request-Id"), t->id);
    s2a_error err = { .status = S2A_OK };
    if (target_normalise(call->target, &t->target, &err) != S2A_OK) {
        txn_error(t, err.status == S2A_NOMEM ? 500 : 400, err.message, NULL);
        return;
    }
    t->route = route_of(t);
    if (!entry_check(t) || !authorized(t))
        return;
    /* What nobody here looks into does not wait until it is whole, and may be of any length. */
    if (s->up && t->route == METRICS_OTHER && call->has_body) {
        http_call_stream_body(call);
        pass_start_streamed(t);
    }
}

static void on_body(void *ctx, http_call *call)
{
    (void)ctx;
    if (call->user)
        dispatch(call->user);
}

static bool on_piece(void *ctx, http_call *call, const char *data, size_t len)
{
    (void)ctx;
    return pass_piece(call->user, data, len);
}

static void on_room(void *ctx, http_call *call)
{
    (void)ctx;
    txn *t = call->user;
    pthread_mutex_lock(&t->lock);
    if (t->flow)
        flow_resume(t->flow);
    pthread_mutex_unlock(&t->lock);
}

static void on_gone(void *ctx, http_call *call)
{
    (void)ctx;
    txn *t = call->user;
    if (!t)
        return;
    atomic_fetch_add(&t->s->metrics.hang_ups, 1);
    atomic_store(&t->gone, true);
    s2a_cancel_fire(t->cancel[0]);
    s2a_cancel_fire(t->cancel[1]);
    pthread_mutex_lock(&t->lock);
    if (t->flow)
        flow_cancel(t->flow);
    pthread_mutex_unlock(&t->lock);
}

/* A request that was refused in its head, or never had one. */
static void refused(serve *s, const http_call *call, const http_outcome *o)
{
    double ms = clock_ms() - call->start_ms;
    metrics_request(&s->metrics, METRICS_OTHER, o->status, ms, -1);
    if (!access_log_is_on(s->log))
        return;
    json_t *line = json_object();
    put(line, "client", json_string(call->client));
    put(line, "method", call->method ? json_string(call->method) : json_null());
    put(line, "path", json_stringn(call->target, path_len(call->target)));
    put(line, "status", json_integer(o->status));
    put(line, "complete", json_boolean(o->complete));
    put(line, "ms", ms_json(ms));
    access_log_write(s->log, line);
}

static void on_done(void *ctx, http_call *call, const http_outcome *o)
{
    serve *s = ctx;
    txn *t = call->user;
    if (!t) {
        refused(s, call, o);
        return;
    }
    t->outcome = *o;
    t->done_ms = clock_ms();
    t->done = true;
    call->user = NULL;
    txn_unref(t);
}

static int on_tick(void *ctx)
{
    return job_tick(ctx);
}

/* ---- starting and stopping -------------------------------------------------------------- */

/* http://host:port/path as people paste it: with or without /v1, a slash, or the whole endpoint. */
static s2a_status upstream_read(serve *s, s2a_error *err)
{
    static const char endpoint[] = "/chat/completions";
    const char *url = s->o.upstream, *host = strstr(url, "://");
    if (!host || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
        strpbrk(url, "?# @"))
        return error_set(err, S2A_ARGUMENT,
                         "--upstream: not a base URL: give it as http://127.0.0.1:8000/v1");
    size_t len = strlen(url), end = sizeof endpoint - 1;
    while (len > 0 && url[len - 1] == '/')
        len--;
    if (len > end && !memcmp(url + len - end, endpoint, end))
        len -= end;
    const char *slash = memchr(host + 3, '/', (size_t)(url + len - host) - 3);
    size_t origin = slash ? (size_t)(slash - url) : len;
    size_t path = len - origin;
    bool v1 = path >= 3 && !memcmp(url + len - 3, "/v1", 3);
    s->origin = strndup(url, origin);
    s->base_path = path ? strndup(url + origin, path) : strdup("/v1");
    s->root_path = strndup(url + origin, v1 ? path - 3 : path);
    return s->origin && s->base_path && s->root_path ? S2A_OK : error_nomem(err);
}

/* Two descriptors a stream: as many as the system lets us have. */
static void descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static s2a_status parts_start(serve *s, s2a_error *err)
{
    const serve_options *o = &s->o;
    s2a_status status = access_log_open(o->access_log, &s->log, err);
    if (status == S2A_OK && o->keys_file)
        status = keys_load(o->keys_file, &s->keys, err);
    if (status == S2A_OK && o->upstream)
        status = upstream_read(s, err);
    if (status == S2A_OK && o->upstream) {
        upstream_options up = { SERVE_UPSTREAM_CONNECT_MS, o->upstream_idle_ms };
        status = upstream_start(&up, &s->up, err);
    }
    if (status != S2A_OK)
        return status;
    s->o.engine_options.backend = "http";
    s->o.engine_options.url = o->upstream;
    /* What asks the server for its models does not know of the budget's handle. */
    uint32_t *timeout_ms = &s->o.engine_options.request_timeout_ms;
    uint64_t enough = (uint64_t)o->step1_budget_ms + 250; /* the handle is to come first */
    if (o->step1_budget_ms > 0 && enough < *timeout_ms)
        *timeout_ms = (uint32_t)enough;
    s->engines = engines_new(&s->o.engine_options, o->upstream ? NULL : o->engine);
    /* As many as there can be requests: who passes through meets no limit of step 1. */
    s->readers = pool_start(SERVE_READERS, o->max_connections + SERVE_CONNECTIONS_SPARE, job_read,
                            NULL, NULL);
    s->pool = pool_start(o->workers, o->queue, job_run, &s->metrics.queued, &s->metrics.working);
    return s->engines && s->readers && s->pool ? S2A_OK : error_nomem(err);
}

s2a_status serve_start(const serve_options *options, serve **out, s2a_error *err)
{
    *out = NULL;
    if (!options->upstream && !options->engine)
        return error_set(err, S2A_ARGUMENT, "serve: neither an engine nor an upstream");
    if (!*options->prefix)
        return error_set(err, S2A_ARGUMENT, "--prefix: it is empty; give one such as s2a-");
    serve *s = calloc(1, sizeof *s);
    if (!s)
        return error_nomem(err);
    s->o = *options;
    s->guarded = !options->keys_file &&
                 (origin_is_loopback(options->host) || options->allow_hosts.count > 0);
    metrics_init(&s->metrics);
    pthread_mutex_init(&s->lock, NULL);
    descriptors_raise();
    s2a_status status = parts_start(s, err);
    if (status == S2A_OK) {
        http_server_options http = { .host = s->o.host, .port = s->o.port,
                                     .tls_cert = s->o.tls_cert, .tls_key = s->o.tls_key,
                                     .max_body = s->o.max_body,
                                     .max_connections = s->o.max_connections,
                                     .head_ms = s->o.head_ms, .body_ms = s->o.body_ms };
        http_handler handler = { s,       on_head, on_body, on_piece,
                                 on_room, on_gone, on_done, on_tick };
        status = http_server_start(&http, &handler, &s->http, err);
    }
    if (status != S2A_OK) {
        serve_stop(s);
        return status;
    }
    *out = s;
    return S2A_OK;
}

uint16_t serve_port(const serve *s)
{
    return http_server_port(s->http);
}

size_t serve_key_count(serve *s)
{
    pthread_mutex_lock(&s->lock);
    size_t count = s->keys ? keys_count(s->keys) : 0;
    pthread_mutex_unlock(&s->lock);
    return count;
}

s2a_status serve_reload(serve *s, s2a_error *err)
{
    access_log_reopen(s->log);
    if (!s->o.keys_file)
        return S2A_OK;
    keys *fresh = NULL;
    s2a_status status = keys_load(s->o.keys_file, &fresh, err);
    if (status != S2A_OK)
        return status;
    pthread_mutex_lock(&s->lock);
    keys *old = s->keys;
    s->keys = fresh;
    pthread_mutex_unlock(&s->lock);
    keys_free(old);
    return S2A_OK;
}

void serve_quiesce(serve *s)
{
    atomic_store(&s->draining, true);
    http_server_quiesce(s->http);
}

size_t serve_active(serve *s)
{
    return http_server_active(s->http);
}

void serve_stop(serve *s)
{
    if (!s)
        return;
    if (s->http)
        http_server_stop(s->http);
    pool_stop(s->readers); /* what they still hand on, the other one refuses or runs */
    pool_stop(s->pool);
    upstream_stop(s->up);
    http_server_free(s->http);
    engines_free(s->engines);
    keys_free(s->keys);
    access_log_close(s->log);
    pthread_mutex_destroy(&s->lock);
    free(s->origin);
    free(s->base_path);
    free(s->root_path);
    free(s);
}
