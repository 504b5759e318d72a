/* Reading the judgement of mode select half way up the model: what the last layer will say of a unit can be
 * told from the hidden state of an earlier one, by a linear map that was fitted to do so (a "tuned lens",
 * Belrose et al., arXiv 2303.08112, of two log-odds instead of the vocabulary). The layers above are not
 * computed. A small model's states may be read with a map that was fitted to what a larger model says. A
 * lens belongs to one model file and to one form of the question. All functions are thread-safe. */
#ifndef S2A_LENS_H
#define S2A_LENS_H

#include "core/prompt.h"
#include "core/select.h"

enum { LENS_RELEVANCE, LENS_OPINION, LENS_ROWS };

typedef struct tuned_lens {
    uint64_t weights_id; /* backend_capabilities of the model */
    uint64_t form;       /* lens_form of the prompts */
    uint32_t layer;      /* from 0 */
    uint32_t width;      /* numbers of a hidden state */
    /* Log-odds of needed against unrelated, and against opinion, in nats: offset + scale * sum of
     * weight[row][i] * state[i] / root mean square of the state. */
    double offset[LENS_ROWS], scale[LENS_ROWS];
    const int16_t *weights; /* [row][width] */
    s2a_calibration borders; /* of a lens that was not fitted to what this model's labels say; zeros = the
                                same as of the labels */
} tuned_lens;

/* models/lenses.c, which scripts/select/lens.py writes. */
extern const tuned_lens lenses_builtin[];
extern const size_t lenses_builtin_count;

/* A hash of what the model is asked: instruction, examples, the turn of the text, labels, and how a branch
 * begins. */
uint64_t lens_form(const prompt_set *prompts);

/* The lens of the model behind the backend, if it is asked in that form; NULL = there is none. */
const tuned_lens *lens_find(backend *b, const prompt_set *prompts);

/* The log-odds that a hidden state stands for; false when the state is not made of finite numbers. */
bool lens_read(const tuned_lens *l, const float *state, double odds[LENS_ROWS]);

/* A hash of all that lens_read depends on. */
uint64_t lens_id(const tuned_lens *l);

#endif
