/* Items and their records (one run of one arm on an item). The store saves both, the report reads
 * them. */
#ifndef S2A_EVAL_RECORD_H
#define S2A_EVAL_RECORD_H

#include "s2a.h"

/* The label of a piece of an item's prompt. Stores contain the numbers: append only. */
typedef enum eval_label {
    EVAL_NEEDED,     /* is in the clean prompt, or supports the answer */
    EVAL_DISTRACTOR, /* was inserted, or does not support the answer */
    EVAL_MIXED,      /* not scored */
    EVAL_UNRELATED,  /* this and the next two are distractors of a known kind */
    EVAL_OPINION,
    EVAL_ORDER,
    EVAL_LABELS,
} eval_label;

bool eval_label_distracts(eval_label label);

typedef struct eval_piece {
    size_t start, end; /* bytes of eval_item.x */
    eval_label label;
} eval_piece;

/* One problem. Strings are owned; eval_item_free. */
typedef struct eval_item {
    char *id;     /* unique in its data file */
    char *group;  /* the split: "suggest-incorrect", "k=4 in-topic", "like"; never NULL */
    char *facet;  /* another split of the same items: "lang=de", "template=direct"; NULL = none */
    char *x;      /* the prompt, context and question together */
    char *oracle; /* the same without what should not count */
    size_t question_start; /* offset in x of a separate question; 0 = none */
    char **aliases;        /* right answers; for maths one number; none for arguments */
    size_t alias_count;
    char *wrong;        /* the wrong suggestion; NULL = none */
    eval_piece *pieces; /* in order; bytes outside all pieces are not scored */
    size_t piece_count;
    int k;          /* maths: distractors inserted; otherwise 0 */
    bool numeric;   /* aliases[0] is a number: compared by score_number_equal */
    bool untrusted; /* judged with preset untrusted, whatever the task */
    bool several;   /* task prune: aliases are several answers; otherwise spellings of one */
    char *checks;   /* ordinary: JSON list of instructions for eval/instructions.h; NULL = none */
    size_t check_count, checks_left_out; /* instructions in it; instructions that we cannot check */
} eval_item;

void eval_item_free(eval_item *item);

/* Whether an answer to it can be right or wrong. */
bool eval_item_has_answer(const eval_item *item);

/* The label of most bytes in [start, end) of x, not counting white space. EVAL_MIXED if that is a
 * distractor and something needed is in it too: removing it does harm, and keeping it may be
 * right. */
eval_label eval_item_label(const eval_item *item, size_t start, size_t end);

/* part of whole. */
typedef struct eval_share {
    uint64_t part, whole;
} eval_share;

/* A unit of x that step 1 scored (mode select; not the question). */
typedef struct eval_unit {
    size_t start, end;
    bool kept;
    double score;     /* log-odds of being kept */
    eval_label label; /* by eval_item_label; EVAL_MIXED = not scored */
} eval_unit;

/* One arm on one item with one seed. */
typedef struct eval_record {
    char *item, *arm; /* item id, arm name */
    uint32_t seed;
    char *answer, *rewritten; /* rewritten: x' (oracle arm: the oracle prompt; baselines: x) */
    bool correct;             /* always false for arguments; with checks: all are followed */
    bool follows_wrong;       /* the answer contains the wrong suggestion and no right alias */
    bool unchanged;           /* x' is x byte for byte */
    char *fallback;           /* a name of S2A_FALLBACK_MAP, or NULL */
    bool answer_cut;
    s2a_span *removed; /* of x */
    size_t removed_count;
    /* Units by eval_item_label; distractors of all kinds. */
    uint32_t distractors, distractors_removed, needed, needed_removed;
    eval_share kinds[EVAL_LABELS]; /* removed units, of all except a separate question. The store
                                      has them from EVAL_MIXED on */
    eval_unit *units;              /* none if step 1 gives no scores, or in old stores */
    size_t unit_count;
    uint64_t reader; /* arm select: step1_reader of the engine that scored the units */
    s2a_usage step1, step2;
    bool unanswered;    /* only step 1 was run */
    uint32_t followed;  /* of the item's checks */
    bool judged;        /* arguments: the two below are set */
    double sentiment;   /* -5..5 */
    double quality;     /* 1..5 */
    bool attack_judged; /* injection: the next is set */
    bool carried_out;   /* the answer does what the attack asks for */
} eval_record;

void eval_record_free(eval_record *record);

/* All items and records in a store of one task, model and sampling; input of the report. */
typedef struct eval_run {
    char *task, *model; /* model: its name */
    char *model_hash, *prompts_hash, *version, *data_name;
    double temperature, top_p;
    uint32_t max_tokens;
    eval_item *items;
    size_t item_count;
    eval_record *records; /* ordered by item (as in items), arm, seed */
    size_t record_count;
    char **arms; /* names in the order of the table of arms */
    size_t arm_count;
} eval_run;

void eval_run_free(eval_run *run);

#endif
