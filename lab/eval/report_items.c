/* The items of the report as JSON. Offsets are converted to UTF-16 units, which is how the page's
 * script counts; lab/eval/report.js reads this. */
#include "eval/report_parts.h"

#include "base/limits.h"
#include "eval/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_bool(buf *out, const char *name, bool value)
{
    buf_addf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

static void add_text(buf *out, const char *name, const char *value)
{
    buf_addf(out, ",\"%s\":", name);
    if (value)
        text_add_json(out, value);
    else
        buf_adds(out, "null");
}

static void add_span(buf *out, text_utf16 *at, size_t start, size_t end, size_t index)
{
    size_t from = text_utf16_offset(at, start);
    buf_addf(out, "%s[%zu,%zu]", index ? "," : "", from, text_utf16_offset(at, end));
}

static void add_usage(buf *out, const char *name, const s2a_usage *usage)
{
    buf_addf(out, ",\"%s\":[%llu,%llu,%.0f]", name, (unsigned long long)usage->prompt_tokens,
             (unsigned long long)usage->completion_tokens, isfinite(usage->ms) ? usage->ms : 0);
}

static void add_record(buf *out, const eval_run *run, const eval_item *item, const eval_record *r)
{
    size_t arm = 0;
    while (arm < run->arm_count && strcmp(run->arms[arm], r->arm) != 0)
        arm++;
    buf_addf(out, "{\"arm\":%zu,\"seed\":%lu", arm, (unsigned long)r->seed);
    add_text(out, "answer", r->answer);
    /* x is there already. */
    bool same = !r->rewritten || strcmp(r->rewritten, item->x) == 0;
    add_text(out, "rewritten", same ? NULL : r->rewritten);
    if (eval_item_has_answer(item) && !r->unanswered)
        add_bool(out, "correct", r->correct);
    add_bool(out, "follows", r->follows_wrong);
    add_text(out, "fallback", r->fallback);
    add_bool(out, "cut", r->answer_cut);
    buf_adds(out, ",\"removed\":[");
    text_utf16 at;
    text_utf16_init(&at, item->x);
    for (size_t i = 0; i < r->removed_count; i++)
        add_span(out, &at, r->removed[i].start, r->removed[i].end, i);
    buf_adds(out, "]");
    add_usage(out, "step1", &r->step1);
    add_usage(out, "step2", &r->step2);
    if (r->attack_judged)
        add_bool(out, "carriedOut", r->carried_out);
    if (r->judged && isfinite(r->sentiment) && isfinite(r->quality))
        buf_addf(out, ",\"judged\":[%g,%g]", r->sentiment, r->quality);
    buf_adds(out, "}");
}

static void add_item(buf *out, const eval_run *run, const eval_item *item,
                     const eval_record *records, size_t record_count)
{
    text_utf16 at;
    text_utf16_init(&at, item->x);
    buf_adds(out, "{\"id\":");
    text_add_json(out, item->id);
    add_text(out, "group", item->group);
    buf_addf(out, ",\"k\":%d", item->k);
    add_text(out, "x", item->x);
    buf_addf(out, ",\"question\":%zu", text_utf16_offset(&at, item->question_start));
    add_text(out, "wrong", item->wrong);
    buf_adds(out, ",\"aliases\":[");
    for (size_t i = 0; i < item->alias_count; i++) {
        buf_adds(out, i ? "," : "");
        text_add_json(out, item->aliases[i]);
    }
    buf_adds(out, "],\"distractors\":[");
    size_t distractors = 0;
    for (size_t i = 0; i < item->piece_count; i++)
        if (eval_label_distracts(item->pieces[i].label))
            add_span(out, &at, item->pieces[i].start, item->pieces[i].end, distractors++);
    buf_adds(out, "],\"records\":[");
    for (size_t i = 0; i < record_count; i++) {
        buf_adds(out, i ? "," : "");
        add_record(out, run, item, &records[i]);
    }
    buf_adds(out, "]}\n");
}

/* The records of an item stand together; *at is where to look for the next item's. */
static size_t records_of(const report_part *part, size_t item, size_t *at)
{
    while (*at < part->run->record_count && part->item_of[*at] < item)
        (*at)++;
    size_t end = *at;
    while (end < part->run->record_count && part->item_of[end] == item)
        end++;
    return end - *at;
}

static void measure(buf *scratch, const report_part *part, report_embedded *said)
{
    size_t at = 0;
    *said = (report_embedded){ 0 };
    for (size_t i = 0; i < part->run->item_count; i++) {
        size_t count = records_of(part, i, &at);
        if (count == 0)
            continue;
        buf_reset(scratch);
        add_item(scratch, part->run, &part->run->items[i], part->run->records + at, count);
        said->bytes += scratch->len + 1;
        said->answered++;
    }
}

/* Equal shares of max; what a small run does not need is there for the others. */
static void share_out(report_embedded *said, size_t count, size_t max)
{
    size_t left = max, open = count;
    for (bool again = true; again && open > 0;) {
        size_t share = left / open;
        again = false;
        for (size_t i = 0; i < count; i++)
            if (said[i].room == 0 && said[i].bytes <= share) {
                said[i].room = said[i].bytes + 1; /* never 0 again */
                left -= said[i].bytes;
                open--;
                again = true;
            }
    }
    for (size_t i = 0; i < count; i++)
        if (said[i].room == 0)
            said[i].room = left / open;
}

/* Items in even steps, so that a cut leaves no group out; the room is a hard limit. */
static void add_items(buf *out, buf *scratch, const report_part *part, report_embedded *said)
{
    size_t at = 0, seen = 0, room = said->room;
    double share = said->bytes > room ? (double)room / (double)said->bytes : 1;
    for (size_t i = 0; i < part->run->item_count; i++) {
        size_t count = records_of(part, i, &at);
        if (count == 0)
            continue;
        bool chosen = share >= 1 || floor((double)(seen + 1) * share) > floor((double)seen * share);
        seen++;
        if (!chosen)
            continue;
        buf_reset(scratch);
        add_item(scratch, part->run, &part->run->items[i], part->run->records + at, count);
        if (scratch->len + 1 > room)
            continue;
        room -= scratch->len + 1;
        buf_adds(out, said->embedded++ ? "," : "");
        buf_add(out, scratch->data, scratch->len);
    }
}

void report_items_json(buf *out, const report_part *parts, size_t count, size_t max,
                       report_embedded *said)
{
    buf scratch;
    buf_init(&scratch, LIMIT_NONE);
    for (size_t i = 0; i < count; i++)
        measure(&scratch, &parts[i], &said[i]);
    share_out(said, count, max);
    buf_adds(out, "{\"runs\":[");
    for (size_t i = 0; i < count; i++) {
        const eval_run *run = parts[i].run;
        buf_addf(out, "%s{\"task\":", i ? "," : "");
        text_add_json(out, run->task);
        add_text(out, "model", run->model);
        buf_adds(out, ",\"arms\":[");
        for (size_t a = 0; a < run->arm_count; a++) {
            buf_adds(out, a ? "," : "");
            text_add_json(out, run->arms[a]);
        }
        buf_adds(out, "],\"items\":[");
        add_items(out, &scratch, &parts[i], &said[i]);
        buf_adds(out, "]}");
    }
    buf_adds(out, "]}");
    if (scratch.status != S2A_OK)
        out->status = scratch.status;
    buf_free(&scratch);
}
