/* The arms: for each, the kind of step 1 and the prompt of step 2. A table. */
#ifndef S2A_EVAL_ARMS_H
#define S2A_EVAL_ARMS_H

#include "core/prompt.h"
#include "eval/record.h"

typedef enum arm_step1 {
    ARM_NONE,    /* the prompt as it is */
    ARM_ORACLE,  /* the item's oracle */
    ARM_REWRITE, /* step 1 of the paper, Figures 2 and 15 */
    ARM_SINGLE,  /* without a split, Figure 12 */
    ARM_SELECT,
} arm_step1;

/* The kind of an item, which decides its prompts. */
typedef enum arm_flavour {
    FLAVOUR_OPINION,   /* qa, argument, clean questions */
    FLAVOUR_MATH,      /* numeric items */
    FLAVOUR_RETRIEVAL, /* rag */
    FLAVOUR_COUNT,
} arm_flavour;

typedef struct arm {
    const char *name;
    arm_step1 step1;
    prompt_id answer[FLAVOUR_COUNT]; /* step 2 */
    bool input_is_x;                 /* {{input}} of step 2 is x, not x' */
    double keep; /* select: keep this share of the text, preset relevance; 0 = use the threshold */
} arm;

extern const arm arms[];
extern const size_t arm_count;
/* Their names, in order. */
extern const char *const arm_names[];

/* NULL if there is no arm of that name (len bytes). */
const arm *arm_find(const char *name, size_t len);
arm_flavour arm_flavour_of(const eval_item *item);

#endif
