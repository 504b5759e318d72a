#include "eval/judgement.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEVEL 0.95

typedef struct scored {
    double score;
    bool needed, kept;
    const char *group;
} scored;

typedef struct gathered {
    scored *units;
    size_t count;
} gathered;

/* ---- gathering ---------------------------------------------------------------------------- */

/* Records follow the order of the items, so the next item is nearly always the same or the next. */
static const char *group_of(const eval_run *run, const char *id, size_t *at)
{
    for (size_t tried = 0; tried < run->item_count; tried++) {
        if (!strcmp(run->items[*at].id, id))
            return run->items[*at].group;
        *at = (*at + 1) % run->item_count;
    }
    return NULL;
}

static bool counts_in(const eval_unit *u)
{
    return u->label != EVAL_MIXED && isfinite(u->score);
}

/* Other arms than select may go by the same scores, and not by the threshold. */
static size_t scored_in(const eval_record *record)
{
    return strcmp(record->arm, "select") ? 0 : record->unit_count;
}

static bool gather(const eval_run *run, gathered *out)
{
    size_t all = 0, at = 0;
    for (size_t r = 0; r < run->record_count; r++)
        all += scored_in(&run->records[r]);
    *out = (gathered){ .units = calloc(all + 1, sizeof *out->units) };
    for (size_t r = 0; out->units && r < run->record_count; r++) {
        const eval_record *record = &run->records[r];
        size_t count = scored_in(record);
        const char *group = count > 0 ? group_of(run, record->item, &at) : NULL;
        for (size_t i = 0; i < count; i++) {
            const eval_unit *u = &record->units[i];
            if (counts_in(u))
                out->units[out->count++] =
                    (scored){ u->score, u->label == EVAL_NEEDED, u->kept, group };
        }
    }
    return out->units != NULL;
}

/* ---- groups ------------------------------------------------------------------------------- */

static void count_unit(judgement_counts *n, bool needed, bool kept)
{
    n->needed += needed;
    n->needed_kept += needed && kept;
    n->distractors += !needed;
    n->distractors_removed += !needed && !kept;
}

static bool group_fill(const gathered *g, judgement_group *out)
{
    double *score = calloc(g->count + 1, sizeof *score);
    bool *needed = calloc(g->count + 1, sizeof *needed);
    size_t n = 0;
    for (size_t i = 0; score && needed && i < g->count; i++) {
        const scored *u = &g->units[i];
        if (out->group && (!u->group || strcmp(u->group, out->group) != 0))
            continue;
        count_unit(&out->counts, u->needed, u->kept);
        score[n] = u->score;
        needed[n++] = u->needed;
    }
    bool ok = score && needed;
    out->auc = ok ? stats_auc(score, needed, n) : NAN;
    if (isnan(out->auc) && out->counts.needed > 0 && out->counts.distractors > 0)
        ok = false; /* out of memory: it is defined */
    free(score);
    free(needed);
    return ok;
}

/* All, and every group that has a scored unit where there are at least two. */
static bool groups_fill(const eval_run *run, const gathered *g, eval_judgement *out)
{
    out->groups = calloc(run->item_count + 2, sizeof *out->groups);
    if (!out->groups)
        return false;
    out->group_count = 1;
    for (size_t i = 0; i < g->count; i++) {
        size_t k = 1;
        while (k < out->group_count && g->units[i].group &&
               strcmp(out->groups[k].group, g->units[i].group) != 0)
            k++;
        if (k == out->group_count && g->units[i].group)
            out->groups[out->group_count++].group = g->units[i].group;
    }
    if (out->group_count == 2)
        out->group_count = 1;
    for (size_t k = 0; k < out->group_count; k++)
        if (!group_fill(g, &out->groups[k]))
            return false;
    return true;
}

/* ---- curves ------------------------------------------------------------------------------- */

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

/* A point before the lowest score, and one after each score; every step-th of them and the last. */
static bool roc_fill(const gathered *g, eval_judgement *out)
{
    judgement_counts now = out->groups[0].counts;
    now.needed_kept = now.needed;
    now.distractors_removed = 0;
    size_t distinct = 0, seen = 0;
    for (size_t i = 0; i < g->count; i++)
        distinct += i == 0 || g->units[i].score != g->units[i - 1].score;
    size_t step = distinct / (JUDGEMENT_ROC_MAX - 2) + 1;
    out->roc = calloc(distinct / step + 3, sizeof *out->roc);
    if (!out->roc)
        return false;
    out->roc[out->roc_count++] = (judgement_point){ g->count ? g->units[0].score : 0, now };
    for (size_t i = 0; i < g->count;) {
        double score = g->units[i].score;
        for (; i < g->count && g->units[i].score == score; i++) {
            now.needed_kept -= g->units[i].needed;
            now.distractors_removed += !g->units[i].needed;
        }
        double next = i < g->count ? g->units[i].score : INFINITY;
        if (++seen % step == 0 || i == g->count)
            out->roc[out->roc_count++] = (judgement_point){ next, now };
    }
    return true;
}

static void bins_fill(const gathered *g, eval_judgement *out)
{
    double first = -JUDGEMENT_BIN_NATS * JUDGEMENT_BINS / 2;
    for (int b = 0; b < JUDGEMENT_BINS; b++)
        out->bins[b] = (judgement_bin){
            .low = b > 0 ? first + JUDGEMENT_BIN_NATS * b : -INFINITY,
            .high = b + 1 < JUDGEMENT_BINS ? first + JUDGEMENT_BIN_NATS * (b + 1) : INFINITY,
        };
    for (size_t i = 0; i < g->count; i++) {
        judgement_bin *b = out->bins;
        while (g->units[i].score >= b->high)
            b++;
        b->units++;
        b->needed += g->units[i].needed;
        b->expected += 1 / (1 + exp(-g->units[i].score));
    }
    for (judgement_bin *b = out->bins; b < out->bins + JUDGEMENT_BINS; b++) {
        b->expected = b->units > 0 ? b->expected / (double)b->units : NAN;
        b->share = b->units > 0 ? (double)b->needed / (double)b->units : NAN;
        b->ci =
            b->units > 0 ? stats_wilson(b->needed, b->units, LEVEL) : (stats_interval){ NAN, NAN };
    }
}

s2a_status eval_judgement_make(const eval_run *run, eval_judgement *out, s2a_error *err)
{
    *out = (eval_judgement){ .groups = NULL };
    gathered g;
    bool ok = gather(run, &g);
    if (ok && g.count > 0) {
        ok = groups_fill(run, &g, out);
        qsort(g.units, g.count, sizeof *g.units, by_score);
        ok = ok && roc_fill(&g, out);
        if (ok)
            bins_fill(&g, out);
    }
    free(g.units);
    if (ok)
        return S2A_OK;
    eval_judgement_free(out);
    return error_nomem(err);
}

void eval_judgement_free(eval_judgement *j)
{
    free(j->groups);
    free(j->roc);
    *j = (eval_judgement){ .groups = NULL };
}
