#include "core/run.h"

#include "base/buf.h"
#include "base/error.h"

#include <stdlib.h>

bool run_report_units(run *r)
{
    s2a_result *result = r->result;
    result->units = calloc(r->unit_count + 1, sizeof *result->units);
    if (!result->units)
        return false;
    for (size_t i = 0; i < r->unit_count; i++)
        result->units[i] = (s2a_unit){ .start = r->units[i].start,
                                       .end = r->units[i].end,
                                       .kept = true,
                                       .label = run_unit_is_given(r, i) ? "question" : "kept" };
    result->unit_count = r->unit_count;
    return true;
}

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

/* Parameters for the answer only. */
static void params_of_step2(backend_params *params, const s2a_request *request)
{
    params->chat_fields = request->chat_fields;
    params->top_k = request->top_k;
    params->min_p = request->min_p;
    params->frequency_penalty = request->frequency_penalty;
    params->presence_penalty = request->presence_penalty;
    params->biases = request->biases;
    params->bias_count = request->bias_count;
    params->stops = request->stops;
    params->stop_count = request->stop_count;
    params->top_logprobs = request->top_logprobs;
    params->on_logprob = request->on_logprob;
    params->on_logprob_ctx = request->on_logprob_ctx;
}

typedef struct calls {
    result_text *text;
    bool failed;
} calls;

static void calls_take(void *ctx, const char *text, size_t len)
{
    calls *c = ctx;
    c->failed = !result_text_set(c->text, text, len);
}

static bool stop_note(run *r, size_t stop)
{
    const s2a_request *request = r->request;
    return stop == 0 || stop > request->stop_count ||
           result_text_set(&r->result->stop, request->stops[stop - 1].text,
                           request->stops[stop - 1].len);
}

s2a_status run_generate(run *r, const run_generation *what, result_text *out,
                        backend_finish *finish, s2a_error *err)
{
    const s2a_request *request = r->request;
    backend *b = r->engine->backend;
    collector c = { .request = request, .step = what->step };
    buf_init(&c.text, what->max_bytes);
    backend_params params = { .temperature = request->temperature,
                              .top_p = request->top_p,
                              .seed = request->seed,
                              .max_tokens = what->max_tokens,
                              .cancel = request->cancel,
                              .request_id = request->id,
                              .trace = request->trace,
                              .keep_result = what->step == 1 };
    calls tools = { .text = &r->result->tool_calls };
    if (what->step == 2) {
        params_of_step2(&params, request);
        params.message_fields = what->fields;
        params.on_calls = calls_take;
        params.on_calls_ctx = &tools;
    }
    backend_usage usage = { .finish = BACKEND_FINISH_STOP };
    s2a_status status = b->vtable->generate(b, what->messages, what->count, &params, what->draft,
                                            collect, &c, &usage, err);
    r->result->usage[what->step - 1] = usage.tokens;
    /* An answer that reached max_bytes is cut off. In step 1 the guard reports it as too long. */
    bool cut = what->step == 2 && c.text.status == S2A_LIMIT;
    *finish = cut ? BACKEND_FINISH_LENGTH : usage.finish;
    if (status == S2A_OK && c.cancelled)
        status = error_set(err, S2A_CANCELLED, "cancelled");
    if (status == S2A_OK &&
        (c.text.status == S2A_NOMEM || tools.failed || !stop_note(r, usage.stop)))
        status = error_nomem(err);
    if (status == S2A_OK) {
        c.text.status = S2A_OK; /* past max_bytes the text so far counts */
        out->data = buf_take(&c.text, &out->len);
        if (!out->data)
            status = error_nomem(err);
    }
    buf_free(&c.text);
    return status;
}
