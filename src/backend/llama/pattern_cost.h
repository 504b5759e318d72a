/* How often the nested repetitions of a JSON schema's regular expression repeat a part. llama.cpp
 * stores a grammar's states as lists of stacks: a group that may be empty, repeated 200 times,
 * takes minutes for each token, and nothing can interrupt that. Pure. */
#ifndef S2A_PATTERN_COST_H
#define S2A_PATTERN_COST_H

#include <stdint.h>

/* The largest product of the repetitions around a part: "(a{1,20}b){3}" has 60. A repetition
 * without upper end counts as 3. The count of a group that may be empty is squared. At most
 * UINT32_MAX. */
uint32_t pattern_cost(const char *pattern);

#endif
