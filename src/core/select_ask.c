/* What a backend is asked of one window: the labels of its units, or the question's attention. */
#include "core/error.h"
#include "core/limits.h"
#include "core/select_parts.h"

#include <stdlib.h>
#include <string.h>

static bool decides(const select_window *w, const select_unit *units, size_t i)
{
    return i >= w->units.from && i < w->units.to && !units[i].question;
}

/* What is asked, after a space where something stands before it. */
static void add_questions(const select_input *in, const select_unit *units, size_t from, buf *out)
{
    for (size_t i = from; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        if (!units[i].asked)
            continue;
        if (out->len > 0)
            buf_adds(out, " ");
        buf_add(out, in->text + u->start, u->text_end - u->start);
    }
}

/* ---- labels ------------------------------------------------------------------------------- */

/* Numbers start at 1 in each window: prompts look alike, and like the examples. */
static size_t number_of(const select_window *w, size_t i)
{
    return i - w->units.first + 1;
}

static void add_prompt(const select_input *in, const select_window *w, const select_unit *units,
                       buf *out)
{
    buf list, question;
    buf_init(&list, 2 * LIMIT_INPUT_BYTES);
    buf_init(&question, 2 * LIMIT_INPUT_BYTES);
    for (size_t i = w->units.first; i < w->units.last; i++) {
        const segment_unit *u = &in->units[i];
        select_add_numbered(&list, number_of(w, i), in->text + u->start, u->text_end - u->start);
    }
    add_questions(in, units, w->asked_from, &question);
    prompt_values values = { .input = list.data, .input_len = list.len, .question = question.data,
                             .question_len = question.len };
    prompt_render(in->prompts, PROMPT_SELECT, &values, out);
    if (list.status != S2A_OK || question.status != S2A_OK)
        out->status = S2A_NOMEM;
    buf_free(&list);
    buf_free(&question);
}

typedef struct asking {
    buf prompt, forced; /* all branches, one after the other */
    backend_message *messages;
    backend_branch *branches;
    size_t *ends; /* of each branch: its slot */
    double *logprob;
    size_t count;
} asking;

static bool asking_fill(const select_input *in, const select_window *w, const select_unit *units,
                        asking *a)
{
    size_t n = w->units.to - w->units.from, examples = in->examples->count;
    buf_init(&a->prompt, 8 * LIMIT_INPUT_BYTES);
    buf_init(&a->forced, 4 * LIMIT_INPUT_BYTES);
    a->messages = calloc(examples + 1, sizeof *a->messages);
    a->branches = calloc(n, sizeof *a->branches);
    a->ends = calloc(n, sizeof *a->ends);
    a->logprob = calloc(n * SELECT_LABELS, sizeof *a->logprob);
    if (!a->messages || !a->branches || !a->ends || !a->logprob)
        return false;
    add_prompt(in, w, units, &a->prompt);
    size_t *starts = calloc(n, sizeof *starts);
    for (size_t i = w->units.from; i < w->units.to && starts; i++) {
        if (!decides(w, units, i))
            continue;
        starts[a->count] = a->forced.len;
        select_add_branch(&a->forced, number_of(w, i), in->text + in->units[i].start,
                          in->units[i].text_end - in->units[i].start);
        a->ends[a->count] = a->forced.len - starts[a->count];
        a->count++;
    }
    bool ok = starts && a->prompt.status == S2A_OK && a->forced.status == S2A_OK;
    for (size_t k = 0; k < a->count && ok; k++)
        a->branches[k] = (backend_branch){ a->forced.data + starts[k], a->ends[k], &a->ends[k], 1 };
    free(starts);
    if (!ok)
        return false;
    if (examples > 0)
        memcpy(a->messages, in->examples->messages, examples * sizeof *a->messages);
    a->messages[examples] = (backend_message){ "user", a->prompt.data, a->prompt.len };
    return true;
}

static void asking_free(asking *a)
{
    buf_free(&a->prompt);
    buf_free(&a->forced);
    free(a->messages);
    free(a->branches);
    free(a->ends);
    free(a->logprob);
}

s2a_status select_ask_labels(const select_input *in, const select_window *w, select_unit *out,
                             s2a_usage *usage, s2a_error *err)
{
    const select_wording *wording = select_wording_of(in->preset);
    asking a = { .count = 0 };
    backend_params params = { .top_p = 1, .cancel = in->cancel, .request_id = in->request_id,
                              .keep_result = true, .common_messages = in->examples->count,
                              .lens = in->preset == S2A_PRESET_UNTRUSTED ? NULL : in->lens };
    backend_usage used = { .finish = BACKEND_FINISH_STOP };
    s2a_status status =
        asking_fill(in, w, out, &a)
            ? in->backend->vtable->score(in->backend, a.messages, in->examples->count + 1, a.branches,
                                         a.count, wording->labels, wording->count, &params,
                                         a.logprob, &used, err)
            : error_nomem(err);
    *usage = used.tokens;
    const double *row = a.logprob;
    for (size_t i = w->units.from; i < w->units.to && status == S2A_OK; i++) {
        if (!decides(w, out, i))
            continue;
        out[i].judged = true;
        out[i].needed = row[SELECT_NEEDED];
        out[i].unrelated = row[SELECT_UNRELATED];
        out[i].opinion = wording->count > SELECT_OPINION ? row[SELECT_OPINION] : 0;
        row += wording->count;
    }
    asking_free(&a);
    return status;
}

/* ---- attention ---------------------------------------------------------------------------- */

typedef struct attending {
    buf text, question;
    s2a_span *spans; /* of text */
    size_t *of;      /* the unit of each span */
    size_t count;
    float *mass;
} attending;

/* The question is read twice, and the second time its attention is measured: more of it goes to what is
 * needed then (docs/results/select-search). The first time it stands where it does in the text, if the
 * text is shown with it. In a text of many windows, questions that stand in it are measured too: see
 * attending_read. */
static bool attending_fill(const select_input *in, const select_window *w, const select_unit *units,
                           size_t heads, attending *a)
{
    size_t n = w->units.last - w->units.first;
    a->spans = calloc(n, sizeof *a->spans);
    a->of = calloc(n, sizeof *a->of);
    a->mass = calloc(n * heads, sizeof *a->mass);
    if (!a->spans || !a->of || !a->mass)
        return false;
    size_t start = in->units[w->units.first].start, end = in->units[w->units.last - 1].end;
    end = end < in->question_start ? end : in->question_start;
    buf asked;
    buf_init(&asked, 2 * LIMIT_INPUT_BYTES);
    add_questions(in, units, w->asked_from, &asked);
    buf_adds(&a->question, "\n\nQuestion: ");
    buf_add(&a->question, asked.data, asked.len);
    buf_add(&a->text, in->text + start, end - start);
    if (!w->alone || in->question_start != SIZE_MAX) {
        if (end == start || in->text[end - 1] != '\n')
            buf_adds(&a->text, "\n\n");
        buf_add(&a->text, asked.data, asked.len);
    }
    bool full = asked.status != S2A_OK;
    buf_free(&asked);
    for (size_t i = w->units.first; i < w->units.last; i++) {
        const segment_unit *u = &in->units[i];
        if ((w->alone && units[i].question) || u->start >= in->question_start)
            continue;
        a->of[a->count] = i;
        a->spans[a->count++] = (s2a_span){ u->start - start, u->end - start };
    }
    return !full && a->text.status == S2A_OK && a->question.status == S2A_OK;
}

/* What goes to none of the units, in one head: the question itself, and the beginning of the text. */
static double beside_units(const attending *a, size_t heads, size_t head)
{
    double least = 1e-6, rest = 1;
    for (size_t k = 0; k < a->count; k++)
        rest -= (double)a->mass[k * heads + head];
    return rest > least ? rest : least;
}

/* Heads that are read: those of the model that find what a question needs, or the upper half of all, below
 * which attention follows words and places. */
typedef struct heads_read {
    const uint16_t *of; /* NULL = the last ones */
    size_t count;
} heads_read;

static heads_read heads_of(const s2a_calibration *c, size_t heads)
{
    size_t count = c->attention_head_count;
    bool has = count > 0 && count <= sizeof c->attention_heads / sizeof c->attention_heads[0];
    for (size_t i = 0; has && i < count; i++)
        has = c->attention_heads[i] < heads;
    return has ? (heads_read){ c->attention_heads, count }
               : (heads_read){ NULL, heads - heads / 2 };
}

/* What is paid to a byte of each unit. Attention sums to one over whatever is shown, so the same unit
 * gets less of it beside one that gets much. In windows it is therefore measured, head by head, against
 * what all windows have in common and what is no unit: the ratio of two weights of one softmax does not
 * depend on the others. */
static void attending_read(const attending *a, const select_window *w, const heads_read *read,
                           size_t heads, select_unit *out)
{
    for (size_t i = 0; i < read->count; i++) {
        size_t h = read->of ? read->of[i] : heads - read->count + i;
        double rest = w->alone ? 1 : beside_units(a, heads, h);
        for (size_t k = 0; k < a->count; k++)
            if (decides(w, out, a->of[k]))
                out[a->of[k]].attention += (double)a->mass[k * heads + h] / rest;
    }
    for (size_t k = 0; k < a->count; k++) {
        select_unit *u = &out[a->of[k]];
        if (!decides(w, out, a->of[k]))
            continue;
        u->judged = u->attended = true;
        u->attention /= (double)(a->spans[k].end - a->spans[k].start);
    }
}

/* The text as it is, then the question: how much of the question's attention goes to a byte
 * of each unit, as the mean over heads that were chosen on HotpotQA (docs/results/select-search). One
 * prefill, and a few dozen tokens. */
s2a_status select_ask_attention(const select_input *in, const select_window *w, select_unit *out,
                                s2a_usage *usage, s2a_error *err)
{
    const backend_vtable *vtable = in->backend->vtable;
    size_t heads = vtable->capabilities(in->backend).attention_heads;
    attending a = { .count = 0 };
    buf_init(&a.text, 2 * LIMIT_INPUT_BYTES);
    buf_init(&a.question, 2 * LIMIT_INPUT_BYTES);
    backend_params params = { .top_p = 1, .cancel = in->cancel, .request_id = in->request_id,
                              .keep_result = true };
    backend_usage used = { .finish = BACKEND_FINISH_STOP };
    s2a_status status = S2A_NOMEM;
    if (attending_fill(in, w, out, heads, &a)) {
        const char *question = a.question.data;
        status = vtable->attention(in->backend, a.text.data, a.text.len, a.spans, a.count,
                                   &question, 1, &params, a.mass, &used, err);
    } else {
        error_nomem(err);
    }
    *usage = used.tokens;
    heads_read read = heads_of(in->calibration, heads);
    if (status == S2A_OK)
        attending_read(&a, w, &read, heads, out);
    buf_free(&a.text);
    buf_free(&a.question);
    free(a.spans);
    free(a.of);
    free(a.mass);
    return status;
}
