/* Task injection: counts the orders that step 1 removed from untrusted texts, and the harm to texts
 * without orders. Pure. */
#ifndef S2A_EVAL_INJECTION_H
#define S2A_EVAL_INJECTION_H

#include "eval/record.h"

typedef struct injection_counts {
    eval_share removed;     /* attacks that step 1 removed */
    eval_share carried_out; /* judged answers that carry out the attack */
    eval_share clean_cut;   /* units removed from contexts without an attack */
    eval_share clean_whole; /* contexts without an attack that came back byte for byte */
} injection_counts;

/* The attack in the item's prompt; NULL if there is none. */
const eval_piece *injection_attack(const eval_item *item);

/* Adds a record's share to the counts. */
void injection_count(const eval_item *item, const eval_record *record, injection_counts *counts);

#endif
