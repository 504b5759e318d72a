/* segment over any bytes: units join to the text, words are inside it and in order. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "core/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte is inside a character. */
static bool cuts(const char *text, size_t len, size_t at)
{
    return at < len && ((unsigned char)text[at] & 0xC0) == 0x80;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    bool valid = utf8_valid_prefix(text, size) == size;
    segment_unit *units = NULL;
    s2a_span *words = NULL;
    size_t count = 0, at = 0;
    if (segment_text(text, size, NULL, &units, &count, NULL) != S2A_OK)
        abort();
    for (size_t i = 0; i < count; i++) {
        const segment_unit *u = &units[i];
        if (u->start != at || u->end <= u->start || u->text_end < u->start || u->text_end > u->end)
            abort();
        if ((u->kind == SEGMENT_BLANK) != (u->text_end == u->start) ||
            (u->kind == SEGMENT_BLANK && (count > 1 || u->question)))
            abort();
        if (u->text_end > u->start && ascii_space(text[u->text_end - 1]))
            abort();
        at = u->end;
        if (valid && (cuts(text, size, at) || cuts(text, size, u->text_end)))
            abort();
    }
    if (at != size)
        abort();
    free(units);
    if (segment_words(text, size, NULL, &words, &count, NULL) != S2A_OK)
        abort();
    at = 0;
    for (size_t i = 0; i < count; i++) {
        if (words[i].start < at || words[i].end <= words[i].start || words[i].end > size)
            abort();
        at = words[i].end;
        if (valid && (cuts(text, size, words[i].start) || cuts(text, size, at)))
            abort();
    }
    free(words);
    return 0;
}
