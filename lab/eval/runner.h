/* Runs arms over items: each item with each seed goes through all arms before the next, so that a run
 * that is stopped has compared what it has. Several items at a time with concurrency. */
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
    bool no_answers;      /* step 1 alone, as for tasks that have no answers in any case */
    bool judge;           /* arguments and injection: rate answers; needs judge_engine */
    s2a_engine *judge_engine;
    const char *judge_hash;
    s2a_cancel *cancel;
    /* From any thread, one at a time: a record is there, of so many that were wanted. fresh: it was
     * not in the store. */
    void (*on_record)(void *ctx, const eval_record *record, size_t done, size_t total, bool fresh);
    void *ctx;
} eval_settings;

/* *out is filled with the items (taken over from data) and the records; eval_run_free in every case.
 * S2A_CANCELLED, and any failure of a backend or of the store: what was stored is safe. */
s2a_status eval_run_all(s2a_engine *engine, const eval_settings *settings, eval_data *data,
                        eval_store *store, eval_run *out, s2a_error *err);

#endif
