#include "core/abbrev.h"

#include "core/ascii.h"

#include <string.h>

/* Followed by a name or a term, whatever that begins with. */
static const char *const titles[] = {
    "adm", "approx", "brig", "capt", "cf", "cmdr", "col", "cpl", "dr", "drs", "e.g", "fr", "ft",
    "gen", "gov", "hon", "i.e", "lt", "maj", "messrs", "mme", "mr", "mrs", "ms", "mt", "mx",
    "pres", "prof", "rep", "rev", "sen", "sgt", "st", "supt", "viz", "vs",
};

/* Followed by a number: "No. 5", but "He said no. Then he left." */
static const char *const counted[] = {
    "apr", "art", "aug", "ca", "ch", "chap", "dec", "eq", "est", "feb", "fig", "figs", "jan",
    "jul", "jun", "mar", "no", "nos", "nov", "oct", "p", "pp", "pt", "sec", "sect", "sep", "sept",
    "vol",
};

/* Followed by lower case inside a sentence. Matters in texts without capitals alone: elsewhere ICU
 * takes a lower-case word for the same sentence's. */
static const char *const inner[] = {
    "al",  "avg", "dept", "etc", "ext", "hr",  "hrs", "inc",  "incl", "jr", "lb", "lbs",
    "ltd", "max", "min",  "oz",  "sq",  "sr",  "tbsp", "tel", "tsp",  "wt", "yr", "yrs",
};

/* Words that begin a sentence far more often than they follow an initial or "U.S.". */
static const char *const starters[] = {
    "a", "after", "all", "also", "an", "and", "are", "as", "at", "before", "both", "but", "by",
    "can", "could", "did", "do", "does", "each", "every", "find", "for", "from", "given", "he",
    "her", "his", "how", "however", "i", "if", "in", "is", "it", "its", "later", "let", "many",
    "my", "next", "no", "not", "now", "on", "one", "or", "our", "she", "since", "so", "some",
    "that", "the", "their", "then", "there", "these", "they", "this", "those", "to", "was", "we",
    "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "would",
    "you", "your",
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

/* Letters and stops in turn, as in "U.S" or "Ph.D": a stop inside. */
static bool dotted(const char *word, size_t len)
{
    return len >= 3 && upper(word[0]) && upper(word[len - 1]) && memchr(word, '.', len) != NULL;
}

bool abbrev_continues(const char *text, size_t len, size_t at)
{
    size_t end = at;
    while (end > 0 && ascii_space(text[end - 1]))
        end--;
    if (end == at || end == 0 || text[end - 1] != '.')
        return false;
    size_t stop = --end, begin = stop;
    while (begin > 0 && stop - begin < 64 &&
           (ascii_letter(text[begin - 1]) || (text[begin - 1] == '.' && begin < stop)))
        begin--;
    if (begin == stop || (begin > 0 && (unsigned char)text[begin - 1] >= 0x80))
        return false;
    const char *word = text + begin, *next = text + at;
    size_t word_len = stop - begin, next_len = 0;
    while (at + next_len < len && next_len < 64 && ascii_letter(next[next_len]))
        next_len++;
    if (LISTED(titles, word, word_len))
        return true;
    if (at < len && ascii_digit(text[at]))
        return LISTED(counted, word, word_len);
    if (next_len > 0 && !upper(next[0]))
        return word_len == 1 || memchr(word, '.', word_len) || LISTED(inner, word, word_len);
    bool initial = word_len == 1 && upper(word[0]) && word[0] != 'I';
    if (!initial && !dotted(word, word_len))
        return false;
    return next_len > 0 && upper(next[0]) && !LISTED(starters, next, next_len);
}
