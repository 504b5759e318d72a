/* Escaping for HTML, JSON, CSV and Markdown; see text.h. */
#include "eval/text.h"

#include "base/ascii.h"
#include "base/utf8.h"

#include <string.h>

/* Bytes of the character at text[0], len > 0; *valid is false for a byte that becomes U+FFFD. */
static size_t text_next(const char *text, size_t len, bool *valid)
{
    const unsigned char *byte = (const unsigned char *)text;
    size_t need = utf8_length(byte[0]);
    *valid = need > 0 && need <= len;
    if (need == 1)
        *valid = (byte[0] >= 0x20 && byte[0] != 0x7F) || byte[0] == '\t' || byte[0] == '\n' ||
                 byte[0] == '\r';
    if (*valid && need > 1)
        *valid = utf8_valid_prefix(text, need) == need;
    if (*valid && need == 2 && byte[0] == 0xC2 && byte[1] < 0xA0)
        *valid = false; /* C1 controls */
    if (*valid && need == 3 && byte[0] == 0xEF && byte[1] == 0xBF && byte[2] >= 0xBE)
        *valid = false; /* U+FFFE and U+FFFF: not characters of XML */
    return *valid ? need : 1;
}

typedef const char *(*escape_fn)(char c);

static void add_escaped(buf *out, const char *text, escape_fn escape)
{
    size_t len = text ? strlen(text) : 0;
    for (size_t i = 0, n; i < len; i += n) {
        bool valid;
        n = text_next(text + i, len - i, &valid);
        const char *instead = valid && n == 1 ? escape(text[i]) : NULL;
        if (!valid)
            buf_adds(out, UTF8_REPLACEMENT);
        else if (instead)
            buf_adds(out, instead);
        else
            buf_add(out, text + i, n);
    }
}

static const char *escape_html(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\r':
        return "&#13;";
    default:
        return NULL;
    }
}

static const char *escape_json(char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '<': /* so that neither "</script" nor "<!--" can stand in the page */
        return "\\u003c";
    case '>':
        return "\\u003e";
    case '&':
        return "\\u0026";
    default:
        return NULL;
    }
}

static const char *escape_csv(char c)
{
    return c == '"' ? "\"\"" : NULL;
}

static const char *escape_markdown(char c)
{
    switch (c) {
    case '\t':
    case '\n':
    case '\r':
        return " ";
    case '|':
        return "\\|";
    case '\\':
        return "\\\\";
    case '`':
        return "\\`";
    case '*':
        return "\\*";
    case '_':
        return "\\_";
    case '[':
        return "\\[";
    case ']':
        return "\\]";
    default:
        return escape_html(c);
    }
}

void text_add_html(buf *out, const char *text)
{
    add_escaped(out, text, escape_html);
}

void text_add_json(buf *out, const char *text)
{
    buf_adds(out, "\"");
    add_escaped(out, text, escape_json);
    buf_adds(out, "\"");
}

/* Spreadsheets run a field that begins so: '=', '+', '-', '@', also full width, and what
 * they skip. */
static bool begins_formula(const char *text)
{
    static const char *const wide[] = { "\uff1d", "\uff0b", "\uff0d", "\uff20" };
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        if (strncmp(text, wide[i], strlen(wide[i])) == 0)
            return true;
    return *text && strchr("=+-@\t\r", *text);
}

void text_add_csv(buf *out, const char *text)
{
    bool quoted = text && text[0] &&
                  (text[strcspn(text, ",\"\r\n")] || ascii_space(text[0]) ||
                   ascii_space(text[strlen(text) - 1]));
    buf_adds(out, quoted ? "\"" : "");
    buf_adds(out, text && begins_formula(text) ? "'" : "");
    add_escaped(out, text, escape_csv);
    buf_adds(out, quoted ? "\"" : "");
}

void text_add_markdown(buf *out, const char *text)
{
    add_escaped(out, text, escape_markdown);
}

void text_label(char *out, size_t cap, const char *text)
{
    size_t len = text ? strlen(text) : 0, at = 0;
    for (size_t i = 0, n; i < len; i += n) {
        bool valid;
        n = text_next(text + i, len - i, &valid);
        bool space = n == 1 && ascii_space(text[i]) && valid;
        if (space && (at == 0 || out[at - 1] == ' '))
            continue;
        const char *from = space ? " " : valid ? text + i : UTF8_REPLACEMENT;
        size_t bytes = space ? 1 : valid ? n : strlen(UTF8_REPLACEMENT);
        if (at + bytes >= cap)
            break;
        memcpy(out + at, from, bytes);
        at += bytes;
    }
    while (at > 0 && out[at - 1] == ' ')
        at--;
    out[at] = '\0';
}

void text_add_slug(buf *out, const char *text)
{
    for (size_t i = 0; text && text[i]; i++) {
        char c = text[i];
        bool plain = ascii_letter(c) || ascii_digit(c) || c == '.' || c == '_' || c == '-';
        buf_add(out, plain ? &c : "-", 1);
    }
}

void text_add_base64(buf *out, const char *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *byte = (const unsigned char *)data;
    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)byte[i] << 16;
        bits |= have > 1 ? (uint32_t)byte[i + 1] << 8 : 0;
        bits |= have > 2 ? (uint32_t)byte[i + 2] : 0;
        char four[4] = { digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63],
                         digits[bits & 63] };
        memset(four + have + 1, '=', 3 - have);
        buf_add(out, four, sizeof four);
    }
}

void text_utf16_init(text_utf16 *at, const char *text)
{
    *at = (text_utf16){ .text = text, .len = strlen(text) };
}

size_t text_utf16_offset(text_utf16 *at, size_t byte)
{
    if (byte < at->byte)
        at->byte = at->unit = 0;
    while (at->byte < byte && at->byte < at->len) {
        bool valid;
        size_t n = text_next(at->text + at->byte, at->len - at->byte, &valid);
        if (at->byte + n > byte)
            break; /* inside a character: its start */
        at->byte += n;
        at->unit += n == 4 ? 2 : 1;
    }
    return at->unit;
}
