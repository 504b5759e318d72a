#include "core/rewrite.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "core/align.h"
#include "core/guard.h"

#include <stdlib.h>
#include <string.h>

/* ---- generate --------------------------------------------------------------------------- */

/* Step 1's token limit: a whole copy of x, and the labels. */
static s2a_status budget(const run *r, const buf *prompt, uint32_t *max_tokens, s2a_error *err)
{
    backend *b = r->engine->backend;
    const result_text *x = &r->result->input;
    size_t copy = b->vtable->count_tokens(b, x->data, x->len) + LIMIT_STEP1_OVERHEAD_TOKENS;
    size_t needed = copy + b->vtable->count_tokens(b, prompt->data, prompt->len);
    backend_capabilities can = b->vtable->capabilities(b);
    uint32_t ctx = can.ctx_tokens;
    if (can.counts_tokens && ctx > 0 && needed > ctx)
        return error_set(
            err, S2A_LIMIT,
            "prompt: step 1 needs up to %zu tokens and the context has room for %u; shorten "
            "the prompt or raise --ctx",
            needed, ctx);
    /* Do not send a limit that a server might reject. The output then ends at the server's context
     * limit, or at max_bytes. */
    uint32_t most = ctx > 0 ? ctx : LIMIT_STEP1_GUESSED_TOKENS;
    bool send = can.counts_tokens || needed <= most;
    *max_tokens = !send ? 0 : copy > UINT32_MAX ? UINT32_MAX : (uint32_t)copy;
    return S2A_OK;
}

/* The draft is x: the output copies most of it, unit by unit. */
static s2a_status ask(run *r, const buf *prompt, uint32_t max_tokens, backend_finish *finish,
                      s2a_error *err)
{
    const result_text *x = &r->result->input;
    size_t *starts = calloc(r->unit_count + 1, sizeof *starts);
    if (!starts)
        return error_nomem(err);
    for (size_t i = 0; i < r->unit_count; i++)
        starts[i] = r->units[i].start;
    backend_message message = { "user", prompt->data, prompt->len };
    backend_draft draft = { x->data, x->len, starts, r->unit_count };
    run_generation what = { .step = 1,
                            .messages = &message,
                            .count = 1,
                            .draft = &draft,
                            .max_tokens = max_tokens,
                            /* far past the guard's limit: stop here */
                            .max_bytes = 2 * GUARD_LENGTH_MAX(x->len) + 4096 };
    s2a_status status = run_generate(r, &what, &r->result->step1_text, finish, err);
    free(starts);
    return status;
}

static s2a_status generate(run *r, backend_finish *finish, s2a_error *err)
{
    const result_text *x = &r->result->input;
    prompt_values values = { .input = x->data, .input_len = x->len };
    buf prompt;
    buf_init(&prompt, LIMIT_INPUT_BYTES + LIMIT_PROMPT_FILE_BYTES);
    prompt_render(&r->engine->prompts, r->recipe->rewrite, &values, &prompt);
    uint32_t max_tokens = 0;
    s2a_status status = S2A_OK;
    if (prompt.status != S2A_OK)
        status = error_set(err, prompt.status, "%s", s2a_status_text(prompt.status));
    if (status == S2A_OK)
        status = budget(r, &prompt, &max_tokens, err);
    if (status == S2A_OK)
        status = ask(r, &prompt, max_tokens, finish, err);
    buf_free(&prompt);
    return status;
}

/* ---- compose ---------------------------------------------------------------------------- */

/* x', composed of the parts that the model wrote. */
typedef struct composed {
    buf text;
    s2a_span question; /* in text; all of it if x' is not split */
    s2a_span context;
    bool split;
} composed;

/* The model often repeats the question at the end of the context: remove it there. */
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
    const result_text *x = &r->result->input;
    buf_init(&out->text, LIMIT_OUTPUT_BYTES);
    if (r->recipe->form == PARSE_WHOLE) {
        buf_add(&out->text, data + parts->context.start, parts->context.end - parts->context.start);
        out->question = (s2a_span){ 0, out->text.len };
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
    out->context = (s2a_span){ 0, out->text.len };
    if (out->text.len > 0 && question_len > 0)
        buf_adds(&out->text, memchr(x->data, '\n', x->len) ? "\n\n" : " ");
    out->question.start = out->text.len;
    buf_add(&out->text, question, question_len);
    out->question.end = out->text.len;
    out->split = true;
}

/* ---- align ------------------------------------------------------------------------------ */

/* A separate question is unchanged, so only the contexts are compared; not where x' is not split,
 * which may have lost it. Otherwise the question is the first region of x', and the context, if
 * any, the second. */
static s2a_status align(const run *r, const composed *y, align_result *out, s2a_error *err)
{
    const result_text *x = &r->result->input;
    const s2a_span regions[] = { y->question, y->context };
    const s2a_cancel *cancel = r->request->cancel;
    if (r->given_question.end == 0 || !y->split)
        return align_texts(x->data, x->len, r->units, r->unit_count, y->text.data, y->text.len,
                           regions, y->split ? 2 : 1, cancel, out, err);
    return align_texts(x->data, run_context_len(r), r->units, r->unit_count, y->text.data,
                       y->context.end, &y->context, 1, cancel, out, err);
}

/* ---- guard ------------------------------------------------------------------------------ */

static bool question_lost(const run *r, const align_result *aligned)
{
    bool asked = false, kept = false;
    for (size_t i = 0; i < r->unit_count; i++) {
        asked |= r->units[i].question;
        kept |= r->units[i].question && aligned->unit_kept[i];
    }
    return r->recipe->form == PARSE_WHOLE && asked && !kept;
}

static s2a_status guard(const run *r, const composed *y, const align_result *aligned,
                        backend_finish finish, s2a_error *err)
{
    s2a_result *result = r->result;
    guard_input in = {
        .x = result->input.data,
        .x_len = result->input.len,
        .y = y->text.data,
        .y_len = y->text.len,
        .question = y->split ? y->question : (s2a_span){ 0, 0 },
        .question_required = y->split && r->given_question.end == 0,
        .question_words = aligned->region_words[0],
        .question_matched = aligned->region_matched[0],
        .question_lost = question_lost(r, aligned),
        .cut_off = finish == BACKEND_FINISH_LENGTH,
        .cancel = r->request->cancel,
    };
    return guard_check(&in, &result->fallback, result->detail, sizeof result->detail, err);
}

/* ---- the result ------------------------------------------------------------------------- */

static bool report_units(run *r, const align_result *aligned)
{
    if (!run_report_units(r))
        return false;
    bool labelled = r->recipe->form == PARSE_SPLIT && r->given_question.end == 0;
    for (size_t i = 0; i < r->unit_count; i++) {
        s2a_unit *unit = &r->result->units[i];
        unit->kept = run_unit_is_given(r, i) || aligned->unit_kept[i];
        if (!unit->kept)
            unit->label = "removed";
        else if (labelled && aligned->unit_region[i] == 0)
            unit->label = "question";
    }
    return true;
}

static bool accept(run *r, const composed *y, align_result *aligned)
{
    s2a_result *result = r->result;
    const result_text *x = &result->input;
    const char *data = y->text.data;
    s2a_span context = y->context, question = y->question;
    /* Nothing was removed: x' is x byte for byte, whatever the model did to white space. */
    bool ok = aligned->identical ? result_text_set(&result->rewritten, x->data, x->len)
                                 : result_text_set(&result->rewritten, data, y->text.len);
    if (ok && y->split)
        ok = result_text_set(&result->context, data + context.start, context.end - context.start) &&
             result_text_set(&result->question, data + question.start,
                             question.end - question.start);
    if (!ok || !report_units(r, aligned))
        return false;
    result->removed = aligned->removed;
    result->removed_count = aligned->removed_count;
    result->added = aligned->added;
    result->added_count = aligned->added_count;
    aligned->removed = aligned->added = NULL;
    return true;
}

static s2a_status judge(run *r, backend_finish finish, s2a_error *err)
{
    const result_text *raw = &r->result->step1_text;
    parse_parts parts;
    composed y = { .split = false };
    align_result aligned = { 0 };
    s2a_status status =
        parse_rewrite(raw->data, raw->len, r->recipe->form, r->request->cancel, &parts, err);
    if (status != S2A_OK)
        return status;
    compose(r, &parts, &y);
    buf_add(&y.text, "", 0);
    status = y.text.status == S2A_OK ? S2A_OK : error_nomem(err);
    if (status == S2A_OK)
        status = align(r, &y, &aligned, err);
    if (status == S2A_OK)
        status = guard(r, &y, &aligned, finish, err);
    if (status == S2A_OK && r->result->fallback == S2A_FALLBACK_NONE && !accept(r, &y, &aligned))
        status = error_nomem(err);
    align_result_free(&aligned);
    buf_free(&y.text);
    return status;
}

s2a_status rewrite_run(run *r, s2a_error *err)
{
    backend_finish finish = BACKEND_FINISH_STOP;
    s2a_status status = generate(r, &finish, err);
    return status == S2A_OK ? judge(r, finish, err) : status;
}
