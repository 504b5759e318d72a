/* The server over libmicrohttpd (MHD): a few threads of its own serve all sockets by epoll, each
 * connection by one of them, and one that waits for its answer is suspended. MHD looks at no socket of a suspended
 * connection, so a second thread, the watch, waits for clients that hang up, and ends connections
 * that take too long over a request.
 *
 * Locks: server->lock guards the table of connections, call->lock the answer; the first is never
 * taken while the second is held. No handler function is called with one of them held. A call is
 * suspended exactly when its flag says so: both change under its lock. */
#include "serve/http_server.h"

#include "backend/backend.h" /* clock_ms */
#include "core/buf.h"
#include "core/error.h"
#include "serve/serve_limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4096, TICK_MS = 250, WAKE = UINT32_MAX };
/* Threads of MHD. At each event one looks at all its suspended connections: fewer on more threads. */
enum { THREADS = 4 };

typedef enum phase {
    PHASE_FIRST, /* nothing but a part of the first head came */
    PHASE_IDLE,  /* between two requests, or in the head of a later one */
    PHASE_BODY,
    PHASE_WORK, /* the request is whole */
} phase;

typedef enum body_mode { BODY_GATHER, BODY_PIECES, BODY_DISCARD } body_mode;

typedef struct conn {
    int socket;
    uint32_t slot, generation;
    phase phase;
    double since; /* clock_ms() when the phase began */
    struct call *call;
    bool over; /* one too many: it gets 503 */
    double hung_up; /* clock_ms() when the client ended its side; 0 = it did not */
} conn;

typedef struct call {
    http_call pub; /* first */
    http_server *server;
    conn *conn; /* MHD's thread only */
    atomic_int refs;
    buf body;
    body_mode mode;
    bool head_seen, body_done; /* MHD's thread only */
    pthread_mutex_t lock;
    /* under lock */
    struct MHD_Connection *connection; /* NULL once it is done with the call */
    struct MHD_Response *response;
    bool suspended, begun, queued, ended, cut, gone, gone_told, known, wants_room, more, close;
    int status;
    int64_t length; /* -1 = not known */
    double head_ms;
    uint64_t bytes_in, bytes_out;
    buf out;
    size_t out_at;
} call;

struct http_server {
    http_server_options options;
    http_handler handler;
    struct MHD_Daemon *daemon;
    uint16_t port;
    bool tls;
    int epoll, wake;
    pthread_t watch;
    bool watching;
    atomic_bool stopping, quiesced;
    pthread_mutex_t lock, gone_lock; /* gone_lock is taken before all others */
    conn **slots;
    uint32_t slot_count, slot_cap, generation;
    size_t connections, active;
};

/* ---- calls ------------------------------------------------------------------------------ */

static call *call_new(http_server *server, const char *target)
{
    call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->server = server;
    c->pub.start_ms = clock_ms();
    atomic_init(&c->refs, 1);
    buf_init(&c->body, server->options.max_body);
    buf_init(&c->out, SIZE_MAX / 2);
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

void http_call_drop_body(http_call *pub)
{
    call *c = (call *)pub;
    buf_free(&c->body);
    pub->body = "";
    pub->body_len = 0;
}

/* With the lock held. */
static void call_resume(call *c)
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
    call_resume(c);
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

bool http_call_is_gone(http_call *pub)
{
    call *c = (call *)pub;
    pthread_mutex_lock(&c->lock);
    bool gone = c->gone;
    pthread_mutex_unlock(&c->lock);
    return gone;
}

/* The client is gone, or will not get a whole answer: tells the handler, once. The lock of the
 * server's is held until it knows, so that on_done comes after. */
static void call_gone(call *c)
{
    http_server *server = c->server;
    pthread_mutex_lock(&server->gone_lock);
    pthread_mutex_lock(&c->lock);
    bool tell = !c->ended && !c->gone_told;
    if (tell) {
        c->gone = c->gone_told = true;
        buf_free(&c->out);
        c->out_at = 0;
        call_resume(c);
        tell = c->known; /* otherwise it is told when it knows the call: see call_head */
    }
    pthread_mutex_unlock(&c->lock);
    if (tell)
        server->handler.on_gone(server->handler.ctx, &c->pub);
    pthread_mutex_unlock(&server->gone_lock);
}

/* ---- answering -------------------------------------------------------------------------- */

/* What MHD sends of a body next. */
static ssize_t read_out(void *ctx, uint64_t position, char *data, size_t max)
{
    (void)position;
    call *c = ctx;
    bool room = false;
    ssize_t result = 0;
    pthread_mutex_lock(&c->lock);
    size_t left = c->out.len - c->out_at;
    if (c->gone || c->cut) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (left > 0) {
        size_t n = left < max ? left : max;
        memcpy(data, c->out.data + c->out_at, n);
        c->out_at += n;
        c->bytes_out += n;
        c->ended |= (int64_t)c->bytes_out == c->length; /* MHD asks for nothing more then */
        if (left == n) {
            buf_free(&c->out); /* a stream that idles holds no memory */
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
        size == 0 ? MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT)
                  : MHD_create_response_from_callback(size, BLOCK_BYTES, read_out, c,
                                                      read_out_free);
    if (!r)
        return NULL;
    if (size != 0)
        http_call_ref(&c->pub);
    for (size_t i = 0; i < field_count; i++)
        MHD_add_response_header(r, fields[i].name, fields[i].value);
    if (close || atomic_load(&c->server->quiesced))
        MHD_add_response_header(r, "Connection", "close");
    return r;
}

bool http_call_begin(http_call *pub, int status, const http_field *fields, size_t field_count,
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
        call_resume(c);
    }
    pthread_mutex_unlock(&c->lock);
    return ok;
}

void http_call_write(http_call *pub, const char *data, size_t len)
{
    call *c = (call *)pub;
    pthread_mutex_lock(&c->lock);
    if (c->begun && !c->gone && !c->ended && c->connection) {
        if (c->out_at > 65536) { /* what was sent goes, not at each write */
            memmove(c->out.data, c->out.data + c->out_at, c->out.len - c->out_at);
            c->out.len -= c->out_at;
            c->out_at = 0;
        }
        buf_add(&c->out, data, len);
        c->cut |= c->out.status != S2A_OK;
        call_resume(c);
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
        call_resume(c);
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
    if (!http_call_begin(pub, status, fields, status == 503 ? 2 : 1, (int64_t)len, close))
        return;
    http_call_write(pub, body, len);
    http_call_end(pub, true);
}

/* Hands MHD the answer that was begun. On MHD's thread. */
static enum MHD_Result call_queue(call *c)
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

typedef struct head_reader {
    call *call;
    int refuse; /* the status */
    const char *why;
    size_t lengths, codings, hosts;
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
            refuse(h, 501, "no Transfer-Encoding but chunked is known");
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
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, field_read, h);
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
    if (pub->target[0] != '/' && strcmp(pub->target, "*") != 0)
        refuse(h, 400, "the target is no path");
    if (h->codings)
        pub->body_length = -1;
    pub->has_body = pub->body_length != 0;
}

static void reply_error(http_call *pub, int status, const char *why, bool close)
{
    char body[512];
    int n = snprintf(body, sizeof body,
                     "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,\"code\":null}}\n",
                     why, status >= 500 ? "server_error" : "invalid_request_error");
    http_call_reply(pub, status, "application/json", body, (size_t)n, close);
}

static bool too_large(const call *c)
{
    return c->mode == BODY_GATHER && c->pub.body_length > 0 &&
           (uint64_t)c->pub.body_length > c->server->options.max_body;
}

/* The first look at a request. */
static enum MHD_Result call_head(call *c, struct MHD_Connection *connection, const char *method,
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
        reply_error(&c->pub, h.refuse, h.why, true);
        return call_queue(c);
    }
    server->handler.on_head(server->handler.ctx, &c->pub);
    pthread_mutex_lock(&c->lock);
    bool begun = c->begun, close = c->close, gone = c->gone;
    c->known = true;
    pthread_mutex_unlock(&c->lock);
    if (gone)
        server->handler.on_gone(server->handler.ctx, &c->pub);
    if (!begun && too_large(c)) {
        reply_error(&c->pub, 413, "the request's body is too large", true);
        return call_queue(c);
    }
    if (begun && (close || !c->pub.has_body))
        return call_queue(c);
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
        c->mode = BODY_DISCARD; /* MHD takes no answer in the middle of a body */
        reply_error(&c->pub, status,
                    status == 413 ? "the request's body is too large" : "out of memory", true);
    }
    *len = 0;
    return MHD_YES;
}

/* A piece that is not taken now comes again once http_call_more was called, which may be at once. */
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

static enum MHD_Result call_body(call *c, const char *data, size_t *len)
{
    c->bytes_in += *len;
    pthread_mutex_lock(&c->lock);
    bool answered = c->begun, gone = c->gone || c->cut;
    pthread_mutex_unlock(&c->lock);
    if (gone)
        return MHD_NO;
    if (c->mode == BODY_DISCARD || answered) {
        /* What comes for nothing has an end too. */
        if (c->mode != BODY_PIECES && c->bytes_in > 2 * c->server->options.max_body + (1u << 20))
            return MHD_NO;
        *len = 0;
        return MHD_YES;
    }
    size_t before = *len;
    enum MHD_Result result = c->mode == BODY_GATHER ? body_gather(c, data, len)
                                                    : body_piece(c, data, len);
    if (*len == before) /* it comes once more */
        c->bytes_in -= before;
    return result;
}

static void conn_phase(call *c, phase p)
{
    http_server *server = c->server;
    pthread_mutex_lock(&server->lock);
    c->conn->phase = p;
    c->conn->since = clock_ms();
    pthread_mutex_unlock(&server->lock);
}

/* The request is whole: lets the handler work, and waits for the answer. */
static enum MHD_Result call_work(call *c)
{
    const http_handler *h = &c->server->handler;
    if (!c->body_done) {
        c->body_done = true;
        conn_phase(c, PHASE_WORK);
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
    return begun && result == MHD_YES ? call_queue(c) : result;
}

/* ---- MHD's callbacks -------------------------------------------------------------------- */

static conn *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* The request line is there; what is returned is *ctx_of_call below. */
static void *on_target(void *ctx, const char *target, struct MHD_Connection *connection)
{
    http_server *server = ctx;
    conn *k = conn_of(connection);
    call *c = k ? call_new(server, target) : NULL;
    if (!c)
        return NULL;
    c->conn = k;
    c->connection = connection;
    pthread_mutex_lock(&server->lock);
    k->call = c;
    server->active++;
    pthread_mutex_unlock(&server->lock);
    return c;
}

static void client_name(struct MHD_Connection *connection, char *text, size_t size)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    text[0] = '\0';
    if (info && info->client_addr)
        getnameinfo(info->client_addr,
                    info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                             : sizeof(struct sockaddr_in),
                    text, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **ctx_of_call)
{
    (void)ctx;
    (void)url;
    call *c = *ctx_of_call;
    if (!c)
        return MHD_NO;
    if (!c->head_seen) {
        client_name(connection, c->pub.client, sizeof c->pub.client);
        conn_phase(c, PHASE_BODY);
        return call_head(c, connection, method, version);
    }
    return *len > 0 ? call_body(c, data, len) : call_work(c);
}

/* MHD is done with the call. */
static void call_finish(call *c, bool complete)
{
    http_server *server = c->server;
    pthread_mutex_lock(&server->lock);
    c->conn->call = NULL;
    c->conn->phase = PHASE_IDLE;
    c->conn->since = clock_ms();
    server->active--;
    pthread_mutex_unlock(&server->lock);
    pthread_mutex_lock(&c->lock);
    c->suspended = false;
    pthread_mutex_unlock(&c->lock);
    call_gone(c); /* no effect if the answer is whole */
    pthread_mutex_lock(&c->lock);
    c->connection = NULL;
    c->gone_told = true;
    http_outcome o = { .status = c->status, .complete = complete && c->ended && !c->cut,
                       .head_ms = c->head_ms, .bytes_in = c->bytes_in, .bytes_out = c->bytes_out };
    struct MHD_Response *r = c->response;
    c->response = NULL;
    pthread_mutex_unlock(&c->lock);
    server->handler.on_done(server->handler.ctx, &c->pub, &o);
    if (r)
        MHD_destroy_response(r);
    http_call_unref(&c->pub);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **ctx_of_call,
                         enum MHD_RequestTerminationCode how)
{
    (void)ctx;
    (void)connection;
    call *c = *ctx_of_call;
    *ctx_of_call = NULL;
    if (c)
        call_finish(c, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

/* ---- connections ------------------------------------------------------------------------ */

/* With the lock held; false when memory is out. */
static bool slot_take(http_server *server, conn *k)
{
    uint32_t slot = 0;
    while (slot < server->slot_count && server->slots[slot])
        slot++;
    if (slot == server->slot_count) {
        void *slots = server->slots;
        size_t cap = server->slot_cap;
        if (!array_reserve(&slots, &cap, (size_t)slot + 1, sizeof *server->slots))
            return false;
        server->slots = slots;
        server->slot_cap = (uint32_t)cap;
        server->slot_count++;
    }
    server->slots[slot] = k;
    k->slot = slot;
    k->generation = ++server->generation;
    return true;
}

static void conn_started(http_server *server, struct MHD_Connection *connection, void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    conn *k = calloc(1, sizeof *k);
    if (!info || !k) {
        free(k);
        return;
    }
    *k = (conn){ .socket = info->connect_fd, .since = clock_ms() };
    pthread_mutex_lock(&server->lock);
    bool ok = slot_take(server, k);
    if (ok) {
        server->connections++;
        k->over = server->connections > server->options.max_connections;
        /* Edge-triggered: told once, when the client's end of the stream comes. */
        struct epoll_event event = { .events = EPOLLRDHUP | EPOLLET,
                                     .data.u64 = (uint64_t)k->generation << 32 | k->slot };
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, k->socket, &event);
    }
    bool first = server->connections == 1;
    pthread_mutex_unlock(&server->lock);
    if (!ok) {
        free(k);
        return;
    }
    *context = k;
    if (first)
        http_server_wake(server);
}

static void conn_closed(http_server *server, void **context)
{
    conn *k = *context;
    if (!k)
        return;
    if (k->call) /* its head was never whole: MHD has no word on such a request */
        call_finish(k->call, false);
    pthread_mutex_lock(&server->lock);
    epoll_ctl(server->epoll, EPOLL_CTL_DEL, k->socket, NULL);
    server->slots[k->slot] = NULL;
    while (server->slot_count > 0 && !server->slots[server->slot_count - 1])
        server->slot_count--;
    server->connections--;
    pthread_mutex_unlock(&server->lock);
    free(k);
    *context = NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        conn_started(ctx, connection, context);
    else
        conn_closed(ctx, context);
}

/* ---- the watch -------------------------------------------------------------------------- */

static void hang_up(http_server *server, uint64_t id)
{
    uint32_t slot = (uint32_t)id, generation = (uint32_t)(id >> 32);
    call *c = NULL;
    pthread_mutex_lock(&server->lock);
    conn *k = slot < server->slot_count ? server->slots[slot] : NULL;
    if (k && k->generation == generation) {
        k->hung_up = clock_ms();
        c = k->call;
        if (c)
            http_call_ref(&c->pub);
    }
    pthread_mutex_unlock(&server->lock);
    if (c) {
        call_gone(c);
        http_call_unref(&c->pub);
    }
}

/* A connection that takes too long over its request; the socket is still MHD's, which closes it
 * when it finds it ended. With the server's lock held, so that it cannot be closed meanwhile. */
static void conn_expire(const http_server *server, const conn *k)
{
    static const char body[] = "{\"error\":{\"message\":\"the request took too long to arrive\","
                               "\"type\":\"timeout\",\"param\":null,\"code\":null}}\n";
    if (k->phase != PHASE_IDLE && !server->tls) {
        char late[512];
        int n = snprintf(late, sizeof late,
                         "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                         "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         sizeof body - 1, body);
        ssize_t ignored = send(k->socket, late, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)ignored;
    }
    shutdown(k->socket, SHUT_RDWR);
}

static bool conn_is_due(http_server *server, const conn *k, double now)
{
    uint32_t limit = k->phase == PHASE_FIRST  ? server->options.head_ms
                     : k->phase == PHASE_BODY ? server->options.body_ms
                                              : SERVE_IDLE_MS;
    bool drained = k->phase == PHASE_IDLE && !k->call && atomic_load(&server->quiesced);
    return now - k->since > (drained ? TICK_MS : limit);
}

static void expire(http_server *server)
{
    double now = clock_ms();
    pthread_mutex_lock(&server->lock);
    for (uint32_t i = 0; i < server->slot_count; i++) {
        conn *k = server->slots[i];
        if (!k || k->phase == PHASE_WORK)
            continue;
        /* A client that left in the middle of a request: MHD does not always see that. */
        if (k->hung_up > 0 && now - k->hung_up > TICK_MS)
            shutdown(k->socket, SHUT_RDWR);
        else if (conn_is_due(server, k, now))
            conn_expire(server, k);
    }
    pthread_mutex_unlock(&server->lock);
}

static void *watch_loop(void *ctx)
{
    http_server *server = ctx;
    double expired = clock_ms();
    while (!atomic_load(&server->stopping)) {
        struct epoll_event events[64];
        int wait = server->handler.on_tick(server->handler.ctx);
        if (http_server_connections(server) > 0 && (wait < 0 || wait > TICK_MS))
            wait = TICK_MS;
        int count = epoll_wait(server->epoll, events, 64, wait);
        for (int i = 0; i < count; i++) {
            if ((uint32_t)events[i].data.u64 == WAKE) {
                uint64_t ignored;
                ssize_t n = read(server->wake, &ignored, sizeof ignored);
                (void)n;
            } else {
                hang_up(server, events[i].data.u64);
            }
        }
        if (clock_ms() - expired >= TICK_MS) {
            expired = clock_ms();
            expire(server);
        }
    }
    return NULL;
}

void http_server_wake(http_server *server)
{
    uint64_t one = 1;
    ssize_t ignored = write(server->wake, &one, sizeof one);
    (void)ignored;
}

/* ---- starting and stopping -------------------------------------------------------------- */

static s2a_status address_read(const http_server_options *o, struct sockaddr_storage *address,
                               socklen_t *size, s2a_error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    const char *host = o->host && strcmp(o->host, "localhost") != 0 ? o->host : "127.0.0.1";
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(o->port);
        *size = sizeof *v4;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(o->port);
        *size = sizeof *v6;
    } else {
        return error_set(err, S2A_ARGUMENT,
                         "--host %.60s: not an address; give one such as 127.0.0.1, 0.0.0.0 or ::",
                         host);
    }
    return S2A_OK;
}

/* MHD binds with no way to say what went wrong: so the socket is made here. */
static s2a_status listen_on(const http_server_options *o, int *listener, uint16_t *port,
                            s2a_error *err)
{
    struct sockaddr_storage address;
    socklen_t size = 0;
    s2a_status status = address_read(o, &address, &size, err);
    if (status != S2A_OK)
        return status;
    int on = 1;
    int s = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s >= 0)
        setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (s < 0 || bind(s, (struct sockaddr *)&address, size) != 0 || listen(s, 1024) != 0 ||
        getsockname(s, (struct sockaddr *)&address, &size) != 0) {
        int reason = errno;
        if (s >= 0)
            close(s);
        return error_set(err, S2A_IO, "%s port %u: %s; %s", o->host ? o->host : "127.0.0.1", o->port,
                         strerror(reason),
                         reason == EADDRINUSE ? "choose another with --port"
                                              : "choose others with --host and --port");
    }
    *port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                : ((struct sockaddr_in *)&address)->sin_port);
    *listener = s;
    return S2A_OK;
}

static s2a_status daemon_start(http_server *server, int listener, s2a_error *err)
{
    const http_server_options *o = &server->options;
    unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                         (server->tls ? MHD_USE_TLS : 0);
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)o->tls_cert },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)o->tls_key },
        { MHD_OPTION_END, 0, NULL },
    };
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned int)THREADS, MHD_OPTION_CONNECTION_LIMIT,
        o->max_connections + SERVE_CONNECTIONS_SPARE,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, SERVE_HEAD_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        SERVE_STALL_S, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_URI_LOG_CALLBACK,
        on_target, server, MHD_OPTION_ARRAY, server->tls ? tls : &tls[2], MHD_OPTION_END);
    if (server->daemon)
        return S2A_OK;
    close(listener);
    return error_set(err, server->tls ? S2A_ARGUMENT : S2A_INTERNAL, "%s",
                     server->tls ? "--tls-cert, --tls-key: not a PEM certificate and its key"
                                 : "the HTTP server did not start");
}

s2a_status http_server_start(const http_server_options *options, const http_handler *handler,
                             http_server **out, s2a_error *err)
{
    *out = NULL;
    http_server *server = calloc(1, sizeof *server);
    if (!server)
        return error_nomem(err);
    server->options = *options;
    server->handler = *handler;
    server->tls = options->tls_cert != NULL;
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->gone_lock, NULL);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKE };
    int listener = -1;
    s2a_status status = S2A_OK;
    if (server->epoll < 0 || server->wake < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->wake, &event) != 0)
        status = error_set(err, S2A_IO, "epoll: %s", strerror(errno));
    if (status == S2A_OK)
        status = listen_on(options, &listener, &server->port, err);
    if (status == S2A_OK)
        status = daemon_start(server, listener, err);
    if (status == S2A_OK && pthread_create(&server->watch, NULL, watch_loop, server) != 0)
        status = error_set(err, S2A_INTERNAL, "no thread can be started");
    else
        server->watching = status == S2A_OK;
    if (status != S2A_OK) {
        http_server_stop(server);
        http_server_free(server);
        return status;
    }
    *out = server;
    return S2A_OK;
}

uint16_t http_server_port(const http_server *server)
{
    return server->port;
}

size_t http_server_active(http_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t active = server->active;
    pthread_mutex_unlock(&server->lock);
    return active;
}

size_t http_server_connections(http_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t connections = server->connections;
    pthread_mutex_unlock(&server->lock);
    return connections;
}

void http_server_quiesce(http_server *server)
{
    if (atomic_exchange(&server->quiesced, true))
        return;
    int listener = MHD_quiesce_daemon(server->daemon);
    if (listener >= 0)
        close(listener);
    http_server_wake(server);
}

/* MHD does not stop while a connection is suspended. */
static void cut_all(http_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = 0;
    call **calls = calloc((size_t)server->slot_count + 1, sizeof *calls);
    for (uint32_t i = 0; calls && i < server->slot_count; i++) {
        if (server->slots[i] && server->slots[i]->call) {
            calls[count] = server->slots[i]->call;
            http_call_ref(&calls[count++]->pub);
        }
    }
    pthread_mutex_unlock(&server->lock);
    for (size_t i = 0; i < count; i++) {
        call_gone(calls[i]);
        http_call_unref(&calls[i]->pub);
    }
    free(calls);
}

void http_server_stop(http_server *server)
{
    if (server->daemon) {
        http_server_quiesce(server);
        /* A connection may be suspended again in between: not one whose call is gone. */
        for (int i = 0; i < 50 && http_server_active(server) > 0; i++) {
            cut_all(server);
            usleep(10000);
        }
    }
    if (server->watching) {
        atomic_store(&server->stopping, true);
        http_server_wake(server);
        pthread_join(server->watch, NULL);
        server->watching = false;
    }
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    server->daemon = NULL;
}

void http_server_free(http_server *server)
{
    if (!server)
        return;
    if (server->epoll >= 0)
        close(server->epoll);
    if (server->wake >= 0)
        close(server->wake);
    pthread_mutex_destroy(&server->lock);
    pthread_mutex_destroy(&server->gone_lock);
    free(server->slots);
    free(server);
}
