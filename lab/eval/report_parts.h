/* Shared by the files of the report: the data of each run, and the functions of each part. They
 * append to a buf; check its status at the end for out of memory. */
#ifndef S2A_EVAL_REPORT_PARTS_H
#define S2A_EVAL_REPORT_PARTS_H

#include "base/buf.h"
#include "eval/judgement.h"
#include "eval/summary.h"

/* A plot of the page. */
typedef struct report_figure {
    char *name; /* file name without .svg or .png */
    const char *title, *caption;
    char *svg;
    size_t svg_len;
} report_figure;

typedef struct report_part {
    const eval_run *run;
    eval_summary summary;
    char *slug;      /* TASK-MODEL, unique among the runs */
    size_t *item_of; /* for each record the index of its item; item_count = none */
    size_t seed_count;
    eval_judgement judgement; /* of arm select; group_count 0 = no scores */
    report_figure *figures;
    size_t figure_count, figure_cap;
} report_part;

/* ---- report_table.c ---------------------------------------------------------------------- */

typedef enum report_table {
    REPORT_RESULTS, /* the quality of the answers */
    REPORT_STEPS,   /* what step 1 removed, and the cost of both steps */
} report_table;

typedef struct report_column {
    report_table table;
    const char *head, *help;
    /* value: stays empty if the figure is not defined. interval: may stay empty. */
    void (*cell)(const eval_figure *figure, buf *value, buf *interval);
} report_column;

extern const report_column report_columns[];
extern const size_t report_column_count;

/* True if some figure of the summary has a value in the column. *ok: false when out of memory. */
bool report_column_used(const report_column *column, const eval_summary *summary, bool *ok);

/* Appends a number with up to ten significant digits; nothing for NaN. */
void report_add_number(buf *out, double value);
/* A description of a fallback; "" for an unknown name. */
const char *report_fallback_text(const char *name);

void report_summary_csv(buf *out, const report_part *parts, size_t count);
void report_items_csv(buf *out, const report_part *parts, size_t count);
/* Task injection: counts of attacks, and of contexts without one. */
bool report_has_injection(const report_part *part);
void report_injection_csv(buf *out, const report_part *parts, size_t count);
/* Tasks ordinary, prune and labelled: their counts, by arm and group. */
bool report_has_shares(const report_part *part);
void report_shares_csv(buf *out, const report_part *parts, size_t count);
/* The judgement of mode select: the points of the curves, and the effect of the threshold. */
void report_judgement_csv(buf *out, const report_part *parts, size_t count);
/* The caption of the table of the judgement. */
extern const char report_judgement_caption[];
void report_summary_markdown(buf *out, const report_part *parts, size_t count, const char *command);

/* ---- report_plots.c ---------------------------------------------------------------------- */

/* Draws the plots of the task, writes the files into dir, stores the SVG in part->figures. */
s2a_status report_plots(report_part *part, const char *dir, s2a_error *err);

/* ---- report_items.c ---------------------------------------------------------------------- */

#define REPORT_ITEMS_MAX ((size_t)10 * 1024 * 1024)

typedef struct report_embedded {
    size_t answered, embedded; /* items with answers; how many of them are in the page */
    size_t bytes, room;        /* bytes of all of them; bytes that they may have */
} report_embedded;

/* The items as one JSON value for a <script> block, of about max bytes at most. If they are more,
 * an even sample of the large runs is used. said[count] reports on each run. */
void report_items_json(buf *out, const report_part *parts, size_t count, size_t max,
                       report_embedded *said);

/* ---- report_html.c, report.css, report.js ------------------------------------------------ */

extern const char report_css[], report_js[]; /* report.css and report.js */

void report_html(buf *out, const report_part *parts, size_t count, const char *command);

#endif
