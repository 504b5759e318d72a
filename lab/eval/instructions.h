/* Checks instructions that a program can check, as in IFEval (Zhou et al., arXiv 2311.07911): "Use
 * no commas.", "at least 300 words". A reimplementation of the published checker in strict mode
 * (google-research, instruction_following_eval), with these differences:
 *
 *   language:response_language   not checked: it needs a language detector
 *   change_case:english_capital, english_lowercase   checks letter case, not English
 *   length_constraints:number_sentences   our own rule instead of NLTK's model: a sentence ends at
 *       . ! ? (several count once, quotes and brackets after them belong to it) before white space
 *       or the end; not at the full stop of an English abbreviation or initial, nor at "..." before
 *       a lower-case letter
 *   change_case:capital_word_frequency   words by those rules of NLTK's tokenizer that matter here
 *   keywords:*, startend:*, ...   words are compared literally, not as regular expressions
 *
 * An instruction without its arguments is not checked either; the published checker draws random
 * ones. Pure. */
#ifndef S2A_EVAL_INSTRUCTIONS_H
#define S2A_EVAL_INSTRUCTIONS_H

#include "s2a.h"

#include <jansson.h>

/* Whether the instruction can be checked. kwargs: its arguments, an object; null values count as
 * missing; may be NULL. S2A_NOMEM. */
s2a_status instruction_known(const char *id, const json_t *kwargs, bool *known, s2a_error *err);

/* Whether the answer follows a known instruction. An empty answer follows none. S2A_ARGUMENT if it
 * is not known, S2A_NOMEM. */
s2a_status instruction_follows(const char *id, const json_t *kwargs, const char *answer, size_t len,
                               bool *follows, s2a_error *err);

/* How many of a list of instructions the answer follows. checks: a JSON text, [{"id", "kwargs"},
 * ...], all known; NULL = an empty list. S2A_INPUT if it has another form, S2A_NOMEM. */
s2a_status instructions_count(const char *checks, const char *answer, size_t len,
                              uint32_t *followed, s2a_error *err);

#endif
