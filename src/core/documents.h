/* Documents and a question, in mode select. x has the documents one after another, so that they are
 * judged together. No unit spans two documents, and the decisions are mapped back to each. All
 * functions are thread-safe. */
#ifndef S2A_DOCUMENTS_H
#define S2A_DOCUMENTS_H

#include "core/run.h"
#include "core/select.h"

/* Fills documents, units and their counts of a run whose x and request are set: each document is
 * segmented separately, and the blank line after it in x belongs to its last unit. Errors as for
 * segment_text. */
s2a_status documents_segment(run *r, s2a_error *err);

/* The last part of select_decide; changes kept only. Removes loose units if no other unit of their
 * document is kept, and never empties all documents. Pure. */
void documents_decide(const select_input *in, select_unit *out);

/* Fills the result's documents from its units. Does nothing if the request has none. S2A_NOMEM. */
s2a_status documents_report(run *r, s2a_error *err);

#endif
