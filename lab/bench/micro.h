/* How fast the parts that read text are: MB (10^6 bytes) a second, median of some passes. */
#ifndef S2A_BENCH_MICRO_H
#define S2A_BENCH_MICRO_H

#include "s2a.h"

typedef struct bench_micro {
    double segment_mb_per_s; /* a text of a megabyte, in units */
    double parse_mb_per_s;   /* the same, as what a model wrote in step 1 */
} bench_micro;

/* passes: of each, 1 or more. S2A_NOMEM and what segmenting returns. */
s2a_status bench_micro_run(size_t passes, const s2a_cancel *cancel, bench_micro *out,
                           s2a_error *err);

#endif
