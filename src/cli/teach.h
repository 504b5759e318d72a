/* Teaching a head: logistic regressions on the hidden states of labelled sentences (liblinear), and how far
 * they are to be trusted, found on kinds of prompts that they were not taught with. Pure but for memory;
 * one thread. */
#ifndef S2A_CLI_TEACH_H
#define S2A_CLI_TEACH_H

#include "cli/teaching_set.h"
#include "core/head.h"

/* A sentence. Of one prompt they stand together. */
typedef struct teach_unit {
    size_t prompt;
    unsigned kind; /* of the prompt: folds are made of whole kinds */
    head_form form;
    teaching_label label;
    bool asked;
    float *state; /* numbers of a row of the head; owned by who gathers them */
} teach_unit;

/* What a head reached on prompts of kinds that it was not taught with. Shares; NaN where there were none. */
typedef struct teach_report {
    double auc, needed_kept, unrelated_removed, opinion_removed, clean_unchanged; /* the form again */
    double order_auc, order_removed, documents_unchanged;                        /* the form apart */
    size_t units, prompts;
    bool cuts, cuts_orders; /* told apart well enough to cut: if not, the border is one that nothing is below */
} teach_report;

#define TEACH_FOLDS 5
#define TEACH_LEAST_AUC 0.9   /* below it a judgement is left alone */
#define TEACH_UNCHANGED 0.985 /* of clean prompts: the border removes what it can beyond that */
#define TEACH_HARMLESS (-1e6) /* a border that nothing is below */

/* Fills what is taught of *out, whose model, weights_id, layers and width are set; maps is malloc'ed. S2A_INPUT
 * (units of too few kinds), S2A_CANCELLED (between two fits), S2A_NOMEM. */
s2a_status teach_fit(const teach_unit *units, size_t count, const s2a_cancel *cancel, judge_head *out,
                     teach_report *report, s2a_error *err);

#endif
