#include "core/guard.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "core/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts in a form for comparing ------------------------------------------------------ */

/* Lower case, straight quotes, runs of white space as one space, none at the ends. */
static void normalise(const char *text, size_t len, const s2a_cancel *cancel, buf *out)
{
    static const struct {
        const char *from, *to;
    } same[] = { { "\u2018", "'" }, { "\u2019", "'" }, { "\u201c", "\"" }, { "\u201d", "\"" } };
    bool space = false;
    for (size_t i = 0; i < len && !cancel_fired(cancel); i++) {
        if (ascii_space(text[i])) {
            space = out->len > 0;
            continue;
        }
        if (space)
            buf_add(out, " ", 1);
        space = false;
        size_t k = 0;
        for (; k < 4; k++)
            if (len - i >= 3 && !memcmp(text + i, same[k].from, 3))
                break;
        if (k < 4) {
            buf_adds(out, same[k].to);
            i += 2;
            continue;
        }
        char c = ascii_lower(text[i]);
        buf_add(out, &c, 1);
    }
    buf_add(out, "", 0);
}

/* ---- numbers ---------------------------------------------------------------------------- */

/* The next number at or after i: digits with inner dots and commas. False at the end. */
static bool number_next(const char *text, size_t len, size_t i, s2a_span *out)
{
    while (i < len && !ascii_digit(text[i]))
        i++;
    if (i >= len)
        return false;
    out->start = i;
    while (i < len && (ascii_digit(text[i]) || ((text[i] == '.' || text[i] == ',') && i + 1 < len &&
                                                ascii_digit(text[i + 1]))))
        i++;
    out->end = i;
    return true;
}

/* "1. " or "2) " at the start of a line is the model's numbering, not a claim. */
static bool number_is_marker(const char *text, size_t len, s2a_span n)
{
    size_t i = n.start;
    while (i > 0 && (text[i - 1] == ' ' || text[i - 1] == '*'))
        i--;
    bool line_start = i == 0 || text[i - 1] == '\n';
    return line_start && n.end - n.start <= 2 && n.end + 1 < len &&
           (text[n.end] == '.' || text[n.end] == ')') && ascii_space(text[n.end + 1]);
}

/* "1,500.00" and "1500" are one number: no commas, no zeros at the end of a decimal part. */
static void number_key(const char *text, s2a_span n, buf *key)
{
    buf_reset(key);
    bool point = false;
    for (size_t i = n.start; i < n.end; i++) {
        if (text[i] == ',')
            continue;
        point |= text[i] == '.';
        buf_add(key, text + i, 1);
    }
    while (point && key->len > 1 && key->data[key->len - 1] == '0')
        key->data[--key->len] = '\0';
    if (point && key->len > 1 && key->data[key->len - 1] == '.')
        key->data[--key->len] = '\0';
}

static bool numbers_of(const guard_input *in, vocab *set)
{
    buf key;
    buf_init(&key, LIMIT_NONE);
    bool ok = true;
    uint32_t unused;
    s2a_span n;
    for (size_t i = 0; ok && !cancel_fired(in->cancel) && number_next(in->x, in->x_len, i, &n);
         i = n.end) {
        number_key(in->x, n, &key);
        ok = key.status == S2A_OK && vocab_id(set, key.data, key.len, &unused);
    }
    buf_free(&key);
    return ok;
}

static bool check_numbers(const guard_input *in, s2a_span *bad, bool *found)
{
    vocab set;
    buf key;
    buf_init(&key, LIMIT_NONE);
    bool ok = vocab_init(&set) && numbers_of(in, &set);
    s2a_span n;
    for (size_t i = 0;
         ok && !*found && !cancel_fired(in->cancel) && number_next(in->y, in->y_len, i, &n);
         i = n.end) {
        if (number_is_marker(in->y, in->y_len, n))
            continue;
        number_key(in->y, n, &key);
        ok = key.status == S2A_OK;
        if (ok && !vocab_has(&set, key.data, key.len)) {
            *found = true;
            *bad = n;
        }
    }
    buf_free(&key);
    vocab_free(&set);
    return ok;
}

/* ---- quotes and code -------------------------------------------------------------------- */

enum { QUOTE_KINDS = 4 };

/* Iterates over quotations or code. */
typedef struct pieces {
    const char *text;
    size_t len, at;
    size_t paragraph;           /* the first paragraph end at or after at */
    size_t closes[QUOTE_KINDS]; /* the first closing mark of that kind after at; len = none */
} pieces;

static size_t find(const pieces *p, size_t from, const char *what)
{
    const char *found =
        from < p->len ? memmem(p->text + from, p->len - from, what, strlen(what)) : NULL;
    return found ? (size_t)(found - p->text) : p->len;
}

/* The next quoted string at or after p->at: typographic, guillemets, corner brackets, or straight
 * double quotes that close in the same paragraph. *out is the inside. Stores what it finds ahead,
 * so that an unclosed mark is searched for only once. */
static bool quote_next(pieces *p, s2a_span *out)
{
    static const struct {
        const char *open, *close;
    } pairs[QUOTE_KINDS] = {
        { "\"", "\"" }, { "\u201c", "\u201d" }, { "\u00ab", "\u00bb" }, { "\u300c", "\u300d" }
    };
    for (size_t i = p->at; i < p->len; i++) {
        for (size_t k = 0; k < QUOTE_KINDS; k++) {
            size_t open = strlen(pairs[k].open), close = strlen(pairs[k].close);
            if (p->len - i < open || memcmp(p->text + i, pairs[k].open, open) != 0)
                continue;
            if (p->paragraph < i || i == 0)
                p->paragraph = find(p, i, "\n\n");
            if (p->closes[k] < i + open)
                p->closes[k] = find(p, i + open, pairs[k].close);
            if (p->closes[k] == p->len || p->closes[k] + close > p->paragraph)
                continue;
            *out = (s2a_span){ i + open, p->closes[k] };
            p->at = out->end + close;
            return true;
        }
    }
    return false;
}

/* The next code at or after p->at: a fenced block's inside, or text between single backticks. */
static bool code_next(pieces *p, s2a_span *out)
{
    const char *text = p->text;
    for (size_t i = p->at; i < p->len; i++) {
        if (text[i] != '`')
            continue;
        bool fence = p->len - i >= 3 && !memcmp(text + i, "```", 3);
        size_t n = fence ? 3 : 1, from = i + n, to = find(p, from, fence ? "```" : "`");
        p->at = to < p->len ? to + n : p->len;
        if (to == p->len && !fence)
            return false; /* an unclosed backtick */
        if (fence) {      /* the rest of the fence's line names a language */
            const char *newline = memchr(text + from, '\n', to - from);
            from = newline ? (size_t)(newline - text) : from;
        }
        *out = (s2a_span){ from, to };
        return true;
    }
    return false;
}

typedef bool (*piece_next)(pieces *p, s2a_span *out);

/* Finds one piece after the other in x. x' mostly keeps x's order: each search starts at the last
 * hit, then at the beginning. */
typedef struct lookup {
    const buf *form;
    size_t at;
    uint64_t work; /* bytes searched */
} lookup;

static bool looked_up(lookup *in, const buf *what)
{
    const char *data = in->form->data;
    size_t len = in->form->len, head = in->at + what->len < len ? in->at + what->len : len;
    if (what->len == 0)
        return true;
    const char *found = memmem(data + in->at, len - in->at, what->data, what->len);
    in->work += found ? (size_t)(found - data) - in->at : len - in->at;
    if (!found) {
        found = memmem(data, head, what->data, what->len);
        in->work += found ? (size_t)(found - data) : head;
    }
    in->work += what->len;
    in->at = found ? (size_t)(found - data) : in->at;
    return found != NULL;
}

/* Whether every piece of y is in x; closing punctuation inside a quote does not count. Past
 * LIMIT_GUARD_BYTES of search a piece counts as missing. */
static bool check_pieces(const guard_input *in, const buf *x_form, piece_next piece_at,
                         s2a_span *bad, bool *found)
{
    buf form;
    buf_init(&form, LIMIT_NONE);
    lookup x = { .form = x_form };
    pieces y = { .text = in->y, .len = in->y_len };
    s2a_span piece;
    while (!*found && !cancel_fired(in->cancel) && piece_at(&y, &piece)) {
        buf_reset(&form);
        normalise(in->y + piece.start, piece.end - piece.start, in->cancel, &form);
        if (form.status != S2A_OK)
            break;
        while (form.len > 0 && strchr(".,!?;:", form.data[form.len - 1]))
            form.len--;
        if (x.work > LIMIT_GUARD_BYTES || !looked_up(&x, &form)) {
            *found = true;
            *bad = piece;
        }
    }
    bool ok = form.status == S2A_OK;
    buf_free(&form);
    return ok;
}

/* ---- refusal ---------------------------------------------------------------------------- */

static bool check_refusal(const guard_input *in, const buf *x_form, bool *refusal)
{
    static const char *const cues[] = { "i'm sorry",
                                        "i am sorry",
                                        "sorry, but",
                                        "sorry, i",
                                        "i cannot ",
                                        "i can't ",
                                        "i can not ",
                                        "as an ai",
                                        "i'm unable",
                                        "i am unable",
                                        "i apologize",
                                        "i won't be able",
                                        "i'm not able to",
                                        "i am not able to",
                                        "unfortunately, i ",
                                        "i must decline",
                                        NULL };
    buf form;
    buf_init(&form, LIMIT_NONE);
    normalise(in->y, in->y_len < 48 ? in->y_len : 48, in->cancel, &form);
    bool ok = form.status == S2A_OK;
    for (size_t k = 0; ok && cues[k] && !*refusal; k++)
        *refusal = ascii_prefix(form.data, form.len, cues[k]) > 0 &&
                   !memmem(x_form->data, x_form->len, cues[k], strlen(cues[k]));
    buf_free(&form);
    return ok;
}

/* ---- the checks, the most telling reason first ------------------------------------------ */

static void say(char *detail, size_t size, const char *what, const char *text, s2a_span span)
{
    size_t len = span.end - span.start;
    int n = (int)(len <= 60 ? len : utf8_cut(text + span.start, 60));
    snprintf(detail, size, "%s: %.*s", what, n, text + span.start);
    for (char *p = detail; *p; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
}

static bool check_claims(const guard_input *in, const buf *x_form, s2a_fallback *reason,
                         char *detail, size_t size)
{
    s2a_span bad = { 0, 0 };
    bool found = false;
    if (!check_pieces(in, x_form, code_next, &bad, &found))
        return false;
    if (found) {
        *reason = S2A_FALLBACK_NEW_CODE;
        say(detail, size, "code that the prompt does not have", in->y, bad);
        return true;
    }
    if (!check_pieces(in, x_form, quote_next, &bad, &found))
        return false;
    if (found) {
        *reason = S2A_FALLBACK_NEW_QUOTE;
        say(detail, size, "a quotation that the prompt does not have", in->y, bad);
        return true;
    }
    if (!check_numbers(in, &bad, &found))
        return false;
    if (found) {
        *reason = S2A_FALLBACK_NEW_NUMBER;
        say(detail, size, "a number that the prompt does not have", in->y, bad);
    }
    return true;
}

s2a_status guard_check(const guard_input *in, s2a_fallback *reason, char *detail,
                       size_t detail_size, s2a_error *err)
{
    *reason = S2A_FALLBACK_NONE;
    detail[0] = '\0';
    if (cancel_fired(in->cancel))
        return error_set(err, S2A_CANCELLED, "cancelled");
    if (in->cut_off) {
        *reason = S2A_FALLBACK_CUT_OFF;
        snprintf(detail, detail_size, "the model reached its token limit");
        return S2A_OK;
    }
    if (ascii_blank(in->y, in->y_len)) {
        *reason = S2A_FALLBACK_EMPTY;
        snprintf(detail, detail_size, "the model wrote no text");
        return S2A_OK;
    }
    buf x_form;
    buf_init(&x_form, LIMIT_NONE);
    normalise(in->x, in->x_len, in->cancel, &x_form);
    bool refusal = false;
    bool ok = x_form.status == S2A_OK && check_refusal(in, &x_form, &refusal);
    bool no_question = in->question_required && ascii_blank(in->y + in->question.start,
                                                            in->question.end - in->question.start);
    bool foreign =
        in->question_required && in->question_matched * GUARD_QUESTION_SHARE < in->question_words;
    if (ok && refusal) {
        *reason = S2A_FALLBACK_REFUSAL;
        snprintf(detail, detail_size, "the model declined to rewrite");
    } else if (ok && no_question) {
        *reason = S2A_FALLBACK_NO_QUESTION;
        snprintf(detail, detail_size, "the model named no question");
    } else if (ok && in->question_lost) {
        *reason = S2A_FALLBACK_NO_QUESTION;
        snprintf(detail, detail_size, "the prompt's question is missing");
    } else if (ok && foreign) {
        *reason = S2A_FALLBACK_NO_QUESTION;
        say(detail, detail_size, "the question is not from the prompt", in->y, in->question);
    } else if (ok) {
        ok = check_claims(in, &x_form, reason, detail, detail_size);
    }
    if (ok && *reason == S2A_FALLBACK_NONE && in->y_len > GUARD_LENGTH_MAX(in->x_len)) {
        *reason = S2A_FALLBACK_TOO_LONG;
        snprintf(detail, detail_size, "%zu bytes; the prompt has %zu", in->y_len, in->x_len);
    }
    buf_free(&x_form);
    if (ok && cancel_fired(in->cancel))
        return error_set(err, S2A_CANCELLED, "cancelled");
    return ok ? S2A_OK : error_nomem(err);
}
