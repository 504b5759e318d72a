/* The transcript is parsed before the thread starts; what connections add is under the lock. */
#include "fake_server.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TLS_HANDSHAKE = 0x16 }; /* a record's first byte */
enum { RESPONSES_MAX = 16, STEPS_MAX = 64, REQUESTS_MAX = 64, GONE_MAX_MS = 5000 };

typedef enum step_kind {
    STEP_SEND,
    STEP_SLEEP,
    STEP_SPLIT,
    STEP_CUT,
    STEP_PORT,
    STEP_DATE,
    STEP_CLOSE,
    STEP_RESET,
    STEP_GONE
} step_kind;

typedef struct step {
    step_kind kind;
    char *bytes;
    size_t len, repeat;
    int number;
} step;

typedef struct response {
    step steps[STEPS_MAX];
    size_t count;
    bool keep;
} response;

struct fake_server {
    response responses[RESPONSES_MAX];
    size_t response_count;
    int listener, port, stop_pipe[2];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_t connections[REQUESTS_MAX];
    size_t connection_count;
    char *requests[REQUESTS_MAX];
    size_t request_count;
    double gone_ms;
};

typedef struct connection {
    fake_server *server;
    int socket;
    size_t cut; /* bytes until the pause of @cut; 0 = no pause is due */
} connection;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "fake_server.c:%d: %s (%s)\n", __LINE__, #condition, strerror(errno)); \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- transcript ------------------------------------------------------------------------- */

size_t fake_unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        unsigned int value = 0;
        if (*in != '\\') {
            *out++ = *in;
            continue;
        }
        switch (*++in) {
        case 'r':
            *out++ = '\r';
            break;
        case 'n':
            *out++ = '\n';
            break;
        case 't':
            *out++ = '\t';
            break;
        case '0':
            *out++ = '\0';
            break;
        case 'x':
            CHECK(sscanf(in + 1, "%2x", &value) == 1);
            *out++ = (char)value;
            in += 2;
            break;
        default:
            CHECK(*in == '\\');
            *out++ = '\\';
        }
    }
    *out = '\0';
    return (size_t)(out - text);
}

static step *add_step(fake_server *server, step_kind kind, int number)
{
    response *r = &server->responses[server->response_count - 1];
    CHECK(r->count < STEPS_MAX);
    r->steps[r->count] = (step){ .kind = kind, .number = number, .repeat = 1 };
    return &r->steps[r->count++];
}

static void add_text(fake_server *server, const char *text, size_t repeat)
{
    step *s = add_step(server, STEP_SEND, 0);
    CHECK((s->bytes = strdup(text)) != NULL);
    s->len = fake_unescape(s->bytes);
    s->repeat = repeat;
}

static void add_chunk(fake_server *server, const char *text)
{
    char *bytes = strdup(text);
    CHECK(bytes);
    size_t len = fake_unescape(bytes);
    step *s = add_step(server, STEP_SEND, 0);
    CHECK((s->bytes = malloc(len + 32)) != NULL);
    int head = sprintf(s->bytes, "%zx\r\n", len);
    memcpy(s->bytes + head, bytes, len);
    memcpy(s->bytes + head + len, "\r\n", 2);
    s->len = (size_t)head + len + 2;
    free(bytes);
}

/* An answer of JSON, whole. */
static void add_json(fake_server *server, const char *text)
{
    char *body = strdup(text);
    CHECK(body);
    size_t len = fake_unescape(body);
    step *s = add_step(server, STEP_SEND, 0);
    CHECK((s->bytes = malloc(len + 120)) != NULL);
    s->len = (size_t)sprintf(s->bytes,
                             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             "Content-Length: %zu\r\n\r\n%s",
                             len, body);
    free(body);
}

static void add_line(fake_server *server, const char *line)
{
    int number = 0, used = 0;
    if (!*line || *line == '#' || !strncmp(line, "set ", 4) || !strncmp(line, "expect ", 7))
        return;
    if (sscanf(line, "@repeat %d %n", &number, &used) == 1 && used)
        add_text(server, line + used, (size_t)number);
    else if (sscanf(line, "@sleep %d", &number) == 1)
        add_step(server, STEP_SLEEP, number);
    else if (sscanf(line, "@split %d", &number) == 1)
        add_step(server, STEP_SPLIT, number);
    else if (sscanf(line, "@cut %d", &number) == 1)
        add_step(server, STEP_CUT, number);
    else if (sscanf(line, "@date %d", &number) == 1)
        add_step(server, STEP_DATE, number);
    else if (!strcmp(line, "@port"))
        add_step(server, STEP_PORT, 0);
    else if (!strncmp(line, "@json ", 6))
        add_json(server, line + 6);
    else if (!strncmp(line, "@chunk", 6))
        add_chunk(server, line[6] ? line + 7 : "");
    else if (!strcmp(line, "@close"))
        add_step(server, STEP_CLOSE, 0);
    else if (!strcmp(line, "@reset"))
        add_step(server, STEP_RESET, 0);
    else if (!strcmp(line, "@gone"))
        add_step(server, STEP_GONE, 0);
    else if (!strcmp(line, "@keep"))
        server->responses[server->response_count - 1].keep = true;
    else if (!strcmp(line, "@next"))
        CHECK(server->response_count++ < RESPONSES_MAX);
    else {
        CHECK(*line != '@');
        add_text(server, line, 1);
    }
}

static void parse(fake_server *server, const char *transcript)
{
    server->response_count = 1;
    while (*transcript) {
        size_t len = strcspn(transcript, "\n");
        char *line = strndup(transcript, len);
        CHECK(line);
        add_line(server, line);
        free(line);
        transcript += len + (transcript[len] == '\n');
    }
}

/* ---- connections ------------------------------------------------------------------------ */

/* True when the socket has something to read, or its end; false after ms, or when stopping. */
static bool readable(const connection *c, int ms)
{
    struct pollfd fds[] = { { .fd = c->socket, .events = POLLIN },
                            { .fd = c->server->stop_pipe[0], .events = POLLIN } };
    return poll(fds, 2, ms) > 0 && !fds[1].revents && fds[0].revents;
}

/* True when the client closes within ms. Bytes that it still sends are read away. */
static bool client_gone(const connection *c, int ms)
{
    char bytes[4096];
    double end = clock_ms() + ms;
    for (double left = ms; left > 0 && readable(c, (int)left + 1); left = end - clock_ms())
        if (recv(c->socket, bytes, sizeof bytes, 0) <= 0)
            return true;
    return false;
}

/* One request, head and body; NULL when the client goes or the server stops. */
static char *read_request(const connection *c)
{
    char *data = NULL;
    size_t len = 0, need = 0;
    for (;;) {
        if (!readable(c, 10000))
            break;
        CHECK((data = realloc(data, len + 65536 + 1)) != NULL);
        ssize_t got = recv(c->socket, data + len, 65536, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        data[len] = '\0';
        if (data[0] == TLS_HANDSHAKE)
            return data;
        char *end = strstr(data, "\r\n\r\n");
        if (!end)
            continue;
        char *length = strcasestr(data, "\r\nContent-Length:");
        need = (size_t)(end - data) + 4;
        if (length && length < end)
            need += strtoul(length + 17, NULL, 10);
        if (len >= need)
            return data;
    }
    free(data);
    return NULL;
}

static bool send_bytes(const connection *c, const char *bytes, size_t len)
{
    while (len) {
        ssize_t sent = send(c->socket, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* So that what is sent before and after arrives apart. */
static void pause_us(long us)
{
    nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

static bool send_all(connection *c, const char *bytes, size_t len, size_t piece)
{
    while (len) {
        size_t part = piece && piece < len ? piece : len;
        bool cut = c->cut && c->cut <= part;
        if (cut)
            part = c->cut;
        if (!send_bytes(c, bytes, part))
            return false;
        bytes += part;
        len -= part;
        if (c->cut)
            c->cut -= part;
        if (piece || cut)
            pause_us(cut ? 1000 : 100);
    }
    return true;
}

static bool send_text(connection *c, const char *text, size_t piece)
{
    return send_all(c, text, strlen(text), piece);
}

/* The date in the form of HTTP, as Retry-After has it. */
static bool send_date(connection *c, int seconds, size_t piece)
{
    char text[64];
    struct tm parts;
    time_t when = time(NULL) + seconds;
    CHECK(gmtime_r(&when, &parts));
    CHECK(strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
    return send_text(c, text, piece);
}

static bool send_port(connection *c, size_t piece)
{
    char text[16];
    snprintf(text, sizeof text, "%d", c->server->port);
    return send_text(c, text, piece);
}

static bool note_gone(fake_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->gone_ms = clock_ms();
    pthread_mutex_unlock(&server->lock);
    return false;
}

/* What a step sends; false when the client does not take it. */
static bool send_step(connection *c, const step *s, size_t piece)
{
    if (s->kind == STEP_PORT)
        return send_port(c, piece);
    if (s->kind == STEP_DATE)
        return send_date(c, s->number, piece);
    for (size_t k = 0; k < s->repeat; k++)
        if (!send_all(c, s->bytes, s->len, piece))
            return false;
    return true;
}

/* False when the connection is at its end. */
static bool play(connection *c, const response *r)
{
    size_t piece = 0;
    for (size_t i = 0; i < r->count; i++) {
        const step *s = &r->steps[i];
        switch (s->kind) {
        case STEP_SEND:
        case STEP_PORT:
        case STEP_DATE:
            if (!send_step(c, s, piece))
                return note_gone(c->server);
            break;
        case STEP_SPLIT:
            piece = (size_t)s->number;
            break;
        case STEP_CUT:
            c->cut = (size_t)s->number;
            break;
        case STEP_SLEEP:
            if (client_gone(c, s->number))
                return note_gone(c->server);
            break;
        case STEP_GONE:
            return client_gone(c, GONE_MAX_MS) && note_gone(c->server);
        case STEP_RESET:
            setsockopt(c->socket, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
                       sizeof(struct linger));
            return false;
        case STEP_CLOSE:
            return false;
        }
    }
    return r->keep;
}

static void *serve(void *ctx)
{
    connection *c = ctx;
    fake_server *server = c->server;
    const response *r = NULL;
    do {
        char *request = read_request(c);
        if (!request)
            break;
        pthread_mutex_lock(&server->lock);
        CHECK(server->request_count < REQUESTS_MAX);
        size_t index = server->request_count;
        server->requests[server->request_count++] = request;
        pthread_mutex_unlock(&server->lock);
        r = &server->responses[index < server->response_count ? index : server->response_count - 1];
    } while (play(c, r));
    close(c->socket);
    free(c);
    return NULL;
}

static void *listen_loop(void *ctx)
{
    fake_server *server = ctx;
    for (;;) {
        struct pollfd fds[] = { { .fd = server->listener, .events = POLLIN },
                                { .fd = server->stop_pipe[0], .events = POLLIN } };
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents)
            return NULL;
        int socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (socket < 0)
            continue;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        connection *c = malloc(sizeof *c);
        CHECK(c && server->connection_count < REQUESTS_MAX);
        *c = (connection){ .server = server, .socket = socket };
        CHECK(!pthread_create(&server->connections[server->connection_count++], NULL, serve, c));
    }
}

/* ---- interface -------------------------------------------------------------------------- */

static int listen_anywhere(int *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listener >= 0 && !bind(listener, (struct sockaddr *)&address, size));
    CHECK(!listen(listener, 64) && !getsockname(listener, (struct sockaddr *)&address, &size));
    *port = ntohs(address.sin_port);
    return listener;
}

fake_server *fake_server_start(const char *transcript)
{
    fake_server *server = calloc(1, sizeof *server);
    CHECK(server);
    parse(server, transcript);
    server->listener = listen_anywhere(&server->port);
    CHECK(!pipe(server->stop_pipe) && !pthread_mutex_init(&server->lock, NULL));
    CHECK(!pthread_create(&server->thread, NULL, listen_loop, server));
    return server;
}

int fake_server_port(const fake_server *server)
{
    return server->port;
}

void fake_server_stop(fake_server *server)
{
    if (server->listener < 0)
        return;
    CHECK(write(server->stop_pipe[1], "", 1) == 1);
    pthread_join(server->thread, NULL);
    for (size_t i = 0; i < server->connection_count; i++)
        pthread_join(server->connections[i], NULL);
    close(server->listener);
    close(server->stop_pipe[0]);
    close(server->stop_pipe[1]);
    server->listener = -1;
}

void fake_server_free(fake_server *server)
{
    if (!server)
        return;
    fake_server_stop(server);
    for (size_t i = 0; i < server->request_count; i++)
        free(server->requests[i]);
    for (size_t i = 0; i < server->response_count; i++)
        for (size_t k = 0; k < server->responses[i].count; k++)
            free(server->responses[i].steps[k].bytes);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

size_t fake_server_requests(const fake_server *server)
{
    return server->request_count;
}

size_t fake_server_connections(const fake_server *server)
{
    return server->connection_count;
}

const char *fake_server_request(const fake_server *server, size_t index)
{
    CHECK(index < server->request_count);
    return server->requests[index];
}

const char *fake_server_body(const fake_server *server, size_t index)
{
    return strstr(fake_server_request(server, index), "\r\n\r\n") + 4;
}

double fake_server_gone_ms(fake_server *server)
{
    pthread_mutex_lock(&server->lock);
    double gone_ms = server->gone_ms;
    pthread_mutex_unlock(&server->lock);
    return gone_ms;
}

double fake_server_gone_after(fake_server *server, int socket)
{
    double start = clock_ms(), gone_ms = 0;
    close(socket);
    for (int k = 0; k < 400 && !(gone_ms > 0); k++) {
        pause_us(5000);
        gone_ms = fake_server_gone_ms(server);
    }
    return gone_ms > 0 ? gone_ms - start : INFINITY;
}

size_t fake_server_bytes(const fake_server *server)
{
    const response *first = &server->responses[0];
    size_t bytes = 0;
    for (size_t i = 0; i < first->count; i++)
        bytes += first->steps[i].len * first->steps[i].repeat;
    return bytes;
}

int fake_refusing_port(void)
{
    int port = 0;
    close(listen_anywhere(&port));
    return port;
}
