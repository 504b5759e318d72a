/* s2a serve in front of a server: what goes through it as it comes, in time, and of any size. The
 * exchanges themselves are tests/wire/cases/serve-pass.txt. */
#include "base/clock.h"
#include "serve_rig.h"


#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void idle_soon(serve_options *o)
{
    o->upstream_idle_ms = 1000;
}

static rig rig_start(const char *transcript)
{
    return proxy(transcript, idle_soon);
}

/* A piece arrives before the next one is sent. */
static void test_unbuffered(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n"
                      "Transfer-Encoding: chunked\\r\\n\\r\\n\n@chunk data: 1\\n\\n\n@sleep 400\n"
                      "@chunk data: 2\\n\\n\n@sleep 400\n@chunk data: 3\\n\\n\n@chunk\n");
    int s = client_connect(r.port);
    char *data = NULL;
    size_t len = 0;
    double start = clock_ms();
    client_text(s, "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_true(client_read(s, &data, &len, "data: 1\n\n", 2000));
    assert_true(clock_ms() - start < 350);
    assert_null(strstr(data, "data: 2"));
    assert_true(client_read(s, &data, &len, "data: 2\n\n", 2000));
    assert_true(clock_ms() - start < 750);
    assert_true(client_read(s, &data, &len, "0\r\n\r\n", 2000));
    free(data);
    close(s);
    rig_stop(&r);
}

static void test_upload(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok\n");
    size_t n = 3 << 20;
    char *request = malloc(n + 200);
    int head = sprintf(request, "POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data\r\nContent-Length: %zu\r\n\r\n", n);
    for (size_t i = 0; i < n; i++)
        request[(size_t)head + i] = (char)(i * 2654435761u >> 13);
    answer a = client_ask(r.port, request, (size_t)head + n);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    fake_server_stop(r.up);
    assert_memory_equal(fake_server_body(r.up, 0), request + head, n);
    assert_null(strcasestr(fake_server_request(r.up, 0), "100-continue"));
    free(request);
    rig_stop(&r);
}

/* Through a client that waits: nothing is lost while upstream is made to wait, too. */
static void test_slow_reader(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nContent-Length: 16777216\\r\\n\\r\\n\n"
                      "@repeat 1048576 0123456789abcdef\n");
    int s = client_connect(r.port);
    client_text(s, "GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    usleep(300000);
    answer a = client_read_answer(s, false);
    assert_true(a.whole);
    assert_int_equal(a.body_len, 16777216);
    for (size_t i = 0; i < a.body_len; i += 16)
        assert_memory_equal(a.body + i, "0123456789abcdef", 16);
    answer_free(&a);
    close(s);
    rig_stop(&r);
}

static size_t resident_kib(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %zu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* What a client does not take is not taken from upstream: it is kept by nobody. */
static void test_memory_of_slow_reader(void **state)
{
    (void)state;
    char transcript[1400] = "HTTP/1.1 200 OK\\r\\nContent-Length: 67108864\\r\\n\\r\\n\n@repeat 65536 ";
    memset(transcript + strlen(transcript), 'x', 1024);
    strcat(transcript, "\n");
    rig r = rig_start(transcript);
    int s = client_connect(r.port);
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &(int){ 65536 }, sizeof(int));
    size_t before = resident_kib();
    client_text(s, "GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    usleep(1500000);
    assert_true(resident_kib() < before + 16384);
    close(s);
    rig_stop(&r);
}

/* 100-continue is answered here, and does not reach upstream. */
static void test_careful_client(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n\n@chunk ab\n@chunk\n");
    static const char *const paths[] = { "/v1/chat/completions", "/v1/files" };
    for (size_t i = 0; i < 2; i++) {
        char head[200];
        snprintf(head, sizeof head,
                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
                 paths[i]);
        int s = client_connect(r.port);
        char *data = NULL;
        size_t len = 0;
        client_text(s, head);
        assert_true(client_read(s, &data, &len, "HTTP/1.1 100 Continue\r\n\r\n", 3000));
        client_text(s, "body");
        assert_true(client_read(s, &data, &len, "0\r\n\r\n", 3000));
        free(data);
        close(s);
    }
    fake_server_stop(r.up);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(fake_server_body(r.up, i), "body");
        assert_null(strcasestr(fake_server_request(r.up, i), "Expect"));
    }
    rig_stop(&r);
}

/* The client's end is upstream's end, also while nothing is sent. */
static void test_hang_up(void **state)
{
    (void)state;
    static const char *const transcripts[] = {
        "@gone\n",
        "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n\n@chunk data: 1\\n\\n\n@gone\n",
    };
    for (size_t i = 0; i < 2; i++) {
        rig r = rig_start(transcripts[i]);
        int s = client_connect(r.port);
        client_text(s, "GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        usleep(200000);
        assert_true(fake_server_gone_after(r.up, s) < 100);
        rig_stop(&r);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unbuffered),
        cmocka_unit_test(test_upload),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_memory_of_slow_reader),
        cmocka_unit_test(test_careful_client),
        cmocka_unit_test(test_hang_up),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("serve_pass", tests, NULL, NULL);
}
