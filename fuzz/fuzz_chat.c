/* A request's body: any bytes are read or refused by an error of one line; what is read, changed
 * and written is JSON again, without what is ours in it. The first byte chooses the field X-S2A,
 * the API, and whether texts are replaced or cut; after 0xFF comes the text that is put in place.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "parts.h"
#include "serve/chat.h"
#include "serve/json_keep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_left(const chat_request *q)
{
    size_t len = 0;
    char *text = chat_dump(q, &len);
    json_t *again = NULL;
    bool kept = false;
    if (text)
        json_keep_load(text, len, NULL, &again, &kept, NULL);
    if (!again || json_object_get(again, "s2a"))
        abort();
    json_decref(again);
    free(text);
}

/* What shall stay is texts, none of them empty. */
static void check_protect(const json_t *texts)
{
    if (json_array_size(texts) > LIMIT_PROTECTED || (texts && !json_is_array(texts)))
        abort();
    for (size_t i = 0; i < json_array_size(texts); i++)
        if (json_string_length(json_array_get(texts, i)) == 0)
            abort();
}

/* Bytes until a character begins. */
static size_t utf8_next_start(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && ((unsigned char)text[n] & 0xC0) == 0x80)
        n++;
    return n;
}

/* Takes spans out of a text, between characters: each pair of bytes of put is a gap and a length.
 */
static bool check_cut(chat_request *q, const chat_target *t, const part *put)
{
    s2a_span spans[8];
    size_t count = 0, at = 0;
    for (size_t i = 0; i + 1 < put->len && count < 8 && at < t->len; i += 2) {
        size_t start = at + (unsigned char)put->text[i];
        size_t end = start + 1 + (unsigned char)put->text[i + 1];
        start += start < t->len ? utf8_next_start(t->text + start, t->len - start) : 0;
        end = end < t->len ? end + utf8_next_start(t->text + end, t->len - end) : t->len;
        if (start >= end || start > t->len)
            break;
        spans[count++] = (s2a_span){ start, end };
        at = end;
    }
    return chat_cut(q, t, spans, count, NULL);
}

static void check_targets(chat_request *q, const part *put, bool cut)
{
    if (q->target_count > SERVE_TARGETS)
        abort();
    for (size_t i = 0; i < q->target_count; i++) {
        const chat_target *t = &q->targets[i];
        if (t->text[t->len] != '\0' || t->context != (i + 1 < q->target_count || t->context))
            abort();
    }
    for (size_t i = 0; i < q->turn_count; i++) {
        const chat_target *t = &q->turns[i];
        if (t->text[t->len] != '\0' ||
            t->message.index > q->targets[q->target_count - 1].message.index ||
            (i > 0 && t->message.index < q->turns[i - 1].message.index))
            abort();
    }
    size_t valid = utf8_valid_prefix(put->text, put->len);
    for (size_t i = 0; i < q->target_count; i++)
        if (!(cut ? check_cut(q, &q->targets[i], put)
                  : chat_put(q, &q->targets[i], put->text, valid)))
            abort();
    for (size_t i = 0; i < q->turn_count; i++)
        if (!(cut ? check_cut(q, &q->turns[i], put) : chat_put(q, &q->turns[i], put->text, valid)))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const headers[] = { NULL, "off", "opinion", "nonsense" };
    if (size == 0)
        return 0;
    const char *header = headers[data[0] % 4];
    chat_api api = (chat_api)(data[0] / 64);
    bool cut = data[0] / 4 % 2;
    part parts[2];
    parts_split(data + 1, size - 1, parts, 2);
    chat_ask ask = { .mode = S2A_MODE_DEFAULT };
    chat_request q;
    s2a_error err = { .status = S2A_OK };
    s2a_status status =
        chat_parse(parts[0].text, parts[0].len, api, "s2a-", header, &ask, NULL, &q, &err);
    if (status == S2A_OK && q.wanted && !chat_may_ask(parts[0].text, parts[0].len, "s2a-", header))
        abort();
    if (status == S2A_OK) {
        check_left(&q);
        check_protect(q.ask.protect);
        check_targets(&q, &parts[1], cut);
        check_left(&q);
    } else {
        if ((status != S2A_INPUT && status != S2A_LIMIT) || !err.message[0] ||
            strpbrk(err.message, "\r\n"))
            abort();
    }
    chat_free(&q);
    return 0;
}
