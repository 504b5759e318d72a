/* The units of a text in mode select, and those that are kept whatever the model says. */
#include "base/ascii.h"
#include "base/cancel.h"
#include "base/error.h"
#include "core/select.h"

#include <stdlib.h>
#include <string.h>

head_form select_form(const select_input *in)
{
    if (in->preset == S2A_PRESET_UNTRUSTED)
        return HEAD_APART;
    bool ranks = in->preset == S2A_PRESET_RELEVANCE || in->keep > 0;
    return ranks && in->question_start != SIZE_MAX ? HEAD_APART : HEAD_AGAIN;
}

/* ---- finer units -------------------------------------------------------------------------- */

/* An order may be in a code fence or longer than a window. */
#define PIECE_BYTES 2000

static bool is_long(const segment_unit *u)
{
    return u->kind == SEGMENT_CODE || u->end - u->start > PIECE_BYTES;
}

/* The end of the line that begins at `from`, or of its first piece: at a space, if its second half
 * has one. */
static size_t piece_end(const char *text, size_t from, size_t end)
{
    size_t most = end - from < PIECE_BYTES ? end : from + PIECE_BYTES;
    const char *newline = memchr(text + from, '\n', most - from);
    if (newline)
        return (size_t)(newline - text) + 1;
    if (most == end)
        return end;
    for (size_t at = most; at > from + PIECE_BYTES / 2; at--)
        if (ascii_space(text[at - 1]))
            return at;
    while (most > from + 1 && ((unsigned char)text[most] & 0xc0) == 0x80)
        most--;
    return most;
}

static size_t trimmed_end(const char *text, size_t start, size_t end)
{
    while (end > start && ascii_space(text[end - 1]))
        end--;
    return end;
}

s2a_status select_refine(s2a_preset preset, const char *text, segment_unit **units, size_t *count,
                         s2a_error *err)
{
    segment_unit *out = NULL;
    size_t n = 0, cap = 0;
    if (preset != S2A_PRESET_UNTRUSTED)
        return S2A_OK;
    for (size_t i = 0; i < *count; i++) {
        const segment_unit *u = &(*units)[i];
        size_t at = u->start;
        while (at < u->end) {
            size_t to = is_long(u) ? piece_end(text, at, u->end) : u->end;
            bool blank = n > 0 && at > u->start && trimmed_end(text, at, to) == at;
            if (!blank && !array_reserve((void **)&out, &cap, n + 1, sizeof *out)) {
                free(out);
                return error_nomem(err);
            }
            if (!blank) {
                out[n] = *u;
                out[n].start = at;
                out[n++].text_end = to == u->end ? u->text_end : trimmed_end(text, at, to);
            }
            out[n - 1].end = at = to;
            if (out[n - 1].text_end > to || to == u->end)
                out[n - 1].text_end = trimmed_end(text, out[n - 1].start, to);
        }
    }
    free(*units);
    *units = out;
    *count = n;
    return S2A_OK;
}

s2a_status select_segment(s2a_preset preset, const char *text, size_t len, size_t question_start,
                          const s2a_cancel *cancel, segment_unit **units, size_t *count,
                          s2a_error *err)
{
    size_t apart = question_start == SIZE_MAX ? 0 : question_start;
    s2a_status status = segment_apart(text, len, apart, cancel, units, count, err);
    return status == S2A_OK ? select_refine(preset, text, units, count, err) : status;
}

/* ---- what is always kept ------------------------------------------------------------------ */

/* Pairs of marks around quoted text. */
static const struct {
    const char *open, *close[2];
} pairs[] = {
    { "```", { "```", NULL } }, /* a fence that does not begin its line: segment.c sees no code */
    { "\"", { "\"", NULL } },
    { "\xe2\x80\x9c", { "\xe2\x80\x9d", NULL } },           /* “ ” */
    { "\xe2\x80\x9e", { "\xe2\x80\x9c", "\xe2\x80\x9d" } }, /* „ “, „ ” */
    { "\xc2\xab", { "\xc2\xbb", NULL } },                   /* « » */
    { "\xc2\xbb", { "\xc2\xab", NULL } },                   /* » « */
    { "\xe2\x80\xb9", { "\xe2\x80\xba", NULL } },           /* ‹ › */
    { "\xe3\x80\x8c", { "\xe3\x80\x8d", NULL } },           /* 「 」 */
    { "\xe3\x80\x8e", { "\xe3\x80\x8f", NULL } },           /* 『 』 */
    { "`", { "`", NULL } },
};
#define PAIRS (sizeof pairs / sizeof pairs[0])

static bool at_mark(const char *text, size_t i, size_t len, const char *mark)
{
    size_t n = mark ? strlen(mark) : 0;
    return n > 0 && len - i >= n && !memcmp(text + i, mark, n);
}

/* A mark that can both open and close opens after white space or an opening mark and before a
 * character; otherwise it closes, or is inches (5'6"). */
static bool may_open(const char *text, size_t i, size_t len, size_t mark_len)
{
    char before = i > 0 ? text[i - 1] : ' ';
    return i + mark_len < len && !ascii_space(text[i + mark_len]) &&
           (ascii_space(before) || strchr("([{:;,-*_>=/", before) || (unsigned char)before >= 0x80);
}

/* The length of the mark at i that opens pair *which; 0 = none. */
static size_t opens_at(const char *text, size_t i, size_t len, size_t *which)
{
    for (size_t p = 0; p < PAIRS; p++) {
        size_t n = strlen(pairs[p].open);
        if (at_mark(text, i, len, pairs[p].open) && (n > 1 || may_open(text, i, len, n))) {
            *which = p;
            return n;
        }
    }
    return 0;
}

static size_t closes_at(const char *text, size_t i, size_t len, size_t which)
{
    for (size_t k = 0; k < 2; k++)
        if (at_mark(text, i, len, pairs[which].close[k]))
            return strlen(pairs[which].close[k]);
    return 0;
}

/* The name of the tag <NAME ...> or </NAME> at i, *len bytes; NULL if there is none. */
static const char *tag_at(const char *text, size_t i, size_t end, bool *closes, size_t *len)
{
    if (text[i] != '<' || i + 2 >= end)
        return NULL;
    *closes = text[i + 1] == '/';
    const char *name = text + i + 1 + *closes;
    size_t most = end - (size_t)(name - text), n = 0;
    while (n < most && n < 64 &&
           (ascii_letter(name[n]) || ascii_digit(name[n]) || name[n] == '_' || name[n] == '-'))
        n++;
    const char *stop =
        n > 0 && n < most && (name[n] == '>' || name[n] == ' ') && ascii_letter(*name)
            ? memchr(name + n, '>', most - n < 200 ? most - n : 200)
            : NULL;
    *len = n;
    return stop && stop[-1] != '/' ? name : NULL;
}

/* A mark or tag that is open; the last one is closed first. */
typedef struct open_mark {
    size_t which; /* a pair, or PAIRS = a tag */
    const char *name;
    size_t name_len, unit; /* where it was opened */
} open_mark;

#define OPEN_MAX 32
#define CANCEL_BYTES 4096 /* between two checks of the cancel handle */

typedef struct nesting {
    const select_input *in;
    select_unit *out;
    open_mark open[OPEN_MAX];
    size_t count;
} nesting;

/* Opens a mark. If too many are open, the first is left out: it is the likeliest to stay unclosed,
 * such as <br>. */
static void open_add(nesting *n, open_mark mark)
{
    if (n->count == OPEN_MAX)
        memmove(n->open, n->open + 1, --n->count * sizeof *n->open);
    n->open[n->count++] = mark;
}

/* Keeps a quotation over several units whole. */
static void close_mark(nesting *n, size_t k, size_t unit)
{
    for (size_t i = n->open[k].unit; unit > n->open[k].unit && i <= unit; i++)
        n->out[i].whole = true;
    n->count = k;
}

static size_t tag_take(nesting *n, size_t at, size_t end, size_t unit)
{
    bool closes = false;
    size_t len = 0, k = n->count;
    const char *name = tag_at(n->in->text, at, end, &closes, &len);
    if (!name)
        return 0;
    while (closes && k > 0 &&
           !(n->open[k - 1].which == PAIRS && n->open[k - 1].name_len == len &&
             !memcmp(n->open[k - 1].name, name, len)))
        k--;
    if (closes && k > 0)
        close_mark(n, k - 1, unit);
    else if (!closes)
        open_add(n, (open_mark){ PAIRS, name, len, unit });
    return 1;
}

static size_t mark_take(nesting *n, size_t at, size_t end, size_t unit)
{
    const char *text = n->in->text;
    for (size_t k = n->count; k > 0; k--) {
        size_t len =
            n->open[k - 1].which < PAIRS ? closes_at(text, at, end, n->open[k - 1].which) : 0;
        if (len > 0) {
            close_mark(n, k - 1, unit);
            return len;
        }
    }
    size_t which = 0, len = opens_at(text, at, end, &which);
    if (len > 0)
        open_add(n, (open_mark){ .which = which, .unit = unit });
    return len;
}

/* Ignores unclosed marks. */
static void nesting_find(const select_input *in, select_unit *out)
{
    nesting n = { .in = in, .out = out };
    size_t end = in->count > 0 ? in->units[in->count - 1].end : 0;
    for (size_t i = 0; i < in->count; i++)
        for (size_t k = in->units[i].start; k < in->units[i].text_end;) {
            if (k % CANCEL_BYTES == 0 && cancel_fired(in->cancel))
                return; /* reading_run reports it */
            size_t len = tag_take(&n, k, end, i);
            len = len > 0 ? len : mark_take(&n, k, end, i);
            k += len > 0 ? len : 1;
        }
}

/* Without a letter or a digit of any script: a rule, a bullet, a lone mark. */
static bool only_marks(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (ascii_letter(text[i]) || ascii_digit(text[i]) || (unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

/* Spans may overlap. reach: the furthest end of those that began so far. */
static void protect_mark(const select_input *in, select_unit *out)
{
    size_t reach = 0, k = 0;
    for (size_t i = 0; i < in->count; i++) {
        for (; k < in->protect_count && in->protect[k].start < in->units[i].text_end; k++)
            reach = in->protect[k].end > reach ? in->protect[k].end : reach;
        if (reach <= in->units[i].start)
            continue;
        out[i].whole = true;
        out[i].loose = false;
    }
}

void select_mark(const select_input *in, select_unit *out)
{
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        bool block =
            u->kind == SEGMENT_CODE || u->kind == SEGMENT_TABLE_ROW || u->kind == SEGMENT_HEADING;
        out[i] = (select_unit){ .kept = true, .label = select_kept_label(in->preset) };
        bool blank = u->kind == SEGMENT_BLANK,
             marks = only_marks(in->text + u->start, u->text_end - u->start);
        out[i].question = u->start >= in->question_start;
        out[i].whole = (block && in->preset != S2A_PRESET_UNTRUSTED) || blank || marks;
        out[i].scored = in->documents && !blank && !marks;
        out[i].loose = in->documents && (u->kind == SEGMENT_HEADING || blank || marks);
    }
    protect_mark(in, out);
    if (select_form(in) == HEAD_AGAIN)
        nesting_find(in, out);
}
