/* Tools, calls of tools and the form of an answer, from a body of any API to what the embedded
 * engine's template gets: refused by one line, or read; then no text of a special token is left in
 * it. The first byte chooses the API; after 0xFF comes a schema's pattern. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/llama/chat_fields.h"
#include "backend/llama/pattern_cost.h"
#include "parts.h"
#include "serve/chat_tools.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const chat_piece specials[] = { { "<|im_start|>", 12 }, { "<|im_end|>", 10 }, { "<s>", 3 } };
#define SPECIALS (sizeof specials / sizeof specials[0])

static void check_status(s2a_status status, const s2a_error *err)
{
    if (status != S2A_OK && ((status != S2A_INPUT && status != S2A_LIMIT) || !err->message[0] ||
                             strpbrk(err->message, "\r\n")))
        abort();
}

static void check_text(const char *text, size_t len)
{
    for (size_t i = 0; i < SPECIALS; i++)
        if (memmem(text, len, specials[i].text, specials[i].len))
            abort();
}

/* No member's name and no text has a special token's. */
static void check_hidden(const json_t *value)
{
    const char *key;
    json_t *member;
    if (json_is_string(value))
        check_text(json_string_value(value), json_string_length(value));
    for (size_t i = 0; i < json_array_size(value); i++)
        check_hidden(json_array_get(value, i));
    json_object_foreach((json_t *)value, key, member)
    {
        check_text(key, strlen(key));
        check_hidden(member);
    }
}

/* What stands beside the texts of the messages, a text of JSON each; NULL = nothing. */
static char *fields_of(json_t *message)
{
    if (!json_is_string(json_object_get(message, "content")) ||
        !json_is_string(json_object_get(message, "role")))
        abort();
    json_object_del(message, "content");
    json_object_del(message, "role");
    return json_object_size(message) > 0 ? json_dumps(message, 0) : NULL;
}

static void check_read(const char *chat, const char *const *of, size_t count)
{
    chat_fields f;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = chat_fields_read(&f, chat, of, count, &err);
    check_status(status, &err);
    if (status == S2A_OK && chat_fields_hide(&f, specials, SPECIALS) != S2A_OK)
        abort();
    if (status == S2A_OK)
        check_hidden(f.hidden_tools);
    for (size_t i = 0; status == S2A_OK && f.hidden_of && i < count; i++)
        check_hidden(f.hidden_of[i]);
    chat_fields_free(&f);
}

static void check_chat(const chat_request *q)
{
    s2a_error err = { .status = S2A_OK };
    json_t *talk = NULL, *options = NULL;
    s2a_status status = chat_conversation(q, &talk, &err);
    check_status(status, &err);
    if (status == S2A_OK)
        check_status(status = chat_options(q, &options, &err), &err);
    size_t count = json_array_size(talk);
    char *chat = options ? json_dumps(options, 0) : NULL;
    char **of = calloc(count + 1, sizeof *of);
    if (!of)
        abort();
    for (size_t i = 0; i < count; i++)
        of[i] = fields_of(json_array_get(talk, i));
    if (status == S2A_OK)
        check_read(chat, (const char *const *)of, count);
    for (size_t i = 0; i < count; i++)
        free(of[i]);
    free(of);
    free(chat);
    json_decref(talk);
    json_decref(options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const chat_api apis[] = { CHAT_API_CHAT, CHAT_API_RESPONSES, CHAT_API_MESSAGES };
    if (size == 0)
        return 0;
    part parts[2];
    parts_split(data + 1, size - 1, parts, 2);
    char *pattern = strndup(parts[1].text, parts[1].len);
    if (!pattern || pattern_cost(pattern) == 0)
        abort();
    free(pattern);
    chat_ask ask = { .mode = S2A_MODE_DEFAULT };
    chat_request q;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = chat_parse(parts[0].text, parts[0].len, apis[data[0] % 3], "s2a-", NULL,
                                   &ask, NULL, &q, &err);
    if (status == S2A_OK)
        check_status(status = chat_messages(&q, &err), &err);
    if (status == S2A_OK)
        check_chat(&q);
    chat_free(&q);
    return 0;
}
