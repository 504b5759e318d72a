/* The only file that includes ICU. First the text is cut into blocks line by line (fences, lists,
 * tables, headings, paragraphs), then paragraphs into sentences by ICU's rules. ICU's iterators
 * are opened once a process and cloned for each call. */
#include "core/segment.h"

#include "core/abbrev.h"
#include "core/ascii.h"
#include "core/buf.h"
#include "core/error.h"

#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- ICU -------------------------------------------------------------------------------- */

enum { BREAKS_SENTENCES, BREAKS_WORDS, BREAKS_COUNT };

/* Written once, under icu_once; never closed. */
static pthread_once_t icu_once = PTHREAD_ONCE_INIT;
static UBreakIterator *icu_prototypes[BREAKS_COUNT];

static void icu_open(void)
{
    UErrorCode code = U_ZERO_ERROR;
    icu_prototypes[BREAKS_SENTENCES] = ubrk_open(UBRK_SENTENCE, "en", NULL, 0, &code);
    code = U_ZERO_ERROR;
    icu_prototypes[BREAKS_WORDS] = ubrk_open(UBRK_WORD, "en", NULL, 0, &code);
}

typedef struct breaks {
    UBreakIterator *iterator;
    UText text;
} breaks;

/* Offsets are bytes; ill-formed bytes count as U+FFFD. Close it also after a failure. */
static s2a_status breaks_open(breaks *b, int kind, const char *text, size_t len, s2a_error *err)
{
    const UText closed = UTEXT_INITIALIZER;
    UErrorCode code = U_ZERO_ERROR;
    b->text = closed;
    b->iterator = NULL;
    if (len > INT32_MAX)
        return error_set(err, S2A_LIMIT, "text: %zu bytes cannot be segmented", len);
    pthread_once(&icu_once, icu_open);
    if (!icu_prototypes[kind])
        return error_set(err, S2A_INTERNAL, "ICU has no break rules; install its data package");
    b->iterator = ubrk_clone(icu_prototypes[kind], &code);
    utext_openUTF8(&b->text, text, (int64_t)len, &code);
    if (b->iterator)
        ubrk_setUText(b->iterator, &b->text, &code);
    if (code == U_MEMORY_ALLOCATION_ERROR)
        return error_nomem(err);
    if (U_FAILURE(code))
        return error_set(err, S2A_INTERNAL, "ICU: %s", u_errorName(code));
    return S2A_OK;
}

static void breaks_close(breaks *b)
{
    if (b->iterator)
        ubrk_close(b->iterator);
    utext_close(&b->text);
}

/* The code point that ends at *at, which moves to its start; -1 at the text's start. */
static UChar32 before(const char *text, size_t *at)
{
    if (*at == 0)
        return -1;
    int32_t window = *at > 8 ? 8 : (int32_t)*at, i = window;
    UChar32 c = 0;
    const char *from = text + (*at - (size_t)window);
    U8_PREV((const uint8_t *)from, 0, i, c);
    *at -= (size_t)(window - i);
    return c < 0 ? 0xfffd : c;
}

static UChar32 after(const char *text, size_t len, size_t at)
{
    int32_t i = 0, window = len - at > 8 ? 8 : (int32_t)(len - at);
    UChar32 c = 0;
    if (window == 0)
        return -1;
    const char *from = text + at;
    U8_NEXT((const uint8_t *)from, i, window, c);
    return c < 0 ? 0xfffd : c;
}

static bool is_space(UChar32 c)
{
    return c >= 0 && u_isUWhiteSpace(c);
}

size_t utf8_valid_prefix(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        /* Words of ASCII, which most texts are made of. */
        uint64_t word;
        if (len - at >= sizeof word) {
            memcpy(&word, text + at, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                at += sizeof word;
                continue;
            }
        }
        int32_t i = 0, window = len - at > 8 ? 8 : (int32_t)(len - at);
        UChar32 c = 0;
        const char *from = text + at;
        U8_NEXT((const uint8_t *)from, i, window, c);
        if (c < 0)
            return at;
        at += (size_t)i;
    }
    return len;
}

/* ---- the list of units ------------------------------------------------------------------ */

typedef struct units {
    const char *text;
    size_t len;
    segment_unit *items;
    size_t count, cap;
    s2a_error *err;
} units;

static bool closes(UChar32 c)
{
    int8_t type = u_charType(c);
    return c == '"' || c == '\'' || c == '*' || c == '_' || c == '`' || c == '!' || c == 0xff01 ||
           type == U_END_PUNCTUATION || type == U_FINAL_PUNCTUATION;
}

static bool question_mark(UChar32 c)
{
    switch (c) {
    case '?':
    case 0x037e: /* Greek */
    case 0x055e: /* Armenian */
    case 0x061f: /* Arabic */
    case 0x1367: /* Ethiopic */
    case 0x1945: /* Limbu */
    case 0x203d:
    case 0x2047:
    case 0x2048:
    case 0x2049:
    case 0xa60f: /* Vai */
    case 0xff1f: /* full width */
        return true;
    default:
        return false;
    }
}

static bool ends_in_question(const char *text, size_t start, size_t end)
{
    while (end > start) {
        UChar32 c = before(text, &end);
        if (question_mark(c))
            return true;
        if (!closes(c))
            return false;
    }
    return false;
}

static size_t trimmed(const char *text, size_t start, size_t end)
{
    while (end > start) {
        size_t at = end;
        if (!is_space(before(text, &at)))
            break;
        end = at;
    }
    return end < start ? start : end;
}

/* Appends [start, end). White space alone goes to the unit before it. */
static s2a_status add(units *u, size_t start, size_t end, segment_kind kind)
{
    if (start == end)
        return S2A_OK;
    size_t text_end = trimmed(u->text, start, end);
    if (text_end == start && u->count > 0) {
        u->items[u->count - 1].end = end;
        return S2A_OK;
    }
    if (u->count == 1 && u->items[0].kind == SEGMENT_BLANK) { /* leading white space */
        u->count = 0;
        start = 0;
    }
    if (!array_reserve((void **)&u->items, &u->cap, u->count + 1, sizeof *u->items))
        return error_nomem(u->err);
    u->items[u->count++] = (segment_unit){
        .start = start,
        .end = end,
        .text_end = text_end,
        .kind = text_end == start ? SEGMENT_BLANK : kind,
        .question = kind != SEGMENT_CODE && ends_in_question(u->text, start, text_end),
    };
    return S2A_OK;
}

/* ---- paragraphs: sentences -------------------------------------------------------------- */

/* A line break inside a sentence: the line before ends in no mark, the next goes on in lower
 * case. */
static bool hard_wrap(const char *text, size_t start, size_t end, size_t at)
{
    size_t back = trimmed(text, start, at);
    if (back == start || !memchr(text + back, '\n', at - back))
        return false;
    for (size_t i = back, lines = 0; i < at; i++)
        if (text[i] == '\n' && ++lines > 1)
            return false;
    while (at < end && (text[at] == ' ' || text[at] == '\t')) /* the next line's indentation */
        at++;
    size_t edge = back;
    UChar32 last = before(text, &edge), next = after(text, end, at);
    return (u_isalnum(last) || last == ',' || last == ';' || last == ')' || last == '-') &&
           u_islower(next);
}

/* "Where is he?" she asked. */
static bool said(const char *text, size_t start, size_t end, size_t at)
{
    size_t edge = trimmed(text, start, at);
    if (edge == at || memchr(text + edge, '\n', at - edge))
        return false;
    UChar32 last = before(text, &edge);
    return (last == '"' || last == 0x201d || last == 0x2019 || last == '\'') &&
           u_islower(after(text, end, at));
}

/* https://example.com/a?b=c */
static bool inside_word(const char *text, size_t end, size_t at)
{
    char last = text[at - 1], next = at < end ? text[at] : ' ';
    return (last == '?' || last == '!') &&
           (ascii_letter(next) || ascii_digit(next) || next == '=' || next == '&' || next == '/');
}

static bool opens(UChar32 c)
{
    int8_t type = u_charType(c);
    return type == U_START_PUNCTUATION || type == U_INITIAL_PUNCTUATION;
}

/* Marks of emphasis that close behind the mark of a sentence, as in "**Really?** Yes." ICU begins
 * a sentence with them. Returns where it does begin: at, or behind them and their white space. */
static size_t past_emphasis(const char *text, size_t end, size_t at)
{
    size_t i = at;
    while (i < end && (text[i] == '*' || text[i] == '_' || text[i] == '`'))
        i++;
    if (i == at || ascii_space(text[at - 1]) || (i < end && !ascii_space(text[i])))
        return at;
    while (i < end && ascii_space(text[i]) && text[i] != '\n')
        i++;
    return i < end && text[i] == '\n' ? i + 1 : i;
}

/* ICU ends no sentence at a full stop before lower case. Where a sentence itself begins in lower
 * case, the writer uses no capitals, and "i think poe. who wrote it?" is two. */
static s2a_status add_sentence(units *u, size_t start, size_t end)
{
    const char *text = u->text;
    size_t from = start, i = start;
    while (i < end && !ascii_letter(text[i]) && (unsigned char)text[i] < 0x80)
        i++;
    if (!u_islower(after(text, end, i)))
        return add(u, start, end, SEGMENT_SENTENCE);
    for (; i < end; i++) {
        if (text[i] != '.' || text[i - 1] == '.')
            continue;
        size_t at = i + 1;
        while (at < end && ascii_space(text[at]))
            at++;
        if (at == i + 1 || !u_islower(after(text, end, at)) ||
            abbrev_continues(text + start, end - start, at - start))
            continue;
        s2a_status status = add(u, from, at, SEGMENT_SENTENCE);
        if (status != S2A_OK)
            return status;
        from = at;
    }
    return add(u, from, end, SEGMENT_SENTENCE);
}

/* A new paragraph goes on from no abbreviation: a blank line is in the white space before at. */
static bool after_blank_line(const char *text, size_t start, size_t at)
{
    size_t lines = 0;
    while (at > start && ascii_space(text[at - 1]))
        lines += text[--at] == '\n';
    return lines > 1;
}

static s2a_status add_sentences(units *u, size_t start, size_t end)
{
    breaks b;
    const char *text = u->text;
    s2a_status status = breaks_open(&b, BREAKS_SENTENCES, text + start, end - start, u->err);
    size_t from = start;
    while (status == S2A_OK) {
        int32_t next = ubrk_next(b.iterator);
        if (next == UBRK_DONE)
            break;
        size_t at = past_emphasis(text, end, start + (size_t)next);
        if (at <= from)
            continue;
        if (at < end) {
            if (hard_wrap(text, from, end, at) || said(text, from, end, at) ||
                inside_word(text, end, at) ||
                (!after_blank_line(text, start, at) &&
                 abbrev_continues(text + start, end - start, at - start)))
                continue;
            /* Without a space between, ICU leaves an opening quote with the sentence before. */
            size_t back = at;
            UChar32 last = before(text, &back);
            if (back > from && opens(last))
                at = back;
        }
        status = add_sentence(u, from, at);
        from = at;
    }
    breaks_close(&b);
    return status == S2A_OK ? add_sentence(u, from, end) : status;
}

/* ---- blocks: lines ---------------------------------------------------------------------- */

typedef struct line {
    size_t start, end; /* end includes the line break */
    size_t indent;     /* columns of white space at its start */
    size_t first;      /* its first other byte; end when blank */
    bool blank;
} line;

static line line_at(const char *text, size_t len, size_t start)
{
    line l = { .start = start };
    const char *newline = memchr(text + start, '\n', len - start);
    l.end = newline ? (size_t)(newline - text) + 1 : len;
    size_t i = start;
    for (; i < l.end && (text[i] == ' ' || text[i] == '\t'); i++)
        l.indent += text[i] == '\t' ? 4 - l.indent % 4 : 1;
    while (i < l.end && ascii_space(text[i]))
        i++;
    l.first = i;
    l.blank = i == l.end;
    return l;
}

/* The length of a run of at least three ` or ~ that opens a fence; 0 for none. In a list it may be
 * indented as deep as the item's text. */
static size_t fence_open(const char *text, const line *l, bool in_list)
{
    if (l->blank || (l->indent > 3 && !in_list))
        return 0;
    char c = text[l->first];
    size_t n = 0;
    while (l->first + n < l->end && text[l->first + n] == c)
        n++;
    if ((c != '`' && c != '~') || n < 3)
        return 0;
    /* A backtick in the rest of the line makes it inline code. */
    return c == '`' && memchr(text + l->first + n, '`', l->end - l->first - n) ? 0 : n;
}

static bool fence_close(const char *text, const line *l, const line *open, size_t n)
{
    size_t i = l->first, indent = open->indent > 3 ? open->indent + 3 : 3;
    while (i < l->end && text[i] == text[open->first])
        i++;
    return !l->blank && l->indent <= indent && i - l->first >= n &&
           ascii_blank(text + i, l->end - i);
}

static bool heading(const char *text, const line *l)
{
    size_t n = 0;
    while (l->first + n < l->end && text[l->first + n] == '#')
        n++;
    return l->indent <= 3 && n >= 1 && n <= 6 &&
           (l->first + n == l->end || ascii_space(text[l->first + n]));
}

/* "- x", "* x", "+ x", "1. x", "12) x" and a bullet sign: the bytes before x, 0 for none. */
static size_t list_item(const char *text, const line *l)
{
    if (l->blank)
        return 0;
    const char *p = text + l->first, *end = text + l->end;
    if (*p == '-' || *p == '*' || *p == '+') {
        p++;
    } else if (end - p > 3 && !memcmp(p, "\xe2\x80\xa2", 3)) {
        return 3;
    } else {
        const char *digits = p;
        while (p < end && ascii_digit(*p))
            p++;
        if (p == digits || p - digits > 9 || p == end || (*p != '.' && *p != ')'))
            return 0;
        p++;
    }
    bool item = p < end && (*p == ' ' || *p == '\t') && !ascii_blank(p, (size_t)(end - p));
    return item ? (size_t)(p - (text + l->first)) : 0;
}

/* |---|:--:| */
static bool table_rule(const char *text, const line *l)
{
    bool bar = false, dash = false;
    for (size_t i = l->first; i < l->end; i++) {
        char c = text[i];
        bar |= c == '|';
        dash |= c == '-';
        if (c != '|' && c != '-' && c != ':' && !ascii_space(c))
            return false;
    }
    return bar && dash;
}

static bool has_bar(const char *text, const line *l)
{
    return memchr(text + l->first, '|', l->end - l->first) != NULL;
}

/* A row begins with a bar, or is beside the rule of a table. */
static bool table_row(const char *text, size_t len, const line *l, bool in_table)
{
    if (l->blank || !has_bar(text, l))
        return false;
    if (in_table || text[l->first] == '|' || table_rule(text, l))
        return true;
    if (l->end >= len)
        return false;
    line next = line_at(text, len, l->end);
    return table_rule(text, &next);
}

static size_t skip_blank(const char *text, size_t len, size_t at)
{
    while (at < len) {
        line l = line_at(text, len, at);
        if (!l.blank)
            break;
        at = l.end;
    }
    return at;
}

static size_t fence_end(const char *text, size_t len, const line *open, size_t n)
{
    size_t at = open->end;
    while (at < len) {
        line l = line_at(text, len, at);
        at = l.end;
        if (fence_close(text, &l, open, n))
            break;
    }
    return at;
}

/* The item's further lines: indented, and no item, fence or blank line. A fence that opens behind
 * its mark is part of it. */
static size_t item_end(const char *text, size_t len, const line *first, size_t mark)
{
    line rest = *first;
    rest.first += mark;
    while (rest.first < rest.end && ascii_space(text[rest.first]))
        rest.first++;
    rest.indent += rest.first - first->first;
    rest.blank = rest.first == rest.end;
    size_t fence = fence_open(text, &rest, true);
    size_t at = fence ? fence_end(text, len, &rest, fence) : first->end;
    while (at < len) {
        line l = line_at(text, len, at);
        if (l.blank || l.indent < 2 || list_item(text, &l) || fence_open(text, &l, true))
            break;
        at = l.end;
    }
    return at;
}

/* Indented by four or more, after a blank line: code, to the last such line. */
static size_t indented_end(const char *text, size_t len, const line *first)
{
    size_t end = first->end, at = end;
    while (at < len) {
        line l = line_at(text, len, at);
        if (!l.blank && l.indent < 4)
            break;
        at = l.end;
        if (!l.blank)
            end = at;
    }
    return end;
}

typedef struct blocks {
    bool after_blank; /* at the start, or after a blank line */
    bool in_list;     /* since the last list item only items and indented lines came */
    bool in_table;
} blocks;

/* The end and kind of the block that starts with l; 0 when it is a line of a paragraph. */
static size_t block_end(const char *text, size_t len, const line *l, const blocks *state,
                        segment_kind *kind)
{
    size_t fence = fence_open(text, l, state->in_list), mark = 0;
    if (fence) {
        *kind = SEGMENT_CODE;
        return fence_end(text, len, l, fence);
    }
    if (heading(text, l)) {
        *kind = SEGMENT_HEADING;
        return l->end;
    }
    if (table_row(text, len, l, state->in_table)) {
        *kind = SEGMENT_TABLE_ROW;
        return l->end;
    }
    if ((state->in_list || l->indent < 4) && (mark = list_item(text, l)) > 0) {
        *kind = SEGMENT_LIST_ITEM;
        return item_end(text, len, l, mark);
    }
    if (l->indent >= 4 && state->after_blank && !state->in_list) {
        *kind = SEGMENT_CODE;
        return indented_end(text, len, l);
    }
    return 0;
}

s2a_status segment_text(const char *text, size_t len, segment_unit **out, size_t *count,
                        s2a_error *err)
{
    units u = { .text = text, .len = len, .err = err };
    blocks state = { .after_blank = true };
    s2a_status status = S2A_OK;
    size_t at = 0, paragraph = 0; /* [paragraph, at): lines that are no block */
    while (status == S2A_OK && at < len) {
        line l = line_at(text, len, at);
        segment_kind kind = SEGMENT_SENTENCE;
        size_t end = l.blank ? 0 : block_end(text, len, &l, &state, &kind);
        if (end == 0) {
            state.after_blank = l.blank;
            state.in_list &= l.blank || l.indent >= 2;
            state.in_table = false;
            at = l.end;
            continue;
        }
        status = add_sentences(&u, paragraph, at);
        size_t next = skip_blank(text, len, end);
        state.after_blank = next > end;
        end = next;
        if (status == S2A_OK)
            status = add(&u, at, end, kind);
        state.in_list = kind == SEGMENT_LIST_ITEM ||
                        (state.in_list && kind == SEGMENT_CODE && l.indent >= 2);
        state.in_table = kind == SEGMENT_TABLE_ROW;
        paragraph = at = end;
    }
    if (status == S2A_OK)
        status = add_sentences(&u, paragraph, len);
    if (status != S2A_OK) {
        free(u.items);
        u.items = NULL;
        u.count = 0;
    }
    *out = u.items;
    *count = u.count;
    return status;
}

/* ---- words ------------------------------------------------------------------------------ */

s2a_status segment_words(const char *text, size_t len, s2a_span **words, size_t *count,
                         s2a_error *err)
{
    breaks b;
    s2a_span *items = NULL;
    size_t n = 0, cap = 0, from = 0;
    s2a_status status = breaks_open(&b, BREAKS_WORDS, text, len, err);
    while (status == S2A_OK) {
        int32_t next = ubrk_next(b.iterator);
        if (next == UBRK_DONE)
            break;
        if (ubrk_getRuleStatus(b.iterator) >= UBRK_WORD_NUMBER) {
            if (!array_reserve((void **)&items, &cap, n + 1, sizeof *items)) {
                status = error_nomem(err);
                break;
            }
            items[n++] = (s2a_span){ from, (size_t)next };
        }
        from = (size_t)next;
    }
    breaks_close(&b);
    if (status != S2A_OK) {
        free(items);
        items = NULL;
        n = 0;
    }
    *words = items;
    *count = n;
    return status;
}
