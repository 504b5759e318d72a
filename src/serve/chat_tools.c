#include "serve/chat_tools.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "serve/json_keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A conversation that is being built. The first fault is reported. */
typedef struct talk {
    const chat_request *q;
    json_t *list;
    size_t index; /* of the client's message or item */
    s2a_status status;
    s2a_error *err;
} talk;

static void fault(talk *t, const char *where, const char *what)
{
    if (t->status == S2A_OK)
        t->status = error_set(t->err, S2A_INPUT, "%s[%zu]%s: %s", chat_list_name(t->q->api),
                              t->index, where, what);
}

static void no_memory(talk *t)
{
    if (t->status == S2A_OK)
        t->status = error_nomem(t->err);
}

/* ---- texts ------------------------------------------------------------------------------ */

/* All text of a content, each part on a new line. skip: a type of parts that are read elsewhere;
 * NULL = none. Other parts that are not text are faults. */
static json_t *text_of(talk *t, const json_t *content, const char *where, const char *skip)
{
    if (json_is_string(content))
        return json_incref((json_t *)content);
    if (content && !json_is_array(content) && !json_is_null(content)) {
        fault(t, where, "must be a string or an array of text parts");
        return NULL;
    }
    buf text;
    size_t count = 0;
    buf_init(&text, LIMIT_NONE);
    buf_add(&text, "", 0);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i), *said = json_object_get(part, "text");
        if (skip && chat_is(part, skip))
            continue;
        if (!chat_part_is_text(part)) {
            char place[64];
            snprintf(place, sizeof place, "%s[%zu]", where, i);
            fault(t, place, "the embedded model reads parts of type text only");
            continue;
        }
        if (count++ > 0)
            buf_adds(&text, "\n");
        buf_add(&text, json_string_value(said), json_string_length(said));
    }
    json_t *value = text.status == S2A_OK ? json_stringn(text.data, text.len) : NULL;
    buf_free(&text);
    if (!value)
        no_memory(t);
    return value;
}

/* Takes ownership of content. Returns the message, borrowed from the list; NULL on failure. */
static json_t *message_add(talk *t, const char *role, json_t *content)
{
    json_t *message = content ? json_pack("{s:s, s:o}", "role", role, "content", content) : NULL;
    if (!message || json_array_append_new(t->list, message) != 0) {
        no_memory(t);
        return NULL;
    }
    return message;
}

static void member_set(talk *t, json_t *message, const char *key, json_t *value)
{
    if (message && json_object_set_new(message, key, value) != 0)
        no_memory(t);
    else if (!message)
        json_decref(value);
}

/* ---- calls ------------------------------------------------------------------------------ */

/* Adds a call to the assistant's message. arguments is JSON as a text; takes ownership. */
static void call_add(talk *t, json_t *message, const json_t *id, const json_t *name,
                     json_t *arguments)
{
    json_t *calls = json_object_get(message, "tool_calls");
    if (!json_is_string(name) || !json_is_string(arguments))
        fault(t, "", "a tool call needs a name, and arguments as a JSON text");
    if (t->status != S2A_OK || !message) {
        json_decref(arguments);
        return;
    }
    if (!calls) {
        calls = json_array();
        member_set(t, message, "tool_calls", calls);
        calls = json_object_get(message, "tool_calls");
    }
    json_t *call = json_pack("{s:s, s:{s:O, s:o}}", "type", "function", "function", "name", name,
                             "arguments", arguments);
    if (call && json_is_string(id))
        member_set(t, call, "id", json_incref((json_t *)id));
    if (!call || json_array_append_new(calls, call) != 0)
        no_memory(t);
}

/* The assistant's message to which a call belongs: the last one, or a new one. */
static json_t *caller(talk *t)
{
    json_t *last = json_array_get(t->list, json_array_size(t->list) - 1);
    if (json_array_size(t->list) > 0 && !strcmp(chat_string(last, "role"), "assistant"))
        return last;
    return message_add(t, "assistant", json_string(""));
}

static void result_add(talk *t, json_t *content, const json_t *id)
{
    json_t *message = message_add(t, "tool", content);
    if (json_is_string(id))
        member_set(t, message, "tool_call_id", json_incref((json_t *)id));
}

/* ---- one message of each API ------------------------------------------------------------ */

static void chat_add(talk *t, const json_t *from)
{
    const char *role = chat_string(from, "role");
    const json_t *calls = json_object_get(from, "tool_calls");
    const json_t *content = json_object_get(from, "content");
    bool tool = !strcmp(role, "tool") || !strcmp(role, "function");
    if ((!content || json_is_null(content)) && strcmp(role, "assistant") != 0)
        fault(t, ".content", "must be a string or an array of text parts");
    json_t *text = text_of(t, content, ".content", NULL);
    if (tool) {
        result_add(t, text, json_object_get(from, "tool_call_id"));
        json_t *name = json_object_get(from, "name");
        if (json_is_string(name) && json_array_size(t->list) > 0)
            member_set(t, json_array_get(t->list, json_array_size(t->list) - 1), "name",
                       json_incref(name));
        return;
    }
    json_t *message = message_add(t, role, text);
    if (calls && !json_is_null(calls) && !json_is_array(calls))
        fault(t, ".tool_calls", "must be an array");
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *call = json_array_get(calls, i), *f = json_object_get(call, "function");
        json_t *arguments = json_object_get(f, "arguments");
        call_add(t, message, json_object_get(call, "id"), json_object_get(f, "name"),
                 arguments ? json_incref(arguments) : json_null());
    }
}

/* Adds results of tools before the text of the same message, as chat_messages does. */
static void anthropic_add(talk *t, const json_t *from)
{
    const json_t *content = json_object_get(from, "content");
    const char *role = chat_string(from, "role");
    bool assistant = !strcmp(role, "assistant");
    size_t results = 0, texts = json_array_size(content);
    for (size_t i = 0; !assistant && i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        if (!chat_is(part, "tool_result"))
            continue;
        results++;
        result_add(t, text_of(t, json_object_get(part, "content"), ".content[].content", NULL),
                   json_object_get(part, "tool_use_id"));
    }
    if (!content || json_is_null(content))
        fault(t, ".content", "must be a string or an array of text parts");
    if (results > 0 && results == texts)
        return;
    json_t *text = text_of(t, content, ".content", assistant ? "tool_use" : "tool_result");
    json_t *message = message_add(t, role, text);
    for (size_t i = 0; assistant && i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        size_t len = 0;
        if (!chat_is(part, "tool_use"))
            continue;
        json_t *input = json_object_get(part, "input");
        char *json =
            json_is_object(input) ? json_keep_dump(input, t->q->kept, t->q->cancel, &len) : NULL;
        call_add(t, message, json_object_get(part, "id"), json_object_get(part, "name"),
                 json ? json_stringn(json, len) : json_null());
        free(json);
    }
}

static void item_add(talk *t, const json_t *from)
{
    const char *type = chat_string(from, "type");
    if (!*type || !strcmp(type, "message")) {
        const json_t *content = json_object_get(from, "content");
        if (!content || json_is_null(content))
            fault(t, ".content", "must be a string or an array of text parts");
        message_add(t, chat_string(from, "role"), text_of(t, content, ".content", NULL));
    } else if (!strcmp(type, "function_call")) {
        json_t *arguments = json_object_get(from, "arguments");
        call_add(t, caller(t), json_object_get(from, "call_id"), json_object_get(from, "name"),
                 arguments ? json_incref(arguments) : json_null());
    } else if (!strcmp(type, "function_call_output")) {
        result_add(t, text_of(t, json_object_get(from, "output"), ".output", NULL),
                   json_object_get(from, "call_id"));
    } else {
        fault(t, "",
              "the embedded model reads items of type message, function_call and "
              "function_call_output");
    }
}

s2a_status chat_conversation(const chat_request *q, json_t **out, s2a_error *err)
{
    static void (*const adders[])(talk *, const json_t *) = { [CHAT_API_CHAT] = chat_add,
                                                              [CHAT_API_RESPONSES] = item_add,
                                                              [CHAT_API_MESSAGES] = anthropic_add };
    talk t = { .q = q, .list = json_array(), .err = err };
    const char *system = q->api == CHAT_API_RESPONSES ? "instructions" : "system";
    const json_t *list = json_object_get(q->root, chat_list_name(q->api));
    const json_t *first = q->api == CHAT_API_CHAT ? NULL : json_object_get(q->root, system);
    *out = NULL;
    if (!t.list)
        return error_nomem(err);
    if (first && !json_is_null(first))
        message_add(&t, "system", text_of(&t, first, "", NULL));
    if (json_is_string(list))
        message_add(&t, "user", json_incref((json_t *)list));
    for (size_t i = 0; i < json_array_size(list) && t.status == S2A_OK; i++) {
        const json_t *element = json_array_get(list, i);
        const char *type = q->api == CHAT_API_RESPONSES ? chat_string(element, "type") : "";
        t.index = i;
        if ((!*type || !strcmp(type, "message")) && !*chat_string(element, "role"))
            fault(&t, "", "must be an object with a role");
        else
            adders[q->api](&t, element);
    }
    if (t.status == S2A_OK)
        *out = t.list;
    else
        json_decref(t.list);
    return t.status;
}

/* ---- tools and the answer's format ------------------------------------------------------ */

/* Converts a tool whose members are beside its type, or that has no type. */
static json_t *tool_flat(const json_t *tool, const char *parameters)
{
    static const char *const keys[] = { "name", "description" };
    json_t *function = json_object(), *schema = json_object_get(tool, parameters);
    bool ok = function != NULL;
    for (size_t i = 0; ok && i < 2; i++) {
        json_t *value = json_object_get(tool, keys[i]);
        ok = !value || json_is_null(value) || json_object_set(function, keys[i], value) == 0;
    }
    if (ok && json_is_object(schema))
        ok = json_object_set(function, "parameters", schema) == 0;
    json_t *out = ok ? json_pack("{s:s, s:O}", "type", "function", "function", function) : NULL;
    json_decref(function);
    return out;
}

/* NULL: no tools, or a failure in *status. */
static json_t *tools_read(const chat_request *q, s2a_status *status, s2a_error *err)
{
    json_t *tools = json_object_get(q->root, "tools");
    if (!tools || json_is_null(tools) || (json_is_array(tools) && json_array_size(tools) == 0))
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(tools) && *status == S2A_OK; i++) {
        json_t *tool = json_array_get(tools, i);
        bool chat = q->api == CHAT_API_CHAT, anthropic = q->api == CHAT_API_MESSAGES;
        const char *type = chat_string(tool, "type");
        bool good = anthropic ? !*type || !strcmp(type, "custom") : !strcmp(type, "function");
        if (!good)
            *status =
                error_set(err, S2A_INPUT, "tools[%zu]: the embedded model calls functions only", i);
        else if (json_array_append_new(
                     list, chat ? json_incref(tool)
                                : tool_flat(tool, anthropic ? "input_schema" : "parameters")) != 0)
            *status = error_nomem(err);
    }
    if (*status == S2A_OK && !json_is_array(tools))
        *status = error_set(err, S2A_INPUT, "tools: must be an array");
    if (*status == S2A_OK && list)
        return list;
    json_decref(list);
    *status = *status == S2A_OK ? error_nomem(err) : *status;
    return NULL;
}

/* tool_choice in the form of chat completions; the caller owns the reference. */
static json_t *choice_read(const chat_request *q)
{
    json_t *choice = json_object_get(q->root, "tool_choice");
    const char *type = chat_string(choice, "type");
    if (q->api == CHAT_API_CHAT || !json_is_object(choice))
        return json_incref(choice);
    if (!strcmp(type, "any"))
        return json_string("required");
    if (!strcmp(type, "auto") || !strcmp(type, "none"))
        return json_string(type);
    return json_pack("{s:s, s:{s:s}}", "type", "function", "function", "name",
                     chat_string(choice, "name"));
}

/* response_format in the form of chat completions; NULL = plain text. The caller owns the
 * reference. */
static json_t *format_read(const chat_request *q)
{
    bool responses = q->api == CHAT_API_RESPONSES;
    json_t *format = responses ? json_object_get(json_object_get(q->root, "text"), "format")
                               : json_object_get(q->root, "response_format");
    if (!format || json_is_null(format) || chat_is(format, "text") || q->api == CHAT_API_MESSAGES)
        return NULL;
    if (responses && chat_is(format, "json_schema"))
        return json_pack("{s:s, s:O}", "type", "json_schema", "json_schema", format);
    return json_incref(format);
}

static bool set(json_t *root, const char *key, json_t *value)
{
    return !value || json_object_set_new(root, key, value) == 0;
}

s2a_status chat_options(const chat_request *q, json_t **out, s2a_error *err)
{
    s2a_status status = S2A_OK;
    const json_t *one =
        json_object_get(json_object_get(q->root, "tool_choice"), "disable_parallel_tool_use");
    json_t *parallel = json_object_get(q->root, "parallel_tool_calls");
    *out = NULL;
    if (q->api == CHAT_API_COMPLETIONS)
        return S2A_OK;
    json_t *tools = tools_read(q, &status, err), *format = format_read(q);
    if (status != S2A_OK || (!tools && !format)) {
        json_decref(format);
        return status;
    }
    json_t *root = json_object();
    bool ok = root && (!tools || set(root, "tool_choice", choice_read(q)));
    if (ok && json_is_boolean(parallel))
        ok = set(root, "parallel_tool_calls", json_incref(parallel));
    if (ok && json_is_true(one))
        ok = set(root, "parallel_tool_calls", json_false());
    ok = set(root, "tools", tools) && ok;
    ok = set(root, "response_format", format) && ok;
    if (ok) {
        *out = root;
        return S2A_OK;
    }
    json_decref(root);
    return error_nomem(err);
}
