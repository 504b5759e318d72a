#include "utf8_stream.h"

#include <stdbool.h>

static const char replacement[] = "\xEF\xBF\xBD";

/* False when the byte begins no character. */
static bool begin(utf8_stream *s, unsigned char byte)
{
    s->low = 0x80;
    s->high = 0xBF;
    if (byte >= 0xC2 && byte <= 0xDF) {
        s->need = 1;
    } else if (byte >= 0xE0 && byte <= 0xEF) {
        s->need = 2;
        if (byte == 0xE0)
            s->low = 0xA0; /* no overlong forms */
        if (byte == 0xED)
            s->high = 0x9F; /* no surrogates */
    } else if (byte >= 0xF0 && byte <= 0xF4) {
        s->need = 3;
        if (byte == 0xF0)
            s->low = 0x90;
        if (byte == 0xF4)
            s->high = 0x8F; /* nothing above U+10FFFF */
    } else {
        return false;
    }
    s->pending[0] = (char)byte;
    s->have = 1;
    return true;
}

static void add_byte(utf8_stream *s, unsigned char byte, buf *out)
{
    if (s->need > 0 && (byte < s->low || byte > s->high))
        utf8_stream_end(s, out); /* and the byte is looked at as a first one */
    if (s->need == 0) {
        if (byte < 0x80)
            buf_add(out, (const char *)&byte, 1);
        else if (!begin(s, byte))
            buf_adds(out, replacement);
        return;
    }
    s->low = 0x80;
    s->high = 0xBF;
    s->pending[s->have++] = (char)byte;
    if (--s->need == 0)
        buf_add(out, s->pending, s->have);
}

void utf8_stream_add(utf8_stream *s, const char *bytes, size_t len, buf *out)
{
    for (size_t i = 0; i < len;) {
        size_t plain = i;
        while (s->need == 0 && plain < len && (unsigned char)bytes[plain] < 0x80)
            plain++;
        if (plain > i)
            buf_add(out, bytes + i, plain - i);
        else
            add_byte(s, (unsigned char)bytes[plain++], out);
        i = plain;
    }
}

void utf8_stream_end(utf8_stream *s, buf *out)
{
    if (s->need > 0)
        buf_adds(out, replacement);
    s->need = s->have = 0;
}
