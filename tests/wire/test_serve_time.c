/* s2a serve: what is about time, endings and sizes, with S2A and without. The exchanges themselves
 * are tests/wire/cases/serve-*.txt. */
#include "base/clock.h"
#include "serve_rig.h"

#include "base/buf.h"
#include "base/limits.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the engine of this process --------------------------------------------------------- */

/* The head at once, and a comment at least every five seconds. */
static void test_pings(void **state)
{
    (void)state;
    rig r = embedded("@sleep 5500\n" PARTS "\n%%\nIt was Whitman.\n", NULL);
    char *data = NULL;
    size_t len = 0;
    double start = clock_ms();
    int s = ask_open(&r, ASK("\"stream\":true,"));
    assert_true(client_read(s, &data, &len, ": s2a\n\n", 1000));
    assert_true(client_read(s, &data, &len, ": s2a: step 1\n\n", 5000));
    assert_true(clock_ms() - start < 5000);
    assert_true(client_read(s, &data, &len, "[DONE]", 5000));
    free(data);
    close(s);
    rig_stop(&r);
}

/* Milliseconds from a client's end to the end of the engine's work. */
static double hang_up_ms(bool stream)
{
    rig r = embedded("@sleep 20000\nx\n", NULL);
    int s = ask_open(&r, stream ? ASK("\"stream\":true,") : ASK(""));
    bool busy = false;
    for (int i = 0; i < 200 && !busy; i++) {
        answer a = client_get(r.port, "/metrics", "");
        busy = answer_has(&a, "\ns2a_workers_busy 1\n");
        answer_free(&a);
    }
    assert_true(busy);
    double start = clock_ms();
    close(s);
    while (busy && clock_ms() - start < 2000) {
        answer a = client_get(r.port, "/metrics", "");
        busy = answer_has(&a, "\ns2a_workers_busy 1\n");
        answer_free(&a);
    }
    assert_false(busy);
    double ms = clock_ms() - start;
    rig_stop(&r);
    return ms;
}

/* Within 100 ms; another program may hold the processor that long, but not each time. */
#define assert_soon(ms)                                        \
    do {                                                       \
        double soonest = ms;                                   \
        for (int more = 0; more < 4 && soonest >= 100; more++) \
            soonest = fmin(soonest, ms);                       \
        assert_true(soonest < 100);                            \
    } while (0)

static void test_embedded_hang_up(void **state)
{
    (void)state;
    assert_soon(hang_up_ms(false));
    assert_soon(hang_up_ms(true));
}

/* ---- in front of a server --------------------------------------------------------------- */

#define PIECE(choice)                                                                        \
    "@chunk data: {\"id\":\"up\",\"model\":\"up-1\",\"choices\":[{\"index\":0," choice "}]}" \
    "\\n\\n\n"

/* A piece that is no JSON is not ours to mend; what comes after it is renamed as before. Each
 * reaches the client before the next one is sent. */
static void test_stream_odd_piece(void **state)
{
    (void)state;
    rig r = proxy(
        STEP1 STREAM "@chunk data: {\"id\":\"up\",\"n\":NaN}\\n\\n\n@sleep 700\n" PIECE(
            "\"delta\":{\"content\":\"b\"}") "@sleep 700\n" PIECE("\"delta\":{},\"finish_reason\":"
                                                                  "\"stop\"") "@chunk data: "
                                                                              "[DONE]\\n\\n\n@"
                                                                              "chunk\n",
        NULL);
    char *data = NULL;
    size_t len = 0;
    int s = ask_open(&r, ASK("\"stream\":true,"));
    assert_true(client_read(s, &data, &len, "data: {\"id\":\"up\",\"n\":NaN}\n\n", 3000));
    assert_null(strstr(data, "\"content\":\"b\""));
    assert_true(client_read(s, &data, &len, "\"content\":\"b\"", 3000));
    assert_null(strstr(data, "\"stop\""));
    assert_true(client_read(s, &data, &len, "data: [DONE]\n\n", 3000));
    assert_null(strstr(data, "up-1"));
    free(data);
    close(s);
    rig_stop(&r);
}

/* An answer without end is cut at the limit, whole or of a status that is gathered. */
static void test_endless_answer(void **state)
{
    (void)state;
    static const char *const heads[] = { CLOSED("application/json"), CLOSED("text/plain"),
                                         "HTTP/1.1 400 No\\r\\nContent-Type: a/b\\r\\n\\r\\n\n" };
    for (size_t i = 0; i < 3; i++) {
        char transcript[3000];
        int n =
            snprintf(transcript, sizeof transcript, STEP1 "%s{\"a\":\"\n@repeat 200000 ", heads[i]);
        memset(transcript + n, 'x', 1024);
        strcpy(transcript + n + 1024, "\n@gone\n");
        rig r = proxy(transcript, NULL);
        assert_answer(client_post(r.port, CHAT, "", ASK("")), 502, "too large");
        for (int k = 0; k < 300 && !(fake_server_gone_ms(r.up) > 0); k++)
            usleep(10000);
        assert_true(fake_server_gone_ms(r.up) > 0);
        rig_stop(&r);
    }
}

/* An answer that is gathered may have SERVE_REPLY_BYTES. */
static void test_reply_size(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        char transcript[3000];
        int n = snprintf(transcript, sizeof transcript,
                         STEP1 "HTTP/1.1 400 No\\r\\nContent-Type: a/b\\r\\n\\r\\n%s\n@repeat %zu ",
                         extra ? "x" : "", SERVE_REPLY_BYTES / 1024);
        memset(transcript + n, 'x', 1024);
        strcpy(transcript + n + 1024, "\n");
        rig r = proxy(transcript, NULL);
        answer a = client_post(r.port, CHAT, "", ASK(""));
        assert_int_equal(a.status, extra ? 502 : 400);
        assert_true(extra || a.body_len == SERVE_REPLY_BYTES);
        answer_free(&a);
        rig_stop(&r);
    }
}

static void one_at_a_time(serve_options *o)
{
    o->workers = o->queue = 1;
}

/* Requests that turn out to be none of ours do not wait behind step 1, nor meet its limits. */
static void test_pass_beside_step1(void **state)
{
    (void)state;
    rig r = proxy("@sleep 3000\n" CLOSED("application/json")
                      WHOLE("x", TEN) "\n@next\n"
                                      "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok\n",
                  one_at_a_time);
    int busy[3];
    for (int i = 0; i < 3; i++) {
        busy[i] = ask_open(&r, ASK(""));
        usleep(100000);
    }
    static const char *const bodies[] = {
        "{\"model\":\"m\",\"messages\":[" USER("caf\\u00e9") "]}",
        "{\"model\":\"m\",\"messages\":[" USER("what is s2a- and \\\"s2a\\\"?") "]}",
        "{\"model\":\"m\",\"messages\":[" USER("\\u0061\\u0032") "]}",
    };
    double start = clock_ms();
    for (size_t i = 0; i < 3; i++) {
        answer a = client_post(r.port, CHAT, "", bodies[i]);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, "ok");
        answer_free(&a);
    }
    assert_true(clock_ms() - start < 1500);
    fake_server_stop(r.up);
    for (int i = 0; i < 3; i++)
        close(busy[i]);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(fake_server_body(r.up, i + 1), bodies[i]);
    rig_stop(&r);
}

/* As many protected texts as there may be, and one more. */
static void test_protect_limit(void **state)
{
    (void)state;
    rig r = embedded("@score 5 -5\n@score 5 5\n@score 5 5 5\n%%\nAnn.\n", NULL);
    for (int past = 0; past < 2; past++) {
        buf body;
        buf_init(&body, 1 << 20);
        buf_adds(&body, "{\"model\":\"s2a-tiny\",\"messages\":[" USER(
                            X) "],\"s2a\":{\"protect\":[\"Poe\"");
        for (int i = 1; i < LIMIT_PROTECTED + past; i++)
            buf_adds(&body, ",\"y\"");
        buf_adds(&body, "]}}");
        assert_answer(client_post(r.port, CHAT, "", body.data), past ? 400 : 200,
                      past ? "s2a.protect" : "\"removed\":[]");
        buf_free(&body);
    }
    rig_stop(&r);
}

/* Milliseconds from a client's end to that of the request upstream. */
static double gone_ms(const char *transcript, bool stream)
{
    rig r = proxy(transcript, NULL);
    int s = ask_open(&r, stream ? ASK("\"stream\":true,") : ASK(""));
    usleep(300000);
    double ms = fake_server_gone_after(r.up, s);
    assert_true(isfinite(ms));
    rig_stop(&r);
    return ms;
}

/* The client's end is the end of the work, in either step. */
static void test_hang_up(void **state)
{
    (void)state;
    static const char *const transcripts[] = {
        "@gone\n",
        STEP1 "@gone\n",
        STEP1 STREAM CHUNK("\"delta\":{\"content\":\"Whit\"}") "@gone\n",
    };
    for (size_t i = 0; i < 6; i++)
        assert_soon(gone_ms(transcripts[i / 2], i % 2));
}

/* ---- what goes through ------------------------------------------------------------------ */

/* A piece arrives before the next one is sent. */
static void test_unbuffered(void **state)
{
    (void)state;
    rig r = proxy("HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n"
                  "Transfer-Encoding: chunked\\r\\n\\r\\n\n@chunk data: 1\\n\\n\n@sleep 400\n"
                  "@chunk data: 2\\n\\n\n@sleep 400\n@chunk data: 3\\n\\n\n@chunk\n",
                  NULL);
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
    rig r = proxy("HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok\n", NULL);
    size_t n = 3 << 20;
    char *request = malloc(n + 200);
    int head = sprintf(request,
                       "POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                       "multipart/form-data\r\nContent-Length: %zu\r\n\r\n",
                       n);
    for (size_t i = 0; i < n; i++)
        request[(size_t)head + i] = (char)(i * 2654435761u >> 13);
    assert_answer(client_ask(r.port, request, (size_t)head + n), 200, NULL);
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
    rig r = proxy("HTTP/1.1 200 OK\\r\\nContent-Length: 16777216\\r\\n\\r\\n\n"
                  "@repeat 1048576 0123456789abcdef\n",
                  NULL);
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
    char transcript[1400] =
        "HTTP/1.1 200 OK\\r\\nContent-Length: 67108864\\r\\n\\r\\n\n@repeat 65536 ";
    memset(transcript + strlen(transcript), 'x', 1024);
    strcat(transcript, "\n");
    rig r = proxy(transcript, NULL);
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
    rig r = proxy(
        "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n\n@chunk ab\n@chunk\n", NULL);
    static const char *const paths[] = { "/v1/chat/completions", "/v1/files" };
    for (size_t i = 0; i < 2; i++) {
        char head[200];
        snprintf(head, sizeof head,
                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                 "application/json\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
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
static void test_hang_up_pass(void **state)
{
    (void)state;
    static const char *const transcripts[] = {
        "@gone\n",
        "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n\n@chunk data: "
        "1\\n\\n\n@gone\n",
    };
    for (size_t i = 0; i < 2; i++) {
        rig r = proxy(transcripts[i], NULL);
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
        cmocka_unit_test(test_embedded_hang_up), cmocka_unit_test(test_pings),
        cmocka_unit_test(test_stream_odd_piece), cmocka_unit_test(test_pass_beside_step1),
        cmocka_unit_test(test_endless_answer),   cmocka_unit_test(test_reply_size),
        cmocka_unit_test(test_protect_limit),    cmocka_unit_test(test_hang_up),
        cmocka_unit_test(test_unbuffered),       cmocka_unit_test(test_upload),
        cmocka_unit_test(test_slow_reader),      cmocka_unit_test(test_memory_of_slow_reader),
        cmocka_unit_test(test_careful_client),   cmocka_unit_test(test_hang_up_pass),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("serve_time", tests, NULL, NULL);
}
