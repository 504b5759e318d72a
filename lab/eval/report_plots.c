/* Which plots a run gets. They follow the paper's Figures 5 to 8 where its tasks are the same. */
#include "base/limits.h"
#include "eval/plot.h"
#include "eval/report_parts.h"

#include "base/error.h"
#include "base/outfile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARMS_MAX 18
#define CELLS_MAX 24 /* categories of a plot, or points of a line */

/* One plot in the making: rows are arms (or steps), columns categories or values of x. */
typedef struct sheet {
    plot_spec spec;
    plot_series series[ARMS_MAX];
    plot_point points[ARMS_MAX][CELLS_MAX];
    plot_point curve[JUDGEMENT_ROC_MAX];
    const char *categories[CELLS_MAX];
    char subtitle[320];
} sheet;

typedef struct plotter {
    report_part *part;
    const char *dir;
    s2a_error *err;
    s2a_status status;
    sheet sheet;
} plotter;

static size_t arms_shown(const plotter *p)
{
    return p->part->run->arm_count < ARMS_MAX ? p->part->run->arm_count : ARMS_MAX;
}

static size_t groups_shown(const plotter *p)
{
    size_t count = p->part->summary.group_count;
    return count < CELLS_MAX - 1 ? count : CELLS_MAX - 1;
}

static void start(plotter *p, plot_kind kind, const char *title, const char *y_label,
                  const char *what)
{
    const eval_run *run = p->part->run;
    sheet *s = &p->sheet;
    memset(s, 0, sizeof *s);
    s->spec = (plot_spec){ .kind = kind,
                           .title = title,
                           .y_label = y_label,
                           .y_min = NAN,
                           .y_max = NAN,
                           .reference = NAN,
                           .subtitle = s->subtitle,
                           .categories = s->categories,
                           .series = s->series };
    snprintf(s->subtitle, sizeof s->subtitle,
             "%.60s, %.100s: %zu items, %zu seed%s, temperature %g; %s", run->task, run->model,
             run->item_count, p->part->seed_count, p->part->seed_count == 1 ? "" : "s",
             run->temperature, what);
}

static void add_series(sheet *s, const char *name, size_t count)
{
    size_t at = s->spec.series_count++;
    s->series[at] = (plot_series){ .name = name, .points = s->points[at], .count = count };
}

/* ---- files ------------------------------------------------------------------------------ */

static void write_files(plotter *p, report_figure *figure)
{
    buf path;
    buf_init(&path, LIMIT_NONE);
    buf_addf(&path, "%s/%s.svg", p->dir, figure->name);
    if (path.status == S2A_OK)
        p->status = outfile_write(path.data, figure->svg, figure->svg_len, p->err);
    buf_reset(&path);
    buf_addf(&path, "%s/%s.png", p->dir, figure->name);
    if (path.status != S2A_OK)
        p->status = error_nomem(p->err);
    if (p->status == S2A_OK)
        p->status = plot_write_png(&p->sheet.spec, path.data, p->err);
    buf_free(&path);
}

/* Draws the sheet; title and caption must be literals. */
static void finish(plotter *p, const char *name, const char *caption)
{
    report_part *part = p->part;
    if (p->status != S2A_OK)
        return;
    if (!array_reserve((void **)&part->figures, &part->figure_cap, part->figure_count + 1,
                       sizeof *part->figures)) {
        p->status = error_nomem(p->err);
        return;
    }
    report_figure *figure = &part->figures[part->figure_count++];
    *figure = (report_figure){ .title = p->sheet.spec.title, .caption = caption };
    buf full;
    buf_init(&full, LIMIT_NONE);
    buf_addf(&full, "%s-%s", part->slug, name);
    figure->name = buf_take(&full, NULL);
    buf_free(&full);
    if (!figure->name)
        p->status = error_nomem(p->err);
    else
        p->status = plot_svg(&p->sheet.spec, &figure->svg, &figure->svg_len, p->err);
    if (p->status == S2A_OK)
        write_files(p, figure);
}

/* ---- by arm ----------------------------------------------------------------------------- */

static void accuracy_by_arm(plotter *p)
{
    sheet *s = &p->sheet;
    char reference[48];
    start(p, PLOT_BARS, "Accuracy by arm", "accuracy", "95 % intervals");
    for (size_t a = 0; a < arms_shown(p); a++) {
        const eval_figure *f = eval_summary_find(&p->part->summary, p->part->run->arms[a], NULL);
        s->categories[a] = p->part->run->arms[a];
        s->points[0][a] = (plot_point){ (double)a, NAN, NAN, NAN };
        if (f)
            s->points[0][a] = (plot_point){ (double)a, f->accuracy, f->ci.low, f->ci.high };
        if (f && !strcmp(f->arm, "plain") && isfinite(f->accuracy)) {
            s->spec.reference = f->accuracy;
            snprintf(reference, sizeof reference, "plain %.1f %%", f->accuracy * 100);
            s->spec.reference_label = reference;
        }
    }
    s->spec.category_count = arms_shown(p);
    s->spec.percent = true;
    add_series(s, "accuracy", s->spec.category_count);
    finish(
        p, "accuracy",
        strcmp(p->part->run->task, "qa") == 0
            ? "All items, the arms side by side, as in the paper's Figure 5 (overall) and its "
              "ablation, Figure 8. The dashed line is the model without System 2 Attention."
            : "All items, the arms side by side, as in the paper's ablation, Figure 8. The dashed "
              "line is the model without System 2 Attention.");
}

/* Step 1 and step 2 side by side. */
static void cost_by_arm(plotter *p, bool tokens)
{
    sheet *s = &p->sheet;
    start(p, PLOT_BARS, tokens ? "Tokens per answer by arm" : "Milliseconds per answer by arm",
          tokens ? "tokens" : "ms", tokens ? "means" : "medians");
    for (size_t a = 0; a < arms_shown(p); a++) {
        const eval_figure *f = eval_summary_find(&p->part->summary, p->part->run->arms[a], NULL);
        double one = !f ? NAN : tokens ? f->step1_tokens : f->step1_ms;
        double two = !f ? NAN : tokens ? f->step2_tokens : f->step2_ms;
        s->categories[a] = p->part->run->arms[a];
        s->points[0][a] = (plot_point){ (double)a, one, NAN, NAN };
        s->points[1][a] = (plot_point){ (double)a, two, NAN, NAN };
    }
    s->spec.category_count = arms_shown(p);
    add_series(s, "step 1", s->spec.category_count);
    add_series(s, "step 2", s->spec.category_count);
    finish(p, tokens ? "tokens" : "ms",
           tokens
               ? "Prompt and completion tokens of each step, mean over the answers. Arms without "
                 "a step 1 spend nothing on it."
               : "Wall time of each step, median over the answers, on the machine of the run.");
}

/* ---- by group --------------------------------------------------------------------------- */

typedef enum measure { ACCURACY, OBJECTIVITY, QUALITY } measure;

static plot_point point_of(const eval_figure *f, double x, measure what)
{
    if (!f || f->n == 0)
        return (plot_point){ x, NAN, NAN, NAN };
    switch (what) {
    case OBJECTIVITY:
        return (plot_point){ x, f->objectivity, f->objectivity_ci.low, f->objectivity_ci.high };
    case QUALITY:
        return (plot_point){ x, f->quality, f->quality_ci.low, f->quality_ci.high };
    default:
        return (plot_point){ x, f->accuracy, f->ci.low, f->ci.high };
    }
}

static void by_group(plotter *p, measure what)
{
    static const struct {
        const char *title, *y_label, *file, *caption;
    } words[] = {
        { "Accuracy by group", "accuracy", "groups",
          "All items, and by what the prompt suggests or holds; for qa as in the paper's Figure "
          "5." },
        { "Objectivity by group", "objectivity (0 to 5)", "objectivity",
          "By what the user says of the argument, as in the paper's Figure 6. 5 is neutral." },
        { "Quality by group", "quality (1 to 5)", "quality",
          "By what the user says of the argument, as in the paper's Figure 6." },
    };
    sheet *s = &p->sheet;
    const eval_summary *summary = &p->part->summary;
    start(p, PLOT_BARS, words[what].title, words[what].y_label, "95 % intervals");
    size_t groups = summary->group_count > 1 ? groups_shown(p) : 0;
    s->categories[0] = "all items";
    for (size_t g = 0; g < groups; g++)
        s->categories[g + 1] = summary->groups[g];
    s->spec.category_count = groups + 1;
    for (size_t a = 0; a < arms_shown(p); a++) {
        const char *arm = p->part->run->arms[a];
        for (size_t c = 0; c <= groups; c++)
            s->points[a][c] =
                point_of(eval_summary_find(summary, arm, c == 0 ? NULL : summary->groups[c - 1]),
                         (double)c, what);
        add_series(s, arm, groups + 1);
    }
    s->spec.percent = what == ACCURACY;
    s->spec.y_min = 0;
    s->spec.y_max = what == ACCURACY ? NAN : 5;
    finish(p, words[what].file, words[what].caption);
}

/* ---- maths: distractors ----------------------------------------------------------------- */

/* The topic in a group's name, "k=4 in-topic"; "" for a group of another kind. */
static const char *topic_of(const char *group)
{
    if (strncmp(group, "k=", 2) != 0)
        return "";
    const char *space = strchr(group, ' ');
    return space ? space + 1 : "";
}

/* Right answers of an arm to items of a topic, with k distractors (-1: any number). */
static plot_point pooled(const plotter *p, const char *arm, const char *topic, int k, double x)
{
    const eval_run *run = p->part->run;
    uint64_t right = 0, n = 0;
    for (size_t i = 0; i < run->record_count; i++) {
        const eval_record *r = &run->records[i];
        if (p->part->item_of[i] >= run->item_count || strcmp(r->arm, arm) != 0)
            continue;
        const eval_item *item = &run->items[p->part->item_of[i]];
        if ((k >= 0 && item->k != k) || strcmp(topic_of(item->group), topic) != 0)
            continue;
        n++;
        right += r->correct;
    }
    if (n == 0)
        return (plot_point){ x, NAN, NAN, NAN };
    stats_interval ci = stats_wilson(right, n, 0.95);
    return (plot_point){ x, (double)right / (double)n, ci.low, ci.high };
}

static const char *const topics[] = { "off-topic", "in-topic" };
#define TOPIC_COUNT (sizeof topics / sizeof topics[0])

static bool has_topic(const plotter *p, const char *topic)
{
    for (size_t i = 0; i < p->part->run->item_count; i++)
        if (strcmp(topic_of(p->part->run->items[i].group), topic) == 0)
            return true;
    return false;
}

static void accuracy_by_topic(plotter *p)
{
    sheet *s = &p->sheet;
    size_t shown = 0;
    const char *present[TOPIC_COUNT];
    for (size_t t = 0; t < TOPIC_COUNT; t++)
        if (has_topic(p, topics[t]))
            present[shown++] = topics[t];
    if (shown == 0)
        return;
    start(p, PLOT_BARS, "Accuracy by kind of distractor", "accuracy",
          "all numbers of distractors together, 95 % intervals");
    for (size_t t = 0; t < shown; t++)
        s->categories[t] = strcmp(present[t], "off-topic") ? "in-topic distractors"
                                                           : "random (off-topic) distractors";
    s->spec.category_count = shown;
    for (size_t a = 0; a < arms_shown(p); a++) {
        for (size_t t = 0; t < shown; t++)
            s->points[a][t] = pooled(p, p->part->run->arms[a], present[t], -1, (double)t);
        add_series(s, p->part->run->arms[a], shown);
    }
    s->spec.percent = true;
    finish(p, "distractors",
           "Random distractors and those on the problem's topic, as in the two parts of the "
           "paper's Figure 7.");
}

/* The numbers of distractors that occur with a topic, ascending; at most CELLS_MAX. */
static size_t counts_of(const plotter *p, const char *topic, int out[CELLS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < p->part->run->item_count; i++) {
        const eval_item *item = &p->part->run->items[i];
        size_t at = 0;
        while (at < count && out[at] < item->k)
            at++;
        if (count == CELLS_MAX || (at < count && out[at] == item->k) ||
            strcmp(topic_of(item->group), topic) != 0)
            continue;
        memmove(out + at + 1, out + at, (count - at) * sizeof *out);
        out[at] = item->k;
        count++;
    }
    return count;
}

static void accuracy_over_k(plotter *p, bool in_topic)
{
    sheet *s = &p->sheet;
    const char *topic = topics[in_topic];
    int k[CELLS_MAX];
    size_t count = counts_of(p, topic, k);
    if (count < 2)
        return;
    start(p, PLOT_LINES,
          in_topic ? "Accuracy over the number of in-topic distractors"
                   : "Accuracy over the number of off-topic distractors",
          "accuracy", "95 % intervals");
    s->spec.x_label = "distractors in the problem (k)";
    for (size_t a = 0; a < arms_shown(p); a++) {
        for (size_t i = 0; i < count; i++)
            s->points[a][i] = pooled(p, p->part->run->arms[a], topic, k[i], k[i]);
        add_series(s, p->part->run->arms[a], count);
    }
    s->spec.percent = true;
    s->spec.y_min = 0;
    s->spec.x_log = k[0] > 0 && k[count - 1] >= 4 * k[0];
    finish(p, in_topic ? "k-in-topic" : "k-off-topic",
           "The lines of one k stand a little apart, so that their intervals can be seen.");
}

/* ---- the judgement of mode select -------------------------------------------------------- */

static double part_of(size_t part, size_t whole)
{
    return whole > 0 ? (double)part / (double)whole : NAN;
}

static plot_point roc_point(const judgement_counts *n)
{
    stats_interval ci = stats_wilson(n->distractors_removed, n->distractors, 0.95);
    return (plot_point){ part_of(n->needed - n->needed_kept, n->needed),
                         part_of(n->distractors_removed, n->distractors), ci.low, ci.high };
}

/* The threshold's point is what the run did, so that it may lie beside the curve: tables and code
 * are kept whatever their score. */
static void roc(plotter *p)
{
    const eval_judgement *j = &p->part->judgement;
    const judgement_group *all = &j->groups[0];
    sheet *s = &p->sheet;
    char name[64];
    if (!isfinite(all->auc))
        return;
    start(p, PLOT_CURVES, "Which units select would remove: ROC", "distractors removed (share)",
          "scored units");
    s->spec.x_label = "needed units removed (share)";
    s->spec.y_min = 0;
    s->spec.y_max = 1;
    for (size_t i = 0; i < j->roc_count; i++)
        s->curve[i] = roc_point(&j->roc[i].counts);
    snprintf(name, sizeof name, "all thresholds, AUC %.3f", all->auc);
    s->series[0] = (plot_series){ .name = name, .points = s->curve, .count = j->roc_count };
    s->spec.series_count = 1;
    s->points[1][0] = roc_point(&all->counts);
    add_series(s, "as it was run, with its 95 % interval", 1);
    finish(p, "roc",
           "Arm select: a unit is removed if its score is below the threshold. A curve through the "
           "upper left "
           "corner tells inserted from needed text without error; the dashed line is chance. The "
           "marker is "
           "what the run did; judgement.csv has all points.");
}

static void reliability(plotter *p)
{
    const eval_judgement *j = &p->part->judgement;
    sheet *s = &p->sheet;
    start(p, PLOT_LINES, "How far the scores of select can be trusted",
          "needed units among those with such a score", "scored units, 95 % intervals");
    s->spec.x_label = "score (log-odds of being kept); the outer points hold all beyond";
    s->spec.percent = true;
    s->spec.y_min = 0;
    s->spec.y_max = 1;
    for (size_t b = 0; b < JUDGEMENT_BINS; b++) {
        const judgement_bin *bin = &j->bins[b];
        double x = JUDGEMENT_BIN_NATS * ((double)b - (double)(JUDGEMENT_BINS - 1) / 2);
        s->points[0][b] = (plot_point){ x, bin->share, bin->ci.low, bin->ci.high };
        s->points[1][b] = (plot_point){ x, bin->expected, NAN, NAN };
    }
    add_series(s, "needed, as measured", JUDGEMENT_BINS);
    add_series(s, "if scores were exact log-odds", JUDGEMENT_BINS);
    finish(p, "reliability",
           "Arm select: of the units with a score in each range of two nats, the share that is "
           "needed. Units "
           "with a score of 0 or more are kept. No point: no unit has such a score.");
}

s2a_status report_plots(report_part *part, const char *dir, s2a_error *err)
{
    plotter *p = calloc(1, sizeof *p);
    if (!p)
        return error_nomem(err);
    *p = (plotter){ .part = part, .dir = dir, .err = err };
    bool judged = strcmp(part->run->task, "argument") == 0;
    bool answered = part->run->record_count == 0 || !part->run->records[0].unanswered;
    bool topical = answered && (has_topic(p, topics[0]) || has_topic(p, topics[1]));
    if (!judged && answered)
        accuracy_by_arm(p);
    if (judged) {
        by_group(p, OBJECTIVITY);
        by_group(p, QUALITY);
    } else if (topical) {
        accuracy_by_topic(p);
        accuracy_over_k(p, false);
        accuracy_over_k(p, true);
    } else if (answered && part->summary.group_count > 1) {
        by_group(p, ACCURACY);
    }
    if (part->judgement.group_count > 0) {
        roc(p);
        reliability(p);
    }
    cost_by_arm(p, true);
    cost_by_arm(p, false);
    s2a_status status = p->status;
    free(p);
    return status;
}
