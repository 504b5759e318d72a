/* Teaching a head: logistic regressions on the hidden states of labelled sentences (liblinear), and how far
 * they are to be trusted, found on kinds of prompts that they were not taught with. Pure but for memory;
 * one thread. */
#ifndef S2A_TEACH_TEACH_H
#define S2A_TEACH_TEACH_H

#include "core/head.h"
#include "teach/teaching_set.h"

/* A sentence. Of one prompt they stand together. */
typedef struct teach_unit {
    size_t prompt;
    unsigned kind; /* of the prompt: folds are made of whole kinds */
    head_form form;
    teaching_label label;
    bool asked;
    float *state; /* numbers of a row of the head; owned by who gathers them */
} teach_unit;

#define TEACH_FOLDS 5
#define TEACH_LEAST_AUC 0.9   /* below it a judgement is left alone */
#define TEACH_UNCHANGED 0.985 /* of clean prompts: the border removes what it can beyond that */
#define TEACH_HARMLESS (-1e6) /* a border that nothing is below */

/* Fills *report but for tokens and ms, and what is taught of *out, whose model, weights_id, layers and width are
 * set; maps is malloc'ed. S2A_INPUT (units of too few kinds), S2A_CANCELLED (between two fits), S2A_NOMEM. */
s2a_status teach_fit(const teach_unit *units, size_t count, const s2a_cancel *cancel, judge_head *out,
                     s2a_calibration_report *report, s2a_error *err);

#endif
