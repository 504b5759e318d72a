/* The loaded model and the prompts it is asked with; immutable after open. */
#ifndef S2A_ENGINE_H
#define S2A_ENGINE_H

#include "backend/backend.h"
#include "core/prompt.h"
#include "core/select.h"
#include "s2a.h"

struct s2a_engine {
    backend *backend;
    prompt_set prompts;
    select_examples examples, untrusted_examples;
    s2a_calibration calibration;
};

/* The same borders; attention heads do not count. */
bool engine_calibration_same(const s2a_calibration *a, const s2a_calibration *b);

/* What an engine works with that is given these borders: all zero stands for the default. */
s2a_calibration engine_calibration(const s2a_calibration *given);

#endif
