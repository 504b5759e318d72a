/* How much a regular expression of a JSON schema multiplies its parts. llama.cpp holds a grammar's
 * states as lists of stacks: a group that may be empty, repeated 200 times, takes minutes for each
 * token, and nothing can interrupt that. Pure. */
#ifndef S2A_PATTERN_COST_H
#define S2A_PATTERN_COST_H

#include <stdint.h>

/* The largest product of the repetitions around a part: "(a{1,20}b){3}" has 60. An open end counts
 * as 3, and a repetition of a group that may be empty as its square. At most UINT32_MAX. */
uint32_t pattern_cost(const char *pattern);

#endif
