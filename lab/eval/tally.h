/* The counts of tasks ordinary, prune and labelled: shares, each from an item and its record. One
 * table, which the summary, the JSON, the tables and the CSV use. Pure. */
#ifndef S2A_EVAL_TALLY_H
#define S2A_EVAL_TALLY_H

#include "eval/data.h"
#include "eval/record.h"

/* id, task, name in JSON and CSV, head in a terminal (9 columns), head in the report, description;
 * whether it counts step 1 (undefined for arms without one); whether the counted cases are
 * separate, so that Wilson's interval makes sense. */
#define TALLY_MAP(X)                                                                              \
    X(CHANGED, ORDINARY, "prompts_changed", "changed", "prompts changed",                         \
      "of the prompts: those that step 1 did not give back byte for byte", true, true)            \
    X(UNITS_CUT, ORDINARY, "units_cut", "units cut", "units cut",                                 \
      "of the prompts' units: those that were removed", true, true)                               \
    X(BYTES_CUT, ORDINARY, "bytes_cut", "bytes cut", "bytes cut",                                 \
      "of the prompts' bytes, white space aside: those that were removed", true, false)           \
    X(FOLLOWED, ORDINARY, "instructions_followed", "followed", "instructions followed",           \
      "of the instructions that can be checked: those that the answers follow", false, true)      \
    X(LEFT_OUT, ORDINARY, "instructions_left_out", "left out", "instructions left out",           \
      "of the instructions: those that nothing here can check", false, false)                     \
    X(SUPPORT, PRUNE, "support_kept", "support", "support kept",                                  \
      "of the sentences that hold the answer: those that were kept", true, true)                  \
    X(PRECISION, PRUNE, "precision", "precision", "precision",                                    \
      "of the sentences that were kept: those that hold the answer", true, true)                  \
    X(ANSWERS, PRUNE, "answers_kept", "answers", "answers kept",                                  \
      "of the answers that stand in the context: those that still do after step 1", true, true)   \
    X(TEXT, PRUNE, "text_removed", "removed", "text removed",                                     \
      "of the contexts' bytes, white space aside: those that were removed", true, false)          \
    X(NEEDED, LABELLED, "needed_kept", "needed", "needed kept",                                   \
      "of the units that are labelled as needed: those that were kept", true, true)               \
    X(CLEAN, LABELLED, "clean_unchanged", "clean", "clean unchanged",                             \
      "of the prompts in which nothing is to go: those that came back byte for byte", true, true) \
    X(UNRELATED, LABELLED, "unrelated_removed", "unrelated", "unrelated removed",                 \
      "of the units that are labelled as unrelated: those that were removed", true, true)         \
    X(OPINIONS, LABELLED, "opinions_removed", "opinions", "opinions removed",                     \
      "of the units that are labelled as opinions: those that were removed", true, true)          \
    X(ORDERS, LABELLED, "orders_removed", "orders", "orders removed",                             \
      "of the units that are labelled as orders: those that were removed", true, true)            \
    X(MIXED, LABELLED, "not_scored", "mixed", "not scored",                                       \
      "of all units: those that hold something needed beside more of something else, or are "     \
      "disputed",                                                                                 \
      true, false)

typedef enum tally_id {
#define TALLY_ENUM(id, task, name, brief, head, help, step1, cases) TALLY_##id,
    TALLY_MAP(TALLY_ENUM)
#undef TALLY_ENUM
        TALLY_COUNT,
} tally_id;

typedef struct tally_info {
    eval_task task;
    const char *name, *brief, *head, *help;
    bool step1, cases;
} tally_info;

extern const tally_info tallies[TALLY_COUNT];

/* Adds the counts of a record of the task to shares. */
void tally_add(eval_task task, const eval_item *item, const eval_record *record,
               eval_share shares[TALLY_COUNT]);

/* F2 of precision and support kept (recall); NaN if one of them is not defined. */
double tally_f2(const eval_share shares[TALLY_COUNT]);

#endif
