/* Responses of /v1/chat/completions and /v1/completions. */
#include "serve/reply_internal.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* ---- chunks ----------------------------------------------------------------------------- */

static json_t *head(const reply *r, bool whole)
{
    json_t *root = json_object();
    const char *object = r->api != CHAT_API_CHAT ? "text_completion"
                         : whole                 ? "chat.completion"
                                                 : "chat.completion.chunk";
    tree_put(&root, "id", json_string(r->id));
    tree_put(&root, "object", json_string(object));
    tree_put(&root, "created", json_integer(r->created));
    tree_put(&root, "model", json_string(r->model));
    return root;
}

/* A new reference to value, or null if it is NULL. */
static json_t *or_null(json_t *value)
{
    return value ? json_incref(value) : json_null();
}

static json_t *chunk(const reply *r, json_t *delta, const char *text, const char *finish,
                     json_t *logprobs)
{
    json_t *root = head(r, false), *choice = json_object();
    tree_put(&choice, "index", json_integer((json_int_t)r->choice));
    if (r->api == CHAT_API_CHAT)
        tree_put(&choice, "delta", delta ? delta : json_object());
    else {
        json_decref(delta); /* a text completion has none */
        tree_put(&choice, "text", json_string(text ? text : ""));
    }
    tree_put(&choice, "logprobs", or_null(logprobs));
    tree_put(&choice, "finish_reason", tree_name(finish));
    tree_put(&root, "choices", tree_list_of(choice));
    return root;
}

json_t *reply_chunk(const reply *r, json_t *delta, const char *text, const char *finish)
{
    return chunk(r, delta, text, finish, NULL);
}

/* <think>x'</think> and a blank line; malloc'ed, NULL when out of memory. */
static char *think(const char *text, size_t len, size_t *out_len)
{
    buf b;
    buf_init(&b, LIMIT_NONE);
    buf_adds(&b, "<think>\n");
    buf_add(&b, text, len);
    buf_adds(&b, "\n</think>\n\n");
    char *joined = buf_take(&b, out_len);
    buf_free(&b);
    return joined;
}

json_t *reply_delta_shown(chat_show show, const char *text, size_t len, bool *ok)
{
    *ok = true;
    if (show == CHAT_SHOW_NONE || !text)
        return NULL;
    json_t *delta = json_object();
    if (show == CHAT_SHOW_THINK) {
        size_t n = 0;
        char *joined = think(text, len, &n);
        tree_put(&delta, "content", joined ? json_stringn(joined, n) : NULL);
        free(joined);
    }
    if (show == CHAT_SHOW_REASONING_CONTENT || show == CHAT_SHOW_BOTH)
        tree_put(&delta, "reasoning_content", json_stringn(text, len));
    if (show == CHAT_SHOW_REASONING || show == CHAT_SHOW_BOTH)
        tree_put(&delta, "reasoning", json_stringn(text, len));
    *ok = delta != NULL;
    return delta;
}

/* ---- our own stream --------------------------------------------------------------------- */

static bool begin(reply *r, const json_t *request, buf *out)
{
    (void)request;
    if (r->api != CHAT_API_CHAT)
        return true;
    json_t *delta = json_pack("{s:s, s:s}", "role", "assistant", "content", "");
    return delta && reply_event(out, reply_chunk(r, delta, NULL, NULL));
}

static bool text_add(reply *r, const char *text, size_t len, json_t *logprobs, buf *out)
{
    json_t *value = json_stringn(text, len);
    json_t *delta = r->api == CHAT_API_CHAT ? json_pack("{s:O}", "content", value) : NULL;
    bool ok = value && (delta || r->api != CHAT_API_CHAT) &&
              reply_event(out, chunk(r, delta, json_string_value(value), NULL, logprobs));
    json_decref(value);
    return ok;
}

static const char *finish_of(const reply_choice *c)
{
    return c->cut ? "length" : c->calls ? "tool_calls" : "stop";
}

/* Sends each call complete, in a separate chunk. */
static bool calls_add(reply *r, const reply_choice *c, buf *out)
{
    for (size_t i = 0; i < json_array_size(c->calls); i++) {
        json_t *call = json_copy(json_array_get(c->calls, i)), *delta = json_object();
        tree_put(&call, "index", json_integer((json_int_t)i));
        tree_put(&delta, "tool_calls", tree_list_of(call));
        if (!delta || !reply_event(out, reply_chunk(r, delta, NULL, NULL)))
            return false;
    }
    return true;
}

bool reply_choice_end(reply *r, const reply_choice *c, buf *out)
{
    return calls_add(r, c, out) &&
           reply_event(out, chunk(r, NULL, NULL, finish_of(c), c->logprobs));
}

/* The s2a object is in the last chunk, which is the one with usage if the client asked for it. */
static bool end(reply *r, const reply_answer *a, buf *out)
{
    const reply_choice *c = &a->choices[a->count - 1];
    if (!calls_add(r, c, out))
        return false;
    json_t *last = chunk(r, NULL, NULL, finish_of(c), c->logprobs);
    if (a->include_usage) {
        if (!reply_event(out, last))
            return false;
        last = head(r, false);
        tree_put(&last, "choices", json_array());
        tree_put(&last, "usage", reply_usage(r, a->step1, a->step2));
    }
    if (last && a->s2a)
        json_object_set(last, "s2a", a->s2a);
    if (!reply_event(out, last))
        return false;
    buf_adds(out, "data: [DONE]\n\n");
    return out->status == S2A_OK;
}

/* ---- complete responses ----------------------------------------------------------------- */

static json_t *choice_json(const reply *r, const reply_choice *c, size_t index)
{
    json_t *choice = json_object();
    tree_put(&choice, "index", json_integer((json_int_t)index));
    if (r->api == CHAT_API_CHAT) {
        json_t *message = json_object();
        tree_put(&message, "role", json_string("assistant"));
        tree_put(&message, "content",
                 c->calls && c->len == 0 ? json_null() : json_stringn(c->text, c->len));
        if (c->calls)
            tree_put(&message, "tool_calls", json_incref(c->calls));
        tree_put(&choice, "message", message);
    } else {
        tree_put(&choice, "text", json_stringn(c->text, c->len));
    }
    tree_put(&choice, "logprobs", or_null(c->logprobs));
    tree_put(&choice, "finish_reason", json_string(finish_of(c)));
    return choice;
}

static json_t *whole(const reply *r, const reply_answer *a)
{
    json_t *root = head(r, true), *choices = json_array();
    for (size_t i = 0; i < a->count; i++)
        tree_append(&choices, choice_json(r, &a->choices[i], i));
    tree_put(&root, "choices", choices);
    tree_put(&root, "usage", reply_usage(r, a->step1, a->step2));
    if (root && !reply_show(root, a->show, a->shown, a->shown_len)) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

/* Puts x' in front of the text. */
static bool think_before(json_t *holder, const char *key, const char *text, size_t len)
{
    const json_t *content = json_object_get(holder, key);
    buf b;
    size_t n = 0;
    char *joined = think(text, len, &n);
    buf_init(&b, LIMIT_NONE);
    if (joined)
        buf_add(&b, joined, n);
    if (json_is_string(content))
        buf_add(&b, json_string_value(content), json_string_length(content));
    bool ok = joined && b.status == S2A_OK &&
              json_object_set_new(holder, key, json_stringn(b.data, b.len)) == 0;
    free(joined);
    buf_free(&b);
    return ok;
}

bool reply_show(json_t *answer, chat_show show, const char *text, size_t len)
{
    json_t *choices = json_object_get(answer, "choices");
    bool ok = true;
    for (size_t i = 0; text && show != CHAT_SHOW_NONE && ok && i < json_array_size(choices); i++) {
        json_t *choice = json_array_get(choices, i);
        json_t *message = json_object_get(choice, "message");
        if (!json_is_object(message)) {
            if (show == CHAT_SHOW_THINK && json_is_string(json_object_get(choice, "text")))
                ok = think_before(choice, "text", text, len);
            continue;
        }
        if (show == CHAT_SHOW_THINK)
            ok = think_before(message, "content", text, len);
        if (show == CHAT_SHOW_REASONING_CONTENT || show == CHAT_SHOW_BOTH)
            ok = json_object_set_new(message, "reasoning_content", json_stringn(text, len)) == 0;
        if (ok && (show == CHAT_SHOW_REASONING || show == CHAT_SHOW_BOTH))
            ok = json_object_set_new(message, "reasoning", json_stringn(text, len)) == 0;
    }
    return ok;
}

const reply_shape reply_chat_shape = {
    .error = reply_openai_error,
    .error_event = reply_openai_error,
    .whole = whole,
    .begin = begin,
    .text = text_add,
    .end = end,
    .usage = { .prompt = "prompt_tokens",
               .completion = "completion_tokens",
               .total = "total_tokens",
               .prompt_details = "prompt_tokens_details",
               .cached = "cached_tokens",
               .completion_details = "completion_tokens_details",
               .reasoning = "reasoning_tokens" },
};
