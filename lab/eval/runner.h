/* Runs arms over items. Each item runs through all arms, with each seed, before the next item
 * starts, so that a stopped run has all arms for its items. With concurrency, several items run at
 * a time. */
#ifndef S2A_EVAL_RUNNER_H
#define S2A_EVAL_RUNNER_H

#include "eval/arms.h"
#include "eval/data.h"
#include "eval/store.h"

typedef struct eval_settings {
    eval_task task;
    const arm *arms[16];
    size_t arm_count;
    uint32_t seed, seeds; /* seed, seed + 1, ... */
    double temperature, top_p;
    uint32_t max_tokens;
    uint32_t concurrency; /* threads; at least 1 */
    const char *model_hash;
    bool no_answers; /* step 1 alone, as in tasks without answers */
    bool judge;      /* arguments and injection: rate answers; needs judge_engine */
    s2a_engine *judge_engine;
    const char *judge_hash;
    s2a_cancel *cancel;
    /* Called for each finished record, from any thread, one at a time; done of total are finished.
     * fresh: it was not in the store. */
    void (*on_record)(void *ctx, const eval_record *record, size_t done, size_t total, bool fresh);
    void *ctx;
} eval_settings;

/* Fills *out with the items (moved from data) and the records; call eval_run_free in any case.
 * S2A_CANCELLED, and errors of the backend or the store; stored records stay. */
s2a_status eval_run_all(s2a_engine *engine, const eval_settings *settings, eval_data *data,
                        eval_store *store, eval_run *out, s2a_error *err);

#endif
