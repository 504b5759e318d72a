/* Words become numbers (vocab), numbers are matched (matcher), matches become spans. */
#include "core/align.h"

#include "core/ascii.h"
#include "core/buf.h"
#include "core/error.h"
#include "core/fnv.h"
#include "core/limits.h"

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

typedef struct vocab {
    buf keys;          /* every distinct word, normalised */
    s2a_span *entries; /* id -> key */
    size_t count, cap;
    uint32_t *table; /* open addressing; id + 1, 0 = free */
    size_t table_size;
} vocab;

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

static uint64_t hash_bytes(const char *data, size_t len)
{
    uint64_t h = fnv_add(FNV_START, data, len);
    return h ^ (h >> 32);
}

static bool vocab_init(vocab *v, size_t words_max)
{
    *v = (vocab){ 0 };
    buf_init(&v->keys, (size_t)-1 / 4);
    v->table_size = 64;
    while (v->table_size < words_max * 2)
        v->table_size *= 2;
    v->table = calloc(v->table_size, sizeof *v->table);
    return v->table != NULL;
}

static void vocab_free(vocab *v)
{
    buf_free(&v->keys);
    free(v->entries);
    free(v->table);
}

static bool vocab_id(vocab *v, const buf *key, uint32_t *id)
{
    size_t at = hash_bytes(key->data, key->len) & (v->table_size - 1);
    for (; v->table[at]; at = (at + 1) & (v->table_size - 1)) {
        s2a_span entry = v->entries[v->table[at] - 1];
        if (entry.end - entry.start == key->len &&
            !memcmp(v->keys.data + entry.start, key->data, key->len)) {
            *id = v->table[at] - 1;
            return true;
        }
    }
    void *entries = v->entries;
    if (!array_reserve(&entries, &v->cap, v->count + 1, sizeof *v->entries))
        return false;
    v->entries = entries;
    size_t start = v->keys.len;
    buf_add(&v->keys, key->data, key->len);
    if (v->keys.status != S2A_OK)
        return false;
    v->entries[v->count] = (s2a_span){ start, v->keys.len };
    *id = (uint32_t)v->count++;
    v->table[at] = *id + 1;
    return true;
}

static s2a_status words_read(const char *text, size_t len, words *out, s2a_error *err)
{
    s2a_span *spans = NULL;
    size_t count = 0;
    *out = (words){ 0 };
    s2a_status status = segment_words(text, len, &spans, &count, err);
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

static bool words_number(vocab *v, const char *text, words *w)
{
    buf key;
    buf_init(&key, (size_t)-1 / 4);
    bool ok = true;
    for (size_t i = 0; ok && i < w->count; i++) {
        key_normalise(text, w->items[i].span, &key);
        buf_add(&key, "", 0);
        ok = key.status == S2A_OK && vocab_id(v, &key, &w->items[i].id);
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
    size_t *first;  /* id -> first of its positions in x; vocabulary size + 1 */
    size_t *places; /* positions in x, by id, ascending */
    uint32_t *run[2]; /* run[k][j + 1]: length of the common run that ends at x[j] */
    uint64_t steps;
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

static bool matcher_init(matcher *m, words *x, words *y, size_t ids)
{
    *m = (matcher){ .x = x, .y = y };
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
    /* first[id + 1] is now where id begins; filling moves it to where id ends, which is where
     * id + 1 begins: after this loop first[id] is the begin of id. */
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

/* The places of word id that lie in [lo, hi). */
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

/* The longest common run of the range, the earliest in x among equals; length 0 for none. Words
 * of x that another region has are not offered. */
static size_t longest_run(matcher *m, range r, size_t *x_at, size_t *y_at)
{
    size_t best = 0;
    for (size_t i = r.y_lo; i < r.y_hi; i++) {
        uint32_t *now = m->run[i & 1], *before = m->run[(i & 1) ^ 1];
        size_t *end = NULL;
        for (size_t *p = places_from(m, m->y->items[i].id, r.x_lo, &end);
             p < end && *p < r.x_hi; p++) {
            m->steps++;
            if (m->x->items[*p].match != UNMATCHED)
                continue;
            now[*p + 1] = before[*p] + 1;
            if (now[*p + 1] > best) {
                best = now[*p + 1];
                *x_at = *p + 1 - best;
                *y_at = i + 1 - best;
            }
        }
        /* before[] becomes the next now[]: only what this row's predecessor wrote is cleared. */
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

/* Past LIMIT_ALIGN_STEPS what is left counts as unmatched: coarse, but bounded. */
static bool match_region(matcher *m, size_t y_lo, size_t y_hi, int region)
{
    m->todo_count = 0;
    if (!todo_push(m, (range){ 0, m->x->count, y_lo, y_hi }))
        return false;
    while (m->todo_count > 0 && m->steps < LIMIT_ALIGN_STEPS) {
        range r = m->todo[--m->todo_count];
        size_t x_at = 0, y_at = 0;
        size_t n = longest_run(m, r, &x_at, &y_at);
        if (n == 0)
            continue;
        for (size_t k = 0; k < n; k++) {
            m->x->items[x_at + k].match = region;
            m->y->items[y_at + k].match = (int32_t)(x_at + k);
        }
        if (!todo_push(m, (range){ r.x_lo, x_at, r.y_lo, y_at }) ||
            !todo_push(m, (range){ x_at + n, r.x_hi, y_at + n, r.y_hi }))
            return false;
    }
    return true;
}

/* A single word that stands between unmatched words on every side, in x and in y, was met by
 * chance ("the" in a new sentence and in a removed one). */
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
    static const char *const marks[] = { ".", ",", ";", ":", "!", "?", ")", "]", "\u3002",
        "\uff0c", "\uff1b", "\uff1a", "\uff01", "\uff1f", "\u201d", "\u300d", "\u300f" };
    for (size_t k = 0; k < sizeof marks / sizeof marks[0]; k++)
        if (strlen(marks[k]) == len && !memcmp(marks[k], text, len))
            return true;
    return false;
}

/* Where the bytes between two words are cut when one word goes and the other stays: at the first
 * white space; without any, behind the closing punctuation. */
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

/* Runs of unmatched words of [lo, hi), with the punctuation that hangs on them. */
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
        span.start = i == lo ? begin : gap_cut_before(text, w->items[i - 1].span.end,
                                                      w->items[i].span.start);
        span.end = j + 1 == hi ? end : gap_cut(text, w->items[j].span.end,
                                               w->items[j + 1].span.start);
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

static int span_order(const void *a, const void *b)
{
    const s2a_span *p = a, *q = b;
    return (p->start > q->start) - (p->start < q->start);
}

static bool spans_fill(const char *x, size_t x_len, const char *y, const words *wx,
                       const words *wy, const s2a_span *regions, size_t region_count,
                       align_result *out)
{
    size_t cap = 0;
    if (!spans_of_unmatched(x, x_len, wx, 0, wx->count, 0, &out->removed, &out->removed_count,
                            &cap))
        return false;
    cap = 0;
    for (size_t k = 0; k < region_count; k++) {
        bounds b = region_words(wy, regions[k]);
        if (!spans_of_unmatched(y, regions[k].end, wy, b.lo, b.hi, regions[k].start, &out->added,
                                &out->added_count, &cap))
            return false;
    }
    if (out->added_count > 1)
        qsort(out->added, out->added_count, sizeof *out->added, span_order);
    out->identical = wx->count == wy->count;
    for (size_t i = 0; out->identical && i < wy->count; i++)
        out->identical = wy->items[i].match == (int32_t)i;
    return true;
}

s2a_status align_texts(const char *x, size_t x_len, const segment_unit *units, size_t unit_count,
                       const char *y, size_t y_len, const s2a_span *regions, size_t region_count,
                       align_result *out, s2a_error *err)
{
    *out = (align_result){ 0 };
    words wx = { 0 }, wy = { 0 };
    vocab v = { 0 };
    matcher m = { 0 };
    s2a_status status = words_read(x, x_len, &wx, err);
    if (status == S2A_OK)
        status = words_read(y, y_len, &wy, err);
    if (status == S2A_OK) {
        bool ok = vocab_init(&v, wx.count + wy.count) && words_number(&v, x, &wx) &&
                  words_number(&v, y, &wy) && matcher_init(&m, &wx, &wy, v.count) &&
                  match_all(&m, regions, region_count, out) &&
                  spans_fill(x, x_len, y, &wx, &wy, regions, region_count, out) &&
                  units_judge(units, unit_count, &wx, region_count, out);
        if (!ok)
            status = error_nomem(err);
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
