/* s2a serve and requests that are too much or too slow, and its ending. What is not what it seems
 * is in tests/wire/cases/serve-http.txt. Where the limits of serve_limits.h that others can reach
 * have their tests, at them and past them; tests/cli/limits.sh reads this table: SERVE_HEAD_BYTES
 * tests/wire/test_serve_limits.c SERVE_ANSWER_HEAD_BYTES  tests/wire/test_serve_limits.c
 *     SERVE_HEADERS            tests/wire/test_serve_limits.c
 *     SERVE_BODY_BYTES         tests/wire/test_serve_limits.c
 *     SERVE_CONNECTIONS_SPARE  tests/wire/test_serve_limits.c
 *     SERVE_REPLY_BYTES        tests/wire/test_serve_time.c
 *     SERVE_ID_BYTES           tests/wire/cases/serve-pass.txt tests/unit/test_serve_parts.c
 *     SERVE_JSON_VALUES        tests/unit/test_serve_parts.c
 *     SERVE_ANSWER_VALUES      tests/unit/test_serve_parts.c
 *     SERVE_CHOICES            tests/wire/cases/serve-embedded.txt
 *     SERVE_TARGETS            tests/unit/test_serve_parts.c
 *     SERVE_TURNS              tests/unit/test_serve_parts.c
 *     SERVE_KEYS               tests/unit/test_serve_parts.c
 *     SERVE_LOG_BYTES          tests/unit/test_log_queue.c
 *     SERVE_REMOVED_BYTES      tests/unit/test_removed.c
 * Those of options (connections, queue, times) are tested with smaller ones. */
#include "base/clock.h"
#include "serve_rig.h"

#include "base/sha256.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"

static int status_of(int port, const char *request, size_t len)
{
    answer a = client_ask(port, request, len);
    int status = a.status;
    answer_free(&a);
    return status;
}

/* The server still works. */
static void assert_alive(int port)
{
    assert_answer(client_post(port, CHAT, "", BODY), 200, NULL);
}

#define HEAD "POST " CHAT " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"

enum { LARGEST_HEAD = SERVE_HEAD_BYTES - 2 * 64 }; /* of two fields */

static int with_head_of(int port, size_t bytes)
{
    static const char start[] = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ";
    char *request = malloc(bytes + 100);
    memcpy(request, start, sizeof start - 1);
    memset(request + sizeof start - 1, 'a', bytes - (sizeof start - 1) - 4);
    memcpy(request + bytes - 4, "\r\n\r\n", 4);
    int status = status_of(port, request, bytes);
    free(request);
    return status;
}

static void test_head_size(void **state)
{
    (void)state;
    rig r = embedded("x\n", NULL);
    assert_int_equal(with_head_of(r.port, 12000), 200);
    assert_int_equal(with_head_of(r.port, LARGEST_HEAD), 200);
    assert_int_equal(with_head_of(r.port, LARGEST_HEAD + 1), 431);
    assert_int_equal(with_head_of(r.port, SERVE_HEAD_BYTES + 2000), 431);
    char *request = malloc(SERVE_HEAD_BYTES + 200);
    int n = sprintf(request, "GET /");
    memset(request + n, 'a', SERVE_HEAD_BYTES);
    strcpy(request + n + SERVE_HEAD_BYTES, " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_int_equal(status_of(r.port, request, strlen(request)), 414);
    n = sprintf(request, "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for (int i = 0; i < SERVE_HEADERS - 1; i++)
        n += sprintf(request + n, "X-%d: 1\r\n", i);
    strcpy(request + n, "\r\n");
    assert_int_equal(status_of(r.port, request, strlen(request)), 200);
    strcpy(request + n, "X: 1\r\n\r\n");
    assert_int_equal(status_of(r.port, request, strlen(request)), 431);
    n = sprintf(request, "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for (int i = 0; i < SERVE_HEADERS - 1; i++)
        n += sprintf(request + n, "X-%02d: %0250d\r\n", i, 1);
    strcpy(request + n, "\r\n"); /* what is kept of each field counts, too */
    assert_int_equal(status_of(r.port, request, strlen(request)), 431);
    free(request);
    assert_alive(r.port);
    rig_stop(&r);
}

/* A request whose head has that many bytes, to upstream and gathered. */
static void assert_answers(int port, size_t bytes, int status)
{
    static char request[LARGEST_HEAD + 1];
    int n = sprintf(request, "GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-B: ");
    memset(request + n, 'b', bytes - (size_t)n - 4);
    strcpy(request + bytes - 4, "\r\n\r\n");
    answer a = client_ask(port, request, bytes);
    if (a.status != status)
        print_error("after a head of %zu: %d\n", bytes, a.status);
    assert_int_equal(a.status, status);
    assert_true(a.whole);
    answer_free(&a);
}

/* The largest head of an answer; one byte more is 502, and so are many fields, one that is longer
 * by far, and one that has no room beside that of the request. */
static void test_answer_head(void **state)
{
    (void)state;
    static const char start[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: \r\n\r\n";
    size_t room = SERVE_ANSWER_HEAD_BYTES - (sizeof start - 1);
    const size_t longs[] = { room, room + 1, 90000, 350, 600, 8500, 250 };
    for (int i = 0; i < 7; i++) {
        char *transcript = calloc(1, 400000), *at = transcript;
        at += sprintf(at, "HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n");
        for (int k = 0; k < (i == 3 ? 250 : 1); k++) {
            at += sprintf(at, "X-A: ");
            memset(at, 'a', longs[i]);
            at += longs[i];
            at += sprintf(at, "\\r\\n");
        }
        sprintf(at, "\\r\\n\n");
        rig r = proxy(transcript, NULL);
        int small = i == 0 || i >= 4 ? 200 : 502;
        assert_answers(r.port, 1000, small);
        assert_answers(r.port, LARGEST_HEAD, i == 6 ? 200 : 502);
        assert_answer(client_post(r.port, CHAT, "X-S2A: plain\r\n", BODY), small, NULL);
        rig_stop(&r);
        free(transcript);
    }
}

/* A head that is a little too large is told so, whatever is left of the connection's memory. */
static void test_head_just_too_large(void **state)
{
    (void)state;
    rig r = embedded("x\n", NULL);
    for (size_t bytes = LARGEST_HEAD + 1; bytes < SERVE_POOL_BYTES - 600; bytes += 61)
        assert_int_equal(with_head_of(r.port, bytes), 431);
    rig_stop(&r);
}

static void small_body(serve_options *o)
{
    o->max_body = 2000;
}

static answer with_body_of(int port, size_t bytes, bool chunked)
{
    char *request = calloc(1, bytes + 400);
    char *body = malloc(bytes + 1);
    memset(body, ' ', bytes);
    memcpy(body, BODY, strlen(BODY));
    body[bytes] = '\0';
    int n = chunked
                ? sprintf(request, HEAD "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
                          bytes, body)
                : sprintf(request, HEAD "Content-Length: %zu\r\n\r\n%s", bytes, body);
    answer a = client_ask(port, request, (size_t)n);
    free(body);
    free(request);
    return a;
}

/* What --max-body says, and what it is by itself. */
static void test_body_size(void **state)
{
    (void)state;
    for (int given = 0; given < 2; given++) {
        rig r = embedded("x\n", given ? small_body : NULL);
        size_t most = given ? 2000 : SERVE_BODY_BYTES;
        for (int chunked = 0; chunked < 2; chunked++) {
            assert_answer(with_body_of(r.port, most, chunked), 200, NULL);
            assert_answer(with_body_of(r.port, most + 1, chunked), 413, "too large");
        }
        assert_alive(r.port);
        rig_stop(&r);
    }
}

static void test_depth(void **state)
{
    (void)state;
    rig r = embedded("x\n", NULL);
    static const size_t depths[] = { LIMIT_JSON_DEPTH - 1, LIMIT_JSON_DEPTH, 100000 };
    for (size_t i = 0; i < 3; i++) { /* in the body's own braces */
        size_t n = depths[i];
        char *body = calloc(1, 2 * n + 200);
        strcpy(body, "{\"metadata\":");
        memset(body + strlen(body), '[', n);
        memset(body + strlen(body), ']', n);
        strcat(body, ",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
        answer a = client_post(r.port, CHAT, "", body);
        assert_int_equal(a.status, i > 0 ? 400 : 200);
        if (i > 0)
            assert_true(answer_has(&a, "deeper than 256"));
        answer_free(&a);
        free(body);
    }
    rig_stop(&r);
}

static void hasty(serve_options *o)
{
    o->head_ms = 300;
    o->body_ms = 600;
}

/* A byte now and then does not keep a connection open. */
static void test_slow(void **state)
{
    (void)state;
    rig r = embedded("x\n", hasty);
    static const char *const starts[] = { "GET /hea", HEAD "Content-Length: 100\r\n\r\n{" };
    for (size_t i = 0; i < 2; i++) {
        int s = client_connect(r.port);
        client_text(s, starts[i]);
        double start = clock_ms();
        char *data = NULL;
        size_t len = 0;
        bool late = false;
        for (int k = 0; k < 60 && !late; k++) {
            client_text(s, "l");
            late = client_read(s, &data, &len, "408 Request Timeout", 50);
        }
        assert_true(late);
        assert_true(clock_ms() - start < 2500);
        assert_true(client_closed(s, 2000));
        free(data);
        close(s);
    }
    assert_alive(r.port);
    rig_stop(&r);
}

static void one_worker(serve_options *o)
{
    o->workers = 1;
    o->queue = 1;
}

static void test_queue(void **state)
{
    (void)state;
    rig r = embedded("@sleep 600\nx\n", one_worker);
    int sockets[2];
    for (int i = 0; i < 2; i++) {
        sockets[i] = ask_open(&r, BODY);
        usleep(100000);
    }
    answer a = client_post(r.port, CHAT, "", BODY);
    assert_int_equal(a.status, 503);
    assert_true(answer_has(&a, "queue_full"));
    assert_field(&a, "Retry-After", "2");
    answer_free(&a);
    a = client_get(r.port, "/metrics", "");
    assert_true(answer_has(&a, "\ns2a_queue_length 1\n"));
    assert_true(answer_has(&a, "\ns2a_rejected_total 1\n"));
    answer_free(&a);
    for (int i = 0; i < 2; i++) {
        assert_answer(client_read_answer(sockets[i], false), 200, NULL);
        close(sockets[i]);
    }
    rig_stop(&r);
}

static void few_connections(serve_options *o)
{
    o->max_connections = 3;
}

static void test_connections(void **state)
{
    (void)state;
    rig r = embedded("x\n", few_connections);
    int sockets[3];
    for (int i = 0; i < 3; i++) {
        sockets[i] = client_connect(r.port);
        client_text(sockets[i], "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        assert_answer(client_read_answer(sockets[i], false), 200, NULL);
    }
    answer a = client_get(r.port, "/health", "");
    assert_int_equal(a.status, 503);
    assert_true(answer_has(&a, "too many connections"));
    char *after = answer_field(&a, "Retry-After");
    assert_non_null(after);
    free(after);
    answer_free(&a);
    for (int i = 0; i < 3; i++)
        close(sockets[i]);
    usleep(200000);
    assert_alive(r.port);
    rig_stop(&r);
}

/* Beyond those that are let in to be told 503, a connection waits until one ends. */
static void test_connections_wait(void **state)
{
    (void)state;
    enum { ALL = 3 + SERVE_CONNECTIONS_SPARE };
    rig r = embedded("x\n", few_connections);
    int sockets[ALL];
    char *data = NULL;
    size_t len = 0;
    for (int i = 0; i < ALL; i++)
        sockets[i] = client_connect(r.port);
    usleep(200000);
    int waiting = client_connect(r.port);
    client_text(waiting, "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_false(client_read(waiting, &data, &len, "HTTP/1.1", 600));
    for (int i = 0; i < ALL; i++)
        close(sockets[i]);
    assert_true(client_read(waiting, &data, &len, "HTTP/1.1 ", 10000)); /* 503 if it was early */
    free(data);
    close(waiting);
    rig_stop(&r);
}

static void burst_limit(serve_options *o)
{
    o->max_connections = 64;
}

/* A connection that is not waited for; -1 = there are no descriptors left. */
static int knock_once(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s >= 0)
        connect(s, (struct sockaddr *)&address, sizeof address);
    return s;
}

/* Waits until the number behind name in the metrics is value; the connection that asks is one. */
static void assert_metric(int port, const char *name, int value)
{
    char line[100];
    bool has = false;
    snprintf(line, sizeof line, "\n%s %d\n", name, value);
    for (int i = 0; i < 3000 && !has; i++) {
        answer a = client_get(port, "/metrics", "");
        has = a.status == 200 && answer_has(&a, line);
        answer_free(&a);
        usleep(10000);
    }
    assert_true(has);
}

/* Ten times as many connections as are let in, all at once and three times over: it answers after
 * that, none is counted any more, and it ends. */
static void burst(const char *sent, bool stay)
{
    enum { ALL = 10 * (64 + SERVE_CONNECTIONS_SPARE) };
    static int sockets[ALL];
    bool done[ALL];
    rig r = embedded("x\n", burst_limit);
    for (int round = 0; round < 3; round++) {
        memset(done, 0, sizeof done);
        for (int i = 0; i < ALL; i++)
            sockets[i] = knock_once(r.port);
        for (int k = 0; k < (stay ? 20 : 1); k++) {
            for (int i = 0; i < ALL; i++) /* once it is connected, and once only */
                if (!done[i])
                    done[i] = send(sockets[i], sent, strlen(sent), MSG_NOSIGNAL) >= 0;
            usleep(stay ? 50000 : 1);
        }
        for (int i = 0; i < ALL; i++)
            close(sockets[i]);
    }
    assert_metric(r.port, "s2a_connections", 1);
    assert_metric(r.port, "s2a_in_flight", 1);
    assert_alive(r.port);
    double start = clock_ms();
    rig_stop(&r);
    assert_true(clock_ms() - start < 5000);
}

static void test_burst_idle(void **state)
{
    (void)state;
    burst("", true);
    burst("", false);
}

static void test_burst_half_heads(void **state)
{
    (void)state;
    burst("GET /health HTTP/1.1\r\nHost: 127", true);
    burst("GET /health HTTP/1.1\r\nHost: 127", false);
}

/* A client that leaves with half a head makes room at once, not when the next tick comes. */
static void test_leave_half_heads(void **state)
{
    (void)state;
    enum { ALL = 20, TICK_MS = 250 };
    static const char half[] = "GET /health HTTP/1.1\r\nHost: 127";
    rig r = embedded("x\n", NULL);
    double start = clock_ms();
    for (int i = 0; i < ALL; i++) {
        int s = client_connect(r.port);
        client_text(s, half);
        close(s);
        assert_metric(r.port, "s2a_connections", 1);
    }
    assert_true(clock_ms() - start < (double)ALL * TICK_MS / 2);
    rig_stop(&r);
}

static void test_burst_requests(void **state)
{
    (void)state;
    burst("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", true);
    burst(HEAD "Content-Length: 100\r\n\r\n{", true);
    burst(HEAD "Content-Length: 100\r\n\r\n{", false);
}

/* ---- keys ------------------------------------------------------------------------------- */

static char keys_path[] = "/tmp/s2a-keys-XXXXXX";

static void keys_write(const char *one, const char *two)
{
    FILE *f = fopen(keys_path, "w");
    char hex[SHA256_HEX_SIZE];
    assert_non_null(f);
    fprintf(f, "# keys\n\n");
    const char *both[] = { one, two };
    for (size_t i = 0; i < 2; i++) {
        if (!both[i])
            continue;
        assert_int_equal(sha256_bytes(both[i], strlen(both[i]), hex, NULL), S2A_OK);
        fprintf(f, "%s  name\n", hex);
    }
    fclose(f);
}

static int with_key(int port, const char *path, const char *key)
{
    char field[100];
    snprintf(field, sizeof field, "Authorization: Bearer %s\r\n", key);
    answer a = client_get(port, path, field);
    int status = a.status;
    answer_free(&a);
    return status;
}

static void with_keys(serve_options *o)
{
    o->keys_file = keys_path;
}

static void test_keys_reloaded(void **state)
{
    (void)state;
    close(mkstemp(keys_path));
    keys_write("alpha", "beta");
    rig r = embedded("x\n", with_keys);
    assert_int_equal(with_key(r.port, "/v1/models", "alpha"), 200);
    assert_int_equal(with_key(r.port, "/v1/models", "beta"), 200);
    keys_write("gamma", NULL);
    assert_int_equal(with_key(r.port, "/v1/models", "alpha"), 200);
    assert_int_equal(serve_reload(r.s, NULL), S2A_OK);
    assert_int_equal(with_key(r.port, "/v1/models", "alpha"), 401);
    assert_int_equal(with_key(r.port, "/v1/models", "gamma"), 200);
    keys_write(NULL, NULL); /* no key in it: the old ones stay */
    s2a_error err;
    assert_int_equal(serve_reload(r.s, &err), S2A_ARGUMENT);
    assert_int_equal(with_key(r.port, "/v1/models", "gamma"), 200);
    rig_stop(&r);
    unlink(keys_path);
}

/* ---- ending ----------------------------------------------------------------------------- */

static void test_drain(void **state)
{
    (void)state;
    rig r = embedded("@sleep 500\nx\n", NULL);
    int idle = client_connect(r.port);
    client_text(idle, "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    answer a = client_read_answer(idle, false);
    answer_free(&a);
    int busy = ask_open(&r, BODY);
    usleep(100000);
    serve_quiesce(r.s);
    assert_int_equal(serve_active(r.s), 1);
    assert_true(client_closed(idle, 3000));
    a = client_read_answer(busy, false);
    assert_int_equal(a.status, 200);
    assert_field(&a, "Connection", "close");
    answer_free(&a);
    assert_true(client_closed(busy, 2000));
    for (int i = 0; i < 100 && serve_active(r.s) > 0; i++)
        usleep(10000);
    assert_int_equal(serve_active(r.s), 0);
    close(busy);
    close(idle);
    rig_stop(&r);
}

typedef struct knocker {
    uint16_t port;
    atomic_bool *stop;
} knocker;

/* Comes, asks and goes, until the door stays shut. */
static void *knock(void *ctx)
{
    const knocker *k = ctx;
    static const char request[] = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(k->port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    while (!atomic_load(k->stop)) {
        char bytes[64];
        int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(s, (struct sockaddr *)&address, sizeof address) == 0 &&
            send(s, request, sizeof request - 1, MSG_NOSIGNAL) > 0) {
            ssize_t ignored = recv(s, bytes, sizeof bytes, 0);
            (void)ignored;
        }
        close(s);
    }
    return NULL;
}

/* It stops while connections come and go. */
static void test_stop_busy(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        rig r = embedded("x\n", NULL);
        atomic_bool stop = false;
        knocker k = { .port = (uint16_t)r.port, .stop = &stop };
        pthread_t threads[4];
        for (int t = 0; t < 4; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, knock, &k), 0);
        usleep(10000 + 500 * (useconds_t)i);
        double start = clock_ms();
        rig_stop(&r);
        assert_true(clock_ms() - start < 5000);
        atomic_store(&stop, true);
        for (int t = 0; t < 4; t++)
            pthread_join(threads[t], NULL);
    }
}

/* What still runs when it stops is cut, and nothing waits for it. */
static void test_stop_cuts(void **state)
{
    (void)state;
    rig r = embedded("@sleep 20000\nx\n", NULL);
    int s = ask_open(&r, BODY);
    usleep(100000);
    double start = clock_ms();
    rig_stop(&r);
    assert_true(clock_ms() - start < 3000);
    assert_true(client_closed(s, 1000));
    close(s);
}

static void *mix(void *ctx)
{
    int port = *(int *)ctx;
    unsigned int seed = (unsigned int)(uintptr_t)&port;
    for (int i = 0; i < 30; i++) {
        int s = client_connect(port), what = rand_r(&seed) % 4;
        char request[500];
        sprintf(request,
                HEAD "Content-Length: %zu\r\n\r\n"
                     "{\"model\":\"s2a-tiny\",\"stream\":true,\"messages\":[{\"role\":\"user\","
                     "\"content\":\"x\"}]}",
                strlen("{\"model\":\"s2a-tiny\",\"stream\":true,\"messages\":[{\"role\":\"user\","
                       "\"content\":"
                       "\"x\"}]}"));
        client_send(s, request, what == 0 ? 50 : strlen(request));
        if (what == 1)
            usleep((useconds_t)(rand_r(&seed) % 20000));
        if (what >= 2) {
            assert_answer(client_read_answer(s, false), 200, "[DONE]");
        }
        close(s);
    }
    return NULL;
}

/* Clients that come and go, all at once: every answer that is read is whole. */
static void test_mixed_load(void **state)
{
    (void)state;
    rig r = embedded("@sleep 5\nx y z\n", NULL);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mix, &r.port), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 200 && serve_active(r.s) > 0; i++)
        usleep(10000);
    assert_int_equal(serve_active(r.s), 0);
    rig_stop(&r);
}

static void test_bad_options(void **state)
{
    (void)state;
    serve_options o;
    serve *s = NULL;
    s2a_error err;
    serve_test_options(&o);
    assert_int_equal(serve_start(&o, &s, &err), S2A_ARGUMENT);
    static const char *const urls[] = { "x", "ftp://h/v1", "http://u@h/v1", "http://h/v1?x" };
    for (size_t i = 0; i < 4; i++) {
        o.upstream = urls[i];
        assert_int_equal(serve_start(&o, &s, &err), S2A_ARGUMENT);
        assert_null(s);
    }
    o.upstream = "http://127.0.0.1:1/v1";
    o.host = "nowhere";
    assert_int_equal(serve_start(&o, &s, &err), S2A_ARGUMENT);
    o.host = "192.0.2.1"; /* of nobody: RFC 5737 */
    assert_int_equal(serve_start(&o, &s, &err), S2A_IO);
    o.host = NULL;
    o.keys_file = "/nonexistent";
    assert_int_equal(serve_start(&o, &s, &err), S2A_IO);
    o.keys_file = NULL;
    o.tls_cert = o.tls_key = "nonsense";
    assert_int_equal(serve_start(&o, &s, &err), S2A_ARGUMENT);
    o.tls_cert = o.tls_key = NULL;
    o.access_log = "/nonexistent/log";
    assert_int_equal(serve_start(&o, &s, &err), S2A_IO);
    assert_null(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_size),
        cmocka_unit_test(test_answer_head),
        cmocka_unit_test(test_head_just_too_large),
        cmocka_unit_test(test_body_size),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_connections_wait),
        cmocka_unit_test(test_burst_idle),
        cmocka_unit_test(test_burst_half_heads),
        cmocka_unit_test(test_leave_half_heads),
        cmocka_unit_test(test_burst_requests),
        cmocka_unit_test(test_keys_reloaded),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_stop_cuts),
        cmocka_unit_test(test_stop_busy),
        cmocka_unit_test(test_mixed_load),
        cmocka_unit_test(test_bad_options),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("serve_limits", tests, NULL, NULL);
}
