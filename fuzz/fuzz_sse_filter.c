/* Upstream's stream in pieces of any length comes out the same as in one, with the s2a object in it
 * at most once, and nothing after [DONE]. The first byte is the API and the length of the pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "serve/sse_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *object(void *ctx)
{
    ++*(int *)ctx;
    return json_pack("{s:i}", "x", 1);
}

static s2a_status run(chat_api api, const char *data, size_t len, size_t piece, buf *out)
{
    reply r = { .id = "i", .model = "m", .created = 1, .api = api };
    s2a_usage step1 = { .prompt_tokens = 3, .completion_tokens = 2 };
    sse_filter f;
    int asked = 0;
    buf_init(out, (size_t)1 << 26);
    sse_filter_init(&f, &r, &step1, object, &asked);
    s2a_status status = S2A_OK;
    for (size_t at = 0; at < len && status == S2A_OK; at += piece)
        status = sse_filter_feed(&f, data + at, piece < len - at ? piece : len - at, out);
    if (status == S2A_OK)
        status = sse_filter_end(&f, out);
    if (asked > 1 || (status == S2A_OK && f.done && !f.failed && asked != 1))
        abort();
    sse_filter_free(&f);
    buf_add(out, "", 0);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 1;
    chat_api api = (chat_api)(data[0] / 64);
    buf whole, pieces;
    s2a_status one = run(api, text, size - 1, size, &whole);
    s2a_status many = run(api, text, size - 1, 1 + data[0] % 40u, &pieces);
    if (one != many || whole.len != pieces.len || memcmp(whole.data, pieces.data, whole.len) != 0)
        abort();
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
