/* The figures of a run: one row for each arm, for all items and for each group. */
#ifndef S2A_EVAL_SUMMARY_H
#define S2A_EVAL_SUMMARY_H

#include "eval/injection.h"
#include "eval/record.h"
#include "eval/stats.h"
#include "eval/tally.h"

typedef struct eval_figure {
    const char *arm;   /* borrowed from the run */
    const char *group; /* borrowed; NULL = all items */
    size_t items, n;   /* n: records (items x seeds) */
    bool has_step1;    /* the arm has a step 1, even if it cost nothing because it was cached */
    double accuracy;   /* over the answers to items with a right answer; NaN if none has one */
    stats_interval ci; /* Wilson */
    double gap_closed; /* over the items that plain, oracle and this arm all have, each with the
                          mean of its seeds. NaN if there is none, or no gap */
    stats_interval gap_ci;
    double difference; /* accuracy minus plain's on the same items and seeds; NaN if missing */
    stats_interval difference_ci;
    double mcnemar_p;     /* against plain, the first seed of each item that both have */
    double pairs_needed;  /* to see that difference with power 0.8 at 0.05 */
    double follows_wrong; /* share of the records whose item has a wrong suggestion; NaN if none */
    double unchanged;     /* share of n where x' is x */
    double removal_precision, removal_recall, needed_kept; /* over all units; NaN if none */
    double sentiment, objectivity, quality; /* arguments, means; objectivity = 5 - |sentiment| */
    stats_interval objectivity_ci, quality_ci;
    double step1_tokens, step2_tokens; /* means of prompt + completion tokens */
    double step1_completion_tokens;
    double step1_ms, step2_ms; /* medians */
    size_t fallbacks;
    injection_counts injection;      /* task injection; otherwise zero */
    eval_share tallies[TALLY_COUNT]; /* of the run's task; the others are zero */
    double f2;                       /* task prune; NaN if it is not defined */
} eval_figure;

typedef struct eval_fallback_count {
    const char *arm, *reason;
    size_t count;
} eval_fallback_count;

typedef struct eval_summary {
    eval_figure *figures; /* all groups first (group NULL), then by group; arms in run order */
    size_t count;
    eval_fallback_count *fallbacks;
    size_t fallback_count;
    char **groups; /* names, in order of first appearance; after them those of facets */
    size_t group_count;
} eval_summary;

/* rounds: rounds of the bootstrap (2000 for reports); its seed is fixed, so the same run gives the
 * same figures. Every arm has a figure for every group, with n 0 if it has no records. S2A_NOMEM;
 * S2A_ARGUMENT for a record whose item or arm the run does not list. On failure *out is empty. */
s2a_status eval_summarise(const eval_run *run, size_t rounds, eval_summary *out, s2a_error *err);
void eval_summary_free(eval_summary *summary);

/* The figure of an arm and group (NULL = all), or NULL. */
const eval_figure *eval_summary_find(const eval_summary *summary, const char *arm,
                                     const char *group);

#endif
