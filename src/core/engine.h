/* The loaded model and the prompts it is asked with; immutable after open. */
#ifndef S2A_ENGINE_H
#define S2A_ENGINE_H

#include "backend/backend.h"
#include "core/lens.h"
#include "core/prompt.h"
#include "core/select.h"
#include "s2a.h"

struct s2a_engine {
    backend *backend;
    prompt_set prompts;
    select_examples examples, untrusted_examples;
    s2a_calibration calibration;
    const tuned_lens *lens; /* NULL = there is none, or it is off */
    const s2a_engine *selector; /* the options' select_engine */
};

/* Whose judgement mode select goes by: its backend, prompts, calibration and lens. */
const s2a_engine *engine_selector(const s2a_engine *engine);

/* Whether it can be had; *preferred: and a request that names no mode gets mode select. */
bool engine_can_select(const s2a_engine *engine, bool *preferred);

/* The borders of a calibration by name, in the order in which they are written. */
#define ENGINE_BORDERS 5
typedef struct engine_border {
    const char *name;
    size_t offset; /* of a double in s2a_calibration */
    bool may_lack; /* where it was written before there was such a border: 0 */
} engine_border;
extern const engine_border engine_borders[ENGINE_BORDERS];

double engine_border_get(const s2a_calibration *c, size_t i);
void engine_border_set(s2a_calibration *c, size_t i, double value);

/* The same borders; attention heads do not count. */
bool engine_calibration_same(const s2a_calibration *a, const s2a_calibration *b);

/* What an engine works with that is given these borders and has this lens (NULL = none): all zero stands for
 * the default. */
s2a_calibration engine_calibration(const s2a_calibration *given, const tuned_lens *l);

#endif
