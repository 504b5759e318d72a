#include "base/stop_scan.h"

#include "base/limits.h"

#include <string.h>

/* The shortest stop at the beginning of text; *partial: a stop may begin here and end later. */
static size_t stop_at(const stop_scan *s, const char *text, size_t len, bool *partial)
{
    size_t found = STOP_NONE;
    *partial = false;
    for (size_t i = 0; i < s->count; i++) {
        size_t n = s->stops[i].len;
        if (memcmp(text, s->stops[i].text, n < len ? n : len) != 0)
            continue;
        if (n > len)
            *partial = true;
        else if (found == STOP_NONE || n < s->stops[found].len)
            found = i;
    }
    return found;
}

static size_t scan(stop_scan *s, bool last, buf *out)
{
    size_t at = 0, found = STOP_NONE;
    for (; at < s->held.len; at++) {
        bool partial = false;
        found = stop_at(s, s->held.data + at, s->held.len - at, &partial);
        if (found != STOP_NONE || (partial && !last))
            break;
    }
    if (at == 0)
        return found;
    buf_add(out, s->held.data, at);
    memmove(s->held.data, s->held.data + at, s->held.len - at);
    s->held.len -= at;
    return found;
}

size_t stop_scan_add(stop_scan *s, const char *text, size_t len, buf *out)
{
    if (s->count == 0) {
        buf_add(out, text, len);
        return STOP_NONE;
    }
    if (!s->held.max)
        buf_init(&s->held, LIMIT_NONE);
    buf_add(&s->held, text, len);
    if (s->held.status == S2A_OK)
        return scan(s, false, out);
    out->status = s->held.status;
    return STOP_NONE;
}

size_t stop_scan_end(stop_scan *s, buf *out)
{
    return scan(s, true, out);
}

void stop_scan_free(stop_scan *s)
{
    buf_free(&s->held);
}
