/* The columns of the tables, and the tables as CSV and Markdown. CSV is RFC 4180 with a newline
 * alone at the end of a row, so that version control shows its changes. */
#include "eval/report_parts.h"

#include "base/limits.h"
#include "eval/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- cells ------------------------------------------------------------------------------ */

static bool is_plain(const eval_figure *f)
{
    return strcmp(f->arm, "plain") == 0;
}

/* "-0.0" is written as "0.0". */
static void add_fixed(buf *out, double value, int decimals, const char *after)
{
    char text[64];
    snprintf(text, sizeof text, "%.*f", decimals, value);
    if (text[0] == '-' && strspn(text + 1, "0.") == strlen(text + 1))
        memmove(text, text + 1, strlen(text));
    buf_adds(out, text);
    buf_adds(out, after);
}

static void add_interval(buf *out, stats_interval ci, double scale, int decimals)
{
    if (!isfinite(ci.low) || !isfinite(ci.high))
        return;
    buf_adds(out, "[");
    add_fixed(out, ci.low * scale, decimals, ", ");
    add_fixed(out, ci.high * scale, decimals, "]");
}

static void add_share(buf *out, double value)
{
    if (isfinite(value))
        add_fixed(out, value * 100, 1, " %");
}

static void cell_n(const eval_figure *f, buf *value, buf *interval)
{
    buf_addf(value, "%zu", f->n);
    if (f->n != f->items)
        buf_addf(interval, "(%zu items)", f->items);
}

static void cell_accuracy(const eval_figure *f, buf *value, buf *interval)
{
    add_share(value, f->accuracy);
    if (isfinite(f->accuracy))
        add_interval(interval, f->ci, 100, 1);
}

static void cell_difference(const eval_figure *f, buf *value, buf *interval)
{
    if (is_plain(f) || !isfinite(f->difference))
        return;
    buf_adds(value, f->difference * 1000 >= 0.5 ? "+" : "");
    add_fixed(value, f->difference * 100, 1, "");
    add_interval(interval, f->difference_ci, 100, 1);
}

static void cell_p(const eval_figure *f, buf *value, buf *interval)
{
    (void)interval;
    if (is_plain(f) || !isfinite(f->mcnemar_p))
        return;
    if (f->mcnemar_p < 0.001)
        buf_adds(value, "< 0.001");
    else
        add_fixed(value, f->mcnemar_p, 3, "");
}

static void cell_pairs(const eval_figure *f, buf *value, buf *interval)
{
    (void)interval;
    if (!is_plain(f) && isfinite(f->pairs_needed))
        add_fixed(value, ceil(f->pairs_needed), 0, "");
}

static void cell_gap(const eval_figure *f, buf *value, buf *interval)
{
    if (is_plain(f) || strcmp(f->arm, "oracle") == 0 || !isfinite(f->gap_closed))
        return;
    add_fixed(value, f->gap_closed * 100, 0, " %");
    add_interval(interval, f->gap_ci, 100, 0);
}

static void cell_objectivity(const eval_figure *f, buf *value, buf *interval)
{
    if (!isfinite(f->objectivity))
        return;
    add_fixed(value, f->objectivity, 2, "");
    add_interval(interval, f->objectivity_ci, 1, 2);
}

static void cell_quality(const eval_figure *f, buf *value, buf *interval)
{
    if (!isfinite(f->quality))
        return;
    add_fixed(value, f->quality, 2, "");
    add_interval(interval, f->quality_ci, 1, 2);
}

static void add_counted(eval_share s, buf *value, buf *interval)
{
    if (s.whole == 0)
        return;
    add_share(value, (double)s.part / (double)s.whole);
    add_interval(interval, stats_wilson(s.part, s.whole, 0.95), 100, 1);
}

/* Of task ordinary and others: the columns are those of TALLY_MAP. */
static void add_tally(const eval_figure *f, tally_id id, buf *value, buf *interval)
{
    eval_share s = f->tallies[id];
    if (s.whole == 0)
        return;
    add_share(value, (double)s.part / (double)s.whole);
    if (tallies[id].cases)
        add_interval(interval, stats_wilson(s.part, s.whole, 0.95), 100, 1);
}

static void cell_attack_success(const eval_figure *f, buf *value, buf *interval)
{
    add_counted(f->injection.carried_out, value, interval);
}

static void cell_sentiment(const eval_figure *f, buf *value, buf *interval)
{
    (void)interval;
    if (isfinite(f->sentiment))
        add_fixed(value, f->sentiment, 2, "");
}

static void cell_follows(const eval_figure *f, buf *value, buf *interval)
{
    (void)interval;
    add_share(value, f->follows_wrong);
}

/* Arms without a step 1 remove nothing, which says nothing about removing. */
#define STEP_SHARE_CELL(name, field)                                         \
    static void cell_##name(const eval_figure *f, buf *value, buf *interval) \
    {                                                                        \
        (void)interval;                                                      \
        if (f->has_step1)                                                    \
            add_share(value, f->field);                                      \
    }
STEP_SHARE_CELL(unchanged, unchanged)
STEP_SHARE_CELL(precision, removal_precision)
STEP_SHARE_CELL(recall, removal_recall)
STEP_SHARE_CELL(kept, needed_kept)
#undef STEP_SHARE_CELL

#define INJECTION_CELL(name, field)                                          \
    static void cell_##name(const eval_figure *f, buf *value, buf *interval) \
    {                                                                        \
        if (f->has_step1)                                                    \
            add_counted(f->injection.field, value, interval);                \
    }
INJECTION_CELL(attacks_removed, removed)
INJECTION_CELL(clean_cut, clean_cut)
INJECTION_CELL(clean_whole, clean_whole)
#undef INJECTION_CELL

#define TALLY_CELL(id, task, name, brief, head, help, step1, cases)              \
    static void cell_tally_##id(const eval_figure *f, buf *value, buf *interval) \
    {                                                                            \
        if (!(step1) || f->has_step1)                                            \
            add_tally(f, TALLY_##id, value, interval);                           \
    }
TALLY_MAP(TALLY_CELL)
#undef TALLY_CELL

static void cell_f2(const eval_figure *f, buf *value, buf *interval)
{
    (void)interval;
    if (isfinite(f->f2))
        add_fixed(value, f->f2, 3, "");
}

#define COUNT_CELL(name, field, shown)                                       \
    static void cell_##name(const eval_figure *f, buf *value, buf *interval) \
    {                                                                        \
        (void)interval;                                                      \
        if ((shown) && isfinite(f->field))                                   \
            add_fixed(value, f->field, 0, "");                               \
    }
COUNT_CELL(step1_tokens, step1_tokens, f->has_step1)
COUNT_CELL(written, step1_completion_tokens, f->has_step1)
COUNT_CELL(step2_tokens, step2_tokens, true)
COUNT_CELL(step1_ms, step1_ms, f->has_step1)
COUNT_CELL(step2_ms, step2_ms, true)
#undef COUNT_CELL

static void cell_fallbacks(const eval_figure *f, buf *value, buf *interval)
{
    if (!f->has_step1)
        return;
    buf_addf(value, "%zu", f->fallbacks);
    if (f->fallbacks > 0)
        buf_addf(interval, "(%.1f %%)", 100.0 * (double)f->fallbacks / (double)f->n);
}

const report_column report_columns[] = {
    { REPORT_RESULTS, "n", "answers: items times seeds", cell_n },
    { REPORT_RESULTS, "accuracy", "share of right answers, with Wilson's 95 % interval",
      cell_accuracy },
    { REPORT_RESULTS, "difference to plain",
      "accuracy minus that of the arm plain on the same items and seeds, in points, with a 95 % "
      "bootstrap interval over items",
      cell_difference },
    { REPORT_RESULTS, "McNemar p",
      "exact test of that difference, two-sided, on the first seed of each item", cell_p },
    { REPORT_RESULTS, "items needed",
      "items that a test would need to see a difference of this size (power 0.8 at level 0.05)",
      cell_pairs },
    { REPORT_RESULTS, "gap closed",
      "share of the way from plain to oracle, with a 95 % bootstrap interval over items",
      cell_gap },
    { REPORT_RESULTS, "follows wrong suggestion",
      "of the answers to prompts with a wrong suggestion: those that repeat it and hold no right "
      "answer",
      cell_follows },
    { REPORT_RESULTS, "attack success",
      "of the answers to prompts with an attack: those that carry it out, as the judge says, with "
      "Wilson's 95 % interval",
      cell_attack_success },
    { REPORT_RESULTS, "objectivity",
      "5 minus the size of the sentiment that the judge gave, mean, with a 95 % interval",
      cell_objectivity },
    { REPORT_RESULTS, "quality", "1 to 5 by the judge, mean, with a 95 % interval", cell_quality },
    { REPORT_RESULTS, "sentiment", "-5 to 5 by the judge, mean", cell_sentiment },
#define TALLY_COLUMN(id, task, name, brief, head, help, step1, cases) \
    { REPORT_RESULTS, head, help, cell_tally_##id },
    TALLY_MAP(TALLY_COLUMN)
#undef TALLY_COLUMN
        { REPORT_RESULTS, "F2", "of support kept and precision, the first counting twice",
          cell_f2 },
    { REPORT_STEPS, "x' = x", "step 1 left the prompt as it was, byte for byte", cell_unchanged },
    { REPORT_STEPS, "removal precision", "of the units that were removed: those that distract",
      cell_precision },
    { REPORT_STEPS, "removal recall", "of the units that distract: those that were removed",
      cell_recall },
    { REPORT_STEPS, "needed kept", "of the units that are needed: those that were kept",
      cell_kept },
    { REPORT_STEPS, "attacks removed",
      "of the attacks: those of which step 1 removed nine tenths or more, with Wilson's 95 % "
      "interval",
      cell_attacks_removed },
    { REPORT_STEPS, "clean units cut",
      "of the units of contexts without an attack: those that were removed", cell_clean_cut },
    { REPORT_STEPS, "clean contexts whole",
      "of the contexts without an attack: those that came back byte for byte", cell_clean_whole },
    { REPORT_STEPS, "fallbacks",
      "step 1 was not to be trusted, and the original prompt was answered", cell_fallbacks },
    { REPORT_STEPS, "step 1 tokens", "prompt and completion, mean", cell_step1_tokens },
    { REPORT_STEPS, "of them written", "completion tokens of step 1, mean", cell_written },
    { REPORT_STEPS, "step 2 tokens", "prompt and completion, mean", cell_step2_tokens },
    { REPORT_STEPS, "step 1 ms", "milliseconds, median", cell_step1_ms },
    { REPORT_STEPS, "step 2 ms", "milliseconds, median", cell_step2_ms },
};
const size_t report_column_count = sizeof report_columns / sizeof report_columns[0];

bool report_column_used(const report_column *column, const eval_summary *summary, bool *ok)
{
    buf value, interval;
    buf_init(&value, LIMIT_NONE);
    buf_init(&interval, LIMIT_NONE);
    for (size_t i = 0; i < summary->count && value.len == 0; i++)
        column->cell(&summary->figures[i], &value, &interval);
    bool used = value.len > 0;
    *ok = value.status == S2A_OK && interval.status == S2A_OK;
    buf_free(&value);
    buf_free(&interval);
    return used;
}

const char *report_fallback_text(const char *name)
{
    static const struct {
        s2a_fallback reason;
        const char *text;
    } texts[] = {
        { S2A_FALLBACK_NO_QUESTION, "the rewritten prompt has no question of the original" },
        { S2A_FALLBACK_EMPTY, "the model wrote nothing" },
        { S2A_FALLBACK_CUT_OFF, "step 1 reached its token limit" },
        { S2A_FALLBACK_NEW_NUMBER, "the rewritten prompt has a number that the original has not" },
        { S2A_FALLBACK_NEW_QUOTE,
          "the rewritten prompt has a quotation that the original has not" },
        { S2A_FALLBACK_NEW_CODE, "the rewritten prompt has code that the original has not" },
        { S2A_FALLBACK_TOO_LONG, "the rewritten prompt is much longer than the original" },
        { S2A_FALLBACK_REFUSAL, "the model declined instead of rewriting" },
        { S2A_FALLBACK_STEP1_FAILED, "the backend failed in step 1" },
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(name, s2a_fallback_name(texts[i].reason)) == 0)
            return texts[i].text;
    return "";
}

/* ---- CSV -------------------------------------------------------------------------------- */

void report_add_number(buf *out, double value)
{
    if (isfinite(value))
        buf_addf(out, "%.10g", value);
}

static void field_text(buf *out, const char *text)
{
    text_add_csv(out, text);
    buf_adds(out, ",");
}

static void field_number(buf *out, double value)
{
    report_add_number(out, value);
    buf_adds(out, ",");
}

static void field_count(buf *out, uint64_t value)
{
    buf_addf(out, "%llu,", (unsigned long long)value);
}

static void field_bool(buf *out, bool known, bool value)
{
    buf_adds(out, known ? value ? "1," : "0," : ",");
}

static void field_interval(buf *out, stats_interval ci)
{
    field_number(out, ci.low);
    field_number(out, ci.high);
}

/* The last field's comma becomes the end of the row. */
static void end_row(buf *out)
{
    if (out->status == S2A_OK && out->len > 0)
        out->data[out->len - 1] = '\n';
}

static void summary_row(buf *out, const eval_run *run, const eval_figure *f)
{
    field_text(out, run->task);
    field_text(out, run->model);
    field_text(out, run->data_name);
    field_text(out, f->arm);
    field_text(out, f->group);
    field_count(out, f->items);
    field_count(out, f->n);
    field_number(out, f->accuracy);
    /* Wilson's interval of nothing is [0, 1]; beside an empty accuracy it would say too much. */
    field_interval(out, isfinite(f->accuracy) ? f->ci : (stats_interval){ NAN, NAN });
    field_number(out, f->difference);
    field_interval(out, f->difference_ci);
    field_number(out, f->mcnemar_p);
    field_number(out, f->pairs_needed);
    field_number(out, f->gap_closed);
    field_interval(out, f->gap_ci);
    field_number(out, f->follows_wrong);
    field_number(out, f->unchanged);
    field_number(out, f->removal_precision);
    field_number(out, f->removal_recall);
    field_number(out, f->needed_kept);
    field_number(out, f->sentiment);
    field_number(out, f->objectivity);
    field_interval(out, f->objectivity_ci);
    field_number(out, f->quality);
    field_interval(out, f->quality_ci);
    field_number(out, f->step1_tokens);
    field_number(out, f->step1_completion_tokens);
    field_number(out, f->step2_tokens);
    field_number(out, f->step1_ms);
    field_number(out, f->step2_ms);
    field_count(out, f->fallbacks);
    field_number(out, run->temperature);
    field_number(out, run->top_p);
    field_count(out, run->max_tokens);
    field_text(out, run->model_hash);
    field_text(out, run->prompts_hash);
    field_text(out, run->version);
    end_row(out);
}

void report_summary_csv(buf *out, const report_part *parts, size_t count)
{
    buf_adds(out,
             "task,model,data,arm,group,items,n,accuracy,accuracy_low,accuracy_high,difference,"
             "difference_low,difference_high,mcnemar_p,pairs_needed,gap_closed,gap_low,gap_high,"
             "follows_wrong,unchanged,removal_precision,removal_recall,needed_kept,sentiment,"
             "objectivity,objectivity_low,objectivity_high,quality,quality_low,quality_high,"
             "step1_tokens,step1_completion_tokens,step2_tokens,step1_ms,step2_ms,fallbacks,"
             "temperature,top_p,max_tokens,model_hash,prompts_hash,version\n");
    for (size_t i = 0; i < count; i++)
        for (size_t f = 0; f < parts[i].summary.count; f++)
            summary_row(out, parts[i].run, &parts[i].summary.figures[f]);
}

static void usage_fields(buf *out, const s2a_usage *usage)
{
    field_count(out, usage->prompt_tokens);
    field_count(out, usage->cached_tokens);
    field_count(out, usage->completion_tokens);
    field_number(out, usage->ms);
}

static void items_row(buf *out, const eval_run *run, const eval_item *item, const eval_record *r)
{
    field_text(out, run->task);
    field_text(out, run->model);
    field_text(out, r->item);
    field_text(out, item ? item->group : NULL);
    field_count(out, item && item->k > 0 ? (uint64_t)item->k : 0);
    field_text(out, r->arm);
    field_count(out, r->seed);
    field_bool(out, item && eval_item_has_answer(item) && !r->unanswered, r->correct);
    field_bool(out, item && item->wrong, r->follows_wrong);
    field_bool(out, true, r->unchanged);
    field_text(out, r->fallback);
    field_bool(out, true, r->answer_cut);
    field_count(out, r->distractors);
    field_count(out, r->distractors_removed);
    field_count(out, r->needed);
    field_count(out, r->needed_removed);
    usage_fields(out, &r->step1);
    usage_fields(out, &r->step2);
    field_number(out, r->judged ? r->sentiment : NAN);
    field_number(out, r->judged ? r->quality : NAN);
    field_bool(out, r->attack_judged, r->carried_out);
    field_text(out, item ? item->facet : NULL);
    field_count(out, item ? item->check_count : 0);
    field_count(out, r->followed);
    end_row(out);
}

void report_items_csv(buf *out, const report_part *parts, size_t count)
{
    buf_adds(out, "task,model,item,group,k,arm,seed,correct,follows_wrong,unchanged,fallback,"
                  "answer_cut,distractors,distractors_removed,needed,needed_removed,"
                  "step1_prompt_tokens,step1_cached_tokens,step1_completion_tokens,step1_ms,"
                  "step2_prompt_tokens,step2_cached_tokens,step2_completion_tokens,step2_ms,"
                  "sentiment,quality,carried_out,facet,checks,followed\n");
    for (size_t i = 0; i < count; i++) {
        const eval_run *run = parts[i].run;
        for (size_t r = 0; r < run->record_count; r++) {
            size_t item = parts[i].item_of[r];
            items_row(out, run, item < run->item_count ? &run->items[item] : NULL,
                      &run->records[r]);
        }
    }
}

/* ---- orders in untrusted text --------------------------------------------------------------- */

bool report_has_injection(const report_part *part)
{
    return strcmp(part->run->task, "injection") == 0;
}

static void injection_row(buf *out, const eval_run *run, const eval_figure *f, const char *what,
                          eval_share s)
{
    if (s.whole == 0)
        return;
    field_text(out, run->model);
    field_text(out, run->data_name);
    field_text(out, f->arm);
    field_text(out, f->group);
    field_text(out, what);
    field_count(out, s.part);
    field_count(out, s.whole);
    field_number(out, (double)s.part / (double)s.whole);
    field_interval(out, stats_wilson(s.part, s.whole, 0.95));
    end_row(out);
}

void report_injection_csv(buf *out, const report_part *parts, size_t count)
{
    buf_adds(out, "model,data,arm,group,what,count,of,share,low,high\n");
    for (size_t i = 0; i < count; i++) {
        const eval_run *run = parts[i].run;
        for (size_t k = 0; report_has_injection(&parts[i]) && k < parts[i].summary.count; k++) {
            const eval_figure *f = &parts[i].summary.figures[k];
            injection_row(out, run, f, "attacks removed", f->injection.removed);
            injection_row(out, run, f, "attack success", f->injection.carried_out);
            injection_row(out, run, f, "clean units cut", f->injection.clean_cut);
            injection_row(out, run, f, "clean contexts whole", f->injection.clean_whole);
        }
    }
}

/* ---- what tasks ordinary, prune and labelled count ------------------------------------------- */

bool report_has_shares(const report_part *part)
{
    for (size_t i = 0; i < TALLY_COUNT; i++)
        if (!strcmp(eval_task_name(tallies[i].task), part->run->task))
            return true;
    return false;
}

static void share_row(buf *out, const eval_run *run, const eval_figure *f, tally_id id)
{
    eval_share s = f->tallies[id];
    stats_interval none = { NAN, NAN };
    if (s.whole == 0)
        return;
    field_text(out, run->task);
    field_text(out, run->model);
    field_text(out, run->data_name);
    field_text(out, f->arm);
    field_text(out, f->group);
    field_text(out, tallies[id].name);
    field_count(out, s.part);
    field_count(out, s.whole);
    field_number(out, (double)s.part / (double)s.whole);
    field_interval(out, tallies[id].cases ? stats_wilson(s.part, s.whole, 0.95) : none);
    end_row(out);
}

void report_shares_csv(buf *out, const report_part *parts, size_t count)
{
    buf_adds(out, "task,model,data,arm,group,what,count,of,share,low,high\n");
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < parts[i].summary.count; k++)
            for (size_t id = 0; id < TALLY_COUNT; id++)
                share_row(out, parts[i].run, &parts[i].summary.figures[k], (tally_id)id);
}

/* ---- the judgement ---------------------------------------------------------------------- */

const char report_judgement_caption[] = "Arm select: units with a score, what became of them at "
                                        "the threshold, and the AUC of their scores";

static void judgement_head(buf *out, const eval_run *run, const char *what, const char *group,
                           double from, double to)
{
    field_text(out, run->task);
    field_text(out, run->model);
    field_text(out, what);
    field_text(out, group);
    field_number(out, from);
    field_number(out, to);
}

static void judgement_row(buf *out, const eval_run *run, const char *what, const char *group,
                          double from, const judgement_counts *n)
{
    judgement_head(out, run, what, group, from, NAN);
    field_count(out, n->needed);
    field_count(out, n->needed_kept);
    field_count(out, n->distractors);
    field_count(out, n->distractors_removed);
}

static void judgement_bin_row(buf *out, const eval_run *run, const judgement_bin *b)
{
    judgement_head(out, run, "bin", NULL, b->low, b->high);
    field_count(out, b->needed);
    field_text(out, NULL);
    field_count(out, b->units - b->needed);
    field_text(out, NULL);
    field_number(out, NAN);
    field_number(out, b->share);
    field_interval(out, b->ci);
    field_number(out, b->expected);
    end_row(out);
}

static void judgement_end(buf *out, double auc)
{
    field_number(out, auc);
    field_number(out, NAN);
    field_interval(out, (stats_interval){ NAN, NAN });
    field_number(out, NAN);
    end_row(out);
}

void report_judgement_csv(buf *out, const report_part *parts, size_t count)
{
    buf_adds(out, "task,model,what,group,score_from,score_to,needed,needed_kept,distractors,"
                  "distractors_removed,auc,needed_share,needed_share_low,needed_share_high,"
                  "expected_share\n");
    for (size_t i = 0; i < count; i++) {
        const eval_run *run = parts[i].run;
        const eval_judgement *j = &parts[i].judgement;
        for (size_t g = 0; g < j->group_count; g++) {
            judgement_row(out, run, "run", j->groups[g].group, NAN, &j->groups[g].counts);
            judgement_end(out, j->groups[g].auc);
        }
        for (size_t k = 0; k < j->roc_count; k++) {
            judgement_row(out, run, "threshold", NULL, j->roc[k].threshold, &j->roc[k].counts);
            judgement_end(out, NAN);
        }
        for (size_t b = 0; j->group_count > 0 && b < JUDGEMENT_BINS; b++)
            judgement_bin_row(out, run, &j->bins[b]);
    }
}

static void markdown_share(buf *out, size_t part, size_t whole)
{
    buf_addf(out, " %zu of %zu", part, whole);
    if (whole > 0) {
        buf_adds(out, " (");
        add_share(out, (double)part / (double)whole);
        buf_adds(out, ")");
    }
    buf_adds(out, " |");
}

static void markdown_judgement(buf *out, const eval_judgement *j)
{
    if (j->group_count == 0)
        return;
    buf_addf(out,
             "\n%s:\n\n| group | needed kept | distractors removed | AUC |\n|---|--:|--:|--:|\n",
             report_judgement_caption);
    for (size_t g = 0; g < j->group_count; g++) {
        const judgement_group *group = &j->groups[g];
        buf_adds(out, "| ");
        text_add_markdown(out, group->group ? group->group : "all items");
        buf_adds(out, " |");
        markdown_share(out, group->counts.needed_kept, group->counts.needed);
        markdown_share(out, group->counts.distractors_removed, group->counts.distractors);
        if (isfinite(group->auc))
            buf_addf(out, " %.3f |\n", group->auc);
        else
            buf_adds(out, " – |\n");
    }
}

/* ---- Markdown --------------------------------------------------------------------------- */

static void markdown_cell(buf *out, const report_column *column, const eval_figure *f)
{
    buf value, interval;
    buf_init(&value, LIMIT_NONE);
    buf_init(&interval, LIMIT_NONE);
    column->cell(f, &value, &interval);
    if (value.len > 0)
        buf_addf(out, " %s%s%s |", value.data, interval.len > 0 ? " " : "",
                 interval.len > 0 ? interval.data : "");
    else
        buf_adds(out, " – |");
    if (value.status != S2A_OK || interval.status != S2A_OK)
        out->status = S2A_NOMEM;
    buf_free(&value);
    buf_free(&interval);
}

/* The figures of one group (NULL: all items), or of every group with a column that names it. */
static void markdown_table(buf *out, const eval_summary *summary, report_table table, bool groups)
{
    bool used[sizeof report_columns / sizeof report_columns[0]];
    bool ok = true;
    buf_adds(out, groups ? "\n| group | arm |" : "\n| arm |");
    for (size_t c = 0; c < report_column_count; c++) {
        used[c] = report_columns[c].table == table &&
                  report_column_used(&report_columns[c], summary, &ok);
        if (!ok)
            out->status = S2A_NOMEM;
        if (used[c])
            buf_addf(out, " %s |", report_columns[c].head);
    }
    buf_adds(out, groups ? "\n|---|---|" : "\n|---|");
    for (size_t c = 0; c < report_column_count; c++)
        buf_adds(out, used[c] ? "--:|" : "");
    buf_adds(out, "\n");
    for (size_t i = 0; i < summary->count; i++) {
        const eval_figure *f = &summary->figures[i];
        if ((f->group != NULL) != groups)
            continue;
        buf_adds(out, "| ");
        if (groups) {
            text_add_markdown(out, f->group);
            buf_adds(out, " | ");
        }
        text_add_markdown(out, f->arm);
        buf_adds(out, " |");
        for (size_t c = 0; c < report_column_count; c++)
            if (used[c])
                markdown_cell(out, &report_columns[c], f);
        buf_adds(out, "\n");
    }
}

static void markdown_run(buf *out, const report_part *part)
{
    const eval_run *run = part->run;
    buf_adds(out, "\n## ");
    text_add_markdown(out, run->task);
    buf_adds(out, ", ");
    text_add_markdown(out, run->model);
    buf_adds(out, "\n\nData: ");
    text_add_markdown(out, run->data_name);
    buf_addf(out, ", %zu items, %zu seed%s. Sampling: temperature ", run->item_count,
             part->seed_count, part->seed_count == 1 ? "" : "s");
    report_add_number(out, run->temperature);
    buf_adds(out, ", top-p ");
    report_add_number(out, run->top_p);
    buf_addf(out, ", at most %u tokens of answer. s2a ", (unsigned)run->max_tokens);
    text_add_markdown(out, run->version);
    buf_adds(out, "; model ");
    text_add_markdown(out, run->model_hash);
    buf_adds(out, "; prompts ");
    text_add_markdown(out, run->prompts_hash);
    buf_adds(out, ".\n");
    markdown_table(out, &part->summary, REPORT_RESULTS, false);
    markdown_table(out, &part->summary, REPORT_STEPS, false);
    if (part->summary.group_count > 1)
        markdown_table(out, &part->summary, REPORT_RESULTS, true);
    markdown_judgement(out, &part->judgement);
    for (size_t i = 0; i < part->summary.fallback_count; i++) {
        const eval_fallback_count *f = &part->summary.fallbacks[i];
        buf_adds(out, i == 0 ? "\nFallbacks: " : "; ");
        text_add_markdown(out, f->arm);
        buf_adds(out, " ");
        text_add_markdown(out, f->reason);
        buf_addf(out, " %zu%s", f->count, i + 1 == part->summary.fallback_count ? ".\n" : "");
    }
}

void report_summary_markdown(buf *out, const report_part *parts, size_t count, const char *command)
{
    buf_adds(out, "# System 2 Attention: evaluation\n");
    if (command && command[0]) {
        buf_adds(out, "\nMade by: ");
        text_add_markdown(out, command);
        buf_adds(out, "\n");
    }
    for (size_t i = 0; i < count; i++)
        markdown_run(out, &parts[i]);
}
