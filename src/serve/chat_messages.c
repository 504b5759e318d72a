/* Finds the messages in the requests of each API. */
#include "serve/chat.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

json_t *chat_content(const chat_message *message)
{
    json_t *content = json_object_get(message->holder, message->key);
    /* /v1/completions: a list of one prompt */
    if (json_array_size(content) == 1 && json_is_string(json_array_get(content, 0)))
        content = json_array_get(content, 0);
    return json_is_string(content) || json_is_array(content) ? content : NULL;
}

const char *chat_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

bool chat_is(const json_t *object, const char *type)
{
    return !strcmp(chat_string(object, "type"), type);
}

bool chat_part_is_text(const json_t *part)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    return type && json_is_string(json_object_get(part, "text")) &&
           (!strcmp(type, "text") || !strcmp(type, "input_text") || !strcmp(type, "output_text"));
}

const char *chat_list_name(chat_api api)
{
    return api == CHAT_API_COMPLETIONS ? "prompt"
           : api == CHAT_API_RESPONSES ? "input"
                                       : "messages";
}

/* room_for has made room. */
static void add(chat_request *q, const char *role, json_t *holder, const char *key, size_t index)
{
    q->messages[q->message_count++] =
        (chat_message){ .role = role, .holder = holder, .key = key, .index = index };
}

/* ---- one message of each API ------------------------------------------------------------ */

static void chat_add(chat_request *q, json_t *message, size_t index)
{
    const char *role = chat_string(message, "role");
    add(q, !strcmp(role, "function") ? "tool" : role, message, "content", index);
}

/* Results of tools are parts of a user's message, before its text. */
static void anthropic_add(chat_request *q, json_t *message, size_t index)
{
    const json_t *content = json_object_get(message, "content");
    size_t before = q->message_count;
    for (size_t i = 0; i < json_array_size(content); i++) {
        json_t *part = json_array_get(content, i);
        if (chat_is(part, "tool_result"))
            add(q, "tool", part, "content", index);
    }
    bool beside = q->message_count > before;
    add(q, chat_string(message, "role"), message, "content", index);
    q->messages[q->message_count - 1].beside = beside;
}

static void item_add(chat_request *q, json_t *item, size_t index)
{
    static const char suffix[] = "_call_output";
    const char *type = chat_string(item, "type");
    size_t len = strlen(type), n = sizeof suffix - 1;
    if (!*type || !strcmp(type, "message"))
        add(q, chat_string(item, "role"), item, "content", index);
    else if ((len > n && !strcmp(type + len - n, suffix)) || !strcmp(type, "mcp_call"))
        add(q, "tool", item, "output", index);
}

/* ---- all messages ----------------------------------------------------------------------- */

/* Makes room for one message per element and per part, and two more. */
static s2a_status room_for(chat_request *q, const json_t *list, s2a_error *err)
{
    size_t count = json_array_size(list) + 2;
    for (size_t i = 0; i < json_array_size(list); i++)
        count += json_array_size(json_object_get(json_array_get(list, i), "content"));
    q->messages = calloc(count, sizeof *q->messages);
    return q->messages ? S2A_OK : error_nomem(err);
}

static s2a_status list_read(chat_request *q, json_t *list, s2a_error *err)
{
    static void (*const adders[])(chat_request *, json_t *, size_t) = {
        [CHAT_API_CHAT] = chat_add,
        [CHAT_API_RESPONSES] = item_add,
        [CHAT_API_MESSAGES] = anthropic_add,
    };
    const char *name = chat_list_name(q->api);
    if (!json_is_array(list))
        return error_set(err, S2A_INPUT, "%s: must be an array", name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *element = json_array_get(list, i);
        if (!json_is_object(element))
            return error_set(err, S2A_INPUT, "%s[%zu]: must be an object", name, i);
        adders[q->api](q, element, i);
    }
    return S2A_OK;
}

s2a_status chat_messages(chat_request *q, s2a_error *err)
{
    json_t *list = json_object_get(q->root, chat_list_name(q->api));
    if (q->messages)
        return S2A_OK;
    s2a_status status = room_for(q, list, err);
    if (status != S2A_OK)
        return status;
    if (q->api == CHAT_API_COMPLETIONS) {
        /* A list of several prompts, or of tokens, cannot be judged. */
        bool one = json_is_string(list) ||
                   (json_array_size(list) == 1 && json_is_string(json_array_get(list, 0)));
        if (one)
            add(q, "user", q->root, "prompt", 0);
        return S2A_OK;
    }
    const char *system = q->api == CHAT_API_RESPONSES  ? "instructions"
                         : q->api == CHAT_API_MESSAGES ? "system"
                                                       : NULL;
    if (system && json_object_get(q->root, system))
        add(q, "system", q->root, system, 0);
    if (q->api == CHAT_API_RESPONSES && json_is_string(list)) {
        add(q, "user", q->root, "input", 0);
        return S2A_OK;
    }
    return list_read(q, list, err);
}
