/* The guard decides whether an x' may stand in for x. It is deliberately literal: what x' claims
 * in numbers, quotes and code must be found in x. */
#ifndef S2A_GUARD_H
#define S2A_GUARD_H

#include "core/align.h"
#include "core/parse.h"
#include "s2a.h"

/* x' may be this much longer than x: half as long again, and room for labels the model keeps. */
#define GUARD_LENGTH_MAX(x_len) ((x_len) + (x_len) / 2 + 64)
/* At least this share of the question's words (1 of 3) must come from x. */
#define GUARD_QUESTION_SHARE 3

typedef struct guard_input {
    const char *x;
    size_t x_len;
    const char *y; /* x' */
    size_t y_len;
    s2a_span question;      /* in y; empty when there is none */
    bool question_required; /* false for an x' that is not split, and for a question given apart */
    size_t question_words, question_matched; /* from align */
    bool question_lost; /* x' is not split, x has question sentences, and none is in x' */
    bool cut_off;
    const s2a_cancel *cancel; /* may be NULL */
} guard_input;

/* *reason is S2A_FALLBACK_NONE when x' may stand, else why not, with a detail of one line in
 * detail[detail_size]. Pure. Past LIMIT_GUARD_BYTES a quotation or code counts as not found.
 * S2A_NOMEM, S2A_CANCELLED. */
s2a_status guard_check(const guard_input *input, s2a_fallback *reason, char *detail,
                       size_t detail_size, s2a_error *err);

#endif
