/* Text from servers is untrusted: it is shortened and cleaned, and the key is replaced, before it
 * becomes part of an error. */
#include "base/http_text.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <string.h>

/* The four hex digits of a \u escape; -1 if they are not hex digits. */
static int hex4(const char *digits)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const char *hex = "0123456789abcdef0123456789ABCDEF", *at = strchr(hex, digits[i]);
        if (!digits[i] || !at)
            return -1;
        value = value * 16 + (int)((at - hex) % 16);
    }
    return value;
}

/* Bytes of the escape at text[0] == '\\'. *lone: it is one half of a surrogate pair. JSON libraries
 * that follow UTF-16 write those, and jansson rejects them. */
static size_t escape_length(const char *text, size_t len, bool *lone)
{
    *lone = false;
    int unit = len >= 6 && text[1] == 'u' ? hex4(text + 2) : -1;
    if (unit < 0)
        return len < 2 ? len : 2;
    if (unit < 0xD800 || unit > 0xDFFF)
        return 6;
    int next =
        unit < 0xDC00 && len >= 12 && text[6] == '\\' && text[7] == 'u' ? hex4(text + 8) : -1;
    *lone = next < 0xDC00 || next > 0xDFFF;
    return *lone ? 6 : 12;
}

static void repair_json(buf *out, const char *data, size_t len)
{
    while (len) {
        const char *slash = memchr(data, '\\', len);
        size_t plain = slash ? (size_t)(slash - data) : len;
        utf8_repair(out, data, plain);
        data += plain;
        len -= plain;
        if (!len)
            break;
        bool lone = false;
        size_t escape = escape_length(data, len, &lone);
        if (lone)
            buf_adds(out, "\\ufffd");
        else
            utf8_repair(out, data, escape);
        data += escape;
        len -= escape;
    }
}

/* Repairs data only if it does not parse as it is. */
json_t *http_parse_json(const char *data, size_t len)
{
    json_t *root = json_loadb(data, len, JSON_ALLOW_NUL, NULL);
    if (root)
        return root;
    buf mended;
    buf_init(&mended, 3 * LIMIT_HTTP_BODY_BYTES);
    repair_json(&mended, data, len);
    bool changed = mended.status == S2A_OK &&
                   (mended.len != len || (len && memcmp(mended.data, data, len) != 0));
    if (changed)
        root = json_loadb(mended.data, mended.len, JSON_ALLOW_NUL, NULL);
    buf_free(&mended);
    return root;
}

/* The message, in the shapes that servers use: {"error": {"message"}}, {"error": "..."} (Ollama),
 * {"message"} (vLLM), {"detail": "..."} and {"detail": [{"msg"}]} (FastAPI). */
static const json_t *find_message(const json_t *root)
{
    static const char *const keys[] = { "error", "message", "detail", "msg", "error_message" };
    if (json_is_string(root))
        return root;
    if (json_is_array(root))
        return json_array_size(root) ? find_message(json_array_get(root, 0)) : NULL;
    if (!json_is_object(root)) /* NULL as well */
        return NULL;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *found = find_message(json_object_get(root, keys[i]));
        if (found)
            return found;
    }
    return NULL;
}

/* A page's title is its message. */
static void add_page(buf *out, const char *page)
{
    const char *title = strcasestr(page, "<title>");
    const char *end = title ? strcasestr(title, "</title>") : NULL;
    if (end)
        utf8_repair(out, title + 7, (size_t)(end - title - 7));
    else
        buf_adds(out, "an HTML page");
}

/* Bytes of the control character or space at text[0]; 0 when it is neither. The controls of C1
 * (U+0080 to U+009F) count, since terminals obey them too. */
static size_t blank_length(const char *text, size_t len)
{
    unsigned char c = (unsigned char)text[0];
    if (c <= ' ' || c == 0x7f)
        return 1;
    bool c1 = len > 1 && c == 0xC2 && (unsigned char)text[1] < 0xA0;
    return c1 ? 2 : 0;
}

/* Turns each run of spaces and control characters into one space, and removes it at the start. */
static void make_line(buf *words)
{
    size_t kept = 0;
    for (size_t i = 0; i < words->len;) {
        size_t blank = blank_length(words->data + i, words->len - i);
        if (!blank)
            words->data[kept++] = words->data[i];
        else if (kept && words->data[kept - 1] != ' ')
            words->data[kept++] = ' ';
        i += blank ? blank : 1;
    }
    words->len = kept;
}

/* Servers quote the key that they reject: it becomes "***". */
static void add_redacted(buf *out, const char *text, size_t len, const char *key)
{
    size_t key_len = key ? strlen(key) : 0;
    while (len) {
        const char *hit = key_len ? memmem(text, len, key, key_len) : NULL;
        size_t plain = hit ? (size_t)(hit - text) : len;
        buf_add(out, text, plain);
        if (hit)
            buf_adds(out, "***");
        text += plain + (hit ? key_len : 0);
        len -= plain + (hit ? key_len : 0);
    }
}

void http_quote(const json_t *root, const char *body, size_t len, const char *key,
                char text[static HTTP_QUOTE_MAX + 1])
{
    const json_t *message = root ? find_message(root) : NULL;
    buf words, shown;
    buf_init(&words, LIMIT_HTTP_BODY_BYTES);
    buf_init(&shown, LIMIT_HTTP_BODY_BYTES);
    size_t start = strspn(body ? body : "", " \t\r\n");
    if (message)
        utf8_repair(&words, json_string_value(message), json_string_length(message));
    else if (body && body[start] == '<')
        add_page(&words, body);
    else if (body)
        utf8_repair(&words, body, len);
    make_line(&words);
    add_redacted(&shown, words.data, words.len, key);
    const char *line = shown.len ? shown.data : "nothing";
    size_t cut = utf8_cut(line, HTTP_QUOTE_MAX);
    memcpy(text, line, cut);
    text[cut] = '\0';
    buf_free(&words);
    buf_free(&shown);
}

/* Servers have no common error code for this. */
bool http_is_context_error(const char *text)
{
    static const char *const phrases[] = {
        "context length", "context_length", "context size",       "context_size",
        "context window", "context_window", "prompt is too long", "input is too long",
    };
    for (size_t i = 0; text && i < sizeof phrases / sizeof phrases[0]; i++)
        if (strcasestr(text, phrases[i]))
            return true;
    return false;
}
