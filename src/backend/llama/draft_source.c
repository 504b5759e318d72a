/* The source of drafts: a prompt's tokens, and where units begin in them. */
#include "backend/llama/embedded.h"
#include "base/ascii.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES 256 /* longer texts of tokens count as empty */

/* FNV-1a of the text after its leading white space; of the whole text if it is white space. */
static uint32_t word_of(const char *piece, size_t len)
{
    size_t from = 0;
    while (from < len && ascii_space(piece[from]))
        from++;
    if (from == len)
        from = 0;
    uint32_t hash = 2166136261u;
    for (size_t i = from; i < len; i++)
        hash = (hash ^ (unsigned char)piece[i]) * 16777619u;
    return hash;
}

static size_t piece_of(const embedded *e, int32_t token, char *piece)
{
    int32_t n = llama_token_to_piece(e->vocab, token, piece, PIECE_BYTES, 0, true);
    return n > 0 ? (size_t)n : 0;
}

uint32_t draft_word(const embedded *e, int32_t token)
{
    char piece[PIECE_BYTES];
    return word_of(piece, piece_of(e, token, piece));
}

/* The offset of needle's last occurrence; SIZE_MAX = none. */
static size_t last_place(const buf *text, const char *needle, size_t len)
{
    size_t found = SIZE_MAX, from = 0;
    while (len > 0 && from + len <= text->len) {
        const char *at = memmem(text->data + from, text->len - from, needle, len);
        if (!at)
            break;
        found = (size_t)(at - text->data);
        from = found + 1;
    }
    return found;
}

/* Marks the token that contains the first byte from at on that is not white space. */
static void mark(draft *d, const buf *text, const size_t *ends, size_t at)
{
    while (at < text->len && ascii_space(text->data[at]))
        at++;
    size_t low = 0, high = d->count; /* the first token that ends after it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ends[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    if (low < d->count)
        d->source[low].start = true;
}

static void marks_set(draft *d, const buf *text, const size_t *ends, const backend_draft *from)
{
    mark(d, text, ends, 0);
    for (size_t i = 0; i < text->len; i++)
        if (text->data[i] == '\n')
            mark(d, text, ends, i + 1);
    const char *x = from->text;
    size_t skip = 0, len = from->len; /* templates trim white space at both ends */
    while (skip < len && ascii_space(x[skip]))
        skip++;
    while (len > skip && ascii_space(x[len - 1]))
        len--;
    size_t at = last_place(text, x + skip, len - skip);
    for (size_t i = 0; i < from->start_count && at != SIZE_MAX; i++)
        if (from->starts[i] >= skip && from->starts[i] < len)
            mark(d, text, ends, at + from->starts[i] - skip);
}

bool draft_open(draft *d, const embedded *e, const token_list *prompt, const backend_draft *from)
{
    buf text;
    buf_init(&text, 8 * LIMIT_INPUT_BYTES);
    size_t *ends = calloc(prompt->count + 1, sizeof *ends);
    bool ok = draft_init(d, prompt->count) && ends;
    for (size_t i = 0; i < prompt->count && ok; i++) {
        char piece[PIECE_BYTES];
        size_t n = piece_of(e, prompt->items[i], piece);
        d->source[i].token = prompt->items[i];
        d->source[i].word = word_of(piece, n);
        buf_add(&text, piece, n);
        ends[i] = text.len;
    }
    ok = ok && (text.status == S2A_OK || text.status == S2A_LIMIT);
    if (ok && text.len > 0)
        marks_set(d, &text, ends, from);
    free(ends);
    buf_free(&text);
    if (!ok)
        draft_free(d);
    return ok;
}
