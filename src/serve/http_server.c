/* The server over libmicrohttpd (MHD). A few MHD threads serve all sockets by epoll, each
 * connection on one thread. A connection that waits for its response is suspended. MHD does not
 * watch the sockets of suspended connections, so one more thread, the watch, detects clients that
 * hang up, and ends connections that take too long over a request. The watch also accepts
 * connections: with several threads MHD_quiesce_daemon may abort the process (0.9.75: it and a
 * thread both remove the listening socket from that thread's epoll set, and it takes the second try
 * for an error).
 *
 *
 * MHD must never reach its own limit of connections: it would leave a mutex locked for ever
 * (0.9.75), which blocks all its threads. So connections are counted and refused here, and MHD's
 * limit is higher than any number of descriptors. */
#include "serve/http_server.h"

#include "base/clock.h"
#include "base/error.h"
#include "serve/http_internal.h"
#include "serve/serve_limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TICK_MS = 250, GONE_MS = 10, WAKE = UINT32_MAX, LISTENER = UINT32_MAX - 1 };
enum { ACCEPT_BATCH = 64, STOP_MS = 30000 };
/* MHD's threads. At each event a thread scans all its suspended connections: with more threads each
 * has fewer. */
enum { THREADS = 4 };

/* ---- MHD's callbacks -------------------------------------------------------------------- */

void http_conn_phase(call *c, phase p)
{
    http_server *server = c->server;
    pthread_mutex_lock(&server->lock);
    c->conn->phase = p;
    c->conn->since = clock_ms();
    pthread_mutex_unlock(&server->lock);
}

static conn *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* The request line has arrived. The return value is *ctx_of_call below. */
static void *on_target(void *ctx, const char *target, struct MHD_Connection *connection)
{
    http_server *server = ctx;
    conn *k = conn_of(connection);
    call *c = k ? http_call_new(server, target) : NULL;
    if (!c)
        return NULL;
    c->conn = k;
    c->connection = connection;
    pthread_mutex_lock(&server->lock);
    bool closing = server->closing;
    if (!closing) {
        k->call = c;
        server->active++;
    }
    pthread_mutex_unlock(&server->lock);
    if (closing) {
        http_call_unref(&c->pub);
        return NULL;
    }
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
        http_conn_phase(c, PHASE_BODY);
        return http_request_head(c, connection, method, version);
    }
    return *len > 0 ? http_request_body(c, data, len) : http_request_work(c);
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
    http_call_gone(c); /* no effect if the response is complete */
    pthread_mutex_lock(&c->lock);
    c->connection = NULL;
    c->gone_told = true;
    http_outcome o = { .status = c->status,
                       .complete = complete && c->ended && !c->cut,
                       .head_ms = c->head_ms,
                       .bytes_in = c->bytes_in,
                       .bytes_out = c->bytes_out };
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

/* full: the limit of connections is reached, or no descriptor or memory is left. Accepting then
 * pauses until a connection ends or a tick finds room. With the server's lock held. */
static void listener_watch(http_server *server, bool full)
{
    struct epoll_event event = { .events = full ? 0 : EPOLLIN, .data.u64 = LISTENER };
    if (server->listener >= 0 && server->full != full)
        epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->listener, &event);
    server->full = full;
}

/* Counts a connection when it is accepted; MHD starts it later, on another thread. With the lock
 * held. NULL when out of memory. */
static conn *slot_take(http_server *server, int socket)
{
    size_t at = (size_t)socket;
    if (at >= server->slot_count) {
        size_t count = at + SERVE_CONNECTIONS_SPARE;
        void *slots = realloc(server->slots, count * sizeof *server->slots);
        if (!slots)
            return NULL;
        server->slots = slots;
        memset(server->slots + server->slot_count, 0,
               (count - server->slot_count) * sizeof *server->slots);
        server->slot_count = count;
    }
    conn *k = server->slots[at];
    if (!k) {
        k = calloc(1, sizeof *k);
        server->connections += k != NULL;
    } /* else MHD closed the last one with this descriptor and did not tell us */
    if (!k)
        return NULL;
    *k = (conn){ .socket = socket,
                 .generation = ++server->generation,
                 .since = clock_ms(),
                 .over = server->connections > server->options.max_connections };
    server->slots[at] = k;
    return k;
}

/* With the lock held. */
static void slot_leave(http_server *server, conn *k)
{
    server->slots[k->socket] = NULL;
    if (--server->connections < server->options.max_connections) /* a new one would not get 503 */
        listener_watch(server, false);
    free(k);
}

static void conn_started(http_server *server, struct MHD_Connection *connection, void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info)
        return;
    pthread_mutex_lock(&server->lock);
    size_t at = (size_t)info->connect_fd;
    conn *k = at < server->slot_count ? server->slots[at] : NULL;
    if (!k) /* expire gave it up */
        k = slot_take(server, info->connect_fd);
    if (k) {
        k->started = true;
        /* Edge-triggered: one event, when the client closes its side. */
        struct epoll_event event = { .events = EPOLLRDHUP | EPOLLET,
                                     .data.u64 =
                                         (uint64_t)k->generation << 32 | (uint32_t)k->socket };
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, k->socket, &event);
    }
    pthread_mutex_unlock(&server->lock);
    *context = k;
}

static void conn_closed(http_server *server, void **context)
{
    conn *k = *context;
    if (!k)
        return;
    if (k->call) /* its head never was complete: MHD does not report its end */
        call_finish(k->call, false);
    pthread_mutex_lock(&server->lock);
    epoll_ctl(server->epoll, EPOLL_CTL_DEL, k->socket, NULL);
    slot_leave(server, k);
    pthread_mutex_unlock(&server->lock);
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
    size_t slot = (uint32_t)id;
    uint32_t generation = (uint32_t)(id >> 32);
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
        http_call_gone(c);
        http_call_unref(&c->pub);
    }
}

/* Ends a connection that takes too long over its request. MHD still owns the socket, and closes it
 * when it finds it shut down. With the server's lock held, so that it is not closed meanwhile. */
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

static size_t connections_max(const http_server *server)
{
    return (size_t)server->options.max_connections + SERVE_CONNECTIONS_SPARE;
}

/* Returns the milliseconds until it must be called again. tick: TICK_MS have passed. */
static int expire(http_server *server, bool tick)
{
    double now = clock_ms();
    int again = TICK_MS;
    pthread_mutex_lock(&server->lock);
    if (tick && server->connections < connections_max(server))
        listener_watch(server, false);
    for (size_t i = 0; i < server->slot_count; i++) {
        conn *k = server->slots[i];
        if (!k || k->phase == PHASE_WORK)
            continue;
        if (!k->started) { /* its socket may be closed and used again by now */
            if (conn_is_due(server, k, now))
                slot_leave(server, k);
            continue;
        }
        /* The client left during a request, and MHD does not always notice: shut the socket down.
         * What the client sent before can still be read and answered. */
        if (k->hung_up > 0) {
            shutdown(k->socket, now - k->hung_up > TICK_MS ? SHUT_RDWR : SHUT_RD);
            again = GONE_MS;
        } else if (conn_is_due(server, k, now)) {
            conn_expire(server, k);
        }
    }
    pthread_mutex_unlock(&server->lock);
    return again;
}

/* Accepts and counts the next connection; -1 = none now. With the server's lock held. */
static int connection_accept(http_server *server, struct sockaddr_storage *address, socklen_t *size)
{
    bool full = server->connections >= connections_max(server);
    int s = full ? -1
                 : accept4(server->listener, (struct sockaddr *)address, size,
                           SOCK_CLOEXEC | SOCK_NONBLOCK);
    full |= s < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM);
    if (s >= 0 && !slot_take(server, s)) {
        close(s);
        s = -1;
        full = true;
    }
    if (full)
        listener_watch(server, true);
    return s;
}

/* MHD has closed the socket. */
static void connection_refused(http_server *server, int socket)
{
    pthread_mutex_lock(&server->lock);
    conn *k = server->slots[socket];
    if (k && !k->started)
        slot_leave(server, k);
    pthread_mutex_unlock(&server->lock);
}

static void take_connections(http_server *server)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        pthread_mutex_lock(&server->lock);
        int s = server->listener >= 0 ? connection_accept(server, &address, &size) : -1;
        pthread_mutex_unlock(&server->lock);
        if (s < 0)
            return; /* EAGAIN, or a client that left: epoll reports other ones again */
        if (MHD_add_connection(server->daemon, s, (struct sockaddr *)&address, size) != MHD_YES)
            connection_refused(server, s);
    }
}

static void *watch_loop(void *ctx)
{
    http_server *server = ctx;
    double expired = clock_ms(), ticked = expired;
    int every = TICK_MS;
    while (!atomic_load(&server->stopping)) {
        struct epoll_event events[64];
        int wait = server->handler.on_tick(server->handler.ctx);
        if ((http_server_connections(server) > 0 || server->full) && (wait < 0 || wait > every))
            wait = every;
        int count = epoll_wait(server->epoll, events, 64, wait);
        for (int i = 0; i < count; i++) {
            if ((uint32_t)events[i].data.u64 == WAKE) {
                uint64_t ignored;
                ssize_t n = read(server->wake, &ignored, sizeof ignored);
                (void)n;
            } else if ((uint32_t)events[i].data.u64 == LISTENER) {
                take_connections(server);
            } else {
                hang_up(server, events[i].data.u64);
                every = GONE_MS;
            }
        }
        double now = clock_ms();
        if (now - expired >= every) {
            bool tick = now - ticked >= TICK_MS;
            ticked = tick ? now : ticked;
            expired = now;
            every = expire(server, tick);
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
        return error_set(
            err, S2A_ARGUMENT,
            "--host %.60s: not an address; give one such as 127.0.0.1, 0.0.0.0 or ::", host);
    }
    return S2A_OK;
}

static s2a_status listen_on(http_server *server, s2a_error *err)
{
    const http_server_options *o = &server->options;
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
        return error_set(err, S2A_IO, "%s port %u: %s; %s", o->host ? o->host : "127.0.0.1",
                         o->port, strerror(reason),
                         reason == EADDRINUSE ? "choose another with --port"
                                              : "choose others with --host and --port");
    }
    server->port =
        ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                            : ((struct sockaddr_in *)&address)->sin_port);
    server->listener = s;
    return S2A_OK;
}

static s2a_status daemon_start(http_server *server, s2a_error *err)
{
    const http_server_options *o = &server->options;
    unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                         MHD_USE_NO_LISTEN_SOCKET | (server->tls ? MHD_USE_TLS : 0);
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)o->tls_cert },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)o->tls_key },
        { MHD_OPTION_END, 0, NULL },
    };
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned int)THREADS, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)INT_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, SERVE_POOL_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        SERVE_STALL_S, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_URI_LOG_CALLBACK,
        on_target, server, MHD_OPTION_ARRAY, server->tls ? tls : &tls[2], MHD_OPTION_END);
    if (server->daemon)
        return S2A_OK;
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
    server->listener = -1;
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKE };
    s2a_status status = S2A_OK;
    if (server->epoll < 0 || server->wake < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->wake, &event) != 0)
        status = error_set(err, S2A_IO, "epoll: %s", strerror(errno));
    if (status == S2A_OK)
        status = listen_on(server, err);
    *out = server; /* before a request can come */
    if (status == S2A_OK)
        status = daemon_start(server, err);
    event.data.u64 = LISTENER;
    if (status == S2A_OK && epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &event) != 0)
        status = error_set(err, S2A_IO, "epoll: %s", strerror(errno));
    if (status == S2A_OK && pthread_create(&server->watch, NULL, watch_loop, server) != 0)
        status = error_set(err, S2A_INTERNAL, "no thread can be started");
    else
        server->watching = status == S2A_OK;
    if (status != S2A_OK) {
        *out = NULL;
        http_server_stop(server);
        http_server_free(server);
    }
    return status;
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
    pthread_mutex_lock(&server->lock);
    close(server->listener); /* this removes it from the epoll set, too */
    server->listener = -1;
    pthread_mutex_unlock(&server->lock);
    http_server_wake(server);
}

/* Ends all calls: MHD does not stop while a connection is suspended. */
static void cut_all(http_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = 0;
    call **calls = calloc(server->slot_count + 1, sizeof *calls);
    for (size_t i = 0; calls && i < server->slot_count; i++) {
        if (server->slots[i] && server->slots[i]->call) {
            calls[count] = server->slots[i]->call;
            http_call_ref(&calls[count++]->pub);
        }
    }
    pthread_mutex_unlock(&server->lock);
    for (size_t i = 0; i < count; i++) {
        http_call_gone(calls[i]);
        http_call_unref(&calls[i]->pub);
    }
    free(calls);
}

void http_server_stop(http_server *server)
{
    if (server->daemon) {
        http_server_quiesce(server);
        pthread_mutex_lock(&server->lock);
        server->closing = true;
        pthread_mutex_unlock(&server->lock);
        /* A connection may be suspended again meanwhile, unless its call is gone. */
        double end = clock_ms() + STOP_MS;
        while (http_server_active(server) > 0 && clock_ms() < end) {
            cut_all(server);
            usleep(2000);
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
    if (server->listener >= 0)
        close(server->listener);
    pthread_mutex_destroy(&server->lock);
    pthread_mutex_destroy(&server->gone_lock);
    for (size_t i = 0; i < server->slot_count; i++)
        free(server->slots[i]); /* connections that MHD never started */
    free(server->slots);
    free(server);
}
