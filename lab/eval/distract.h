/* GSM-IC's distractors (Shi et al., arXiv 2302.00093): sentences with an irrelevant role and
 * number, inserted before the question of a maths problem. The templates are the published ones.
 * Pure. */
#ifndef S2A_EVAL_DISTRACT_H
#define S2A_EVAL_DISTRACT_H

#include "eval/record.h"

typedef struct distract_spec {
    int k;         /* number of sentences */
    bool in_topic; /* use the templates on the problem's kind of subject */
    uint64_t seed; /* the same seed gives the same sentences */
} distract_spec;

/* Fills item->x, pieces, and oracle (the problem, trimmed). The generator decides for each sentence
 * whether its role overlaps with the problem's names and whether its number is in the range of the
 * problem's numbers. The last sentence of the problem is its question. S2A_INPUT if the problem has
 * only one sentence, S2A_NOMEM. */
s2a_status distract_build(const char *problem, const distract_spec *spec, eval_item *item,
                          s2a_error *err);

#endif
