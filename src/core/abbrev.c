#include "core/abbrev.h"

#include "base/ascii.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 64, NUMBER_MAX = 12, NEXT_NUMBER_MAX = 512 };

/* Never end a sentence: a name or a term follows. */
static const char *const titles[] = {
    "adm", "approx", "brig", "capt", "cf",  "cmdr", "col", "cpl",    "dr",  "drs",  "e.g", "fr",
    "ft",  "gen",    "gov",  "hon",  "i.e", "lt",   "maj", "messrs", "mme", "mr",   "mrs", "ms",
    "mt",  "mx",     "pres", "prof", "rep", "rev",  "sen", "sgt",    "st",  "supt", "viz", "vs",
};

/* Followed by a number: "No. 5", but "He said no. Then he left." */
static const char *const counted[] = {
    "apr", "art",  "aug", "ca",  "ch",   "chap", "dec",  "eq",  "est", "feb",
    "fig", "figs", "jan", "jul", "jun",  "mar",  "no",   "nos", "nov", "oct",
    "p",   "pp",   "pt",  "sec", "sect", "sep",  "sept", "vol",
};

/* Followed by lower case inside a sentence. Only texts without capitals need these: elsewhere ICU
 * does not end a sentence before lower case. */
static const char *const inner[] = {
    "al",  "avg", "dept", "etc", "ext", "hr", "hrs",  "inc", "incl", "jr", "lb", "lbs",
    "ltd", "max", "min",  "oz",  "sq",  "sr", "tbsp", "tel", "tsp",  "wt", "yr", "yrs",
};

/* Before an initial, in any case: "a poem by W. Whitman". After other lower-case words a letter
 * ends the sentence: "The answer is C. Explain it." */
static const char *const before_names[] = { "and", "by", "of", "with" };

/* Words that begin a sentence far more often than they follow an initial or "U.S.". */
static const char *const starters[] = {
    "a",      "after", "all",     "also",  "an",   "and",   "answer",   "are",   "as",   "at",
    "before", "both",  "but",     "by",    "can",  "could", "describe", "did",   "do",   "does",
    "each",   "every", "explain", "find",  "for",  "from",  "give",     "given", "he",   "her",
    "his",    "how",   "however", "i",     "if",   "in",    "is",       "it",    "its",  "later",
    "let",    "many",  "my",      "next",  "no",   "not",   "now",      "on",    "one",  "or",
    "our",    "she",   "since",   "so",    "some", "that",  "the",      "their", "then", "there",
    "these",  "they",  "this",    "those", "to",   "was",   "we",       "were",  "what", "when",
    "where",  "which", "while",   "who",   "why",  "will",  "with",     "would", "you",  "your",
};

static bool listed(const char *const *list, size_t count, const char *word, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == len && ascii_prefix(word, len, list[i]) == len)
            return true;
    return false;
}
#define LISTED(list, word, len) listed(list, sizeof(list) / sizeof(list)[0], word, len)

static bool upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Part of a word, in UTF-8 of any script. */
static bool in_word(char c)
{
    return ascii_letter(c) || (unsigned char)c >= 0x80;
}

/* The length of the word before `at`, skipping white space and marks between words; 0 = none.
 * *begin: where it begins. */
static size_t word_before(const char *text, size_t start, size_t at, size_t *begin)
{
    size_t least = at - start > WORD_MAX ? at - WORD_MAX : start;
    while (at > least && (ascii_space(text[at - 1]) ||
                          (text[at - 1] != '\0' && strchr("([\"'*_,-&", text[at - 1]))))
        at--;
    *begin = at;
    while (*begin > least && in_word(text[*begin - 1]))
        (*begin)--;
    return at - *begin;
}

/* Whether a name may begin at `at`: at the sentence's start, or after a word that names follow. */
static bool name_begins(const abbrev_place *p, size_t at)
{
    size_t begin, len = word_before(p->text, p->start, at, &begin);
    return len == 0 ? begin == p->start : LISTED(before_names, p->text + begin, len);
}

/* Whether `at` may be in a name: the same, or after an initial or a capitalised word. */
static bool in_a_name(const abbrev_place *p, size_t at)
{
    size_t begin, len = word_before(p->text, p->start, at, &begin);
    if (len > 0 && !(ascii_letter(p->text[begin]) && !upper(p->text[begin])))
        return true;
    if (len == 0 && begin > p->start + 1 && p->text[begin - 1] == '.')
        return upper(p->text[begin - 2]);
    return name_begins(p, at);
}

/* The number of full stops in an abbreviation such as "U.S" or "Ph.D"; 0 for other words. */
static size_t inner_stops(const char *word, size_t len)
{
    size_t stops = 0;
    if (len < 3 || !upper(word[0]) || !upper(word[len - 1]))
        return 0;
    for (size_t i = 0; i < len; i++)
        stops += word[i] == '.';
    return stops;
}

/* abbrev_continues, if the next word begins in upper case. */
static bool goes_on_in_upper(const abbrev_place *p, size_t begin, size_t word_len, size_t next_len)
{
    const char *word = p->text + begin;
    if (next_len == 0 || !upper(p->text[p->at]) || LISTED(starters, p->text + p->at, next_len))
        return false;
    if (word_len == 1)
        return upper(word[0]) && word[0] != 'I' && p->lines == 0 && in_a_name(p, begin);
    size_t stops = inner_stops(word, word_len);
    /* "the U.S. Senate", but "in the U.S.A. Paris is not". */
    return stops == 1 || (stops > 1 && name_begins(p, begin));
}

bool abbrev_continues(const abbrev_place *p)
{
    const char *text = p->text;
    if (p->stop == p->at || p->stop == p->start || text[p->stop - 1] != '.' || p->lines > 1)
        return false;
    size_t stop = p->stop - 1, begin = stop;
    while (begin > p->start && stop - begin < WORD_MAX &&
           (ascii_letter(text[begin - 1]) || (text[begin - 1] == '.' && begin < stop)))
        begin--;
    if (begin == stop || (begin > p->start && (unsigned char)text[begin - 1] >= 0x80))
        return false;
    const char *word = text + begin, *next = text + p->at;
    size_t word_len = stop - begin, next_len = 0;
    while (p->at + next_len < p->end && next_len < WORD_MAX && ascii_letter(next[next_len]))
        next_len++;
    if (LISTED(titles, word, word_len))
        return true;
    if (p->at < p->end && ascii_digit(*next))
        return LISTED(counted, word, word_len);
    if (next_len > 0 && !upper(*next))
        return (word_len == 1 && p->lines == 0) || memchr(word, '.', word_len) != NULL ||
               LISTED(inner, word, word_len);
    return goes_on_in_upper(p, begin, word_len, next_len);
}

/* ---- numbers of a list ------------------------------------------------------------------- */

static const char *const romans[] = { "i",  "ii", "iii", "iv",  "v",    "vi",  "vii", "viii",
                                      "ix", "x",  "xi",  "xii", "xiii", "xiv", "xv" };

/* Digits ("2", "2.1"), a letter, or a Roman numeral in one case. */
static bool numbers(const char *s, size_t len)
{
    if (len == 1 && ascii_letter(s[0]))
        return true;
    if (len > 0 && ascii_letter(s[0])) {
        for (size_t i = 1; i < len; i++)
            if (upper(s[i]) != upper(s[0]))
                return false;
        return LISTED(romans, s, len);
    }
    size_t digits = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '.' && digits == 0)
            return false;
        digits = s[i] == '.' ? 0 : digits + 1;
        if ((s[i] != '.' && !ascii_digit(s[i])) || digits > 2)
            return false;
    }
    return digits > 0;
}

/* The second number of a list that begins with s; NULL if s is not a first number. */
static const char *second(const char *s, size_t len)
{
    static const char *const lists[][2] = {
        { "1", "2" }, { "a", "b" }, { "A", "B" }, { "i", "ii" }, { "I", "II" }
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (len == 1 && s[0] == lists[i][0][0])
            return lists[i][1];
    return NULL;
}

/* Whether the list's second number follows on this line. */
static bool second_follows(const abbrev_place *p, const char *number, bool open, char close)
{
    char wanted[NUMBER_MAX];
    int n = snprintf(wanted, sizeof wanted, " %s%s%c", open ? "(" : "", number, close);
    size_t len = p->end - p->at < NEXT_NUMBER_MAX ? p->end - p->at : NEXT_NUMBER_MAX;
    const char *line = memchr(p->text + p->at, '\n', len);
    len = line ? (size_t)(line - (p->text + p->at)) : len;
    return memmem(p->text + p->at, len, wanted, (size_t)n) != NULL;
}

size_t abbrev_number(const abbrev_place *p)
{
    const char *text = p->text;
    size_t stop = p->stop, least = stop - p->start > NUMBER_MAX ? stop - NUMBER_MAX : p->start;
    if (p->stop == p->start || p->lines > 0 || p->at >= p->end)
        return p->stop;
    size_t begin = stop;
    while (begin > least && !ascii_space(text[begin - 1]))
        begin--;
    bool alone = ascii_blank(text + least, begin - least) && least == p->start;
    size_t from = begin, to = stop;
    while (from < to && (text[from] == '*' || text[from] == '_'))
        from++;
    while (from < to && (text[to - 1] == '*' || text[to - 1] == '_'))
        to--;
    bool open = from < to && text[from] == '(';
    from += open;
    char close = from < to ? text[to - 1] : ' ';
    to -= from < to && close == '.';
    if (from < to && text[to - 1] == ')') {
        close = ')';
        to--;
    }
    if ((close != '.' && close != ')') || (open && close != ')') || from >= to ||
        !numbers(text + from, to - from))
        return p->stop;
    if (alone)
        return p->start;
    size_t before = begin;
    while (before > least && ascii_space(text[before - 1]))
        before--;
    const char *next = second(text + from, to - from);
    bool listed = next && before > least && text[before - 1] == ':' && before < begin;
    return listed && second_follows(p, next, open, close) ? begin : p->stop;
}
