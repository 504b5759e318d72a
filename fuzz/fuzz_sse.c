/* An event stream whole, and in two kinds of pieces, gives the same events. The first byte is the
 * length of the pieces, the second the limit of a line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(buf *out, const sse_event *event)
{
    buf_addf(out, "%s|%zu|", event->type, event->len);
    buf_add(out, event->data, event->len);
}

static sse_result parse(const char *data, size_t len, size_t piece, size_t max, buf *out)
{
    sse_parser parser;
    sse_event event;
    sse_result result = SSE_MORE;
    sse_init(&parser, max);
    buf_init(out, (size_t)1 << 24);
    while (len > 0 && result == SSE_MORE) {
        const char *at = data;
        size_t left = piece < len ? piece : len, taken = left;
        while ((result = sse_next(&parser, &at, &left, &event)) == SSE_EVENT)
            note(out, &event);
        if (result == SSE_MORE && left > 0)
            abort();
        data += taken;
        len -= taken;
    }
    if (result == SSE_MORE && (result = sse_finish(&parser, &event)) == SSE_EVENT) {
        note(out, &event);
        result = SSE_MORE;
    }
    buf_add(out, "", 0);
    sse_free(&parser);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t max = 1 + (size_t)data[1] * 4, pieces[] = { size, 1, 1 + (size_t)data[0] % 32 };
    buf got[3];
    sse_result results[3];
    for (size_t i = 0; i < 3; i++)
        results[i] = parse((const char *)data + 2, size - 2, pieces[i], max, &got[i]);
    for (size_t i = 0; i < 3; i++) {
        if (results[i] != results[0] || got[i].len != got[0].len ||
            memcmp(got[i].data, got[0].data, got[0].len) != 0)
            abort();
        if (results[i] != SSE_MORE && results[i] != SSE_LIMIT)
            abort();
    }
    for (size_t i = 0; i < 3; i++)
        buf_free(&got[i]);
    return 0;
}
