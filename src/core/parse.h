/* Parses the model's output of step 1: two labelled parts, and other text around them. The paper
 * (section 3.1, appendix A.1) removes the model's comments and the words in parentheses from the
 * labels; models also print typographic or straight quotes, bold labels, other wordings of a label,
 * one label only, the question first, or no label at all. */
#ifndef S2A_PARSE_H
#define S2A_PARSE_H

#include "s2a.h"

typedef enum parse_form {
    PARSE_SPLIT, /* context and question (Figures 2 and 15) */
    PARSE_WHOLE, /* one text (Figure 12): only comments and a leading label are removed */
} parse_form;

typedef struct parse_parts {
    s2a_span context;  /* in the model's text; start == end when empty or absent */
    s2a_span question; /* likewise; always empty for PARSE_WHOLE */
    bool context_labelled, question_labelled;
    bool question_inferred; /* no question label: taken from the context's start or end */
} parse_parts;

/* Never fails on any text: a text without labels is all context. Pure: no I/O, no state. cancel may
 * be NULL. S2A_CANCELLED; S2A_NOMEM and S2A_INTERNAL come from segmenting, which only the inferred
 * question needs. */
s2a_status parse_rewrite(const char *text, size_t len, parse_form form, const s2a_cancel *cancel,
                         parse_parts *parts, s2a_error *err);

#endif
