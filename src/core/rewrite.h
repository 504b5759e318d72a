/* Mode rewrite: the model regenerates the prompt (the paper, section 3.1), and the output is
 * compared with x. */
#ifndef S2A_REWRITE_H
#define S2A_REWRITE_H

#include "core/run.h"

/* Step 1: render -> generate -> parse -> compose -> align -> guard. Fills x' and its fields; if the
 * guard rejects x', only the result's fallback, detail and step1_text. Errors as for s2a_attend;
 * the result then holds no x'. */
s2a_status rewrite_run(run *r, s2a_error *err);

#endif
