/* Scoring an answer: TriviaQA's normalisation and alias match, numbers of maths answers. Pure,
 * UTF-8 in and out. */
#ifndef S2A_EVAL_SCORE_H
#define S2A_EVAL_SCORE_H

#include "s2a.h"

/* normalize_answer of the TriviaQA evaluation script (Joshi et al. 2017): '_' to space, lower case
 * (Unicode), ASCII punctuation and ‘ ’ ´ ` to spaces, the articles a, an, the as whole words to
 * spaces, white space collapsed and trimmed. A NUL counts as white space. malloc'ed; NULL when out
 * of memory, or past 700 MB. */
char *score_normalise(const char *text, size_t len);

/* True if the normalised answer contains one of the normalised aliases as whole words: with no
 * letter, digit or combining mark beside it. In scripts without spaces between words (Chinese,
 * Japanese, Korean with its particles, Thai ...) any place counts. Aliases that normalise to
 * nothing never match. *which (may be NULL) is the first alias that matched; unchanged if none
 * did. */
s2a_status score_alias_match(const char *answer, size_t len, const char *const *aliases,
                             size_t alias_count, bool *match, size_t *which, s2a_error *err);

/* The answer of a maths solution: the first number after the last "final answer" (any letter case,
 * whatever label words follow up to a colon), otherwise the first in the last "\\boxed{", otherwise
 * the last number of the text. In the first two, a number that begins an equation gives way to the
 * one after the last "=": "16 - 3 = 13" is 13. Reads "1,234.50", "-3", "$5", "50%", "3/4" (as
 * 0.75); "1.5e3" is 1.5. The minus sign ("-" or U+2212) counts when no digit, letter or closing
 * bracket is before it. False when there is no number. */
bool score_number(const char *text, size_t len, double *value);

/* Equal up to 1e-4, absolute or relative; two integers must be the same. */
bool score_number_equal(double a, double b);

/* The rating in a judge's reply: the first integer in [low, high] after a label's colon
 * ("Sentiment: 3"), otherwise the first in [low, high]. "4/5" and "4 out of 5" are 4; "4.5" is not
 * an integer. False if there is none. */
bool score_rating(const char *text, size_t len, int low, int high, int *value);

/* The first "yes" or "no" in a judge's reply, as a word, in any letter case. False if there is
 * none. */
bool score_yes_no(const char *text, size_t len, bool *yes);

#endif
