/* Items in the order of their scores, for qsort. Pure. */
#ifndef S2A_RANKED_H
#define S2A_RANKED_H

#include <stddef.h>

typedef struct ranked {
    double score;
    size_t index;
} ranked;

/* The best score first; equal scores in the order of their indexes. */
static inline int ranked_compare(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score > y->score || x->score < y->score)
        return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

#endif
