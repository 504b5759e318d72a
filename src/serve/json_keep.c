#include "serve/json_keep.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/limits.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* U+10F7FE: the rest of the string is a number. U+10F7FF: NUL in a name. U+10F800 + n: half of a
 * surrogate pair, D800 + n. */
#define NUMBER_MARK "\xf4\x8f\x9f\xbe"
#define NUL_MARK "\xf4\x8f\x9f\xbf"
enum { MARK_BYTES = 4, HIGH = 0xd800, LOW = 0xdc00, HALVES = 0x800, ESCAPE_BYTES = 6 };

typedef struct keeper {
    const s2a_cancel *cancel;
    buf out;
    bool kept, clash; /* clash: the text itself has characters of the range */
} keeper;

static bool in_range(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    return len >= MARK_BYTES && p[0] == 0xf4 && p[1] == 0x8f &&
           (p[2] >= 0xa0 || (p[2] == 0x9f && p[3] >= 0xbe));
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The number of an escape "\uXXXX"; -1 = not an escape. */
static int unit_of(const char *text, size_t len)
{
    if (len < ESCAPE_BYTES || text[0] != '\\' || text[1] != 'u')
        return -1;
    int unit = 0;
    for (int i = 2; i < ESCAPE_BYTES; i++) {
        char c = ascii_lower(text[i]);
        if (!ascii_digit(c) && (c < 'a' || c > 'f'))
            return -1;
        unit = unit << 4 | (ascii_digit(c) ? c - '0' : c - 'a' + 10);
    }
    return unit;
}

/* Appends one escape of a string to out. Returns its length. */
static size_t escape_keep(keeper *k, const char *text, size_t len, bool name)
{
    int unit = unit_of(text, len);
    bool half = unit >= HIGH && unit < HIGH + HALVES;
    int next = half && unit < LOW ? unit_of(text + ESCAPE_BYTES, len - ESCAPE_BYTES) : -1;
    if (half && next >= LOW && next < HIGH + HALVES) {
        k->clash |= unit >= 0xdbfe || (unit == 0xdbfd && next >= 0xdffe);
        buf_add(&k->out, text, 2 * ESCAPE_BYTES);
        return 2 * ESCAPE_BYTES;
    }
    if (half) {
        int n = unit - HIGH;
        const char mark[] = { '\xf4', '\x8f', (char)(0xa0 + (n >> 6)), (char)(0x80 + (n & 0x3f)) };
        buf_add(&k->out, mark, MARK_BYTES);
    } else if (unit == 0 && name) {
        buf_adds(&k->out, NUL_MARK);
    } else {
        size_t n = unit >= 0 ? ESCAPE_BYTES : len < 2 ? len : 2;
        buf_add(&k->out, text, n);
        return n;
    }
    k->kept = true;
    return ESCAPE_BYTES;
}

static bool colon_follows(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len && ascii_space(text[at]))
        at++;
    return at < len && text[at] == ':';
}

/* The length of the string that begins at text, with its quotes; len if it has no end. */
static size_t string_len(const char *text, size_t len)
{
    size_t at = 1;
    while (at < len && text[at] != '"')
        at += text[at] == '\\' ? 2 : 1;
    return at < len ? at + 1 : len;
}

static size_t string_keep(keeper *k, const char *text, size_t len)
{
    size_t n = string_len(text, len);
    bool name = colon_follows(text + n, len - n);
    for (size_t at = 0; at < n && !cancel_fired(k->cancel);) {
        size_t plain = 0;
        while (at + plain < n && text[at + plain] != '\\') {
            k->clash |= in_range(text + at + plain, n - at - plain);
            plain++;
        }
        buf_add(&k->out, text + at, plain);
        at += plain;
        at += at < n ? escape_keep(k, text + at, n - at, name) : 0;
    }
    return n;
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* Whether a whole token is a number (RFC 8259, section 6); *real: with a fraction or
 * an exponent. */
static bool is_number(const char *text, bool *real)
{
    text += *text == '-';
    size_t n = digits(text);
    bool good = n > 0 && (*text != '0' || n == 1);
    text += n;
    *real = *text != '\0';
    if (*text == '.') {
        n = digits(++text);
        good = good && n > 0;
        text += n;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        n = digits(text);
        good = good && n > 0;
        text += n;
    }
    return good && !*text;
}

static bool is_too_big(const char *number, bool real)
{
    errno = 0;
    if (real)
        return !isfinite(strtod(number, NULL));
    (void)strtoll(number, NULL, 10);
    return errno == ERANGE;
}

static size_t token_len(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && text[n] && strchr("+-.eE0123456789", text[n]))
        n++;
    return n;
}

static size_t number_keep(keeper *k, const char *text, size_t len)
{
    size_t n = token_len(text, len);
    char *token = bytes_dup(text, n);
    bool real = false;
    if (!token)
        k->out.status = S2A_NOMEM;
    bool keep = token && is_number(token, &real) && is_too_big(token, real) &&
                !colon_follows(text + n, len - n);
    buf_adds(&k->out, keep ? "\"" NUMBER_MARK : "");
    buf_add(&k->out, text, n);
    buf_adds(&k->out, keep ? "\"" : "");
    k->kept |= keep;
    free(token);
    return n;
}

static void keep_all(keeper *k, const char *text, size_t len)
{
    for (size_t at = 0; at < len && !cancel_fired(k->cancel);) {
        if (text[at] == '"')
            at += string_keep(k, text + at, len - at);
        else if (text[at] == '-' || ascii_digit(text[at]))
            at += number_keep(k, text + at, len - at);
        else
            buf_add(&k->out, &text[at++], 1);
    }
}

typedef struct source {
    const char *text;
    size_t len;
    const s2a_cancel *cancel;
} source;

/* jansson asks for the next bytes; none = the end. */
static size_t source_read(void *buffer, size_t most, void *ctx)
{
    source *s = ctx;
    size_t n = cancel_fired(s->cancel) ? 0 : s->len < most ? s->len : most;
    memcpy(buffer, s->text, n);
    s->text += n;
    s->len -= n;
    return n;
}

static json_t *load(const char *text, size_t len, const s2a_cancel *cancel, json_error_t *fault,
                    bool *nomem)
{
    source s = { text, len, cancel };
    /* Without memory for its parser jansson leaves fault unchanged. */
    *fault = (json_error_t){ .line = 0 };
    json_t *root = json_load_callback(source_read, &s, JSON_ALLOW_NUL, fault);
    *nomem = !root && (json_error_code(fault) == json_error_out_of_memory || !fault->text[0]);
    return root;
}

s2a_status json_keep_load(const char *text, size_t len, const s2a_cancel *cancel, json_t **out,
                          bool *kept, s2a_error *err)
{
    json_error_t fault, first;
    bool nomem = false;
    *kept = false;
    *out = NULL;
    if (memchr(text, '\0', len)) /* jansson ignores it after a number */
        return error_set(err, S2A_INPUT, "the body is not JSON: it has a NUL byte");
    *out = load(text, len, cancel, &first, &nomem);
    if (*out)
        return S2A_OK;
    keeper k = { .cancel = cancel };
    buf_init(&k.out, LIMIT_NONE);
    if (!nomem)
        keep_all(&k, text, len);
    nomem |= k.out.status != S2A_OK;
    bool again = !nomem && k.kept && !k.clash;
    if (again)
        *out = load(k.out.data, k.out.len, cancel, &fault, &nomem);
    buf_free(&k.out);
    *kept = *out != NULL;
    if (*out)
        return S2A_OK;
    if (cancel_fired(cancel))
        return error_set(err, S2A_CANCELLED, "cancelled");
    if (nomem)
        return error_nomem(err);
    if (k.kept && k.clash)
        return error_set(err, S2A_INPUT,
                         "the body has both characters from U+10F7FE to U+10FFFF and numbers past "
                         "63 bits or halves of surrogate pairs; leave one of them out");
    const json_error_t *said = again ? &fault : &first;
    return error_set(err, S2A_INPUT, "the body is not JSON: %s at line %d, column %d", said->text,
                     said->line, said->column);
}

/* ---- writing ---------------------------------------------------------------------------- */

size_t json_keep_mark(const char *text, size_t len)
{
    return len >= MARK_BYTES && !memcmp(text, NUMBER_MARK, MARK_BYTES) ? MARK_BYTES : 0;
}

/* The length, with quotes, of a string that is a kept number; 0 = it is not one. */
static size_t number_len(const char *text, size_t len)
{
    if (len < MARK_BYTES + 3 || !json_keep_mark(text + 1, len - 1))
        return 0;
    size_t n = token_len(text + 1 + MARK_BYTES, len - 1 - MARK_BYTES), all = n + MARK_BYTES + 2;
    return n > 0 && all <= len && text[all - 1] == '"' ? all : 0;
}

static void string_restore(buf *out, const char *text, size_t len, const s2a_cancel *cancel)
{
    size_t number = number_len(text, len);
    if (number == len) {
        buf_add(out, text + 1 + MARK_BYTES, number - MARK_BYTES - 2);
        return;
    }
    for (size_t at = 0; at < len && !cancel_fired(cancel);) {
        size_t plain = 0;
        while (at + plain < len && !in_range(text + at + plain, len - at - plain))
            plain++;
        buf_add(out, text + at, plain);
        at += plain;
        if (at == len)
            break;
        if (!memcmp(text + at, NUL_MARK, MARK_BYTES))
            buf_adds(out, "\\u0000");
        else if (!json_keep_mark(text + at, len - at)) /* in other text it is not the client's, and
                                                          would clash: dropped */
            buf_addf(out, "\\u%04x",
                     HIGH + (((unsigned char)text[at + 2] - 0xa0u) << 6 |
                             ((unsigned char)text[at + 3] & 0x3fu)));
        at += MARK_BYTES;
    }
}

static char *restore(const char *text, size_t len, const s2a_cancel *cancel, size_t *out_len)
{
    buf out;
    buf_init(&out, LIMIT_NONE);
    for (size_t at = 0; at < len && !cancel_fired(cancel);) {
        const char *quote = memchr(text + at, '"', len - at);
        size_t plain = quote ? (size_t)(quote - text) - at : len - at;
        buf_add(&out, text + at, plain);
        at += plain;
        size_t n = quote ? string_len(quote, len - at) : 0;
        if (quote)
            string_restore(&out, quote, n, cancel);
        at += n;
    }
    char *result = cancel_fired(cancel) ? NULL : buf_take(&out, out_len);
    buf_free(&out);
    return result;
}

typedef struct sink {
    buf out;
    const s2a_cancel *cancel;
} sink;

static int sink_write(const char *text, size_t len, void *ctx)
{
    sink *s = ctx;
    buf_add(&s->out, text, len);
    return cancel_fired(s->cancel) || s->out.status != S2A_OK ? -1 : 0;
}

char *json_keep_dump(const json_t *root, bool kept, const s2a_cancel *cancel, size_t *len)
{
    sink s = { .cancel = cancel };
    buf_init(&s.out, LIMIT_NONE);
    bool ok = json_dump_callback(root, sink_write, &s, JSON_COMPACT) == 0;
    char *text = ok ? buf_take(&s.out, len) : NULL;
    buf_free(&s.out);
    if (!text || !kept)
        return text;
    char *out = restore(text, *len, cancel, len);
    free(text);
    return out;
}
