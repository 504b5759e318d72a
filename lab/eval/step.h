/* One step of one item: step 1 as the library does it, or an answer; each is looked up in the store
 * before the model is asked, and made once where several items need it at the same time. */
#ifndef S2A_EVAL_STEP_H
#define S2A_EVAL_STEP_H

#include "eval/claims.h"
#include "eval/runner.h"

/* What a step is made with: the same context gives the same step. */
typedef struct step_context {
    s2a_engine *engine;
    eval_store *store;
    claims *claims; /* steps that are being made, by key */
    const eval_settings *settings;
    const char *model_hash;
    s2a_error *err;
} step_context;

typedef struct step1_result {
    char *rewritten, *context, *question, *fallback; /* context, question, fallback may be NULL */
    s2a_span *removed;
    size_t removed_count;
    s2a_span *units; /* of x; kept[i] says what became of them */
    bool *kept;
    double *
        scores; /* NaN where there is none: the question, other modes, steps stored before they were */
    size_t unit_count;
    s2a_usage usage;
} step1_result;

void step1_result_free(step1_result *r);

/* A hash of what makes the judgements of arm select: the model that judges, and its head. */
uint64_t step1_reader(const s2a_engine *engine);

s2a_status step1_run(const step_context *c, const eval_item *item, const arm *a, uint32_t seed,
                     step1_result *out);

typedef struct answer_result {
    char *text;
    bool cut;
    s2a_usage usage;
} answer_result;

/* temperature < 0: that of the settings. text is malloc'ed. */
s2a_status answer_run(const step_context *c, const char *prompt, size_t len, double temperature,
                      uint32_t seed, uint32_t max_tokens, answer_result *out);

#endif
