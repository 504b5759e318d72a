/* Passes requests through unchanged: each byte is sent on when it arrives, both ways. */
#include "serve/txn.h"

#include <string.h>

static void on_head(void *ctx, int status, const http_field *fields, size_t count, int64_t length)
{
    txn *t = ctx;
    http_field back[SERVE_HEADERS * 3];
    size_t n = txn_fields_back(t, fields, count, back, sizeof back / sizeof back[0] - 1);
    back[n++] = (http_field){ (char *)"X-Request-Id", t->id };
    if (http_call_begin(t->call, status, back, n, length, false))
        return;
    pthread_mutex_lock(&t->relay.lock); /* the body could not be sent */
    if (t->relay.flow)
        flow_cancel(t->relay.flow);
    pthread_mutex_unlock(&t->relay.lock);
}

static bool on_data(void *ctx, const char *data, size_t len)
{
    txn *t = ctx;
    if (!http_call_has_room(t->call))
        return false;
    http_call_write(t->call, data, len);
    return true;
}

static void on_end(void *ctx, flow_result result, const char *why)
{
    txn *t = ctx;
    if (result == FLOW_DONE)
        http_call_end(t->call, true);
    else if (http_call_begun(t->call))
        http_call_end(t->call, false);
    else
        txn_error(t, txn_flow_status(result), why, "upstream_failed");
    txn_flow_ended(t, result);
}

static void on_sent(void *ctx)
{
    txn *t = ctx;
    http_call_more(t->call);
}

static const flow_handler handler = { on_head, on_data, on_end, on_sent };

void pass_start(txn *t)
{
    const char *body = t->relay.body ? t->relay.body : t->call->has_body ? t->call->body : NULL;
    size_t len = t->relay.body ? t->relay.body_len : t->call->body_len;
    txn_flow(t, NULL, body, len, false, false, &handler);
}

void pass_start_streamed(txn *t)
{
    txn_flow(t, NULL, NULL, 0, true, false, &handler);
}

bool pass_piece(txn *t, const char *data, size_t len)
{
    pthread_mutex_lock(&t->relay.lock);
    flow *f = t->relay.flow;
    bool taken = true;
    if (f && len == 0)
        flow_send_end(f);
    else if (f)
        taken = flow_send(f, data, len);
    pthread_mutex_unlock(&t->relay.lock);
    return taken;
}
