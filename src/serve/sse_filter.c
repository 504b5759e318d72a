#include "serve/sse_filter.h"

#include "base/limits.h"
#include "serve/chat.h"
#include "serve/json_keep.h"

#include <stdlib.h>
#include <string.h>

void sse_filter_init(sse_filter *f, const reply *r, const s2a_usage *step1,
                     json_t *(*s2a)(void *ctx), void *ctx)
{
    *f = (sse_filter){ .step1 = step1, .s2a = s2a, .ctx = ctx, .reply = *r };
    sse_init(&f->parser, LIMIT_SSE_LINE_BYTES);
    buf_init(&f->whole, SERVE_REPLY_BYTES);
}

void sse_filter_free(sse_filter *f)
{
    sse_free(&f->parser);
    buf_free(&f->whole);
    free(f->held);
    f->held = NULL;
}

/* Writes an event unchanged, with "data: " before each line. */
static void pass(buf *out, const char *type, const char *data, size_t len)
{
    if (*type) {
        buf_adds(out, "event: ");
        buf_adds(out, type);
        buf_adds(out, "\n");
    }
    do {
        const char *newline = memchr(data, '\n', len);
        size_t n = newline ? (size_t)(newline - data) : len;
        buf_adds(out, "data: ");
        buf_add(out, data, n);
        buf_adds(out, "\n");
        data += n + (newline != NULL);
        len -= n + (newline != NULL);
        if (newline && len == 0) { /* the data ended with a newline: an empty line follows */
            buf_adds(out, "data: \n");
            break;
        }
    } while (len > 0);
    buf_adds(out, "\n");
}

static void held_pass(sse_filter *f, buf *out)
{
    if (f->held)
        pass(out, "", f->held, f->held_len);
    free(f->held);
    f->held = NULL;
}

/* Whether a chunk may be the last one: it has a finish_reason, or the usage. */
static bool may_be_last(const json_t *root)
{
    const json_t *choices = json_object_get(root, "choices");
    for (size_t i = 0; i < json_array_size(choices); i++) {
        const json_t *choice = json_array_get(choices, i);
        if (json_is_string(json_object_get(choice, "finish_reason")))
            return true;
    }
    return json_is_object(json_object_get(root, "usage"));
}

/* Replaces a member, if it exists. Takes ownership of value. */
static bool replace(json_t *object, const char *key, json_t *value)
{
    if (json_object_get(object, key))
        return json_object_set_new(object, key, value) == 0;
    json_decref(value);
    return true;
}

/* Removes the role: it was sent before x', and a client that joins deltas would have it twice. */
static void role_drop(json_t *choices)
{
    for (size_t i = 0; i < json_array_size(choices); i++) {
        json_t *choice = json_array_get(choices, i);
        if (json_integer_value(json_object_get(choice, "index")) == 0)
            json_object_del(json_object_get(choice, "delta"), "role");
    }
}

/* Gives a chunk of upstream's the id, time and model of the chunks with x': a stream is one
 * response. */
static bool rename_chunk(const sse_filter *f, json_t *root)
{
    if (f->reply.api == CHAT_API_CHAT)
        role_drop(json_object_get(root, "choices"));
    return replace(root, "id", json_string(f->reply.id)) &&
           replace(root, "created", json_integer(f->reply.created)) &&
           replace(root, "model", json_string(f->reply.model));
}

/* Adds step 1 to a chunk's usage, and holds it back until the next event. */
static s2a_status hold(sse_filter *f, json_t *root, bool kept)
{
    json_t *usage = json_object_get(root, "usage");
    if (json_is_object(usage)) {
        reply_usage_read(&f->reply, usage, &f->usage);
        if (!reply_usage_add(&f->reply, usage, f->step1))
            return S2A_NOMEM;
    }
    f->held = json_keep_dump(root, kept, NULL, &f->held_len);
    return f->held ? S2A_OK : S2A_NOMEM;
}

/* Writes a chunk at once. */
static s2a_status chunk_pass(const char *type, const json_t *root, bool kept, buf *out)
{
    size_t len = 0;
    char *text = json_keep_dump(root, kept, NULL, &len);
    if (!text)
        return S2A_NOMEM;
    pass(out, type, text, len);
    free(text);
    return S2A_OK;
}

/* Writes the last chunk, with the s2a object. */
static s2a_status last(sse_filter *f, buf *out)
{
    json_t *root = NULL;
    bool kept = false;
    if (f->held)
        json_keep_load(f->held, f->held_len, NULL, &root, &kept, NULL);
    else
        root = reply_chunk(&f->reply, NULL, NULL, NULL);
    json_t *object = f->s2a(f->ctx);
    bool ok = root && object && json_object_set(root, "s2a", object) == 0;
    json_decref(object);
    free(f->held);
    f->held = NULL;
    s2a_status status = ok ? chunk_pass("", root, kept, out) : S2A_NOMEM;
    json_decref(root);
    return status;
}

/* In an API that names its events: passes an event on unchanged, except usage and the last one. */
static s2a_status named_event(sse_filter *f, const sse_event *e, buf *out)
{
    json_t *root = NULL;
    bool kept = false;
    if (json_keep_load(e->data, e->len, NULL, &root, &kept, NULL) == S2A_NOMEM)
        return S2A_NOMEM;
    reply_seen seen = f->done ? REPLY_SEEN_OTHER : reply_see(&f->reply, root, f->step1, &f->usage);
    s2a_status status = S2A_OK;
    if (seen == REPLY_SEEN_LAST) {
        json_t *object = f->s2a(f->ctx);
        f->done = true;
        if (!object || !reply_see_last(root, object))
            status = S2A_NOMEM;
        json_decref(object);
    }
    f->failed |= seen == REPLY_SEEN_FAILED;
    if (seen == REPLY_SEEN_NOMEM)
        status = S2A_NOMEM;
    else if (status == S2A_OK && (seen == REPLY_SEEN_CHANGED || seen == REPLY_SEEN_LAST))
        status = chunk_pass(e->type, root, kept, out);
    else if (status == S2A_OK)
        pass(out, e->type, e->data, e->len);
    json_decref(root);
    return status;
}

static s2a_status event(sse_filter *f, const sse_event *e, buf *out)
{
    if (reply_names_events(f->reply.api))
        return named_event(f, e, out);
    size_t len = e->len;
    while (len > 0 && (e->data[len - 1] == ' ' || e->data[len - 1] == '\n'))
        len--;
    if (f->done)
        return S2A_OK;
    if (len == 6 && !memcmp(e->data, "[DONE]", 6)) {
        s2a_status status = f->failed ? S2A_OK : last(f, out);
        held_pass(f, out);
        if (!f->failed)
            buf_adds(out, "data: [DONE]\n\n");
        f->done = true;
        return status;
    }
    held_pass(f, out);
    json_t *root = NULL;
    bool kept = false;
    if (json_keep_load(e->data, e->len, NULL, &root, &kept, NULL) == S2A_NOMEM)
        return S2A_NOMEM;
    const json_t *error = json_object_get(root, "error");
    f->failed |= !strcmp(e->type, "error") || (error && !json_is_null(error));
    s2a_status status = S2A_OK;
    if (f->failed || !json_is_object(root))
        pass(out, e->type, e->data, e->len);
    else if (!rename_chunk(f, root))
        status = S2A_NOMEM;
    else if (may_be_last(root))
        status = hold(f, root, kept);
    else
        status = chunk_pass(e->type, root, kept, out);
    json_decref(root);
    return status;
}

s2a_status sse_filter_feed(sse_filter *f, const char *data, size_t len, buf *out)
{
    while (!f->began && len > 0) {
        if (*data == '{' || *data == '<') {
            f->began = f->is_json = true;
        } else if (memchr(" \t\r\n", *data, 4)) {
            data++;
            len--;
        } else {
            f->began = true;
        }
    }
    if (f->is_json) {
        buf_add(&f->whole, data, len);
        return f->whole.status == S2A_LIMIT ? S2A_BACKEND : f->whole.status;
    }
    sse_event e;
    sse_result result;
    s2a_status status = S2A_OK;
    while (status == S2A_OK && (result = sse_next(&f->parser, &data, &len, &e)) != SSE_MORE) {
        if (result == SSE_LIMIT)
            return S2A_BACKEND;
        status = result == SSE_NOMEM ? S2A_NOMEM : event(f, &e, out);
    }
    return status == S2A_OK ? out->status : status;
}

/* Upstream's response to a request for a stream is one JSON body, mostly an error. */
static s2a_status whole_end(sse_filter *f, buf *out)
{
    json_t *root = chat_answer_parse(f->whole.data, f->whole.len);
    const json_t *error = json_object_get(root, "error");
    f->failed = !json_is_object(root) || (error && !json_is_null(error));
    if (!json_is_object(root)) {
        json_decref(root);
        return S2A_BACKEND;
    }
    if (!f->failed && reply_names_events(f->reply.api)) { /* upstream ignored stream */
        json_decref(root);
        return S2A_BACKEND;
    }
    json_t *object = f->failed ? NULL : f->s2a(f->ctx);
    bool ok =
        f->failed || (object && rename_chunk(f, root) && json_object_set(root, "s2a", object) == 0);
    json_decref(object);
    if (!ok) {
        json_decref(root);
        return S2A_NOMEM;
    }
    if (!reply_event(out, root))
        return S2A_NOMEM;
    if (!f->failed)
        buf_adds(out, "data: [DONE]\n\n");
    f->done = !f->failed;
    return out->status;
}

s2a_status sse_filter_end(sse_filter *f, buf *out)
{
    if (f->is_json)
        return whole_end(f, out);
    sse_event e;
    s2a_status status = S2A_OK;
    if (!f->done && sse_finish(&f->parser, &e) == SSE_EVENT)
        status = event(f, &e, out);
    if (f->done || f->failed || status != S2A_OK)
        return status;
    if (!f->held) /* no last event, finish_reason or usage came: the response is incomplete */
        return S2A_BACKEND;
    status = last(f, out);
    buf_adds(out, "data: [DONE]\n\n");
    f->done = true;
    return status == S2A_OK ? out->status : status;
}
