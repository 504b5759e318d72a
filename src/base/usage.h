/* Sums of tokens and time. */
#ifndef S2A_BASE_USAGE_H
#define S2A_BASE_USAGE_H

#include "s2a.h"

/* Adds the usage of one call to a sum. */
static inline void usage_add(s2a_usage *to, const s2a_usage *from)
{
    to->prompt_tokens += from->prompt_tokens;
    to->cached_tokens += from->cached_tokens;
    to->completion_tokens += from->completion_tokens;
    to->drafted_tokens += from->drafted_tokens;
    to->accepted_tokens += from->accepted_tokens;
    to->ms += from->ms;
}

#endif
