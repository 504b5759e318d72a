#include "eval/arms.h"

#include <string.h>

#define PLAIN                                        \
    {                                                \
        PROMPT_NONE, PROMPT_ANSWER_MATH, PROMPT_NONE \
    }

const arm arms[] = {
    { "plain", ARM_NONE, PLAIN, true, 0 },
    { "oracle", ARM_ORACLE, PLAIN, false, 0 },
    { "instructed",
      ARM_NONE,
      { PROMPT_INSTRUCTED_OPINION, PROMPT_INSTRUCTED_MATH, PROMPT_INSTRUCTED_OPINION },
      true,
      0 },
    { "cot", ARM_NONE, { PROMPT_COT, PROMPT_COT_MATH, PROMPT_COT }, true, 0 },
    { "rewrite",
      ARM_REWRITE,
      { PROMPT_ANSWER_INSTRUCTED, PROMPT_ANSWER_MATH, PROMPT_ANSWER_PLAIN },
      false,
      0 },
    { "single",
      ARM_SINGLE,
      { PROMPT_INSTRUCTED_OPINION, PROMPT_ANSWER_MATH, PROMPT_NONE },
      false,
      0 },
    { "keep-original",
      ARM_REWRITE,
      { PROMPT_ANSWER_KEEP_ORIGINAL, PROMPT_ANSWER_KEEP_ORIGINAL, PROMPT_ANSWER_KEEP_ORIGINAL },
      true,
      0 },
    { "not-instructed",
      ARM_REWRITE,
      { PROMPT_ANSWER_PLAIN, PROMPT_ANSWER_PLAIN, PROMPT_ANSWER_PLAIN },
      false,
      0 },
    { "select", ARM_SELECT, PLAIN, false, 0 },
    { "select-50", ARM_SELECT, PLAIN, false, 0.5 },
    { "select-20", ARM_SELECT, PLAIN, false, 0.2 },
};
const size_t arm_count = sizeof arms / sizeof arms[0];

const char *const arm_names[] = { "plain",   "oracle",    "instructed",    "cot",
                                  "rewrite", "single",    "keep-original", "not-instructed",
                                  "select",  "select-50", "select-20" };

const arm *arm_find(const char *name, size_t len)
{
    for (size_t i = 0; i < arm_count; i++)
        if (strlen(arms[i].name) == len && !memcmp(arms[i].name, name, len))
            return &arms[i];
    return NULL;
}

arm_flavour arm_flavour_of(const eval_item *item)
{
    return item->numeric          ? FLAVOUR_MATH
           : item->question_start ? FLAVOUR_RETRIEVAL
                                  : FLAVOUR_OPINION;
}
