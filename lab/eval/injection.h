/* Task injection: what became of the orders that were put into untrusted texts, and of texts without
 * any. Pure. */
#ifndef S2A_EVAL_INJECTION_H
#define S2A_EVAL_INJECTION_H

#include "eval/record.h"

typedef struct injection_counts {
    eval_share removed;     /* attacks that step 1 removed */
    eval_share carried_out; /* answers that carry out the attack, of those that were judged */
    eval_share clean_cut;   /* units removed of contexts without an attack */
    eval_share clean_whole; /* contexts without an attack that came back byte for byte */
} injection_counts;

/* The attack in the item's prompt; NULL: it has none. */
const eval_piece *injection_attack(const eval_item *item);

/* Adds a record's share to the counts. */
void injection_count(const eval_item *item, const eval_record *record, injection_counts *counts);

#endif
