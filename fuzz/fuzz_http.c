/* Bytes on a connection of s2a serve: whatever they are, an answer is HTTP or there is none, and
 * the server goes on. Slow as fuzzing goes: each input is a connection. libFuzzer's alarm for
 * -timeout restarts no call, so that every one that may wait is tried again. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char replay[] = "Unbiased text context: a\n\nQuestion/Query: b?\n%%\nanswer\n";

static int start(void)
{
    char path[] = "/tmp/s2a-fuzz-XXXXXX";
    int fd = mkstemp(path);
    s2a_engine_options e;
    s2a_engine *engine = NULL;
    serve *server = NULL;
    if (fd < 0 || write(fd, replay, sizeof replay - 1) != (ssize_t)sizeof replay - 1)
        abort();
    close(fd);
    s2a_engine_options_init(&e);
    e.backend = "script";
    e.model = path;
    serve_options o;
    serve_options_init(&o);
    o.access_log = "off";
    o.model = "m";
    o.max_body = 4096;
    if (s2a_engine_open(&e, &engine, NULL) != S2A_OK)
        abort();
    unlink(path);
    o.engine = engine;
    if (serve_start(&o, &server, NULL) != S2A_OK)
        abort();
    return serve_port(server);
}

static int connect_to(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    /* Linux waits for the same connection when called again. */
    if (s < 0 || TEMP_FAILURE_RETRY(connect(s, (struct sockaddr *)&address, sizeof address)) != 0)
        abort();
    return s;
}

/* Reads what comes within ms, at most size bytes. */
static size_t receive(int s, char *text, size_t size, int ms)
{
    struct pollfd fd = { .fd = s, .events = POLLIN };
    size_t len = 0;
    while (len < size && TEMP_FAILURE_RETRY(poll(&fd, 1, ms)) > 0) {
        ssize_t n = TEMP_FAILURE_RETRY(recv(s, text + len, size - len, 0));
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int port;
    static unsigned int runs;
    char text[4096];
    if (!port)
        port = start();
    int s = connect_to(port);
    for (size_t at = 0; at < size;) {
        ssize_t n = TEMP_FAILURE_RETRY(send(s, data + at, size - at, MSG_NOSIGNAL));
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    size_t len = receive(s, text, sizeof text, 5);
    if (len >= 9 && memcmp(text, "HTTP/1.", 7) != 0)
        abort();
    setsockopt(s, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
    close(s);
    if (++runs % 64 == 0) { /* it is still there */
        static const char health[] =
            "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        s = connect_to(port);
        send(s, health, sizeof health - 1, MSG_NOSIGNAL);
        if (receive(s, text, 12, 10000) < 12 || memcmp(text, "HTTP/1.1 200", 12) != 0)
            abort();
        close(s);
    }
    return 0;
}
