#include "serve/chat.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "serve/json_keep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const shows[] = { "none", "reasoning_content", "reasoning", "both", "think" };

bool chat_show_from_name(const char *name, chat_show *out)
{
    for (size_t i = 0; name && i < COUNT(shows); i++) {
        if (!strcmp(shows[i], name)) {
            *out = (chat_show)i;
            return true;
        }
    }
    return false;
}

/* ---- a first look ----------------------------------------------------------------------- */

/* Whether some escape could spell a character of the prefix or of "s2a". */
static bool escape_may_spell(const char *body, size_t len, const char *prefix)
{
    const char *at = body, *end = body + len;
    while ((at = memmem(at, (size_t)(end - at), "\\u00", 4)) && end - at >= 6) {
        const char digits[] = { at[4], at[5], '\0' };
        char *stop = NULL;
        char c = (char)strtoul(digits, &stop, 16);
        if (!*stop && c && (strchr("s2a", c) || strchr(prefix, c)))
            return true;
        at += 4;
    }
    return false;
}

/* Some parsers read UTF-16 and UTF-32, where neither name would be seen. */
static bool is_wide(const char *body, size_t len)
{
    return len >= 2 && (memchr(body, '\0', len < 4 ? len : 4) || !memcmp(body, "\xff\xfe", 2) ||
                        !memcmp(body, "\xfe\xff", 2));
}

bool chat_may_ask(const char *body, size_t len, const char *prefix, const char *header)
{
    return header || memmem(body, len, "\"s2a\"", 5) || memmem(body, len, prefix, strlen(prefix)) ||
           is_wide(body, len) || escape_may_spell(body, len, prefix);
}

s2a_status chat_shape(const char *text, size_t len, s2a_error *err)
{
    size_t depth = 0, values = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '"') {
            for (i++; i < len && text[i] != '"'; i++)
                i += text[i] == '\\';
        } else if (c == '{' || c == '[') {
            if (++depth > LIMIT_JSON_DEPTH)
                return error_set(err, S2A_LIMIT, "the body is nested deeper than %d",
                                 LIMIT_JSON_DEPTH);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        } else if (c == ',' && ++values > SERVE_JSON_VALUES) {
            return error_set(err, S2A_LIMIT, "the body has more than %u values", SERVE_JSON_VALUES);
        }
    }
    return S2A_OK;
}

/* ---- how S2A is asked for --------------------------------------------------------------- */

static s2a_status wrong(s2a_error *err, const char *what, const char *value, const char *use)
{
    return error_set(err, S2A_INPUT, "%s: \"%.*s\" is unknown; use %s", what,
                     value ? (int)utf8_cut(value, 40) : 0, value ? value : "", use);
}

static const char preset_names[] = ""
#define PRESET_NAME(id, name) name ", "
    S2A_PRESET_MAP(PRESET_NAME)
#undef PRESET_NAME
        "";

static s2a_status preset_read(const char *what, const char *name, s2a_preset *out, s2a_error *err)
{
    if (s2a_preset_from_name(name, out))
        return S2A_OK;
    char names[sizeof preset_names];
    memcpy(names, preset_names, sizeof names);
    names[sizeof names - 3] = '\0'; /* the last comma */
    return wrong(err, what, name, names);
}

/* none: as if S2A was not there; low: one prefill; high: the prompt is written anew. */
static s2a_status effort_read(const char *name, chat_ask *ask, s2a_error *err)
{
    if (name && !strcmp(name, "none"))
        ask->preset = S2A_PRESET_PLAIN;
    else if (name && !strcmp(name, "low"))
        ask->mode = S2A_MODE_SELECT;
    else if (name && !strcmp(name, "high"))
        ask->mode = S2A_MODE_REWRITE;
    else if (!name || strcmp(name, "medium") != 0)
        return wrong(err, "s2a.effort", name, "none, low, medium or high");
    return S2A_OK;
}

static s2a_status bool_read(const char *what, const json_t *value, bool *out, s2a_error *err)
{
    if (!json_is_boolean(value))
        return error_set(err, S2A_INPUT, "%s: must be true or false", what);
    *out = json_is_true(value);
    return S2A_OK;
}

static s2a_status number_read(const char *what, const json_t *value, double low, double high,
                              double *out, s2a_error *err)
{
    double number = json_number_value(value);
    if (!json_is_number(value) || !isfinite(number) || number < low || number > high)
        return error_set(err, S2A_INPUT, "%s: must be a number from %g to %g", what, low, high);
    *out = number;
    return S2A_OK;
}

static s2a_status protect_read(json_t *value, chat_ask *ask, s2a_error *err)
{
    bool ok = json_is_array(value) && json_array_size(value) <= LIMIT_PROTECTED;
    for (size_t i = 0; ok && i < json_array_size(value); i++)
        ok = json_string_length(json_array_get(value, i)) > 0;
    if (!ok)
        return error_set(err, S2A_INPUT,
                         "s2a.protect: must be an array of at most %d texts, none of them empty",
                         LIMIT_PROTECTED);
    ask->protect = json_incref(value);
    return S2A_OK;
}

static s2a_status member_read(const char *name, json_t *value, chat_ask *ask, s2a_error *err)
{
    const char *text = json_string_value(value);
    if (!strcmp(name, "mode")) {
        s2a_mode mode;
        if (!s2a_mode_from_name(text, &mode) || mode == S2A_MODE_NONE)
            return wrong(err, "s2a.mode", text, "select, rewrite or default");
        ask->mode = mode;
        return S2A_OK;
    }
    if (!strcmp(name, "preset"))
        return preset_read("s2a.preset", text, &ask->preset, err);
    if (!strcmp(name, "effort"))
        return S2A_OK; /* was read before, so that mode and preset count more */
    if (!strcmp(name, "show"))
        return chat_show_from_name(text, &ask->show)
                   ? S2A_OK
                   : wrong(err, "s2a.show", text,
                           "none, reasoning_content, reasoning, both or think");
    if (!strcmp(name, "untrusted"))
        return bool_read("s2a.untrusted", value, &ask->untrusted, err);
    if (!strcmp(name, "explain"))
        return bool_read("s2a.explain", value, &ask->explain, err);
    if (!strcmp(name, "threshold"))
        return number_read("s2a.threshold", value, -1e6, 1e6, &ask->threshold, err);
    if (!strcmp(name, "keep"))
        return number_read("s2a.keep", value, 0, 1, &ask->keep, err);
    if (!strcmp(name, "protect"))
        return protect_read(value, ask, err);
    return wrong(err, "s2a", name,
                 "mode, preset, effort, show, untrusted, explain, threshold, keep and protect");
}

static s2a_status object_read(const json_t *object, chat_ask *ask, s2a_error *err)
{
    if (!json_is_object(object))
        return error_set(err, S2A_INPUT, "s2a: must be an object, such as {\"preset\": \"auto\"}");
    const json_t *effort = json_object_get(object, "effort");
    s2a_status status = effort ? effort_read(json_string_value(effort), ask, err) : S2A_OK;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        if (status == S2A_OK)
            status = member_read(name, value, ask, err);
    }
    return status;
}

/* What cannot be asked for at once. */
static s2a_status ask_check(const chat_ask *ask, s2a_error *err)
{
    const char *preset = s2a_preset_name(ask->preset);
    if (ask->mode == S2A_MODE_SELECT &&
        (ask->preset == S2A_PRESET_SINGLE || ask->preset == S2A_PRESET_KEEP_ORIGINAL ||
         ask->preset == S2A_PRESET_NOT_INSTRUCTED))
        return error_set(err, S2A_INPUT,
                         "s2a: preset %s is a variant of mode rewrite; use that mode", preset);
    if (ask->preset == S2A_PRESET_UNTRUSTED && ask->mode == S2A_MODE_REWRITE)
        return error_set(err, S2A_INPUT, "s2a: preset %s needs mode select; leave mode rewrite out",
                         preset);
    if (ask->preset == S2A_PRESET_UNTRUSTED && ask->keep > 0)
        return error_set(err, S2A_INPUT, "s2a: preset %s goes by a threshold; leave keep out",
                         preset);
    return S2A_OK;
}

/* Takes the prefix off the model's name. */
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
    if (!prefix_strip(q, prefix))
        return error_nomem(err);
    q->wanted = q->prefixed || object || header;
    s2a_status status = S2A_OK;
    bool told = json_object_get(object, "untrusted") != NULL;
    if (object) {
        status = object_read(object, &q->ask, err);
        json_object_del(q->root, "s2a");
        q->changed = true;
    }
    if (header && !strcmp(header, "off"))
        q->wanted = false;
    else if (status == S2A_OK && header)
        status = preset_read("X-S2A", header, &q->ask.preset, err);
    q->ask.untrusted |= q->ask.preset == S2A_PRESET_UNTRUSTED && !told;
    return status == S2A_OK && q->wanted ? ask_check(&q->ask, err) : status;
}

/* ---- what is judged --------------------------------------------------------------------- */

static bool part_is_text(const json_t *part)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    return type && !strcmp(type, "text") && json_is_string(json_object_get(part, "text"));
}

/* A text, or all the text parts of a list, a line each; malloc'ed. S2A_LIMIT, S2A_NOMEM. */
static s2a_status text_of(const json_t *content, char **text, size_t *len)
{
    buf joined;
    buf_init(&joined, LIMIT_INPUT_BYTES);
    if (json_is_string(content))
        buf_add(&joined, json_string_value(content), json_string_length(content));
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i), *t = json_object_get(part, "text");
        if (!part_is_text(part))
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

/* Adds a target whose text is part's, or all of content's that has no target of its own. */
static s2a_status target_add(chat_request *q, size_t index, json_t *message, json_t *part,
                             const json_t *content, bool context, s2a_error *err)
{
    if (q->target_count == SERVE_TARGETS)
        return error_set(err, S2A_INPUT, "messages: more than %d texts to judge", SERVE_TARGETS);
    chat_target t = { .message = message, .part = part, .index = index, .context = context };
    s2a_status status = text_of(part ? json_object_get(part, "text") : content, &t.text, &t.len);
    if (status == S2A_LIMIT)
        return error_set(err, S2A_INPUT, "messages: a text of more than %zu bytes",
                         LIMIT_INPUT_BYTES);
    if (status != S2A_OK)
        return error_nomem(err);
    q->targets[q->target_count++] = t;
    return S2A_OK;
}

/* The marked parts of a message; the marks are ours and go. */
static s2a_status marked_add(chat_request *q, size_t index, json_t *message, s2a_error *err)
{
    json_t *content = json_object_get(message, "content");
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < json_array_size(content) && status == S2A_OK; i++) {
        json_t *part = json_array_get(content, i), *mark = json_object_get(part, "untrusted");
        if (!mark || !part_is_text(part))
            continue;
        bool marked = json_is_true(mark);
        json_object_del(part, "untrusted");
        q->changed = true;
        if (marked && q->ask.untrusted)
            status = target_add(q, index, message, part, NULL, true, err);
    }
    return status;
}

static bool has_role(const json_t *message, const char *role)
{
    const char *is = json_string_value(json_object_get(message, "role"));
    return is && !strcmp(is, role);
}

/* Whether the part is a target of its own. */
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

/* A message without text of its own is none. */
static s2a_status turn_add(chat_request *q, size_t index, json_t *message)
{
    json_t *rest = without_targets(q, json_object_get(message, "content"));
    chat_target t = { .message = message, .index = index };
    s2a_status status = rest ? text_of(rest, &t.text, &t.len) : S2A_NOMEM;
    json_decref(rest);
    if (status == S2A_OK && !ascii_blank(t.text, t.len))
        q->turns[q->turn_count++] = t;
    else
        free(t.text);
    return status;
}

/* What tools said is no part of the conversation: it may be anybody's. */
static bool is_said(const json_t *message)
{
    return has_role(message, "user") || has_role(message, "assistant") ||
           has_role(message, "system") || has_role(message, "developer");
}

/* The messages before the last one, from the latest back, then turned round. */
static s2a_status turns_read(chat_request *q, const json_t *messages, size_t last, s2a_error *err)
{
    size_t most = last < SERVE_TURNS ? last : SERVE_TURNS;
    q->turns = calloc(most + 1, sizeof *q->turns);
    s2a_status status = q->turns ? S2A_OK : S2A_NOMEM;
    for (size_t i = last; i > 0 && q->turn_count < most && status == S2A_OK; i--) {
        json_t *message = json_array_get(messages, i - 1);
        if (is_said(message) && json_object_get(message, "content"))
            status = turn_add(q, i - 1, message);
    }
    for (size_t i = 0; i < q->turn_count / 2; i++) {
        chat_target t = q->turns[i];
        q->turns[i] = q->turns[q->turn_count - 1 - i];
        q->turns[q->turn_count - 1 - i] = t;
    }
    return status == S2A_NOMEM ? error_nomem(err) : S2A_OK;
}

static s2a_status messages_read(chat_request *q, s2a_error *err)
{
    json_t *messages = json_object_get(q->root, "messages");
    if (!json_is_array(messages))
        return error_set(err, S2A_INPUT, "messages: must be an array");
    size_t count = json_array_size(messages), last = count;
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        json_t *message = json_array_get(messages, i);
        if (!json_is_object(message))
            return error_set(err, S2A_INPUT, "messages[%zu]: must be an object", i);
        const json_t *content = json_object_get(message, "content");
        if (has_role(message, "user"))
            last = i;
        bool tool = has_role(message, "tool") || has_role(message, "function");
        if (tool && q->ask.untrusted && (json_is_string(content) || json_is_array(content)))
            status = target_add(q, i, message, NULL, content, true, err);
        else if (has_role(message, "user"))
            status = marked_add(q, i, message, err);
    }
    if (status != S2A_OK || last == count)
        return status;
    json_t *message = json_array_get(messages, last);
    json_t *content = json_object_get(message, "content");
    json_t *rest = without_targets(q, content);
    if (content && !rest)
        status = error_nomem(err);
    else if (rest)
        status = target_add(q, last, message, NULL, rest, false, err);
    if (status == S2A_OK && rest)
        status = turns_read(q, messages, last, err);
    json_decref(rest);
    return status;
}

static s2a_status targets_read(chat_request *q, s2a_error *err)
{
    q->targets = calloc(SERVE_TARGETS, sizeof *q->targets);
    if (!q->targets)
        return error_nomem(err);
    if (q->chat)
        return messages_read(q, err);
    json_t *prompt = json_object_get(q->root, "prompt");
    if (json_is_array(prompt) && json_array_size(prompt) == 1 &&
        json_is_string(json_array_get(prompt, 0)))
        prompt = json_array_get(prompt, 0);
    /* Several prompts at once, and tokens, are nothing that could be judged. */
    return json_is_string(prompt) ? target_add(q, 0, NULL, NULL, prompt, false, err) : S2A_OK;
}

s2a_status chat_parse(const char *body, size_t len, bool chat, const char *prefix,
                      const char *header, const chat_ask *defaults, chat_request *out,
                      s2a_error *err)
{
    *out = (chat_request){ .chat = chat, .ask = *defaults };
    s2a_status status = chat_shape(body, len, err);
    if (status != S2A_OK)
        return status;
    status = json_keep_load(body, len, &out->root, &out->kept, err);
    if (status != S2A_OK)
        return status;
    if (!json_is_object(out->root))
        return error_set(err, S2A_INPUT, "the body is not a JSON object");
    status = ask_read(out, prefix, header, err);
    const json_t *options = json_object_get(out->root, "stream_options");
    out->stream = json_is_true(json_object_get(out->root, "stream"));
    out->include_usage = json_is_true(json_object_get(options, "include_usage"));
    if (status == S2A_OK && out->wanted)
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
    json_decref(q->ask.protect);
    json_decref(q->root);
    *q = (chat_request){ .chat = false };
}

const char *chat_model(const chat_request *q)
{
    const char *model = json_string_value(json_object_get(q->root, "model"));
    return model ? model : "";
}

/* ---- putting texts in place ------------------------------------------------------------- */

static bool part_put(json_t *part, const char *text, size_t len)
{
    json_t *value = json_stringn(text, len);
    return value && json_object_set_new(part, "text", value) == 0;
}

/* Into the first of the text parts; the others, whose text is in it, go. */
static bool parts_put(chat_request *q, json_t *content, const char *text, size_t len)
{
    bool done = false;
    for (size_t i = 0; i < json_array_size(content);) {
        json_t *part = json_array_get(content, i);
        if (!part_is_text(part) || is_target(q, part)) {
            i++;
        } else if (done) {
            json_array_remove(content, i);
        } else {
            done = true;
            i++;
            if (!part_put(part, text, len))
                return false;
        }
    }
    return true;
}

static bool put(chat_request *q, const chat_target *t, const char *text, size_t len)
{
    q->changed = true;
    size_t mark = json_keep_mark(text, len); /* a model's words are no number of the client's */
    text += mark;
    len -= mark;
    if (t->part)
        return part_put(t->part, text, len);
    json_t *content = t->message ? json_object_get(t->message, "content") : NULL;
    if (json_is_array(content))
        return parts_put(q, content, text, len);
    json_t *value = json_stringn(text, len);
    return value && json_object_set_new(t->message ? t->message : q->root,
                                        t->message ? "content" : "prompt", value) == 0;
}

bool chat_put(chat_request *q, size_t target, const char *text, size_t len)
{
    return put(q, &q->targets[target], text, len);
}

bool chat_put_turn(chat_request *q, size_t turn, const char *text, size_t len)
{
    return put(q, &q->turns[turn], text, len);
}

char *chat_dump(const chat_request *q, size_t *len)
{
    return json_keep_dump(q->root, q->kept, len);
}
