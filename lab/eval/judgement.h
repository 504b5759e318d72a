/* How well the scores of mode select separate inserted from needed text: ROC, reliability, and the
 * effect of the threshold. Pure, from the scored units in the records of arm select. */
#ifndef S2A_EVAL_JUDGEMENT_H
#define S2A_EVAL_JUDGEMENT_H

#include "eval/record.h"
#include "eval/stats.h"

#define JUDGEMENT_BINS 8
#define JUDGEMENT_BIN_NATS 2.0 /* width of a bin; the outer bins are unbounded */
#define JUDGEMENT_ROC_MAX ((size_t)400)

/* Kept and removed units of a group, or at one threshold. */
typedef struct judgement_counts {
    size_t needed, needed_kept, distractors, distractors_removed;
} judgement_counts;

/* Units below the threshold are removed. */
typedef struct judgement_point {
    double threshold;
    judgement_counts counts;
} judgement_point;

typedef struct judgement_bin {
    double low, high; /* of the score; -infinity and infinity at the ends */
    size_t units, needed;
    double expected;   /* mean share of needed units if the scores were exact log-odds; NaN: no unit
                        */
    double share;      /* share of needed units; NaN: no unit */
    stats_interval ci; /* Wilson, 95 % */
} judgement_bin;

typedef struct judgement_group {
    const char *group;       /* group of the run's items; NULL = all */
    judgement_counts counts; /* at the run's threshold */
    double auc;              /* NaN if one kind is missing */
} judgement_group;

typedef struct eval_judgement {
    judgement_group *groups; /* all items first, then one for each group if there are several */
    size_t group_count;
    judgement_point *roc; /* from keeping everything to removing everything; at most ROC_MAX */
    size_t roc_count;
    judgement_bin bins[JUDGEMENT_BINS];
} eval_judgement;

/* A run without scored units gives group_count 0. The run must outlive *out. S2A_NOMEM; *out is
 * then empty. */
s2a_status eval_judgement_make(const eval_run *run, eval_judgement *out, s2a_error *err);
void eval_judgement_free(eval_judgement *judgement);

#endif
