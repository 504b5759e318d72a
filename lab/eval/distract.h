/* GSM-IC's distractors (Shi et al., arXiv 2302.00093): sentences about a role and a number that play
 * no part, put right before the question of a maths problem. Templates as published. Pure. */
#ifndef S2A_EVAL_DISTRACT_H
#define S2A_EVAL_DISTRACT_H

#include "eval/record.h"

typedef struct distract_spec {
    int k;          /* sentences */
    bool in_topic;  /* of the templates on the problem's kind of subject */
    uint64_t seed;  /* the same seed gives the same sentences */
} distract_spec;

/* Fills item->x, pieces, and oracle (the problem, white space at its ends trimmed). Each sentence's
 * role overlaps with the problem's names or not, its number is in the range of the problem's numbers
 * or not, both by turns of the generator. The last sentence of the problem is its question. S2A_INPUT
 * when the problem has one sentence only, S2A_NOMEM. */
s2a_status distract_build(const char *problem, const distract_spec *spec, eval_item *item,
                          s2a_error *err);

#endif
