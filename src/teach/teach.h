/* Fits a head: logistic regressions on the hidden states of labelled sentences (liblinear), their
 * thresholds, and a report from kinds of prompts left out of training. No I/O; one thread. */
#ifndef S2A_TEACH_TEACH_H
#define S2A_TEACH_TEACH_H

#include "core/head.h"
#include "teach/teaching_set.h"

/* A sentence. The sentences of one prompt are adjacent. */
typedef struct teach_unit {
    size_t prompt;
    unsigned kind; /* kind of the prompt: folds consist of whole kinds */
    head_form form;
    teaching_label label;
    bool asked;
    float *state; /* as many numbers as a row of the head; owned by the caller */
} teach_unit;

#define TEACH_FOLDS 5
#define TEACH_LEAST_AUC 0.9   /* with a lower AUC the head removes nothing */
#define TEACH_UNCHANGED 0.985 /* share of clean prompts that must stay unchanged */
#define TEACH_HARMLESS (-1e6) /* a threshold that removes nothing */

/* Fits *out, whose model, weights_id, layers and width are set; its maps are malloc'ed. Fills
 * *report, except tokens and ms. S2A_INPUT (units of too few kinds), S2A_CANCELLED (between two
 * fits), S2A_NOMEM. */
s2a_status teach_fit(const teach_unit *units, size_t count, const s2a_cancel *cancel,
                     judge_head *out, s2a_calibration_report *report, s2a_error *err);

#endif
