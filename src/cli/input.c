#include "cli/input.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "cli/files.h"

#include <stdlib.h>
#include <string.h>

/* ---- JSON ------------------------------------------------------------------------------- */

json_t *input_parse_json(const char *what, const char *text, size_t len, s2a_error *err)
{
    size_t bom = files_bom(text, len);
    text += bom;
    len -= bom;
    size_t valid = utf8_valid_prefix(text, len);
    if (valid < len) {
        error_set_at(err, S2A_INPUT, bom + valid,
                     "%s: invalid UTF-8 at byte %zu; convert it to UTF-8", what, bom + valid);
        return NULL;
    }
    json_error_t fault;
    json_t *root = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &fault);
    if (root)
        return root;
    size_t position = fault.position >= 0 ? bom + (size_t)fault.position : S2A_NO_POSITION;
    if (json_error_code(&fault) == json_error_out_of_memory)
        error_nomem(err);
    else if (memchr(text, '\n', len))
        error_set_at(err, S2A_INPUT, position, "%s:%d:%d: not JSON: %s; correct it", what,
                     fault.line, fault.column, fault.text);
    else
        error_set_at(err, S2A_INPUT, position, "%s: not JSON: %s at column %d; correct it", what,
                     fault.text, fault.column);
    return NULL;
}

static s2a_status wrong(s2a_error *err, const char *what, const char *must)
{
    return error_set(err, S2A_INPUT, "%s %s", what, must);
}

/* A message's content as one text: a string, or parts of type text. */
static s2a_status content_join(const json_t *content, size_t index, buf *out, s2a_error *err)
{
    size_t count = json_array_size(content);
    for (size_t i = 0; i < count; i++) {
        const json_t *part = json_array_get(content, i);
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *text = json_object_get(part, "text");
        if (type && strcmp(type, "text") != 0)
            return error_set(err, S2A_INPUT,
                             "messages[%zu].content[%zu]: type \"%.*s\" is not supported; give "
                             "parts of type text",
                             index, i, (int)utf8_cut(type, 40), type);
        if (!type || !json_is_string(text))
            return error_set(err, S2A_INPUT,
                             "messages[%zu].content[%zu]: must be {\"type\":\"text\",\"text\":...}",
                             index, i);
        if (i > 0)
            buf_adds(out, "\n");
        buf_add(out, json_string_value(text), json_string_length(text));
    }
    buf_add(out, "", 0);
    if (out->status == S2A_LIMIT)
        return error_set(err, S2A_LIMIT, "messages[%zu]: more than %zu bytes; shorten it", index,
                         LIMIT_INPUT_BYTES);
    return out->status == S2A_OK ? S2A_OK : error_nomem(err);
}

static s2a_status message_add(const json_t *message, size_t index, s2a_request *request,
                              s2a_error *err)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    const json_t *content = json_object_get(message, "content");
    if (!role)
        return error_set(err, S2A_INPUT, "messages[%zu]: must be an object with a role", index);
    if (json_is_string(content))
        return s2a_request_add_message(request, role, json_string_value(content),
                                       json_string_length(content), err);
    if (!json_is_array(content))
        return error_set(err, S2A_INPUT,
                         "messages[%zu].content: must be a string or an array of text parts (tool "
                         "calls are not supported)",
                         index);
    buf joined;
    buf_init(&joined, LIMIT_INPUT_BYTES);
    s2a_status status = content_join(content, index, &joined, err);
    if (status == S2A_OK)
        status = s2a_request_add_message(request, role, joined.data, joined.len, err);
    buf_free(&joined);
    return status;
}

static s2a_status messages_add(const json_t *messages, s2a_request *request, s2a_error *err)
{
    if (!json_is_array(messages))
        return wrong(err, "messages", "must be an array of {\"role\":...,\"content\":...}");
    size_t count = json_array_size(messages);
    if (count == 0)
        return wrong(err, "messages", "is empty; add the user's message");
    /* Messages are added to earlier ones: setting a text drops those of the last line. */
    s2a_status status = s2a_request_set_text(request, "", 0, err);
    for (size_t i = 0; i < count && status == S2A_OK; i++)
        status = message_add(json_array_get(messages, i), i, request, err);
    if (status != S2A_OK)
        return status;
    const json_t *last = json_array_get(messages, count - 1);
    if (strcmp(json_string_value(json_object_get(last, "role")), "user") != 0)
        return wrong(err, "messages", "must end with the user's");
    return S2A_OK;
}

static s2a_status protect_add(const json_t *texts, s2a_request *request, s2a_error *err)
{
    s2a_status status = S2A_OK;
    if (texts && !json_is_array(texts))
        return wrong(err, "protect", "must be an array of texts");
    for (size_t i = 0; i < json_array_size(texts) && status == S2A_OK; i++) {
        const json_t *text = json_array_get(texts, i);
        if (json_string_length(text) == 0)
            return error_set(err, S2A_INPUT, "protect[%zu]: must be a text that is not empty", i);
        status = s2a_request_protect_text(request, json_string_value(text),
                                          json_string_length(text), err);
    }
    return status;
}

static s2a_status protect_lines_add(const json_t *ranges, s2a_request *request, s2a_error *err)
{
    s2a_status status = S2A_OK;
    if (ranges && !json_is_array(ranges))
        return wrong(err, "protect_lines", "must be an array of [first, last]");
    for (size_t i = 0; i < json_array_size(ranges) && status == S2A_OK; i++) {
        const json_t *range = json_array_get(ranges, i);
        /* 0 if it is not a whole number */
        json_int_t first = json_integer_value(json_array_get(range, 0));
        json_int_t last = json_integer_value(json_array_get(range, 1));
        if (json_array_size(range) != 2 || first < 1 || last < first)
            return error_set(err, S2A_INPUT,
                             "protect_lines[%zu]: must be [first, last], whole numbers from 1, the "
                             "first line first",
                             i);
        status = s2a_request_protect_lines(request, (size_t)first, (size_t)last, err);
    }
    return status;
}

s2a_status input_from_json(const json_t *line, s2a_request *request, s2a_error *err)
{
    if (!json_is_object(line))
        return wrong(err, "the line", "must be a JSON object");
    s2a_status status = protect_add(json_object_get(line, "protect"), request, err);
    if (status == S2A_OK)
        status = protect_lines_add(json_object_get(line, "protect_lines"), request, err);
    if (status != S2A_OK)
        return status;
    const json_t *text = json_object_get(line, "text");
    const json_t *context = json_object_get(line, "context");
    const json_t *question = json_object_get(line, "question");
    const json_t *messages = json_object_get(line, "messages");
    int forms = (text != NULL) + (context || question) + (messages != NULL);
    if (forms == 0)
        return wrong(err, "no prompt:", "give text, or context and question, or messages");
    if (forms > 1)
        return wrong(err,
                     "more than one prompt:", "give text, or context and question, or messages");
    if (messages)
        return messages_add(messages, request, err);
    if (text) {
        if (!json_is_string(text))
            return wrong(err, "text", "must be a string");
        return s2a_request_set_text(request, json_string_value(text), json_string_length(text),
                                    err);
    }
    if (!json_is_string(context) || !json_is_string(question))
        return wrong(err, "context and question", "must both be given, as strings");
    return s2a_request_set_parts(request, json_string_value(context), json_string_length(context),
                                 json_string_value(question), json_string_length(question), err);
}

/* ---- files ------------------------------------------------------------------------------ */

/* Checks UTF-8 here: the library's message would lack the file's name. */
s2a_status input_add_file(const char *path, buf *out, s2a_error *err)
{
    char *text = NULL;
    size_t len = 0;
    s2a_status status = files_read(path, LIMIT_INPUT_BYTES, &text, &len, err);
    size_t valid = status == S2A_OK ? utf8_valid_prefix(text, len) : 0;
    if (status == S2A_OK && valid < len)
        status = error_set_at(err, S2A_INPUT, valid,
                              "%s: invalid UTF-8 at byte %zu; convert the text to UTF-8",
                              files_name(path), valid);
    if (status == S2A_OK)
        buf_add(out, text, len);
    free(text);
    return status;
}

static s2a_status buf_check(const buf *b, const char *what, s2a_error *err)
{
    if (b->status == S2A_LIMIT)
        return error_set(err, S2A_LIMIT, "%s: more than the limit of %zu bytes; shorten it", what,
                         LIMIT_INPUT_BYTES);
    return b->status == S2A_OK ? S2A_OK : error_nomem(err);
}

static s2a_status parts_from_files(const options *o, s2a_request *request, s2a_error *err)
{
    if (ascii_blank(o->question, strlen(o->question)))
        return error_set(err, S2A_INPUT, "--question: it is empty; write the question");
    buf context;
    buf_init(&context, LIMIT_INPUT_BYTES);
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < o->context_count && status == S2A_OK; i++) {
        /* A blank line between two files, however the first one ends. */
        if (i > 0 && context.len > 0) {
            while (context.len > 0 &&
                   (context.data[context.len - 1] == '\n' || context.data[context.len - 1] == '\r'))
                context.len--;
            buf_adds(&context, "\n\n");
        }
        status = input_add_file(o->contexts[i], &context, err);
    }
    buf_add(&context, "", 0);
    if (status == S2A_OK)
        status = buf_check(&context, "context", err);
    if (status == S2A_OK)
        status = s2a_request_set_parts(request, context.data, context.len, o->question,
                                       strlen(o->question), err);
    buf_free(&context);
    return status;
}

static s2a_status messages_from_file(const char *path, s2a_request *request, s2a_error *err)
{
    char *text = NULL;
    size_t len = 0;
    s2a_status status = files_read(path, LIMIT_JSON_LINE_BYTES, &text, &len, err);
    if (status != S2A_OK)
        return status;
    json_t *messages = input_parse_json(files_name(path), text, len, err);
    free(text);
    if (!messages)
        return err->status;
    s2a_error fault = { .status = S2A_OK };
    status = messages_add(messages, request, &fault);
    json_decref(messages);
    if (status != S2A_OK)
        error_set(err, status, "%s: %s", files_name(path), fault.message);
    return status;
}

static s2a_status text_add(const options *o, s2a_request *request, s2a_error *err)
{
    buf text;
    buf_init(&text, LIMIT_INPUT_BYTES);
    s2a_status status = S2A_OK;
    if (!strcmp(o->text, "-"))
        status = input_add_file("-", &text, err);
    else
        buf_adds(&text, o->text);
    buf_add(&text, "", 0);
    if (status == S2A_OK)
        status = buf_check(&text, "prompt", err);
    /* Checked here, before a model is loaded for nothing. */
    if (status == S2A_OK && ascii_blank(text.data, text.len))
        status = error_set(err, S2A_INPUT, "%s: it is empty; write a question",
                           !strcmp(o->text, "-") ? "standard input" : "prompt");
    if (status == S2A_OK)
        status = s2a_request_set_text(request, text.data, text.len, err);
    buf_free(&text);
    return status;
}

s2a_status input_from_options(const options *o, s2a_request *request, s2a_error *err)
{
    if (o->messages)
        return messages_from_file(o->messages, request, err);
    if (o->context_count > 0)
        return parts_from_files(o, request, err);
    return text_add(o, request, err);
}
