/* What can be seen of a sentence without a model: whether it tells the assistant what to do, and
 * whether it holds an opinion and a question at once ("I think it was Freud, but who wrote it?"). */
#ifndef S2A_CLAUSE_H
#define S2A_CLAUSE_H

#include "core/segment.h"

/* Where the question begins in a sentence of which the first clause says what the user thinks; the
 * word that joins the two ("but") is before it. len where the sentence is no such thing. English
 * alone; pure. */
size_t clause_question(const char *sentence, size_t len);

/* The other way round and without a mark between them, "Which state is it in I think it is Ohio.":
 * where the opinion begins, or len. English alone; pure. */
size_t clause_opinion(const char *sentence, size_t len);

/* True for an imperative that asks for an answer or says how to give it: "Please comment on this.",
 * "Answer in French." English alone; pure. */
bool clause_is_request(const char *sentence, size_t len);

/* True for what is meant to hold for the rest of a conversation: "Call me Bob.", "From now on use French.",
 * and whatever says please or speaks of answers. English alone; pure. */
bool clause_is_standing(const char *sentence, size_t len);

/* True for a sentence that begins with a pronoun for what was said before, "It was red.", and for a
 * question that has one: "How old is he?" English alone; pure. */
bool clause_refers_back(const char *sentence, size_t len, bool question);

/* True for a sentence that begins as texts speak to their reader: "If you have any questions, ...",
 * "Please ...", "Let me know ...", "Thank you ...". English alone; pure. */
bool clause_speaks_to_reader(const char *sentence, size_t len);

/* Splits each sentence that is such a thing in two, a statement and a question; one of more than
 * CLAUSE_MAX_BYTES is left. *units is replaced. cancel may be NULL. S2A_NOMEM, S2A_CANCELLED, and
 * *units is then as it was. */
#define CLAUSE_MAX_BYTES ((size_t)64 << 10)
s2a_status clause_split(const char *text, const s2a_cancel *cancel, segment_unit **units,
                        size_t *count, s2a_error *err);

#endif
