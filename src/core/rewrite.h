/* Mode rewrite: the model regenerates the prompt (the paper, section 3.1), and what it wrote is
 * held against x. */
#ifndef S2A_REWRITE_H
#define S2A_REWRITE_H

#include "core/run.h"

/* Step 1: render -> generate -> parse -> compose -> align -> guard. Fills x' and all that goes
 * with it; where the guard does not let x' stand, only the result's fallback, detail and
 * step1_text. Errors as for s2a_attend; the result then holds no x'. */
s2a_status rewrite_run(run *r, s2a_error *err);

#endif
