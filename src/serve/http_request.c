/* Reads a request: its head, which is checked again after MHD, and its body. */
#include "serve/http_internal.h"

#include "serve/serve_limits.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the head --------------------------------------------------------------------------- */

static bool is_token(const char *text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (const char *p = text; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              strchr(others, *p)))
            return false;
    return *text != '\0';
}

enum { FIELD_BYTES = 64 }; /* MHD's memory for a field, besides its text */

typedef struct head_reader {
    call *call;
    int refuse; /* the status */
    const char *why;
    size_t lengths, codings, hosts, bytes; /* bytes: of the head */
} head_reader;

static void refuse(head_reader *h, int status, const char *why)
{
    if (!h->refuse) {
        h->refuse = status;
        h->why = why;
    }
}

static void length_read(head_reader *h, const char *value)
{
    http_call *pub = &h->call->pub;
    h->lengths++;
    size_t digits = strspn(value, "0123456789");
    if (!digits || value[digits] || digits > 18)
        refuse(h, 400, "Content-Length is not a length");
    else
        pub->body_length = strtoll(value, NULL, 10);
}

/* One field. MHD is more lenient than a proxy may be (RFC 9112, sections 5.1 and 6.3). */
static enum MHD_Result field_read(void *ctx, enum MHD_ValueKind kind, const char *name,
                                  size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    head_reader *h = ctx;
    http_call *pub = &h->call->pub;
    value = value ? value : "";
    h->bytes += name_len + value_len + strlen(": \r\n");
    if (strlen(name) != name_len || !is_token(name))
        refuse(h, 400, "a field's name is not a token");
    if (strlen(value) != value_len || strpbrk(value, "\r\n"))
        refuse(h, 400, "a field's value has a control character in it");
    if (!strcasecmp(name, "Content-Length"))
        length_read(h, value);
    h->hosts += !strcasecmp(name, "Host");
    if (!strcasecmp(name, "Transfer-Encoding")) {
        h->codings++;
        if (strcasecmp(value, "chunked") != 0)
            refuse(h, 501, "Transfer-Encoding must be chunked");
    }
    http_field *f = &pub->fields[pub->field_count];
    f->name = strdup(name);
    f->value = strdup(value);
    pub->field_count++;
    if (!f->name || !f->value)
        refuse(h, 503, "out of memory");
    return MHD_YES;
}

static void head_read(head_reader *h, struct MHD_Connection *connection, const char *version)
{
    http_call *pub = &h->call->pub;
    int count = MHD_get_connection_values_n(connection, MHD_HEADER_KIND, NULL, NULL);
    pub->fields = calloc(count > 0 ? (size_t)count : 1, sizeof *pub->fields);
    if (!pub->fields) {
        refuse(h, 503, "out of memory");
        return;
    }
    if (count > SERVE_HEADERS) {
        refuse(h, 431, "too many fields");
        return;
    }
    h->bytes = strlen(pub->method) + strlen(pub->target) + strlen("  HTTP/1.1\r\n\r\n");
    if (h->bytes > SERVE_HEAD_BYTES / 2)
        refuse(h, 414, "the target is too long");
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, field_read, h);
    h->call->head_bytes = h->bytes + pub->field_count * FIELD_BYTES;
    if (h->call->head_bytes > SERVE_HEAD_BYTES)
        refuse(h, 431, "the head is too large");
    if (h->lengths > 1)
        refuse(h, 400, "more than one Content-Length");
    if (h->codings > 1)
        refuse(h, 400, "more than one Transfer-Encoding");
    if (h->lengths && h->codings)
        refuse(h, 400, "Content-Length and Transfer-Encoding");
    if (h->codings && strcmp(version, "HTTP/1.1") != 0)
        refuse(h, 400, "Transfer-Encoding before HTTP/1.1");
    if (h->hosts > 1)
        refuse(h, 400, "more than one Host");
    if (!is_token(pub->method))
        refuse(h, 400, "the method is not a token");
    for (const char *p = pub->target; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            refuse(h, 400, "a control character in the target");
    bool all = !strcmp(pub->target, "*") && !strcmp(pub->method, "OPTIONS");
    if (pub->target[0] != '/' && !all)
        refuse(h, 400, "the target is not a path");
    if (h->codings)
        pub->body_length = -1;
    pub->has_body = pub->body_length != 0;
}

static bool too_large(const call *c)
{
    return c->mode == BODY_GATHER && c->pub.body_length > 0 &&
           (uint64_t)c->pub.body_length > c->server->options.max_body;
}

enum MHD_Result http_request_head(call *c, struct MHD_Connection *connection, const char *method,
                                  const char *version)
{
    http_server *server = c->server;
    head_reader h = { .call = c };
    c->pub.method = strdup(method);
    c->pub.body = "";
    if (!c->pub.method)
        return MHD_NO;
    head_read(&h, connection, version);
    c->head_seen = true;
    if (c->conn->over)
        refuse(&h, 503, "too many connections; try again");
    if (h.refuse) {
        http_call_error(&c->pub, h.refuse, h.why, true);
        return http_call_queue(c);
    }
    server->handler.on_head(server->handler.ctx, &c->pub);
    pthread_mutex_lock(&c->lock);
    bool begun = c->begun, close = c->close, gone = c->gone;
    c->known = true;
    pthread_mutex_unlock(&c->lock);
    if (gone)
        server->handler.on_gone(server->handler.ctx, &c->pub);
    if (!begun && too_large(c)) {
        http_call_error(&c->pub, 413, "the request's body is too large", true);
        return http_call_queue(c);
    }
    if (begun && (close || !c->pub.has_body))
        return http_call_queue(c);
    if (begun)
        c->mode = BODY_DISCARD;
    return MHD_YES;
}

/* ---- the body --------------------------------------------------------------------------- */

static enum MHD_Result body_gather(call *c, const char *data, size_t *len)
{
    buf_add(&c->body, data, *len);
    if (c->body.status != S2A_OK) {
        int status = c->body.status == S2A_LIMIT ? 413 : 503;
        buf_free(&c->body);
        c->mode = BODY_DISCARD; /* MHD takes no response before the end of a body */
        http_call_error(&c->pub, status,
                        status == 413 ? "the request's body is too large" : "out of memory", true);
    }
    *len = 0;
    return MHD_YES;
}

/* A piece that is not taken comes again after http_call_more, which may be called already. */
static enum MHD_Result body_piece(call *c, const char *data, size_t *len)
{
    const http_handler *h = &c->server->handler;
    bool taken = false, wait = false;
    while (!taken && !wait) {
        taken = h->on_piece(h->ctx, &c->pub, data, *len);
        pthread_mutex_lock(&c->lock);
        wait = !taken && !c->more;
        c->more = false;
        if (wait) {
            c->suspended = true;
            MHD_suspend_connection(c->connection);
        }
        pthread_mutex_unlock(&c->lock);
    }
    if (taken)
        *len = 0;
    return MHD_YES;
}

enum MHD_Result http_request_body(call *c, const char *data, size_t *len)
{
    c->bytes_in += *len;
    pthread_mutex_lock(&c->lock);
    bool answered = c->begun, gone = c->gone || c->cut;
    pthread_mutex_unlock(&c->lock);
    if (gone)
        return MHD_NO;
    if (c->mode == BODY_DISCARD || answered) {
        /* Discarded bytes have a limit, too. */
        if (c->mode != BODY_PIECES && c->bytes_in > 2 * c->server->options.max_body + (1u << 20))
            return MHD_NO;
        *len = 0;
        return MHD_YES;
    }
    size_t before = *len;
    enum MHD_Result result =
        c->mode == BODY_GATHER ? body_gather(c, data, len) : body_piece(c, data, len);
    if (*len == before) /* it will come again */
        c->bytes_in -= before;
    return result;
}

enum MHD_Result http_request_work(call *c)
{
    const http_handler *h = &c->server->handler;
    if (!c->body_done) {
        c->body_done = true;
        http_conn_phase(c, PHASE_WORK);
        if (c->mode == BODY_GATHER) {
            buf_add(&c->body, "", 0);
            c->pub.body = c->body.data ? c->body.data : "";
            c->pub.body_len = c->body.len;
        }
        if (!http_call_begun(&c->pub)) {
            if (c->mode == BODY_PIECES)
                h->on_piece(h->ctx, &c->pub, NULL, 0);
            else
                h->on_body(h->ctx, &c->pub);
        }
    }
    enum MHD_Result result = MHD_YES;
    pthread_mutex_lock(&c->lock);
    bool begun = c->begun;
    if (c->gone || (c->cut && !begun)) {
        result = MHD_NO;
    } else if (!begun) {
        c->suspended = true;
        MHD_suspend_connection(c->connection);
    }
    pthread_mutex_unlock(&c->lock);
    return begun && result == MHD_YES ? http_call_queue(c) : result;
}
