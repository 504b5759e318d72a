#include "serve/chat.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/http_text.h"
#include "base/limits.h"
#include "serve/json_keep.h"

#include <stdlib.h>
#include <string.h>

s2a_status chat_shape(const char *text, size_t len, size_t most, s2a_error *err)
{
    size_t depth = 0, values = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '"') {
            for (i++; i < len && text[i] != '"'; i++)
                i += text[i] == '\\';
        } else if (c == '{' || c == '[') {
            values++;
            if (++depth > LIMIT_JSON_DEPTH)
                return error_set(err, S2A_LIMIT, "the body is nested deeper than %d",
                                 LIMIT_JSON_DEPTH);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        } else {
            values += c == ',';
        }
        if (values > most)
            return error_set(err, S2A_LIMIT, "the body has more than %zu values", most);
    }
    return S2A_OK;
}

json_t *chat_answer_parse(const char *data, size_t len)
{
    return chat_shape(data, len, SERVE_ANSWER_VALUES, NULL) == S2A_OK ? http_parse_json(data, len)
                                                                      : NULL;
}

/* Removes the prefix from the model's name. */
static bool prefix_strip(chat_request *q, const char *prefix)
{
    const char *model = json_string_value(json_object_get(q->root, "model"));
    size_t n = strlen(prefix);
    if (!model || strncmp(model, prefix, n) != 0)
        return true;
    q->prefixed = q->changed = true;
    json_t *name = json_string(model + n);
    return name && json_object_set_new(q->root, "model", name) == 0;
}

static s2a_status ask_read(chat_request *q, const char *prefix, const char *header, s2a_error *err)
{
    json_t *object = json_object_get(q->root, "s2a");
    bool off = header && !strcmp(header, "off");
    if (!prefix_strip(q, prefix))
        return error_nomem(err);
    q->wanted = !off && (q->prefixed || object || header);
    s2a_status status = chat_ask_read(object, off ? NULL : header, &q->ask, err);
    q->changed |= object != NULL;
    json_object_del(q->root, "s2a");
    return status == S2A_OK && q->wanted ? chat_ask_check(&q->ask, err) : status;
}

/* ---- texts to judge --------------------------------------------------------------------- */

static bool is_of_name(char c)
{
    return ascii_letter(c) || ascii_digit(c) || c == '_' || c == '-' || c == ':' || c == '.';
}

/* Whether the whole text of a part is one element: "<name ...>...</name>". */
static bool is_element(const json_t *part)
{
    const json_t *value = json_object_get(part, "text");
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    while (len > 0 && ascii_space(text[len - 1]))
        len--;
    while (len > 0 && ascii_space(*text))
        text++, len--;
    size_t name = 0;
    while (len > 1 + name && is_of_name(text[1 + name]))
        name++;
    return name > 0 && *text == '<' && len >= 2 * name + 5 && text[len - 1] == '>' &&
           !memcmp(text + len - name - 3, "</", 2) &&
           !memcmp(text + len - name - 1, text + 1, name);
}

/* Whether some text part is not an element. Clients put text that is not the user's, such as
 * reminders, into elements beside it: those are not judged and are kept. */
static bool has_words(const json_t *content)
{
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const json_t *text = json_object_get(part, "text");
        if (chat_part_is_text(part) && !is_element(part) &&
            !ascii_blank(json_string_value(text), json_string_length(text)))
            return true;
    }
    return false;
}

/* A string, or the text parts of a list, each on a new line; malloc'ed. elements: include elements
 * that are beside other text. S2A_LIMIT, S2A_NOMEM. */
static s2a_status text_of(const json_t *content, bool elements, char **text, size_t *len)
{
    bool apart = !elements && has_words(content);
    buf joined;
    buf_init(&joined, LIMIT_INPUT_BYTES);
    if (json_is_string(content))
        buf_add(&joined, json_string_value(content), json_string_length(content));
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i), *t = json_object_get(part, "text");
        if (!chat_part_is_text(part) || (apart && is_element(part)))
            continue;
        if (joined.len > 0)
            buf_adds(&joined, "\n");
        buf_add(&joined, json_string_value(t), json_string_length(t));
    }
    buf_add(&joined, "", 0);
    s2a_status status = joined.status;
    *text = status == S2A_OK ? buf_take(&joined, len) : NULL;
    buf_free(&joined);
    return status == S2A_OK && !*text ? S2A_NOMEM : status;
}

/* Adds a target with the text of part, or of content if part is NULL. */
static s2a_status target_add(chat_request *q, const chat_message *message, json_t *part,
                             const json_t *content, bool context, s2a_error *err)
{
    const char *name = chat_list_name(q->api);
    if (q->target_count == SERVE_TARGETS)
        return error_set(err, S2A_INPUT, "%s: more than %d texts to judge", name, SERVE_TARGETS);
    chat_target t = { .message = *message, .part = part, .context = context };
    s2a_status status =
        text_of(part ? json_object_get(part, "text") : content, context, &t.text, &t.len);
    if (status == S2A_LIMIT)
        return error_set(err, S2A_INPUT, "%s: a text is longer than %zu bytes; shorten it", name,
                         LIMIT_INPUT_BYTES);
    if (status != S2A_OK)
        return error_nomem(err);
    q->targets[q->target_count++] = t;
    return S2A_OK;
}

/* Adds a message's marked parts as targets, if untrusted texts are judged. Removes the marks. */
static s2a_status marked_add(chat_request *q, const chat_message *message, s2a_error *err)
{
    json_t *content = chat_content(message);
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < json_array_size(content) && status == S2A_OK; i++) {
        json_t *part = json_array_get(content, i), *mark = json_object_get(part, "untrusted");
        if (!mark)
            continue;
        bool judged = json_is_true(mark) && q->ask.untrusted;
        json_object_del(part, "untrusted");
        q->changed = true;
        if (judged && chat_part_is_text(part))
            status = target_add(q, message, part, NULL, true, err);
        else
            q->unjudged += judged;
    }
    return status;
}

/* Adds a tool's result as a target, and counts what is no text in it. */
static s2a_status result_add(chat_request *q, const chat_message *message, s2a_error *err)
{
    json_t *content = chat_content(message);
    const json_t *value = json_object_get(message->holder, message->key);
    q->unjudged += !content && value && !json_is_null(value);
    for (size_t i = 0; i < json_array_size(content); i++)
        q->unjudged += !chat_part_is_text(json_array_get(content, i));
    return content ? target_add(q, message, NULL, content, true, err) : S2A_OK;
}

static bool has_role(const chat_message *message, const char *role)
{
    return !strcmp(message->role, role);
}

/* Whether the part is a separate target. */
static bool is_target(const chat_request *q, const json_t *part)
{
    for (size_t i = 0; i < q->target_count; i++)
        if (q->targets[i].part == part)
            return true;
    return false;
}

static json_t *without_targets(const chat_request *q, json_t *content)
{
    if (!json_is_array(content))
        return json_incref(content);
    json_t *rest = json_array();
    for (size_t i = 0; rest && i < json_array_size(content); i++) {
        json_t *part = json_array_get(content, i);
        if (!is_target(q, part) && json_array_append(rest, part) != 0) {
            json_decref(rest);
            rest = NULL;
        }
    }
    return rest;
}

/* Adds an earlier message, unless it has no text. */
static s2a_status turn_add(chat_request *q, const chat_message *message)
{
    json_t *rest = without_targets(q, chat_content(message));
    chat_target t = { .message = *message };
    s2a_status status = rest ? text_of(rest, false, &t.text, &t.len) : S2A_NOMEM;
    json_decref(rest);
    if (status == S2A_OK && !ascii_blank(t.text, t.len))
        q->turns[q->turn_count++] = t;
    else
        free(t.text);
    return status;
}

/* Whether a message is part of the conversation. Results of tools are not: anyone may have written
 * them. Nor is the client's text beside them: nothing is removed from it. */
static bool is_said(const chat_message *message)
{
    return !message->beside && (has_role(message, "user") || has_role(message, "assistant") ||
                                has_role(message, "system") || has_role(message, "developer"));
}

/* Reads the messages before the one with index last: from the latest back, then reversed. */
static s2a_status turns_read(chat_request *q, size_t last, s2a_error *err)
{
    size_t most = last < SERVE_TURNS ? last : SERVE_TURNS;
    q->turns = calloc(most + 1, sizeof *q->turns);
    s2a_status status = q->turns ? S2A_OK : S2A_NOMEM;
    for (size_t i = last; i > 0 && q->turn_count < most && status == S2A_OK; i--)
        if (is_said(&q->messages[i - 1]) && chat_content(&q->messages[i - 1]))
            status = turn_add(q, &q->messages[i - 1]);
    for (size_t i = 0; i < q->turn_count / 2; i++) {
        chat_target t = q->turns[i];
        q->turns[i] = q->turns[q->turn_count - 1 - i];
        q->turns[q->turn_count - 1 - i] = t;
    }
    return status == S2A_NOMEM ? error_nomem(err) : S2A_OK;
}

static bool has_text(const chat_message *message)
{
    const json_t *content = chat_content(message);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i), *text = json_object_get(part, "text");
        if (chat_part_is_text(part) &&
            !ascii_blank(json_string_value(text), json_string_length(text)))
            return true;
    }
    return json_is_string(content) &&
           !ascii_blank(json_string_value(content), json_string_length(content));
}

/* How well a message fits as the question: 3 = a user's text, 2 = one beside results of tools, 1 =
 * a user's message without text, 0 = another role. */
static int rank(const chat_message *message)
{
    return !has_role(message, "user") ? 0 : !has_text(message) ? 1 : message->beside ? 2 : 3;
}

/* The index of the message with the question: the last one of the highest rank; message_count if
 * there is no user's message. */
static size_t question_find(const chat_request *q)
{
    size_t last = q->message_count;
    int best = 1;
    for (size_t i = 0; i < q->message_count; i++) {
        if (rank(&q->messages[i]) >= best) {
            last = i;
            best = rank(&q->messages[i]);
        }
    }
    return last;
}

static s2a_status targets_read(chat_request *q, s2a_error *err)
{
    q->targets = calloc(SERVE_TARGETS, sizeof *q->targets);
    if (!q->targets)
        return error_nomem(err);
    s2a_status status = chat_messages(q, err);
    for (size_t i = 0; i < q->message_count && status == S2A_OK; i++) {
        const chat_message *message = &q->messages[i];
        if (has_role(message, "tool") && q->ask.untrusted)
            status = result_add(q, message, err);
        else if (has_role(message, "user"))
            status = marked_add(q, message, err);
    }
    size_t last = status == S2A_OK ? question_find(q) : q->message_count;
    json_t *content = last < q->message_count ? chat_content(&q->messages[last]) : NULL;
    if (!content)
        return status;
    json_t *rest = without_targets(q, content);
    status = rest ? target_add(q, &q->messages[last], NULL, rest, false, err) : error_nomem(err);
    if (status == S2A_OK)
        status = turns_read(q, last, err);
    json_decref(rest);
    return status;
}

s2a_status chat_parse(const char *body, size_t len, chat_api api, const char *prefix,
                      const char *header, const chat_ask *defaults, const s2a_cancel *cancel,
                      chat_request *out, s2a_error *err)
{
    *out = (chat_request){ .api = api, .ask = *defaults, .cancel = cancel };
    s2a_status status = chat_shape(body, len, SERVE_JSON_VALUES, err);
    if (status != S2A_OK)
        return status;
    status = json_keep_load(body, len, cancel, &out->root, &out->kept, err);
    if (status != S2A_OK)
        return status;
    if (!json_is_object(out->root))
        return error_set(err, S2A_INPUT, "the body is not a JSON object");
    status = ask_read(out, prefix, header, err);
    const json_t *options = json_object_get(out->root, "stream_options");
    out->stream = json_is_true(json_object_get(out->root, "stream"));
    out->include_usage = json_is_true(json_object_get(options, "include_usage"));
    if (status == S2A_OK && out->wanted && api != CHAT_API_RERANK)
        status = targets_read(out, err);
    return status;
}

void chat_free(chat_request *q)
{
    for (size_t i = 0; i < q->target_count; i++)
        free(q->targets[i].text);
    free(q->targets);
    for (size_t i = 0; i < q->turn_count; i++)
        free(q->turns[i].text);
    free(q->turns);
    free(q->messages);
    json_decref(q->ask.protect);
    json_decref(q->root);
    *q = (chat_request){ .root = NULL };
}

const char *chat_model_name(const chat_request *q)
{
    return chat_string(q->root, "model");
}

/* ---- replacing texts -------------------------------------------------------------------- */

static bool part_put(json_t *part, const char *text, size_t len)
{
    json_t *value = json_stringn(text, len);
    return value && json_object_set_new(part, "text", value) == 0;
}

/* The same for a part that stays: APIs refuse an empty one, and would refuse the conversation from
 * then on. */
static bool part_fill(json_t *part, const char *text, size_t len)
{
    static const char nothing[] = "[removed]";
    return ascii_blank(text, len) ? part_put(part, nothing, sizeof nothing - 1)
                                  : part_put(part, text, len);
}

/* Empties a part that is not added to left, the kept parts. Its cache_control, the end of a cached
 * prefix, moves to the part before it. */
static bool part_drop(json_t *left, json_t *part)
{
    json_t *mark = json_object_get(part, "cache_control");
    json_t *before = json_array_get(left, json_array_size(left) - 1);
    bool ok = !mark || !json_is_object(before) || json_object_get(before, "cache_control") ||
              json_object_set(before, "cache_control", mark) == 0;
    return ok && part_put(part, "", 0);
}

/* Sets the message's parts, if ok. Takes ownership of left. */
static bool parts_set(const chat_target *t, json_t *left, bool ok)
{
    if (ok)
        return json_object_set_new(t->message.holder, t->message.key, left) == 0;
    json_decref(left);
    return false;
}

/* Sets *apart: elements of the target's message are not part of its text. Call it before the parts
 * change. False when out of memory. */
static bool apart_find(const chat_request *q, const chat_target *t, json_t *content, bool *apart)
{
    *apart = false;
    if (t->context)
        return true;
    json_t *rest = without_targets(q, content);
    *apart = has_words(rest);
    json_decref(rest);
    return rest != NULL;
}

static bool is_judged(const chat_request *q, const json_t *part, bool apart)
{
    return chat_part_is_text(part) && !is_target(q, part) && !(apart && is_element(part));
}

/* Puts the text into the first judged part and drops the others, whose text is in it. */
static bool parts_put(chat_request *q, const chat_target *t, json_t *content, const char *text,
                      size_t len)
{
    bool done = false, apart;
    json_t *left = apart_find(q, t, content, &apart) ? json_array() : NULL;
    bool ok = left != NULL;
    for (size_t i = 0; ok && i < json_array_size(content); i++) {
        json_t *part = json_array_get(content, i);
        bool judged = is_judged(q, part, apart);
        if (judged && done) {
            ok = part_drop(left, part);
            continue;
        }
        ok = (!judged || part_fill(part, text, len)) && json_array_append(left, part) == 0;
        done |= judged;
    }
    return parts_set(t, left, ok);
}

bool chat_put(chat_request *q, const chat_target *t, const char *text, size_t len)
{
    q->changed = true;
    size_t mark = json_keep_mark(text, len); /* else the model's text could pass for a number */
    text += mark;
    len -= mark;
    if (t->part)
        return part_fill(t->part, text, len);
    json_t *content = chat_content(&t->message);
    if (json_is_array(content))
        return parts_put(q, t, content, text, len);
    json_t *value = json_stringn(text, len);
    return value && json_object_set_new(t->message.holder, t->message.key, value) == 0;
}

/* text[start, end) without the spans; malloc'ed, NULL when out of memory. */
static char *left_of(const chat_target *t, size_t start, size_t end, const s2a_span *spans,
                     size_t count, char (*marks)[REMOVED_MARK_SIZE], size_t *len)
{
    buf left;
    buf_init(&left, LIMIT_NONE);
    buf_add(&left, "", 0);
    size_t at = start;
    for (size_t i = 0; i < count && spans[i].start < end; i++) {
        if (spans[i].end <= at)
            continue;
        if (spans[i].start > at)
            buf_add(&left, t->text + at, spans[i].start - at);
        if (marks && spans[i].start >= start)
            buf_adds(&left, marks[i]);
        at = spans[i].end;
    }
    if (at < end)
        buf_add(&left, t->text + at, end - at);
    char *text = buf_take(&left, len);
    buf_free(&left);
    return text;
}

bool chat_cut(chat_request *q, const chat_target *t, const s2a_span *spans, size_t count,
              char (*marks)[REMOVED_MARK_SIZE])
{
    json_t *content = t->part ? NULL : chat_content(&t->message);
    if (!json_is_array(content)) {
        size_t len = 0;
        char *text = left_of(t, 0, t->len, spans, count, marks, &len);
        bool ok = text && chat_put(q, t, text, len);
        free(text);
        return ok;
    }
    bool apart;
    json_t *left = apart_find(q, t, content, &apart) ? json_array() : NULL;
    bool ok = left != NULL;
    size_t parts = json_array_size(content), start = 0;
    q->changed = true;
    for (size_t i = 0; ok && i < parts; i++) {
        json_t *part = json_array_get(content, i);
        if (!is_judged(q, part, apart)) {
            ok = json_array_append(left, part) == 0;
            continue;
        }
        size_t size = json_string_length(json_object_get(part, "text")), len = 0;
        start += start > 0; /* the newline between two parts */
        char *text = left_of(t, start, start + size, spans, count, marks, &len);
        bool same = text && len == size && !memcmp(text, t->text + start, len);
        bool gone = text && !same && ascii_blank(text, len);
        if (gone && json_array_size(left) + parts - i > 1)
            ok = part_drop(left, part);
        else
            ok = text && (same || part_fill(part, text, len)) && json_array_append(left, part) == 0;
        free(text);
        start += size;
    }
    return parts_set(t, left, ok);
}

char *chat_dump(const chat_request *q, size_t *len)
{
    return json_keep_dump(q->root, q->kept, q->cancel, len);
}
