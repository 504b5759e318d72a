#include "backend/llama/chat_fields.h"

#include "backend/llama/chat_template.h"
#include "backend/llama/pattern_cost.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- schemas that are too large ---------------------------------------------------------------
 *
 * llama.cpp's grammars are quick for schemas that people write. With a large schema each token
 * takes seconds or minutes, which nothing can interrupt, and thousands of optional members overflow
 * the stack. */

typedef struct size_of {
    size_t values, bytes;
    const char *pattern; /* the first one that costs too much; NULL = none */
} size_of;

static void size_add(const json_t *value, size_of *size)
{
    const char *key;
    json_t *member;
    size->values++;
    size->bytes += json_string_length(value);
    for (size_t i = 0; i < json_array_size(value); i++)
        size_add(json_array_get(value, i), size);
    json_object_foreach((json_t *)value, key, member)
    {
        const char *pattern = !strcmp(key, "pattern") ? json_string_value(member) : NULL;
        if (pattern && !size->pattern && pattern_cost(pattern) > LIMIT_PATTERN_COST)
            size->pattern = pattern;
        size->bytes += strlen(key);
        size_add(member, size);
    }
}

/* what: the schema's name in messages. schema may be NULL. Adds the number of its values to
 * *sum. */
static s2a_status schema_check(const char *what, const json_t *schema, size_t *sum, s2a_error *err)
{
    size_of size = { .values = 0 };
    if (schema)
        size_add(schema, &size);
    *sum += size.values;
    if (size.pattern)
        return error_set(err, S2A_INPUT,
                         "%s: pattern: \"%.*s\": its nested repetitions multiply to more than "
                         "%d; write a simpler pattern",
                         what, (int)utf8_cut(size.pattern, 80), size.pattern, LIMIT_PATTERN_COST);
    if (size.values > LIMIT_SCHEMA_VALUES || size.bytes > LIMIT_SCHEMA_BYTES)
        return error_set(err, S2A_INPUT,
                         "%s: the schema has %zu values and %zu bytes of text; the limits are %d "
                         "and %zu",
                         what, size.values, size.bytes, LIMIT_SCHEMA_VALUES, LIMIT_SCHEMA_BYTES);
    return S2A_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *name_of(const json_t *tool)
{
    return string_of(json_object_get(tool, "function"), "name");
}

/* OpenAI's rule for names. A template may write a name between markers. */
static bool name_good(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t len = strlen(name);
    return len > 0 && len <= LIMIT_TOOL_NAME_BYTES && strspn(name, letters) == len;
}

static s2a_status tools_read(chat_fields *f, const json_t *root, s2a_error *err)
{
    size_t sum = 0;
    char what[64];
    json_t *tools = json_object_get(root, "tools");
    if (!tools || json_is_null(tools) || (json_is_array(tools) && json_array_size(tools) == 0))
        return S2A_OK;
    if (!json_is_array(tools))
        return error_set(err, S2A_INPUT, "tools: must be an array");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        if (strcmp(string_of(tool, "type"), "function") != 0)
            return error_set(err, S2A_INPUT, "tools[%zu]: only type function is supported", i);
        if (!name_good(name_of(tool)))
            return error_set(
                err, S2A_INPUT,
                "tools[%zu].function.name: must be 1 to %d of a-z, A-Z, 0-9, _, - and .", i,
                LIMIT_TOOL_NAME_BYTES);
        snprintf(what, sizeof what, "tools[%zu].function.parameters", i);
        const json_t *schema = json_object_get(json_object_get(tool, "function"), "parameters");
        s2a_status status = schema_check(what, schema, &sum, err);
        if (status != S2A_OK)
            return status;
        if (sum > LIMIT_TOOLS_VALUES)
            return error_set(err, S2A_INPUT, "tools: their schemas have more than %d values",
                             LIMIT_TOOLS_VALUES);
    }
    f->tools = json_incref(tools);
    return S2A_OK;
}

/* Keeps only the named tool, which must be called. */
static s2a_status tool_named(chat_fields *f, const char *name, s2a_error *err)
{
    for (size_t i = 0; i < json_array_size(f->tools); i++) {
        json_t *tool = json_array_get(f->tools, i);
        if (strcmp(name_of(tool), name) != 0)
            continue;
        json_t *one = json_pack("[O]", tool);
        json_decref(f->tools);
        f->tools = one;
        f->choice = "required";
        return one ? S2A_OK : error_nomem(err);
    }
    return error_set(err, S2A_INPUT, "tool_choice: there is no tool \"%.60s\"", name);
}

static s2a_status choice_read(chat_fields *f, const json_t *root, s2a_error *err)
{
    static const char *const names[] = { "auto", "required", "none" };
    const json_t *value = json_object_get(root, "tool_choice");
    const char *text = json_string_value(value);
    f->choice = "auto";
    if (!value || json_is_null(value))
        return S2A_OK;
    for (size_t i = 0; text && i < 3; i++) {
        if (!strcmp(text, names[i])) {
            f->choice = names[i];
            return f->tools || i != 1
                       ? S2A_OK
                       : error_set(err, S2A_INPUT, "tool_choice: required, but there are no tools");
        }
    }
    if (json_is_object(value) && !strcmp(string_of(value, "type"), "function"))
        return tool_named(f, name_of(value), err);
    return error_set(
        err, S2A_INPUT,
        "tool_choice: must be none, auto, required, or an object that names a function");
}

static s2a_status format_read(chat_fields *f, const json_t *root, s2a_error *err)
{
    const json_t *format = json_object_get(root, "response_format");
    const char *type = string_of(format, "type");
    if (!format || json_is_null(format) || !strcmp(type, "text"))
        return S2A_OK;
    const json_t *schema = NULL;
    json_t *any = json_pack("{s:s}", "type", "object");
    s2a_status status = any ? S2A_OK : error_nomem(err);
    if (!strcmp(type, "json_object"))
        schema = json_object_get(format, "schema") ? json_object_get(format, "schema") : any;
    else if (!strcmp(type, "json_schema"))
        schema = json_object_get(json_object_get(format, "json_schema"), "schema");
    else if (status == S2A_OK)
        status = error_set(err, S2A_INPUT,
                           "response_format.type: must be text, json_object or json_schema");
    if (status == S2A_OK && !json_is_object(schema))
        status = error_set(err, S2A_INPUT, "response_format.json_schema.schema: must be an object");
    if (status == S2A_OK && f->tools && strcmp(f->choice, "none") != 0)
        status = error_set(err, S2A_INPUT,
                           "response_format: cannot be combined with tools; remove one of them");
    size_t values = 0;
    if (status == S2A_OK)
        status = schema_check("response_format", schema, &values, err);
    if (status == S2A_OK) {
        f->schema = json_dumps(schema, JSON_COMPACT);
        status = f->schema ? S2A_OK : error_nomem(err);
    }
    json_decref(any);
    return status;
}

static s2a_status chat_read(chat_fields *f, const char *chat, s2a_error *err)
{
    json_t *root = json_loads(chat, JSON_ALLOW_NUL, NULL);
    const json_t *parallel = json_object_get(root, "parallel_tool_calls");
    s2a_status status =
        json_is_object(root) ? S2A_OK : error_set(err, S2A_INPUT, "chat fields: not a JSON object");
    if (json_is_boolean(parallel))
        f->parallel = json_is_true(parallel);
    if (status == S2A_OK)
        status = tools_read(f, root, err);
    if (status == S2A_OK)
        status = choice_read(f, root, err);
    if (status == S2A_OK)
        status = format_read(f, root, err);
    json_decref(root);
    return status;
}

s2a_status chat_fields_read(chat_fields *f, const char *chat, const char *const *of, size_t count,
                            s2a_error *err)
{
    *f = (chat_fields){ .count = count, .choice = "auto", .parallel = -1 };
    f->of = calloc(count + 1, sizeof *f->of);
    f->hidden_of = calloc(count + 1, sizeof *f->hidden_of);
    if (!f->of || !f->hidden_of)
        return error_nomem(err);
    for (size_t i = 0; of && i < count; i++) {
        if (!of[i])
            continue;
        f->of[i] = json_loads(of[i], JSON_ALLOW_NUL, NULL);
        f->any = true;
        if (!json_is_object(f->of[i]))
            return error_set(err, S2A_INPUT, "the fields of message %zu: not a JSON object", i);
    }
    return chat ? chat_read(f, chat, err) : S2A_OK;
}

void chat_fields_free(chat_fields *f)
{
    for (size_t i = 0; i < f->count; i++) {
        json_decref(f->of ? f->of[i] : NULL);
        json_decref(f->hidden_of ? f->hidden_of[i] : NULL);
    }
    free(f->of);
    free(f->hidden_of);
    json_decref(f->tools);
    json_decref(f->hidden_tools);
    free(f->schema);
    for (size_t i = 0; i < f->piece_count; i++)
        free(f->pieces[i].text);
    free(f->pieces);
    *f = (chat_fields){ .count = 0 };
}

/* ---- hiding special tokens ------------------------------------------------------------------ */

typedef struct hider {
    chat_fields *f;
    const chat_piece *specials;
    size_t count;
    bool first[256]; /* the first bytes of all specials */
} hider;

/* The number of bytes to hide at text: the longest special that begins there, whole or cut off by
 * the end of the text. The beginning of a placeholder is one of the specials. */
static size_t hidden_len(const hider *h, const char *text, size_t len)
{
    size_t most = 0;
    if (!h->first[(unsigned char)*text])
        return 0;
    for (size_t i = 0; i < h->count; i++) {
        size_t n = h->specials[i].len < len ? h->specials[i].len : len;
        if (n > most && memcmp(text, h->specials[i].text, n) == 0)
            most = n;
    }
    return most;
}

static bool piece_add(hider *h, buf *out, const char *text, size_t len)
{
    chat_fields *f = h->f;
    if (!array_reserve((void **)&f->pieces, &f->piece_cap, f->piece_count + 1, sizeof *f->pieces))
        return false;
    char *copy = bytes_dup(text, len);
    if (!copy)
        return false;
    chat_template_stand_in_bare(out, f->count + f->piece_count);
    f->pieces[f->piece_count++] = (chat_piece){ copy, len };
    return true;
}

/* NULL when out of memory. */
static char *text_hide(hider *h, const char *text, size_t len, size_t *out_len)
{
    buf out;
    bool ok = true;
    buf_init(&out, LIMIT_NONE);
    buf_add(&out, "", 0);
    for (size_t at = 0; ok && at < len;) {
        size_t n = hidden_len(h, text + at, len - at);
        if (n > 0)
            ok = piece_add(h, &out, text + at, n);
        else
            buf_add(&out, text + at, 1);
        at += n > 0 ? n : 1;
    }
    char *hidden = ok ? buf_take(&out, out_len) : NULL;
    buf_free(&out);
    return hidden;
}

static json_t *hide(hider *h, json_t *value);

static json_t *object_hide(hider *h, json_t *object)
{
    json_t *out = json_object(), *value;
    const char *key;
    bool ok = out != NULL;
    json_object_foreach(object, key, value)
    {
        size_t len = 0;
        char *name = ok ? text_hide(h, key, strlen(key), &len) : NULL;
        ok = name && json_object_set_new(out, name, hide(h, value)) == 0;
        free(name);
    }
    if (ok)
        return out;
    json_decref(out);
    return NULL;
}

/* A copy with placeholders; NULL when out of memory. */
static json_t *hide(hider *h, json_t *value)
{
    if (json_is_object(value))
        return object_hide(h, value);
    if (json_is_string(value)) {
        size_t len = 0;
        char *text = text_hide(h, json_string_value(value), json_string_length(value), &len);
        json_t *out = text ? json_stringn(text, len) : NULL;
        free(text);
        return out;
    }
    if (!json_is_array(value))
        return json_incref(value);
    json_t *out = json_array();
    for (size_t i = 0; out && i < json_array_size(value); i++) {
        if (json_array_append_new(out, hide(h, json_array_get(value, i))) != 0) {
            json_decref(out);
            out = NULL;
        }
    }
    return out;
}

s2a_status chat_fields_hide(chat_fields *f, const chat_piece *specials, size_t special_count)
{
    hider h = { .f = f, .specials = specials, .count = special_count };
    for (size_t i = 0; i < special_count; i++)
        h.first[(unsigned char)specials[i].text[0]] = true;
    if (f->tools && !(f->hidden_tools = hide(&h, f->tools)))
        return S2A_NOMEM;
    for (size_t i = 0; i < f->count; i++)
        if (f->of[i] && !(f->hidden_of[i] = hide(&h, f->of[i])))
            return S2A_NOMEM;
    return S2A_OK;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* The message's role and content replace those in its fields. */
static json_t *message_json(const backend_message *message, json_t *fields)
{
    json_t *root = fields ? json_copy(fields) : json_object();
    json_t *content = json_stringn(message->len > 0 ? message->content : "", message->len);
    bool ok = root && content && json_object_set(root, "content", content) == 0 &&
              json_object_set_new(root, "role", json_string(message->role)) == 0;
    json_decref(content);
    if (ok)
        return root;
    json_decref(root);
    return NULL;
}

s2a_status chat_fields_messages(const chat_fields *f, const backend_message *messages, bool hidden,
                                char **out)
{
    json_t *list = json_array();
    *out = NULL;
    for (size_t i = 0; list && i < f->count; i++) {
        json_t *fields = hidden ? f->hidden_of[i] : f->of[i];
        if (json_array_append_new(list, message_json(&messages[i], fields)) != 0) {
            json_decref(list);
            return S2A_INPUT;
        }
    }
    *out = list ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return *out ? S2A_OK : S2A_NOMEM;
}
