/* The http backend against real sockets: tests/wire/cases/http-*.txt, and what a transcript cannot
 * say. "test_http PART" runs the cases whose names have that part, and nothing else.
 *
 * Settings of a case, with their defaults: model m ("none" = NULL), ctx 4096 (0 = ask the server),
 * path /v1, scheme http, port (the server's; "refused" = one where nobody listens), key, retries 1,
 * idle_ms 5000, total_ms 20000, connect_ms 5000; text "Hello", system, temperature 0, top_p 1,
 * seed 0, max_tokens 16; runs 1; stop_at N and cancel_at N (at the Nth piece of text), cancel_ms N
 * (0 = before the request), pause_ms 0 (of each piece of text), text_bytes N (a text of so many x);
 * call generate, or answer with the preset of that name (and mode: rewrite or select).
 *
 * Observations: those of wire_case.h, opened, model, ctx, status, text, tokens, finish, ms,
 * prompt_tokens, cached_tokens, completion_tokens, drafted_tokens, accepted_tokens, gone_ms (since
 * the request was cancelled, or stopped), sentN.KEY: what request N says in JSON; answer, mode,
 * rewritten, fallback and detail of call answer. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "core/engine.h"
#include "fake_server.h"
#include "tls_server.h"
#include "wire_case.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const char *part_of_name;

/* ---- one case --------------------------------------------------------------------------- */

typedef struct client {
    wire_case *c;
    s2a_engine *engine;
    buf text, log, probs;
    long tokens, stop_at, cancel_at, cancel_ms, pause_ms;
    s2a_cancel *cancel;
    double ended_ms; /* when it was cancelled or stopped */
    char url[96];
} client;

static void on_log(void *ctx, int level, const char *line)
{
    client *k = ctx;
    buf_addf(&k->log, "%d %s\n", level, line);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static int on_token(void *ctx, const char *text, size_t len)
{
    client *k = ctx;
    pause_ms(k->pause_ms);
    if (!len || utf8_valid_prefix(text, len) != len || text[len])
        wire_fail(k->c, "a piece of text is empty, not UTF-8 or not ended: %s", text);
    buf_add(&k->text, text, len);
    k->tokens++;
    if (k->tokens == k->stop_at || k->tokens == k->cancel_at)
        k->ended_ms = clock_ms();
    if (k->tokens == k->cancel_at)
        s2a_cancel_fire(k->cancel);
    return k->tokens == k->stop_at;
}

static int on_step_token(void *ctx, int step, const char *text, size_t len)
{
    (void)step;
    return on_token(ctx, text, len);
}

static void *cancel_later(void *ctx)
{
    client *k = ctx;
    pause_ms(k->cancel_ms);
    k->ended_ms = clock_ms();
    s2a_cancel_fire(k->cancel);
    return NULL;
}

static s2a_status open_engine(client *k, const char *key, const fake_server *server, s2a_error *err)
{
    wire_case *c = k->c;
    const char *model = wire_get(c, "model", "m"), *port = wire_get(c, "port", NULL);
    bool refused = port && !strcmp(port, "refused");
    snprintf(k->url, sizeof k->url, "%s://127.0.0.1:%d%s", wire_get(c, "scheme", "http"),
             refused ? fake_refusing_port() : fake_server_port(server), wire_get(c, "path", "/v1"));
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.backend = "http";
    options.model = strcmp(model, "none") ? model : NULL;
    options.url = k->url;
    options.api_key = key;
    options.ctx_tokens = (uint32_t)wire_number(c, "ctx", 4096);
    options.connect_timeout_ms = (uint32_t)wire_number(c, "connect_ms", 5000);
    options.idle_timeout_ms = (uint32_t)wire_number(c, "idle_ms", 5000);
    options.request_timeout_ms = (uint32_t)wire_number(c, "total_ms", 20000);
    options.max_retries = (uint32_t)wire_number(c, "retries", 1);
    options.log = on_log;
    options.log_ctx = k;
    return s2a_engine_open(&options, &k->engine, err);
}

/* Each token as TEXT=LOGPROB, and the likeliest ones in brackets. */
static void on_logprob(void *ctx, const s2a_logprob *token, const s2a_logprob *top, size_t count)
{
    client *k = ctx;
    buf_addf(&k->probs, "%.*s=%g[", (int)token->len, token->text, token->logprob);
    for (size_t i = 0; i < count; i++)
        buf_addf(&k->probs, "%.*s=%g,", (int)top[i].len, top[i].text, top[i].logprob);
    buf_adds(&k->probs, "]");
}

static s2a_status generate(client *k, backend_usage *usage, s2a_error *err)
{
    wire_case *c = k->c;
    backend_message messages[2] = { { .role = "system" }, { .role = "user" } };
    messages[0].content = wire_get_bytes(c, "system", NULL, &messages[0].len);
    messages[1].content = wire_get_bytes(c, "text", "Hello", &messages[1].len);
    const backend_message *first = messages[0].content ? messages : messages + 1;
    size_t fill = (size_t)wire_number(c, "text_bytes", 0);
    char *filled = malloc(fill + 1);
    assert_non_null(filled);
    memset(filled, 'x', fill);
    if (fill) {
        messages[1].content = filled;
        messages[1].len = fill;
    }
    stop_text stop = { .text = NULL };
    stop.text = wire_get_bytes(c, "stop", NULL, &stop.len);
    const backend_bias bias = { (uint32_t)wire_number(c, "bias", 0), -100 };
    backend_params params = {
        .top_k = (uint32_t)wire_number(c, "top_k", 0),
        .min_p = strtod(wire_get(c, "min_p", "0"), NULL),
        .frequency_penalty = strtod(wire_get(c, "penalty", "0"), NULL),
        .presence_penalty = strtod(wire_get(c, "penalty", "0"), NULL) / 2,
        .biases = &bias,
        .bias_count = bias.token > 0,
        .stops = &stop,
        .stop_count = stop.len > 0,
        .top_logprobs = (uint32_t)wire_number(c, "logprobs", 0),
        .on_logprob = wire_number(c, "logprobs", 0) ? on_logprob : NULL,
        .on_logprob_ctx = k,
        .temperature = strtod(wire_get(c, "temperature", "0"), NULL),
        .top_p = strtod(wire_get(c, "top_p", "1"), NULL),
        .seed = (uint32_t)wire_number(c, "seed", 0),
        .max_tokens = (uint32_t)wire_number(c, "max_tokens", 16),
        .cancel = k->cancel,
    };
    backend *b = k->engine->backend;
    s2a_status status = b->vtable->generate(b, first, first == messages ? 2 : 1, &params, NULL,
                                            on_token, k, usage, err);
    free(filled);
    return status;
}

static s2a_status answer(client *k, const char *preset_name, s2a_error *err)
{
    wire_case *c = k->c;
    size_t len = 0;
    const char *text = wire_get_bytes(c, "text", "Hello", &len);
    s2a_preset preset = S2A_PRESET_AUTO;
    s2a_request *request = s2a_request_new();
    s2a_result *result = NULL;
    assert_non_null(request);
    assert_true(s2a_preset_from_name(preset_name, &preset));
    s2a_request_set_preset(request, preset);
    const char *mode = wire_get(c, "mode", NULL);
    if (mode)
        s2a_request_set_mode(request, strcmp(mode, "select") ? S2A_MODE_REWRITE : S2A_MODE_SELECT);
    s2a_request_set_cancel(request, k->cancel);
    assert_int_equal(s2a_request_set_id(request, wire_get(c, "id", NULL), err), S2A_OK);
    s2a_request_set_on_token(request, on_step_token, k);
    s2a_status status = s2a_request_set_text(request, text, len, err);
    if (status == S2A_OK)
        status = s2a_answer(k->engine, request, &result, err);
    if (result) {
        wire_observe(c, "answer", "%s", s2a_result_answer(result, NULL));
        wire_observe(c, "mode", "%s", s2a_mode_name(s2a_result_mode(result)));
        wire_observe(c, "rewritten", "%s", s2a_result_rewritten(result, NULL));
        wire_observe(c, "fallback", "%s", s2a_fallback_name(s2a_result_fallback(result)));
        wire_observe(c, "detail", "%s", s2a_result_fallback_detail(result));
    }
    s2a_result_free(result);
    s2a_request_free(request);
    return status;
}

static s2a_status call(client *k, backend_usage *usage, s2a_error *err)
{
    wire_case *c = k->c;
    const char *way = wire_get(c, "call", "generate");
    pthread_t canceller;
    bool later = k->cancel_ms > 0;
    if (later)
        assert_int_equal(pthread_create(&canceller, NULL, cancel_later, k), 0);
    else if (k->cancel_ms == 0)
        s2a_cancel_fire(k->cancel);
    s2a_status status = S2A_OK;
    if (!strncmp(way, "answer ", 7))
        status = answer(k, way + 7, err);
    else
        for (long i = wire_number(c, "runs", 1); status == S2A_OK && i > 0; i--)
            status = generate(k, usage, err);
    if (later)
        pthread_join(canceller, NULL);
    return status;
}

static void observe_usage(wire_case *c, const backend_usage *usage)
{
    static const char *const finishes[] = { "stop", "length", "caller" };
    const s2a_usage *tokens = &usage->tokens;
    wire_observe(c, "finish", "%s", finishes[usage->finish]);
    wire_observe(c, "prompt_tokens", "%llu", (unsigned long long)tokens->prompt_tokens);
    wire_observe(c, "cached_tokens", "%llu", (unsigned long long)tokens->cached_tokens);
    wire_observe(c, "completion_tokens", "%llu", (unsigned long long)tokens->completion_tokens);
    wire_observe(c, "drafted_tokens", "%llu", (unsigned long long)tokens->drafted_tokens);
    wire_observe(c, "accepted_tokens", "%llu", (unsigned long long)tokens->accepted_tokens);
}

/* Every request with a body is JSON, and says so. */
static void observe_sent(wire_case *c, const fake_server *server)
{
    for (size_t i = 0; i < fake_server_requests(server); i++) {
        const char *request = fake_server_request(server, i), *key = NULL;
        if (strncmp(request, "POST ", 5) != 0)
            continue;
        json_t *root = json_loads(fake_server_body(server, i), JSON_ALLOW_NUL, NULL), *value = NULL;
        if (!json_is_object(root) || !strstr(request, "\r\nContent-Type: application/json\r\n"))
            wire_fail(c, "request %zu is not a JSON object: %s", i, request);
        json_object_foreach(root, key, value)
        {
            char name[64];
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS |
                                               JSON_REAL_PRECISION(9));
            snprintf(name, sizeof name, "sent%zu.%.24s", i, key);
            wire_observe(c, name, "%s", text);
            free(text);
        }
        json_decref(root);
    }
}

static void run_case(wire_case *c, fake_server *server)
{
    client k = { .c = c, .cancel = s2a_cancel_new() };
    s2a_error err = { 0 };
    backend_usage usage = { 0 };
    const char *key = wire_get(c, "key", NULL);
    assert_non_null(k.cancel);
    buf_init(&k.text, 1 << 27);
    buf_init(&k.log, 1 << 16);
    buf_init(&k.probs, 1 << 16);
    buf_adds(&k.probs, "");
    buf_add(&k.text, "", 0);
    buf_adds(&k.log, "");
    k.stop_at = wire_number(c, "stop_at", -1);
    k.cancel_at = wire_number(c, "cancel_at", -1);
    k.cancel_ms = wire_number(c, "cancel_ms", -1);
    k.pause_ms = wire_number(c, "pause_ms", 0);
    double start = clock_ms();
    s2a_status status = open_engine(&k, key, server, &err);
    wire_observe(c, "opened", k.engine ? "yes" : "no");
    if (status == S2A_OK) {
        wire_observe(c, "model", "%s", s2a_engine_model(k.engine));
        wire_observe(c, "ctx", "%u", s2a_engine_ctx_tokens(k.engine));
        status = call(&k, &usage, &err);
        observe_usage(c, &usage);
    }
    wire_observe(c, "ms", "%.0f", clock_ms() - start);
    wire_observe_gone(c, server, k.ended_ms > 0 ? k.ended_ms : clock_ms());
    s2a_engine_close(k.engine);
    fake_server_stop(server);
    if (status != err.status)
        wire_fail(c, "the error has another status than was returned");
    wire_observe(c, "status", "%s", s2a_status_name(status) + strlen("S2A_"));
    wire_observe_bytes(c, "text", k.text.data ? k.text.data : "", k.text.len);
    wire_observe(c, "tokens", "%ld", k.tokens);
    wire_observe(c, "probs", "%s", k.probs.data);
    wire_observe(c, "stop", "%zu", usage.stop);
    wire_observe_words(c, err.message, k.log.data ? k.log.data : "", key);
    wire_observe_server(c, server);
    observe_sent(c, server);
    buf_free(&k.text);
    buf_free(&k.log);
    buf_free(&k.probs);
    s2a_cancel_free(k.cancel);
}

static void test_cases(void **state)
{
    (void)state;
    assert_int_equal(wire_run_all("http", part_of_name, run_case), 0);
}

/* ---- beyond transcripts ----------------------------------------------------------------- */

#define HELLO                                                                                  \
    "HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: chunked"     \
    "\\r\\n\\r\\n\n"                                                                           \
    "@chunk data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\\n\\n\n"                   \
    "@chunk data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}" \
    "\\n\\n\n"                                                                                 \
    "@chunk data: [DONE]\\n\\n\n"                                                              \
    "@chunk\n"                                                                                 \
    "@keep\n"

static s2a_engine_options http_options(const char *url)
{
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.backend = "http";
    options.model = "m";
    options.ctx_tokens = 4096;
    options.url = url;
    options.max_retries = 0;
    return options;
}

static int collect(void *ctx, const char *text, size_t len)
{
    buf_add(ctx, text, len);
    return 0;
}

static s2a_status ask(s2a_engine *engine, buf *text, s2a_error *err)
{
    backend_message message = { "user", "Hi", 2 };
    backend_params params = { .top_p = 1, .max_tokens = 4 };
    backend_usage usage;
    buf_init(text, 1 << 20);
    return engine->backend->vtable->generate(engine->backend, &message, 1, &params, NULL, collect,
                                             text, &usage, err);
}

/* Whatever form of the base URL people paste, requests go to the two endpoints. */
static void test_url_forms(void **state)
{
    (void)state;
    static const struct {
        const char *tail, *chat, *models;
    } cases[] = {
        { "", "/v1/chat/completions", "/v1/models" },
        { "/", "/v1/chat/completions", "/v1/models" },
        { "/v1", "/v1/chat/completions", "/v1/models" },
        { "/v1/", "/v1/chat/completions", "/v1/models" },
        { "/v1///", "/v1/chat/completions", "/v1/models" },
        { "/v1/chat/completions", "/v1/chat/completions", "/v1/models" },
        { "/v1/chat/completions/", "/v1/chat/completions", "/v1/models" },
        { "/api/openai/v2", "/api/openai/v2/chat/completions", "/api/openai/v2/models" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_server *server =
            fake_server_start("HTTP/1.1 200 OK\\r\\nContent-Length: 37\\r\\n\\r\\n"
                              "{\"data\":[{\"id\":\"a\"},{\"id\":\"second\"}]}\n@next\n" HELLO);
        char url[96], line[96];
        snprintf(url, sizeof url, "http://127.0.0.1:%d%s", fake_server_port(server), cases[i].tail);
        s2a_engine_options options = http_options(url);
        options.model = NULL;
        s2a_engine *engine = NULL;
        s2a_error err = { 0 };
        buf text;
        if (s2a_engine_open(&options, &engine, &err) != S2A_OK)
            fail_msg("%s: %s", url, err.message);
        assert_string_equal(s2a_engine_model(engine), "a");
        if (ask(engine, &text, &err) != S2A_OK)
            fail_msg("%s: %s", url, err.message);
        assert_string_equal(text.data, "Hello");
        buf_free(&text);
        s2a_engine_close(engine);
        fake_server_stop(server);
        assert_int_equal(fake_server_requests(server), 2);
        snprintf(line, sizeof line, "GET %s HTTP/1.1\r\n", cases[i].models);
        assert_memory_equal(fake_server_request(server, 0), line, strlen(line));
        snprintf(line, sizeof line, "POST %s HTTP/1.1\r\n", cases[i].chat);
        assert_memory_equal(fake_server_request(server, 1), line, strlen(line));
        fake_server_free(server);
    }
}

/* These are refused before anything is sent, and never repeat what may be a secret. */
static void test_url_refused(void **state)
{
    (void)state;
    static const char *const urls[] = { NULL,
                                        "",
                                        "127.0.0.1:8080",
                                        "http:/127.0.0.1",
                                        "http://127.0.0.1/v1?key=geheim",
                                        "http://127.0.0.1/v1#geheim",
                                        "http://127.0.0.1/ geheim",
                                        "ftp://geheim@127.0.0.1/v1",
                                        "file:///etc/geheim",
                                        "http://geheim@127.0.0.1:99999/v1" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        s2a_engine_options options = http_options(urls[i]);
        options.ctx_tokens = 0; /* asks the server for it */
        s2a_engine *engine = NULL;
        s2a_error err = { 0 };
        s2a_status status = s2a_engine_open(&options, &engine, &err);
        if (status != S2A_ARGUMENT || engine)
            fail_msg("%s: %s %s", urls[i], s2a_status_name(status), err.message);
        assert_null(strstr(err.message, "geheim"));
        assert_non_null(strstr(err.message, "http://"));
    }
}

/* A user and password in the URL serve the request and stay out of the error. */
static void test_url_user(void **state)
{
    (void)state;
    fake_server *server = fake_server_start("HTTP/1.1 500 X\\r\\nContent-Length: 0\\r\\n\\r\\n\n");
    char url[96];
    snprintf(url, sizeof url, "http://somebody:geheim@127.0.0.1:%d", fake_server_port(server));
    s2a_engine_options options = http_options(url);
    s2a_engine *engine = NULL;
    s2a_error err = { 0 };
    buf text;
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_OK);
    assert_int_equal(ask(engine, &text, &err), S2A_BACKEND);
    assert_null(strstr(err.message, "geheim"));
    assert_null(strstr(err.message, "somebody"));
    buf_free(&text);
    s2a_engine_close(engine);
    fake_server_stop(server);
    assert_int_equal(fake_server_requests(server), 1);
    assert_non_null(strstr(fake_server_request(server, 0), "\r\nAuthorization: Basic "));
    fake_server_free(server);
}

/* A listener whose queue is full takes no connection, and refuses none. */
static void test_connect_timeout(void **state)
{
    (void)state;
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0), filler[4];
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    for (size_t i = 0; i < 4; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(filler[i], (struct sockaddr *)&address, size);
    }
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    s2a_engine_options options = http_options(url);
    options.connect_timeout_ms = 300;
    s2a_engine *engine = NULL;
    s2a_error err = { 0 };
    buf text;
    double start = clock_ms();
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_OK);
    assert_int_equal(ask(engine, &text, &err), S2A_UNAVAILABLE);
    double took = clock_ms() - start;
    assert_non_null(strstr(err.message, "in time"));
    assert_non_null(strstr(err.message, url));
    assert_true(took >= 290 && took < 5000);
    buf_free(&text);
    s2a_engine_close(engine);
    for (size_t i = 0; i < 4; i++)
        close(filler[i]);
    close(listener);
}

/* One engine, many threads: each gets its own whole answers, on connections that are used again. */
enum { THREADS = 8, ASKS = 4 };

static void *ask_often(void *ctx)
{
    size_t good = 0;
    for (int i = 0; i < ASKS; i++) {
        s2a_error err;
        buf text;
        if (ask(ctx, &text, &err) == S2A_OK && text.data && !strcmp(text.data, "Hello"))
            good++;
        else
            fprintf(stderr, "%s\n", err.message);
        buf_free(&text);
    }
    return good == ASKS ? ctx : NULL;
}

static void test_threads(void **state)
{
    (void)state;
    fake_server *server = fake_server_start(HELLO);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", fake_server_port(server));
    s2a_engine_options options = http_options(url);
    s2a_engine *engine = NULL;
    s2a_error err;
    pthread_t threads[THREADS];
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_OK);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, engine), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, engine);
    }
    s2a_engine_close(engine);
    fake_server_stop(server);
    assert_int_equal(fake_server_requests(server), THREADS * ASKS);
    assert_true(fake_server_connections(server) <= THREADS);
    fake_server_free(server);
}

/* A certificate that nobody vouches for ends it before anything is sent, key included. */
static void test_tls_unknown(void **state)
{
    (void)state;
    tls_server server;
    if (!tls_server_start(&server, "IP:127.0.0.1"))
        skip();
    tls_server_put(&server, "v1/models",
                   "HTTP/1.0 200 OK\r\n\r\n{\"data\":[{\"id\":\"trusted\"}]}");
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d", server.port);
    s2a_engine_options options = http_options(url);
    options.model = NULL;
    options.api_key = "geheim";
    options.max_retries = 3; /* it would not help, and must not be tried */
    s2a_engine *engine = NULL;
    s2a_error err = { 0 };
    double start = clock_ms();
    s2a_status status = s2a_engine_open(&options, &engine, &err);
    double took = clock_ms() - start;
    tls_server_stop(&server);
    assert_int_equal(status, S2A_UNAVAILABLE);
    assert_null(engine);
    assert_non_null(strstr(err.message, url));
    assert_non_null(strstr(err.message, "certificate"));
    assert_non_null(strstr(err.message, "self-signed"));
    assert_null(strstr(err.message, "geheim"));
    assert_null(strstr(err.message, "tried"));
    assert_true(took < 5000);
}

/* No tokenizer: every byte counts as one. No hidden states either, so nothing judges. */
static void test_capabilities(void **state)
{
    (void)state;
    s2a_engine_options options = http_options("http://127.0.0.1:9");
    s2a_engine *engine = NULL;
    s2a_error err;
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_OK);
    backend *b = engine->backend;
    assert_int_equal(b->vtable->count_tokens(b, "a\0bc", 4), 4);
    assert_null(b->vtable->read);
    assert_false(b->vtable->capabilities(b).can_draft);
    assert_false(b->vtable->capabilities(b).can_read);
    assert_int_equal(b->vtable->capabilities(b).hidden_width, 0);
    assert_false(s2a_engine_selects(engine));
    assert_int_equal(s2a_engine_ctx_tokens(engine), 4096);
    s2a_engine_close(engine);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),           cmocka_unit_test(test_url_forms),
        cmocka_unit_test(test_url_refused),     cmocka_unit_test(test_url_user),
        cmocka_unit_test(test_connect_timeout), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_tls_unknown),     cmocka_unit_test(test_capabilities),
    };
    if (argc > 1) {
        part_of_name = argv[1];
        cmocka_set_test_filter("test_cases");
    }
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
