/* The guard decides whether x' may replace x. It is deliberately literal: the numbers, quotes and
 * code in x' must be in x. */
#ifndef S2A_GUARD_H
#define S2A_GUARD_H

#include "core/align.h"
#include "core/parse.h"
#include "s2a.h"

/* The most bytes of x': one and a half times x, and room for labels. */
#define GUARD_LENGTH_MAX(x_len) ((x_len) + (x_len) / 2 + 64)
/* At least this share of the question's words (1 of 3) must come from x. */
#define GUARD_QUESTION_SHARE 3

typedef struct guard_input {
    const char *x;
    size_t x_len;
    const char *y; /* x' */
    size_t y_len;
    s2a_span question;      /* in y; empty when there is none */
    bool question_required; /* false if x' is not split or the question was separate */
    size_t question_words, question_matched; /* from align */
    bool question_lost; /* x' is not split, x has question sentences, and none is in x' */
    bool cut_off;
    const s2a_cancel *cancel; /* may be NULL */
} guard_input;

/* *reason is S2A_FALLBACK_NONE if x' passes; else why not, with one line in detail[detail_size].
 * Pure. Past LIMIT_GUARD_BYTES a quotation or code counts as missing. S2A_NOMEM, S2A_CANCELLED. */
s2a_status guard_check(const guard_input *input, s2a_fallback *reason, char *detail,
                       size_t detail_size, s2a_error *err);

#endif
