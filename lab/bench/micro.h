/* Speed of segmenting and parsing: MB (10^6 bytes) a second, median of some passes. */
#ifndef S2A_BENCH_MICRO_H
#define S2A_BENCH_MICRO_H

#include "s2a.h"

typedef struct bench_micro {
    double segment_mb_per_s; /* segmenting a text of one megabyte */
    double parse_mb_per_s;   /* parsing it as a model's output of step 1 */
} bench_micro;

/* passes: of each, 1 or more. S2A_NOMEM and the errors of segmenting. */
s2a_status bench_micro_run(size_t passes, const s2a_cancel *cancel, bench_micro *out,
                           s2a_error *err);

#endif
