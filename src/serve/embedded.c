/* Answers requests with this process's engine. */
#include "base/limits.h"
#include "serve/txn.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* ---- the answer ------------------------------------------------------------------------- */

/* The answers to one request, generated one after the other. */
typedef struct answers {
    txn *t;
    reply_probs probs;
    s2a_result *results[SERVE_CHOICES];
    reply_choice choices[SERVE_CHOICES];
    size_t count; /* complete ones */
} answers;

static int on_token(void *ctx, int step, const char *text, size_t len)
{
    answers *a = ctx;
    txn *t = a->t;
    if (step == 2 && t->streaming && len > 0) {
        json_t *logprobs = reply_probs_take(&a->probs);
        buf out;
        buf_init(&out, LIMIT_NONE);
        txn_write(t, &out, !a->probs.failed && reply_text(&t->reply, text, len, logprobs, &out));
        json_decref(logprobs);
    }
    return atomic_load(&t->gone);
}

static void finish(answers *all)
{
    txn *t = all->t;
    reply_answer a = { .choices = all->choices,
                       .count = all->count,
                       .show = t->q.ask.show,
                       .step1 = &t->step1.outcome.usage,
                       .step2 = &t->relay.usage,
                       .request = t->q.kept ? NULL : t->q.root,
                       .include_usage = t->q.include_usage };
    if (t->q.wanted) {
        a.shown = serve_step1_rewritten(&t->step1.outcome, &a.shown_len);
        a.s2a = reply_s2a(&t->step1.outcome, &t->q, t->relay.ms, &t->relay.usage);
    }
    if (t->streaming) {
        buf out;
        buf_init(&out, LIMIT_NONE);
        txn_write(t, &out, reply_end(&t->reply, &a, &out));
        http_call_end(t->call, true);
    } else {
        txn_json(t, 200, reply_whole(&t->reply, &a), t->step1.outcome.fallback);
    }
    json_decref(a.s2a);
}

static int status_of(s2a_status status)
{
    switch (status) {
    case S2A_ARGUMENT:
    case S2A_INPUT:
    case S2A_LIMIT:
    case S2A_UNSUPPORTED:
        return 400;
    case S2A_TIMEOUT:
        return 504;
    default:
        return 500;
    }
}

static s2a_status request_fill(s2a_request *r, answers *all, s2a_error *err)
{
    const txn *t = all->t;
    bool wanted = false;
    uint32_t top = 0;
    s2a_status status = embedded_prompt(r, &t->q, err);
    if (status == S2A_OK)
        status = embedded_sampling(r, t, all->count, err);
    if (status == S2A_OK && t->q.api != CHAT_API_RESPONSES)
        status = embedded_logprobs(t, &wanted, &top, err);
    if (status == S2A_OK && wanted)
        status = s2a_request_set_logprobs(r, top, reply_probs_add, &all->probs, err);
    s2a_request_set_preset(r, S2A_PRESET_PLAIN);
    s2a_request_set_cancel(r, t->relay.cancel);
    s2a_request_set_on_token(r, on_token, all);
    return status;
}

/* All answers share the prompt: its tokens count once. */
static void usage_add(txn *t, const s2a_usage *more, bool first)
{
    s2a_usage *usage = &t->relay.usage;
    if (first) {
        *usage = *more;
    } else {
        usage->completion_tokens += more->completion_tokens;
        usage->ms += more->ms;
    }
    t->relay.ms = usage->ms;
}

static s2a_status answer_one(answers *all, s2a_error *err)
{
    txn *t = all->t;
    s2a_result *result = NULL;
    s2a_request *r = s2a_request_new();
    s2a_status status = r ? request_fill(r, all, err) : error_nomem(err);
    if (status == S2A_OK)
        status = s2a_answer(t->s->o.engine, r, &result, err);
    s2a_request_free(r);
    if (status == S2A_OK && all->probs.failed) {
        s2a_result_free(result);
        return error_nomem(err);
    }
    if (status != S2A_OK)
        return status;
    reply_choice *c = &all->choices[all->count];
    s2a_usage usage = s2a_result_usage(result, 2);
    usage_add(t, &usage, all->count == 0);
    all->results[all->count++] = result;
    c->cut = s2a_result_answer_cut(result);
    c->text = s2a_result_answer(result, &c->len);
    c->text = c->text ? c->text : "";
    c->stop = s2a_result_stop(result, NULL);
    c->logprobs = reply_probs_take(&all->probs);
    all->probs.offset = 0;
    const char *calls = s2a_result_tool_calls(result, NULL);
    c->calls = calls ? json_loads(calls, JSON_ALLOW_NUL, NULL) : NULL;
    return calls && !c->calls ? error_nomem(err) : S2A_OK;
}

/* Ends a choice of a stream and begins the next one. */
static void choice_next(answers *all)
{
    txn *t = all->t;
    buf out;
    buf_init(&out, LIMIT_NONE);
    bool ok = reply_choice_end(&t->reply, &all->choices[all->count - 1], &out);
    t->reply.choice = all->count;
    txn_write(t, &out, ok && reply_begin(&t->reply, t->q.root, &out));
}

void embedded_answer(txn *t)
{
    s2a_error err = { .status = S2A_OK };
    answers all = { .t = t, .probs = { .api = t->q.api } };
    size_t count = 0;
    s2a_status status = embedded_choices(t, &count, &err);
    while (status == S2A_OK && all.count < count) {
        if (all.count > 0 && t->streaming)
            choice_next(&all);
        status = answer_one(&all, &err);
    }
    if (status == S2A_CANCELLED)
        http_call_end(t->call, false);
    else if (status != S2A_OK)
        txn_fail(t, status_of(status), err.message,
                 status == S2A_LIMIT ? "context_length_exceeded" : NULL);
    else
        finish(&all);
    for (size_t i = 0; i < all.count; i++) {
        json_decref(all.choices[i].logprobs);
        json_decref(all.choices[i].calls);
        s2a_result_free(all.results[i]);
    }
    json_decref(all.probs.list);
}

void embedded_count(txn *t)
{
    s2a_error err = { .status = S2A_OK };
    size_t tokens = 0;
    s2a_request *r = s2a_request_new();
    s2a_status status = r ? embedded_prompt(r, &t->q, &err) : error_nomem(&err);
    if (status == S2A_OK)
        status = s2a_count_tokens(t->s->o.engine, r, &tokens, &err);
    s2a_request_free(r);
    json_t *count = json_pack("{s:I}", "input_tokens", (json_int_t)tokens);
    if (count && t->reply.api == CHAT_API_RESPONSES)
        json_object_set_new(count, "object", json_string("response.input_tokens"));
    if (status == S2A_OK) {
        txn_json(t, 200, count, NULL);
    } else {
        json_decref(count);
        txn_error(t, status_of(status), err.message, NULL);
    }
}

void embedded_models(txn *t)
{
    const char *model = t->s->o.model;
    json_t *list = json_pack("{s:s, s:[{s:s, s:s, s:i, s:s}]}", "object", "list", "data", "id",
                             model, "object", "model", "created", 0, "owned_by", "s2a");
    if (list && !reply_models_double(list, t->s->o.prefix)) {
        json_decref(list);
        list = NULL;
    }
    if (!strcmp(t->target, "/v1/models") || !strncmp(t->target, "/v1/models?", 11)) {
        txn_json(t, 200, list, NULL);
        return;
    }
    const char *asked = t->target + strlen("/v1/models/");
    const json_t *data = json_object_get(list, "data");
    for (size_t i = 0; i < json_array_size(data); i++) {
        json_t *entry = json_array_get(data, i);
        if (!strcmp(json_string_value(json_object_get(entry, "id")), asked)) {
            txn_json(t, 200, json_incref(entry), NULL);
            json_decref(list);
            return;
        }
    }
    json_decref(list);
    txn_error(t, 404, "no such model", "model_not_found");
}
