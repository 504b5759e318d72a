#include "eval/instructions.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "core/abbrev.h"
#include "eval/letters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

typedef struct piece {
    const char *text;
    size_t len;
} piece;

/* An answer, and the same in lower case. */
typedef struct said {
    piece whole, stripped, lower;
} said;

typedef struct arguments {
    char *words[WORDS_MAX], *lower[WORDS_MAX]; /* lower: [i] is words[i] in lower case */
    size_t count;
    size_t number, second;
    bool less; /* "less than" the number; else at least */
} arguments;

/* ---- texts ------------------------------------------------------------------------------ */

static piece strip(piece p)
{
    p.text = letters_strip(p.text, &p.len);
    return p;
}

static const char *find(piece in, size_t from, const char *what)
{
    size_t n = strlen(what);
    return from <= in.len && n > 0 ? memmem(in.text + from, in.len - from, what, n) : NULL;
}

static bool has(piece in, const char *what)
{
    return find(in, 0, what) != NULL;
}

/* How often, none overlapping. */
static size_t count(piece in, const char *what)
{
    size_t n = 0;
    for (const char *at = in.text; (at = find(in, (size_t)(at - in.text), what)) != NULL;
         at += strlen(what))
        n++;
    return n;
}

static bool starts(piece p, const char *with)
{
    size_t n = strlen(with);
    return p.len >= n && !memcmp(p.text, with, n);
}

static bool ends(piece p, const char *with)
{
    size_t n = strlen(with);
    return p.len >= n && !memcmp(p.text + p.len - n, with, n);
}

/* The part before the next mark; *rest begins after it. False after the last part. */
static bool split_next(piece *rest, const char *mark, piece *part)
{
    if (!rest->text)
        return false;
    const char *at = find(*rest, 0, mark);
    *part = (piece){ rest->text, at ? (size_t)(at - rest->text) : rest->len };
    size_t passed = part->len + (at ? strlen(mark) : 0);
    *rest = (piece){ at ? rest->text + passed : NULL, rest->len - passed };
    return true;
}

/* The first character that is not white space, from `at` on. */
static size_t past_space(piece in, size_t at)
{
    for (size_t next = at; at < in.len; at = next)
        if (!letters_is_space(letters_next(in.text, in.len, &next)))
            return at;
    return at;
}

static size_t line_end(piece in, size_t at)
{
    const char *newline = at < in.len ? memchr(in.text + at, '\n', in.len - at) : NULL;
    return newline ? (size_t)(newline - in.text) : in.len;
}

static bool compare(const arguments *a, size_t n)
{
    return a->less ? n < a->number : n >= a->number;
}

/* ---- keywords --------------------------------------------------------------------------- */

static bool keywords_existence(const arguments *a, const said *s)
{
    for (size_t i = 0; i < a->count; i++)
        if (!has(s->lower, a->lower[i]))
            return false;
    return true;
}

static bool keywords_frequency(const arguments *a, const said *s)
{
    return compare(a, count(s->lower, a->lower[0]));
}

static bool in_word(piece in, size_t at)
{
    int32_t c = at < in.len ? letters_next(in.text, in.len, &at) : 0;
    return c == '_' || (c && letters_is_word(c));
}

static bool boundary(piece in, size_t at)
{
    size_t before = at;
    letters_previous(in.text, &before);
    return (at > 0 && in_word(in, before)) != in_word(in, at);
}

static bool keywords_forbidden(const arguments *a, const said *s)
{
    for (size_t i = 0; i < a->count; i++) {
        size_t from = 0;
        for (const char *at; (at = find(s->lower, from, a->lower[i])) != NULL;) {
            from = (size_t)(at - s->lower.text) + 1;
            if (boundary(s->lower, from - 1) && boundary(s->lower, from - 1 + strlen(a->lower[i])))
                return false;
        }
    }
    return true;
}

/* ---- lengths ---------------------------------------------------------------------------- */

static bool closes(int32_t c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == '*' || c == '_' || c == 0x2019 ||
           c == 0x201d || c == 0xbb;
}

static bool is_end(char c)
{
    return c == '.' || c == '!' || c == '?';
}

/* Whether a sentence ends with the marks in [from, at), after which the closing ones end
 * at `to`. */
static bool sentence_ends(piece in, size_t from, size_t at, size_t to)
{
    size_t next = past_space(in, to), after = next;
    if (next == to && to < in.len)
        return false;
    if (next == in.len)
        return true;
    int32_t c = letters_next(in.text, in.len, &after);
    if (at - from >= 3 && in.text[at - 1] == '.' && letters_is_lower(c))
        return false;
    abbrev_place place = { .text = in.text, .stop = at, .at = next, .end = in.len };
    return !abbrev_continues(&place);
}

static size_t sentences(piece in)
{
    size_t n = 0, from = past_space(in, 0);
    for (size_t at = from; at < in.len;) {
        size_t marks = at;
        while (at < in.len && is_end(in.text[at]))
            at++;
        if (at == marks) {
            at++;
            continue;
        }
        size_t to = at;
        for (size_t next = to; next < in.len && closes(letters_next(in.text, in.len, &next));)
            to = next;
        if (sentence_ends(in, marks, at, to)) {
            n++;
            from = past_space(in, to);
        }
    }
    return n + (from < in.len);
}

static bool length_sentences(const arguments *a, const said *s)
{
    return compare(a, sentences(s->whole));
}

static bool length_words(const arguments *a, const said *s)
{
    size_t n = 0;
    bool inside = false;
    for (size_t at = 0, next = 0; at < s->whole.len; at = next) {
        letters_next(s->whole.text, s->whole.len, &next);
        bool word = in_word(s->whole, at);
        n += word && !inside;
        inside = word;
    }
    return compare(a, n);
}

/* Parts between marks. One that is blank does not count where it is the first or the last;
 * elsewhere it is a fault: SIZE_MAX. Up to two of the others in order go to parts. */
static size_t parts_of(piece in, const char *mark, piece parts[2])
{
    size_t n = 0;
    piece rest = in, part;
    for (bool first = true; split_next(&rest, mark, &part); first = false) {
        part = strip(part);
        if (part.len == 0) {
            if (!first && rest.text)
                return SIZE_MAX;
            continue;
        }
        if (n < 2)
            parts[n] = part;
        n++;
    }
    return n;
}

static bool length_paragraphs(const arguments *a, const said *s)
{
    piece parts[2];
    return parts_of(s->whole, "***", parts) == a->number;
}

/* The first word without marks at its ends, in lower case. */
static piece first_word(piece in)
{
    size_t start = 0, end = 0;
    while (start < in.len && in.text[start] == '\'')
        start++;
    while (start < in.len && in.text[start] == '"')
        start++;
    for (size_t at = end = start; at < in.len; end = at) {
        int32_t c = letters_next(in.text, in.len, &at);
        if (letters_is_space(c) || (c < 0x80 && strchr(".,?!'\"", (char)c)))
            break;
    }
    return (piece){ in.text + start, end - start };
}

static bool length_nth_paragraph(const arguments *a, const said *s)
{
    piece rest = s->lower, part, wanted = { NULL, 0 };
    size_t all = 0, full = 0;
    while (split_next(&rest, "\n\n", &part)) {
        part = strip(part);
        full += part.len > 0;
        if (++all == a->second)
            wanted = part;
    }
    if (a->second > full || wanted.len == 0 || full != a->number)
        return false;
    piece word = first_word(wanted);
    return word.len == strlen(a->lower[0]) && starts(word, a->lower[0]);
}

/* ---- content and format ----------------------------------------------------------------- */

static bool content_placeholders(const arguments *a, const said *s)
{
    size_t n = 0;
    for (size_t at = 0; at < s->whole.len; at++) {
        if (s->whole.text[at] != '[')
            continue;
        size_t end = line_end(s->whole, at);
        const char *close = memchr(s->whole.text + at, ']', end - at);
        n += close != NULL;
        at = close ? (size_t)(close - s->whole.text) : at;
    }
    return n >= a->number;
}

/* One character of white space at most. */
static size_t past_one_space(piece in, size_t at)
{
    size_t next = at;
    return at < in.len && letters_is_space(letters_next(in.text, in.len, &next)) ? next : at;
}

/* "p.", "p.", "s", the last perhaps with a full stop, white space between or not. */
static bool postscript_at(piece in, size_t at, const char *marks)
{
    for (; *marks; marks++) {
        if (at >= in.len || in.text[at] != *marks)
            return false;
        at++;
        if (*marks == '.' && marks[1])
            at = past_one_space(in, at);
    }
    return true;
}

static bool content_postscript(const arguments *a, const said *s)
{
    const char *marks = !strcmp(a->words[0], "P.P.S")  ? "p.p.s"
                        : !strcmp(a->words[0], "P.S.") ? "p.s."
                                                       : NULL;
    if (!marks)
        return has(s->lower, a->lower[0]);
    for (size_t at = 0; at < s->lower.len; at++)
        if (postscript_at(s->lower, at, marks))
            return true;
    return false;
}

/* Lines that begin with the mark, white space before it aside, and, with another, go on with
 * something else. As in the pattern of the published checker, white space may be several lines. */
static size_t bullets(piece in, char mark, bool not_twice)
{
    size_t n = 0;
    for (size_t line = 0; line <= in.len;) {
        size_t at = past_space(in, line), next = line_end(in, line) + 1;
        if (at < in.len && in.text[at] == mark &&
            (!not_twice || (at + 1 < in.len && in.text[at + 1] != mark))) {
            n++;
            next = line_end(in, at + 1 + not_twice) + 1;
        }
        line = next;
    }
    return n;
}

static bool format_bullets(const arguments *a, const said *s)
{
    return bullets(s->whole, '*', true) + bullets(s->whole, '-', false) == a->number;
}

/* Passages in one line between two marks that are not blank. */
static size_t highlights(piece in, const char *mark)
{
    size_t n = 0, width = strlen(mark);
    for (const char *open = find(in, 0, mark); open;) {
        size_t start = (size_t)(open - in.text) + width, end = start;
        while (end < in.len && in.text[end] != '\n' && in.text[end] != '*')
            end++;
        bool closed = starts((piece){ in.text + end, in.len - end }, mark);
        n += closed && strip((piece){ in.text + start, end - start }).len > 0;
        open = find(in, closed ? end + width : start - width + 1, mark);
    }
    return n;
}

static bool format_highlights(const arguments *a, const said *s)
{
    return highlights(s->whole, "*") + highlights(s->whole, "**") >= a->number;
}

static bool format_sections(const arguments *a, const said *s)
{
    size_t n = 0, from = 0;
    for (const char *at; (at = find(s->whole, from, a->words[0])) != NULL;) {
        size_t end = (size_t)(at - s->whole.text) + strlen(a->words[0]);
        size_t digit = past_one_space(s->whole, end), past = digit;
        bool numbered = digit < s->whole.len &&
                        letters_is_digit(letters_next(s->whole.text, s->whole.len, &past));
        n += numbered;
        from = numbered ? past : (size_t)(at - s->whole.text) + 1;
    }
    return n >= a->number;
}

static bool format_json(const arguments *a, const said *s)
{
    static const char *const fences[] = { "```json", "```Json", "```JSON", "```" };
    piece p = s->stripped;
    (void)a;
    for (size_t i = 0; i < sizeof fences / sizeof fences[0]; i++)
        if (starts(p, fences[i]))
            p = (piece){ p.text + strlen(fences[i]), p.len - strlen(fences[i]) };
    if (ends(p, "```"))
        p.len -= 3;
    p = strip(p);
    json_t *value =
        json_loadb(p.text, p.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    json_decref(value);
    return value != NULL;
}

static bool format_title(const arguments *a, const said *s)
{
    (void)a;
    for (size_t line = 0; line < s->whole.len; line = line_end(s->whole, line) + 1) {
        piece p = { s->whole.text + line, line_end(s->whole, line) - line };
        const char *open = find(p, 0, "<<"), *end = p.text + p.len;
        while (open && end - open >= 5 && memcmp(end - 2, ">>", 2) != 0)
            end--;
        if (!open || end - open < 5)
            continue;
        while (open < end && *open == '<')
            open++;
        while (end > open && end[-1] == '>')
            end--;
        if (strip((piece){ open, (size_t)(end - open) }).len > 0)
            return true;
    }
    return false;
}

static bool format_constrained(const arguments *a, const said *s)
{
    (void)a;
    return has(s->whole, "My answer is yes.") || has(s->whole, "My answer is no.") ||
           has(s->whole, "My answer is maybe.");
}

/* ---- the whole of it -------------------------------------------------------------------- */

static bool two_responses(const arguments *a, const said *s)
{
    piece parts[2];
    (void)a;
    return parts_of(s->whole, "******", parts) == 2 &&
           (parts[0].len != parts[1].len ||
            memcmp(parts[0].text, parts[1].text, parts[0].len) != 0);
}

static bool repeat_prompt(const arguments *a, const said *s)
{
    return starts(strip(s->lower), a->lower[0]);
}

static bool end_phrase(const arguments *a, const said *s)
{
    piece p = strip(s->lower);
    while (p.len > 0 && p.text[p.len - 1] == '"')
        p.len--;
    while (p.len > 0 && *p.text == '"')
        p = (piece){ p.text + 1, p.len - 1 };
    return ends(p, a->lower[0]);
}

static bool quotation(const arguments *a, const said *s)
{
    (void)a;
    return s->stripped.len > 1 && starts(s->stripped, "\"") && ends(s->stripped, "\"");
}

static bool no_comma(const arguments *a, const said *s)
{
    (void)a;
    return !has(s->whole, ",");
}

/* As str.isupper and str.islower of Python: some letter has a case, and all that have one have
 * this. */
static bool all_case(piece in, bool upper)
{
    bool any = false;
    for (size_t at = 0; at < in.len;) {
        int32_t c = letters_next(in.text, in.len, &at);
        if (letters_is_title(c) || (upper ? letters_is_lower(c) : letters_is_upper(c)))
            return false;
        any |= upper ? letters_is_upper(c) : letters_is_lower(c);
    }
    return any;
}

static bool all_capital(const arguments *a, const said *s)
{
    (void)a;
    return all_case(s->whole, true);
}

static bool all_lowercase(const arguments *a, const said *s)
{
    (void)a;
    return all_case(s->whole, false);
}

/* Marks that are words of their own. */
static bool splits(piece in, size_t at)
{
    size_t after = at;
    int32_t c = letters_next(in.text, in.len, &after);
    char next = after < in.len ? in.text[after] : ' ';
    if (c == ',' || c == ':')
        return !ascii_digit(next);
    if (c >= 0x80) /* dashes, “ ” ‘ ’ „ « » */
        return (c >= 0x2012 && c <= 0x2015) || c == 0x2018 || c == 0x2019 ||
               (c >= 0x201c && c <= 0x201e) || c == 0xab || c == 0xbb;
    return strchr(";@#$%&?![](){}<>\"*`", (char)c) || (c == '-' && next == '-') ||
           (c == '.' && next == '.');
}

/* Where the second word of "it's", "don't" or "cannot" begins; p.len = it is one word. */
static size_t second_word(piece p)
{
    static const char *const tails[] = { "'s", "'m", "'d", "'ll", "'re", "'ve", "n't" };
    static const char *const pairs[] = { "cannot", "gimme", "gonna", "gotta", "lemme", "wanna" };
    size_t whole = p.len;
    while (p.len > 0 && (p.text[p.len - 1] == '.' || p.text[p.len - 1] == '\''))
        p.len--;
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        size_t n = strlen(tails[i]);
        if (p.len > n && ascii_prefix(p.text + p.len - n, n, tails[i]) == n)
            return p.len - n;
    }
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (p.len == strlen(pairs[i]) && ascii_prefix(p.text, p.len, pairs[i]) > 0)
            return 3;
    return whole;
}

static size_t capital_words(piece in)
{
    size_t n = 0;
    for (size_t at = 0; at < in.len;) {
        size_t end = at, next = at;
        while (end < in.len && !splits(in, end) &&
               !letters_is_space(letters_next(in.text, in.len, &next)))
            end = next;
        piece word = { in.text + at, end - at };
        size_t second = second_word(word);
        n += all_case((piece){ word.text, second }, true);
        n += all_case((piece){ word.text + second, word.len - second }, true);
        at = end;
        if (at < in.len)
            letters_next(in.text, in.len, &at); /* what it ended at */
    }
    return n;
}

static bool capital_frequency(const arguments *a, const said *s)
{
    return compare(a, capital_words(s->whole));
}

/* ---- which ------------------------------------------------------------------------------ */

typedef struct instruction {
    const char *id;
    bool (*follows)(const arguments *a, const said *s);
    /* The names of its arguments; NULL = it has none such. A word may be a list of them. */
    const char *words, *number, *second, *relation;
} instruction;

static const instruction instructions[] = {
    { "keywords:existence", keywords_existence, "keywords", NULL, NULL, NULL },
    { "keywords:frequency", keywords_frequency, "keyword", "frequency", NULL, "relation" },
    { "keywords:forbidden_words", keywords_forbidden, "forbidden_words", NULL, NULL, NULL },
    { "keywords:letter_frequency", keywords_frequency, "letter", "let_frequency", NULL,
      "let_relation" },
    { "length_constraints:number_sentences", length_sentences, NULL, "num_sentences", NULL,
      "relation" },
    { "length_constraints:number_paragraphs", length_paragraphs, NULL, "num_paragraphs", NULL,
      NULL },
    { "length_constraints:number_words", length_words, NULL, "num_words", NULL, "relation" },
    { "length_constraints:nth_paragraph_first_word", length_nth_paragraph, "first_word",
      "num_paragraphs", "nth_paragraph", NULL },
    { "detectable_content:number_placeholders", content_placeholders, NULL, "num_placeholders",
      NULL, NULL },
    { "detectable_content:postscript", content_postscript, "postscript_marker", NULL, NULL, NULL },
    { "detectable_format:number_bullet_lists", format_bullets, NULL, "num_bullets", NULL, NULL },
    { "detectable_format:constrained_response", format_constrained, NULL, NULL, NULL, NULL },
    { "detectable_format:number_highlighted_sections", format_highlights, NULL, "num_highlights",
      NULL, NULL },
    { "detectable_format:multiple_sections", format_sections, "section_spliter", "num_sections",
      NULL, NULL },
    { "detectable_format:json_format", format_json, NULL, NULL, NULL, NULL },
    { "detectable_format:title", format_title, NULL, NULL, NULL, NULL },
    { "combination:two_responses", two_responses, NULL, NULL, NULL, NULL },
    { "combination:repeat_prompt", repeat_prompt, "prompt_to_repeat", NULL, NULL, NULL },
    { "startend:end_checker", end_phrase, "end_phrase", NULL, NULL, NULL },
    { "startend:quotation", quotation, NULL, NULL, NULL, NULL },
    { "change_case:capital_word_frequency", capital_frequency, NULL, "capital_frequency", NULL,
      "capital_relation" },
    { "change_case:english_capital", all_capital, NULL, NULL, NULL, NULL },
    { "change_case:english_lowercase", all_lowercase, NULL, NULL, NULL, NULL },
    { "punctuation:no_comma", no_comma, NULL, NULL, NULL, NULL },
};

static void arguments_free(arguments *a)
{
    for (size_t i = 0; i < a->count; i++) {
        free(a->words[i]);
        free(a->lower[i]);
    }
}

/* Words are compared without white space at their ends, as published. */
static s2a_status word_take(arguments *a, const json_t *value, bool *ok, s2a_error *err)
{
    const char *text = json_string_value(value);
    size_t len = text ? strlen(text) : 0, lower_len = 0;
    text = text ? letters_strip(text, &len) : NULL;
    *ok = len > 0 && a->count < WORDS_MAX;
    if (!*ok)
        return S2A_OK;
    size_t i = a->count++;
    a->words[i] = bytes_dup(text, len);
    a->lower[i] = letters_lower(text, len, &lower_len);
    return a->words[i] && a->lower[i] ? S2A_OK : error_nomem(err);
}

static s2a_status words_take(arguments *a, const json_t *value, bool *ok, s2a_error *err)
{
    s2a_status status = S2A_OK;
    if (!json_is_array(value))
        return word_take(a, value, ok, err);
    *ok = json_array_size(value) > 0;
    for (size_t i = 0; i < json_array_size(value) && *ok && status == S2A_OK; i++)
        status = word_take(a, json_array_get(value, i), ok, err);
    return status;
}

static bool number_take(const json_t *value, size_t *out)
{
    double n = json_number_value(value);
    *out = n >= 0 && n <= 1e9 ? (size_t)n : 0;
    return json_is_number(value) && n >= 0 && n <= 1e9 && n == floor(n);
}

static bool relation_take(const json_t *value, bool *less)
{
    const char *name = json_string_value(value);
    *less = name && !strcmp(name, "less than");
    return *less || (name && !strcmp(name, "at least"));
}

/* A letter is one character; the nth of so many paragraphs is one of them. */
static bool fits(const instruction *in, const arguments *a)
{
    size_t at = 0;
    if (in->words && !strcmp(in->words, "letter")) {
        letters_next(a->words[0], strlen(a->words[0]), &at);
        return a->words[0][at] == '\0';
    }
    return !in->second || (a->second >= 1 && a->second <= a->number);
}

/* *found NULL: it cannot be checked. arguments_free is due in any case. */
static s2a_status look_up(const char *id, const json_t *kwargs, const instruction **found,
                          arguments *a, s2a_error *err)
{
    *a = (arguments){ .count = 0 };
    *found = NULL;
    const instruction *in = NULL;
    for (size_t i = 0; i < sizeof instructions / sizeof instructions[0] && !in; i++)
        in = strcmp(instructions[i].id, id) ? NULL : &instructions[i];
    bool ok = in != NULL;
    s2a_status status = S2A_OK;
    if (ok && in->words)
        status = words_take(a, json_object_get(kwargs, in->words), &ok, err);
    if (ok && in->number)
        ok = number_take(json_object_get(kwargs, in->number), &a->number);
    if (ok && in->second)
        ok = number_take(json_object_get(kwargs, in->second), &a->second);
    if (ok && in->relation)
        ok = relation_take(json_object_get(kwargs, in->relation), &a->less);
    if (status == S2A_OK && ok && fits(in, a))
        *found = in;
    return status;
}

s2a_status instruction_known(const char *id, const json_t *kwargs, bool *known, s2a_error *err)
{
    const instruction *in = NULL;
    arguments a;
    s2a_status status = look_up(id, kwargs, &in, &a, err);
    *known = in != NULL;
    arguments_free(&a);
    return status;
}

s2a_status instruction_follows(const char *id, const json_t *kwargs, const char *answer, size_t len,
                               bool *follows, s2a_error *err)
{
    const instruction *in = NULL;
    arguments a;
    said s = { .whole = { answer, len } };
    *follows = false;
    s2a_status status = look_up(id, kwargs, &in, &a, err);
    if (status == S2A_OK && !in)
        status = error_set(err, S2A_ARGUMENT, "instruction %.60s: nothing here can check it", id);
    char *lower = status == S2A_OK ? letters_lower(answer, len, &s.lower.len) : NULL;
    if (status == S2A_OK && !lower)
        status = error_nomem(err);
    s.lower.text = lower;
    s.stripped = strip(s.whole);
    if (status == S2A_OK)
        *follows = s.stripped.len > 0 && in->follows(&a, &s);
    free(lower);
    arguments_free(&a);
    return status;
}

s2a_status instructions_count(const char *checks, const char *answer, size_t len,
                              uint32_t *followed, s2a_error *err)
{
    *followed = 0;
    if (!checks)
        return S2A_OK;
    json_t *list = json_loads(checks, 0, NULL);
    s2a_status status =
        json_is_array(list) ? S2A_OK : error_set(err, S2A_INPUT, "checks: no list of instructions");
    for (size_t i = 0; i < json_array_size(list) && status == S2A_OK; i++) {
        const json_t *one = json_array_get(list, i);
        const char *id = json_string_value(json_object_get(one, "id"));
        bool follows = false;
        status = instruction_follows(id ? id : "", json_object_get(one, "kwargs"), answer, len,
                                     &follows, err);
        *followed += follows;
    }
    json_decref(list);
    return status;
}
