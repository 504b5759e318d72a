/* Step 1 of a request: judges each of its targets. A failure is not an error here: the request can
 * be answered unchanged, and the outcome has the reason. */
#ifndef S2A_SERVE_SERVE_STEP1_H
#define S2A_SERVE_SERVE_STEP1_H

#include "serve/chat.h"

#include <stdatomic.h>

typedef struct step1_outcome {
    const char *fallback; /* NULL: x' is used; else a name of s2a_fallback_name, "budget" or
                             "no_text" */
    char detail[300];
    s2a_status status; /* the error, if fallback is "step1_failed" */
    bool cancelled;    /* the client is gone: no step 2 */
    s2a_mode mode;
    s2a_preset preset;
    s2a_result *results[SERVE_TARGETS]; /* of the request's targets, in order; NULL = no result */
    size_t count;
    s2a_usage usage;       /* sum over the targets */
    double ms;             /* wall time of all targets */
    size_t bytes, removed; /* sums over the judged texts */
} step1_outcome;

/* Settings of step 1; all pointers must outlive it. */
typedef struct step1_settings {
    double temperature, top_p;
    uint32_t seed;
    const char *request_id;  /* sent upstream */
    const char *trace;       /* likewise; NULL = none */
    s2a_cancel *cancel;      /* ends step 1 */
    const atomic_bool *late; /* true: cancel fired because step 1 exceeded its budget */
} step1_settings;

/* Protects the texts of a list; NULL = none. */
s2a_status serve_step1_protect(s2a_request *r, const json_t *texts, s2a_error *err);

/* Judges the targets one after another. Call serve_step1_free in any case. */
void serve_step1_run(s2a_engine *engine, const chat_request *q, const step1_settings *settings,
                     step1_outcome *out);
void serve_step1_free(step1_outcome *out);

/* Replaces the targets in the request by the results. False when out of memory; the request must
 * then not be sent. */
bool serve_step1_put(const step1_outcome *s, chat_request *q);

/* The x' of the message with the question; NULL if there is none. */
const char *serve_step1_rewritten(const step1_outcome *s, size_t *len);

/* Calls fn for each removed span of text, which is the judged text of a target or of an earlier
 * message; none after a fallback. */
typedef void (*step1_removed_fn)(void *ctx, const chat_target *of, const char *text, s2a_span span);
void serve_step1_each_removed(const step1_outcome *s, const chat_request *q, step1_removed_fn fn,
                              void *ctx);

#endif
