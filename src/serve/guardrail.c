/* POST /beta/litellm_basic_guardrail_api: LiteLLM's Generic Guardrail API. LiteLLM sends the texts
 * of a request, and its messages, before it sends them to a model. It gets the texts back after
 * step 1. No request is blocked. Texts are judged as in chat completions. */
#include "serve/txn.h"

#include "base/ascii.h"
#include "base/error.h"
#include "serve/json_keep.h"

#include <stdlib.h>
#include <string.h>

/* A text of the messages, before step 1: holder[key]. All references are owned. */
typedef struct leaf {
    json_t *holder; /* a message, or a part of one */
    const char *key;
    json_t *before;
    size_t place; /* in the order of the messages */
    bool alone;   /* the only text of its message */
} leaf;

struct guardrail {
    json_t *texts;
    leaf *leaves; /* by text, then by place */
    size_t leaf_count;
};

void guardrail_free(guardrail *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->leaf_count; i++) {
        json_decref(g->leaves[i].holder);
        json_decref(g->leaves[i].before);
    }
    free(g->leaves);
    json_decref(g->texts);
    free(g);
}

/* ---- the request ------------------------------------------------------------------------ */

static s2a_status texts_check(const json_t *root, s2a_error *err)
{
    const json_t *texts = json_object_get(root, "texts");
    const char *type = json_string_value(json_object_get(root, "input_type"));
    if (!type || (strcmp(type, "request") != 0 && strcmp(type, "response") != 0))
        return error_set(err, S2A_INPUT, "input_type: must be \"request\" or \"response\"");
    if (texts && !json_is_null(texts) && !json_is_array(texts))
        return error_set(err, S2A_INPUT, "texts: must be an array of strings");
    for (size_t i = 0; i < json_array_size(texts); i++)
        if (!json_is_string(json_array_get(texts, i)))
            return error_set(err, S2A_INPUT, "texts[%zu]: must be a string", i);
    return S2A_OK;
}

/* LiteLLM's messages. Without them the last text is taken for the user's. */
static json_t *messages_of(const json_t *root)
{
    json_t *given = json_object_get(root, "structured_messages");
    const json_t *texts = json_object_get(root, "texts");
    if (json_array_size(given) > 0)
        return json_incref(given);
    json_t *list = json_array();
    for (size_t i = 0; list && i < json_array_size(texts); i++) {
        const char *role = i + 1 < json_array_size(texts) ? "system" : "user";
        json_t *message =
            json_pack("{s:s, s:O}", "role", role, "content", json_array_get(texts, i));
        if (json_array_append_new(list, message) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* The request as a chat completion with S2A; NULL when out of memory. */
static json_t *chat_of(const json_t *root)
{
    const json_t *more = json_object_get(root, "additional_provider_specific_params");
    json_t *model = json_object_get(root, "model"), *ask = json_object_get(more, "s2a");
    json_t *messages = messages_of(root), *chat = json_object();
    bool ok = messages && chat && json_object_set(chat, "messages", messages) == 0;
    /* Without a name the engine would fetch upstream's list of models. */
    model = json_is_string(model) ? json_incref(model) : json_string("default");
    ok = json_object_set_new(chat, "model", model) == 0 && ok;
    ok = ok && json_object_set_new(chat, "s2a", ask ? json_incref(ask) : json_object()) == 0;
    json_decref(messages);
    if (ok)
        return chat;
    json_decref(chat);
    return NULL;
}

static void leaf_add(guardrail *g, json_t *holder, const char *key)
{
    size_t place = g->leaf_count++;
    g->leaves[place] = (leaf){ .holder = json_incref(holder),
                               .key = key,
                               .before = json_incref(json_object_get(holder, key)),
                               .place = place };
}

static int by_text(const void *a, const void *b)
{
    const leaf *x = a, *y = b;
    size_t len = json_string_length(x->before), other = json_string_length(y->before);
    int order = (len > other) - (len < other);
    if (order == 0)
        order = memcmp(json_string_value(x->before), json_string_value(y->before), len);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static s2a_status leaves_read(guardrail *g, const chat_request *q, s2a_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < q->message_count; i++)
        count += 1 + json_array_size(chat_content(&q->messages[i]));
    g->leaves = calloc(count + 1, sizeof *g->leaves);
    if (!g->leaves)
        return error_nomem(err);
    for (size_t i = 0; i < q->message_count; i++) {
        const chat_message *m = &q->messages[i];
        json_t *content = chat_content(m);
        size_t first = g->leaf_count;
        if (json_is_string(content))
            leaf_add(g, m->holder, m->key);
        for (size_t k = 0; k < json_array_size(content); k++)
            if (chat_part_is_text(json_array_get(content, k)))
                leaf_add(g, json_array_get(content, k), "text");
        if (g->leaf_count == first + 1)
            g->leaves[first].alone = true;
    }
    qsort(g->leaves, g->leaf_count, sizeof *g->leaves, by_text);
    return S2A_OK;
}

static s2a_status chat_read(txn *t, const json_t *root, s2a_error *err)
{
    json_t *chat = chat_of(root);
    char *text = chat ? json_dumps(chat, JSON_COMPACT) : NULL;
    json_decref(chat);
    if (!text)
        return error_nomem(err);
    s2a_status status =
        chat_parse(text, strlen(text), CHAT_API_CHAT, t->s->o.prefix,
                   http_call_field(t->call, "X-S2A"), &t->s->o.ask, t->relay.cancel, &t->q, err);
    free(text);
    return status;
}

s2a_status guardrail_read(txn *t, s2a_error *err)
{
    json_t *root = NULL;
    bool kept = false;
    s2a_status status = chat_shape(t->call->body, t->call->body_len, SERVE_JSON_VALUES, err);
    if (status == S2A_OK)
        status =
            json_keep_load(t->call->body, t->call->body_len, t->relay.cancel, &root, &kept, err);
    if (status == S2A_OK && kept)
        status = error_set(err, S2A_INPUT,
                           "the body has numbers beyond 64 bits, or halves of surrogate pairs");
    if (status == S2A_OK)
        status = texts_check(root, err);
    json_t *texts = json_object_get(root, "texts");
    const char *type = json_string_value(json_object_get(root, "input_type"));
    if (status == S2A_OK && !strcmp(type, "request") && json_array_size(texts) > 0)
        status = chat_read(t, root, err);
    guardrail *g = t->guardrail = calloc(1, sizeof *g);
    if (status == S2A_OK && !g)
        status = error_nomem(err);
    if (status == S2A_OK) {
        g->texts = json_incref(texts);
        status = leaves_read(g, &t->q, err);
    }
    json_decref(root);
    return status;
}

/* ---- the response ----------------------------------------------------------------------- */

/* A leaf's new text. A text of which nothing would be left is unchanged, as some APIs refuse empty
 * texts. So are several texts of a message that the model rewrote as one. */
static json_t *after(const leaf *l, bool rewritten)
{
    json_t *now = json_object_get(l->holder, l->key);
    const char *text = json_string_value(now);
    if (rewritten && !l->alone)
        return l->before;
    return text && !ascii_blank(text, json_string_length(now)) ? now : l->before;
}

/* The first leaf with this text from a place on; NULL if there is none. */
static const leaf *find(const guardrail *g, json_t *text, size_t place)
{
    const leaf key = { .before = text, .place = place };
    size_t low = 0, high = g->leaf_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_text(&g->leaves[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < g->leaf_count && json_equal(g->leaves[low].before, text) ? &g->leaves[low] : NULL;
}

void guardrail_reply(txn *t)
{
    const guardrail *g = t->guardrail;
    json_t *texts = json_array();
    bool changed = false, ok = texts != NULL;
    bool rewritten = t->step1.outcome.mode == S2A_MODE_REWRITE;
    /* The texts are in the order of the leaves; LiteLLM may have omitted some. */
    for (size_t i = 0, next = 0; ok && i < json_array_size(g->texts); i++) {
        json_t *text = json_array_get(g->texts, i);
        const leaf *l = find(g, text, next);
        json_t *now = l ? after(l, rewritten) : text;
        next = l ? l->place + 1 : next;
        changed |= !json_equal(now, text);
        ok = json_array_append(texts, now) == 0;
    }
    json_t *root =
        ok ? json_pack("{s:s}", "action", changed ? "GUARDRAIL_INTERVENED" : "NONE") : NULL;
    if (root && changed)
        json_object_set(root, "texts", texts);
    if (root && t->step1.ran)
        json_object_set_new(root, "s2a", reply_s2a(&t->step1.outcome, &t->q, -1, NULL));
    json_decref(texts);
    txn_json(t, 200, root, t->step1.ran ? t->step1.outcome.fallback : NULL);
}
