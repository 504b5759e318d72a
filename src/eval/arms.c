#include "eval/arms.h"

#include <string.h>

#define PLAIN { PROMPT_NONE, PROMPT_ANSWER_MATH, PROMPT_NONE }

const arm arms[] = {
    { "plain", ARM_NONE, PLAIN, true },
    { "oracle", ARM_ORACLE, PLAIN, false },
    { "instructed", ARM_NONE,
      { PROMPT_INSTRUCTED_OPINION, PROMPT_INSTRUCTED_MATH, PROMPT_INSTRUCTED_OPINION }, true },
    { "cot", ARM_NONE, { PROMPT_COT, PROMPT_COT_MATH, PROMPT_COT }, true },
    { "rewrite", ARM_REWRITE,
      { PROMPT_ANSWER_INSTRUCTED, PROMPT_ANSWER_MATH, PROMPT_ANSWER_PLAIN }, false },
    { "single", ARM_SINGLE,
      { PROMPT_INSTRUCTED_OPINION, PROMPT_ANSWER_MATH, PROMPT_NONE }, false },
    { "keep-original", ARM_REWRITE,
      { PROMPT_ANSWER_KEEP_ORIGINAL, PROMPT_ANSWER_KEEP_ORIGINAL, PROMPT_ANSWER_KEEP_ORIGINAL },
      true },
    { "not-instructed", ARM_REWRITE,
      { PROMPT_ANSWER_PLAIN, PROMPT_ANSWER_PLAIN, PROMPT_ANSWER_PLAIN }, false },
    { "select", ARM_SELECT, PLAIN, false },
};
const size_t arm_count = sizeof arms / sizeof arms[0];

const char *const arm_names[] = { "plain",  "oracle",        "instructed",     "cot",   "rewrite",
                                  "single", "keep-original", "not-instructed", "select" };

const arm *arm_find(const char *name, size_t len)
{
    for (size_t i = 0; i < arm_count; i++)
        if (strlen(arms[i].name) == len && !memcmp(arms[i].name, name, len))
            return &arms[i];
    return NULL;
}

arm_flavour arm_flavour_of(const eval_item *item)
{
    return item->numeric ? FLAVOUR_MATH : item->question_start ? FLAVOUR_RETRIEVAL : FLAVOUR_OPINION;
}
