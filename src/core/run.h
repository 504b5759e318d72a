/* One request in the two steps: the state that attend.c, rewrite.c and select.c share. A run is on
 * its caller's stack; engines are shared. */
#ifndef S2A_RUN_H
#define S2A_RUN_H

#include "core/engine.h"
#include "core/parse.h"
#include "core/request.h"
#include "core/result.h"
#include "core/segment.h"

/* The prompts of each preset. The paper's variants are in section 3.3 and appendix A.1. */
typedef struct recipe {
    prompt_id rewrite; /* step 1; PROMPT_NONE = a baseline without it */
    parse_form form;
    prompt_id answer;       /* step 2 */
    bool answer_input_is_x; /* {{input}} of step 2 is x, not x' */
} recipe;

typedef struct run {
    s2a_engine *engine;
    const s2a_request *request;
    const recipe *recipe;
    s2a_result *result;
    s2a_span given_question; /* in x, if the question is separate; otherwise empty */
    s2a_span *documents;     /* in x; NULL = the request has none */
    size_t document_count;
    segment_unit *units; /* units of x */
    size_t unit_count;
} run;

/* Length of a separate context, without the blank line that we add after it. */
static inline size_t run_context_len(const run *r)
{
    return r->given_question.start >= 2 ? r->given_question.start - 2 : 0;
}

/* Whether unit i is part of a separate question. */
static inline bool run_unit_is_given(const run *r, size_t i)
{
    return r->given_question.end > 0 && r->units[i].end > r->given_question.start;
}

/* Fills the result's units, all kept: a separate question's have the label "question", the others
 * "kept". False when out of memory. */
bool run_report_units(run *r);

typedef struct run_generation {
    int step; /* 1 or 2 */
    const backend_message *messages;
    size_t count;
    const char *const *fields;  /* one for each message: backend_params.message_fields */
    const backend_draft *draft; /* NULL = none */
    uint32_t max_tokens;        /* 0 = as many as the context holds */
    size_t max_bytes;           /* generation stops there */
} run_generation;

/* Generates with the engine's model and passes the text to the request's on_token. Fills *out,
 * *finish and the step's usage in the result, the usage also on failure. Errors as for
 * backend_vtable.generate; S2A_CANCELLED if on_token cancels. */
s2a_status run_generate(run *r, const run_generation *what, result_text *out,
                        backend_finish *finish, s2a_error *err);

#endif
