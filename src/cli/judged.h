/* What mode select reads of one text, raw: its units and the log-probabilities of their labels, before
 * anything is made of them. For `s2a probe` and `s2a calibrate`. */
#ifndef S2A_CLI_JUDGED_H
#define S2A_CLI_JUDGED_H

#include "core/segment.h"
#include "core/select.h"

typedef struct judged {
    segment_unit *units;
    select_unit *said; /* of each unit */
    size_t count;
    s2a_usage usage;
} judged;

typedef struct judged_options {
    size_t question_start; /* SIZE_MAX = the question is looked for */
    size_t window_tokens;  /* of the text that are judged at once; 0 = as select does it */
    bool attention;        /* the attention read-out in place of labels */
} judged_options;

/* As s2a_attend does it. Errors are those of
 * s2a_attend; S2A_UNSUPPORTED where the backend gives no log-probabilities. judged_free in any case. */
s2a_status judged_read(const s2a_engine *engine, const char *text, size_t len,
                       const judged_options *how, const s2a_cancel *cancel, judged *out,
                       s2a_error *err);
void judged_free(judged *j);

#endif
