/* What the model is given to read of a text, and in which pieces.
 *
 *   again   the user's turn is the prompt; the assistant's turn begins with the same prompt, whose
 * sentences are judged. A state knows only what stands before it: the second time it has seen all
 * of the prompt (the idea is that of arXiv 2402.15449). 2 tokens for each of the text's. apart the
 * user's turn is a question; the assistant's turn begins with the text. 1 token for each.
 *
 * A text that is longer than a window is read in several. Each shows, around its part, where the
 * text begins and where it ends, for that is where people say what they want. The words around the
 * texts are part of what heads were taught with and cannot be changed without them. */
#ifndef S2A_READING_H
#define S2A_READING_H

#include "core/select.h"

/* Whether the unit is read and judged: not what is asked, not what stays whole unless it is to have
 * a score, not white space alone. */
static inline bool reading_takes(const segment_unit *u, const select_unit *mark)
{
    return !mark->question && (!mark->whole || mark->scored) && u->text_end > u->start;
}

/* Fills judged and odds of the units that are neither question nor whole and adds to *usage. Errors
 * as for backend_vtable.read; S2A_LIMIT also where a question leaves no room for the text. */
s2a_status reading_run(const select_input *in, select_unit *units, s2a_usage *usage,
                       s2a_error *err);

/* The hidden states of each unit but the question's, in one window, for who teaches a head:
 * [unit][layer][last, mean][width] of the layers named. *states is malloc'ed. */
s2a_status reading_states(const select_input *in, const select_unit *units, const uint32_t *layers,
                          size_t layer_count, float **states, size_t *unit_count, s2a_usage *usage,
                          s2a_error *err);

#endif
