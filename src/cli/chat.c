#include "cli/chat.h"

#include "base/error.h"
#include "base/limits.h"
#include "cli/explain.h"
#include "cli/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void chat_begin(chat *c, session *s, const char *system)
{
    *c = (chat){ .s = s, .system = system };
    buf_init(&c->text, LIMIT_OUTPUT_BYTES);
    s->answer = &c->text;
}

static void exchange_free(chat_exchange *e)
{
    s2a_result_free(e->step1);
    free(e->message);
    free(e->answer);
}

void chat_end(chat *c)
{
    while (chat_undo(c))
        continue;
    free(c->items);
    buf_free(&c->text);
    c->s->answer = NULL;
}

bool chat_undo(chat *c)
{
    if (c->count == 0)
        return false;
    exchange_free(&c->items[--c->count]);
    return true;
}

bool chat_why(chat *c)
{
    const chat_exchange *last = c->count > 0 ? &c->items[c->count - 1] : NULL;
    term_measure(&c->s->term);
    if (!last)
        term_say("/why: there is no message yet; write one");
    else if (!last->step1)
        puts("Step 1 failed for the last message.");
    else
        explain_units(&c->s->term, last->step1);
    return last != NULL;
}

/* ---- errors ----------------------------------------------------------------------------- */

/* Prints the error, and what helps if the conversation is too long. */
static void say_error(const chat *c, const s2a_error *err)
{
    if (err->status == S2A_LIMIT && c->count > 0)
        term_say("%s; here /undo drops the last exchange and /new the whole conversation",
                 err->message);
    else
        term_say("%s", err->message);
}

/* Whether the answer ended because the context is full. */
static bool context_is_full(const chat *c, const s2a_result *result)
{
    s2a_usage used = s2a_result_usage(result, 2);
    uint32_t room = s2a_engine_ctx_tokens(c->s->engine);
    return s2a_result_answer_cut(result) && room > 0 &&
           used.prompt_tokens + used.completion_tokens + 1 >= room &&
           used.completion_tokens < c->s->o->settings.max_tokens;
}

static void say_cut(const chat *c, const s2a_result *result)
{
    if (!context_is_full(c, result))
        session_note_cut(c->s, result);
    else if (!c->s->o->quiet)
        term_say("note: the answer was cut off, because the context of %u tokens is full; /undo "
                 "drops the last exchange, /new the whole conversation; --ctx sets its length",
                 s2a_engine_ctx_tokens(c->s->engine));
}

/* ---- both steps ------------------------------------------------------------------------- */

/* The conversation's first exchanges, and a message. */
static s2a_status request_fill(const chat *c, size_t count, const char *text, size_t len,
                               s2a_error *err)
{
    s2a_request *request = c->s->request;
    /* Messages are added to earlier ones: setting a text drops those of the last call. */
    s2a_status status = s2a_request_set_text(request, "", 0, err);
    if (status == S2A_OK && c->system)
        status = s2a_request_add_message(request, "system", c->system, strlen(c->system), err);
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        const chat_exchange *e = &c->items[i];
        status = s2a_request_add_message(request, "user", e->message, e->message_len, err);
        if (status == S2A_OK)
            status = s2a_request_add_message(request, "assistant", e->answer, e->answer_len, err);
    }
    return status == S2A_OK ? s2a_request_add_message(request, "user", text, len, err) : status;
}

/* Whether an answer without step 1 may still succeed. */
static bool step1_alone_failed(s2a_status status)
{
    return status != S2A_OK && status != S2A_NOMEM && status != S2A_CANCELLED &&
           status != S2A_ARGUMENT && status != S2A_INPUT && status != S2A_UNSUPPORTED;
}

/* Runs step 1 and shows what it removed. If only step 1 fails, prints a note and sets *out to
 * NULL. */
static s2a_status attend(chat *c, s2a_result **out, s2a_error *err)
{
    session *s = c->s;
    *out = NULL;
    progress_start(&s->progress, session_is_plain(s) ? "answering" : "step 1, reading the message");
    s2a_request_set_preset(s->request, s->o->settings.preset);
    s2a_status status = s2a_attend(s->engine, s->request, out, err);
    progress_clear(&s->progress);
    if (step1_alone_failed(status)) {
        session_note_fallback(s, S2A_FALLBACK_STEP1_FAILED, err->message);
        return S2A_OK;
    }
    if (status != S2A_OK)
        return status;
    session_note_fallback(s, s2a_result_fallback(*out), s2a_result_fallback_detail(*out));
    if (s2a_result_removed_count(*out) > 0 && !s->o->quiet) {
        explain_prompt(&s->term, *out);
        fputc('\n', stdout);
        fflush(stdout);
    }
    return S2A_OK;
}

/* Runs step 2 of *result, or answers without S2A if that is NULL, and prints the answer as it is
 * generated. c->text gets the answer, or a part of it after a failure. */
static s2a_status answer(chat *c, s2a_result **result, s2a_error *err)
{
    session *s = c->s;
    buf_reset(&c->text);
    s->streamed = 0;
    progress_start(&s->progress, "answering");
    s2a_status status;
    if (*result) {
        status = s2a_answer_from(s->engine, s->request, *result, err);
    } else {
        s2a_request_set_preset(s->request, S2A_PRESET_PLAIN);
        status = s2a_answer(s->engine, s->request, result, err);
    }
    progress_clear(&s->progress);
    buf_add(&c->text, "", 0);
    if (status == S2A_OK && c->text.status == S2A_NOMEM)
        status = error_nomem(err);
    if (status != S2A_OK && s->streamed)
        term_puts(&s->term, TERM_DIM, " [cut]");
    if (s->streamed ? s->streamed != '\n' || status != S2A_OK : status == S2A_OK)
        fputc('\n', stdout);
    fflush(stdout);
    return status;
}

/* Reports the outcome; false if there is no answer to keep. */
static bool answered(const chat *c, s2a_status status, const s2a_result *result,
                     const s2a_error *err)
{
    bool any = status == S2A_OK || c->text.len > 0;
    if (status == S2A_OK)
        say_cut(c, result);
    else if (status != S2A_CANCELLED)
        say_error(c, err);
    else if (!any && term_ok())
        term_say("cancelled; the message was dropped");
    return any;
}

static bool exchange_add(chat *c, const char *text, size_t len, s2a_result *step1)
{
    void *items = c->items;
    if (!array_reserve(&items, &c->cap, c->count + 1, sizeof *c->items))
        return false;
    c->items = items;
    chat_exchange e = { .message = bytes_dup(text, len),
                        .message_len = len,
                        .answer = bytes_dup(c->text.data, c->text.len),
                        .answer_len = c->text.len,
                        .step1 = step1 };
    if (!e.message || !e.answer) {
        free(e.message);
        free(e.answer);
        return false;
    }
    c->items[c->count++] = e;
    return true;
}

bool chat_send(chat *c, const char *text, size_t len)
{
    s2a_error err = { .status = S2A_OK };
    s2a_result *step1 = NULL, *result = NULL;
    term_measure(&c->s->term);
    signals_take_interrupt();
    s2a_status status = request_fill(c, c->count, text, len, &err);
    if (status == S2A_OK)
        status = attend(c, &step1, &err);
    buf_reset(&c->text);
    bool ready = status == S2A_OK;
    result = step1;
    if (ready)
        status = answer(c, &result, &err);
    bool keep = answered(c, status, result, &err);
    if (keep && !exchange_add(c, text, len, step1)) {
        error_nomem(&err);
        say_error(c, &err);
        keep = false;
    }
    if (result != step1)
        s2a_result_free(result);
    if (!keep)
        s2a_result_free(step1);
    signals_take_interrupt();
    return keep;
}

bool chat_plain(chat *c)
{
    if (c->count == 0) {
        term_say("/plain: there is no message yet; write one");
        return false;
    }
    chat_exchange *last = &c->items[c->count - 1];
    s2a_error err = { .status = S2A_OK };
    s2a_result *result = NULL;
    term_measure(&c->s->term);
    signals_take_interrupt();
    s2a_status status = request_fill(c, c->count - 1, last->message, last->message_len, &err);
    buf_reset(&c->text);
    if (status == S2A_OK) {
        term_puts(&c->s->term, TERM_HEADING, "Without S2A");
        fputc('\n', stdout);
        status = answer(c, &result, &err);
    }
    if (answered(c, status, result, &err)) {
        char *text = bytes_dup(c->text.data, c->text.len);
        if (text) {
            free(last->answer);
            last->answer = text;
            last->answer_len = c->text.len;
        } else {
            error_nomem(&err);
            say_error(c, &err);
        }
    }
    s2a_result_free(result);
    signals_take_interrupt();
    return true;
}
