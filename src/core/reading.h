/* The judge model's input for a text, and its windows. There are two forms:
 *
 *   again   The user's message is the prompt. The assistant's message begins with the same
 *           prompt, whose sentences are judged. A hidden state depends only on the text before
 *           it: the second copy has seen all of the prompt (the idea of arXiv 2402.15449). 2
 *           input tokens for each of the text's.
 *   apart   The user's message is a question; the assistant's begins with the text. 1 for each.
 *
 * A text longer than a window is read in several. In form again each window also shows the text's
 * beginning and end, where people say what they want. Heads were taught with the words around the
 * texts: other words need other heads. */
#ifndef S2A_READING_H
#define S2A_READING_H

#include "core/select.h"

/* Whether the unit is judged: not a separate question, not white space alone, and not an always
 * kept unit unless it is to have a score. */
static inline bool reading_takes(const segment_unit *u, const select_unit *mark)
{
    return !mark->question && (!mark->whole || mark->scored) && u->text_end > u->start;
}

/* Fills judged and odds of the units that reading_takes accepts, and adds to *usage. Errors as for
 * backend_vtable.read; S2A_LIMIT also if the question or earlier messages leave no room for the
 * text. */
s2a_status reading_run(const select_input *in, select_unit *units, s2a_usage *usage,
                       s2a_error *err);

/* For teaching a head: the hidden states of the judged units, in one window: [unit][layer][last,
 * mean][width] of the given layers. *states is malloc'ed. */
s2a_status reading_states(const select_input *in, const select_unit *units, const uint32_t *layers,
                          size_t layer_count, float **states, size_t *unit_count, s2a_usage *usage,
                          s2a_error *err);

#endif
