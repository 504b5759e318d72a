/* The only file that includes linear.h. The fits use states scaled to mean 0 and deviation 1. Their
 * weights are then converted for unscaled states. */
#include "teach/teach.h"

#include "base/cancel.h"
#include "base/error.h"

#include <linear.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COST 0.001 /* liblinear's C, as in scripts/judge/teach.py; no other was tried */
#define FIT_EPS 0.01
/* C for fits on all units: with more units the penalty would weigh less, and the weights would be
 * larger than in the fits that scale and offset were found for. */
#define COST_OF_ALL (COST * (TEACH_FOLDS - 1) / TEACH_FOLDS)

typedef struct teaching {
    const teach_unit *units;
    size_t count, width; /* width: numbers of a row */
    const s2a_cancel *cancel;
    s2a_error *err;
    double *mean, *deviation;
    struct feature_node *nodes; /* [unit][width + 2] */
    double *held; /* [row][unit]: value from the fit without the unit's kind; NaN = none */
} teaching;

/* A row of the head, and the labels that it tells apart. */
typedef struct task {
    head_row row;
    head_form form;
    teaching_label against; /* needed against this; EITHER: asked against not asked */
} task;

static const task tasks[] = {
    { HEAD_ROW_UNRELATED, HEAD_AGAIN, TEACH_UNRELATED },
    { HEAD_ROW_OPINION, HEAD_AGAIN, TEACH_OPINION },
    { HEAD_ROW_ASKED, HEAD_AGAIN, TEACH_EITHER },
    { HEAD_ROW_SUPPORT, HEAD_APART, TEACH_UNRELATED },
    { HEAD_ROW_ORDER, HEAD_APART, TEACH_ORDER },
};
#define TASKS (sizeof tasks / sizeof tasks[0])

/* 1: the side with high values; -1: the other side; 0: neither. */
static int side_of(const task *t, const teach_unit *u)
{
    if (u->form != t->form || u->label == TEACH_EITHER)
        return 0;
    if (t->against == TEACH_EITHER)
        return u->asked ? 1 : -1;
    return u->label == TEACH_NEEDED ? 1 : u->label == t->against ? -1 : 0;
}

static unsigned fold_of(const teach_unit *u)
{
    return u->kind % TEACH_FOLDS;
}

/* ---- numbers ------------------------------------------------------------------------------ */

static void standard_find(teaching *t)
{
    for (size_t k = 0; k < t->width; k++) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < t->count; i++) {
            double v = (double)t->units[i].state[k];
            sum += v;
            square += v * v;
        }
        double n = (double)t->count, mean = sum / n, variance = square / n - mean * mean;
        t->mean[k] = mean;
        t->deviation[k] = variance > 1e-12 ? sqrt(variance) : 1;
    }
}

static void nodes_fill(teaching *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct feature_node *row = t->nodes + i * (t->width + 2);
        for (size_t k = 0; k < t->width; k++)
            row[k] =
                (struct feature_node){ (int)k + 1, ((double)t->units[i].state[k] - t->mean[k]) /
                                                       t->deviation[k] };
        row[t->width] = (struct feature_node){ (int)t->width + 1, 1 };
        row[t->width + 1].index = -1;
    }
}

static void say_nothing(const char *text)
{
    (void)text;
}

/* ---- one fit ------------------------------------------------------------------------------ */

/* Fits the units outside the fold (TEACH_FOLDS: all units). *weights: [width + 1], the last is the
 * constant; NULL if one of the two sides is missing. */
static s2a_status fit(const teaching *t, const task *k, unsigned fold, double **weights)
{
    struct feature_node **x = calloc(t->count + 1, sizeof *x);
    double *y = calloc(t->count + 1, sizeof *y), of_side[2] = { 0 };
    int n = 0, names[2] = { 1, -1 };
    *weights = NULL;
    if (!x || !y) {
        free(x);
        free(y);
        return error_nomem(t->err);
    }
    for (size_t i = 0; i < t->count; i++) {
        int side = side_of(k, &t->units[i]);
        if (side == 0 || fold_of(&t->units[i]) == fold)
            continue;
        x[n] = t->nodes + i * (t->width + 2);
        y[n++] = side;
        of_side[side < 0]++;
    }
    if (of_side[0] > 0 && of_side[1] > 0) {
        double balance[2] = { n / (2 * of_side[0]), n / (2 * of_side[1]) };
        struct problem p = { .l = n, .n = (int)t->width + 1, .y = y, .x = x, .bias = 1 };
        struct parameter how = { .solver_type = L2R_LR,
                                 .eps = FIT_EPS,
                                 .nr_weight = 2,
                                 .C = fold < TEACH_FOLDS ? COST : COST_OF_ALL,
                                 .weight_label = names,
                                 .weight = balance };
        struct model *m = train(&p, &how);
        *weights = calloc(t->width + 1, sizeof **weights);
        for (size_t i = 0; *weights && i <= t->width; i++)
            (*weights)[i] = m->label[0] == 1 ? m->w[i] : -m->w[i];
        free_and_destroy_model(&m);
    }
    free(x);
    free(y);
    return !*weights && of_side[0] > 0 && of_side[1] > 0 ? error_nomem(t->err) : S2A_OK;
}

static double value(const teaching *t, const double *weights, size_t unit)
{
    const struct feature_node *row = t->nodes + unit * (t->width + 2);
    double sum = weights[t->width];
    for (size_t k = 0; k < t->width; k++)
        sum += weights[k] * row[k].value;
    return sum;
}

/* ---- values for kinds that a fit has not seen --------------------------------------------- */

static s2a_status held_fill(teaching *t, const task *k)
{
    double *held = t->held + k->row * t->count;
    for (unsigned fold = 0; fold < TEACH_FOLDS; fold++) {
        double *weights = NULL;
        if (cancel_fired(t->cancel))
            return error_set(t->err, S2A_CANCELLED, "cancelled");
        s2a_status status = fit(t, k, fold, &weights);
        if (status != S2A_OK)
            return status;
        for (size_t i = 0; i < t->count; i++)
            if (t->units[i].form == k->form && fold_of(&t->units[i]) == fold)
                held[i] = weights ? value(t, weights, i) : NAN;
        free(weights);
    }
    return S2A_OK;
}

/* Log-odds = a * value + b, by Newton's method on the held-out values (Platt). Both targets are
 * moved inwards by one unit, as Platt does, so that a few outliers matter little. */
static void odds_fit(const teaching *t, const task *k, double *a, double *b)
{
    const double *held = t->held + k->row * t->count;
    double n[2] = { 0 };
    *a = 1;
    *b = 0;
    for (size_t i = 0; i < t->count; i++)
        if (side_of(k, &t->units[i]) != 0 && isfinite(held[i]))
            n[side_of(k, &t->units[i]) < 0]++;
    double high = (n[0] + 1) / (n[0] + 2), low = 1 / (n[1] + 2);
    for (int step = 0; step < 50; step++) {
        double g[2] = { 0 }, h[3] = { 1e-9, 0, 1e-9 };
        for (size_t i = 0; i < t->count; i++) {
            int side = side_of(k, &t->units[i]);
            if (side == 0 || !isfinite(held[i]))
                continue;
            double p = 1 / (1 + exp(-(*a * held[i] + *b))), d = p - (side > 0 ? high : low),
                   w = p * (1 - p);
            g[0] += d * held[i];
            g[1] += d;
            h[0] += w * held[i] * held[i];
            h[1] += w * held[i];
            h[2] += w;
        }
        double det = h[0] * h[2] - h[1] * h[1];
        if (!(fabs(det) > 1e-12))
            break;
        double da = (h[2] * g[0] - h[1] * g[1]) / det, db = (h[0] * g[1] - h[1] * g[0]) / det;
        double limit = fmax(1, fmax(fabs(da), fabs(db)) / 2);
        *a -= da / limit;
        *b -= db / limit;
        if (fabs(da) + fabs(db) < 1e-8)
            break;
    }
    *a = *a > 1e-3 ? *a : 1e-3;
}

typedef struct scored {
    double score;
    bool good;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

/* The AUC: the share of pairs of a good and a bad one in which the good one has the higher score.
 * Sorts s. */
static double auc_of(scored *s, size_t n)
{
    double won = 0, good = 0, seen = 0;
    qsort(s, n, sizeof *s, by_score);
    for (size_t i = 0, end; i < n; i = end) {
        double goods = 0, others = 0;
        for (end = i; end < n && s[end].score <= s[i].score; end++) {
            goods += s[end].good;
            others += !s[end].good;
        }
        won += goods * (seen + others / 2);
        good += goods;
        seen += others;
    }
    return good > 0 && seen > 0 ? won / (good * seen) : NAN;
}

/* The score that s2a_attend would use, from held-out values; HUGE_VAL: kept whatever its score. */
static double score_of(const teaching *t, const judge_head *h, size_t i)
{
    double odds[HEAD_ROWS];
    for (size_t r = 0; r < HEAD_ROWS; r++)
        odds[r] = h->offset[r] + h->scale[r] * t->held[r * t->count + i];
    if (t->units[i].form == HEAD_APART)
        return odds[HEAD_ROW_ORDER];
    return odds[HEAD_ROW_ASKED] >= 0
               ? HUGE_VAL
               : head_needed(odds[HEAD_ROW_UNRELATED], odds[HEAD_ROW_OPINION]);
}

typedef struct counts {
    double units[TEACH_EITHER + 1], removed[TEACH_EITHER + 1], clean, unchanged;
} counts;

/* Counts a form's units that a threshold removes, and the clean prompts that stay unchanged. */
static counts count_all(const teaching *t, const double *scores, head_form form, double border)
{
    counts n = { .clean = 0 };
    for (size_t i = 0, end; i < t->count; i = end) {
        bool clean = true, changed = false;
        for (end = i; end < t->count && t->units[end].prompt == t->units[i].prompt; end++) {
            const teach_unit *u = &t->units[end];
            if (u->form != form || isnan(scores[end]))
                continue;
            bool goes = scores[end] < border;
            n.units[u->label]++;
            n.removed[u->label] += goes;
            clean &= u->label == TEACH_NEEDED || u->label == TEACH_EITHER;
            changed |= goes && u->label == TEACH_NEEDED;
        }
        n.clean += clean && t->units[i].form == form;
        n.unchanged += clean && !changed && t->units[i].form == form;
    }
    return n;
}

/* The highest threshold that leaves enough clean prompts unchanged; TEACH_HARMLESS if none does. */
static double border_of(const teaching *t, const double *scores, head_form form)
{
    double best = TEACH_HARMLESS;
    for (double border = -8; border <= 0; border += 0.1) {
        counts n = count_all(t, scores, form, border);
        if (n.clean > 0 && n.unchanged >= TEACH_UNCHANGED * n.clean)
            best = border;
    }
    return best;
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

static s2a_status judge(const teaching *t, judge_head *h, s2a_calibration_report *r)
{
    double *scores = calloc(t->count + 1, sizeof *scores);
    scored *pairs = calloc(t->count + 1, sizeof *pairs);
    if (!scores || !pairs) {
        free(scores);
        free(pairs);
        return error_nomem(t->err);
    }
    size_t n[HEAD_FORMS] = { 0 };
    for (size_t i = 0; i < t->count; i++)
        scores[i] = score_of(t, h, i);
    for (int form = HEAD_AGAIN; form < HEAD_FORMS; form++) {
        for (size_t i = 0; i < t->count; i++)
            if ((int)t->units[i].form == form && t->units[i].label != TEACH_EITHER &&
                !isnan(scores[i]))
                pairs[n[form]++] = (scored){ scores[i], t->units[i].label == TEACH_NEEDED };
        double auc = auc_of(pairs, n[form]);
        *(form == HEAD_AGAIN ? &r->auc : &r->order_auc) = auc;
        bool cuts = auc >= TEACH_LEAST_AUC;
        double border = cuts ? border_of(t, scores, (head_form)form) : TEACH_HARMLESS;
        counts at = count_all(t, scores, (head_form)form, border);
        cuts = cuts && border > TEACH_HARMLESS;
        if (form == HEAD_AGAIN) {
            h->thresholds = (head_thresholds){ border, border, border, TEACH_HARMLESS };
            r->cuts = cuts;
            r->needed_kept =
                share(at.units[TEACH_NEEDED] - at.removed[TEACH_NEEDED], at.units[TEACH_NEEDED]);
            r->unrelated_removed = share(at.removed[TEACH_UNRELATED], at.units[TEACH_UNRELATED]);
            r->opinion_removed = share(at.removed[TEACH_OPINION], at.units[TEACH_OPINION]);
            r->clean_unchanged = share(at.unchanged, at.clean);
        } else {
            h->thresholds.untrusted = border;
            r->cuts_orders = cuts;
            r->order_removed = share(at.removed[TEACH_ORDER], at.units[TEACH_ORDER]);
            r->documents_unchanged = share(at.unchanged, at.clean);
        }
        n[form] = 0;
    }
    h->second = h->thresholds; /* too few prompts to find higher ones */
    free(scores);
    free(pairs);
    return S2A_OK;
}

/* ---- the head ----------------------------------------------------------------------------- */

/* Fills the head's row: weights for unscaled states. */
static s2a_status row_fill(const teaching *t, const task *k, judge_head *h)
{
    double *weights = NULL, constant, a, b;
    if (cancel_fired(t->cancel))
        return error_set(t->err, S2A_CANCELLED, "cancelled");
    s2a_status status = fit(t, k, TEACH_FOLDS, &weights);
    if (status != S2A_OK || !weights)
        return status != S2A_OK ? status
                                : error_set(t->err, S2A_INPUT,
                                            "the labelled prompts have only one of two labels to "
                                            "tell apart; add the other");
    constant = weights[t->width];
    for (size_t i = 0; i < t->width; i++) {
        h->maps[k->row * t->width + i] = (float)(weights[i] / t->deviation[i]);
        constant -= weights[i] * t->mean[i] / t->deviation[i];
    }
    free(weights);
    odds_fit(t, k, &a, &b);
    h->scale[k->row] = a;
    h->offset[k->row] = a * constant + b;
    return S2A_OK;
}

/* Scale and offset for held-out values, which include the constant. */
static void held_odds(const teaching *t, judge_head *h)
{
    for (size_t k = 0; k < TASKS; k++)
        odds_fit(t, &tasks[k], &h->scale[tasks[k].row], &h->offset[tasks[k].row]);
}

static s2a_status teach(teaching *t, judge_head *h, s2a_calibration_report *report)
{
    s2a_status status = S2A_OK;
    set_print_string_function(say_nothing);
    standard_find(t);
    nodes_fill(t);
    for (size_t i = 0; i < HEAD_ROWS * t->count; i++)
        t->held[i] = NAN;
    for (size_t k = 0; k < TASKS && status == S2A_OK; k++)
        status = held_fill(t, &tasks[k]);
    if (status == S2A_OK) {
        held_odds(t, h);
        status = judge(t, h, report);
    }
    for (size_t k = 0; k < TASKS && status == S2A_OK; k++)
        status = row_fill(t, &tasks[k], h);
    return status;
}

s2a_status teach_fit(const teach_unit *units, size_t count, const s2a_cancel *cancel,
                     judge_head *out, s2a_calibration_report *report, s2a_error *err)
{
    teaching t = { .units = units,
                   .count = count,
                   .width = out->layer_count * 2 * out->width,
                   .cancel = cancel,
                   .err = err };
    *report = (s2a_calibration_report){ .units = count };
    if (count == 0)
        return error_set(err, S2A_INPUT,
                         "no labelled sentence was read; prompts must fit the model's context");
    report->prompts = units[count - 1].prompt + 1;
    t.mean = calloc(t.width, sizeof *t.mean);
    t.deviation = calloc(t.width, sizeof *t.deviation);
    t.nodes = calloc(count * (t.width + 2), sizeof *t.nodes);
    t.held = calloc(HEAD_ROWS * count, sizeof *t.held);
    out->maps = calloc(HEAD_ROWS * t.width, sizeof *out->maps);
    s2a_status status = t.mean && t.deviation && t.nodes && t.held && out->maps
                            ? teach(&t, out, report)
                            : error_nomem(err);
    free(t.mean);
    free(t.deviation);
    free(t.nodes);
    free(t.held);
    return status;
}
