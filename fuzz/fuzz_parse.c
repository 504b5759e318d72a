/* The parser of step 1: any bytes give spans inside the text. The first byte chooses the form. */
#include <stdint.h>
#include <stdlib.h>

#include "core/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    parse_form form = data[0] & 1 ? PARSE_WHOLE : PARSE_SPLIT;
    const char *text = (const char *)data + 1;
    size_t len = size - 1;
    parse_parts p;
    if (parse_rewrite(text, len, form, NULL, &p, NULL) != S2A_OK)
        abort();
    if (p.context.start > p.context.end || p.context.end > len)
        abort();
    if (p.question.start > p.question.end || p.question.end > len)
        abort();
    /* The parts never share a byte. */
    if (p.context.start < p.question.end && p.question.start < p.context.end &&
        p.context.start < p.context.end && p.question.start < p.question.end)
        abort();
    return 0;
}
