/* The only file that includes unicode/ubrk.h. First the text is cut into blocks line by line
 * (fences, lists, tables, headings, paragraphs), then paragraphs into sentences by ICU's rules.
 * ICU's iterators are opened once a process and cloned for each call. */
#include "core/segment.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "core/abbrev.h"

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

/* ICU's reader of UTF-8; after a cancel it says that the text has ended. ICU reads about 30
 * characters at a time, and a sentence may be the whole text. */
typedef struct watched {
    UTextFuncs functions; /* first: a UText points to it, and its copies do */
    UTextAccess *access;
    const s2a_cancel *cancel;
} watched;

static UBool U_CALLCONV watched_access(UText *text, int64_t index, UBool forward)
{
    const watched *w = (const watched *)text->pFuncs;
    return w->access(text, cancel_fired(w->cancel) ? utext_nativeLength(text) : index, forward);
}

typedef struct breaks {
    UBreakIterator *iterator;
    UText text;
    watched reader;
} breaks;

static s2a_status cancelled(s2a_error *err)
{
    return error_set(err, S2A_CANCELLED, "cancelled");
}

/* Offsets are bytes; ill-formed bytes count as U+FFFD. Call breaks_close also after a failure, and
 * do not move *b before. */
static s2a_status breaks_open(breaks *b, int kind, const char *text, size_t len,
                              const s2a_cancel *cancel, s2a_error *err)
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
    if (U_SUCCESS(code)) {
        b->reader = (watched){ *b->text.pFuncs, b->text.pFuncs->access, cancel };
        b->reader.functions.access = watched_access;
        b->text.pFuncs = &b->reader.functions;
    }
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

/* ---- the list of units ------------------------------------------------------------------ */

typedef struct units {
    const char *text;
    size_t len;
    const s2a_cancel *cancel;
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

/* A line break inside a sentence: its line does not end in a closing mark, and the next begins in
 * lower case. */
static bool hard_wrap(const abbrev_place *p)
{
    if (p->lines != 1)
        return false;
    size_t at = p->at, edge = p->stop;
    while (at < p->end && (p->text[at] == ' ' || p->text[at] == '\t')) /* the next line's
                                                                          indentation */
        at++;
    UChar32 last = before(p->text, &edge), next = after(p->text, p->end, at);
    return (u_isalnum(last) || last == ',' || last == ';' || last == ')' || last == '-') &&
           u_islower(next);
}

/* "Where is he?" she asked. */
static bool said(const abbrev_place *p)
{
    if (p->stop == p->at || p->lines > 0)
        return false;
    size_t edge = p->stop;
    UChar32 last = before(p->text, &edge);
    return (last == '"' || last == 0x201d || last == 0x2019 || last == '\'') &&
           u_islower(after(p->text, p->end, p->at));
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

/* Marks of emphasis after the end of a sentence, as in "**Really?** Yes.": ICU begins the next
 * sentence with them. Returns where it really begins: at, or after the marks and white space. */
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

/* Where the sentence ends: at p->at, or before a list number that belongs to the text after it. */
static size_t cut_at(const abbrev_place *p)
{
    size_t number = abbrev_number(p);
    return number < p->stop ? number : p->at;
}

/* ICU does not end a sentence at a full stop before lower case. If the sentence itself begins in
 * lower case, the text has no capitals: "i think poe. who wrote it?" is two sentences. */
static s2a_status add_sentence(units *u, size_t start, size_t end)
{
    const char *text = u->text;
    size_t i = start;
    while (i < end && !ascii_letter(text[i]) && (unsigned char)text[i] < 0x80)
        i++;
    if (!u_islower(after(text, end, i)))
        return add(u, start, end, SEGMENT_SENTENCE);
    abbrev_place p = { .text = text, .start = start, .end = u->len }; /* a list may continue after
                                                                         end */
    for (; i < end; i++) {
        if (text[i] != '.' || text[i - 1] == '.')
            continue;
        if (cancel_fired(u->cancel))
            return cancelled(u->err);
        p.stop = p.at = i + 1;
        p.lines = 0;
        for (; p.at < end && ascii_space(text[p.at]); p.at++)
            p.lines += text[p.at] == '\n';
        if (p.at == p.stop || !u_islower(after(text, end, p.at)) || abbrev_continues(&p))
            continue;
        size_t cut = cut_at(&p);
        s2a_status status = add(u, p.start, cut, SEGMENT_SENTENCE);
        if (status != S2A_OK)
            return status;
        p.start = cut;
    }
    return add(u, p.start, end, SEGMENT_SENTENCE);
}

/* Moves p to at. ICU may break in white space many times: p keeps its counts, so that each byte is
 * read once. */
static void place_move(abbrev_place *p, size_t at)
{
    size_t edge = trimmed(p->text, p->at, at);
    if (edge > p->at) {
        p->stop = edge;
        p->lines = 0;
    } else {
        edge = p->at;
    }
    for (size_t i = edge; i < at; i++)
        p->lines +=
            p->text[i] == '\n' || (p->text[i] == '\r' && (i + 1 == at || p->text[i + 1] != '\n'));
    p->at = at;
}

/* Where our sentence ends if ICU ends one at p->at; p->start if it continues. */
static size_t sentence_end(const abbrev_place *p)
{
    if (p->at == p->end || p->stop <= p->start)
        return p->at;
    if (hard_wrap(p) || said(p) || inside_word(p->text, p->end, p->at) ||
        (p->lines < 2 && abbrev_continues(p))) /* no abbreviation continues into a new paragraph */
        return p->start;
    /* Without a space between, ICU adds an opening quote to the sentence before. */
    size_t back = p->at;
    UChar32 last = before(p->text, &back);
    if (back > p->start && opens(last))
        return back;
    return cut_at(p);
}

static s2a_status add_sentences(units *u, size_t start, size_t end)
{
    breaks b;
    const char *text = u->text;
    s2a_status status =
        breaks_open(&b, BREAKS_SENTENCES, text + start, end - start, u->cancel, u->err);
    abbrev_place p = { text, start, start, start, end, 0 };
    while (status == S2A_OK) {
        int32_t next = ubrk_next(b.iterator);
        if (cancel_fired(u->cancel))
            status = cancelled(u->err);
        if (status != S2A_OK || next == UBRK_DONE)
            break;
        size_t at = past_emphasis(text, end, start + (size_t)next);
        if (at <= p.at)
            continue;
        place_move(&p, at);
        size_t cut = sentence_end(&p);
        if (cut > p.start)
            status = add_sentence(u, p.start, cut);
        p.start = cut;
    }
    breaks_close(&b);
    return status == S2A_OK ? add_sentence(u, p.start, end) : status;
}

/* ---- blocks: lines ---------------------------------------------------------------------- */

typedef struct line {
    size_t start, end; /* end includes the line break */
    size_t indent;     /* columns of white space at its start */
    size_t first;      /* the first byte after it; end if blank */
    bool blank;
} line;

/* After a cancel the rest of the text is one blank line, so that loops over lines end. */
static line line_at(const units *u, size_t start)
{
    line l = { .start = start };
    const char *text = u->text;
    const char *newline =
        cancel_fired(u->cancel) ? NULL : memchr(text + start, '\n', u->len - start);
    l.end = newline ? (size_t)(newline - text) + 1 : u->len;
    if (!newline && cancel_fired(u->cancel)) {
        l.first = l.end;
        l.blank = true;
        return l;
    }
    size_t i = start;
    for (; i < l.end && (text[i] == ' ' || text[i] == '\t'); i++)
        l.indent += text[i] == '\t' ? 4 - l.indent % 4 : 1;
    while (i < l.end && ascii_space(text[i]))
        i++;
    l.first = i;
    l.blank = i == l.end;
    return l;
}

/* The length of a run of at least three ` or ~ that opens a fence; 0 for none. In a list it may
 * have any indentation. */
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

/* A row begins with a bar, follows another row, or is above a table's rule. */
static bool table_row(const units *u, const line *l, bool in_table)
{
    const char *text = u->text;
    if (l->blank || !has_bar(text, l))
        return false;
    if (in_table || text[l->first] == '|' || table_rule(text, l))
        return true;
    if (l->end >= u->len)
        return false;
    line next = line_at(u, l->end);
    return table_rule(text, &next);
}

static size_t skip_blank(const units *u, size_t at)
{
    while (at < u->len) {
        line l = line_at(u, at);
        if (!l.blank)
            break;
        at = l.end;
    }
    return at;
}

static size_t fence_end(const units *u, const line *open, size_t n)
{
    size_t at = open->end;
    while (at < u->len) {
        line l = line_at(u, at);
        at = l.end;
        if (fence_close(u->text, &l, open, n))
            break;
    }
    return at;
}

/* The end of the item's further lines: indented, but not an item, a fence or blank. A fence that
 * opens after the item's mark is part of the item. */
static size_t item_end(const units *u, const line *first, size_t mark)
{
    const char *text = u->text;
    line rest = *first;
    rest.first += mark;
    while (rest.first < rest.end && ascii_space(text[rest.first]))
        rest.first++;
    rest.indent += rest.first - first->first;
    rest.blank = rest.first == rest.end;
    size_t fence = fence_open(text, &rest, true);
    size_t at = fence ? fence_end(u, &rest, fence) : first->end;
    while (at < u->len) {
        line l = line_at(u, at);
        if (l.blank || l.indent < 2 || list_item(text, &l) || fence_open(text, &l, true))
            break;
        at = l.end;
    }
    return at;
}

/* The end of indented code: of its last line that is not blank and is indented by four or more. */
static size_t indented_end(const units *u, const line *first)
{
    size_t end = first->end, at = end;
    while (at < u->len) {
        line l = line_at(u, at);
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

/* The end and kind of the block that starts with l; 0 if l is a line of a paragraph. */
static size_t block_end(const units *u, const line *l, const blocks *state, segment_kind *kind)
{
    const char *text = u->text;
    size_t fence = fence_open(text, l, state->in_list), mark = 0;
    if (fence) {
        *kind = SEGMENT_CODE;
        return fence_end(u, l, fence);
    }
    if (heading(text, l)) {
        *kind = SEGMENT_HEADING;
        return l->end;
    }
    if (table_row(u, l, state->in_table)) {
        *kind = SEGMENT_TABLE_ROW;
        return l->end;
    }
    if ((state->in_list || l->indent < 4) && (mark = list_item(text, l)) > 0) {
        *kind = SEGMENT_LIST_ITEM;
        return item_end(u, l, mark);
    }
    if (l->indent >= 4 && state->after_blank && !state->in_list) {
        *kind = SEGMENT_CODE;
        return indented_end(u, l);
    }
    return 0;
}

s2a_status segment_text(const char *text, size_t len, const s2a_cancel *cancel, segment_unit **out,
                        size_t *count, s2a_error *err)
{
    units u = { .text = text, .len = len, .cancel = cancel, .err = err };
    blocks state = { .after_blank = true };
    s2a_status status = S2A_OK;
    size_t at = 0, paragraph = 0; /* [paragraph, at): lines of a paragraph */
    while (status == S2A_OK && at < len) {
        line l = line_at(&u, at);
        segment_kind kind = SEGMENT_SENTENCE;
        size_t end = l.blank ? 0 : block_end(&u, &l, &state, &kind);
        if (end == 0) {
            state.after_blank = l.blank;
            state.in_list &= l.blank || l.indent >= 2;
            state.in_table = false;
            at = l.end;
            continue;
        }
        status = add_sentences(&u, paragraph, at);
        size_t next = skip_blank(&u, end);
        state.after_blank = next > end;
        end = next;
        if (status == S2A_OK)
            status = add(&u, at, end, kind);
        state.in_list =
            kind == SEGMENT_LIST_ITEM || (state.in_list && kind == SEGMENT_CODE && l.indent >= 2);
        state.in_table = kind == SEGMENT_TABLE_ROW;
        paragraph = at = end;
    }
    if (status == S2A_OK)
        status = add_sentences(&u, paragraph, len);
    if (status == S2A_OK && cancel_fired(cancel))
        status = cancelled(err);
    if (status != S2A_OK) {
        free(u.items);
        u.items = NULL;
        u.count = 0;
    }
    *out = u.items;
    *count = u.count;
    return status;
}

s2a_status segment_apart(const char *text, size_t len, size_t at, const s2a_cancel *cancel,
                         segment_unit **out, size_t *count, s2a_error *err)
{
    segment_unit *more = NULL;
    size_t more_count = 0;
    s2a_status status = segment_text(text, at > 0 ? at : len, cancel, out, count, err);
    if (status != S2A_OK || at == 0)
        return status;
    status = segment_text(text + at, len - at, cancel, &more, &more_count, err);
    size_t cap = *count;
    if (status == S2A_OK && !array_reserve((void **)out, &cap, *count + more_count, sizeof **out))
        status = error_nomem(err);
    for (size_t i = 0; i < more_count && status == S2A_OK; i++) {
        segment_unit *u = &(*out)[(*count)++];
        *u = more[i];
        u->start += at;
        u->end += at;
        u->text_end += at;
    }
    free(more);
    if (status != S2A_OK) {
        free(*out);
        *out = NULL;
        *count = 0;
    }
    return status;
}

/* ---- words ------------------------------------------------------------------------------ */

typedef struct word_list {
    s2a_span *items;
    size_t count, cap;
} word_list;

/* This close to the end of a piece, the next piece may change a word: "don" or "don't". */
enum { WORD_MARGIN_BYTES = 64 };

/* The words of text[from, end), a piece of the text. A word near the piece's end is left for the
 * next piece, unless it is the whole piece. *from moves to the next piece. */
static s2a_status words_of_piece(const char *text, size_t *from, size_t end, bool last,
                                 const s2a_cancel *cancel, word_list *list, s2a_error *err)
{
    breaks b;
    size_t start = *from, at = start;
    s2a_status status = breaks_open(&b, BREAKS_WORDS, text + start, end - start, cancel, err);
    while (status == S2A_OK) {
        int32_t next = ubrk_next(b.iterator);
        if (cancel_fired(cancel))
            status = cancelled(err);
        if (status != S2A_OK || next == UBRK_DONE)
            break;
        size_t to = start + (size_t)next;
        if (to + WORD_MARGIN_BYTES > end && !last && at > start)
            break;
        if (ubrk_getRuleStatus(b.iterator) >= UBRK_WORD_NUMBER) {
            if (!array_reserve((void **)&list->items, &list->cap, list->count + 1,
                               sizeof *list->items))
                status = error_nomem(err);
            else
                list->items[list->count++] = (s2a_span){ at, to };
        }
        at = to;
    }
    breaks_close(&b);
    *from = at;
    return status;
}

/* The end of a piece: no character of valid UTF-8 is cut. */
static size_t piece_end(const char *text, size_t len, size_t from)
{
    if (len - from <= SEGMENT_WORD_BYTES)
        return len;
    size_t end = from + SEGMENT_WORD_BYTES;
    for (int i = 0; i < 3 && ((unsigned char)text[end] & 0xc0) == 0x80; i++)
        end--;
    return end;
}

s2a_status segment_words(const char *text, size_t len, const s2a_cancel *cancel, s2a_span **words,
                         size_t *count, s2a_error *err)
{
    word_list list = { NULL, 0, 0 };
    s2a_status status = S2A_OK;
    for (size_t from = 0; from < len && status == S2A_OK;) {
        size_t end = piece_end(text, len, from);
        status = words_of_piece(text, &from, end, end == len, cancel, &list, err);
    }
    if (status != S2A_OK) {
        free(list.items);
        list = (word_list){ NULL, 0, 0 };
    }
    *words = list.items;
    *count = list.count;
    return status;
}
