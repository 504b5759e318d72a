/* Judging an answer: TriviaQA's normalisation and alias match, numbers of maths answers. Pure,
 * UTF-8 in and out; the only file of eval that includes ICU is score.c. */
#ifndef S2A_EVAL_SCORE_H
#define S2A_EVAL_SCORE_H

#include "s2a.h"

/* normalize_answer of the TriviaQA evaluation script: '_' to space, lower case (Unicode), ASCII
 * punctuation and ‘ ’ ´ ` to spaces, the articles a, an, the as whole words to spaces, white space
 * collapsed and trimmed. malloc'ed; NULL when out of memory. */
char *score_normalise(const char *text, size_t len);

/* True when one of the aliases, normalised, is in the normalised answer as a run of whole words.
 * Aliases that normalise to nothing never match. *which (may be NULL) is the first that did. */
s2a_status score_alias_match(const char *answer, size_t len, const char *const *aliases,
                             size_t alias_count, bool *match, size_t *which, s2a_error *err);

/* The answer of a maths solution: the first number after the last "final answer" (any letter case,
 * whatever label words follow up to a colon), otherwise the last number of the text. Reads "1,234.50",
 * "-3", "$5", "50%", "3/4" (as 0.75), "\\boxed{12}", "1.5e3" is 1.5. The minus sign counts when no
 * digit or letter is before it. False when there is none. */
bool score_number(const char *text, size_t len, double *value);

/* Equal up to 1e-4, absolute or relative. */
bool score_number_equal(double a, double b);

/* The first integer in [low, high] after an optional label ("Sentiment:"), of a judge's reply; false
 * when there is none. */
bool score_rating(const char *text, size_t len, int low, int high, int *value);

#endif
