/* Documents and a question, in mode select. The documents stand in x one after another, so that one
 * reading judges them all; segmentation keeps their borders, and what was decided is mapped back to
 * them. All functions are thread-safe. */
#ifndef S2A_DOCUMENTS_H
#define S2A_DOCUMENTS_H

#include "core/run.h"
#include "core/select.h"

/* Fills documents, units and their counts of a run whose x and request are set: each document is
 * segmented by itself, and what stands behind it in x belongs to its last unit. Errors as for
 * segment_text. */
s2a_status documents_segment(run *r, s2a_error *err);

/* The last part of select_decide, on kept alone: what is loose goes where nothing else of its
 * document stays, and not all documents become empty. Pure. */
void documents_decide(const select_input *in, select_unit *out);

/* Fills the result's documents from its units. Does nothing where the request has none.
 * S2A_NOMEM. */
s2a_status documents_report(run *r, s2a_error *err);

#endif
