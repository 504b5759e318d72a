#include "serve/target.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

enum { ESCAPED_TIMES = 3 }; /* nested escapes that are decoded; more are refused */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The byte of the escape at text; -1 = not an escape. text is NUL-terminated. */
static int escaped(const char *text)
{
    int high = *text == '%' ? hex(text[1]) : -1, low = high >= 0 ? hex(text[2]) : -1;
    return low >= 0 ? high << 4 | low : -1;
}

static bool unreserved(int c)
{
    return ascii_letter((char)c) || ascii_digit((char)c) || (c > 0 && strchr("-._~", c));
}

/* Decodes escapes in place: those of unreserved characters, or all. True if there was one. */
static bool unescape(char *text, size_t *len, bool all)
{
    bool any = false;
    size_t to = 0;
    for (size_t at = 0; at < *len;) {
        int c = at + 2 < *len ? escaped(text + at) : -1;
        bool take = c >= 0 && (all || unreserved(c));
        text[to++] = take ? (char)c : text[at];
        at += take ? 3 : 1;
        any |= take;
    }
    *len = to;
    text[to] = '\0';
    return any;
}

static bool is_dots(const char *text, size_t len, size_t dots)
{
    return len == dots && !memcmp(text, "..", dots);
}

/* Whether a server could read ".." in the segment. Changes the segment. */
static bool hides_dots(char *segment, size_t len)
{
    bool more = true;
    for (int i = 0; i < ESCAPED_TIMES && more; i++)
        more = unescape(segment, &len, true);
    if (more && unescape(segment, &len, true))
        return true;
    for (size_t at = 0; at <= len; at++) {
        size_t n = 0;
        while (at + n < len && segment[at + n] && !strchr("/\\;", segment[at + n]))
            n++;
        if (is_dots(segment + at, n, 2))
            return true;
        at += n;
    }
    return false;
}

/* Appends a segment, which begins after a slash, to out. False: it is refused. */
static bool segment_add(buf *out, const char *segment, size_t len, bool last)
{
    if (is_dots(segment, len, 2))
        while (out->len > 0 && out->data[--out->len] != '/')
            continue;
    if (is_dots(segment, len, 1) || is_dots(segment, len, 2)) {
        if (last)
            buf_adds(out, "/");
        return true;
    }
    char *copy = bytes_dup(segment, len);
    bool hidden = copy && hides_dots(copy, len);
    free(copy);
    buf_adds(out, "/");
    buf_add(out, segment, len);
    if (!copy)
        out->status = S2A_NOMEM;
    return !hidden;
}

s2a_status target_normalise(const char *target, char **out, s2a_error *err)
{
    size_t len = strcspn(target, "?");
    const char *query = target + len;
    char *path = bytes_dup(target, len);
    buf done;
    buf_init(&done, LIMIT_NONE);
    bool good = true;
    if (path)
        unescape(path, &len, false);
    for (size_t at = 1; path && at <= len && good; at++) {
        const char *slash = memchr(path + at, '/', len - at);
        size_t n = slash ? (size_t)(slash - path) - at : len - at;
        good = segment_add(&done, path + at, n, !slash);
        at += n;
    }
    free(path);
    buf_adds(&done, query);
    *out = path ? buf_take(&done, NULL) : NULL;
    buf_free(&done);
    if (good && *out)
        return S2A_OK;
    free(*out);
    *out = NULL;
    return good ? error_nomem(err)
                : error_set(err, S2A_INPUT, "the path hides \"..\" in escapes; write it plainly");
}
