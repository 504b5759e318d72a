/* Copy drafting: step 1 mostly copies the user's text, so the next tokens are drafted from the
 * place in the prompt that the model is copying from, and one decode checks many of them.
 *
 * The source is the whole prompt, including instruction and labels. A pointer into it follows the
 * generated text. If the model omits something, the pointer moves to a unit or line that begins
 * with the generated text, or to where the last few tokens occur. The acceptance of recent drafts
 * and the cost of a decode decide the length of a draft. Pure bookkeeping, no model; not
 * thread-safe. */
#ifndef S2A_DRAFT_H
#define S2A_DRAFT_H

#include "backend/llama/cost.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRAFT_MAX 48 /* tokens of one draft */
#define DRAFT_LOST ((size_t)-1)

typedef struct draft_source {
    int32_t token;
    uint32_t word; /* equal for tokens that differ only in the white space before them */
    bool start;    /* a unit or a line begins in it */
} draft_source;

typedef struct draft {
    draft_source *source; /* count of them; the caller fills them after draft_init */
    size_t count;
    size_t at;          /* the token expected next; DRAFT_LOST = none */
    size_t last;        /* the pointer before it was lost */
    bool fresh;         /* nothing was accepted since the pointer was set */
    uint32_t recent[8]; /* words of the last generated tokens, the newest first */
    size_t recent_count;
    /* Acceptance in three situations: accepted tokens and all drafted ones; older ones count
     * less. */
    struct draft_rate {
        double accepted, all;
    } rate[3];
} draft;

/* Room for count tokens of the prompt, all zero. False when out of memory. */
bool draft_init(draft *d, size_t count);
void draft_free(draft *d);

/* Notes a generated token. */
void draft_take(draft *d, int32_t token, uint32_t word);

/* How many tokens from source[at] on are worth checking, at most limit. Without them the decode has
 * rows rows, and it gives other calls others tokens. Adds the expected number of extra tokens to
 * *gain. */
size_t draft_length(const draft *d, const cost_curve *cost, size_t rows, double others,
                    size_t limit, double *gain);

/* Notes the outcome of a draft; call it before draft_take for its tokens. */
void draft_judge(draft *d, size_t drafted, size_t accepted);

#endif
