/* Requests to a model. A reader parses the body; a worker runs step 1 and starts step 2. Requests
 * that are only passed on never wait for a worker. The tick, on the server's watch thread, sends
 * comments to streams during step 1 and enforces its budget. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "serve/txn.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the tick --------------------------------------------------------------------------- */

void job_step_begin(txn *t)
{
    serve *s = t->s;
    double now = clock_ms();
    pthread_mutex_lock(&s->lock);
    t->step1.deadline_ms = s->o.step1_budget_ms > 0 ? now + s->o.step1_budget_ms : -1;
    t->step1.ping_ms = t->streaming ? now + SERVE_PING_MS * 0.8 : -1;
    t->step1.runs = true;
    t->step1.next = s->steps;
    s->steps = t;
    pthread_mutex_unlock(&s->lock);
    http_server_wake(s->http);
}

void job_step_end(txn *t)
{
    serve *s = t->s;
    pthread_mutex_lock(&s->lock);
    for (txn **at = &s->steps; *at; at = &(*at)->step1.next) {
        if (*at == t) {
            *at = t->step1.next;
            break;
        }
    }
    t->step1.runs = false;
    pthread_mutex_unlock(&s->lock);
}

static double sooner(double a, double b)
{
    return b >= 0 && (a < 0 || b < a) ? b : a;
}

int job_tick(serve *s)
{
    static const char comment[] = ": s2a: step 1\n\n";
    double now = clock_ms(), next = -1;
    pthread_mutex_lock(&s->lock);
    for (txn *t = s->steps; t; t = t->step1.next) {
        if (t->step1.ping_ms >= 0 && now >= t->step1.ping_ms) {
            http_call_write(t->call, comment, sizeof comment - 1);
            t->step1.ping_ms = now + SERVE_PING_MS * 0.8; /* at least every SERVE_PING_MS */
        }
        if (t->step1.deadline_ms >= 0 && now >= t->step1.deadline_ms) {
            t->step1.deadline_ms = -1;
            atomic_store(&t->step1.late, true);
            s2a_cancel_fire(t->step1.cancel);
        }
        next = sooner(sooner(next, t->step1.ping_ms), t->step1.deadline_ms);
    }
    pthread_mutex_unlock(&s->lock);
    if (next < 0)
        return -1;
    return next <= now ? 0 : (int)(next - now) + 1;
}

/* ---- step 1 ----------------------------------------------------------------------------- */

static void count(txn *t)
{
    const step1_outcome *s1 = &t->step1.outcome;
    const metrics_step1 seen = { .ms = s1->ms,
                                 .prompt_tokens = s1->usage.prompt_tokens,
                                 .completion_tokens = s1->usage.completion_tokens,
                                 .cached_tokens = s1->usage.cached_tokens,
                                 .judged_bytes = s1->bytes,
                                 .removed_bytes = s1->removed,
                                 .fallback = s1->fallback,
                                 .cancelled = s1->cancelled };
    metrics_attended(&t->s->metrics, &seen);
}

/* Without an engine it is not known what the default mode is. */
static void open_failed(txn *t, const s2a_error *err)
{
    s2a_mode asked = t->q.ask.mode;
    t->step1.outcome = (step1_outcome){ .fallback = s2a_fallback_name(S2A_FALLBACK_STEP1_FAILED),
                                        .status = err->status,
                                        .mode = asked == S2A_MODE_DEFAULT ? S2A_MODE_NONE : asked,
                                        .preset = t->q.ask.preset };
    snprintf(t->step1.outcome.detail, sizeof t->step1.outcome.detail, "%.*s",
             (int)utf8_cut(err->message, sizeof t->step1.outcome.detail - 1), err->message);
}

static void keep(void *ctx, const chat_target *of, const char *text, s2a_span span)
{
    (void)of;
    txn *t = ctx;
    removed_put(t->s->removed, t->key, text + span.start, span.end - span.start);
}

/* False: the request has been ended. */
static bool step1(txn *t)
{
    serve *s = t->s;
    engine_ref *ref = NULL;
    s2a_error err = { .status = S2A_OK };
    const step1_settings settings = { .temperature = s->o.temperature,
                                      .top_p = s->o.top_p,
                                      .seed = s->o.seed,
                                      .request_id = t->id,
                                      .trace =
                                          headers_trace(http_call_field(t->call, "traceparent")),
                                      .cancel = t->step1.cancel,
                                      .late = &t->step1.late };
    job_step_begin(t);
    s2a_status status = engines_get(s->engines, chat_model_name(&t->q), t->bearer, &ref, &err);
    if (status == S2A_OK)
        serve_step1_run(engines_engine(ref), &t->q, &settings, &t->step1.outcome);
    else
        open_failed(t, &err);
    engines_put(s->engines, ref);
    job_step_end(t);
    t->step1.ran = true;
    count(t);
    if (t->step1.outcome.cancelled || atomic_load(&t->gone)) {
        http_call_end(t->call, false);
        return false;
    }
    if (t->step1.outcome.fallback && s->o.strict) {
        char message[420];
        snprintf(message, sizeof message, "step 1 was not used (%s): %s", t->step1.outcome.fallback,
                 t->step1.outcome.detail);
        txn_fail(t, 502, message, t->step1.outcome.fallback);
        return false;
    }
    if (!serve_step1_put(&t->step1.outcome, &t->q)) {
        txn_fail(t, 500, "out of memory", NULL);
        return false;
    }
    if (t->q.ask.marker)
        serve_step1_each_removed(&t->step1.outcome, &t->q, keep, t);
    return true;
}

/* Streams x' before the answer; with explain also the s2a object. */
static void show(txn *t)
{
    size_t len = 0;
    bool ok = true;
    const char *shown = serve_step1_rewritten(&t->step1.outcome, &len);
    bool chat = t->q.api == CHAT_API_CHAT;
    chat_show how = chat || t->q.ask.show == CHAT_SHOW_THINK ? t->q.ask.show : CHAT_SHOW_NONE;
    if (reply_names_events(t->q.api))
        return;
    json_t *delta = t->streaming ? reply_delta_shown(how, shown, len, &ok) : NULL;
    if (!t->streaming || !ok || (!delta && !t->q.ask.explain))
        return;
    /* A text completion has no delta: its first piece is x' in <think>. */
    const char *text = json_string_value(json_object_get(delta, "content"));
    json_t *chunk = reply_chunk(&t->reply, chat ? json_incref(delta) : NULL, text, NULL);
    if (chunk && t->q.ask.explain)
        json_object_set_new(chunk, "s2a", reply_s2a(&t->step1.outcome, &t->q, -1, NULL));
    json_decref(delta);
    txn_event(t, chunk);
}

/* ---- the job ---------------------------------------------------------------------------- */

/* Sends upstream a request without step 1: its body unchanged, or without our fields. */
static void not_wanted(txn *t)
{
    if (t->q.changed) {
        t->relay.body = chat_dump(&t->q, &t->relay.body_len);
        if (!t->relay.body) {
            if (!atomic_load(&t->gone))
                txn_error(t, 500, "out of memory", NULL);
            return;
        }
    }
    pass_start(t);
}

/* False: the request was answered or passed on. */
static bool read_body(txn *t)
{
    serve *s = t->s;
    const http_call *call = t->call;
    const char *header = http_call_field(call, "X-S2A");
    s2a_error err = { .status = S2A_OK };
    bool guards = t->route == METRICS_GUARDRAIL;
    s2a_status status = guards ? guardrail_read(t, &err)
                               : chat_parse(call->body, call->body_len, t->reply.api, s->o.prefix,
                                            header, &s->o.ask, t->relay.cancel, &t->q, &err);
    if (status == S2A_OK && t->q.wanted && t->q.ask.marker && !s->removed)
        status = error_set(
            &err, S2A_INPUT,
            "s2a.marker: this server does not store removed texts; start it with --keep-removed N");
    bool ranks = t->route == METRICS_RERANK;
    if (status == S2A_OK && ranks && (t->q.wanted || !s->up))
        status = rerank_check(t, &err);
    if (status == S2A_OK && !s->up && !guards)
        status = embedded_check(t, &err);
    if (status == S2A_CANCELLED)
        return false;
    if (status != S2A_OK) {
        int code = status == S2A_NOMEM ? 500 : status == S2A_MODEL ? 404 : 400;
        txn_error(t, code, err.message, status == S2A_MODEL ? "model_not_found" : NULL);
        return false;
    }
    if (s->up && !guards && (!t->q.wanted || t->route == METRICS_COUNT)) {
        not_wanted(t);
        return false;
    }
    return true;
}

static void reply_prepare(txn *t)
{
    static const char *const ids[] = {
        [CHAT_API_CHAT] = "chatcmpl-",
        [CHAT_API_COMPLETIONS] = "cmpl-",
        [CHAT_API_RESPONSES] = "resp_",
        [CHAT_API_MESSAGES] = "msg_",
    };
    serve *s = t->s;
    snprintf(t->reply.id, sizeof t->reply.id, "%s%s", ids[t->reply.api], t->id);
    t->reply.model = s->up ? chat_model_name(&t->q) : s->o.model;
    t->reply.created = (int64_t)time(NULL);
}

void job_read(void *ctx)
{
    txn *t = ctx;
    if (!atomic_load(&t->gone) && read_body(t)) {
        http_call_drop_body(t->call);
        txn_submit(t, t->s->pool);
    }
    txn_unref(t);
}

static void run(txn *t)
{
    if (atomic_load(&t->gone))
        return;
    if (t->route == METRICS_RERANK) {
        rerank_run(t);
        return;
    }
    if (t->route == METRICS_GUARDRAIL) {
        if (!t->q.wanted || step1(t))
            guardrail_reply(t);
        return;
    }
    if (t->route == METRICS_COUNT) {
        embedded_count(t);
        return;
    }
    if (!t->s->up && !embedded_ready(t))
        return;
    reply_prepare(t);
    if (t->q.stream && !txn_stream_begin(t))
        return;
    /* In APIs that name their events, upstream's events begin the response. */
    if (t->streaming && (!t->s->up || !reply_names_events(t->reply.api))) {
        buf out;
        buf_init(&out, LIMIT_NONE);
        txn_write(t, &out, reply_begin(&t->reply, t->q.root, &out));
    }
    if (t->q.wanted) {
        if (!step1(t))
            return;
        show(t);
    }
    if (t->s->up)
        forward_start(t);
    else
        embedded_answer(t);
}

void job_run(void *ctx)
{
    txn *t = ctx;
    run(t);
    txn_unref(t);
}
