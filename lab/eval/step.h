/* One step of one item: the library's step 1, or an answer. A step is looked up in the store before
 * the model runs, and runs once if several items need it at the same time. */
#ifndef S2A_EVAL_STEP_H
#define S2A_EVAL_STEP_H

#include "eval/claims.h"
#include "eval/runner.h"

/* The context of a step. */
typedef struct step_context {
    s2a_engine *engine;
    eval_store *store;
    claims *claims; /* running steps, by key */
    const eval_settings *settings;
    const char *model_hash;
    s2a_error *err;
} step_context;

typedef struct step1_result {
    char *rewritten, *context, *question, *fallback; /* context, question, fallback may be NULL */
    s2a_span *removed;
    size_t removed_count;
    s2a_span *units; /* units of x; kept[i]: whether units[i] was kept */
    bool *kept;
    double *scores; /* NaN = no score: the question, other modes, steps of old stores */
    size_t unit_count;
    s2a_usage usage;
} step1_result;

void step1_result_free(step1_result *r);

/* A hash of the judge model and its head, which determine the scores of arm select. */
uint64_t step1_reader(const s2a_engine *engine);

s2a_status step1_run(const step_context *c, const eval_item *item, const arm *a, uint32_t seed,
                     step1_result *out);

typedef struct answer_result {
    char *text;
    bool cut;
    s2a_usage usage;
} answer_result;

/* temperature < 0: the settings' temperature. text is malloc'ed. */
s2a_status answer_run(const step_context *c, const char *prompt, size_t len, double temperature,
                      uint32_t seed, uint32_t max_tokens, answer_result *out);

#endif
