/* s2a serve in front of a server: what is not for step 1 goes through byte for byte. */
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

static void test_get(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nX-Up: a b\\r\\nSet-Cookie: a=1\\r\\nSet-Cookie: b=2\\r\\n"
                      "Content-Type: x/y\\r\\nConnection: X-Hop\\r\\nX-Hop: 1\\r\\n"
                      "Content-Length: 5\\r\\n\\r\\nab\\0\\xff\\n\n");
    answer a = client_get(r.port, "/a%20b/../c?q=%41&x=a+b",
                          "X-One: 1\r\nAuthorization: Bearer k\r\nX-S2A: off\r\nX-Empty:\r\n"
                          "Connection: X-Gone\r\nX-Gone: 1\r\nAccept-Encoding: gzip\r\n");
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body_len, 5);
    assert_memory_equal(a.body, "ab\0\xff\n", 5);
    assert_field(&a, "X-Up", "a b");
    assert_field(&a, "Content-Type", "x/y");
    assert_field(&a, "X-Hop", NULL);
    assert_non_null(strstr(a.data, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"));
    answer_free(&a);
    fake_server_stop(r.up);
    const char *seen = fake_server_request(r.up, 0);
    assert_non_null(strstr(seen, "GET /c?q=%41&x=a+b HTTP/1.1\r\n"));
    assert_non_null(strstr(seen, "\r\nX-One: 1\r\n"));
    assert_non_null(strstr(seen, "\r\nX-Empty:"));
    assert_non_null(strstr(seen, "\r\nAuthorization: Bearer k\r\n"));
    assert_non_null(strstr(seen, "\r\nAccept-Encoding: gzip\r\n"));
    assert_null(strcasestr(seen, "X-S2A"));
    assert_null(strstr(seen, "X-Gone"));
    assert_null(strcasestr(seen, "\r\nAccept:"));
    assert_null(strcasestr(seen, "\r\nUser-Agent:"));
    assert_non_null(strstr(seen, "\r\nX-Request-Id: s2a-"));
    rig_stop(&r);
}

static void test_base_path(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n\n");
    static const struct {
        const char *base, *asked, *seen;
    } rows[] = {
        { "", "/v1/x?y", "GET /v1/x?y " },        { "/v1", "/v1/x", "GET /v1/x " },
        { "/v1/", "/v2/x", "GET /v2/x " },        { "/api/v1", "/v1/x", "GET /api/v1/x " },
        { "/api/v1", "/other", "GET /api/other " }, { "/openai", "/v1/x", "GET /openai/x " },
        { "/v1/chat/completions", "/v1", "GET /v1 " },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char url[128];
        serve_options o;
        serve_test_options(&o);
        snprintf(url, sizeof url, "http://127.0.0.1:%d%s", fake_server_port(r.up), rows[i].base);
        o.upstream = url;
        serve *s = serve_test_start(&o);
        answer a = client_get(serve_port(s), rows[i].asked, "");
        assert_int_equal(a.status, 200);
        answer_free(&a);
        serve_stop(s);
    }
    fake_server_stop(r.up);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_memory_equal(fake_server_request(r.up, i), rows[i].seen, strlen(rows[i].seen));
    rig_stop(&r);
}

/* Nothing leaves the path of --upstream, and a route is found however its path is written. */
static void test_paths_stay(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n\n");
    static const struct {
        const char *asked, *seen; /* NULL: refused */
        int status;
    } rows[] = {
        { "/v1/../../other/secret", "GET /tenant/other/secret ", 200 },
        { "/v1/%2e%2e/%2e%2e/admin", "GET /tenant/admin ", 200 },
        { "/../admin", "GET /tenant/admin ", 200 },
        { "/v1/../v1/x", "GET /tenant/v1/x ", 200 },
        { "/v1/models/s2a-../../x", "GET /tenant/v1/models/x ", 200 },
        { "/v1/models/s2a-..", NULL, 404 },
        { "/v1/models/s2a-../", NULL, 404 },
        { "/v1/models/s2a-./x", NULL, 404 },
        { "/v1/models/s2a-..%2f..%2fx", NULL, 400 },
        { "/v1/..%2f..%2fadmin", NULL, 400 },
        { "/v1/..;/x", NULL, 400 },
    };
    char url[128];
    serve_options o;
    serve_test_options(&o);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/tenant/v1", fake_server_port(r.up));
    o.upstream = url;
    serve *s = serve_test_start(&o);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        answer a = client_get(serve_port(s), rows[i].asked, "");
        if (a.status != rows[i].status)
            print_error("%s: %d\n", rows[i].asked, a.status);
        assert_int_equal(a.status, rows[i].status);
        answer_free(&a);
    }
    answer a = client_post(serve_port(s), "/x/../v1/%63hat/./completions", "",
                           "{\"model\":\"s2a-m\",\"messages\":1}");
    assert_int_equal(a.status, 400); /* it was read, for it is that route */
    answer_free(&a);
    serve_stop(s);
    fake_server_stop(r.up);
    for (size_t i = 0; i < 5; i++)
        assert_memory_equal(fake_server_request(r.up, i), rows[i].seen, strlen(rows[i].seen));
    assert_int_equal(fake_server_requests(r.up), 5);
    rig_stop(&r);
}

static void test_statuses(void **state)
{
    (void)state;
    static const int statuses[] = { 201, 204, 301, 304, 400, 401, 404, 418, 429, 500, 503 };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char transcript[200];
        bool none = statuses[i] == 204 || statuses[i] == 304;
        snprintf(transcript, sizeof transcript,
                 "HTTP/1.1 %d Whatever\\r\\nLocation: /z\\r\\nRetry-After: 7\\r\\n%s\n", statuses[i],
                 none ? "\\r\\n" : "Content-Length: 4\\r\\n\\r\\nbody");
        rig r = rig_start(transcript);
        answer a = client_get(r.port, "/x", "");
        assert_int_equal(a.status, statuses[i]);
        assert_string_equal(a.body, none ? "" : "body");
        assert_true(a.whole);
        assert_field(&a, "Location", "/z");
        assert_field(&a, "Retry-After", "7");
        answer_free(&a);
        rig_stop(&r);
    }
}

static void test_head_and_methods(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nContent-Length: 1234\\r\\n\\r\\n\n@next\n"
                      "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok\n");
    static const char head[] = "HEAD /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    answer a = client_ask(r.port, head, sizeof head - 1);
    assert_int_equal(a.status, 200);
    assert_field(&a, "Content-Length", "1234");
    answer_free(&a);
    static const char *const methods[] = { "DELETE", "PATCH", "OPTIONS", "PUT", "PROPFIND" };
    for (size_t i = 0; i < 5; i++) {
        char request[100];
        int n = snprintf(request, sizeof request, "%s /y HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", methods[i]);
        a = client_ask(r.port, request, (size_t)n);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, "ok");
        answer_free(&a);
    }
    fake_server_stop(r.up);
    for (size_t i = 0; i < 5; i++)
        assert_memory_equal(fake_server_request(r.up, i + 1), methods[i], strlen(methods[i]));
    rig_stop(&r);
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

/* What does not ask for S2A reaches upstream in its own bytes. */
static void test_chat_body_untouched(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        ("{ \"model\" : \"m\",\n \"temperature\":0.10, \"big\":123456789012345678901234567890,"
        " \"messages\":[{\"role\":\"user\",\"content\":\"caf\\u00e9 \xf0\x9f\x98\x80\"}], \"x\":1, \"x\":2 }"),
        "not JSON at all",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"what is s2a- and \\\"s2a\\\"?\"}]}",
        "",
    };
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok\n");
    for (size_t i = 0; i < 4; i++) {
        answer a = client_post(r.port, "/v1/chat/completions", "", bodies[i]);
        assert_int_equal(a.status, 200);
        answer_free(&a);
    }
    fake_server_stop(r.up);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(fake_server_body(r.up, i), bodies[i]);
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

static void test_chunked_upload(void **state)
{
    (void)state;
    /* The upstream of the tests reads heads only; the chunks follow in the same read or are lost,
     * so it answers late. */
    rig r = rig_start("@sleep 200\nHTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok\n");
    static const char request[] = "POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    answer a = client_ask(r.port, request, sizeof request - 1);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    fake_server_stop(r.up);
    assert_non_null(strstr(fake_server_request(r.up, 0), "\r\nTransfer-Encoding: chunked\r\n"));
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

static void test_upstream_faults(void **state)
{
    (void)state;
    static const struct {
        const char *transcript;
        int status;
        bool whole;
    } rows[] = {
        { "@reset\n", 502, true },
        { "@close\n", 502, true },
        { "garbage\\r\\n\\r\\n\n", 502, true },
        { "@sleep 5000\n", 504, true },
        { "HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nshort\n", 200, false },
        { "HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nlonger\n", 200, true },
        { "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nab\n@reset\n", 200, false },
        { "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n\n", 0, false },
        { "HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\nab\n@sleep 5000\n", 200, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig r = rig_start(rows[i].transcript);
        answer a = client_get(r.port, "/x", "");
        if (rows[i].status)
            assert_int_equal(a.status, rows[i].status);
        assert_int_equal(a.whole, rows[i].whole);
        if (a.status == 502 || a.status == 504)
            assert_true(answer_has(&a, "\"code\":\"upstream_failed\""));
        answer_free(&a);
        rig_stop(&r);
    }
}

/* A server that breaks off right after some events: they still reach the client, and then the cut. */
static void test_cut_stream(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n"
                      "Transfer-Encoding: chunked\\r\\n\\r\\n\n@chunk data: 1\\n\\n\n"
                      "@chunk data: 2\\n\\n\n@close\n");
    for (size_t i = 0; i < 40; i++) {
        answer a = client_get(r.port, "/v1/stream", "");
        assert_int_equal(a.status, 200);
        assert_false(a.whole);
        assert_non_null(strstr(a.data, "data: 1\n\n"));
        assert_non_null(strstr(a.data, "data: 2\n\n"));
        answer_free(&a);
    }
    rig_stop(&r);
}

/* A client of 1.0 knows no chunks: the end of the connection is the end. 100-continue is answered
 * here, and does not reach upstream. */
static void test_old_and_careful_clients(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n\n@chunk ab\n@chunk cd\n"
                      "@chunk\n");
    int s = client_connect(r.port);
    char *data = NULL;
    size_t len = 0;
    client_text(s, "GET /x HTTP/1.0\r\n\r\n");
    assert_true(client_read(s, &data, &len, "\r\n\r\nabcd", 3000));
    assert_null(strcasestr(data, "chunked"));
    assert_true(client_closed(s, 2000));
    free(data);
    close(s);
    static const char *const paths[] = { "/v1/chat/completions", "/v1/files" };
    for (size_t i = 0; i < 2; i++) {
        char head[200];
        snprintf(head, sizeof head,
                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
                 paths[i]);
        s = client_connect(r.port);
        client_text(s, head);
        data = NULL;
        len = 0;
        assert_true(client_read(s, &data, &len, "HTTP/1.1 100 Continue\r\n\r\n", 3000));
        client_text(s, "body");
        assert_true(client_read(s, &data, &len, "0\r\n\r\n", 3000));
        free(data);
        close(s);
    }
    fake_server_stop(r.up);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(fake_server_body(r.up, 1 + i), "body");
        assert_null(strcasestr(fake_server_request(r.up, 1 + i), "Expect"));
    }
    rig_stop(&r);
}

/* What is counted once a request is done with, which is a moment after its answer. */
static void assert_comes(int port, const char *path, const char *text)
{
    bool has = false;
    for (int i = 0; i < 200 && !has; i++) {
        answer a = client_get(port, path, "");
        has = a.status == 200 && answer_has(&a, text);
        answer_free(&a);
        usleep(5000);
    }
    assert_true(has);
}

static void test_no_upstream(void **state)
{
    (void)state;
    char url[64];
    serve_options o;
    serve_test_upstream(&o, fake_refusing_port(), url);
    serve *s = serve_test_start(&o);
    answer a = client_get(serve_port(s), "/v1/models", "");
    assert_int_equal(a.status, 502);
    answer_free(&a);
    assert_comes(serve_port(s), "/health", "\"upstream\":\"down\"");
    assert_comes(serve_port(s), "/metrics", "\ns2a_upstream_up 0\n");
    assert_comes(serve_port(s), "/metrics", "\ns2a_upstream_failures_total 1\n");
    assert_comes(serve_port(s), "/metrics",
                 "s2a_requests_total{route=\"models\",status=\"502\"} 1\n");
    serve_stop(s);
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

static void test_models(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: 65\\r\\n"
                      "\\r\\n{\"object\":\"list\",\"data\":[{\"id\":\"a\",\"x\":1.5},{\"id\":\"b/c\",\"y\":[]}]}\n"
                      "@next\nHTTP/1.1 200 OK\\r\\nContent-Length: 16\\r\\n\\r\\n{\"id\":\"a\",\"x\":1}\n"
                      "@next\nHTTP/1.1 403 No\\r\\nContent-Length: 2\\r\\n\\r\\nno\n");
    answer a = client_get(r.port, "/v1/models", "");
    assert_string_equal(a.body, "{\"object\":\"list\",\"data\":[{\"id\":\"a\",\"x\":1.5},{\"id\":\"s2a-a\","
                                "\"x\":1.5},{\"id\":\"b/c\",\"y\":[]},{\"id\":\"s2a-b/c\",\"y\":[]}]}");
    answer_free(&a);
    a = client_get(r.port, "/v1/models/s2a-a", "");
    assert_string_equal(a.body, "{\"id\":\"s2a-a\",\"x\":1}");
    answer_free(&a);
    a = client_get(r.port, "/v1/models", "");
    assert_int_equal(a.status, 403);
    assert_string_equal(a.body, "no");
    answer_free(&a);
    fake_server_stop(r.up);
    assert_non_null(strstr(fake_server_request(r.up, 1), "GET /v1/models/a HTTP/1.1\r\n"));
    rig_stop(&r);
}

static void test_request_ids(void **state)
{
    (void)state;
    rig r = rig_start("HTTP/1.1 200 OK\\r\\nX-Request-Id: theirs\\r\\nContent-Length: 0\\r\\n\\r\\n\n");
    answer a = client_get(r.port, "/x", "X-Request-Id: mine-1\r\n");
    assert_field(&a, "X-Request-Id", "mine-1");
    answer_free(&a);
    a = client_get(r.port, "/x", "X-Request-Id: bad id\"\r\n");
    char *id = answer_field(&a, "X-Request-Id");
    assert_memory_equal(id, "s2a-", 4);
    assert_int_equal(strlen(id), 28);
    free(id);
    answer_free(&a);
    fake_server_stop(r.up);
    assert_non_null(strstr(fake_server_request(r.up, 0), "\r\nX-Request-Id: mine-1\r\n"));
    assert_null(strstr(fake_server_request(r.up, 1), "bad id"));
    rig_stop(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_base_path),
        cmocka_unit_test(test_paths_stay),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_head_and_methods),
        cmocka_unit_test(test_unbuffered),
        cmocka_unit_test(test_chat_body_untouched),
        cmocka_unit_test(test_upload),
        cmocka_unit_test(test_chunked_upload),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_memory_of_slow_reader),
        cmocka_unit_test(test_upstream_faults),
        cmocka_unit_test(test_cut_stream),
        cmocka_unit_test(test_old_and_careful_clients),
        cmocka_unit_test(test_no_upstream),
        cmocka_unit_test(test_hang_up),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_request_ids),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("serve_pass", tests, NULL, NULL);
}
