/* Step 2 on upstream: sends the request with step 1's result. A stream is forwarded as it arrives,
 * through the filter. A complete response is gathered, and gets x' and the s2a object. */
#include "base/clock.h"
#include "base/limits.h"
#include "serve/txn.h"

#include "base/http_text.h"
#include "serve/target.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- shared ----------------------------------------------------------------------------- */

static json_t *s2a_object(void *ctx)
{
    txn *t = ctx;
    t->relay.ms = clock_ms() - t->relay.started_ms;
    return reply_s2a(&t->step1.outcome, &t->q, t->relay.ms,
                     t->relay.filters ? &t->relay.filter.usage : &t->relay.usage);
}

/* Copies the fields of a gathered response. Fields for which there is no memory are omitted. */
static void fields_keep(txn *t, const http_field *fields, size_t count)
{
    http_field back[SERVE_HEADERS * 3];
    size_t n = txn_fields_back(t, fields, count, back, sizeof back / sizeof back[0]);
    t->relay.fields = calloc(n + 2, sizeof *t->relay.fields);
    for (size_t i = 0; t->relay.fields && i < n; i++) {
        http_field copy = { strdup(back[i].name), strdup(back[i].value) };
        if (copy.name && copy.value) {
            t->relay.fields[t->relay.field_count++] = copy;
        } else {
            free(copy.name);
            free(copy.value);
        }
    }
}

static void on_head(void *ctx, int status, const http_field *fields, size_t count, int64_t length)
{
    (void)length;
    txn *t = ctx;
    t->relay.status = status;
    fields_keep(t, fields, count);
}

static void cut(txn *t)
{
    pthread_mutex_lock(&t->relay.lock);
    if (t->relay.flow)
        flow_cancel(t->relay.flow);
    pthread_mutex_unlock(&t->relay.lock);
}

/* Cancels a response that is larger than the limit: it might never end. */
static bool gather(void *ctx, const char *data, size_t len)
{
    txn *t = ctx;
    buf_add(&t->relay.gathered, data, len);
    if (t->relay.gathered.status != S2A_OK)
        cut(t);
    return true;
}

/* The status to respond with if gathering failed, and why; 0 = it did not fail. */
static int gather_fault(const txn *t, flow_result result, const char **why)
{
    if (t->relay.gathered.status == S2A_LIMIT)
        *why = "upstream's response is too large";
    else if (t->relay.gathered.status != S2A_OK)
        *why = "out of memory";
    if (t->relay.gathered.status != S2A_OK)
        return t->relay.gathered.status == S2A_LIMIT ? 502 : 500;
    return result == FLOW_DONE ? 0 : txn_flow_status(result);
}

static void nothing_sent(void *ctx)
{
    (void)ctx;
}

/* Sends the gathered response with upstream's fields. */
static void whole_send(txn *t, const char *body, size_t len, const char *fallback)
{
    http_field fields[SERVE_HEADERS * 3 + 2];
    size_t n = 0;
    for (; n < t->relay.field_count && n < SERVE_HEADERS * 3; n++)
        fields[n] = t->relay.fields[n];
    fields[n++] = (http_field){ (char *)"X-Request-Id", t->id };
    if (fallback)
        fields[n++] = (http_field){ (char *)"X-S2A-Fallback", (char *)fallback };
    if (!http_call_begin(t->call, t->relay.status, fields, n, (int64_t)len, false))
        return;
    http_call_write(t->call, body, len);
    http_call_end(t->call, true);
}

/* ---- complete responses ----------------------------------------------------------------- */

/* Adds step 1's usage, x' and the s2a object; NULL when out of memory. */
static char *augment(txn *t, json_t *root)
{
    size_t len = 0;
    const char *shown = serve_step1_rewritten(&t->step1.outcome, &len);
    json_t *usage = json_object_get(root, "usage");
    bool ok = true;
    if (json_is_object(usage)) {
        reply_usage_read(&t->reply, usage, &t->relay.usage);
        ok = reply_usage_add(&t->reply, usage, &t->step1.outcome.usage);
    }
    json_t *object = ok ? s2a_object(t) : NULL;
    ok = object && json_object_set(root, "s2a", object) == 0;
    json_decref(object);
    ok = ok && reply_show(root, t->q.ask.show, shown, len);
    return ok ? json_dumps(root, JSON_COMPACT) : NULL;
}

static void whole_end(void *ctx, flow_result result, const char *why)
{
    txn *t = ctx;
    int fault = gather_fault(t, result, &why);
    if (fault) {
        txn_error(t, fault, why, "upstream_failed");
    } else {
        json_t *root = t->relay.status == 200
                           ? chat_answer_parse(t->relay.gathered.data, t->relay.gathered.len)
                           : NULL;
        char *text = json_is_object(root) ? augment(t, root) : NULL;
        if (text)
            whole_send(t, text, strlen(text), t->step1.outcome.fallback);
        else
            whole_send(t, t->relay.gathered.data ? t->relay.gathered.data : "",
                       t->relay.gathered.len, t->step1.outcome.fallback);
        free(text);
        json_decref(root);
    }
    txn_flow_ended(t, result);
}

static const flow_handler whole_handler = { on_head, gather, whole_end, nothing_sent };

/* ---- streams ---------------------------------------------------------------------------- */

static bool stream_data(void *ctx, const char *data, size_t len)
{
    txn *t = ctx;
    if (t->relay.status != 200)
        return gather(ctx, data, len);
    if (!http_call_has_room(t->call))
        return false;
    buf out;
    buf_init(&out, LIMIT_NONE);
    s2a_status status = sse_filter_feed(&t->relay.filter, data, len, &out);
    if (out.len > 0)
        http_call_write(t->call, out.data, out.len);
    buf_free(&out);
    if (status != S2A_OK) {
        txn_fail(t, 502, "upstream's response is not an event stream", "upstream_failed");
        http_call_end(t->call, true);
        cut(t);
    }
    return true;
}

/* Upstream refused the request: sends its error as an event. */
static void stream_refused(txn *t)
{
    json_t *root = chat_answer_parse(t->relay.gathered.data ? t->relay.gathered.data : "",
                                     t->relay.gathered.len);
    json_t *error = json_object_get(root, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    if (json_is_object(error) && t->reply.api != CHAT_API_RESPONSES) {
        json_object_set_new(error, "status", json_integer(t->relay.status));
        txn_event(t, json_incref(root));
        http_call_end(t->call, true);
    } else if (message) {
        txn_fail(t, t->relay.status, message, "upstream_refused");
    } else {
        char said[HTTP_QUOTE_MAX + 1];
        http_quote(root, t->relay.gathered.data, t->relay.gathered.len, t->bearer, said);
        txn_fail(t, t->relay.status, said, "upstream_refused");
    }
    json_decref(root);
}

static void stream_end(void *ctx, flow_result result, const char *why)
{
    txn *t = ctx;
    buf out;
    buf_init(&out, LIMIT_NONE);
    /* A connection that breaks after the last event takes nothing from the response. */
    bool complete = t->relay.status == 200 && t->relay.filter.done;
    int fault = complete ? 0 : gather_fault(t, result, &why);
    if (fault) {
        txn_fail(t, fault, why, "upstream_failed");
    } else if (t->relay.status != 200) {
        stream_refused(t);
    } else {
        s2a_status status = sse_filter_end(&t->relay.filter, &out);
        if (out.len > 0)
            http_call_write(t->call, out.data, out.len);
        if (status != S2A_OK)
            txn_fail(t, 502, "upstream's response ended early", "upstream_failed");
        http_call_end(t->call, true);
    }
    t->relay.usage = t->relay.filter.usage;
    t->relay.ms = clock_ms() - t->relay.started_ms;
    buf_free(&out);
    txn_flow_ended(t, result);
}

static const flow_handler stream_handler = { on_head, stream_data, stream_end, nothing_sent };

void forward_start(txn *t)
{
    t->relay.started_ms = clock_ms();
    free(t->relay.body);
    t->relay.body = chat_dump(&t->q, &t->relay.body_len);
    if (!t->relay.body) {
        if (!atomic_load(&t->gone))
            txn_fail(t, 500, "out of memory", NULL);
        return;
    }
    if (t->streaming) {
        sse_filter_init(&t->relay.filter, &t->reply, &t->step1.outcome.usage, s2a_object, t);
        t->relay.filters = true;
    }
    txn_flow(t, NULL, t->relay.body, t->relay.body_len, false, true,
             t->streaming ? &stream_handler : &whole_handler);
}

/* ---- models ----------------------------------------------------------------------------- */

static void models_end(void *ctx, flow_result result, const char *why)
{
    txn *t = ctx;
    int fault = gather_fault(t, result, &why);
    if (fault) {
        txn_error(t, fault, why, "upstream_failed");
    } else {
        const char *body = t->relay.gathered.data ? t->relay.gathered.data : "";
        json_t *root =
            t->relay.status == 200 ? chat_answer_parse(body, t->relay.gathered.len) : NULL;
        char *text = NULL;
        if (t->model_by_id && root) {
            const char *id = json_string_value(json_object_get(root, "id"));
            buf name;
            buf_init(&name, LIMIT_NONE);
            buf_addf(&name, "%s%s", t->s->o.prefix, id ? id : "");
            if (id && name.status == S2A_OK &&
                json_object_set_new(root, "id", json_string(name.data)) == 0)
                text = json_dumps(root, JSON_COMPACT);
            buf_free(&name);
        } else if (root && reply_models_double(root, t->s->o.prefix)) {
            text = json_dumps(root, JSON_COMPACT);
        }
        whole_send(t, text ? text : body, text ? strlen(text) : t->relay.gathered.len, NULL);
        free(text);
        json_decref(root);
    }
    txn_flow_ended(t, result);
}

static const flow_handler models_handler = { on_head, gather, models_end, nothing_sent };

void forward_models(txn *t)
{
    char *shorter = NULL;
    if (t->model_by_id) { /* /v1/models/PREFIX-NAME is upstream's /v1/models/NAME */
        s2a_error err = { .status = S2A_OK };
        size_t at = strlen("/v1/models/"), n = strlen(t->s->o.prefix);
        memmove(t->target + at, t->target + at + n, strlen(t->target + at + n) + 1);
        s2a_status status = target_normalise(t->target, &shorter, &err);
        if (status != S2A_OK || strcmp(shorter, t->target) != 0) { /* "s2a-../x" names no model */
            free(shorter);
            txn_error(t, status == S2A_NOMEM ? 500 : 404, "no such model", "model_not_found");
            return;
        }
    }
    txn_flow(t, shorter, NULL, 0, false, true, &models_handler);
    free(shorter);
}
