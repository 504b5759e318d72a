/* Step 1 of a request: every text that is to be judged is, and what came of it. A failure is no
 * error here: the request can go on as it is, and the outcome says why it must. */
#ifndef S2A_SERVE_SERVE_STEP1_H
#define S2A_SERVE_SERVE_STEP1_H

#include "serve/chat.h"

#include <stdatomic.h>

typedef struct step1_outcome {
    const char *fallback; /* NULL: x' goes on; else a reason of s2a_fallback_name, or "budget",
                             "no_text" */
    char detail[300];
    s2a_status status; /* of a failure, where fallback is "step1_failed" */
    bool cancelled;    /* the client has gone: nothing goes on */
    s2a_mode mode;
    s2a_preset preset;
    s2a_result *results[SERVE_TARGETS]; /* as the request's targets; NULL where there is none */
    size_t count;
    s2a_usage usage;         /* of all together */
    double ms;               /* wall time of the whole */
    size_t bytes, removed;   /* of the texts that were judged */
} step1_outcome;

/* How step 1 is made; all must outlive it. */
typedef struct step1_settings {
    double temperature, top_p;
    uint32_t seed;
    const char *request_id; /* goes upstream with it */
    s2a_cancel *cancel;     /* ends it ... */
    const atomic_bool *late; /* ... because time was up, where this is true */
} step1_settings;

/* Judges the targets one after another. *out is to be freed in every case. */
void serve_step1_run(s2a_engine *engine, const chat_request *q, const step1_settings *settings,
                     step1_outcome *out);
void serve_step1_free(step1_outcome *out);

/* Puts what step 1 gave in the place of the targets. False when memory is out; the request is then
 * not fit to be sent. */
bool serve_step1_put(const step1_outcome *s, chat_request *q);

/* The x' of the question's message; NULL where there is none. */
const char *serve_step1_rewritten(const step1_outcome *s, size_t *len);

#endif
