/* Between the files of the report: what is known of each run, and who writes which part. All append
 * to a buf, whose status says at the end whether memory lasted. */
#ifndef S2A_EVAL_REPORT_PARTS_H
#define S2A_EVAL_REPORT_PARTS_H

#include "base/buf.h"
#include "eval/judgement.h"
#include "eval/summary.h"

/* A plot as the page shows it. */
typedef struct report_figure {
    char *name; /* file name without .svg or .png */
    const char *title, *caption;
    char *svg;
    size_t svg_len;
} report_figure;

typedef struct report_part {
    const eval_run *run;
    eval_summary summary;
    char *slug;      /* TASK-MODEL, unlike that of every other run */
    size_t *item_of; /* of each record: the index of its item; item_count = none */
    size_t seed_count;
    eval_judgement judgement; /* of arm select; group_count 0 = nothing was scored */
    report_figure *figures;
    size_t figure_count, figure_cap;
} report_part;

/* ---- report_table.c ---------------------------------------------------------------------- */

typedef enum report_table {
    REPORT_RESULTS, /* how well the answers did */
    REPORT_STEPS,   /* what step 1 removed and what both steps cost */
} report_table;

typedef struct report_column {
    report_table table;
    const char *head, *help;
    /* value: nothing is added where the figure is not defined. interval: may stay empty. */
    void (*cell)(const eval_figure *figure, buf *value, buf *interval);
} report_column;

extern const report_column report_columns[];
extern const size_t report_column_count;

/* True when some figure of the summary has a value in the column. *ok is false out of memory. */
bool report_column_used(const report_column *column, const eval_summary *summary, bool *ok);

/* A number in as few digits as say it to ten places, whatever it is; nothing for NaN. */
void report_add_number(buf *out, double value);
/* What a fallback's name means; "" for one that is not known. */
const char *report_fallback_text(const char *name);

void report_summary_csv(buf *out, const report_part *parts, size_t count);
void report_items_csv(buf *out, const report_part *parts, size_t count);
/* Task injection: what became of the attacks and of contexts without one. */
bool report_has_injection(const report_part *part);
void report_injection_csv(buf *out, const report_part *parts, size_t count);
/* Tasks ordinary, prune and labelled: what they count, by arm and group. */
bool report_has_shares(const report_part *part);
void report_shares_csv(buf *out, const report_part *parts, size_t count);
/* The judgement of mode select: the curves' points and what the threshold did. */
void report_judgement_csv(buf *out, const report_part *parts, size_t count);
/* What the table of the judgement says above it. */
extern const char report_judgement_caption[];
void report_summary_markdown(buf *out, const report_part *parts, size_t count, const char *command);

/* ---- report_plots.c ---------------------------------------------------------------------- */

/* Draws what the task calls for, writes the files into dir, keeps the SVG in part->figures. */
s2a_status report_plots(report_part *part, const char *dir, s2a_error *err);

/* ---- report_items.c ---------------------------------------------------------------------- */

#define REPORT_ITEMS_MAX ((size_t)10 * 1024 * 1024)

typedef struct report_embedded {
    size_t answered, embedded; /* items with answers; of these, in the page */
    size_t bytes, room;        /* what all of them would take, and what they may */
} report_embedded;

/* The items as one JSON value that may stand in a <script> block, about max bytes at most: if they
 * are more, an even choice of the large runs'. said[count] tells what became of each run. */
void report_items_json(buf *out, const report_part *parts, size_t count, size_t max,
                       report_embedded *said);

/* ---- report_html.c, report_page.c -------------------------------------------------------- */

extern const char report_css[], report_js[];

void report_html(buf *out, const report_part *parts, size_t count, const char *command);

#endif
