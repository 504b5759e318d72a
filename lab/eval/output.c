#include "eval/output.h"

#include "eval/json.h"
#include "eval/judgement.h"

#include <math.h>
#include <string.h>

/* JSON has no NaN. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *interval(stats_interval i)
{
    return isfinite(i.low) && isfinite(i.high) ? json_pack("[f,f]", i.low, i.high) : json_null();
}

static json_t *text(const char *value)
{
    return value ? json_string(value) : json_null();
}

static json_t *fallbacks_json(const eval_summary *summary, const char *arm)
{
    json_t *out = json_object();
    for (size_t i = 0; out && i < summary->fallback_count; i++)
        if (!strcmp(summary->fallbacks[i].arm, arm))
            json_object_set_new(out, summary->fallbacks[i].reason,
                                json_integer((json_int_t)summary->fallbacks[i].count));
    return out;
}

static json_t *share_json(eval_share s)
{
    bool any = s.whole > 0;
    return json_pack("{s:I,s:I,s:o,s:o}", "count", (json_int_t)s.part, "of", (json_int_t)s.whole,
                     "share", any ? real((double)s.part / (double)s.whole) : json_null(), "ci",
                     any ? interval(stats_wilson(s.part, s.whole, 0.95)) : json_null());
}

/* Only task injection has such figures. */
static json_t *injection_json(const injection_counts *n)
{
    if (n->removed.whole + n->clean_whole.whole == 0)
        return json_null();
    return json_pack("{s:o,s:o,s:o,s:o}", "attacks_removed", share_json(n->removed),
                     "attack_success", share_json(n->carried_out), "clean_units_cut",
                     share_json(n->clean_cut), "clean_unchanged", share_json(n->clean_whole));
}

/* What tasks ordinary, prune and labelled count, by name; null for others. */
static json_t *shares_json(const eval_figure *f, const char *task)
{
    json_t *out = json_object();
    for (size_t i = 0; out && i < TALLY_COUNT; i++)
        if (!strcmp(eval_task_name(tallies[i].task), task)) {
            json_t *one = share_json(f->tallies[i]);
            if (!tallies[i].cases)
                json_object_set_new(one, "ci", json_null());
            json_object_set_new(out, tallies[i].name, one);
        }
    if (json_object_size(out) > 0)
        return out;
    json_decref(out);
    return json_null();
}

static json_t *figure_json(const eval_figure *f, const char *task)
{
    return json_pack(
        "{s:o,s:o,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,"
        "s:{s:o,s:o,s:o},s:{s:o,s:o},s:I,s:o,s:o,s:o}",
        "accuracy", real(f->accuracy), "ci", interval(f->ci), "n", (json_int_t)f->n, "items",
        (json_int_t)f->items, "difference", real(f->difference), "difference_ci",
        interval(f->difference_ci), "mcnemar_p", real(f->mcnemar_p), "pairs_needed",
        real(f->pairs_needed), "gap_closed", real(f->gap_closed), "gap_ci", interval(f->gap_ci),
        "follows_wrong", real(f->follows_wrong), "unchanged", real(f->unchanged),
        "removal_precision", real(f->removal_precision), "removal_recall", real(f->removal_recall),
        "needed_kept", real(f->needed_kept), "sentiment", real(f->sentiment), "objectivity",
        real(f->objectivity), "objectivity_ci", interval(f->objectivity_ci), "quality",
        real(f->quality), "quality_ci", interval(f->quality_ci), "step1", "tokens",
        real(f->step1_tokens), "completion_tokens", real(f->step1_completion_tokens), "ms",
        real(f->step1_ms), "step2", "tokens", real(f->step2_tokens), "ms", real(f->step2_ms),
        "fallback_count", (json_int_t)f->fallbacks, "injection", injection_json(&f->injection),
        "shares", shares_json(f, task), "f2", real(f->f2));
}

static json_t *record_json(const eval_record *r, const eval_item *item)
{
    bool checked = item->check_count > 0 && !r->unanswered;
    return json_pack("{s:o,s:o,s:b,s:o,s:I,s:b,s:b,s:o,s:b,s:o,s:o,s:o,s:o,s:o,s:o}", "answer",
                     text(r->answer), "followed",
                     checked ? json_integer((json_int_t)r->followed) : json_null(), "correct",
                     (int)r->correct, "rewritten", text(r->rewritten), "seed", (json_int_t)r->seed,
                     "follows_wrong", (int)r->follows_wrong, "unchanged", (int)r->unchanged,
                     "fallback", text(r->fallback), "answer_cut", (int)r->answer_cut, "removed",
                     eval_spans_json(r->removed, r->removed_count), "sentiment",
                     r->judged ? real(r->sentiment) : json_null(), "quality",
                     r->judged ? real(r->quality) : json_null(), "carried_out",
                     r->attack_judged ? json_boolean(r->carried_out) : json_null(), "step1",
                     eval_usage_json(&r->step1), "step2", eval_usage_json(&r->step2));
}

static const char *const label_names[] = {
    [EVAL_NEEDED] = "needed",       [EVAL_DISTRACTOR] = "distractor", [EVAL_MIXED] = "mixed",
    [EVAL_UNRELATED] = "unrelated", [EVAL_OPINION] = "opinion",       [EVAL_ORDER] = "order",
};

/* The units of arm select: spans of the input, what became of each, its score, and what it is. */
static json_t *units_json(const eval_record *r)
{
    json_t *units = json_array();
    for (size_t i = 0; units && i < r->unit_count; i++) {
        const eval_unit *u = &r->units[i];
        json_array_append_new(units,
                              json_pack("[I,I,b,o,s]", (json_int_t)u->start, (json_int_t)u->end,
                                        (int)u->kept, real(u->score), label_names[u->label]));
    }
    return units;
}

/* The arms of one item; the first seed stands for the arm, and with several all are in "runs". */
static json_t *item_arms_json(const eval_run *run, const eval_item *item, size_t *at)
{
    json_t *arms = json_object();
    while (arms && *at < run->record_count && !strcmp(run->records[*at].item, item->id)) {
        const eval_record *r = &run->records[(*at)++];
        json_t *first = json_object_get(arms, r->arm), *one = record_json(r, item);
        if (r->unit_count > 0)
            json_object_set_new(one, "units", units_json(r));
        if (!first) {
            json_object_set_new(arms, r->arm, one);
            continue;
        }
        json_t *runs = json_object_get(first, "runs");
        if (!runs) {
            json_object_set_new(first, "runs", json_array());
            runs = json_object_get(first, "runs");
            json_t *copy = json_copy(first);
            json_object_del(copy, "runs");
            json_array_append_new(runs, copy);
        }
        json_array_append_new(runs, one);
    }
    return arms;
}

/* The instructions that answers are held against. */
static json_t *checks_json(const eval_item *item)
{
    json_t *checks = item->checks ? json_loads(item->checks, 0, NULL) : NULL;
    return checks ? checks : json_array();
}

static json_t *items_json(const eval_run *run)
{
    json_t *items = json_array();
    size_t at = 0;
    for (size_t i = 0; items && i < run->item_count; i++) {
        const eval_item *item = &run->items[i];
        json_t *aliases = json_array();
        for (size_t k = 0; aliases && k < item->alias_count; k++)
            json_array_append_new(aliases, json_string(item->aliases[k]));
        json_t *pieces = json_array();
        for (size_t k = 0; pieces && k < item->piece_count; k++)
            json_array_append_new(pieces, json_pack("[I,I,s]", (json_int_t)item->pieces[k].start,
                                                    (json_int_t)item->pieces[k].end,
                                                    label_names[item->pieces[k].label]));
        json_array_append_new(
            items,
            json_pack("{s:s,s:s,s:o,s:o,s:I,s:o,s:o,s:s,s:s,s:I,s:o,s:o}", "id", item->id, "group",
                      item->group, "facet", text(item->facet), "checks", checks_json(item),
                      "checks_left_out", (json_int_t)item->checks_left_out, "aliases", aliases,
                      "wrong", text(item->wrong), "input", item->x, "oracle", item->oracle,
                      "question_start", (json_int_t)item->question_start, "pieces", pieces, "arms",
                      item_arms_json(run, item, &at)));
    }
    return items;
}

static json_t *judged_json(const judgement_group *g)
{
    const judgement_counts *n = &g->counts;
    return json_pack("{s:I,s:I,s:I,s:I,s:o}", "needed", (json_int_t)n->needed, "needed_kept",
                     (json_int_t)n->needed_kept, "distractors", (json_int_t)n->distractors,
                     "distractors_removed", (json_int_t)n->distractors_removed, "auc",
                     real(g->auc));
}

/* Of arm select; null where nothing was scored. */
static json_t *judgement_json(const eval_run *run)
{
    eval_judgement j;
    if (eval_judgement_make(run, &j, NULL) != S2A_OK)
        return NULL;
    json_t *out = j.group_count > 0 ? judged_json(&j.groups[0]) : json_null();
    json_t *groups = json_object(), *bins = json_array();
    for (size_t g = 1; g < j.group_count; g++)
        json_object_set_new(groups, j.groups[g].group, judged_json(&j.groups[g]));
    for (size_t b = 0; j.group_count > 0 && b < JUDGEMENT_BINS; b++) {
        const judgement_bin *bin = &j.bins[b];
        json_array_append_new(bins, json_pack("{s:o,s:o,s:I,s:I}", "from", real(bin->low), "to",
                                              real(bin->high), "units", (json_int_t)bin->units,
                                              "needed", (json_int_t)bin->needed));
    }
    if (j.group_count > 0) {
        json_object_set(out, "groups", groups);
        json_object_set(out, "bins", bins);
    }
    json_decref(groups);
    json_decref(bins);
    eval_judgement_free(&j);
    return out;
}

json_t *eval_output_json(const eval_run *run, const eval_summary *summary, const eval_data *data)
{
    json_t *arms = json_object(), *groups = json_object();
    for (size_t i = 0; arms && groups && i < summary->count; i++) {
        const eval_figure *f = &summary->figures[i];
        json_t *figure = figure_json(f, run->task);
        if (!f->group) {
            json_object_set_new(figure, "fallbacks", fallbacks_json(summary, f->arm));
            json_object_set_new(arms, f->arm, figure);
            continue;
        }
        if (!json_object_get(groups, f->group))
            json_object_set_new(groups, f->group, json_object());
        json_object_set_new(json_object_get(groups, f->group), f->arm, figure);
    }
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:I,s:o,s:o,s:o,s:I,s:I,s:I,s:o}", "task",
                     run->task, "model", run->model, "model_hash", run->model_hash, "prompts_hash",
                     run->prompts_hash, "version", run->version, "data", run->data_name,
                     "temperature", real(run->temperature), "top_p", real(run->top_p), "max_tokens",
                     (json_int_t)run->max_tokens, "arms", arms, "groups", groups, "judgement",
                     judgement_json(run), "rows", (json_int_t)data->rows, "bad_rows",
                     (json_int_t)data->bad_rows, "other_rows", (json_int_t)data->other_rows,
                     "items", items_json(run));
}
