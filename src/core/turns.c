#include "core/turns.h"

#include "core/ascii.h"
#include "core/clause.h"
#include "core/error.h"
#include "core/limits.h"
#include "core/result.h"

#include <stdlib.h>
#include <string.h>

static const char gap[] = "\n\n"; /* between turns */
#define GAP (sizeof gap - 1)

/* ---- gathering ---------------------------------------------------------------------------- */

static bool is_judged(const request_message *m)
{
    return !strcmp(m->role, "user") && !ascii_blank(m->content, m->len);
}

/* The first message that is still judged: what is older is too much. */
static size_t oldest(const s2a_request *request, size_t last_len)
{
    size_t sum = last_len, i = request->message_count - 1;
    for (; i > 0; i--) {
        const request_message *m = &request->messages[i - 1];
        if (is_judged(m) && m->len + GAP > LIMIT_INPUT_BYTES - sum)
            break;
        sum += is_judged(m) ? m->len + GAP : 0;
    }
    return i;
}

static s2a_status add_turn(turns *t, const turn *next, s2a_error *err)
{
    if (!array_reserve((void **)&t->items, &t->cap, t->count + 1, sizeof *t->items))
        return error_nomem(err);
    t->items[t->count] = *next;
    t->items[t->count++].first = t->unit_count;
    t->unit_count += next->count;
    return S2A_OK;
}

static s2a_status add_earlier(turns *t, const s2a_request *request, size_t last_len, s2a_error *err)
{
    s2a_status status = S2A_OK;
    for (size_t i = oldest(request, last_len); i + 1 < request->message_count && status == S2A_OK;
         i++) {
        const request_message *m = &request->messages[i];
        if (!is_judged(m))
            continue;
        turn next = { .message = i, .text = m->content, .len = m->len };
        status = segment_text(next.text, next.len, request->cancel, &next.units, &next.count, err);
        if (status == S2A_OK)
            status = clause_split(next.text, request->cancel, &next.units, &next.count, err);
        if (status == S2A_OK)
            status = add_turn(t, &next, err);
        if (status != S2A_OK)
            free(next.units);
        t->earlier = t->count;
    }
    return status;
}

static s2a_status join(turns *t, s2a_error *err)
{
    buf_init(&t->joined, LIMIT_INPUT_BYTES);
    t->units = calloc(t->unit_count + 1, sizeof *t->units);
    if (!t->units)
        return error_nomem(err);
    for (size_t i = 0; i < t->count; i++) {
        const turn *from = &t->items[i];
        if (i > 0)
            buf_adds(&t->joined, gap);
        size_t base = t->joined.len;
        buf_add(&t->joined, from->text, from->len);
        for (size_t k = 0; k < from->count; k++) {
            segment_unit *u = &t->units[from->first + k];
            *u = from->units[k];
            u->start += base;
            u->end += base;
            u->text_end += base;
        }
    }
    return t->joined.status == S2A_OK ? S2A_OK : error_nomem(err);
}

s2a_status turns_gather(const s2a_request *request, const turn *last, turns *out, s2a_error *err)
{
    *out = (turns){ .count = 0 };
    s2a_status status = S2A_OK;
    if (request->form == REQUEST_MESSAGES)
        status = add_earlier(out, request, last->len, err);
    if (status == S2A_OK)
        status = add_turn(out, last, err);
    if (status == S2A_OK && out->earlier > 0)
        status = join(out, err);
    return status;
}

void turns_free(turns *t)
{
    for (size_t i = 0; i < t->earlier; i++)
        free(t->items[i].units);
    free(t->items);
    free(t->units);
    buf_free(&t->joined);
    *t = (turns){ .count = 0 };
}

/* ---- judging ------------------------------------------------------------------------------ */

static select_input input_of(const select_input *in, const turn *t)
{
    select_input out = *in;
    out.text = t->text;
    out.units = t->units;
    out.count = t->count;
    return out;
}

s2a_status turns_judge(const turns *t, const select_input *settings, select_unit *out,
                       s2a_usage *usage, s2a_error *err)
{
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < t->count && status == S2A_OK; i++) {
        select_input in = input_of(settings, &t->items[i]);
        status = i < t->earlier ? select_mark_earlier(&in, out + t->items[i].first, err)
                                : select_mark(&in, out + t->items[i].first, err);
    }
    if (status != S2A_OK)
        return status;
    select_input all = input_of(settings, &t->items[t->count - 1]);
    if (t->earlier > 0) {
        all.text = t->joined.data;
        all.units = t->units;
        all.count = t->unit_count;
    }
    status = select_score(&all, out, usage, err);
    for (size_t i = 0; i < t->count && t->earlier > 0 && status == S2A_OK; i++) {
        select_input in = input_of(settings, &t->items[i]);
        /* With a border of its own: what is sure in one message says nothing of another, and the last
         * one is not to lose by what was said before it. A share is that of all. */
        if (settings->keep == 0)
            status = select_decide(&in, out + t->items[i].first, err);
        if (i < t->earlier)
            select_spare(&in, out + t->items[i].first);
    }
    return status;
}

s2a_status turns_compose(const turns *t, size_t i, const select_input *settings,
                         const select_unit *units, select_text *out, s2a_error *err)
{
    select_input in = input_of(settings, &t->items[i]);
    return select_compose(&in, units + t->items[i].first, t->items[i].len, out, err);
}

static bool report(s2a_result *result, const turn *t, select_text *y)
{
    result_turn *out = &result->turns[result->turn_count++];
    out->index = t->message;
    out->input.data = bytes_dup(t->text, t->len);
    out->input.len = t->len;
    out->removed = y->removed;
    out->removed_count = y->removed_count;
    y->removed = NULL;
    out->rewritten.data = buf_take(&y->text, &out->rewritten.len);
    return out->input.data && out->rewritten.data;
}

s2a_status turns_report(const turns *t, const select_input *settings, const select_unit *units,
                        s2a_result *result, s2a_error *err)
{
    if (t->earlier == 0)
        return S2A_OK;
    result->turns = calloc(t->earlier, sizeof *result->turns);
    if (!result->turns)
        return error_nomem(err);
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < t->earlier && status == S2A_OK; i++) {
        select_text y;
        status = turns_compose(t, i, settings, units, &y, err);
        if (status == S2A_OK && y.changed && !report(result, &t->items[i], &y))
            status = error_nomem(err);
        select_text_free(&y);
    }
    return status;
}
