#include "core/turns.h"

#include "base/ascii.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* ---- gathering ---------------------------------------------------------------------------- */

static bool is_judged(const request_message *m)
{
    return !strcmp(m->role, "user") && !ascii_blank(m->content, m->len);
}

/* Marks the units that [start, end) touches. Searches from *unit, and moves it to the first that
 * may touch. Returns where the next unit begins that it did not mark; the end of the text if there
 * is none. */
static size_t protect_mark(const turn *t, bool *stays, size_t start, size_t end, size_t *unit)
{
    while (*unit < t->count && t->units[*unit].text_end <= start)
        ++*unit;
    size_t i = *unit;
    for (; i < t->count && t->units[i].start < end; i++)
        stays[i] = true;
    return i < t->count ? t->units[i].start : t->len;
}

#define CANCEL_MATCHES 256 /* between two checks of the cancel handle */

/* Marks every occurrence. Leaves out those that can touch no further unit, so that there are no
 * more matches than units. False if cancelled. */
static bool protect_text(const turn *t, const request_protect *p, bool *stays,
                         const s2a_cancel *cancel)
{
    size_t at = 0, unit = 0;
    for (size_t n = 0; at < t->len; n++) {
        const char *found = memmem(t->text + at, t->len - at, p->text, p->len);
        if (n % CANCEL_MATCHES == 0 && cancel_fired(cancel))
            return false;
        if (!found)
            return true;
        size_t start = (size_t)(found - t->text), end = start + p->len;
        size_t next = protect_mark(t, stays, start, end, &unit);
        at = next > end + p->len ? next - p->len + 1 : end;
    }
    return true;
}

/* Marks lines first to last of the text, from 1. */
static void protect_lines(const turn *t, const request_protect *p, bool *stays)
{
    size_t at = 0, line = 1, start = SIZE_MAX, unit = 0;
    while (at < t->len && line <= p->last) {
        const char *newline = memchr(t->text + at, '\n', t->len - at);
        start = line == p->first ? at : start;
        at = newline ? (size_t)(newline - t->text) + 1 : t->len;
        line++;
    }
    if (start != SIZE_MAX)
        protect_mark(t, stays, start, at, &unit);
}

/* Lines apply to the last message only. There are no more spans than units, however often a text
 * occurs. */
static s2a_status protect_find(turn *t, const s2a_request *request, bool last, s2a_error *err)
{
    if (request->protect_count == 0)
        return S2A_OK;
    bool *stays = calloc(t->count + 1, sizeof *stays);
    t->protect = calloc(t->count + 1, sizeof *t->protect);
    bool ok = stays && t->protect, cancelled = false;
    for (size_t i = 0; i < request->protect_count && ok && !cancelled; i++) {
        const request_protect *p = &request->protect[i];
        if (p->text)
            cancelled = !protect_text(t, p, stays, request->cancel);
        else if (last)
            protect_lines(t, p, stays);
        cancelled = cancelled || cancel_fired(request->cancel);
    }
    for (size_t i = 0; i < t->count && ok; i++)
        if (stays[i])
            t->protect[t->protect_count++] = (s2a_span){ t->units[i].start, t->units[i].text_end };
    free(stays);
    return !ok ? error_nomem(err) : cancelled ? error_set(err, S2A_CANCELLED, "cancelled") : S2A_OK;
}

/* t owns the turn from here on, also on failure. */
static s2a_status add_turn(turns *t, turn *next, const s2a_request *request, bool last,
                           s2a_error *err)
{
    if (!array_reserve((void **)&t->items, &t->cap, t->count + 1, sizeof *t->items)) {
        if (!last)
            free(next->units);
        return error_nomem(err);
    }
    next->first = t->unit_count;
    s2a_status status = protect_find(next, request, last, err);
    t->items[t->count++] = *next;
    t->unit_count += next->count;
    t->earlier = last ? t->earlier : t->count;
    return status;
}

static s2a_status add_earlier(turns *t, const s2a_request *request, s2a_preset preset,
                              s2a_error *err)
{
    s2a_status status = S2A_OK;
    size_t sum = 0;
    t->messages = calloc(request->message_count, sizeof *t->messages);
    if (!t->messages)
        return error_nomem(err);
    for (size_t i = 0; i < request->message_count; i++)
        t->messages[i] = (backend_message){ request->messages[i].role, request->messages[i].content,
                                            request->messages[i].len };
    for (size_t i = 0; i + 1 < request->message_count && status == S2A_OK; i++) {
        const request_message *m = &request->messages[i];
        if (!is_judged(m))
            continue;
        if (m->len > LIMIT_INPUT_BYTES - sum)
            break;
        sum += m->len;
        turn next = { .message = i, .text = m->content, .len = m->len };
        status = select_segment(preset, next.text, next.len, 0, request->cancel, &next.units,
                                &next.count, err);
        if (status == S2A_OK)
            status = add_turn(t, &next, request, false, err);
        else
            free(next.units);
    }
    return status;
}

s2a_status turns_gather(const s2a_request *request, const turn *last, turns *out, s2a_error *err)
{
    turn prompt = *last;
    *out = (turns){ .count = 0 };
    s2a_status status = S2A_OK;
    if (request->form == REQUEST_MESSAGES) {
        prompt.message = request->message_count - 1;
        status = add_earlier(out, request, request->preset, err);
    }
    return status == S2A_OK ? add_turn(out, &prompt, request, true, err) : status;
}

void turns_free(turns *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (i < t->earlier)
            free(t->items[i].units);
        free(t->items[i].protect);
    }
    free(t->items);
    free(t->messages);
    *t = (turns){ .count = 0 };
}

/* ---- each by itself ----------------------------------------------------------------------- */

select_input turns_input(const turns *all, size_t i, const select_input *settings)
{
    const turn *t = &all->items[i];
    select_input out = *settings;
    out.text = t->text;
    out.units = t->units;
    out.count = t->count;
    out.protect = t->protect;
    out.protect_count = t->protect_count;
    out.before = all->messages;
    out.before_count = all->messages ? t->message : 0;
    return out;
}
