/* A request's body: any bytes are read or refused by an error of one line; what is read, changed
 * and written is JSON again, without what is ours in it. The first byte chooses the field X-S2A and
 * the path; after 0xFF comes the text that is put in place. */
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
        json_keep_load(text, len, &again, &kept, NULL);
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

static void check_targets(chat_request *q, const part *put)
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
        if (t->text[t->len] != '\0' || t->index >= q->targets[q->target_count - 1].index ||
            (i > 0 && t->index <= q->turns[i - 1].index))
            abort();
    }
    size_t valid = utf8_valid_prefix(put->text, put->len);
    for (size_t i = 0; i < q->target_count; i++)
        if (!chat_put(q, i, put->text, valid))
            abort();
    for (size_t i = 0; i < q->turn_count; i++)
        if (!chat_put_turn(q, i, put->text, valid))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const headers[] = { NULL, "off", "opinion", "nonsense" };
    if (size == 0)
        return 0;
    const char *header = headers[data[0] % 4];
    bool chat = data[0] < 128;
    part parts[2];
    parts_split(data + 1, size - 1, parts, 2);
    chat_ask ask = { .mode = S2A_MODE_DEFAULT };
    chat_request q;
    s2a_error err = { .status = S2A_OK };
    s2a_status status =
        chat_parse(parts[0].text, parts[0].len, chat, "s2a-", header, &ask, &q, &err);
    if (status == S2A_OK && q.wanted && !chat_may_ask(parts[0].text, parts[0].len, "s2a-", header))
        abort();
    if (status == S2A_OK) {
        check_left(&q);
        check_protect(q.ask.protect);
        check_targets(&q, &parts[1]);
        check_left(&q);
    } else {
        if ((status != S2A_INPUT && status != S2A_LIMIT) || !err.message[0] ||
            strpbrk(err.message, "\r\n"))
            abort();
    }
    chat_free(&q);
    return 0;
}
