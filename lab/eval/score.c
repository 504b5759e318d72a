/* Judging answers. Pure and thread-safe. */
#include "eval/score.h"

#include "base/ascii.h"
#include "base/error.h"
#include "eval/letters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- normalisation and aliases ----------------------------------------------------------- */

/* What becomes white space: white space of str.split, NUL (our strings end there), the punctuation
 * of ASCII, and the quotes that the script names. */
static bool separates(int32_t c)
{
    bool ascii_punctuation = c > ' ' && c < 0x7f && !ascii_letter((char)c) && !ascii_digit((char)c);
    return ascii_punctuation || letters_is_space(c) || c == 0 || c == 0x2018 || c == 0x2019 ||
           c == 0xb4;
}

static bool is_article(const char *word, size_t len)
{
    return (len == 1 && word[0] == 'a') || (len == 2 && !memcmp(word, "an", 2)) ||
           (len == 3 && !memcmp(word, "the", 3));
}

char *score_normalise(const char *text, size_t len)
{
    size_t lower_len = 0, at = 0, out = 0;
    char *data = letters_lower(text, len, &lower_len);
    if (!data)
        return NULL;
    /* In place: what is written never passes what was read. */
    for (bool gap = false; at < lower_len;) {
        size_t start = at, end;
        int32_t c = letters_next(data, lower_len, &at);
        if (letters_is_word(c)) {
            end = at;
            while (end < lower_len && letters_is_word(letters_next(data, lower_len, &end)))
                at = end;
        }
        if (separates(c) || is_article(data + start, at - start)) {
            gap = true;
            continue;
        }
        if (gap && out > 0)
            data[out++] = ' ';
        gap = false;
        memmove(data + out, data + start, at - start);
        out += at - start;
    }
    data[out] = '\0';
    return data;
}

static bool has_unspaced(const char *text, size_t len)
{
    for (size_t at = 0; at < len;)
        if (letters_is_unspaced(letters_next(text, len, &at)))
            return true;
    return false;
}

/* Both normalised. */
static bool has_words(const char *answer, const char *alias)
{
    size_t len = strlen(answer), alias_len = strlen(alias);
    bool anywhere = has_unspaced(alias, alias_len);
    for (const char *hit = answer; alias_len > 0 && (hit = strstr(hit, alias)); hit++) {
        size_t before = (size_t)(hit - answer), after = before + alias_len;
        if (anywhere)
            return true;
        if (!letters_joins(letters_previous(answer, &before)) &&
            (after == len || !letters_joins(letters_next(answer, len, &after))))
            return true;
    }
    return false;
}

s2a_status score_alias_match(const char *answer, size_t len, const char *const *aliases,
                             size_t alias_count, bool *match, size_t *which, s2a_error *err)
{
    *match = false;
    char *text = score_normalise(answer, len);
    if (!text)
        return error_nomem(err);
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < alias_count && !*match; i++) {
        char *alias = score_normalise(aliases[i], strlen(aliases[i]));
        if (!alias) {
            status = error_nomem(err);
            break;
        }
        *match = has_words(text, alias);
        if (*match && which)
            *which = i;
        free(alias);
    }
    free(text);
    return status;
}

/* ---- numbers ----------------------------------------------------------------------------- */

typedef struct number {
    size_t start, end; /* start: of the digits; the sign and a currency may be before */
    double value;
    bool whole;
} number;

static bool digit_at(const char *text, size_t len, size_t at)
{
    return at < len && ascii_digit(text[at]);
}

static size_t digits_end(const char *text, size_t len, size_t at)
{
    while (digit_at(text, len, at))
        at++;
    return at;
}

/* A minus sign stands before the digits at start, perhaps with a currency on either side, and is
 * not one between two operands. */
static bool is_negative(const char *text, size_t start)
{
    size_t at = start, back = at;
    if (letters_is_currency(letters_previous(text, &back)))
        at = back > 0 && text[back - 1] == '\\' ? back - 1 : back;
    int32_t sign = letters_previous(text, &at);
    if (sign != '-' && sign != 0x2212)
        return false;
    int32_t operand = letters_previous(text, &at);
    return !letters_joins(operand) && operand != ')' && operand != ']' && operand != '}' &&
           operand != '%';
}

/* Whole digits with thousands in groups of three: "1,234,567" but not "1234,567". */
static double read_whole(const char *text, size_t len, size_t *at)
{
    double value = 0;
    size_t end = digits_end(text, len, *at);
    bool grouped = end - *at <= 3;
    for (;;) {
        for (; *at < end; ++*at)
            value = value * 10 + (text[*at] - '0');
        if (!grouped || end >= len || text[end] != ',' || digits_end(text, len, end + 1) != end + 4)
            return value;
        *at = end + 1;
        end += 4;
    }
}

/* The digits after a point, if there are any. */
static double read_fraction(const char *text, size_t len, size_t *at)
{
    double value = 0, scale = 1;
    if (*at >= len || text[*at] != '.' || !digit_at(text, len, *at + 1))
        return 0;
    for (++*at; digit_at(text, len, *at); ++*at) {
        if (scale < 1e15) { /* the rest is below what a double holds */
            value = value * 10 + (text[*at] - '0');
            scale *= 10;
        }
    }
    return value / scale;
}

/* "/4" after a whole number: the denominator; 1 when it is none, as in a date. */
static double read_denominator(const char *text, size_t len, size_t *at)
{
    size_t end = *at + 1;
    if (*at >= len || text[*at] != '/' || !digit_at(text, len, end))
        return 1;
    double value = read_whole(text, len, &end);
    bool more = end < len && (text[end] == '/' || text[end] == '.') && digit_at(text, len, end + 1);
    if (more || value == 0)
        return 1;
    *at = end;
    return value;
}

/* The first number that begins at or after from. fractions: "3/4" is one number. */
static bool next_number(const char *text, size_t len, size_t from, bool fractions, number *n)
{
    size_t at = from;
    while (
        at < len && !ascii_digit(text[at]) &&
        !(text[at] == '.' && digit_at(text, len, at + 1) && !(at > 0 && ascii_digit(text[at - 1]))))
        at++;
    if (at >= len)
        return false;
    n->start = at;
    double value = read_whole(text, len, &at), fraction = read_fraction(text, len, &at);
    n->whole = fraction == 0;
    value += fraction;
    /* An exponent is passed over, so that it is not taken for the next number. */
    if (at < len && ascii_lower(text[at]) == 'e') {
        size_t exponent = at + 1;
        if (exponent < len && (text[exponent] == '-' || text[exponent] == '+'))
            exponent++;
        if (digit_at(text, len, exponent))
            at = digits_end(text, len, exponent);
    }
    if (fractions && n->whole)
        value /= read_denominator(text, len, &at);
    n->value = is_negative(text, n->start) ? -value : value;
    n->end = at;
    return true;
}

/* The end of the last occurrence of the lower-case pattern, letter case aside; 0 when it is not
 * there. */
static size_t after_last(const char *text, size_t len, const char *pattern)
{
    for (size_t at = len; at-- > 0;) {
        size_t matched = ascii_prefix(text + at, len - at, pattern);
        if (matched > 0)
            return at + matched;
    }
    return 0;
}

/* Past "(in numbers):" and the like at at: words and bracketed remarks, then a colon. at when there
 * is no such label. */
static size_t skip_label(const char *text, size_t len, size_t at)
{
    int depth = 0;
    for (size_t i = at; i < len && text[i] != '\n'; i++) {
        char c = text[i];
        if (c == ':' && depth == 0)
            return i + 1;
        if (c == '(' || c == '[')
            depth++;
        else if (c == ')' || c == ']')
            depth--;
        else if (depth == 0 && !ascii_letter(c) && c != ' ' && c != '*' && c != '_')
            break;
    }
    return at;
}

/* Where the expression that goes on at at ends: at a line's end, a word, a sentence's end, or a
 * remark in brackets. Letters are allowed in "\times" and as a lone x. */
static size_t expression_end(const char *text, size_t len, size_t at)
{
    bool operand = true; /* what is before is complete: a bracket opens a remark */
    for (; at < len && text[at] != '\n' && text[at] != ';'; at++) {
        char c = text[at];
        if (c == '\\' && at + 1 < len && ascii_letter(text[at + 1])) {
            while (at + 1 < len && ascii_letter(text[at + 1]))
                at++;
            operand = false;
        } else if (c == 'x' && !(at + 1 < len && ascii_letter(text[at + 1]))) {
            operand = false;
        } else if (ascii_letter(c) || (c == '(' && operand)) {
            break;
        } else if ((c == '.' || c == ',' || c == ':') &&
                   (at + 1 == len || ascii_space(text[at + 1]))) {
            break;
        } else if (c != ' ') {
            operand = ascii_digit(c) || c == ')';
        }
    }
    return at;
}

/* The first number from at on; of an equation that begins with it, what is after the last "=". */
static bool first_answer(const char *text, size_t len, size_t at, double *value)
{
    number n, result;
    if (!next_number(text, len, at, true, &n))
        return false;
    *value = n.value;
    size_t end = expression_end(text, len, n.end), equals = end;
    while (equals > n.end && text[equals - 1] != '=')
        equals--;
    if (equals > n.end && next_number(text, len, equals, true, &result) && result.start < end)
        *value = result.value;
    return true;
}

bool score_number(const char *text, size_t len, double *value)
{
    size_t at = after_last(text, len, "final answer");
    if (at > 0 && first_answer(text, len, skip_label(text, len, at), value))
        return true;
    at = after_last(text, len, "\\boxed{");
    if (at > 0 && first_answer(text, len, at, value))
        return true;
    number n = { 0 };
    bool found = false;
    while (next_number(text, len, n.end, true, &n)) {
        *value = n.value;
        found = true;
    }
    return found;
}

bool score_number_equal(double a, double b)
{
    double difference = fabs(a - b);
    if (!isfinite(a) || !isfinite(b))
        return false;
    if (a == floor(a) && b == floor(b))
        return difference == 0;
    return difference <= 1e-4 || difference <= 1e-4 * fmax(fabs(a), fabs(b));
}

/* ---- ratings ----------------------------------------------------------------------------- */

/* True when only markup and white space is between the number and a label's colon. */
static bool is_labelled(const char *text, size_t start)
{
    size_t at = start;
    while (at > 0 && (ascii_space(text[at - 1]) || strchr("*_`\"'([+-$", text[at - 1])))
        at--;
    if (at == 0 || text[at - 1] != ':')
        return false;
    for (at--; at > 0 && strchr("* _\"'", text[at - 1]);)
        at--;
    return at > 0 && !ascii_digit(text[at - 1]);
}

/* Past "/5" or "out of 5" at at, the scale of a rating. */
static size_t skip_scale(const char *text, size_t len, size_t at)
{
    size_t i = at;
    while (i < len && text[i] == ' ')
        i++;
    size_t matched = ascii_prefix(text + i, len - i, "out of");
    if (matched == 0 && i < len && text[i] == '/')
        matched = 1;
    i += matched;
    while (i < len && text[i] == ' ')
        i++;
    return matched > 0 && digit_at(text, len, i) ? digits_end(text, len, i) : at;
}

bool score_rating(const char *text, size_t len, int low, int high, int *value)
{
    number n = { 0 };
    bool found = false;
    while (next_number(text, len, n.end, false, &n)) {
        n.end = skip_scale(text, len, n.end);
        if (!n.whole || n.value < low || n.value > high)
            continue;
        bool labelled = is_labelled(text, n.start);
        if (labelled || !found)
            *value = (int)n.value;
        found = true;
        if (labelled)
            break;
    }
    return found;
}

/* ---- yes or no -------------------------------------------------------------------------- */

bool score_yes_no(const char *text, size_t len, bool *yes)
{
    for (size_t i = 0; i < len; i++) {
        size_t n = 0;
        while (i + n < len && ascii_letter(text[i + n]))
            n++;
        bool is_yes = n == 3 && ascii_prefix(text + i, n, "yes") == 3;
        if (is_yes || (n == 2 && ascii_prefix(text + i, n, "no") == 2)) {
            *yes = is_yes;
            return true;
        }
        i += n;
    }
    return false;
}
