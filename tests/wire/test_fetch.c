/* fetch against real sockets: tests/wire/cases/fetch-*.txt, and what a transcript cannot say.
 * "test_fetch PART" runs the cases whose names have that part, and nothing else.
 *
 * Settings of a case, with their defaults: path /file, method, body, header, bearer, resume 0,
 * follow no, max 0, idle_ms 5000, total_ms 20000, runs 1 (on one pool, until one fails), pool yes,
 * stop_head and drain_head (of the head), stop_at N and drain_at N (at the Nth piece of the body),
 * cancel_ms.
 *
 * Observations: those of wire_case.h, status (of the call), code, length, total, type, body,
 * pieces, heads (calls of on_head), bytes, stopped, retryable, retry_after_ms, error_body,
 * error_body_len, location, ms, gone_ms (since the call returned). */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fetch.h"
#include "fake_server.h"
#include "tls_server.h"
#include "wire_case.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char *part_of_name;

/* ---- one case --------------------------------------------------------------------------- */

typedef struct sink {
    wire_case *c;
    buf body;
    long pieces, heads, stop_at, drain_at, cancel_ms;
    int head_answer;
    s2a_cancel *cancel;
} sink;

static int on_head(void *ctx, const fetch_head *head)
{
    sink *s = ctx;
    s->heads++;
    if (head->status < 200 || head->status > 299)
        wire_fail(s->c, "a head of status %d was handed out", head->status);
    return s->head_answer;
}

static int on_data(void *ctx, const char *data, size_t len)
{
    sink *s = ctx;
    if (s->heads != 1)
        wire_fail(s->c, "%ld heads before the body", s->heads);
    buf_add(&s->body, data, len);
    s->pieces++;
    if (s->pieces == s->stop_at)
        return FETCH_STOP;
    return s->pieces == s->drain_at ? FETCH_DRAIN : FETCH_GO_ON;
}

static void *cancel_later(void *ctx)
{
    sink *s = ctx;
    nanosleep(&(struct timespec){ .tv_nsec = s->cancel_ms * 1000000 }, NULL);
    s2a_cancel_fire(s->cancel);
    return NULL;
}

static bool is_yes(wire_case *c, const char *key, const char *otherwise)
{
    return !strcmp(wire_get(c, key, otherwise), "yes");
}

static void fill(fetch_request *request, wire_case *c, sink *s)
{
    request->method = wire_get(c, "method", NULL);
    request->body = wire_get_bytes(c, "body", NULL, &request->body_len);
    request->bearer = wire_get(c, "bearer", NULL);
    request->resume_from = (uint64_t)wire_number(c, "resume", 0);
    request->follow_redirects = is_yes(c, "follow", "no");
    request->max_bytes = (uint64_t)wire_number(c, "max", 0);
    request->idle_timeout_ms = (uint32_t)wire_number(c, "idle_ms", 5000);
    request->total_timeout_ms = (uint32_t)wire_number(c, "total_ms", 20000);
    request->cancel = s->cancel;
    request->on_head = on_head;
    request->on_data = on_data;
    request->ctx = s;
    s->stop_at = wire_number(c, "stop_at", -1);
    s->drain_at = wire_number(c, "drain_at", -1);
    s->cancel_ms = wire_number(c, "cancel_ms", 0);
    s->head_answer = is_yes(c, "stop_head", "no") ? FETCH_STOP : FETCH_GO_ON;
    if (is_yes(c, "drain_head", "no"))
        s->head_answer = FETCH_DRAIN;
}

/* One fetch; the sink and the response are of this one alone. */
static s2a_status fetch_once(const fetch_request *request, sink *s, fetch_response *response,
                             s2a_error *err)
{
    pthread_t canceller;
    fetch_response_free(response);
    buf_reset(&s->body);
    s->pieces = s->heads = 0;
    if (s->cancel_ms)
        assert_int_equal(pthread_create(&canceller, NULL, cancel_later, s), 0);
    s2a_status status = fetch_run(request, response, err);
    if (s->cancel_ms)
        pthread_join(canceller, NULL);
    return status;
}

static void observe_response(wire_case *c, const fetch_response *response)
{
    wire_observe(c, "code", "%d", response->head.status);
    wire_observe(c, "length", "%" PRId64, response->head.content_length);
    wire_observe(c, "total", "%" PRId64, response->head.total_length);
    wire_observe(c, "type", "%s", response->head.content_type);
    wire_observe(c, "bytes", "%" PRIu64, response->bytes);
    wire_observe(c, "stopped", response->stopped ? "yes" : "no");
    wire_observe(c, "retryable", response->retryable ? "yes" : "no");
    wire_observe(c, "retry_after_ms", "%" PRIu64, response->retry_after_ms);
    wire_observe(c, "location", "%s", response->location);
    wire_observe(c, "error_body_len", "%zu", response->error_body_len);
    if (response->error_body)
        wire_observe_bytes(c, "error_body", response->error_body, response->error_body_len);
}

static void run_case(wire_case *c, fake_server *server)
{
    sink s = { .c = c, .cancel = s2a_cancel_new() };
    char url[300];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", fake_server_port(server),
             wire_get(c, "path", "/file"));
    const char *header = wire_get(c, "header", NULL);
    fetch_pool *pool = is_yes(c, "pool", "yes") ? fetch_pool_new() : NULL;
    fetch_request request = { .url = url, .headers = &header, .header_count = header ? 1 : 0 };
    fetch_response response = { 0 };
    s2a_error err = { 0 };
    request.pool = pool;
    buf_init(&s.body, 1 << 26);
    fill(&request, c, &s);
    s2a_status status = S2A_OK;
    double start = clock_ms();
    for (long i = wire_number(c, "runs", 1); status == S2A_OK && i > 0; i--)
        status = fetch_once(&request, &s, &response, &err);
    wire_observe(c, "ms", "%.0f", clock_ms() - start);
    wire_observe_gone(c, server, clock_ms());
    fetch_pool_free(pool);
    fake_server_stop(server);
    if (status != err.status)
        wire_fail(c, "the error has another status than was returned");
    wire_observe(c, "status", "%s", s2a_status_name(status) + strlen("S2A_"));
    wire_observe_bytes(c, "body", s.body.data ? s.body.data : "", s.body.len);
    wire_observe(c, "pieces", "%ld", s.pieces);
    wire_observe(c, "heads", "%ld", s.heads);
    if (s.body.len != response.bytes)
        wire_fail(c, "%zu bytes came, %" PRIu64 " were counted", s.body.len, response.bytes);
    wire_observe_words(c, err.message, "", request.bearer);
    wire_observe_server(c, server);
    observe_response(c, &response);
    fetch_response_free(&response);
    buf_free(&s.body);
    s2a_cancel_free(s.cancel);
}

static void test_cases(void **state)
{
    (void)state;
    assert_int_equal(wire_run_all("fetch", part_of_name, run_case), 0);
}

/* ---- beyond transcripts ----------------------------------------------------------------- */

#define OK_AB "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nab\n"

/* The status of one plain fetch; the response is the caller's. */
static s2a_status get(const char *url, fetch_request request, fetch_response *response,
                      s2a_error *err)
{
    *err = (s2a_error){ 0 };
    request.url = url;
    request.total_timeout_ms = 20000;
    return fetch_run(&request, response, err);
}

static void test_origin(void **state)
{
    (void)state;
    static const struct {
        const char *url, *origin;
    } cases[] = {
        { "http://127.0.0.1:8080/v1", "http://127.0.0.1:8080" },
        { "https://user:pass@example.org/a?b#c", "https://example.org" },
        { "http://[::1]:80/x", "http://[::1]:80" },
        { "nonsense", "the server" },
        { "", "the server" },
        { "http://", "the server" },
    };
    char text[64], small[12];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fetch_origin(cases[i].url, text, sizeof text);
        assert_string_equal(text, cases[i].origin);
    }
    fetch_origin("http://127.0.0.1:8080", small, sizeof small);
    assert_string_equal(small, "http://127.");
}

static void test_bad_urls(void **state)
{
    (void)state;
    static const char *const urls[] = {
        NULL,        "",        "file:///etc/passwd",      "ftp://127.0.0.1/",
        "127.0.0.1", "http://", "http://127.0.0.1:99999/", "http://a b/",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        fetch_response response;
        s2a_error err;
        s2a_status status = get(urls[i], (fetch_request){ 0 }, &response, &err);
        if (status != S2A_ARGUMENT)
            fail_msg("%s: %s %s", urls[i], s2a_status_name(status), err.message);
        assert_int_equal(err.status, S2A_ARGUMENT);
        assert_int_equal(response.head.status, 0);
        assert_int_equal(response.head.content_length, -1);
        assert_false(response.retryable);
        fetch_response_free(&response);
    }
}

/* A line break in a header or key would let its text write headers of its own. */
static void test_header_injection(void **state)
{
    (void)state;
    static const char *const headers[] = { "X: a\r\nEvil: 1" };
    fake_server *server = fake_server_start(OK_AB);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", fake_server_port(server));
    fetch_request with_header = { .headers = headers, .header_count = 1 };
    fetch_request with_key = { .bearer = "geheim\nEvil: 1" };
    fetch_response response;
    s2a_error err;
    assert_int_equal(get(url, with_header, &response, &err), S2A_ARGUMENT);
    fetch_response_free(&response);
    assert_int_equal(get(url, with_key, &response, &err), S2A_ARGUMENT);
    assert_null(strstr(err.message, "geheim"));
    fetch_response_free(&response);
    fake_server_stop(server);
    assert_int_equal(fake_server_requests(server), 0);
    fake_server_free(server);
}

static void test_refused(void **state)
{
    (void)state;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", fake_refusing_port());
    fetch_response response;
    s2a_error err;
    assert_int_equal(get(url, (fetch_request){ 0 }, &response, &err), S2A_UNAVAILABLE);
    assert_true(response.retryable);
    assert_int_equal(response.head.status, 0);
    assert_non_null(strstr(err.message, "no connection to http://127.0.0.1:"));
    fetch_response_free(&response);
    /* Longer than a part of a name may be, so that nobody is asked for it. */
    static const char name[] = "http://nobody-has-a-name-that-is-longer-than-the-sixty-three-bytes-"
                               "which-it-may-have.invalid";
    assert_int_equal(get(name, (fetch_request){ 0 }, &response, &err), S2A_UNAVAILABLE);
    assert_true(response.retryable);
    assert_non_null(strstr(err.message, name));
    assert_non_null(strstr(err.message, "check the name"));
    fetch_response_free(&response);
}

/* The environment's proxy sees a request only when the caller says so. */
static void test_proxy(void **state)
{
    (void)state;
    fake_server *server = fake_server_start(OK_AB);
    fake_server *proxy = fake_server_start("HTTP/1.1 203 P\\r\\nContent-Length: 0\\r\\n\\r\\n\n");
    char url[64], proxy_url[64], line[96];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/x", fake_server_port(server));
    snprintf(proxy_url, sizeof proxy_url, "http://127.0.0.1:%d", fake_server_port(proxy));
    setenv("http_proxy", proxy_url, 1);
    setenv("all_proxy", proxy_url, 1);
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
    fetch_response plain, proxied;
    s2a_error err;
    s2a_status plain_status = get(url, (fetch_request){ 0 }, &plain, &err);
    s2a_status proxied_status = get(url, (fetch_request){ .env_proxy = true }, &proxied, &err);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    fake_server_stop(server);
    fake_server_stop(proxy);
    assert_int_equal(plain_status, S2A_OK);
    assert_int_equal(plain.head.status, 200);
    assert_int_equal(proxied_status, S2A_OK);
    assert_int_equal(proxied.head.status, 203);
    assert_int_equal(fake_server_requests(server), 1);
    assert_int_equal(fake_server_requests(proxy), 1);
    snprintf(line, sizeof line, "GET %s HTTP/1.1\r\n", url);
    assert_memory_equal(fake_server_request(proxy, 0), line, strlen(line));
    fetch_response_free(&plain);
    fetch_response_free(&proxied);
    fake_server_free(server);
    fake_server_free(proxy);
}

/* Requests at the same time need connections of their own; the pool keeps them for the next. */
enum { THREADS = 6, FETCHES = 5 };

typedef struct worker {
    pthread_t thread;
    const char *url;
    fetch_pool *pool;
    int good;
} worker;

static void *fetch_often(void *ctx)
{
    worker *w = ctx;
    for (int i = 0; i < FETCHES; i++) {
        fetch_response response;
        s2a_error err;
        s2a_status status = get(w->url, (fetch_request){ .pool = w->pool }, &response, &err);
        w->good += status == S2A_OK && response.head.status == 200 && response.bytes == 2;
        fetch_response_free(&response);
    }
    return NULL;
}

static void test_pool_threads(void **state)
{
    (void)state;
    fake_server *server = fake_server_start(OK_AB "@keep\n");
    fetch_pool *pool = fetch_pool_new();
    assert_non_null(pool);
    char url[64];
    worker workers[THREADS];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", fake_server_port(server));
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){ .url = url, .pool = pool };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, fetch_often, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].good, FETCHES);
    }
    fetch_pool_free(pool);
    fetch_pool_free(NULL);
    fake_server_stop(server);
    assert_int_equal(fake_server_requests(server), THREADS * FETCHES);
    assert_true(fake_server_connections(server) <= THREADS);
    fake_server_free(server);
}

/* ---- TLS -------------------------------------------------------------------------------- */

static int take(void *ctx, const char *data, size_t len)
{
    buf_add(ctx, data, len);
    return FETCH_GO_ON;
}

/* The server works for who trusts its certificate, and for nobody else. */
static void test_tls_trust(void **state)
{
    (void)state;
    tls_server server;
    if (!tls_server_start(&server, "IP:127.0.0.1"))
        skip();
    tls_server_put(&server, "file", "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    buf body;
    buf_init(&body, 100);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/file", server.port);
    fetch_request request = { .on_data = take, .ctx = &body };
    fetch_response unknown, trusted;
    s2a_error unknown_err, trusted_err;
    s2a_status unknown_status = get(url, request, &unknown, &unknown_err);
    size_t leaked = body.len;
    request.ca_file = server.ca_file;
    s2a_status trusted_status = get(url, request, &trusted, &trusted_err);
    tls_server_stop(&server);
    assert_int_equal(unknown_status, S2A_UNAVAILABLE);
    assert_non_null(strstr(unknown_err.message, "TLS with https://127.0.0.1:"));
    assert_non_null(strstr(unknown_err.message, "certificate"));
    assert_non_null(strstr(unknown_err.message, "self-signed"));
    assert_false(unknown.retryable);
    assert_int_equal(leaked, 0);
    if (trusted_status != S2A_OK)
        fail_msg("trusted: %s", trusted_err.message);
    assert_string_equal(body.data, "secret");
    fetch_response_free(&unknown);
    fetch_response_free(&trusted);
    buf_free(&body);
}

/* A certificate that is trusted, of another host. */
static void test_tls_other_name(void **state)
{
    (void)state;
    tls_server server;
    if (!tls_server_start(&server, "DNS:other.example"))
        skip();
    tls_server_put(&server, "file", "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/file", server.port);
    fetch_response response;
    s2a_error err;
    s2a_status status = get(url, (fetch_request){ .ca_file = server.ca_file }, &response, &err);
    tls_server_stop(&server);
    assert_int_equal(status, S2A_UNAVAILABLE);
    assert_non_null(strstr(err.message, "TLS with https://127.0.0.1:"));
    assert_non_null(strstr(err.message, "127.0.0.1"));
    assert_non_null(strstr(err.message, "match"));
    assert_int_equal(response.bytes, 0);
    assert_int_equal(response.head.status, 0);
    fetch_response_free(&response);
}

/* A redirect from https may lead to https, never to http. */
static void test_tls_redirect(void **state)
{
    (void)state;
    tls_server server;
    if (!tls_server_start(&server, "IP:127.0.0.1"))
        skip();
    fake_server *plain = fake_server_start(OK_AB);
    char head[160], url[64];
    tls_server_put(&server, "file", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    tls_server_put(&server, "same",
                   "HTTP/1.0 302 F\r\nLocation: /file\r\nContent-Length: 0\r\n\r\n");
    snprintf(head, sizeof head,
             "HTTP/1.0 302 F\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n",
             fake_server_port(plain));
    tls_server_put(&server, "down", head);
    fetch_request request = { .ca_file = server.ca_file, .follow_redirects = true };
    fetch_response same, down;
    s2a_error err, down_err;
    snprintf(url, sizeof url, "https://127.0.0.1:%d/same", server.port);
    s2a_status same_status = get(url, request, &same, &err);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/down", server.port);
    s2a_status down_status = get(url, request, &down, &down_err);
    tls_server_stop(&server);
    fake_server_stop(plain);
    if (same_status != S2A_OK)
        fail_msg("same: %s", err.message);
    assert_int_equal(same.head.status, 200);
    assert_int_equal(same.bytes, 2);
    assert_int_equal(down_status, S2A_BACKEND);
    assert_int_equal(down.bytes, 0);
    assert_int_equal(fake_server_connections(plain), 0);
    assert_non_null(strstr(down_err.message, "redirect"));
    fetch_response_free(&same);
    fetch_response_free(&down);
    fake_server_free(plain);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),          cmocka_unit_test(test_origin),
        cmocka_unit_test(test_bad_urls),       cmocka_unit_test(test_header_injection),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_pool_threads),   cmocka_unit_test(test_tls_trust),
        cmocka_unit_test(test_tls_other_name), cmocka_unit_test(test_tls_redirect),
    };
    if (argc > 1) {
        part_of_name = argv[1];
        cmocka_set_test_filter("test_cases");
    }
    return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
