/* What the files of select share: how units are shown to the model, and what it is asked of one window.
 * All functions are thread-safe. */
#ifndef S2A_SELECT_PARTS_H
#define S2A_SELECT_PARTS_H

#include "core/select.h"
#include "core/window.h"

enum { SELECT_NEEDED, SELECT_UNRELATED, SELECT_OPINION, SELECT_LABELS };

/* What a preset asks of each unit: the label of what is kept, then those of what goes, each with the
 * space before it. */
typedef struct select_wording {
    const char *labels[SELECT_LABELS];
    size_t count;
    prompt_id system, examples;
    const char *file, *names; /* of the examples and of their lines, for errors */
} select_wording;
const select_wording *select_wording_of(s2a_preset preset);

/* "[3] " and the text, on a line of its own unless it is the first. */
void select_add_numbered(buf *out, size_t number, const char *text, size_t len);
/* The beginning of a line of the answer, up to where the label stands. */
void select_add_branch(buf *out, size_t number, const char *text, size_t len);

/* What is judged at once. */
typedef struct select_window {
    window units;
    size_t asked_from; /* of what is asked, the units from here on are shown as the question */
    bool alone;        /* it is all of the text */
} select_window;

/* The labels' log-probabilities of the units that the window decides: one call of the backend's score.
 * *usage is set, also on failure. Errors are the backend's. */
s2a_status select_ask_labels(const select_input *in, const select_window *w, select_unit *out,
                             s2a_usage *usage, s2a_error *err);
/* Their attention, the same way. */
s2a_status select_ask_attention(const select_input *in, const select_window *w, select_unit *out,
                                s2a_usage *usage, s2a_error *err);

#endif
