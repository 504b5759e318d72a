/* Calls: their lifetime, and sending their responses. */
#include "base/clock.h"
#include "base/limits.h"
#include "serve/http_internal.h"

#include "serve/serve_limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BLOCK_BYTES = 4096 };
enum { OWN_BYTES = 512 }; /* of a head: the status line and the server's own fields */

/* ---- calls ------------------------------------------------------------------------------ */

call *http_call_new(http_server *server, const char *target)
{
    call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->server = server;
    c->pub.start_ms = clock_ms();
    atomic_init(&c->refs, 1);
    buf_init(&c->body, server->options.max_body);
    buf_init(&c->out, LIMIT_NONE);
    c->pub.target = strdup(target);
    if (!c->pub.target || pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c->pub.target);
        free(c);
        return NULL;
    }
    return c;
}

static void call_free(call *c)
{
    for (size_t i = 0; i < c->pub.field_count; i++) {
        free(c->pub.fields[i].name);
        free(c->pub.fields[i].value);
    }
    free(c->pub.fields);
    free(c->pub.method);
    free(c->pub.target);
    free(c->origin);
    if (c->response)
        MHD_destroy_response(c->response);
    buf_free(&c->body);
    buf_free(&c->out);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void http_call_ref(http_call *pub)
{
    atomic_fetch_add(&((call *)pub)->refs, 1);
}

void http_call_unref(http_call *pub)
{
    if (atomic_fetch_sub(&((call *)pub)->refs, 1) == 1)
        call_free((call *)pub);
}

const char *http_call_field(const http_call *pub, const char *name)
{
    for (size_t i = 0; i < pub->field_count; i++)
        if (!strcasecmp(pub->fields[i].name, name))
            return pub->fields[i].value;
    return NULL;
}

void http_call_stream_body(http_call *pub)
{
    ((call *)pub)->mode = BODY_PIECES;
}

bool http_call_allow_origin(http_call *pub, const char *origin)
{
    call *c = (call *)pub;
    c->origin = strdup(origin);
    return c->origin != NULL;
}

void http_call_drop_body(http_call *pub)
{
    call *c = (call *)pub;
    buf_free(&c->body);
    pub->body = "";
    pub->body_len = 0;
}

/* With the call's lock held: resumes the connection if it is suspended. */
static void http_call_resume(call *c)
{
    if (!c->suspended || !c->connection)
        return;
    c->suspended = false;
    MHD_resume_connection(c->connection);
}

void http_call_more(http_call *pub)
{
    call *c = (call *)pub;
    pthread_mutex_lock(&c->lock);
    c->more = !c->suspended;
    http_call_resume(c);
    pthread_mutex_unlock(&c->lock);
}

bool http_call_begun(http_call *pub)
{
    call *c = (call *)pub;
    pthread_mutex_lock(&c->lock);
    bool begun = c->begun;
    pthread_mutex_unlock(&c->lock);
    return begun;
}

void http_call_gone(call *c)
{
    http_server *server = c->server;
    pthread_mutex_lock(&server->gone_lock);
    pthread_mutex_lock(&c->lock);
    bool tell = !c->ended && !c->gone_told;
    if (tell) {
        c->gone = c->gone_told = true;
        buf_free(&c->out);
        c->out_at = 0;
        http_call_resume(c);
        tell = c->known; /* otherwise http_request_head tells it */
    }
    pthread_mutex_unlock(&c->lock);
    if (tell)
        server->handler.on_gone(server->handler.ctx, &c->pub);
    pthread_mutex_unlock(&server->gone_lock);
}

/* ---- responses -------------------------------------------------------------------------- */

/* Gives MHD the next bytes of a body. */
static ssize_t read_out(void *ctx, uint64_t position, char *data, size_t max)
{
    (void)position;
    call *c = ctx;
    bool room = false;
    ssize_t result = 0;
    pthread_mutex_lock(&c->lock);
    size_t left = c->out.len - c->out_at;
    if (c->gone || (c->cut && left == 0)) { /* bytes before the cut are still sent */
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (left > 0) {
        size_t n = left < max ? left : max;
        memcpy(data, c->out.data + c->out_at, n);
        c->out_at += n;
        c->bytes_out += n;
        c->ended |= (int64_t)c->bytes_out == c->length; /* MHD does not call again then */
        if (left == n) {
            buf_free(&c->out); /* an idle stream uses no memory */
            c->out_at = 0;
        }
        room = c->wants_room && left - n <= SERVE_OUT_LOW;
        c->wants_room &= !room;
        result = (ssize_t)n;
    } else if (c->ended) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        c->suspended = true;
        MHD_suspend_connection(c->connection);
    }
    pthread_mutex_unlock(&c->lock);
    if (room)
        c->server->handler.on_room(c->server->handler.ctx, &c->pub);
    return result;
}

static void read_out_free(void *ctx)
{
    http_call_unref(ctx);
}

static bool body_forbidden(const call *c, int status)
{
    return status == 204 || status == 304 || !strcmp(c->pub.method, "HEAD");
}

static struct MHD_Response *response_new(call *c, int status, const http_field *fields,
                                         size_t field_count, int64_t length, bool close)
{
    uint64_t size = length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)length;
    if (status == 204 || status == 304)
        size = 0;
    struct MHD_Response *r =
        size == 0
            ? MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT)
            : MHD_create_response_from_callback(size, BLOCK_BYTES, read_out, c, read_out_free);
    if (!r)
        return NULL;
    if (size != 0)
        http_call_ref(&c->pub);
    for (size_t i = 0; i < field_count; i++)
        MHD_add_response_header(r, fields[i].name, fields[i].value);
    if (c->origin) {
        MHD_add_response_header(r, "Access-Control-Allow-Origin", c->origin);
        MHD_add_response_header(r, "Access-Control-Expose-Headers", "X-Request-Id, X-S2A-Fallback");
        MHD_add_response_header(r, "Vary", "Origin");
    }
    if (close || atomic_load(&c->server->quiesced))
        MHD_add_response_header(r, "Connection", "close");
    return r;
}

/* Whether the response's head fits beside the request's. Otherwise MHD would close the connection
 * without a response. */
static bool head_fits(const call *c, const http_field *fields, size_t count)
{
    size_t need = c->head_bytes + OWN_BYTES + (c->origin ? strlen(c->origin) : 0);
    for (size_t i = 0; i < count; i++)
        need += strlen(fields[i].name) + strlen(fields[i].value) + strlen(": \r\n");
    return need <= SERVE_POOL_BYTES;
}

static bool begin(http_call *pub, int status, const http_field *fields, size_t field_count,
                  int64_t length, bool close)
{
    call *c = (call *)pub;
    pthread_mutex_lock(&c->lock);
    bool ok = !c->begun && !c->gone && c->connection;
    if (ok) {
        c->response = response_new(c, status, fields, field_count, length, close);
        c->begun = true;
        c->status = status;
        c->length = length;
        c->close = close;
        c->head_ms = clock_ms();
        c->cut |= !c->response;
        c->ended |= body_forbidden(c, status) || length == 0;
        ok = c->response != NULL;
        http_call_resume(c);
    }
    pthread_mutex_unlock(&c->lock);
    return ok;
}

bool http_call_begin(http_call *pub, int status, const http_field *fields, size_t field_count,
                     int64_t length, bool close)
{
    if (head_fits((call *)pub, fields, field_count))
        return begin(pub, status, fields, field_count, length, close);
    http_call_error(pub, 502, "the head of the response is too large", false);
    return false;
}

void http_call_write(http_call *pub, const char *data, size_t len)
{
    call *c = (call *)pub;
    pthread_mutex_lock(&c->lock);
    if (c->begun && !c->gone && !c->ended && !c->cut && c->connection) {
        if (c->out_at > 65536) { /* drop sent bytes, but not at each write */
            memmove(c->out.data, c->out.data + c->out_at, c->out.len - c->out_at);
            c->out.len -= c->out_at;
            c->out_at = 0;
        }
        buf_add(&c->out, data, len);
        c->cut |= c->out.status != S2A_OK;
        http_call_resume(c);
    }
    pthread_mutex_unlock(&c->lock);
}

bool http_call_has_room(http_call *pub)
{
    call *c = (call *)pub;
    pthread_mutex_lock(&c->lock);
    bool room = c->gone || c->ended || c->out.len - c->out_at < SERVE_OUT_HIGH;
    c->wants_room |= !room;
    pthread_mutex_unlock(&c->lock);
    return room;
}

void http_call_end(http_call *pub, bool complete)
{
    call *c = (call *)pub;
    pthread_mutex_lock(&c->lock);
    if (!c->ended) {
        c->ended = true;
        c->cut |= !complete;
        http_call_resume(c);
    }
    pthread_mutex_unlock(&c->lock);
}

void http_call_reply(http_call *pub, int status, const char *type, const char *body, size_t len,
                     bool close)
{
    http_field fields[2] = { { (char *)"Content-Type", (char *)type },
                             { (char *)"Retry-After", NULL } };
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%d", SERVE_RETRY_AFTER_S);
    fields[1].value = seconds;
    if (!begin(pub, status, fields, status == 503 ? 2 : 1, (int64_t)len, close)) /* small: fits */
        return;
    http_call_write(pub, body, len);
    http_call_end(pub, true);
}

enum MHD_Result http_call_queue(call *c)
{
    pthread_mutex_lock(&c->lock);
    struct MHD_Response *r = c->response;
    bool ok = c->begun && r && !c->queued && !c->gone;
    c->queued |= ok;
    int status = c->status;
    struct MHD_Connection *connection = c->connection;
    pthread_mutex_unlock(&c->lock);
    return ok ? MHD_queue_response(connection, (unsigned int)status, r) : MHD_NO;
}

void http_call_error(http_call *pub, int status, const char *why, bool close)
{
    char body[512];
    int n = snprintf(body, sizeof body,
                     "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,"
                     "\"code\":null}}\n",
                     why, status >= 500 ? "server_error" : "invalid_request_error");
    http_call_reply(pub, status, "application/json", body, (size_t)n, close);
}
