#include "core/documents.h"

#include "base/buf.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- segmenting --------------------------------------------------------------------------- */

/* Appends the units of x[from, to); the last one extends to `end`. */
static s2a_status add_units(run *r, size_t from, size_t to, size_t end, size_t *cap, s2a_error *err)
{
    segment_unit *units = NULL;
    size_t count = 0;
    s2a_status status = segment_text(r->result->input.data + from, to - from, r->request->cancel,
                                     &units, &count, err);
    if (status == S2A_OK &&
        !array_reserve((void **)&r->units, cap, r->unit_count + count + 1, sizeof *r->units))
        status = error_nomem(err);
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        segment_unit *u = &r->units[r->unit_count++];
        *u = units[i];
        u->start += from;
        u->text_end += from;
        u->end = i + 1 < count ? u->end + from : end;
    }
    free(units);
    return status;
}

s2a_status documents_segment(run *r, s2a_error *err)
{
    const s2a_request *request = r->request;
    size_t cap = 0, at = 0;
    r->documents = calloc(request->document_count, sizeof *r->documents);
    if (!r->documents)
        return error_nomem(err);
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < request->document_count && status == S2A_OK; i++) {
        size_t to = at + request->documents[i].len, end = to > at ? to + REQUEST_BORDER_BYTES : at;
        r->documents[r->document_count++] = (s2a_span){ at, to };
        status = add_units(r, at, to, end, &cap, err);
        at = end;
    }
    s2a_span question = r->given_question;
    return status == S2A_OK ? add_units(r, question.start, question.end, question.end, &cap, err)
                            : status;
}

/* ---- deciding ----------------------------------------------------------------------------- */

/* If only loose units are kept: keeps all units or, with in->keep, also the unit with the highest
 * score. */
static void keep_some(const select_input *in, select_unit *out, size_t count)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (out[i].kept && !out[i].loose)
            return;
        if (out[i].judged && !out[i].loose && (best == SIZE_MAX || out[i].score > out[best].score))
            best = i;
    }
    for (size_t i = 0; i < count; i++)
        out[i].kept |= in->keep == 0 || i == best;
}

/* Units [from, to) are one document's. Removes them if some were removed and only loose ones are
 * kept. */
static void drop_loose(select_unit *out, size_t from, size_t to)
{
    bool holds = false, gone = false;
    for (size_t i = from; i < to; i++) {
        holds |= out[i].kept && !out[i].loose;
        gone |= !out[i].kept;
    }
    for (size_t i = from; i < to && gone && !holds; i++)
        out[i].kept = false;
}

void documents_decide(const select_input *in, select_unit *out)
{
    size_t count = 0, from = 0;
    while (count < in->count && in->units[count].start < in->question_start)
        count++;
    keep_some(in, out, count);
    for (size_t d = 0; d < in->document_count; d++) {
        size_t to = from;
        while (to < count && in->units[to].start < in->documents[d].end)
            to++;
        drop_loose(out, from, to);
        from = to;
    }
}

/* ---- reporting ---------------------------------------------------------------------------- */

/* The mean of the two highest scores: measured against others in docs/prune.md. */
static double relevance_of(const s2a_unit *units, size_t count)
{
    double first = -INFINITY, second = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        double score = units[i].has_score ? units[i].score : -INFINITY;
        second = score > first ? first : score > second ? score : second;
        first = score > first ? score : first;
    }
    return 1 / (1 + exp(-(isfinite(second) ? (first + second) / 2 : first)));
}

/* Document d, whose units are r->units[first, first + count). kept and apart have room for them. */
static s2a_status report_one(run *r, size_t d, size_t first, size_t count, segment_unit *apart,
                             select_unit *kept, s2a_error *err)
{
    s2a_result *result = r->result;
    s2a_span span = r->documents[d];
    result_document *out = &result->documents[result->document_count++];
    *out = (result_document){
        .start = span.start, .len = span.end - span.start, .first = first, .unit_count = count
    };
    for (size_t i = 0; i < count; i++) {
        s2a_unit *unit = &result->document_units[first + i];
        *unit = result->units[first + i];
        kept[i] = (select_unit){ .kept = unit->kept };
        apart[i] = r->units[first + i];
        apart[i].start = unit->start -= span.start;
        apart[i].text_end -= span.start;
        unit->end = (unit->end < span.end ? unit->end : span.end) - span.start;
        apart[i].end = unit->end;
    }
    out->relevance = relevance_of(result->document_units + first, count);
    select_input in = { .text = result->input.data + span.start,
                        .units = apart,
                        .count = count,
                        .question_start = SIZE_MAX };
    select_text y;
    s2a_status status = select_compose(&in, kept, out->len, &y, err);
    if (status == S2A_OK && !(out->pruned.data = buf_take(&y.text, &out->pruned.len)))
        status = error_nomem(err);
    if (status == S2A_OK) {
        out->removed = y.removed;
        out->removed_count = y.removed_count;
        y.removed = NULL;
    }
    select_text_free(&y);
    return status;
}

s2a_status documents_report(run *r, s2a_error *err)
{
    s2a_result *result = r->result;
    if (!r->documents)
        return S2A_OK;
    result->documents = calloc(r->document_count, sizeof *result->documents);
    result->document_units = calloc(r->unit_count + 1, sizeof *result->document_units);
    segment_unit *apart = calloc(r->unit_count + 1, sizeof *apart);
    select_unit *kept = calloc(r->unit_count + 1, sizeof *kept);
    bool ok = result->documents && result->document_units && apart && kept;
    s2a_status status = ok ? S2A_OK : error_nomem(err);
    for (size_t d = 0, first = 0; d < r->document_count && status == S2A_OK; d++) {
        size_t count = 0;
        while (first + count < r->unit_count && r->units[first + count].start < r->documents[d].end)
            count++;
        status = report_one(r, d, first, count, apart, kept, err);
        first += count;
    }
    free(apart);
    free(kept);
    return status;
}
