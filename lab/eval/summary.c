/* The figures of a run. Records are sorted once by arm, item and seed; every figure then walks the
 * items of its group and reads each item's records of an arm as one run of that order. Not
 * thread-safe on one run; nothing is kept between calls. */
#include "eval/summary.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEVEL 0.95
#define ALPHA 0.05
#define POWER 0.8
#define SEED 2311118290u /* of every bootstrap: the same records give the same figures */

/* ---- records by arm and item ------------------------------------------------------------- */

typedef struct row {
    size_t arm, item;
    const eval_record *record;
} row;

typedef struct table {
    const eval_run *run;
    size_t rounds;
    row *rows;        /* by arm, item, seed */
    size_t *first;    /* [arm * item_count + item]: its first row; one more at the end */
    bool has_answers; /* some item has a right answer: arguments have none */
    /* Scratch, an element an item but for values, an element a record. */
    size_t *items; /* of the group */
    double *base, *oracle, *arm, *sum, *weight, *values;
} table;

typedef struct named {
    const char *id;
    size_t index;
} named;

static int by_id(const void *a, const void *b)
{
    return strcmp(((const named *)a)->id, ((const named *)b)->id);
}

static int by_place(const void *a, const void *b)
{
    const row *x = a, *y = b;
    if (x->arm != y->arm)
        return x->arm < y->arm ? -1 : 1;
    if (x->item != y->item)
        return x->item < y->item ? -1 : 1;
    return (x->record->seed > y->record->seed) - (x->record->seed < y->record->seed);
}

static size_t arm_index(const eval_run *run, const char *name)
{
    size_t i = 0;
    while (i < run->arm_count && strcmp(run->arms[i], name) != 0)
        i++;
    return i; /* arm_count: not there */
}

static void table_free(table *t)
{
    free(t->rows);
    free(t->first);
    free(t->items);
    free(t->base);
    free(t->oracle);
    free(t->arm);
    free(t->sum);
    free(t->weight);
    free(t->values);
}

/* One element more than wanted, since calloc(0) may give NULL. */
static void *array_new(size_t count, size_t size)
{
    return calloc(count + 1, size);
}

static s2a_status table_fill(table *t, s2a_error *err)
{
    const eval_run *run = t->run;
    named *ids = array_new(run->item_count, sizeof *ids);
    if (!ids)
        return error_nomem(err);
    for (size_t i = 0; i < run->item_count; i++) {
        ids[i] = (named){ run->items[i].id, i };
        t->has_answers = t->has_answers || eval_item_has_answer(&run->items[i]);
    }
    qsort(ids, run->item_count, sizeof *ids, by_id);
    for (size_t i = 0; i < run->record_count; i++) {
        const eval_record *record = &run->records[i];
        named key = { record->item, 0 };
        const named *id = bsearch(&key, ids, run->item_count, sizeof *ids, by_id);
        size_t arm = arm_index(run, record->arm);
        if (!id || arm == run->arm_count) {
            free(ids);
            return error_set(err, S2A_ARGUMENT, "the run has no %s \"%s\", which a record names",
                             id ? "arm" : "item", id ? record->arm : record->item);
        }
        t->rows[i] = (row){ arm, id->index, record };
    }
    free(ids);
    qsort(t->rows, run->record_count, sizeof *t->rows, by_place);
    size_t cells = run->arm_count * run->item_count, at = 0;
    for (size_t cell = 0; cell <= cells; cell++) {
        while (at < run->record_count &&
               t->rows[at].arm * run->item_count + t->rows[at].item < cell)
            at++;
        t->first[cell] = at;
    }
    return S2A_OK;
}

/* table_free it also after a failure. */
static s2a_status table_init(table *t, const eval_run *run, size_t rounds, s2a_error *err)
{
    size_t items = run->item_count, records = run->record_count;
    *t = (table){ .run = run, .rounds = rounds };
    t->rows = array_new(records, sizeof *t->rows);
    t->first = array_new(run->arm_count * items, sizeof *t->first);
    t->items = array_new(items, sizeof *t->items);
    t->base = array_new(items, sizeof *t->base);
    t->oracle = array_new(items, sizeof *t->oracle);
    t->arm = array_new(items, sizeof *t->arm);
    t->sum = array_new(items, sizeof *t->sum);
    t->weight = array_new(items, sizeof *t->weight);
    t->values = array_new(records, sizeof *t->values);
    if (!t->rows || !t->first || !t->items || !t->base || !t->oracle || !t->arm || !t->sum ||
        !t->weight || !t->values)
        return error_nomem(err);
    return table_fill(t, err);
}

/* The rows of an arm on an item; none for an arm that is not there. */
static const row *cell_rows(const table *t, size_t arm, size_t item, size_t *count)
{
    *count = 0;
    if (arm >= t->run->arm_count)
        return t->rows;
    const size_t *first = &t->first[arm * t->run->item_count + item];
    *count = first[1] - first[0];
    return t->rows + first[0];
}

/* The share of an arm's answers to an item that are right; NaN when there is none. */
static double cell_accuracy(const table *t, size_t arm, size_t item)
{
    size_t count = 0, right = 0;
    const row *rows = cell_rows(t, arm, item, &count);
    if (!eval_item_has_answer(&t->run->items[item]) || (count > 0 && rows[0].record->unanswered))
        return NAN;
    for (size_t i = 0; i < count; i++)
        right += rows[i].record->correct;
    return count > 0 ? (double)right / (double)count : NAN;
}

/* ---- statistics over items --------------------------------------------------------------- */

static double ratio_of_sums(void *ctx, const size_t *index, size_t count)
{
    const table *t = ctx;
    double sum = 0, weight = 0;
    for (size_t i = 0; i < count; i++) {
        sum += t->sum[index[i]];
        weight += t->weight[index[i]];
    }
    return weight > 0 ? sum / weight : NAN;
}

static double gap_of_means(void *ctx, const size_t *index, size_t count)
{
    const table *t = ctx;
    double base = 0, oracle = 0, arm = 0, n = (double)count;
    for (size_t i = 0; i < count; i++) {
        base += t->base[index[i]];
        oracle += t->oracle[index[i]];
        arm += t->arm[index[i]];
    }
    return count > 0 ? stats_gap_closed(base / n, oracle / n, arm / n) : NAN;
}

/* The statistic of count items and its interval; both NaN where it is not defined. */
static s2a_status estimate(table *t, stats_statistic statistic, size_t count, double *value,
                           stats_interval *ci, s2a_error *err)
{
    size_t *all = array_new(count, sizeof *all), used = 0;
    if (!all)
        return error_nomem(err);
    for (size_t i = 0; i < count; i++)
        all[i] = i;
    *value = statistic(t, all, count);
    free(all);
    *ci = (stats_interval){ NAN, NAN };
    if (!isnan(*value))
        *ci = stats_bootstrap(statistic, t, count, t->rounds, LEVEL, SEED, &used);
    return used == SIZE_MAX ? error_nomem(err) : S2A_OK;
}

static s2a_status fill_gap(table *t, eval_figure *f, size_t arm, size_t item_count, s2a_error *err)
{
    size_t plain = arm_index(t->run, "plain"), oracle = arm_index(t->run, "oracle"), count = 0;
    for (size_t i = 0; i < item_count; i++) {
        t->base[count] = cell_accuracy(t, plain, t->items[i]);
        t->oracle[count] = cell_accuracy(t, oracle, t->items[i]);
        t->arm[count] = cell_accuracy(t, arm, t->items[i]);
        if (!isnan(t->base[count]) && !isnan(t->oracle[count]) && !isnan(t->arm[count]))
            count++;
    }
    return estimate(t, gap_of_means, count, &f->gap_closed, &f->gap_ci, err);
}

/* The difference over all seeds that both arms have; the test on the first of them. */
static s2a_status fill_difference(table *t, eval_figure *f, size_t arm, size_t item_count,
                                  s2a_error *err)
{
    size_t plain = arm_index(t->run, "plain"), items = 0;
    uint64_t lost = 0, won = 0;
    for (size_t i = 0; i < item_count; i++) {
        size_t base_count = 0, count = 0, pairs = 0;
        const row *base = cell_rows(t, plain, t->items[i], &base_count);
        const row *rows = cell_rows(t, arm, t->items[i], &count);
        double difference = 0;
        for (size_t a = 0, b = 0; a < base_count && b < count;) {
            const eval_record *x = base[a].record, *y = rows[b].record;
            a += x->seed <= y->seed;
            b += y->seed <= x->seed;
            if (x->seed != y->seed)
                continue;
            if (pairs++ == 0) {
                lost += x->correct && !y->correct;
                won += y->correct && !x->correct;
            }
            difference += (double)y->correct - (double)x->correct;
        }
        if (pairs == 0 || !eval_item_has_answer(&t->run->items[t->items[i]]) ||
            rows[0].record->unanswered)
            continue;
        t->sum[items] = difference;
        t->weight[items++] = (double)pairs;
    }
    if (items > 0) {
        double n = (double)items;
        f->mcnemar_p = stats_mcnemar_exact(lost, won);
        f->pairs_needed =
            stats_mcnemar_pairs_needed((double)lost / n, (double)won / n, ALPHA, POWER);
    }
    return estimate(t, ratio_of_sums, items, &f->difference, &f->difference_ci, err);
}

/* ---- sums over records ------------------------------------------------------------------- */

static bool fell_back(const eval_record *record)
{
    return record->fallback && strcmp(record->fallback, s2a_fallback_name(S2A_FALLBACK_NONE)) != 0;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : NAN;
}

static void fill_counts(const table *t, eval_figure *f, size_t arm, size_t item_count)
{
    uint64_t correct = 0, unchanged = 0, misled = 0, misleading = 0;
    uint64_t distractors = 0, distractors_removed = 0, needed = 0, needed_removed = 0;
    uint64_t step1 = 0, step1_completion = 0, step2 = 0, asked = 0;
    bool injection = !strcmp(t->run->task, "injection");
    eval_task task = EVAL_TASK_COUNT;
    eval_task_from_name(t->run->task, &task);
    for (size_t i = 0; i < item_count; i++) {
        size_t count = 0;
        const row *rows = cell_rows(t, arm, t->items[i], &count);
        const eval_item *item = &t->run->items[t->items[i]];
        bool has_wrong = item->wrong != NULL;
        f->items += count > 0;
        f->n += count;
        for (size_t k = 0; k < count; k++) {
            const eval_record *r = rows[k].record;
            correct += r->correct;
            asked += eval_item_has_answer(item) && !r->unanswered;
            unchanged += r->unchanged;
            misleading += has_wrong && !r->unanswered;
            misled += r->follows_wrong;
            distractors += r->distractors;
            distractors_removed += r->distractors_removed;
            needed += r->needed;
            needed_removed += r->needed_removed;
            step1 += r->step1.prompt_tokens + r->step1.completion_tokens;
            step1_completion += r->step1.completion_tokens;
            step2 += r->step2.prompt_tokens + r->step2.completion_tokens;
            f->fallbacks += fell_back(r);
            if (injection)
                injection_count(item, r, &f->injection);
            tally_add(task, item, r, f->tallies);
            f->has_step1 |= r->reader != 0 || r->step1.prompt_tokens > 0 || r->step1.ms > 0;
        }
    }
    if (asked > 0) {
        f->accuracy = share(correct, asked);
        f->ci = stats_wilson(correct, asked, LEVEL);
    }
    f->unchanged = share(unchanged, f->n);
    f->follows_wrong = share(misled, misleading);
    f->removal_precision = share(distractors_removed, distractors_removed + needed_removed);
    f->removal_recall = share(distractors_removed, distractors);
    f->needed_kept = share(needed - needed_removed, needed);
    f->step1_tokens = share(step1, f->n);
    f->step1_completion_tokens = share(step1_completion, f->n);
    f->step2_tokens = share(step2, f->n);
    f->f2 = tally_f2(f->tallies);
}

static double median_ms(table *t, size_t arm, size_t item_count, int step)
{
    size_t n = 0;
    for (size_t i = 0; i < item_count; i++) {
        size_t count = 0;
        const row *rows = cell_rows(t, arm, t->items[i], &count);
        for (size_t k = 0; k < count; k++)
            t->values[n++] = step == 1 ? rows[k].record->step1.ms : rows[k].record->step2.ms;
    }
    return stats_quantile(t->values, n, 0.5);
}

/* ---- judged arguments -------------------------------------------------------------------- */

static double sentiment_of(const eval_record *record)
{
    return record->sentiment;
}

static double objectivity_of(const eval_record *record)
{
    return 5 - fabs(record->sentiment);
}

static double quality_of(const eval_record *record)
{
    return record->quality;
}

/* The mean over the judged records. */
static s2a_status fill_mean(table *t, size_t arm, size_t item_count,
                            double (*value_of)(const eval_record *), double *value,
                            stats_interval *ci, s2a_error *err)
{
    size_t items = 0;
    for (size_t i = 0; i < item_count; i++) {
        size_t count = 0, judged = 0;
        const row *rows = cell_rows(t, arm, t->items[i], &count);
        double sum = 0;
        for (size_t k = 0; k < count; k++) {
            if (rows[k].record->judged) {
                sum += value_of(rows[k].record);
                judged++;
            }
        }
        if (judged == 0)
            continue;
        t->sum[items] = sum;
        t->weight[items++] = (double)judged;
    }
    return estimate(t, ratio_of_sums, items, value, ci, err);
}

/* ---- the summary ------------------------------------------------------------------------- */

static eval_figure undefined(const char *arm, const char *group)
{
    const stats_interval none = { NAN, NAN };
    return (eval_figure){
        .arm = arm,
        .group = group,
        .accuracy = NAN,
        .ci = none,
        .gap_closed = NAN,
        .gap_ci = none,
        .difference = NAN,
        .difference_ci = none,
        .mcnemar_p = NAN,
        .pairs_needed = NAN,
        .sentiment = NAN,
        .objectivity = NAN,
        .objectivity_ci = none,
        .quality = NAN,
        .quality_ci = none,
        .f2 = NAN,
    };
}

static s2a_status fill_figure(table *t, eval_figure *f, size_t arm, size_t item_count,
                              s2a_error *err)
{
    stats_interval unused;
    fill_counts(t, f, arm, item_count);
    f->step1_ms = median_ms(t, arm, item_count, 1);
    f->step2_ms = median_ms(t, arm, item_count, 2);
    s2a_status status = S2A_OK;
    if (t->has_answers) {
        status = fill_gap(t, f, arm, item_count, err);
        if (!status)
            status = fill_difference(t, f, arm, item_count, err);
    }
    if (!status)
        status = fill_mean(t, arm, item_count, sentiment_of, &f->sentiment, &unused, err);
    if (!status)
        status =
            fill_mean(t, arm, item_count, objectivity_of, &f->objectivity, &f->objectivity_ci, err);
    if (!status)
        status = fill_mean(t, arm, item_count, quality_of, &f->quality, &f->quality_ci, err);
    return status;
}

static s2a_status group_note(eval_summary *out, const char *name, s2a_error *err)
{
    size_t k = 0;
    while (name && k < out->group_count && strcmp(out->groups[k], name) != 0)
        k++;
    if (!name || k < out->group_count)
        return S2A_OK;
    out->groups[k] = strdup(name);
    if (!out->groups[k])
        return error_nomem(err);
    out->group_count++;
    return S2A_OK;
}

static s2a_status list_groups(const eval_run *run, eval_summary *out, s2a_error *err)
{
    out->groups = array_new(2 * run->item_count, sizeof *out->groups);
    s2a_status status = out->groups ? S2A_OK : error_nomem(err);
    for (size_t i = 0; i < run->item_count && status == S2A_OK; i++)
        status = group_note(out, run->items[i].group, err);
    for (size_t i = 0; i < run->item_count && status == S2A_OK; i++)
        status = group_note(out, run->items[i].facet, err);
    return status;
}

/* t->items becomes the items of the group, all for NULL; returns how many, and the run's own string
 * for the group. */
static size_t choose_items(table *t, const char *group, const char **name)
{
    size_t count = 0;
    *name = NULL;
    for (size_t i = 0; i < t->run->item_count; i++) {
        const eval_item *item = &t->run->items[i];
        bool of_group = group && !strcmp(item->group, group);
        if (group && !of_group && (!item->facet || strcmp(item->facet, group) != 0))
            continue;
        if (group && count == 0)
            *name = of_group ? item->group : item->facet;
        t->items[count++] = i;
    }
    return count;
}

static s2a_status fill_figures(table *t, eval_summary *out, s2a_error *err)
{
    const eval_run *run = t->run;
    out->figures = array_new((out->group_count + 1) * run->arm_count, sizeof *out->figures);
    if (!out->figures)
        return error_nomem(err);
    for (size_t group = 0; group <= out->group_count; group++) {
        const char *name = NULL;
        size_t item_count = choose_items(t, group > 0 ? out->groups[group - 1] : NULL, &name);
        for (size_t arm = 0; arm < run->arm_count; arm++) {
            eval_figure *f = &out->figures[out->count++];
            *f = undefined(run->arms[arm], name);
            s2a_status status = fill_figure(t, f, arm, item_count, err);
            if (status)
                return status;
        }
    }
    return S2A_OK;
}

/* By arm; within one, in the order in which reasons turn up. */
static s2a_status count_fallbacks(const table *t, eval_summary *out, s2a_error *err)
{
    out->fallbacks = array_new(t->run->record_count, sizeof *out->fallbacks);
    if (!out->fallbacks)
        return error_nomem(err);
    for (size_t i = 0; i < t->run->record_count; i++) {
        const eval_record *record = t->rows[i].record;
        const char *arm = t->run->arms[t->rows[i].arm];
        if (!fell_back(record))
            continue;
        size_t k = 0;
        while (k < out->fallback_count && (out->fallbacks[k].arm != arm ||
                                           strcmp(out->fallbacks[k].reason, record->fallback) != 0))
            k++;
        if (k == out->fallback_count)
            out->fallbacks[out->fallback_count++] =
                (eval_fallback_count){ arm, record->fallback, 0 };
        out->fallbacks[k].count++;
    }
    return S2A_OK;
}

s2a_status eval_summarise(const eval_run *run, size_t rounds, eval_summary *out, s2a_error *err)
{
    table t;
    *out = (eval_summary){ 0 };
    s2a_status status = table_init(&t, run, rounds, err);
    if (!status)
        status = list_groups(run, out, err);
    if (!status)
        status = fill_figures(&t, out, err);
    if (!status)
        status = count_fallbacks(&t, out, err);
    table_free(&t);
    if (status)
        eval_summary_free(out);
    return status;
}

void eval_summary_free(eval_summary *summary)
{
    if (!summary)
        return;
    for (size_t i = 0; i < summary->group_count; i++)
        free(summary->groups[i]);
    free(summary->groups);
    free(summary->fallbacks);
    free(summary->figures);
    *summary = (eval_summary){ 0 };
}

const eval_figure *eval_summary_find(const eval_summary *summary, const char *arm,
                                     const char *group)
{
    for (size_t i = 0; i < summary->count; i++) {
        const eval_figure *f = &summary->figures[i];
        if (!strcmp(f->arm, arm) && !f->group == !group && (!group || !strcmp(f->group, group)))
            return f;
    }
    return NULL;
}
