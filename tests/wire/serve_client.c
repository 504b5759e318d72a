#include "serve_client.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fprintf(stderr, "serve_client.c:%d: %s (%s)\n", __LINE__, #condition, \
                    strerror(errno));                                             \
            abort();                                                              \
        }                                                                         \
    } while (0)

/* ---- the server ------------------------------------------------------------------------- */

void serve_test_options(serve_options *o)
{
    serve_options_init(o);
    o->access_log = "off";
    o->model = "tiny";
    o->engine_options.max_retries = 0;
    o->engine_options.ctx_tokens = 4096; /* so that no model list is asked for */
}

void serve_test_upstream(serve_options *o, int port, char url[64])
{
    serve_test_options(o);
    snprintf(url, 64, "http://127.0.0.1:%d/v1", port);
    o->upstream = url;
}

s2a_engine *serve_test_engine(const char *replay)
{
    char path[] = "/tmp/s2a-serve-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, replay, strlen(replay)) == (ssize_t)strlen(replay));
    close(fd);
    s2a_engine_options o;
    s2a_engine_options_init(&o);
    o.backend = "script";
    o.model = path;
    s2a_engine *engine = NULL;
    s2a_error err = { .status = S2A_OK };
    if (s2a_engine_open(&o, &engine, &err) != S2A_OK)
        fprintf(stderr, "%s\n", err.message);
    CHECK(engine);
    unlink(path);
    return engine;
}

serve *serve_test_start(const serve_options *o)
{
    serve *s = NULL;
    s2a_error err = { .status = S2A_OK };
    if (serve_start(o, &s, &err) != S2A_OK)
        fprintf(stderr, "%s\n", err.message);
    CHECK(s);
    return s;
}

/* ---- bytes ------------------------------------------------------------------------------ */

int client_connect(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(s >= 0 && connect(s, (struct sockaddr *)&address, sizeof address) == 0);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return s;
}

void client_send(int socket, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(socket, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* it was cut: the test finds out by what it reads */
        bytes += n;
        len -= (size_t)n;
    }
}

void client_text(int socket, const char *text)
{
    client_send(socket, text, strlen(text));
}

/* How much memory there is when so much has come: room for 64 KiB more. */
static size_t room(size_t len)
{
    size_t size = 1 << 17;
    while (size < len + 65536 + 1)
        size *= 2;
    return size;
}

/* Appends what comes; 0 at the end, -1 when nothing comes in ms. */
static int read_more(int socket, char **data, size_t *len, int ms)
{
    struct pollfd fd = { .fd = socket, .events = POLLIN };
    if (poll(&fd, 1, ms) <= 0)
        return -1;
    if (!*data)
        CHECK((*data = malloc(room(0))) != NULL);
    ssize_t n = recv(socket, *data + *len, 65536, 0);
    size_t before = room(*len);
    if (n > 0)
        *len += (size_t)n;
    if (room(*len) > before)
        CHECK((*data = realloc(*data, room(*len))) != NULL);
    (*data)[*len] = '\0';
    return n > 0;
}

bool client_read(int socket, char **data, size_t *len, const char *text, int ms)
{
    double end = clock_ms() + ms;
    while (!*data || !memmem(*data, *len, text, strlen(text))) {
        double left = end - clock_ms();
        if (left <= 0 || read_more(socket, data, len, (int)left + 1) <= 0)
            return false;
    }
    return true;
}

bool client_closed(int socket, int ms)
{
    char *data = NULL;
    size_t len = 0;
    double end = clock_ms() + ms;
    int more = 1;
    while (more > 0 && clock_ms() < end)
        more = read_more(socket, &data, &len, (int)(end - clock_ms()) + 1);
    free(data);
    return more == 0;
}

/* ---- answers ---------------------------------------------------------------------------- */

char *answer_field(const answer *a, const char *name)
{
    const char *end = a->data ? strstr(a->data, "\r\n\r\n") : NULL;
    size_t n = strlen(name);
    for (const char *line = a->data; end && line && line < end;) {
        line = strstr(line, "\r\n");
        if (!line || line >= end)
            return NULL;
        line += 2;
        if (!strncasecmp(line, name, n) && line[n] == ':') {
            const char *from = line + n + 1;
            while (*from == ' ')
                from++;
            return strndup(from, strcspn(from, "\r"));
        }
    }
    return NULL;
}

/* Takes the chunks apart; true when the last one is there. */
static bool unchunk(answer *a, const char *at, const char *end)
{
    for (;;) {
        char *after = NULL;
        const char *line = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (!line)
            return false;
        size_t n = strtoul(at, &after, 16);
        at = line + 2;
        if (n == 0)
            return end - at >= 2;
        if ((size_t)(end - at) < n + 2) {
            n = (size_t)(end - at);
            memcpy(a->body + a->body_len, at, n);
            a->body_len += n;
            return false;
        }
        memcpy(a->body + a->body_len, at, n);
        a->body_len += n;
        at += n + 2;
    }
}

static bool take_apart(answer *a, bool head_only)
{
    char *head_end = a->data ? memmem(a->data, a->len, "\r\n\r\n", 4) : NULL;
    if (!head_end || sscanf(a->data, "HTTP/1.%*d %d", &a->status) != 1)
        return false;
    const char *body = head_end + 4, *end = a->data + a->len;
    free(a->body);
    CHECK((a->body = calloc(1, a->len + 1)) != NULL);
    a->body_len = 0;
    char *length = answer_field(a, "Content-Length"),
         *coding = answer_field(a, "Transfer-Encoding");
    if (head_only || a->status == 204 || a->status == 304) {
        a->whole = true;
    } else if (coding) {
        a->whole = unchunk(a, body, end);
    } else {
        a->body_len = (size_t)(end - body);
        memcpy(a->body, body, a->body_len);
        a->whole = length && a->body_len == strtoul(length, NULL, 10);
    }
    a->body[a->body_len] = '\0';
    free(length);
    free(coding);
    return a->whole;
}

answer client_read_answer(int socket, bool head_only)
{
    answer a = { .data = NULL };
    while (!take_apart(&a, head_only)) {
        int more = read_more(socket, &a.data, &a.len, 10000);
        if (more <= 0)
            break;
        for (int i = 0; i < 64 && more > 0; i++) /* all that is there, before it is looked at */
            more = read_more(socket, &a.data, &a.len, 0);
    }
    take_apart(&a, head_only);
    return a;
}

answer client_ask(int port, const char *request, size_t len)
{
    int s = client_connect(port);
    client_send(s, request, len);
    answer a = client_read_answer(s, !strncmp(request, "HEAD ", 5));
    close(s);
    return a;
}

answer client_post(int port, const char *path, const char *fields, const char *body)
{
    char *request = NULL;
    int n = asprintf(&request,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     path, fields, strlen(body), body);
    CHECK(n > 0);
    answer a = client_ask(port, request, (size_t)n);
    free(request);
    return a;
}

answer client_get(int port, const char *path, const char *fields)
{
    char *request = NULL;
    int n = asprintf(&request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", path, fields);
    CHECK(n > 0);
    answer a = client_ask(port, request, (size_t)n);
    free(request);
    return a;
}

bool answer_has(const answer *a, const char *text)
{
    return a->body && memmem(a->body, a->body_len, text, strlen(text)) != NULL;
}

void answer_free(answer *a)
{
    free(a->data);
    free(a->body);
    *a = (answer){ .data = NULL };
}
