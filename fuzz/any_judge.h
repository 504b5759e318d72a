/* What the judges of the fuzz targets share: a backend that reads, and says what the input's
 * figures say. Each target has its own read. */
#ifndef FUZZ_ANY_JUDGE_H
#define FUZZ_ANY_JUDGE_H

#include "backend/backend.h"
#include "parts.h"

/* The figure at a place, from one byte: -16 to 15.9; 0 without figures. */
static inline double any_judge_figure(const part *figures, size_t at)
{
    return figures->len > 0 ? (double)(signed char)figures->text[at % figures->len] / 8 : 0;
}

static inline size_t any_judge_count_tokens(backend *self, const char *text, size_t len)
{
    (void)self, (void)text;
    return 1 + len / 4;
}

static inline backend_capabilities any_judge_capabilities(const backend *self)
{
    (void)self;
    return (backend_capabilities){ .model = "any", .can_read = true, .counts_tokens = true };
}

#define ANY_JUDGE(read_fn)                                         \
    (backend_vtable)                                               \
    {                                                              \
        .read = (read_fn), .count_tokens = any_judge_count_tokens, \
        .capabilities = any_judge_capabilities                     \
    }

#endif
