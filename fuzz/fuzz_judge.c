/* align and guard over any two texts, cut at the first 0xFF byte: x, then x'. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/align.h"
#include "core/guard.h"
#include "core/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const s2a_span *spans, size_t count, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (spans[i].start >= spans[i].end || spans[i].end > len ||
            (i > 0 && spans[i - 1].end > spans[i].start))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *x = (const char *)data;
    const char *cut = size ? memchr(x, 0xff, size) : NULL;
    size_t x_len = cut ? (size_t)(cut - x) : size;
    const char *y = cut ? cut + 1 : x;
    size_t y_len = cut ? size - x_len - 1 : size;
    segment_unit *units = NULL;
    size_t unit_count = 0;
    align_result a;
    s2a_span regions[2] = { { y_len / 2, y_len }, { 0, y_len / 2 } };
    if (segment_text(x, x_len, NULL, &units, &unit_count, NULL) != S2A_OK ||
        align_texts(x, x_len, units, unit_count, y, y_len, regions, 2, NULL, &a, NULL) != S2A_OK)
        abort();
    check(a.removed, a.removed_count, x_len);
    check(a.added, a.added_count, y_len);
    guard_input in = { .x = x,
                       .x_len = x_len,
                       .y = y,
                       .y_len = y_len,
                       .question = regions[0],
                       .question_required = true,
                       .question_words = a.region_words[0],
                       .question_matched = a.region_matched[0] };
    s2a_fallback reason;
    char detail[200];
    if (guard_check(&in, &reason, detail, sizeof detail, NULL) != S2A_OK)
        abort();
    if ((reason == S2A_FALLBACK_NONE) != (detail[0] == '\0'))
        abort();
    free(units);
    align_result_free(&a);
    return 0;
}
