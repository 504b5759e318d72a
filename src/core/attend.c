/* System 2 Attention, the paper on one screen: s2a_attend regenerates the prompt (step 1),
 * s2a_answer_from answers from its result (step 2), s2a_answer does both. One run goes through the
 * list
 *     rewrite:  input -> render -> generate -> parse -> compose -> align -> guard -> answer
 *     select:   input -> judge -> compose -> answer
 * and nothing calls back up. The two modes of step 1 are in rewrite.c and select.c. */
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "core/documents.h"
#include "core/rewrite.h"
#include "core/run.h"
#include "core/select.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const recipe recipes[] = {
    [S2A_PRESET_AUTO] = { PROMPT_REWRITE_OPINION, PARSE_SPLIT, PROMPT_ANSWER_INSTRUCTED, false },
    [S2A_PRESET_OPINION] = { PROMPT_REWRITE_OPINION, PARSE_SPLIT, PROMPT_ANSWER_INSTRUCTED, false },
    [S2A_PRESET_RELEVANCE] = { PROMPT_REWRITE_RELEVANCE, PARSE_SPLIT, PROMPT_ANSWER_MATH, false },
    [S2A_PRESET_SINGLE] = { PROMPT_REWRITE_SINGLE, PARSE_WHOLE, PROMPT_INSTRUCTED_OPINION, false },
    [S2A_PRESET_KEEP_ORIGINAL] = { PROMPT_REWRITE_OPINION, PARSE_SPLIT, PROMPT_ANSWER_KEEP_ORIGINAL,
                                   true },
    [S2A_PRESET_NOT_INSTRUCTED] = { PROMPT_REWRITE_OPINION, PARSE_SPLIT, PROMPT_ANSWER_PLAIN,
                                    false },
    [S2A_PRESET_PLAIN] = { PROMPT_NONE, PARSE_WHOLE, PROMPT_NONE, true },
    [S2A_PRESET_INSTRUCTED] = { PROMPT_NONE, PARSE_WHOLE, PROMPT_INSTRUCTED_OPINION, true },
    [S2A_PRESET_INSTRUCTED_MATH] = { PROMPT_NONE, PARSE_WHOLE, PROMPT_INSTRUCTED_MATH, true },
    /* Mode select only: its prompts are never used. */
    [S2A_PRESET_UNTRUSTED] = { PROMPT_REWRITE_RELEVANCE, PARSE_SPLIT, PROMPT_ANSWER_PLAIN, false },
};

/* ---- the mode --------------------------------------------------------------------------- */

static const char no_judge[] = "use --select-model 0.5b, or teach this model (s2a calibrate)";

/* A model that rewrites would follow the orders that it should remove. A share of the text to keep
 * says nothing about orders. */
static s2a_status untrusted_check(const s2a_request *request, bool can, s2a_error *err)
{
    if (request->mode != S2A_MODE_DEFAULT && request->mode != S2A_MODE_SELECT)
        return error_set(err, S2A_ARGUMENT,
                         "preset untrusted needs mode select, not %s; leave --mode out, or use "
                         "preset auto",
                         s2a_mode_name(request->mode));
    if (request->keep > 0)
        return error_set(
            err, S2A_ARGUMENT,
            "preset untrusted uses a threshold; leave --keep out, or use preset relevance");
    if (!can)
        return error_set(
            err, S2A_UNSUPPORTED,
            "preset untrusted needs mode select, and this backend has no judge model; %s",
            no_judge);
    return S2A_OK;
}

static s2a_status documents_check(const s2a_request *request, bool can, s2a_error *err)
{
    if (request->mode != S2A_MODE_DEFAULT && request->mode != S2A_MODE_SELECT)
        return error_set(err, S2A_ARGUMENT, "documents need mode select, not %s; leave --mode out",
                         s2a_mode_name(request->mode));
    if (request->preset != S2A_PRESET_AUTO && request->preset != S2A_PRESET_RELEVANCE)
        return error_set(err, S2A_ARGUMENT,
                         "documents are judged by preset relevance, not %s; leave --preset out",
                         s2a_preset_name(request->preset));
    for (size_t i = 0; i < request->protect_count; i++)
        if (!request->protect[i].text)
            return error_set(err, S2A_ARGUMENT,
                             "protect: lines do not apply to documents; protect a text");
    if (!can)
        return error_set(err, S2A_UNSUPPORTED,
                         "documents need mode select, and there is no judge model; %s", no_judge);
    return S2A_OK;
}

static bool preset_selects(s2a_preset preset)
{
    return preset == S2A_PRESET_AUTO || preset == S2A_PRESET_OPINION ||
           preset == S2A_PRESET_RELEVANCE;
}

s2a_mode s2a_engine_mode(const s2a_engine *engine, s2a_preset preset, s2a_mode mode)
{
    if (preset == S2A_PRESET_UNTRUSTED)
        return S2A_MODE_SELECT;
    if ((size_t)preset >= sizeof recipes / sizeof recipes[0] ||
        recipes[preset].rewrite == PROMPT_NONE)
        return S2A_MODE_NONE;
    if (mode != S2A_MODE_DEFAULT)
        return mode;
    return s2a_engine_selects(engine) && preset_selects(preset) ? S2A_MODE_SELECT
                                                                : S2A_MODE_REWRITE;
}

static s2a_status mode_choose(const s2a_engine *engine, const s2a_request *request, s2a_mode *out,
                              s2a_error *err)
{
    s2a_preset preset = request->preset;
    s2a_mode mode = request->mode;
    bool can = s2a_engine_selects(engine);
    *out = s2a_engine_mode(engine, preset, mode);
    if (request->form == REQUEST_DOCUMENTS) {
        *out = S2A_MODE_SELECT;
        return documents_check(request, can, err);
    }
    if (preset == S2A_PRESET_UNTRUSTED)
        return untrusted_check(request, can, err);
    if (*out == S2A_MODE_REWRITE && request->protect_count > 0)
        return error_set(err, S2A_UNSUPPORTED,
                         "protect: mode rewrite cannot keep a text; use mode select with preset "
                         "auto, opinion or relevance%s%s",
                         can ? "" : ", and for a judge model ", can ? "" : no_judge);
    if (recipes[preset].rewrite == PROMPT_NONE || mode == S2A_MODE_DEFAULT)
        return S2A_OK;
    if (mode == S2A_MODE_SELECT && !preset_selects(preset))
        return error_set(err, S2A_ARGUMENT,
                         "preset %s is a variant of mode rewrite; use --mode rewrite, or preset "
                         "auto",
                         s2a_preset_name(preset));
    if (mode == S2A_MODE_SELECT && !can)
        return error_set(err, S2A_UNSUPPORTED,
                         "mode select: there is no judge model; %s, or use mode rewrite", no_judge);
    if (mode != S2A_MODE_SELECT && mode != S2A_MODE_REWRITE)
        return error_set(err, S2A_ARGUMENT, "mode %d is unknown", (int)mode);
    return S2A_OK;
}

/* ---- step 1 ----------------------------------------------------------------------------- */

/* x' = x: for baselines and after a fallback. */
static s2a_status stand_in(run *r, s2a_error *err)
{
    s2a_result *result = r->result;
    const result_text *x = &result->input;
    s2a_span question = r->given_question;
    if (!result_text_set(&result->rewritten, x->data, x->len) || !run_report_units(r))
        return error_nomem(err);
    if (question.end > 0 && (!result_text_set(&result->context, x->data, run_context_len(r)) ||
                             !result_text_set(&result->question, x->data + question.start,
                                              question.end - question.start)))
        return error_nomem(err);
    return S2A_OK;
}

static s2a_status step1(run *r, s2a_error *err)
{
    s2a_result *result = r->result;
    if (result->mode == S2A_MODE_NONE)
        return stand_in(r, err);
    s2a_status status = result->mode == S2A_MODE_SELECT ? select_run(r, err) : rewrite_run(r, err);
    if (status == S2A_OK && result->fallback != S2A_FALLBACK_NONE)
        status = stand_in(r, err);
    return status;
}

/* Errors of step 1 after which the user's prompt can still be answered. */
static bool survivable(s2a_status status)
{
    return status != S2A_OK && status != S2A_NOMEM && status != S2A_CANCELLED;
}

static s2a_status step1_or_input(run *r, s2a_error *err)
{
    s2a_result *result = r->result;
    s2a_error fault = { .status = S2A_OK };
    s2a_status status = step1(r, &fault);
    if (survivable(status)) {
        result->fallback = S2A_FALLBACK_STEP1_FAILED;
        int len = (int)utf8_cut(fault.message, sizeof result->detail - 1);
        snprintf(result->detail, sizeof result->detail, "%.*s", len, fault.message);
        return stand_in(r, err);
    }
    if (status != S2A_OK && err)
        *err = fault;
    return status;
}

/* ---- step 2 ----------------------------------------------------------------------------- */

static prompt_values values_of(const run *r, bool plain)
{
    const s2a_result *result = r->result;
    const result_text *input =
        plain || r->recipe->answer_input_is_x ? &result->input : &result->rewritten;
    return (prompt_values){ .input = input->data,
                            .input_len = input->len,
                            .context = result->context.data,
                            .context_len = result->context.len,
                            .question = result->question.data,
                            .question_len = result->question.len };
}

/* Stores the user's message of step 2 in the result: the original prompt after a fallback, x'
 * itself in mode select, else the preset's prompt. */
static s2a_status prompt_prepare(run *r, s2a_error *err)
{
    s2a_result *result = r->result;
    bool plain = result->fallback != S2A_FALLBACK_NONE;
    bool as_it_is = plain || result->mode == S2A_MODE_SELECT;
    prompt_values values = values_of(r, plain);
    buf prompt;
    buf_init(&prompt, 2 * LIMIT_INPUT_BYTES + LIMIT_OUTPUT_BYTES);
    prompt_render(&r->engine->prompts, as_it_is ? PROMPT_NONE : r->recipe->answer, &values,
                  &prompt);
    buf_add(&prompt, "", 0);
    result->prompt.data = buf_take(&prompt, &result->prompt.len);
    buf_free(&prompt);
    return result->prompt.data ? S2A_OK : error_nomem(err);
}

/* The messages of step 2: the conversation, with the texts that step 1 left. */
static s2a_status step2_messages(const s2a_request *request, const s2a_result *result, size_t count,
                                 backend_message *out, s2a_error *err)
{
    for (size_t i = 0; i + 1 < count; i++)
        out[i] = (backend_message){ request->messages[i].role, request->messages[i].content,
                                    request->messages[i].len };
    for (size_t i = 0; i < result->turn_count; i++) {
        const result_turn *turn = &result->turns[i];
        backend_message *message = turn->index + 1 < count ? &out[turn->index] : NULL;
        if (!message || message->len != turn->input.len ||
            memcmp(message->content, turn->input.data, message->len) != 0)
            return error_set(
                err, S2A_ARGUMENT,
                "messages: message %zu differs from step 1's; use the request of step 1",
                turn->index);
        message->content = turn->rewritten.data;
        message->len = turn->rewritten.len;
    }
    out[count - 1] =
        (backend_message){ request_last_role(request), result->prompt.data, result->prompt.len };
    return S2A_OK;
}

/* ---- the functions ---------------------------------------------------------------------- */

static s2a_status result_begin(run *r, s2a_mode mode, s2a_error *err)
{
    s2a_result *result = r->result = calloc(1, sizeof *r->result);
    if (!result)
        return error_nomem(err);
    result->mode = mode;
    result->preset =
        r->request->form == REQUEST_DOCUMENTS ? S2A_PRESET_RELEVANCE : r->request->preset;
    result->threshold = NAN;
    const char *model = s2a_engine_model(r->engine);
    result->model = bytes_dup(model, strlen(model));
    return result->model ? S2A_OK : error_nomem(err);
}

static s2a_status run_begin(run *r, s2a_error *err)
{
    const s2a_request *request = r->request;
    s2a_preset preset = request->preset;
    if ((size_t)preset >= sizeof recipes / sizeof recipes[0])
        return error_set(err, S2A_ARGUMENT, "preset %d is unknown", (int)preset);
    r->recipe = &recipes[preset];
    s2a_mode mode = S2A_MODE_NONE;
    s2a_status status = mode_choose(r->engine, request, &mode, err);
    if (status == S2A_OK)
        status = result_begin(r, mode, err);
    if (status != S2A_OK)
        return status;
    result_text *x = &r->result->input;
    status =
        request_prompt(request, mode == S2A_MODE_NONE, &x->data, &x->len, &r->given_question, err);
    if (status != S2A_OK)
        return status;
    size_t question = r->given_question.start;
    if (request->form == REQUEST_DOCUMENTS)
        return documents_segment(r, err);
    if (mode == S2A_MODE_SELECT)
        return select_segment(preset, x->data, x->len, question, request->cancel, &r->units,
                              &r->unit_count, err);
    return segment_apart(x->data, x->len, question, request->cancel, &r->units, &r->unit_count,
                         err);
}

static s2a_status run_end(run *r, s2a_status status, s2a_result **out)
{
    free(r->units);
    free(r->documents);
    *out = status == S2A_OK ? r->result : NULL;
    if (status != S2A_OK)
        s2a_result_free(r->result);
    return status;
}

s2a_status s2a_attend(s2a_engine *engine, const s2a_request *request, s2a_result **out,
                      s2a_error *err)
{
    run r = { .engine = engine, .request = request };
    s2a_status status = run_begin(&r, err);
    if (status == S2A_OK)
        status = step1(&r, err);
    if (status == S2A_OK)
        status = documents_report(&r, err);
    if (status == S2A_OK)
        status = prompt_prepare(&r, err);
    return run_end(&r, status, out);
}

s2a_status s2a_answer_from(s2a_engine *engine, const s2a_request *request, s2a_result *result,
                           s2a_error *err)
{
    run r = { .engine = engine, .request = request, .result = result };
    size_t count = request->form == REQUEST_MESSAGES ? request->message_count : 1;
    free(result->answer.data);
    free(result->stop.data);
    free(result->tool_calls.data);
    result->answer = result->stop = result->tool_calls = (result_text){ .data = NULL };
    result->answer_cut = false;
    result->usage[1] = (s2a_usage){ .ms = 0 };
    backend_message *messages = calloc(count, sizeof *messages);
    const char **fields = request_message_fields(request);
    if (!messages || !fields) {
        free(messages);
        free(fields);
        return error_nomem(err);
    }
    run_generation what = { .step = 2,
                            .messages = messages,
                            .count = count,
                            .fields = fields,
                            .max_tokens = request->max_tokens,
                            .max_bytes = LIMIT_OUTPUT_BYTES };
    backend_finish finish = BACKEND_FINISH_STOP;
    s2a_status status = step2_messages(request, result, count, messages, err);
    if (status == S2A_OK)
        status = run_generate(&r, &what, &result->answer, &finish, err);
    result->answer_cut = status == S2A_OK && finish == BACKEND_FINISH_LENGTH;
    free(fields);
    free(messages);
    return status;
}

s2a_status s2a_answer(s2a_engine *engine, const s2a_request *request, s2a_result **out,
                      s2a_error *err)
{
    run r = { .engine = engine, .request = request };
    s2a_status status = run_begin(&r, err);
    if (status == S2A_OK)
        status = step1_or_input(&r, err);
    if (status == S2A_OK)
        status = documents_report(&r, err);
    if (status == S2A_OK)
        status = prompt_prepare(&r, err);
    if (status == S2A_OK)
        status = s2a_answer_from(engine, request, r.result, err);
    return run_end(&r, status, out);
}
