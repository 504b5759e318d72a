/* Labelled prompts of any bytes: refused in one line, or each prompt is whole, and any stretch of
 * it has a label. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "teach/teaching_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const teaching_prompt *p)
{
    size_t at = 0;
    if (p->piece_count == 0 || p->piece_count > LIMIT_TEACHING_PIECES || p->text[p->len] != '\0' ||
        utf8_valid_prefix(p->text, p->len) != p->len || p->context_len >= p->len ||
        (p->untrusted && p->context_len == 0))
        abort();
    for (size_t i = 0; i < p->piece_count; i++) {
        bool asked = false;
        const teaching_piece *piece = &p->pieces[i];
        if (piece->start != at || piece->end <= at || piece->label > TEACH_EITHER)
            abort();
        at = piece->end;
        if (teaching_label_of(p, piece->start, piece->end, &asked) != piece->label ||
            asked != piece->asked || teaching_label_of(p, 0, piece->end, &asked) > TEACH_EITHER)
            abort();
    }
    if (at != p->len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    teaching_set set;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = teaching_set_read("f", (const char *)data, size, &set, &err);
    if (status == S2A_OK) {
        if (set.count == 0)
            abort();
        teaching_set_shuffle(&set, size);
        for (size_t i = 0; i < set.count; i++)
            check(&set.prompts[i]);
    } else if ((status != S2A_INPUT && status != S2A_LIMIT) || status != err.status ||
               !err.message[0] || strchr(err.message, '\n')) {
        abort();
    }
    teaching_set_free(&set);
    return 0;
}
