/* Copy drafting: step 1 mostly copies the user's text, so the tokens that come next are guessed from
 * where in the prompt the model is copying, and one decode checks many of them.
 *
 * The source is the prompt itself, instruction and labels included. A pointer into it follows what
 * the model writes; where the model leaves something out, the pointer goes on at the next place
 * where a unit or a line begins with what was written, or where the last few tokens occur. Whether
 * a draft pays, and how long it should be, comes from how many of the last ones were accepted and
 * from the cost of a decode. Pure bookkeeping, no model; not thread-safe. */
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
    size_t at;   /* the token that is expected next; DRAFT_LOST = none is */
    size_t last; /* where the pointer was before it got lost */
    bool fresh;  /* nothing was accepted since the pointer was set */
    uint32_t recent[8]; /* words of the last tokens written, the newest first */
    size_t recent_count;
    /* What became of drafted tokens, by what was known of them: accepted and all, older ones count
     * less. */
    struct draft_rate {
        double accepted, all;
    } rate[3];
} draft;

/* Room for count tokens of the prompt, all zero. False when out of memory. */
bool draft_init(draft *d, size_t count);
void draft_free(draft *d);

/* A token was written. */
void draft_take(draft *d, int32_t token, uint32_t word);

/* How many tokens of source[at] and on are worth being checked in a decode that has rows rows
 * without them, from which others tokens come for other calls; at most limit. Adds to *gain how
 * many tokens more are expected. */
size_t draft_length(const draft *d, const cost_curve *cost, size_t rows, double others, size_t limit,
                    double *gain);

/* What became of a draft; to be called before its tokens are taken. */
void draft_judge(draft *d, size_t drafted, size_t accepted);

#endif
