#include "serve/serve_step1.h"

#include "base/ascii.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/usage.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(step1_outcome *out, const char *fallback, const char *detail)
{
    out->fallback = fallback;
    snprintf(out->detail, sizeof out->detail, "%.*s", (int)utf8_cut(detail, sizeof out->detail - 1),
             detail);
}

s2a_status serve_step1_protect(s2a_request *r, const json_t *texts, s2a_error *err)
{
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < json_array_size(texts) && status == S2A_OK; i++) {
        const json_t *text = json_array_get(texts, i);
        status =
            s2a_request_protect_text(r, json_string_value(text), json_string_length(text), err);
    }
    return status;
}

/* Adds the earlier messages, and the one with the question. */
static s2a_status conversation_fill(s2a_request *r, const chat_request *q, s2a_error *err)
{
    const chat_target *last = &q->targets[q->target_count - 1];
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < q->turn_count && status == S2A_OK; i++)
        status = s2a_request_add_message(r, q->turns[i].message.role, q->turns[i].text,
                                         q->turns[i].len, err);
    return status == S2A_OK ? s2a_request_add_message(r, "user", last->text, last->len, err)
                            : status;
}

/* Whether a text is searched for orders: one that is not the user's, in mode select. In mode
 * rewrite the request's preset is used. */
static bool looks_for_orders(const s2a_engine *engine, const chat_request *q, const chat_target *t)
{
    return t->context && s2a_engine_mode(engine, S2A_PRESET_AUTO, q->ask.mode) == S2A_MODE_SELECT &&
           q->ask.preset != S2A_PRESET_UNTRUSTED;
}

static s2a_status request_fill(const s2a_engine *engine, s2a_request *r, const chat_request *q,
                               const chat_target *t, const step1_settings *settings, s2a_error *err)
{
    const chat_target *last = &q->targets[q->target_count - 1];
    bool orders = looks_for_orders(engine, q, t);
    s2a_request_set_mode(r, q->ask.mode);
    s2a_request_set_preset(r, orders ? S2A_PRESET_UNTRUSTED : q->ask.preset);
    s2a_request_set_cancel(r, settings->cancel);
    s2a_status status = serve_step1_protect(r, q->ask.protect, err);
    if (status == S2A_OK && !orders && !isnan(q->ask.threshold))
        status = s2a_request_set_threshold(r, q->ask.threshold, err);
    if (status == S2A_OK)
        status = s2a_request_set_keep(r, orders ? 0 : q->ask.keep, err);
    if (status == S2A_OK)
        status = s2a_request_set_sampling(r, settings->temperature, settings->top_p, settings->seed,
                                          err);
    if (status == S2A_OK)
        status = s2a_request_set_id(r, settings->request_id, err);
    if (status == S2A_OK)
        status = s2a_request_set_trace(r, settings->trace, err);
    if (status != S2A_OK)
        return status;
    return t->context ? s2a_request_set_parts(r, t->text, t->len, last->text, last->len, err)
                      : conversation_fill(r, q, err);
}

/* Adds up earlier messages, which only mode select judges. */
static void note_turns(step1_outcome *out, const chat_request *q, const s2a_result *result)
{
    for (size_t i = 0; i < q->turn_count && out->mode == S2A_MODE_SELECT; i++)
        out->bytes += !strcmp(q->turns[i].message.role, "user") ? q->turns[i].len : 0;
    for (size_t i = 0; i < s2a_result_turn_count(result); i++) {
        s2a_turn turn = s2a_result_turn(result, i);
        for (size_t k = 0; k < turn.removed_count; k++)
            out->removed += turn.removed[k].end - turn.removed[k].start;
    }
}

static void note(step1_outcome *out, const chat_request *q, const chat_target *t,
                 const s2a_result *result)
{
    s2a_fallback fallback = s2a_result_fallback(result);
    s2a_usage used = s2a_result_usage(result, 1);
    usage_add(&out->usage, &used);
    out->mode = s2a_result_mode(result);
    out->bytes += t->len;
    for (size_t i = 0; i < s2a_result_removed_count(result); i++) {
        s2a_span span = s2a_result_removed(result, i);
        out->removed += span.end - span.start;
    }
    if (!t->context)
        note_turns(out, q, result);
    /* A fallback of a context leaves that text unchanged; the question's is the request's. */
    if (fallback != S2A_FALLBACK_NONE && !t->context)
        fail(out, s2a_fallback_name(fallback), s2a_result_fallback_detail(result));
}

static void failed(step1_outcome *out, const s2a_error *err, const atomic_bool *late)
{
    out->status = err->status;
    if (err->status == S2A_CANCELLED && atomic_load(late)) {
        fail(out, "budget", "step 1 took longer than its budget");
    } else {
        out->cancelled = err->status == S2A_CANCELLED;
        fail(out, s2a_fallback_name(S2A_FALLBACK_STEP1_FAILED), err->message);
    }
}

void serve_step1_run(s2a_engine *engine, const chat_request *q, const step1_settings *settings,
                     step1_outcome *out)
{
    double start = clock_ms();
    *out = (step1_outcome){ .mode = s2a_engine_mode(engine, q->ask.preset, q->ask.mode),
                            .preset = q->ask.preset,
                            .count = q->target_count };
    const chat_target *last = q->target_count ? &q->targets[q->target_count - 1] : NULL;
    if (!last || last->context || ascii_blank(last->text, last->len)) {
        fail(out, "no_text", "the request has no user text");
        return;
    }
    s2a_error err = { .status = S2A_OK };
    for (size_t i = 0; i < q->target_count && !out->fallback; i++) {
        const chat_target *t = &q->targets[i];
        if (ascii_blank(t->text, t->len))
            continue;
        s2a_request *r = s2a_request_new();
        s2a_status status = r ? request_fill(engine, r, q, t, settings, &err) : error_nomem(&err);
        if (status == S2A_OK)
            status = s2a_attend(engine, r, &out->results[i], &err);
        s2a_request_free(r);
        if (status == S2A_OK)
            note(out, q, t, out->results[i]);
        else
            failed(out, &err, settings->late);
    }
    out->ms = clock_ms() - start;
}

void serve_step1_free(step1_outcome *out)
{
    for (size_t i = 0; i < out->count; i++)
        s2a_result_free(out->results[i]);
    out->count = 0;
}

static const s2a_result *question_of(const step1_outcome *s)
{
    return s->count > 0 ? s->results[s->count - 1] : NULL;
}

const char *serve_step1_rewritten(const step1_outcome *s, size_t *len)
{
    const s2a_result *result = question_of(s);
    *len = 0;
    return result && !s->fallback ? s2a_result_rewritten(result, len) : NULL;
}

/* Extends the removed spans by the white space that was removed with them. out, with room for 3 *
 * count + 2, gets the spans whose removal turns the target's text into text. False if none do. */
static bool cut_find(const chat_target *t, const s2a_span *spans, size_t count, const char *text,
                     size_t len, s2a_span *out, size_t *out_count)
{
    size_t room = 3 * count + 2, n = 0, at = 0, next = 0;
    for (size_t i = 0; i < t->len;) {
        bool removed = next < count && i == spans[next].start;
        size_t end = removed ? spans[next++].end : i + 1;
        if (!removed && at < len && t->text[i] == text[at]) {
            at++;
        } else if (removed || ascii_blank(t->text + i, 1)) {
            if (n > 0 && out[n - 1].end == i)
                out[n - 1].end = end;
            else if (n < room)
                out[n++] = (s2a_span){ i, end };
            else
                return false;
        } else {
            return false;
        }
        i = end;
    }
    *out_count = n;
    return at == len;
}

static bool marked_put(chat_request *q, const chat_target *t, const s2a_span *spans, size_t count)
{
    char(*marks)[REMOVED_MARK_SIZE] = malloc((count + 1) * sizeof *marks);
    bool ok = marks != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        char id[REMOVED_ID_SIZE];
        ok = removed_id(t->text + spans[i].start, spans[i].end - spans[i].start, id);
        snprintf(marks[i], sizeof marks[i], REMOVED_MARK_FORMAT, ok ? id : "");
    }
    ok = ok && chat_cut(q, t, spans, count, marks);
    free(marks);
    return ok;
}

/* Replaces the target's text by text, its x' without these spans. */
static bool put(chat_request *q, const chat_target *t, const s2a_span *spans, size_t count,
                const char *text, size_t len)
{
    if (len == t->len && !memcmp(text, t->text, len))
        return true;
    size_t n = 0;
    s2a_span *cut = malloc((3 * count + 2) * sizeof *cut);
    if (!cut)
        return false;
    bool found = cut_find(t, spans, count, text, len, cut, &n), ok;
    if (found && q->ask.marker)
        ok = marked_put(q, t, spans, count);
    else
        ok = found ? chat_cut(q, t, cut, n, NULL) : chat_put(q, t, text, len);
    free(cut);
    return ok;
}

/* malloc'ed; NULL when out of memory. */
static s2a_span *spans_of(const s2a_result *result, size_t *count)
{
    *count = s2a_result_removed_count(result);
    s2a_span *spans = malloc((*count + 1) * sizeof *spans);
    for (size_t i = 0; spans && i < *count; i++)
        spans[i] = s2a_result_removed(result, i);
    return spans;
}

/* Puts x' of a target, and of the earlier messages judged with it, into the request. */
static bool result_put(const s2a_result *result, chat_request *q, const chat_target *t)
{
    size_t len = 0, count = 0;
    if (t->context && s2a_result_removed_count(result) == 0)
        return true;
    const char *text =
        t->context ? s2a_result_context(result, &len) : s2a_result_prompt(result, &len);
    s2a_span *spans = spans_of(result, &count);
    bool ok = spans && (!text || put(q, t, spans, count, text, len));
    free(spans);
    for (size_t k = 0; ok && k < s2a_result_turn_count(result); k++) {
        s2a_turn turn = s2a_result_turn(result, k);
        ok = put(q, &q->turns[turn.index], turn.removed, turn.removed_count, turn.rewritten,
                 turn.rewritten_len);
    }
    return ok;
}

bool serve_step1_put(const step1_outcome *s, chat_request *q)
{
    bool ok = true;
    for (size_t i = 0; i < s->count && !s->fallback && ok; i++)
        ok = !s->results[i] || result_put(s->results[i], q, &q->targets[i]);
    return ok;
}

void serve_step1_each_removed(const step1_outcome *s, const chat_request *q, step1_removed_fn fn,
                              void *ctx)
{
    for (size_t i = 0; i < s->count && !s->fallback; i++) {
        const s2a_result *result = s->results[i];
        for (size_t k = 0; result && k < s2a_result_turn_count(result); k++) {
            s2a_turn turn = s2a_result_turn(result, k);
            for (size_t n = 0; n < turn.removed_count; n++)
                fn(ctx, &q->turns[turn.index], turn.input, turn.removed[n]);
        }
        for (size_t k = 0; result && k < s2a_result_removed_count(result); k++)
            fn(ctx, &q->targets[i], s2a_result_input(result, NULL), s2a_result_removed(result, k));
    }
}
