/* A search over a coarse grid: few units are known, so a finer one would only follow their noise. The
 * grid's step follows the model's own scale, which differs between models by a factor of ten. Who
 * stays is asked of select_decide, so that borders are judged by the rule that they are for. */
#include "core/calibrate.h"

#include "core/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 40 /* of an axis */

typedef struct fitting {
    const calibrate_unit *units;
    select_unit *judged; /* the same, as select_decide takes them */
    size_t count;
    int half;      /* 0 or 1: prompts of that half alone; -1: all */
    double margin; /* nats: what a needed unit must be above the border to count as kept */
} fitting;

/* The values that a border is tried at. */
typedef struct axis {
    double values[STEPS_MAX + 2];
    size_t count;
} axis;

/* What borders are worth: compared from the first to the last. */
typedef struct worth {
    bool keeps;     /* enough of the needed units */
    double removed; /* mean share of unrelated units and opinions that go */
    double slack;   /* nats between the borders and the nearest unit that is dealt with rightly */
} worth;

/* ---- judging ------------------------------------------------------------------------------ */

static void units_fill(const calibrate_unit *units, size_t count, select_unit *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (select_unit){ .judged = true,
                                .needed = units[i].needed,
                                .unrelated = units[i].unrelated,
                                .opinion = units[i].opinion };
}

/* Scores and who stays, prompt by prompt. */
static void judge_all(const fitting *f, const s2a_calibration *borders)
{
    for (size_t i = 0, end; i < f->count; i = end) {
        end = i + 1;
        while (end < f->count && f->units[end].prompt == f->units[i].prompt)
            end++;
        select_input in = { .count = end - i, .preset = S2A_PRESET_AUTO, .calibration = borders };
        if (f->half < 0 || (int)(f->units[i].prompt % 2) == f->half)
            (void)select_decide(&in, f->judged + i, NULL); /* fails for in.keep alone */
    }
}

static bool belongs(const fitting *f, size_t i)
{
    return f->half < 0 || (int)(f->units[i].prompt % 2) == f->half;
}

static void count_all(const fitting *f, const s2a_calibration *borders, calibrate_counts *out)
{
    judge_all(f, borders);
    for (size_t i = 0; i < f->count; i++) {
        if (!belongs(f, i))
            continue;
        calibrate_kind kind = f->units[i].kind;
        out->all[kind]++;
        out->right[kind] += f->judged[i].kept == (kind == CALIBRATE_NEEDED);
    }
}

s2a_status calibrate_count(const calibrate_unit *units, size_t count,
                           const s2a_calibration *borders, calibrate_counts *out, s2a_error *err)
{
    *out = (calibrate_counts){ { 0 }, { 0 } };
    fitting f = {
        .units = units, .count = count, .half = -1, .judged = calloc(count + 1, sizeof *f.judged)
    };
    if (!f.judged)
        return error_nomem(err);
    units_fill(units, count, f.judged);
    count_all(&f, borders, out);
    free(f.judged);
    return S2A_OK;
}

/* ---- what the figures are like ------------------------------------------------------------ */

static double figure_of(const calibrate_unit *u, calibrate_kind against)
{
    return u->needed - (against == CALIBRATE_OPINION ? u->opinion : u->unrelated);
}

/* The share of pairs, one of either kind, in which the needed unit has the higher figure. */
static double auc_of(const calibrate_unit *units, size_t count, calibrate_kind against)
{
    double won = 0, pairs = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; units[i].kind == CALIBRATE_NEEDED && k < count; k++) {
            if (units[k].kind != against)
                continue;
            double a = figure_of(&units[i], against), b = figure_of(&units[k], against);
            won += a > b ? 1 : a < b ? 0 : 0.5;
            pairs++;
        }
    return pairs > 0 ? won / pairs : NAN;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The figure of the units of a kind that a share of them is below; scratch holds count numbers. */
static double quantile(const fitting *f, calibrate_kind kind, calibrate_kind against, double share,
                       double *scratch)
{
    size_t n = 0;
    for (size_t i = 0; i < f->count; i++)
        if (f->units[i].kind == kind)
            scratch[n++] = figure_of(&f->units[i], against);
    qsort(scratch, n, sizeof *scratch, by_value);
    return n > 0 ? scratch[(size_t)(share * (double)(n - 1))] : NAN;
}

/* A sixteenth of the way between the kinds, as a power of two: half a nat for the models that this
 * was made with. */
static double step_of(const fitting *f, calibrate_kind against, double *scratch)
{
    double gap = quantile(f, CALIBRATE_NEEDED, against, 0.5, scratch) -
                 quantile(f, against, against, 0.5, scratch);
    double step = exp2(round(log2(fmax(gap, 1e-9) / 16)));
    return step < 1.0 / 64 ? 1.0 / 64 : step > 4 ? 4 : step;
}

/* From well below the lowest needed units to the middle of them; the harmless border comes first. */
static void axis_fill(const fitting *f, calibrate_kind against, double step, double *scratch,
                      axis *out)
{
    double low = quantile(f, CALIBRATE_NEEDED, against, 0.02, scratch) - 8 * step;
    double high = quantile(f, CALIBRATE_NEEDED, against, 0.5, scratch);
    while ((high - low) / step > STEPS_MAX)
        step *= 2;
    out->values[0] = CALIBRATE_HARMLESS;
    out->count = 1;
    for (double at = ceil(low / step); at * step <= high && out->count <= STEPS_MAX; at++)
        out->values[out->count++] = at * step;
}

/* ---- searching ---------------------------------------------------------------------------- */

static worth worth_of(const fitting *f, const s2a_calibration *borders)
{
    calibrate_counts n = { { 0 }, { 0 } };
    worth w = { .slack = INFINITY };
    judge_all(f, borders);
    for (size_t i = 0; i < f->count; i++) {
        if (!belongs(f, i))
            continue;
        calibrate_kind kind = f->units[i].kind;
        double score = f->judged[i].score;
        bool right = kind == CALIBRATE_NEEDED ? score >= f->margin : score < 0;
        n.all[kind]++;
        n.right[kind] += right;
        if (right)
            w.slack = fmin(w.slack, fabs(score));
    }
    double kinds = 0;
    for (int kind = CALIBRATE_UNRELATED; kind < CALIBRATE_KINDS; kind++) {
        if (n.all[kind] == 0)
            continue;
        w.removed += (double)n.right[kind] / (double)n.all[kind];
        kinds++;
    }
    w.removed = kinds > 0 ? w.removed / kinds : 0;
    double lost = (double)(n.all[CALIBRATE_NEEDED] - n.right[CALIBRATE_NEEDED]);
    w.keeps = lost <= fmax(1, (1 - CALIBRATE_NEEDED_KEPT) * (double)n.all[CALIBRATE_NEEDED]);
    return w;
}

static bool better(const worth *a, const worth *b)
{
    if (a->keeps != b->keeps)
        return a->keeps;
    if (fabs(a->removed - b->removed) > 1e-9)
        return a->removed > b->removed;
    return a->slack > b->slack + 1e-9;
}

/* All borders of relevance at one border of opinions. */
static void search_relevance(const fitting *f, const axis *relevance, double step,
                             s2a_calibration at, s2a_calibration *best, worth *best_worth)
{
    static const double ratios[] = { 0, 0.2, 0.3, 0.4, 0.5, 0.6 };
    static const double caps[] = { 4, 6, 8, 10 }; /* steps */
    for (size_t b = 0; b < relevance->count; b++)
        for (size_t r = 0; r < sizeof ratios / sizeof ratios[0]; r++)
            for (size_t c = 0; c < sizeof caps / sizeof caps[0]; c++) {
                if ((ratios[r] == 0 || relevance->values[b] == CALIBRATE_HARMLESS) && r + c > 0)
                    continue; /* without a rise one is enough */
                at.relevance_border = relevance->values[b];
                at.relevance_ratio = ratios[r];
                at.relevance_cap = ratios[r] > 0 ? caps[c] * step : 0;
                worth w = worth_of(f, &at);
                if (better(&w, best_worth)) {
                    *best = at;
                    *best_worth = w;
                }
            }
}

/* The best borders on a half, or on everything. A judgement that does not separate has one border. */
static s2a_calibration search(fitting *f, int half, const axis *relevance, const axis *opinion,
                              double step)
{
    s2a_calibration best = { .relevance_border = CALIBRATE_HARMLESS,
                             .opinion_border = CALIBRATE_HARMLESS };
    f->half = half;
    worth most = worth_of(f, &best);
    for (size_t o = 0; o < opinion->count; o++) {
        s2a_calibration at = { .relevance_border = CALIBRATE_HARMLESS,
                               .opinion_border = opinion->values[o] };
        if (worth_of(f, &at).keeps) /* relevance can only cut more */
            search_relevance(f, relevance, step, at, &best, &most);
    }
    if (best.relevance_border == 0 && best.relevance_ratio == 0 && best.opinion_border == 0)
        best.opinion_border = -1e-6;
    return best;
}

static s2a_status input_check(const calibrate_unit *units, size_t count, s2a_error *err)
{
    bool needed = false;
    if (count > CALIBRATE_MAX_UNITS)
        return error_set(err, S2A_LIMIT, "calibration: more than the limit of %zu units",
                         CALIBRATE_MAX_UNITS);
    for (size_t i = 0; i < count; i++) {
        needed |= units[i].kind == CALIBRATE_NEEDED;
        if (!isfinite(units[i].needed) || !isfinite(units[i].unrelated) ||
            !isfinite(units[i].opinion))
            return error_set(err, S2A_INPUT,
                             "calibration: unit %zu of prompt %zu has a "
                             "log-probability that is no number",
                             i + 1, units[i].prompt + 1);
    }
    return needed ? S2A_OK : error_set(err, S2A_INPUT, "calibration: no unit is needed");
}

s2a_status calibrate_fit(const calibrate_unit *units, size_t count, calibrate_result *out,
                         s2a_error *err)
{
    *out = (calibrate_result){ .relevance_auc = NAN, .opinion_auc = NAN };
    s2a_status status = input_check(units, count, err);
    if (status != S2A_OK)
        return status;
    fitting f = {
        .units = units, .count = count, .half = -1, .judged = calloc(count, sizeof *f.judged)
    };
    double *scratch = calloc(count, sizeof *scratch);
    if (!f.judged || !scratch) {
        free(f.judged);
        free(scratch);
        return error_nomem(err);
    }
    units_fill(units, count, f.judged);
    out->relevance_auc = auc_of(units, count, CALIBRATE_UNRELATED);
    out->opinion_auc = auc_of(units, count, CALIBRATE_OPINION);
    out->relevance = out->relevance_auc >= CALIBRATE_LEAST_AUC;
    out->opinion = out->opinion_auc >= CALIBRATE_LEAST_AUC;
    axis relevance = { .values = { CALIBRATE_HARMLESS }, .count = 1 }, opinion = relevance;
    double step = out->relevance ? step_of(&f, CALIBRATE_UNRELATED, scratch) : INFINITY;
    double opinion_step = out->opinion ? step_of(&f, CALIBRATE_OPINION, scratch) : INFINITY;
    if (out->relevance)
        axis_fill(&f, CALIBRATE_UNRELATED, step, scratch, &relevance);
    if (out->opinion)
        axis_fill(&f, CALIBRATE_OPINION, opinion_step, scratch, &opinion);
    f.margin = out->relevance || out->opinion ? fmin(step, opinion_step) : 0;
    out->borders = search(&f, -1, &relevance, &opinion, step);
    out->relevance &= out->borders.relevance_border > CALIBRATE_HARMLESS;
    out->opinion &= out->borders.opinion_border > CALIBRATE_HARMLESS;
    count_all(&f, &out->borders, &out->chosen);
    for (int half = 0; half < 2; half++) {
        s2a_calibration other = search(&f, 1 - half, &relevance, &opinion, step);
        f.half = half;
        count_all(&f, &other, &out->held_out);
    }
    free(f.judged);
    free(scratch);
    return S2A_OK;
}
