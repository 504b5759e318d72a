/* Instructions that a program can check, as IFEval has them (Zhou et al., arXiv 2311.07911): "Use no commas.",
 * "at least 300 words". What follows one is what its published checker says in strict mode
 * (google-research, instruction_following_eval), written anew, and with these differences:
 *
 *   language:response_language         is not checked: it needs a detector of languages
 *   change_case:english_capital, english_lowercase      letter case alone is checked, not that it is English
 *   length_constraints:number_sentences     sentences by a rule of our own in place of NLTK's model: one ends at
 *       . ! ? (several count once, quotes and brackets after them belong to it) before white space or the end, but
 *       not at the full stop of an English abbreviation or initial, nor at "..." before a small letter
 *   change_case:capital_word_frequency      words by the rules of NLTK's tokenizer that can matter here
 *   keywords:*, startend:*, ...        words are taken letter by letter, not as regular expressions
 *
 * An instruction whose arguments are missing is not checked either; the published checker draws them by lot.
 * Pure. */
#ifndef S2A_EVAL_INSTRUCTIONS_H
#define S2A_EVAL_INSTRUCTIONS_H

#include "s2a.h"

#include <jansson.h>

/* Whether it can be checked here. kwargs: its arguments, an object; null values and NULL are none.
 * S2A_NOMEM. */
s2a_status instruction_known(const char *id, const json_t *kwargs, bool *known, s2a_error *err);

/* Whether the answer follows an instruction that is known. An empty answer follows none. S2A_ARGUMENT when it is
 * not known, S2A_NOMEM. */
s2a_status instruction_follows(const char *id, const json_t *kwargs, const char *answer, size_t len,
                               bool *follows, s2a_error *err);

/* How many of a list of instructions the answer follows. checks: a JSON text, [{"id", "kwargs"}, ...], all known;
 * NULL has none. S2A_INPUT when it is no such list; S2A_NOMEM. */
s2a_status instructions_count(const char *checks, const char *answer, size_t len, uint32_t *followed,
                              s2a_error *err);

#endif
