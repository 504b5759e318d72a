/* System 2 Attention, the paper on one screen: s2a_attend regenerates the prompt (step 1),
 * s2a_answer answers from what that gave (step 2). One run goes down the list
 *     rewrite:  input -> render -> generate -> parse -> compose -> align -> guard -> answer
 *     select:   input -> judge -> compose -> answer
 * and nothing calls back up. A run lives on its caller's stack; engines are shared. */
#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "core/align.h"
#include "core/engine.h"
#include "core/guard.h"
#include "core/parse.h"
#include "core/request.h"
#include "core/result.h"
#include "core/segment.h"
#include "core/select.h"
#include "core/turns.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What each preset is made of. The paper's variants are section 3.3 and appendix A.1. */
typedef struct recipe {
    prompt_id rewrite; /* step 1; PROMPT_NONE = a baseline without it */
    parse_form form;
    prompt_id answer;           /* step 2 */
    bool answer_input_is_x; /* {{input}} of step 2 is x, not x' */
} recipe;

static const recipe recipes[] = {
    [S2A_PRESET_AUTO] = { PROMPT_REWRITE_OPINION, PARSE_SPLIT, PROMPT_ANSWER_INSTRUCTED, false },
    [S2A_PRESET_OPINION] = { PROMPT_REWRITE_OPINION, PARSE_SPLIT, PROMPT_ANSWER_INSTRUCTED,
                             false },
    [S2A_PRESET_RELEVANCE] = { PROMPT_REWRITE_RELEVANCE, PARSE_SPLIT, PROMPT_ANSWER_MATH, false },
    [S2A_PRESET_SINGLE] = { PROMPT_REWRITE_SINGLE, PARSE_WHOLE, PROMPT_INSTRUCTED_OPINION, false },
    [S2A_PRESET_KEEP_ORIGINAL] = { PROMPT_REWRITE_OPINION, PARSE_SPLIT,
                                   PROMPT_ANSWER_KEEP_ORIGINAL, true },
    [S2A_PRESET_NOT_INSTRUCTED] = { PROMPT_REWRITE_OPINION, PARSE_SPLIT, PROMPT_ANSWER_PLAIN,
                                    false },
    [S2A_PRESET_PLAIN] = { PROMPT_NONE, PARSE_WHOLE, PROMPT_NONE, true },
    [S2A_PRESET_INSTRUCTED] = { PROMPT_NONE, PARSE_WHOLE, PROMPT_INSTRUCTED_OPINION, true },
    [S2A_PRESET_INSTRUCTED_MATH] = { PROMPT_NONE, PARSE_WHOLE, PROMPT_INSTRUCTED_MATH, true },
    /* Mode select alone: its prompts are never asked for. */
    [S2A_PRESET_UNTRUSTED] = { PROMPT_REWRITE_RELEVANCE, PARSE_SPLIT, PROMPT_ANSWER_PLAIN, false },
};

typedef struct run {
    s2a_engine *engine;
    const s2a_request *request;
    const recipe *recipe;
    s2a_result *result;
    s2a_error *err;
    s2a_span given_question; /* in x, when the request gave it apart; otherwise empty */
    segment_unit *units;
    size_t unit_count;
} run;

static const backend_vtable *vtable_of(const run *r)
{
    return r->engine->backend->vtable;
}

static bool text_set(text *t, const char *data, size_t len)
{
    free(t->data);
    t->data = bytes_dup(data, len);
    t->len = t->data ? len : 0;
    return t->data != NULL;
}

/* Of a context given apart; the blank line before the question is ours. */
static size_t given_context_len(const run *r)
{
    return r->given_question.start >= 2 ? r->given_question.start - 2 : 0;
}

/* ---- input ------------------------------------------------------------------------------ */

static s2a_status input_from_parts(run *r)
{
    const s2a_request *q = r->request;
    if (ascii_blank(q->question, q->question_len))
        return error_set(r->err, S2A_INPUT, "question: it is empty; write what is asked");
    buf joined;
    buf_init(&joined, LIMIT_INPUT_BYTES);
    if (!ascii_blank(q->text, q->text_len)) {
        buf_add(&joined, q->text, q->text_len);
        buf_adds(&joined, "\n\n");
    }
    r->given_question.start = joined.len;
    buf_add(&joined, q->question, q->question_len);
    r->given_question.end = joined.len;
    s2a_status failed = joined.status;
    r->result->input.data = buf_take(&joined, &r->result->input.len);
    if (!r->result->input.data) {
        buf_free(&joined);
        return failed == S2A_LIMIT ? error_set(r->err, failed, "prompt: too long")
                                   : error_nomem(r->err);
    }
    return S2A_OK;
}

static s2a_status input_read(run *r)
{
    const s2a_request *q = r->request;
    const char *data = q->text;
    size_t len = q->text_len;
    switch (q->form) {
    case REQUEST_NOTHING:
        return error_set(r->err, S2A_ARGUMENT, "request: it has no prompt; set one first");
    case REQUEST_PARTS:
        return input_from_parts(r);
    case REQUEST_MESSAGES: {
        const request_message *last = &q->messages[q->message_count - 1];
        if (strcmp(last->role, "user") != 0)
            return error_set(r->err, S2A_ARGUMENT,
                             "messages: the last one is the %s's; end with the user's",
                             last->role);
        data = last->content;
        len = last->len;
        break;
    }
    case REQUEST_TEXT:
        break;
    }
    if (ascii_blank(data, len))
        return error_set(r->err, S2A_INPUT, "prompt: it is empty; write a question");
    return text_set(&r->result->input, data, len) ? S2A_OK : error_nomem(r->err);
}

/* ---- step 1: generate ------------------------------------------------------------------- */

typedef struct collector {
    buf text;
    const s2a_request *request;
    int step;
    bool cancelled;
} collector;

static int collect(void *ctx, const char *data, size_t len)
{
    collector *c = ctx;
    buf_add(&c->text, data, len);
    if (c->request->on_token &&
        c->request->on_token(c->request->on_token_ctx, c->step, data, len) != 0)
        c->cancelled = true;
    return c->cancelled || c->text.status != S2A_OK;
}

static s2a_status generate(run *r, int step, const backend_message *messages, size_t count,
                           uint32_t max_tokens, size_t max_bytes, text *out,
                           backend_finish *finish)
{
    collector c = { .request = r->request, .step = step };
    buf_init(&c.text, max_bytes);
    backend_params params = { .temperature = r->request->temperature, .top_p = r->request->top_p,
                              .seed = r->request->seed, .max_tokens = max_tokens,
                              .cancel = r->request->cancel, .request_id = r->request->id,
                              .keep_result = step == 1 };
    size_t start_count = step == 1 ? r->unit_count : 0; /* step 2 copies nothing */
    size_t *starts = calloc(start_count + 1, sizeof *starts);
    if (!starts)
        return error_nomem(r->err);
    for (size_t i = 0; i < start_count; i++)
        starts[i] = r->units[i].start;
    backend_draft draft = { r->result->input.data, r->result->input.len, starts, start_count };
    backend_usage usage = { .finish = BACKEND_FINISH_STOP };
    s2a_status status =
        vtable_of(r)->generate(r->engine->backend, messages, count, &params,
                               step == 1 ? &draft : NULL, collect, &c, &usage, r->err);
    free(starts);
    r->result->usage[step - 1] = usage.tokens;
    *finish = usage.finish;
    if (status == S2A_OK && c.cancelled)
        status = error_set(r->err, S2A_CANCELLED, "cancelled");
    if (status == S2A_OK && c.text.status == S2A_NOMEM)
        status = error_nomem(r->err);
    if (status == S2A_OK) {
        c.text.status = S2A_OK; /* past max_bytes the text so far is what there is */
        out->data = buf_take(&c.text, &out->len);
        if (!out->data)
            status = error_nomem(r->err);
    }
    buf_free(&c.text);
    return status;
}

/* Step 1 may write as much as a whole copy of x takes, and the labels. */
static s2a_status step1_budget(run *r, const buf *prompt, uint32_t *max_tokens)
{
    const backend_vtable *vtable = vtable_of(r);
    size_t copy = vtable->count_tokens(r->engine->backend, r->result->input.data,
                                       r->result->input.len) +
                  LIMIT_STEP1_OVERHEAD_TOKENS;
    size_t needed = copy + vtable->count_tokens(r->engine->backend, prompt->data, prompt->len);
    backend_capabilities can = vtable->capabilities(r->engine->backend);
    uint32_t ctx = can.ctx_tokens;
    if (can.counts_tokens && ctx > 0 && needed > ctx)
        return error_set(r->err, S2A_LIMIT,
                         "prompt: step 1 needs up to %zu tokens and the context holds %u; shorten "
                         "the prompt or raise --ctx",
                         needed, ctx);
    /* A bound that a server might refuse is not sent: it then ends at its own context's end, and
     * whatever runs on is stopped by its bytes. */
    uint32_t most = ctx > 0 ? ctx : LIMIT_STEP1_GUESSED_TOKENS;
    bool send = can.counts_tokens || needed <= most;
    *max_tokens = !send ? 0 : copy > UINT32_MAX ? UINT32_MAX : (uint32_t)copy;
    return S2A_OK;
}

static s2a_status step1_generate(run *r, backend_finish *finish)
{
    const text *x = &r->result->input;
    prompt_values values = { .input = x->data, .input_len = x->len };
    buf prompt;
    buf_init(&prompt, LIMIT_INPUT_BYTES + LIMIT_PROMPT_FILE_BYTES);
    prompt_render(&r->engine->prompts, r->recipe->rewrite, &values, &prompt);
    uint32_t max_tokens = 0;
    s2a_status status = S2A_OK;
    if (prompt.status != S2A_OK)
        status = error_set(r->err, prompt.status, "%s", s2a_status_text(prompt.status));
    if (status == S2A_OK)
        status = step1_budget(r, &prompt, &max_tokens);
    if (status == S2A_OK) {
        backend_message message = { "user", prompt.data, prompt.len };
        /* Far past the guard's bound nothing good will come: stop the model there. */
        status = generate(r, 1, &message, 1, max_tokens, 2 * GUARD_LENGTH_MAX(x->len) + 4096,
                          &r->result->step1_text, finish);
    }
    buf_free(&prompt);
    return status;
}

/* ---- step 1: parse and compose ---------------------------------------------------------- */

typedef struct composed {
    buf text; /* x' */
    s2a_span regions[2]; /* question, context: the order in which align matches them */
    bool split;
} composed;

/* The model often repeats the question at the end of the context: there it says nothing new. */
static s2a_span context_without_question(const char *data, s2a_span context, const char *question,
                                         size_t len)
{
    size_t n = context.end - context.start;
    if (len > 0 && n >= len && !memcmp(data + context.end - len, question, len)) {
        context.end -= len;
        while (context.end > context.start && strchr(" \t\r\n", data[context.end - 1]))
            context.end--;
    }
    return context;
}

static void compose(const run *r, const parse_parts *parts, composed *out)
{
    const char *data = r->result->step1_text.data;
    const text *x = &r->result->input;
    buf_init(&out->text, LIMIT_OUTPUT_BYTES);
    if (r->recipe->form == PARSE_WHOLE) {
        buf_add(&out->text, data + parts->context.start, parts->context.end - parts->context.start);
        out->regions[0] = (s2a_span){ 0, out->text.len };
        return;
    }
    const char *question = data + parts->question.start;
    size_t question_len = parts->question.end - parts->question.start;
    if (r->given_question.end > 0) {
        question = x->data + r->given_question.start;
        question_len = r->given_question.end - r->given_question.start;
    }
    s2a_span context = context_without_question(data, parts->context, question, question_len);
    buf_add(&out->text, data + context.start, context.end - context.start);
    out->regions[1] = (s2a_span){ 0, out->text.len };
    if (out->text.len > 0 && question_len > 0)
        buf_adds(&out->text, memchr(x->data, '\n', x->len) ? "\n\n" : " ");
    out->regions[0].start = out->text.len;
    buf_add(&out->text, question, question_len);
    out->regions[0].end = out->text.len;
    out->split = true;
}

/* ---- step 1: results -------------------------------------------------------------------- */

static bool units_fill(run *r, const align_result *align)
{
    s2a_result *result = r->result;
    result->units = calloc(r->unit_count + 1, sizeof *result->units);
    if (!result->units)
        return false;
    for (size_t i = 0; i < r->unit_count; i++) {
        bool given = r->given_question.end > 0 && r->units[i].end > r->given_question.start;
        bool kept = !align || given || align->unit_kept[i];
        bool question = given || (align && r->recipe->form == PARSE_SPLIT &&
                                  r->given_question.end == 0 && align->unit_region[i] == 0);
        result->units[i] = (s2a_unit){
            .start = r->units[i].start,
            .end = r->units[i].end,
            .kept = kept,
            .label = !kept ? "removed" : question ? "question" : "kept",
        };
    }
    result->unit_count = r->unit_count;
    return true;
}

/* x' = x: for baselines, and whenever step 1 was not to be trusted. */
static s2a_status stand_in(run *r)
{
    s2a_result *result = r->result;
    const text *x = &result->input;
    if (!text_set(&result->rewritten, x->data, x->len) || !units_fill(r, NULL))
        return error_nomem(r->err);
    if (r->given_question.end == 0)
        return S2A_OK;
    s2a_span q = r->given_question;
    if (!text_set(&result->context, x->data, given_context_len(r)) ||
        !text_set(&result->question, x->data + q.start, q.end - q.start))
        return error_nomem(r->err);
    return S2A_OK;
}

static s2a_status accept(run *r, composed *c, align_result *align)
{
    s2a_result *result = r->result;
    const text *x = &result->input;
    if (c->split) {
        s2a_span q = c->regions[0], k = c->regions[1];
        if (!text_set(&result->context, c->text.data + k.start, k.end - k.start) ||
            !text_set(&result->question, c->text.data + q.start, q.end - q.start))
            return error_nomem(r->err);
    }
    /* Nothing went: x' is x byte for byte, whatever the model did to white space. */
    bool ok = align->identical ? text_set(&result->rewritten, x->data, x->len)
                               : text_set(&result->rewritten, c->text.data, c->text.len);
    if (!ok || !units_fill(r, align))
        return error_nomem(r->err);
    result->removed = align->removed;
    result->removed_count = align->removed_count;
    result->added = align->added;
    result->added_count = align->added_count;
    align->removed = align->added = NULL;
    return S2A_OK;
}

static bool question_lost(const run *r, const align_result *align)
{
    bool asked = false, kept = false;
    for (size_t i = 0; i < r->unit_count; i++) {
        asked |= r->units[i].question;
        kept |= r->units[i].question && align->unit_kept[i];
    }
    return r->recipe->form == PARSE_WHOLE && asked && !kept;
}

/* A question that was given apart stands as it is: then only the contexts are compared. */
static s2a_status step1_align(const run *r, const composed *c, align_result *align)
{
    const text *x = &r->result->input;
    if (r->given_question.end == 0)
        return align_texts(x->data, x->len, r->units, r->unit_count, c->text.data, c->text.len,
                           c->regions, c->split ? 2 : 1, r->request->cancel, align, r->err);
    return align_texts(x->data, given_context_len(r), r->units, r->unit_count, c->text.data,
                       c->regions[1].end, &c->regions[1], 1, r->request->cancel, align, r->err);
}

/* parse -> compose -> align -> guard, over what the model wrote. */
static s2a_status step1_judge(run *r, backend_finish finish)
{
    s2a_result *result = r->result;
    const text *x = &result->input, *raw = &result->step1_text;
    parse_parts parts;
    composed c = { 0 };
    align_result align = { 0 };
    s2a_status status = parse_rewrite(raw->data, raw->len, r->recipe->form, r->request->cancel,
                                      &parts, r->err);
    if (status != S2A_OK)
        return status;
    compose(r, &parts, &c);
    buf_add(&c.text, "", 0);
    status = c.text.status == S2A_OK ? S2A_OK : error_nomem(r->err);
    if (status == S2A_OK)
        status = step1_align(r, &c, &align);
    if (status == S2A_OK) {
        bool split = r->recipe->form == PARSE_SPLIT;
        guard_input in = {
            .x = x->data, .x_len = x->len, .y = c.text.data, .y_len = c.text.len,
            .question = split ? c.regions[0] : (s2a_span){ 0, 0 },
            .question_required = split && r->given_question.end == 0,
            .question_words = align.region_words[0],
            .question_matched = align.region_matched[0],
            .question_lost = question_lost(r, &align),
            .cut_off = finish == BACKEND_FINISH_LENGTH, .cancel = r->request->cancel,
        };
        status = guard_check(&in, &result->fallback, result->detail, sizeof result->detail,
                             r->err);
    }
    if (status == S2A_OK)
        status = result->fallback == S2A_FALLBACK_NONE ? accept(r, &c, &align) : stand_in(r);
    align_result_free(&align);
    buf_free(&c.text);
    return status;
}

/* ---- step 1: select --------------------------------------------------------------------- */

static bool select_accept(run *r, const select_unit *units, double threshold, select_text *y)
{
    s2a_result *result = r->result;
    result->units = calloc(r->unit_count + 1, sizeof *result->units);
    if (!result->units || !text_set(&result->rewritten, y->text.data, y->text.len))
        return false;
    for (size_t i = 0; i < r->unit_count; i++)
        result->units[i] = (s2a_unit){ .start = r->units[i].start, .end = r->units[i].end,
                                       .kept = units[i].kept, .has_score = units[i].judged,
                                       .score = units[i].score, .label = units[i].label };
    result->unit_count = r->unit_count;
    result->threshold = threshold;
    result->removed = y->removed;
    result->removed_count = y->removed_count;
    y->removed = NULL;
    const char *data = y->text.data;
    s2a_span k = y->context, q = y->question;
    return q.end == 0 || (text_set(&result->context, data + k.start, k.end - k.start) &&
                          text_set(&result->question, data + q.start, q.end - q.start));
}

static s2a_status step1_select(run *r)
{
    const s2a_request *q = r->request;
    const s2a_engine *engine = engine_selector(r->engine);
    const text *x = &r->result->input;
    select_input in = { .backend = engine->backend, .head = engine->head, .memo = engine->memo,
                        .question_start = r->given_question.end > 0 ? r->given_question.start
                                                                    : SIZE_MAX,
                        .preset = q->preset, .threshold = q->threshold, .keep = q->keep,
                        .cancel = q->cancel, .request_id = q->id };
    turn last = { .text = x->data, .len = x->len, .units = r->units, .count = r->unit_count };
    turns t;
    select_text y = { .changed = false };
    s2a_status status = turns_gather(q, &last, &t, r->err);
    select_unit *units = calloc(t.unit_count + 1, sizeof *units);
    if (status == S2A_OK)
        status = units ? turns_judge(&t, &in, units, &r->result->usage[0], r->err)
                       : error_nomem(r->err);
    if (status == S2A_OK)
        status = turns_compose(&t, t.earlier, &in, units, &y, r->err);
    if (status == S2A_OK)
        status = turns_report(&t, &in, units, r->result, r->err);
    if (status == S2A_OK && !select_accept(r, units + t.items[t.earlier].first, select_threshold(&in), &y))
        status = error_nomem(r->err);
    select_text_free(&y);
    free(units);
    turns_free(&t);
    return status;
}

/* Step 1. On failure the result is as it was, so that the caller may still stand in for it. */
static s2a_status step1(run *r)
{
    if (r->recipe->rewrite == PROMPT_NONE)
        return stand_in(r);
    if (r->result->mode == S2A_MODE_SELECT)
        return step1_select(r);
    backend_finish finish = BACKEND_FINISH_STOP;
    s2a_status status = step1_generate(r, &finish);
    return status == S2A_OK ? step1_judge(r, finish) : status;
}

/* ---- step 2 ----------------------------------------------------------------------------- */

static void step2_prompt(const run *r, buf *out)
{
    const s2a_result *result = r->result;
    const text *input = r->recipe->answer_input_is_x ? &result->input : &result->rewritten;
    prompt_values values = {
        .input = input->data, .input_len = input->len,
        .context = result->context.data, .context_len = result->context.len,
        .question = result->question.data, .question_len = result->question.len,
    };
    bool plain = result->fallback != S2A_FALLBACK_NONE;
    if (plain) { /* the original prompt, as the user wrote it */
        values.input = result->input.data;
        values.input_len = result->input.len;
    }
    plain |= result->mode == S2A_MODE_SELECT; /* x' is a prompt in the user's own words */
    prompt_render(&r->engine->prompts, plain ? PROMPT_NONE : r->recipe->answer, &values, out);
    buf_add(out, "", 0);
}

/* The user's turn of step 2, kept in the result. */
static s2a_status step2_prepare(run *r)
{
    buf prompt;
    buf_init(&prompt, 2 * LIMIT_INPUT_BYTES + LIMIT_OUTPUT_BYTES);
    step2_prompt(r, &prompt);
    r->result->prompt.data = buf_take(&prompt, &r->result->prompt.len);
    buf_free(&prompt);
    return r->result->prompt.data ? S2A_OK : error_nomem(r->err);
}

static s2a_status step2(run *r)
{
    const s2a_request *q = r->request;
    size_t count = q->form == REQUEST_MESSAGES ? q->message_count : 1;
    backend_message *messages = calloc(count, sizeof *messages);
    const text *prompt = &r->result->prompt;
    s2a_status status = messages ? S2A_OK : error_nomem(r->err);
    if (status == S2A_OK) {
        for (size_t i = 0; i + 1 < count; i++)
            messages[i] = (backend_message){ q->messages[i].role, q->messages[i].content,
                                             q->messages[i].len };
        for (size_t i = 0; i < r->result->turn_count; i++) {
            const result_turn *t = &r->result->turns[i];
            messages[t->index].content = t->rewritten.data;
            messages[t->index].len = t->rewritten.len;
        }
        messages[count - 1] = (backend_message){ "user", prompt->data, prompt->len };
        backend_finish finish = BACKEND_FINISH_STOP;
        status = generate(r, 2, messages, count, q->max_tokens, LIMIT_OUTPUT_BYTES,
                          &r->result->answer, &finish);
        r->result->answer_cut = finish == BACKEND_FINISH_LENGTH;
    }
    free(messages);
    return status;
}

/* ---- the two functions ------------------------------------------------------------------ */

static const char no_judge[] = "give one (--select-model 0.5b), or teach this one (s2a calibrate)";

/* A rewriting model would follow the orders that it is to leave out, and a share of the text to keep
 * says nothing about orders. */
static s2a_status untrusted_check(const run *r, bool can)
{
    const s2a_request *q = r->request;
    if (q->mode != S2A_MODE_DEFAULT && q->mode != S2A_MODE_SELECT)
        return error_set(r->err, S2A_ARGUMENT, "preset untrusted needs mode select, not %s; leave --mode "
                                               "out, or use preset auto",
                         s2a_mode_name(q->mode));
    if (q->keep > 0)
        return error_set(r->err, S2A_ARGUMENT, "preset untrusted goes by a threshold; leave --keep out, "
                                               "or use preset relevance");
    if (!can)
        return error_set(r->err, S2A_UNSUPPORTED, "preset untrusted needs mode select, and this backend "
                                                  "has no model that judges; %s",
                         no_judge);
    return S2A_OK;
}

/* The mode of a request that names none is what the preset allows and the backend prefers. */
static s2a_status mode_choose(const run *r, s2a_mode *out)
{
    const s2a_request *q = r->request;
    bool can = s2a_engine_selects(r->engine);
    bool selects = q->preset == S2A_PRESET_AUTO || q->preset == S2A_PRESET_OPINION ||
                   q->preset == S2A_PRESET_RELEVANCE;
    *out = q->mode;
    if (q->preset == S2A_PRESET_UNTRUSTED) {
        *out = S2A_MODE_SELECT;
        return untrusted_check(r, can);
    }
    if (r->recipe->rewrite == PROMPT_NONE)
        *out = S2A_MODE_NONE;
    else if (q->mode == S2A_MODE_DEFAULT)
        *out = can && selects ? S2A_MODE_SELECT : S2A_MODE_REWRITE;
    else if (q->mode == S2A_MODE_SELECT && !selects)
        return error_set(r->err, S2A_ARGUMENT, "preset %s is a variant of mode rewrite; use --mode "
                                               "rewrite, or preset auto",
                         s2a_preset_name(q->preset));
    else if (q->mode == S2A_MODE_SELECT && !can)
        return error_set(r->err, S2A_UNSUPPORTED,
                         "mode select: there is no model that judges; %s, or use mode rewrite", no_judge);
    else if (q->mode != S2A_MODE_SELECT && q->mode != S2A_MODE_REWRITE)
        return error_set(r->err, S2A_ARGUMENT, "mode %d is unknown", (int)q->mode);
    return S2A_OK;
}

static s2a_status run_begin(run *r)
{
    const s2a_request *q = r->request;
    if ((size_t)q->preset >= sizeof recipes / sizeof recipes[0])
        return error_set(r->err, S2A_ARGUMENT, "preset %d is unknown", (int)q->preset);
    r->recipe = &recipes[q->preset];
    s2a_mode mode = S2A_MODE_NONE;
    s2a_status status = mode_choose(r, &mode);
    if (status != S2A_OK)
        return status;
    r->result = calloc(1, sizeof *r->result);
    if (!r->result)
        return error_nomem(r->err);
    r->result->mode = mode;
    r->result->preset = q->preset;
    r->result->threshold = NAN;
    const char *model = s2a_engine_model(r->engine);
    r->result->model = bytes_dup(model, strlen(model));
    if (!r->result->model)
        return error_nomem(r->err);
    status = input_read(r);
    if (status != S2A_OK)
        return status;
    const text *x = &r->result->input;
    size_t question = r->given_question.start;
    if (mode == S2A_MODE_SELECT)
        return select_segment(q->preset, x->data, x->len, question, r->request->cancel, &r->units, &r->unit_count, r->err);
    return segment_apart(x->data, x->len, question, r->request->cancel, &r->units, &r->unit_count, r->err);
}

static s2a_status run_end(run *r, s2a_status status, s2a_result **out)
{
    free(r->units);
    if (status == S2A_OK) {
        *out = r->result;
    } else {
        s2a_result_free(r->result);
        *out = NULL;
    }
    return status;
}

s2a_status s2a_attend(s2a_engine *engine, const s2a_request *request, s2a_result **out,
                      s2a_error *err)
{
    run r = { .engine = engine, .request = request, .err = err };
    s2a_status status = run_begin(&r);
    if (status == S2A_OK)
        status = step1(&r);
    if (status == S2A_OK)
        status = step2_prepare(&r);
    return run_end(&r, status, out);
}

/* Whatever else happens in step 1, the user's prompt can still be answered. */
static bool survivable(s2a_status status)
{
    return status != S2A_OK && status != S2A_NOMEM && status != S2A_CANCELLED;
}

s2a_status s2a_answer(s2a_engine *engine, const s2a_request *request, s2a_result **out,
                      s2a_error *err)
{
    s2a_error step1_err = { .status = S2A_OK };
    run r = { .engine = engine, .request = request, .err = err };
    s2a_status status = run_begin(&r);
    if (status == S2A_OK) {
        r.err = &step1_err;
        status = step1(&r);
        r.err = err;
        if (survivable(status)) {
            r.result->fallback = S2A_FALLBACK_STEP1_FAILED;
            size_t n = utf8_cut(step1_err.message, sizeof r.result->detail - 1);
            snprintf(r.result->detail, sizeof r.result->detail, "%.*s", (int)n,
                     step1_err.message);
            status = stand_in(&r);
        } else if (status != S2A_OK && err) {
            *err = step1_err;
        }
    }
    if (status == S2A_OK)
        status = step2_prepare(&r);
    if (status == S2A_OK)
        status = step2(&r);
    return run_end(&r, status, out);
}
