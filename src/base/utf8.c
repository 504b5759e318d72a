#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unicode/utf8.h>

size_t utf8_length(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 3;
    return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

size_t utf8_valid_prefix(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        /* Most text is ASCII: take eight bytes at a time. */
        uint64_t word;
        if (len - at >= sizeof word) {
            memcpy(&word, text + at, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                at += sizeof word;
                continue;
            }
        }
        int32_t i = 0, window = len - at > 8 ? 8 : (int32_t)(len - at);
        UChar32 c = 0;
        const char *from = text + at;
        U8_NEXT((const uint8_t *)from, i, window, c);
        if (c < 0)
            return at;
        at += (size_t)i;
    }
    return len;
}

size_t utf8_cut(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);
    if (len <= max)
        return len;
    len = max;
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    return len;
}

void utf8_repair(buf *out, const char *text, size_t len)
{
    while (len > 0) {
        size_t good = utf8_valid_prefix(text, len);
        buf_add(out, text, good);
        if (good < len) {
            buf_adds(out, UTF8_REPLACEMENT);
            good++;
        }
        text += good;
        len -= good;
    }
}

/* ---- pieces to whole characters ----------------------------------------------------------- */

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
        utf8_stream_end(s, out); /* and this byte begins the next character */
    if (s->need == 0) {
        if (byte < 0x80)
            buf_add(out, (const char *)&byte, 1);
        else if (!begin(s, byte))
            buf_adds(out, UTF8_REPLACEMENT);
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
        buf_adds(out, UTF8_REPLACEMENT);
    s->need = s->have = 0;
}
