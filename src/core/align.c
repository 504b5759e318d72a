/* Words become numbers (vocab), numbers are matched (matcher), matches become spans. */
#include "core/align.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/limits.h"
#include "core/vocab.h"

#include <stdlib.h>
#include <string.h>

enum { UNMATCHED = -1 };

typedef struct word {
    s2a_span span;
    uint32_t id;
    int32_t match; /* x: region that took it; y: index of the word in x; or UNMATCHED */
} word;

typedef struct words {
    word *items;
    size_t count;
} words;

/* ---- words to numbers ------------------------------------------------------------------- */

static void key_normalise(const char *text, s2a_span span, buf *key)
{
    buf_reset(key);
    for (size_t i = span.start; i < span.end; i++) {
        bool in_number = i > span.start && i + 1 < span.end && ascii_digit(text[i - 1]) &&
                         ascii_digit(text[i + 1]);
        if (text[i] == ',' && in_number)
            continue;
        if (span.end - i >= 3 && !memcmp(text + i, "\u2019", 3)) {
            buf_add(key, "'", 1);
            i += 2;
            continue;
        }
        char c = ascii_lower(text[i]);
        buf_add(key, &c, 1);
    }
}

static s2a_status words_read(const char *text, size_t len, const s2a_cancel *cancel, words *out,
                             s2a_error *err)
{
    s2a_span *spans = NULL;
    size_t count = 0;
    *out = (words){ 0 };
    s2a_status status = segment_words(text, len, cancel, &spans, &count, err);
    if (status != S2A_OK)
        return status;
    out->items = malloc((count + 1) * sizeof *out->items);
    if (out->items) {
        out->count = count;
        for (size_t i = 0; i < count; i++)
            out->items[i] = (word){ spans[i], 0, UNMATCHED };
    } else {
        status = error_nomem(err);
    }
    free(spans);
    return status;
}

static bool words_number(vocab *v, const char *text, const s2a_cancel *cancel, words *w)
{
    buf key;
    buf_init(&key, LIMIT_NONE);
    bool ok = true;
    for (size_t i = 0; ok && i < w->count && !cancel_fired(cancel); i++) {
        key_normalise(text, w->items[i].span, &key);
        ok = key.status == S2A_OK && vocab_id(v, key.data, key.len, &w->items[i].id);
    }
    buf_free(&key);
    return ok;
}

/* ---- matching --------------------------------------------------------------------------- */

typedef struct range {
    size_t x_lo, x_hi, y_lo, y_hi;
} range;

typedef struct matcher {
    words *x, *y;
    size_t *first;    /* id -> first of its positions in x; vocabulary size + 1 */
    size_t *places;   /* positions in x, by id, ascending */
    uint32_t *run[2]; /* run[k][j + 1]: length of the common run that ends at x[j] */
    uint64_t left;    /* steps left; 0 = stop searching */
    const s2a_cancel *cancel;
    range *todo;
    size_t todo_count, todo_cap;
} matcher;

static void matcher_free(matcher *m)
{
    free(m->first);
    free(m->places);
    free(m->run[0]);
    free(m->run[1]);
    free(m->todo);
}

static bool matcher_init(matcher *m, words *x, words *y, size_t ids, const s2a_cancel *cancel)
{
    uint64_t most = LIMIT_ALIGN_WORD_STEPS * (x->count + y->count);
    *m = (matcher){ .x = x,
                    .y = y,
                    .cancel = cancel,
                    .left = most < LIMIT_ALIGN_STEPS ? most : LIMIT_ALIGN_STEPS };
    m->first = calloc(ids + 2, sizeof *m->first);
    m->places = malloc((x->count + 1) * sizeof *m->places);
    m->run[0] = calloc(x->count + 2, sizeof *m->run[0]);
    m->run[1] = calloc(x->count + 2, sizeof *m->run[1]);
    if (!m->first || !m->places || !m->run[0] || !m->run[1])
        return false;
    for (size_t j = 0; j < x->count; j++)
        m->first[x->items[j].id + 2]++;
    for (size_t id = 2; id < ids + 2; id++)
        m->first[id] += m->first[id - 1];
    /* first[id + 1] is now where id begins. The loop moves it to where id ends, that is, to where
     * id + 1 begins. After the loop first[id] is where id begins. */
    for (size_t j = 0; j < x->count; j++)
        m->places[m->first[x->items[j].id + 1]++] = j;
    return true;
}

static bool todo_push(matcher *m, range r)
{
    if (r.x_lo >= r.x_hi || r.y_lo >= r.y_hi)
        return true;
    void *todo = m->todo;
    if (!array_reserve(&todo, &m->todo_cap, m->todo_count + 1, sizeof *m->todo))
        return false;
    m->todo = todo;
    m->todo[m->todo_count++] = r;
    return true;
}

/* The first place of word id at or after lo; *end: the end of its places. */
static size_t *places_from(const matcher *m, uint32_t id, size_t lo, size_t **end)
{
    size_t *a = m->places + m->first[id], *b = m->places + m->first[id + 1];
    *end = b;
    while (a < b) {
        size_t *middle = a + (b - a) / 2;
        if (*middle < lo)
            a = middle + 1;
        else
            b = middle;
    }
    return a;
}

/* False if the step limit is reached or the alignment is cancelled. */
static bool step(matcher *m)
{
    if (m->left > 0 && (--m->left & 0xfff) == 0 && cancel_fired(m->cancel))
        m->left = 0;
    return m->left > 0;
}

/* The length of the range's longest common run, the earliest in y among equals; 0 = none, or the
 * step limit came first. Skips words of x that are already matched. */
static size_t longest_run(matcher *m, range r, size_t *x_at, size_t *y_at)
{
    size_t best = 0;
    for (size_t i = r.y_lo; i < r.y_hi; i++) {
        uint32_t *now = m->run[i & 1], *before = m->run[(i & 1) ^ 1];
        size_t *end = NULL;
        if (!step(m)) /* a row without a match takes time, too */
            return 0;
        for (size_t *p = places_from(m, m->y->items[i].id, r.x_lo, &end); p < end && *p < r.x_hi;
             p++) {
            if (!step(m))
                return 0;
            if (m->x->items[*p].match != UNMATCHED)
                continue;
            now[*p + 1] = before[*p] + 1;
            if (now[*p + 1] > best) {
                best = now[*p + 1];
                *x_at = *p + 1 - best;
                *y_at = i + 1 - best;
            }
        }
        /* before[] becomes the next now[]: clear what the previous row wrote. */
        if (i > r.y_lo) {
            for (size_t *p = places_from(m, m->y->items[i - 1].id, r.x_lo, &end);
                 p < end && *p < r.x_hi; p++)
                before[*p + 1] = 0;
        }
    }
    size_t *end = NULL;
    if (r.y_hi > r.y_lo)
        for (size_t *p = places_from(m, m->y->items[r.y_hi - 1].id, r.x_lo, &end);
             p < end && *p < r.x_hi; p++)
            m->run[(r.y_hi - 1) & 1][*p + 1] = 0;
    return best;
}

static bool match_one(matcher *m, size_t x_at, size_t y_at, int region)
{
    if (m->x->items[x_at].id != m->y->items[y_at].id || m->x->items[x_at].match != UNMATCHED)
        return false;
    m->x->items[x_at].match = region;
    m->y->items[y_at].match = (int32_t)x_at;
    return true;
}

/* Matches the words that both ranges begin with and end with. */
static void match_edges(matcher *m, range r, int region)
{
    while (r.x_lo < r.x_hi && r.y_lo < r.y_hi && match_one(m, r.x_lo, r.y_lo, region)) {
        r.x_lo++;
        r.y_lo++;
    }
    while (r.x_lo < r.x_hi && r.y_lo < r.y_hi && match_one(m, r.x_hi - 1, r.y_hi - 1, region)) {
        r.x_hi--;
        r.y_hi--;
    }
}

/* Past the step limit only the edges of the remaining ranges are matched: coarse, but bounded. */
static bool match_region(matcher *m, size_t y_lo, size_t y_hi, int region)
{
    m->todo_count = 0;
    if (!todo_push(m, (range){ 0, m->x->count, y_lo, y_hi }))
        return false;
    while (m->todo_count > 0) {
        range r = m->todo[--m->todo_count];
        size_t x_at = 0, y_at = 0;
        size_t n = longest_run(m, r, &x_at, &y_at);
        if (n == 0 && m->left == 0)
            match_edges(m, r, region);
        if (n == 0)
            continue;
        for (size_t k = 0; k < n; k++)
            match_one(m, x_at + k, y_at + k, region);
        if (!todo_push(m, (range){ r.x_lo, x_at, r.y_lo, y_at }) ||
            !todo_push(m, (range){ x_at + n, r.x_hi, y_at + n, r.y_hi }))
            return false;
    }
    return true;
}

/* A single word between unmatched words, both in x and in y, was matched by chance ("the" in a new
 * sentence and in a removed one). */
static void drop_chance_matches(words *x, words *y, size_t y_lo, size_t y_hi)
{
    for (size_t i = y_lo; i < y_hi; i++) {
        int32_t at = y->items[i].match;
        if (at == UNMATCHED)
            continue;
        bool alone_y = (i > y_lo && y->items[i - 1].match == UNMATCHED) &&
                       (i + 1 == y_hi || y->items[i + 1].match == UNMATCHED);
        bool alone_x = (at == 0 || x->items[at - 1].match == UNMATCHED) &&
                       ((size_t)at + 1 == x->count || x->items[at + 1].match == UNMATCHED);
        if (alone_x && alone_y) {
            x->items[at].match = UNMATCHED;
            y->items[i].match = UNMATCHED;
        }
    }
}

/* ---- matches to spans ------------------------------------------------------------------- */

static size_t char_len(unsigned char c)
{
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

static bool closes(const char *text, size_t len)
{
    static const char *const marks[] = { ".",      ",",      ";",      ":",      "!",      "?",
                                         ")",      "]",      "\u3002", "\uff0c", "\uff1b", "\uff1a",
                                         "\uff01", "\uff1f", "\u201d", "\u300d", "\u300f" };
    for (size_t k = 0; k < sizeof marks / sizeof marks[0]; k++)
        if (strlen(marks[k]) == len && !memcmp(marks[k], text, len))
            return true;
    return false;
}

/* Where to cut the bytes between a removed and a kept word: at the first white space; without any,
 * after the closing punctuation. */
static size_t gap_cut(const char *text, size_t lo, size_t hi)
{
    for (size_t i = lo; i < hi; i++)
        if (ascii_space(text[i]))
            return i;
    size_t i = lo;
    while (i < hi) {
        size_t n = char_len((unsigned char)text[i]);
        if (i + n > hi || !closes(text + i, n))
            break;
        i += n;
    }
    return i;
}

static size_t gap_cut_before(const char *text, size_t lo, size_t hi)
{
    for (size_t i = hi; i-- > lo;)
        if (ascii_space(text[i]))
            return i + 1;
    return gap_cut(text, lo, hi);
}

/* Runs of unmatched words of [lo, hi), with their punctuation. */
static bool spans_of_unmatched(const char *text, size_t end, const words *w, size_t lo, size_t hi,
                               size_t begin, s2a_span **spans, size_t *count, size_t *cap)
{
    for (size_t i = lo; i < hi; i++) {
        if (w->items[i].match != UNMATCHED)
            continue;
        size_t j = i;
        while (j + 1 < hi && w->items[j + 1].match == UNMATCHED)
            j++;
        s2a_span span;
        span.start = i == lo
                         ? begin
                         : gap_cut_before(text, w->items[i - 1].span.end, w->items[i].span.start);
        span.end =
            j + 1 == hi ? end : gap_cut(text, w->items[j].span.end, w->items[j + 1].span.start);
        void *items = *spans;
        if (!array_reserve(&items, cap, *count + 1, sizeof **spans))
            return false;
        *spans = items;
        (*spans)[(*count)++] = span;
        i = j;
    }
    return true;
}

static bool units_judge(const segment_unit *units, size_t unit_count, const words *x,
                        size_t region_count, align_result *out)
{
    out->unit_kept = calloc(unit_count + 1, sizeof *out->unit_kept);
    out->unit_region = calloc(unit_count + 1, sizeof *out->unit_region);
    size_t *votes = calloc(region_count + 1, sizeof *votes);
    bool ok = out->unit_kept && out->unit_region && votes;
    size_t w = 0, r = 0;
    for (size_t u = 0; ok && u < unit_count; u++) {
        size_t total = 0, matched = 0;
        memset(votes, 0, (region_count + 1) * sizeof *votes);
        for (; w < x->count && x->items[w].span.start < units[u].end; w++) {
            total++;
            if (x->items[w].match != UNMATCHED) {
                matched++;
                votes[x->items[w].match]++;
            }
        }
        while (r < out->removed_count && out->removed[r].end < units[u].text_end)
            r++;
        bool covered = r < out->removed_count && out->removed[r].start <= units[u].start &&
                       out->removed[r].end >= units[u].text_end;
        out->unit_kept[u] = total > 0 ? matched * 2 >= total : !covered;
        out->unit_region[u] = UNMATCHED;
        for (size_t k = 0, best = 0; k < region_count; k++)
            if (votes[k] > best) {
                best = votes[k];
                out->unit_region[u] = (int)k;
            }
    }
    free(votes);
    return ok;
}

typedef struct bounds {
    size_t lo, hi;
} bounds;

static bounds region_words(const words *y, s2a_span region)
{
    bounds b = { 0, 0 };
    while (b.lo < y->count && y->items[b.lo].span.start < region.start)
        b.lo++;
    b.hi = b.lo;
    while (b.hi < y->count && y->items[b.hi].span.end <= region.end)
        b.hi++;
    return b;
}

static bool match_all(matcher *m, const s2a_span *regions, size_t region_count, align_result *out)
{
    for (size_t k = 0; k < region_count; k++) {
        bounds b = region_words(m->y, regions[k]);
        if (!match_region(m, b.lo, b.hi, (int)k))
            return false;
        drop_chance_matches(m->x, m->y, b.lo, b.hi);
    }
    out->region_words = calloc(region_count + 1, sizeof *out->region_words);
    out->region_matched = calloc(region_count + 1, sizeof *out->region_matched);
    if (!out->region_words || !out->region_matched)
        return false;
    for (size_t k = 0; k < region_count; k++) {
        bounds b = region_words(m->y, regions[k]);
        out->region_words[k] = b.hi - b.lo;
        for (size_t i = b.lo; i < b.hi; i++)
            out->region_matched[k] += m->y->items[i].match != UNMATCHED;
    }
    return true;
}

/* The next region that begins at or after `from`; region_count if there is none. */
static size_t region_from(const s2a_span *regions, size_t region_count, size_t from)
{
    size_t next = region_count;
    for (size_t k = 0; k < region_count; k++)
        if (regions[k].start >= from && regions[k].end > regions[k].start &&
            (next == region_count || regions[k].start < regions[next].start))
            next = k;
    return next;
}

static bool spans_fill(const char *x, size_t x_len, const char *y, const words *wx, const words *wy,
                       const s2a_span *regions, size_t region_count, align_result *out)
{
    size_t cap = 0, from = 0;
    if (!spans_of_unmatched(x, x_len, wx, 0, wx->count, 0, &out->removed, &out->removed_count,
                            &cap))
        return false;
    cap = 0;
    for (size_t k; (k = region_from(regions, region_count, from)) < region_count;
         from = regions[k].end) {
        bounds b = region_words(wy, regions[k]);
        if (!spans_of_unmatched(y, regions[k].end, wy, b.lo, b.hi, regions[k].start, &out->added,
                                &out->added_count, &cap))
            return false;
    }
    out->identical = wx->count == wy->count;
    for (size_t i = 0; out->identical && i < wy->count; i++)
        out->identical = wy->items[i].match == (int32_t)i;
    return true;
}

s2a_status align_texts(const char *x, size_t x_len, const segment_unit *units, size_t unit_count,
                       const char *y, size_t y_len, const s2a_span *regions, size_t region_count,
                       const s2a_cancel *cancel, align_result *out, s2a_error *err)
{
    *out = (align_result){ 0 };
    words wx = { 0 }, wy = { 0 };
    vocab v = { 0 };
    matcher m = { 0 };
    s2a_status status = words_read(x, x_len, cancel, &wx, err);
    if (status == S2A_OK)
        status = words_read(y, y_len, cancel, &wy, err);
    if (status == S2A_OK) {
        bool ok = vocab_init(&v) && words_number(&v, x, cancel, &wx) &&
                  words_number(&v, y, cancel, &wy) && matcher_init(&m, &wx, &wy, v.count, cancel) &&
                  match_all(&m, regions, region_count, out) &&
                  spans_fill(x, x_len, y, &wx, &wy, regions, region_count, out) &&
                  units_judge(units, unit_count, &wx, region_count, out);
        if (!ok)
            status = error_nomem(err);
        else if (cancel_fired(cancel))
            status = error_set(err, S2A_CANCELLED, "cancelled");
    }
    matcher_free(&m);
    vocab_free(&v);
    free(wx.items);
    free(wy.items);
    if (status != S2A_OK)
        align_result_free(out);
    return status;
}

void align_result_free(align_result *result)
{
    free(result->removed);
    free(result->added);
    free(result->unit_kept);
    free(result->unit_region);
    free(result->region_words);
    free(result->region_matched);
    *result = (align_result){ 0 };
}
