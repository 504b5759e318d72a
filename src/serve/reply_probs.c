/* The probabilities of tokens, as /v1/chat/completions and /v1/completions show them. */
#include "serve/reply_internal.h"

#include "base/limits.h"
#include "base/utf8.h"

/* The text of a token, with U+FFFD for incomplete characters. */
static json_t *text_of(const s2a_logprob *p)
{
    buf text;
    buf_init(&text, LIMIT_NONE);
    utf8_repair(&text, p->text, p->len);
    json_t *value =
        text.status == S2A_OK ? json_stringn(text.data ? text.data : "", text.len) : NULL;
    buf_free(&text);
    return value;
}

static json_t *bytes_of(const s2a_logprob *p)
{
    json_t *bytes = json_array();
    for (size_t i = 0; i < p->len; i++)
        tree_append(&bytes, json_integer((unsigned char)p->text[i]));
    return bytes;
}

static json_t *entry(const s2a_logprob *p)
{
    json_t *root = json_object();
    tree_put(&root, "token", text_of(p));
    tree_put(&root, "logprob", json_real(p->logprob));
    tree_put(&root, "bytes", bytes_of(p));
    return root;
}

static void chat_add(json_t **list, const s2a_logprob *token, const s2a_logprob *top, size_t count)
{
    json_t *root = entry(token), *others = json_array();
    if (!*list)
        *list = json_array();
    for (size_t i = 0; i < count; i++)
        tree_append(&others, entry(&top[i]));
    tree_put(&root, "top_logprobs", others);
    tree_append(list, root);
}

/* Appends value to a member that is a list. */
static void list_add(json_t **root, const char *key, json_t *value)
{
    json_t *list = json_object_get(*root, key);
    if (!*root)
        json_decref(value);
    else if (!list)
        tree_put(root, key, tree_list_of(value));
    else if (json_array_append_new(list, value) != 0) {
        json_decref(*root);
        *root = NULL;
    }
}

static void text_add(json_t **lists, const s2a_logprob *token, const s2a_logprob *top, size_t count,
                     size_t offset)
{
    json_t *others = json_object();
    if (!*lists)
        *lists = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *name = text_of(&top[i]);
        const char *key = json_string_value(name);
        if (!key)
            tree_put(&others, "", NULL);
        else if (!json_object_get(others, key)) /* the likelier one was first */
            tree_put(&others, key, json_real(top[i].logprob));
        json_decref(name);
    }
    list_add(lists, "tokens", text_of(token));
    list_add(lists, "token_logprobs", json_real(token->logprob));
    list_add(lists, "top_logprobs", others);
    list_add(lists, "text_offset", json_integer((json_int_t)offset));
}

/* Characters that begin in these bytes. */
static size_t characters(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

void reply_probs_add(void *ctx, const s2a_logprob *token, const s2a_logprob *top, size_t top_count)
{
    reply_probs *p = ctx;
    if (p->failed)
        return;
    if (p->api == CHAT_API_CHAT)
        chat_add(&p->list, token, top, top_count);
    else
        text_add(&p->list, token, top, top_count, p->offset);
    p->offset += characters(token->text, token->len);
    p->failed = !p->list;
}

json_t *reply_probs_take(reply_probs *p)
{
    json_t *list = p->list, *root = NULL;
    p->list = NULL;
    if (!list || p->api != CHAT_API_CHAT)
        return list;
    root = json_object();
    tree_put(&root, "content", list);
    tree_put(&root, "refusal", json_null());
    return root;
}
