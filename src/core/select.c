#include "core/select.h"

#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/ranked.h"
#include "base/usage.h"
#include "core/documents.h"
#include "core/reading.h"
#include "core/run.h"
#include "core/turns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- judging ------------------------------------------------------------------------------ */

static bool any_to_judge(const select_input *in, const select_unit *units)
{
    for (size_t i = 0; i < in->count; i++)
        if (reading_takes(&in->units[i], &units[i]))
            return true;
    return false;
}

s2a_status select_judge(const select_input *in, select_unit *out, s2a_usage *usage, s2a_error *err)
{
    *usage = (s2a_usage){ .ms = 0 };
    s2a_status status = S2A_OK;
    select_mark(in, out);
    if (any_to_judge(in, out))
        status = reading_run(in, out, usage, err);
    return status == S2A_OK ? select_decide(in, out, err) : status;
}

/* ---- deciding ----------------------------------------------------------------------------- */

enum { UNRELATED, OPINION, ASKED }; /* indexes of odds, form again */
enum { SUPPORT, ORDER };            /* indexes of odds, form apart */

static double score_of(const select_input *in, const select_unit *u)
{
    if (select_form(in) == HEAD_APART)
        return u->odds[in->preset == S2A_PRESET_UNTRUSTED ? ORDER : SUPPORT];
    if (in->preset == S2A_PRESET_OPINION)
        return u->odds[OPINION];
    if (in->preset == S2A_PRESET_RELEVANCE)
        return u->odds[UNRELATED];
    return head_needed(u->odds[UNRELATED], u->odds[OPINION]);
}

static double of_preset(const head_thresholds *t, s2a_preset preset)
{
    return preset == S2A_PRESET_UNTRUSTED   ? t->untrusted
           : preset == S2A_PRESET_RELEVANCE ? t->relevance
           : preset == S2A_PRESET_OPINION   ? t->opinion
                                            : t->automatic;
}

/* Of the units that may go, one in so many has to be below the first threshold before the second
 * holds: a mistake in a long text is no reason for more of them. */
#define SECOND_UNITS 16

double select_threshold(const select_input *in, const select_unit *units)
{
    if (in->keep > 0)
        return NAN;
    if (!isnan(in->threshold))
        return in->threshold;
    double first = of_preset(&in->head->thresholds, in->preset);
    size_t below = 0, all = 0;
    for (size_t i = 0; i < in->count; i++) {
        bool may_go = units[i].judged && !units[i].whole && !units[i].asked;
        all += may_go;
        below += may_go && units[i].score < first;
    }
    return below > 0 && below * SECOND_UNITS >= all ? of_preset(&in->head->second, in->preset)
                                                    : first;
}

static size_t bytes_of(const select_input *in, size_t i)
{
    return in->units[i].text_end - in->units[i].start;
}

/* Keeps the best scores up to a share of the bytes; skips a unit that does not fit. */
static s2a_status keep_share(const select_input *in, select_unit *out, s2a_error *err)
{
    ranked *order = calloc(in->count + 1, sizeof *order);
    double all = 0, kept = 0;
    size_t n = 0;
    if (!order)
        return error_nomem(err);
    for (size_t i = 0; i < in->count; i++) {
        if (!out[i].judged || out[i].whole)
            continue;
        all += (double)bytes_of(in, i);
        if (out[i].asked) {
            kept += (double)bytes_of(in, i);
            continue;
        }
        out[i].kept = false;
        order[n++] = (ranked){ out[i].score, i };
    }
    qsort(order, n, sizeof *order, ranked_compare);
    for (size_t k = 0; k < n; k++) {
        double with = kept + (double)bytes_of(in, order[k].index);
        if (with <= in->keep * all) {
            out[order[k].index].kept = true;
            kept = with;
        }
    }
    free(order);
    return S2A_OK;
}

static const char *removed_label(const select_input *in, const select_unit *u)
{
    if (in->preset == S2A_PRESET_UNTRUSTED)
        return "instruction";
    bool opinion = select_form(in) == HEAD_AGAIN &&
                   (in->preset == S2A_PRESET_OPINION ||
                    (in->preset != S2A_PRESET_RELEVANCE && u->odds[OPINION] < u->odds[UNRELATED]));
    return opinion ? "opinion" : "unrelated";
}

/* Whether no unit says what to do: then nothing can be called irrelevant. */
static bool nothing_is_asked(const select_input *in, const select_unit *units)
{
    if (in->question_start != SIZE_MAX || in->preset == S2A_PRESET_UNTRUSTED)
        return false;
    for (size_t i = 0; i < in->count; i++)
        if (units[i].asked || (in->units[i].question && !units[i].judged))
            return false;
    return true;
}

s2a_status select_decide(const select_input *in, select_unit *out, s2a_error *err)
{
    bool again = select_form(in) == HEAD_AGAIN, any = false;
    for (size_t i = 0; i < in->count; i++) {
        select_unit *u = &out[i];
        u->score = u->judged ? score_of(in, u) : 0;
        u->asked = u->question || (again && u->judged && u->odds[ASKED] >= 0);
    }
    double threshold = select_threshold(in, out);
    for (size_t i = 0; i < in->count; i++) {
        select_unit *u = &out[i];
        u->kept = !u->judged || u->whole || u->asked || u->score >= threshold;
    }
    s2a_status status = S2A_OK;
    if (in->keep > 0)
        status = keep_share(in, out, err);
    bool spare = nothing_is_asked(in, out);
    if (in->documents)
        documents_decide(in, out);
    for (size_t i = 0; i < in->count; i++)
        any |= out[i].kept;
    for (size_t i = 0; i < in->count && status == S2A_OK; i++) {
        select_unit *u = &out[i];
        u->kept |= !any || (spare && in->keep == 0);
        u->label = u->asked  ? "question"
                   : u->kept ? select_kept_label(in->preset)
                             : removed_label(in, u);
    }
    return status;
}

/* ---- x' ----------------------------------------------------------------------------------- */

static size_t breaks_in(const char *text, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        n += text[i] == '\n';
    return n;
}

/* Adds the gap between two kept units: of the white space after the first and after the removed
 * ones, the one with the most line breaks. Scripts without spaces may have an empty gap. */
static void add_gap(const select_input *in, size_t last, size_t next, buf *out)
{
    const segment_unit *best = &in->units[last];
    size_t most = breaks_in(in->text, best->text_end, best->end);
    for (size_t i = last + 1; i < next; i++) {
        const segment_unit *u = &in->units[i];
        size_t n = breaks_in(in->text, u->text_end, u->end);
        if (n > most || (best->end == best->text_end && u->end > u->text_end && i + 1 == next)) {
            best = u;
            most = n;
        }
    }
    buf_add(out, in->text + best->text_end, best->end - best->text_end);
}

/* Adjacent units are one span, without the white space at its end. */
static bool removed_add(select_text *out, size_t start, size_t end, bool follows)
{
    if (follows) {
        out->removed[out->removed_count - 1].end = end;
        return true;
    }
    if (!array_reserve((void **)&out->removed, &out->removed_cap, out->removed_count + 1,
                       sizeof *out->removed))
        return false;
    out->removed[out->removed_count++] = (s2a_span){ start, end };
    return true;
}

/* Adds the kept units. *asked: where the asked units at the end begin in *out; SIZE_MAX = none. */
static void add_kept(const select_input *in, const select_unit *units, buf *out, size_t *asked)
{
    size_t last = SIZE_MAX;
    *asked = SIZE_MAX;
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        if (!units[i].kept)
            continue;
        if (last != SIZE_MAX)
            add_gap(in, last, i, out);
        if (!units[i].asked)
            *asked = SIZE_MAX;
        else if (*asked == SIZE_MAX)
            *asked = out->len;
        size_t from = last == SIZE_MAX && i == 0 ? 0 : u->start;
        buf_add(out, in->text + from, u->text_end - from);
        last = i;
    }
}

s2a_status select_compose(const select_input *in, const select_unit *units, size_t x_len,
                          select_text *out, s2a_error *err)
{
    *out = (select_text){ 0 };
    buf_init(&out->text, 2 * LIMIT_INPUT_BYTES);
    bool ok = true;
    size_t document = 0;
    for (size_t i = 0; i < in->count; i++) {
        if (units[i].kept)
            continue;
        out->changed = true;
        while (document < in->document_count && in->documents[document].start < in->units[i].start)
            document++;
        bool begins =
            document < in->document_count && in->documents[document].start == in->units[i].start;
        ok = ok && removed_add(out, in->units[i].start, in->units[i].text_end,
                               i > 0 && !units[i - 1].kept && !begins);
    }
    size_t at = SIZE_MAX;
    add_kept(in, units, &out->text, &at);
    if (at < out->text.len) {
        out->question = (s2a_span){ at, out->text.len };
        while (at > 0 && ascii_space(out->text.data[at - 1]))
            at--;
        out->context = (s2a_span){ 0, at };
    }
    if (!out->changed) { /* x unchanged, with the white space at its end */
        buf_reset(&out->text);
        buf_add(&out->text, in->text, x_len);
    }
    buf_add(&out->text, "", 0);
    return ok && out->text.status == S2A_OK ? S2A_OK : error_nomem(err);
}

void select_text_free(select_text *text)
{
    buf_free(&text->text);
    free(text->removed);
    *text = (select_text){ 0 };
}

/* ---- step 1 ------------------------------------------------------------------------------- */

/* Judges each of the user's messages separately. */
static s2a_status judge_turns(const turns *t, const select_input *settings, select_unit *units,
                              s2a_usage *usage, s2a_error *err)
{
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < t->count && status == S2A_OK; i++) {
        select_input in = turns_input(t, i, settings);
        s2a_usage used;
        status = select_judge(&in, units + t->items[i].first, &used, err);
        usage_add(usage, &used);
    }
    return status;
}

static s2a_status compose_turn(const turns *t, size_t i, const select_input *settings,
                               const select_unit *units, select_text *out, s2a_error *err)
{
    select_input in = turns_input(t, i, settings);
    return select_compose(&in, units + t->items[i].first, t->items[i].len, out, err);
}

static bool report_turn(s2a_result *result, const turn *t, select_text *y)
{
    result_turn *out = &result->turns[result->turn_count++];
    out->index = t->message;
    out->removed = y->removed;
    out->removed_count = y->removed_count;
    y->removed = NULL;
    out->rewritten.data = buf_take(&y->text, &out->rewritten.len);
    return result_text_set(&out->input, t->text, t->len) && out->rewritten.data;
}

/* Reports the earlier messages that were changed. */
static s2a_status report_turns(const turns *t, const select_input *settings,
                               const select_unit *units, s2a_result *result, s2a_error *err)
{
    if (t->earlier == 0)
        return S2A_OK;
    result->turns = calloc(t->earlier, sizeof *result->turns);
    if (!result->turns)
        return error_nomem(err);
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < t->earlier && status == S2A_OK; i++) {
        select_text y;
        status = compose_turn(t, i, settings, units, &y, err);
        if (status == S2A_OK && y.changed && !report_turn(result, &t->items[i], &y))
            status = error_nomem(err);
        select_text_free(&y);
    }
    return status;
}

/* Reports the prompt; units are the prompt's. */
static bool report(run *r, const select_unit *units, double threshold, select_text *y)
{
    s2a_result *result = r->result;
    if (!result_text_set(&result->rewritten, y->text.data, y->text.len) || !run_report_units(r))
        return false;
    for (size_t i = 0; i < r->unit_count; i++) {
        result->units[i].kept = units[i].kept;
        result->units[i].has_score = units[i].judged;
        result->units[i].score = units[i].score;
        result->units[i].label = units[i].label;
    }
    result->threshold = threshold;
    result->removed = y->removed;
    result->removed_count = y->removed_count;
    y->removed = NULL;
    const char *data = y->text.data;
    s2a_span context = y->context, question = y->question;
    return question.end == 0 ||
           (result_text_set(&result->context, data + context.start, context.end - context.start) &&
            result_text_set(&result->question, data + question.start,
                            question.end - question.start));
}

static select_input settings_of(const run *r)
{
    const s2a_request *request = r->request;
    const s2a_engine *judge = engine_judge(r->engine);
    bool apart = r->given_question.end > 0;
    return (select_input){ .backend = judge->backend,
                           .head = judge->head,
                           .memo = judge->memo,
                           .question_start = apart ? r->given_question.start : SIZE_MAX,
                           .documents = r->documents,
                           .document_count = r->document_count,
                           .preset = r->result->preset,
                           .threshold = request->threshold,
                           .keep = request->keep,
                           .cancel = request->cancel,
                           .request_id = request->id };
}

s2a_status select_run(run *r, s2a_error *err)
{
    const result_text *x = &r->result->input;
    const select_input settings = settings_of(r);
    turn prompt = { .text = x->data, .len = x->len, .units = r->units, .count = r->unit_count };
    turns t;
    select_text y = { .changed = false };
    s2a_status status = turns_gather(r->request, &prompt, &t, err);
    select_unit *units = calloc(t.unit_count + 1, sizeof *units);
    if (status == S2A_OK)
        status =
            units ? judge_turns(&t, &settings, units, &r->result->usage[0], err) : error_nomem(err);
    if (status == S2A_OK)
        status = compose_turn(&t, t.earlier, &settings, units, &y, err);
    if (status == S2A_OK)
        status = report_turns(&t, &settings, units, r->result, err);
    if (status == S2A_OK) {
        const select_input in = turns_input(&t, t.earlier, &settings);
        const select_unit *own = units + t.items[t.earlier].first;
        if (!report(r, own, select_threshold(&in, own), &y))
            status = error_nomem(err);
    }
    select_text_free(&y);
    free(units);
    turns_free(&t);
    return status;
}
