/* Routes, keys, starting and stopping. The handler's functions run on the server's threads: work
 * that may take time runs on a worker, or as a flow. */
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
        .ask = { .mode = S2A_MODE_DEFAULT,
                 .preset = S2A_PRESET_AUTO,
                 .threshold = NAN,
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
    /* The client may try again; waiting for retries would only make step 1 late. */
    o->engine_options.max_retries = 0;
}

/* ---- routes ----------------------------------------------------------------------------- */

/* Servers take their paths without /v1 and with a slash at the end, too: so a request for S2A must
 * not pass there unread. */
static bool path_is(const txn *t, const char *path)
{
    size_t len = txn_path_len(t->target);
    if (len > 1 && t->target[len - 1] == '/')
        len--;
    if (!strncmp(path, "/v1/", 4) && strncmp(t->target, "/v1/", 4) != 0)
        path += 3;
    return strlen(path) == len && !strncmp(t->target, path, len);
}

static const char removed_path[] = "/v1/s2a/removed/";

static metrics_route route_of(txn *t)
{
    static const struct {
        const char *path;
        metrics_route route;
        chat_api api; /* the form of its errors */
    } routes[] = {
        { "/v1/chat/completions", METRICS_CHAT, CHAT_API_CHAT },
        { "/v1/completions", METRICS_COMPLETIONS, CHAT_API_COMPLETIONS },
        { "/v1/responses", METRICS_RESPONSES, CHAT_API_RESPONSES },
        { "/v1/responses/input_tokens", METRICS_COUNT, CHAT_API_RESPONSES },
        { "/v1/messages", METRICS_MESSAGES, CHAT_API_MESSAGES },
        { "/v1/messages/count_tokens", METRICS_COUNT, CHAT_API_MESSAGES },
        { "/v1/rerank", METRICS_RERANK, CHAT_API_RERANK },
        { "/beta/litellm_basic_guardrail_api", METRICS_GUARDRAIL, CHAT_API_CHAT },
        { "/v1/models", METRICS_MODELS, CHAT_API_CHAT },
        { "/health", METRICS_HEALTH, CHAT_API_CHAT },
        { "/metrics", METRICS_METRICS, CHAT_API_CHAT },
        { "/v1/s2a/effect", METRICS_EFFECT, CHAT_API_CHAT },
        { "/", METRICS_PAGE, CHAT_API_CHAT },
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (path_is(t, routes[i].path)) {
            t->reply.api = routes[i].api;
            return routes[i].route;
        }
    }
    if (!strncmp(t->target, removed_path, sizeof removed_path - 1))
        return METRICS_REMOVED;
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

/* Whether the client has a valid key, or needs none; responds 401 otherwise. */
static bool authorized(txn *t)
{
    serve *s = t->s;
    const char *token = headers_bearer(http_call_field(t->call, "Authorization"));
    const char *api_key = http_call_field(t->call, "X-Api-Key"); /* of Anthropic's clients */
    pthread_mutex_lock(&s->lock);
    bool closed = s->keys != NULL;
    bool by_token = closed && keys_allow(s->keys, token);
    bool by_api_key = closed && !by_token && keys_allow(s->keys, api_key);
    bool ok = !closed || txn_is_open(t) || by_token || by_api_key;
    pthread_mutex_unlock(&s->lock);
    /* A key of this server is not sent upstream. */
    t->own_authorization = !closed || s->o.forward_authorization;
    t->key = token && !by_api_key ? token : api_key; /* the one that was accepted */
    t->bearer = !t->own_authorization ? NULL : t->key;
    if (s->o.upstream_key)
        t->bearer = s->o.upstream_key;
    if (!ok)
        txn_error(t, 401, "the API key is missing or unknown; send Authorization: Bearer KEY",
                  "invalid_api_key");
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
                            json_string(up < 0 ? "unknown"
                                        : up   ? "up"
                                               : "down"));
    txn_json(t, draining ? 503 : 200, value, NULL);
}

static void metrics_reply(txn *t)
{
    serve *s = t->s;
    metrics_gauges g = { http_server_connections(s->http), http_server_active(s->http),
                         atomic_load(&s->draining), access_log_dropped(s->log) };
    buf out;
    buf_init(&out, LIMIT_NONE);
    bool effect = t->route == METRICS_EFFECT;
    if (effect)
        metrics_effect(&s->metrics, &out);
    else
        metrics_write(&s->metrics, &g, &out);
    if (out.status == S2A_OK)
        http_call_reply(t->call, 200,
                        effect ? "application/json" : "text/plain; version=0.0.4; charset=utf-8",
                        out.data, out.len, false);
    else
        txn_error(t, 500, "out of memory", NULL);
    buf_free(&out);
}

static void removed_reply(txn *t)
{
    const char *id = t->target + sizeof removed_path - 1;
    size_t len = 0;
    char *text = t->s->removed ? removed_get(t->s->removed, t->key, id, &len) : NULL;
    if (text)
        txn_json(t, 200, json_pack("{s:s, s:s%}", "id", id, "text", text, len), NULL);
    else
        txn_error(t, 404,
                  t->s->removed
                      ? "no such text: it is too old, or another key's"
                      : "this server does not store removed texts; start it with --keep-removed N",
                  NULL);
    free(text);
}

/* Whether the body is compressed, so that it cannot be scanned. */
static bool is_packed(const http_call *call)
{
    const char *coding = http_call_field(call, "Content-Encoding");
    return coding && *coding && strcasecmp(coding, "identity") != 0;
}

/* A request to a model: queues it for a reader, unless it certainly does not ask for S2A. */
static void ask(txn *t)
{
    serve *s = t->s;
    const http_call *call = t->call;
    const char *header = http_call_field(call, "X-S2A");
    bool packed = is_packed(call);
    bool ours = txn_is_ours(t);
    if (s->up && !ours && packed && header && !strcmp(header, "off"))
        pass_start(t);
    else if (packed)
        txn_error(t, 415,
                  "a compressed body cannot be read here; send it without Content-Encoding"
                  ", or with X-S2A: off to have it passed on",
                  NULL);
    else if (s->up && !ours && !chat_may_ask(call->body, call->body_len, s->o.prefix, header))
        pass_start(t);
    else
        txn_submit(t, s->readers);
}

/* Responds that the path, or its method, does not exist. OPTIONS gets the list of methods. */
static void not_here(txn *t)
{
    if (t->route == METRICS_OTHER)
        txn_error(t, 404, "no such path", NULL);
    else
        entry_methods(t, method_is(t, "OPTIONS") ? 204 : 405,
                      txn_is_model(t) ? "POST, OPTIONS" : "GET, HEAD, OPTIONS");
}

/* The complete request has arrived. */
static void dispatch(txn *t)
{
    serve *s = t->s;
    if (txn_is_model(t) && method_is(t, "POST")) {
        ask(t);
    } else if (t->route == METRICS_HEALTH && txn_reads(t)) {
        health(t);
    } else if ((t->route == METRICS_METRICS || t->route == METRICS_EFFECT) && txn_reads(t)) {
        metrics_reply(t);
    } else if (t->route == METRICS_REMOVED && txn_reads(t)) {
        removed_reply(t);
    } else if (t->route == METRICS_MODELS && method_is(t, "GET")) {
        if (s->up)
            forward_models(t);
        else
            embedded_models(t);
    } else if (txn_reads(t) && page_reply(t->call, t->target, txn_path_len(t->target))) {
        t->route = METRICS_PAGE;
    } else if (s->up && !txn_is_ours(t)) {
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
    /* A body that is only passed on is streamed, and may have any length. */
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
    pthread_mutex_lock(&t->relay.lock);
    if (t->relay.flow)
        flow_resume(t->relay.flow);
    pthread_mutex_unlock(&t->relay.lock);
}

static void on_gone(void *ctx, http_call *call)
{
    (void)ctx;
    txn *t = call->user;
    if (!t)
        return;
    atomic_fetch_add(&t->s->metrics.hang_ups, 1);
    atomic_store(&t->gone, true);
    s2a_cancel_fire(t->step1.cancel);
    s2a_cancel_fire(t->relay.cancel);
    pthread_mutex_lock(&t->relay.lock);
    if (t->relay.flow)
        flow_cancel(t->relay.flow);
    pthread_mutex_unlock(&t->relay.lock);
}

static void on_done(void *ctx, http_call *call, const http_outcome *o)
{
    serve *s = ctx;
    txn *t = call->user;
    if (!t) {
        txn_log_refused(s, call, o);
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

/* Raises the limit of descriptors to the system's: a stream needs two. */
static void descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static s2a_status upstream_read(serve *s, s2a_error *err)
{
    if (strchr(s->o.upstream, '@'))
        return error_set(
            err, S2A_ARGUMENT,
            "--upstream: the URL has a name and password; give the key in S2A_API_KEY");
    return base_url_read("--upstream", s->o.upstream, &s->base, err);
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
    /* The budget cannot cancel the request for upstream's list of models. */
    uint32_t *timeout_ms = &s->o.engine_options.request_timeout_ms;
    uint64_t enough = (uint64_t)o->step1_budget_ms + 250; /* the budget's cancel comes first */
    if (o->step1_budget_ms > 0 && enough < *timeout_ms)
        *timeout_ms = (uint32_t)enough;
    if (o->keep_removed > 0 && !(s->removed = removed_new(o->keep_removed)))
        return error_nomem(err);
    s->engines = engines_new(&s->o.engine_options, o->upstream ? NULL : o->engine);
    /* Room for all requests: those that are passed through meet no limit of step 1. */
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
        http_server_options http = { .host = s->o.host,
                                     .port = s->o.port,
                                     .tls_cert = s->o.tls_cert,
                                     .tls_key = s->o.tls_key,
                                     .max_body = s->o.max_body,
                                     .max_connections = s->o.max_connections,
                                     .head_ms = s->o.head_ms,
                                     .body_ms = s->o.body_ms };
        http_handler handler = {
            s, on_head, on_body, on_piece, on_room, on_gone, on_done, on_tick
        };
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
    pool_stop(s->readers); /* the pool still runs or refuses what readers submit */
    pool_stop(s->pool);
    upstream_stop(s->up);
    http_server_free(s->http);
    engines_free(s->engines);
    keys_free(s->keys);
    access_log_close(s->log);
    removed_free(s->removed);
    metrics_free(&s->metrics);
    pthread_mutex_destroy(&s->lock);
    base_url_free(&s->base);
    free(s);
}
