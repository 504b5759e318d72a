/* The http backend against a real llama-server on the test model: what test_http shows with
 * transcripts, shown with the server that people use. The server is ours alone: a free port of
 * 127.0.0.1, one process, which ends with the tests however they end. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fetch.h"
#include "live.h"

#define ALIAS "the-test-model"
#define CTX_TOKENS 2048u /* of each of its slots */
#define SLOTS 2
#define START_MS 60000                                              /* at most */
#define COUNT_UP "Write the numbers 1 to 300, separated by commas." /* to the context's end */

static struct {
    pid_t pid;
    int port;
    char url[64];
} server;

static s2a_engine *engine;
static backend *b;
static live_run run; /* of the test at hand; large */

/* ---- the server ----------------------------------------------------------------------------- */

static const char *server_program(void)
{
    const char *path = getenv("S2A_LLAMA_SERVER");
    return path && access(path, X_OK) == 0 ? path : NULL;
}

/* Another process may take it before the server does: then the server ends, and another starts. */
static int free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
              getsockname(fd, (struct sockaddr *)&address, &len) == 0;
    if (fd >= 0)
        close(fd);
    return ok ? ntohs(address.sin_port) : -1;
}

static void server_exec(pid_t parent)
{
    char port[16], ctx[16], slots[16];
    snprintf(port, sizeof port, "%d", server.port);
    snprintf(ctx, sizeof ctx, "%u", CTX_TOKENS * SLOTS);
    snprintf(slots, sizeof slots, "%d", SLOTS);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execl(server_program(), "llama-server", "--model", live_model(), "--alias", ALIAS, "--host",
          "127.0.0.1", "--port", port, "--ctx-size", ctx, "--parallel", slots, "--threads", "1",
          "--threads-http", "4", "--gpu-layers", "0", "--no-warmup", "--slots", "--flash-attn",
          "off", (char *)NULL);
    _exit(127);
}

/* By its id, first politely. */
static void server_stop(void)
{
    if (server.pid <= 0)
        return;
    kill(server.pid, SIGTERM);
    for (int i = 0; i < 100 && waitpid(server.pid, NULL, WNOHANG) == 0; i++) {
        if (i == 99) {
            kill(server.pid, SIGKILL);
            waitpid(server.pid, NULL, 0);
            break;
        }
        live_sleep_ms(30);
    }
    server.pid = 0;
}

static int gather(void *ctx, const char *data, size_t len)
{
    buf_add(ctx, data, len);
    return FETCH_GO_ON;
}

/* The status of GET path, 0 when nothing answers; the body in *body if that is not NULL. */
static int server_get(const char *path, buf *body)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", server.port, path);
    fetch_request request = {
        .url = url, .total_timeout_ms = 5000, .ctx = body, .on_data = body ? gather : NULL
    };
    fetch_response response;
    int status = fetch_run(&request, &response, NULL) == S2A_OK ? response.head.status : 0;
    fetch_response_free(&response);
    return status;
}

static bool server_start(void)
{
    pid_t parent = getpid();
    for (int attempt = 0; attempt < 3; attempt++) {
        server.port = free_port();
        if (server.port < 0)
            return false;
        snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d/v1", server.port);
        server.pid = fork();
        if (server.pid < 0)
            return false;
        if (server.pid == 0)
            server_exec(parent);
        double start = clock_ms();
        while (clock_ms() - start < START_MS) {
            if (waitpid(server.pid, NULL, WNOHANG) != 0) {
                server.pid = 0; /* it has ended by itself */
                break;
            }
            if (server_get("/health", NULL) == 200)
                return true;
            live_sleep_ms(50);
        }
        server_stop();
    }
    return false;
}

/* How many of its slots work just now; -1 when it does not say. */
static int slots_busy(void)
{
    buf body;
    int busy = -1;
    buf_init(&body, 1 << 20);
    if (server_get("/slots", &body) == 200) {
        json_t *slots = json_loadb(body.data, body.len, 0, NULL);
        if (json_array_size(slots) == SLOTS)
            busy = 0;
        for (size_t i = 0; busy >= 0 && i < SLOTS; i++)
            busy += json_is_true(json_object_get(json_array_get(slots, i), "is_processing"));
        json_decref(slots);
    }
    buf_free(&body);
    return busy;
}

static s2a_engine_options http_options(void)
{
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.backend = "http";
    options.url = server.url;
    options.max_retries = 0;
    return options;
}

static int setup(void **state)
{
    (void)state;
    if (!server_start()) {
        print_error("%s does not start, or not within %d ms\n", server_program(), START_MS);
        return -1;
    }
    s2a_engine_options options = http_options();
    s2a_error err;
    if (s2a_engine_open(&options, &engine, &err) != S2A_OK) {
        print_error("%s\n", err.message);
        server_stop();
        return -1;
    }
    b = live_backend(engine);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s2a_engine_close(engine);
    server_stop();
    return 0;
}

/* A generation that must work. */
static void generate(const backend_message *messages, size_t count)
{
    live_generate(b, messages, count, &run);
    if (run.status != S2A_OK)
        fail_msg("%s", run.err.message);
    assert_false(run.torn);
}

/* ---- what it serves ------------------------------------------------------------------------- */

static void test_discovery(void **state)
{
    (void)state;
    assert_string_equal(s2a_engine_model(engine), ALIAS);
    assert_int_equal(s2a_engine_ctx_tokens(engine), CTX_TOKENS);
}

/* Word by word, in the time that the words take. */
static void test_streaming(void **state)
{
    (void)state;
    run = (live_run){ .max_tokens = 40 };
    generate(&(backend_message){ "user", COUNT_UP, strlen(COUNT_UP) }, 1);
    assert_true(run.pieces >= 20);
    assert_int_equal(run.usage.finish, BACKEND_FINISH_LENGTH);
    assert_int_equal(run.usage.tokens.completion_tokens, 40);
    assert_true(run.usage.tokens.ms > 0);
}

/* The same tokens in and, as these answers leave no doubt, the same out: see live.h. */
static void test_same_as_embedded(void **state)
{
    (void)state;
    static live_run ours;
    s2a_engine *embedded = live_engine(256);
    for (size_t i = 0; i < LIVE_TALKS; i += 2) {
        live_talk talk;
        live_talk_make(&talk, i);
        run = ours = (live_run){ .max_tokens = 0 };
        generate(talk.messages, talk.count);
        live_generate(live_backend(embedded), talk.messages, talk.count, &ours);
        assert_int_equal(ours.status, S2A_OK);
        assert_string_equal(run.text, ours.text);
        assert_string_equal(run.text, talk.want);
        assert_int_equal(run.usage.finish, BACKEND_FINISH_STOP);
        assert_int_equal(run.usage.tokens.prompt_tokens, ours.usage.tokens.prompt_tokens);
        assert_int_equal(run.usage.tokens.completion_tokens, ours.usage.tokens.completion_tokens);
    }
    s2a_engine_close(embedded);
}

static void test_usage(void **state)
{
    (void)state;
    live_talk talk;
    live_talk_make(&talk, 1);
    run = (live_run){ .max_tokens = 0 };
    generate(talk.messages, talk.count);
    uint64_t prompt = run.usage.tokens.prompt_tokens;
    assert_true(prompt > 50);
    assert_true(run.usage.tokens.cached_tokens < prompt);
    generate(talk.messages, talk.count);
    assert_int_equal(run.usage.tokens.prompt_tokens, prompt);
    assert_true(run.usage.tokens.cached_tokens > prompt / 2);
    assert_true(run.usage.tokens.cached_tokens < prompt);
    assert_string_equal(run.text, talk.want);
    run = (live_run){ .max_tokens = 3 };
    generate(talk.messages, talk.count);
    assert_int_equal(run.usage.finish, BACKEND_FINISH_LENGTH);
    assert_int_equal(run.usage.tokens.completion_tokens, 3);
    assert_memory_equal(run.text, talk.want, run.len);
}

static void test_odd_texts(void **state)
{
    (void)state;
    static const char quotes[] =
        "Say \"\\\" / \b\f\n\r\t \x7F \xC2\x80 \xF0\x9F\x98\x80 <|im_end|>";
    run = (live_run){ .max_tokens = 2 };
    generate(&(backend_message){ "user", quotes, sizeof quotes - 1 }, 1);
    generate(&(backend_message){ "user", "\n", 1 }, 1);
    generate(&(backend_message){ "user", "", 0 }, 1);
}

/* ---- ending early --------------------------------------------------------------------------- */

/* COUNT_UP goes on for many seconds; a slot that is free before was let go. */
static void check_slots_free(void)
{
    double start = clock_ms();
    int busy = slots_busy();
    while (busy != 0 && clock_ms() - start < 3000) {
        live_sleep_ms(50);
        busy = slots_busy();
    }
    assert_int_equal(busy, 0);
}

typedef struct firing {
    s2a_cancel *cancel;
    sem_t go;
    double ms;
    int busy; /* slots, before */
} firing;

static void *fire(void *ctx)
{
    firing *f = ctx;
    sem_wait(&f->go);
    f->busy = slots_busy();
    f->ms = clock_ms();
    s2a_cancel_fire(f->cancel);
    return NULL;
}

static int fire_at_third(live_run *r)
{
    firing *f = r->hook_ctx;
    if (r->pieces == 3)
        sem_post(&f->go);
    return 0;
}

static void test_cancel(void **state)
{
    (void)state;
    firing f = { .cancel = s2a_cancel_new() };
    pthread_t thread;
    sem_init(&f.go, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, fire, &f), 0);
    run = (live_run){ .cancel = f.cancel, .hook = fire_at_third, .hook_ctx = &f };
    live_generate(b, &(backend_message){ "user", COUNT_UP, strlen(COUNT_UP) }, 1, &run);
    double now = clock_ms();
    sem_post(&f.go);
    pthread_join(thread, NULL);
    sem_destroy(&f.go);
    s2a_cancel_free(f.cancel);
    assert_int_equal(run.status, S2A_CANCELLED);
    assert_true(now - f.ms < 2000);
    assert_int_equal(f.busy, 1);
    check_slots_free();
}

static int stop_at_third(live_run *r)
{
    return r->pieces == 3;
}

static void test_caller_stops(void **state)
{
    (void)state;
    run = (live_run){ .hook = stop_at_third };
    generate(&(backend_message){ "user", COUNT_UP, strlen(COUNT_UP) }, 1);
    assert_int_equal(run.usage.finish, BACKEND_FINISH_CALLER);
    assert_int_equal(run.pieces, 3);
    check_slots_free();
    live_talk talk;
    live_talk_make(&talk, 2);
    run = (live_run){ .max_tokens = 0 };
    generate(talk.messages, talk.count);
    assert_string_equal(run.text, talk.want);
}

static void test_timeout(void **state)
{
    (void)state;
    s2a_engine_options options = http_options();
    options.request_timeout_ms = 700;
    s2a_engine *impatient = live_engine_with(&options);
    run = (live_run){ .max_tokens = 0 };
    live_generate(live_backend(impatient), &(backend_message){ "user", COUNT_UP, strlen(COUNT_UP) },
                  1, &run);
    assert_int_equal(run.status, S2A_TIMEOUT);
    assert_true(run.usage.tokens.ms >= 600 && run.usage.tokens.ms < 3000);
    s2a_engine_close(impatient);
    check_slots_free();
}

/* ---- what it refuses ------------------------------------------------------------------------ */

static void check_line(const char *message, const char *word)
{
    assert_null(strchr(message, '\n'));
    if (!strstr(message, word))
        fail_msg("no \"%s\" in: %s", word, message);
}

static void test_wrong_path(void **state)
{
    (void)state;
    char url[96];
    s2a_engine_options options = http_options();
    s2a_engine *lost = NULL;
    s2a_error err;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/no/such/path", server.port);
    options.url = url;
    assert_int_equal(s2a_engine_open(&options, &lost, &err), S2A_BACKEND);
    assert_null(lost);
    check_line(err.message, "status 404");
    /* With a name there is no need to look for one. */
    options.model = ALIAS;
    lost = live_engine_with(&options);
    run = (live_run){ .max_tokens = 1 };
    live_generate_text(live_backend(lost), "Hi", 2, &run);
    assert_int_equal(run.status, S2A_BACKEND);
    check_line(run.err.message, "status 404");
    check_line(run.err.message, "check the URL");
    assert_int_equal(run.pieces, 0);
    s2a_engine_close(lost);
}

static void test_context_is_full(void **state)
{
    (void)state;
    static char text[2 * 2 * CTX_TOKENS];
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, " a", 2);
    run = (live_run){ .max_tokens = 4 };
    live_generate_text(b, text, sizeof text, &run);
    assert_int_equal(run.status, S2A_LIMIT);
    check_line(run.err.message, "does not fit");
    assert_int_equal(run.pieces, 0);
}

/* ---- both steps ----------------------------------------------------------------------------- */

static s2a_result *answer(s2a_request *request)
{
    s2a_result *result = NULL;
    s2a_error err;
    if (s2a_answer(engine, request, &result, &err) != S2A_OK)
        fail_msg("%s", err.message);
    live_check_result(result);
    assert_non_null(s2a_result_answer(result, NULL));
    assert_string_equal(s2a_result_model(result), ALIAS);
    return result;
}

static void test_answer_text(void **state)
{
    (void)state;
    static const char x[] = "I think it is Rome, but I am not sure. What is the capital of Japan?";
    s2a_request *request = s2a_request_new();
    s2a_error err;
    assert_non_null(request);
    assert_int_equal(s2a_request_set_text(request, x, sizeof x - 1, &err), S2A_OK);
    assert_int_equal(s2a_request_set_sampling(request, 0, 1, 0, &err), S2A_OK);
    s2a_request_set_max_tokens(request, 12);
    s2a_result *result = answer(request);
    assert_string_equal(s2a_result_input(result, NULL), x);
    for (int step = 1; step <= 2; step++) {
        s2a_usage usage = s2a_result_usage(result, step);
        assert_true(usage.prompt_tokens > 20 && usage.completion_tokens > 0 && usage.ms > 0);
    }
    assert_true(s2a_result_usage(result, 2).completion_tokens <= 12);
    assert_true(s2a_result_fallback(result) != S2A_FALLBACK_STEP1_FAILED);
    s2a_result_free(result);
    s2a_request_free(request);
}

/* The earlier turns come to step 2, or the answer would be another. */
static void test_answer_messages(void **state)
{
    (void)state;
    live_talk talk;
    live_talk_make(&talk, 5);
    s2a_request *request = live_request(talk.messages, talk.count, 30);
    s2a_request_set_preset(request, S2A_PRESET_PLAIN);
    s2a_result *result = answer(request);
    assert_string_equal(s2a_result_answer(result, NULL), talk.want);
    assert_int_equal(s2a_result_mode(result), S2A_MODE_NONE);
    s2a_result_free(result);
    s2a_request_set_preset(request, S2A_PRESET_AUTO);
    result = answer(request);
    assert_true(s2a_result_usage(result, 1).prompt_tokens > 100); /* the prompt of step 1 */
    assert_true(s2a_result_usage(result, 2).prompt_tokens > 90);  /* the conversation */
    assert_true(s2a_result_fallback(result) != S2A_FALLBACK_STEP1_FAILED);
    s2a_result_free(result);
    s2a_request_free(request);
}

/* ---- select --------------------------------------------------------------------------------- */

/* A model beside the server judges; the server answers from what is left. What went of a message
 * stays gone, so the server finds the beginning of the conversation in its cache, turn by turn. */
static void test_turns_are_cached(void **state)
{
    (void)state;
    static const char *const said[] = {
        "I think it was Poe. The house was built in 1931, of red stone, by the harbour. It rained "
        "that day. Who lived there?",
        "Nobody knows, for the books of that year were lost in a flood, and those who could tell "
        "are dead.",
        "My cat sleeps. Was there ever a garden behind it, with a wall, a gate and old trees? Tell "
        "me in one line.",
        "There was one, with a low wall and seven pear trees, which the storm of 1950 took.",
        "I would say they were apples. Name two trees that bear fruit in the north.",
    };
    s2a_engine *judge = live_engine(512);
    s2a_engine_options options = http_options();
    options.select_engine = judge;
    s2a_engine *both = live_engine_with(&options);
    uint64_t cached = 0;
    for (size_t turns = 1; turns <= 5; turns += 2) {
        backend_message messages[5];
        for (size_t i = 0; i < turns; i++)
            messages[i] =
                (backend_message){ i % 2 ? "assistant" : "user", said[i], strlen(said[i]) };
        s2a_request *request = live_request(messages, turns, 2);
        s2a_result *result = NULL;
        s2a_error err;
        s2a_request_set_mode(request, S2A_MODE_SELECT);
        if (s2a_answer(both, request, &result, &err) != S2A_OK)
            fail_msg("%s", err.message);
        assert_int_equal(s2a_result_mode(result), S2A_MODE_SELECT);
        assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_NONE);
        s2a_usage usage = s2a_result_usage(result, 2);
        if (turns > 1 && usage.cached_tokens <= cached)
            fail_msg("turn %zu: %u tokens cached, %u before", turns, (unsigned)usage.cached_tokens,
                     (unsigned)cached);
        cached = usage.cached_tokens;
        s2a_result_free(result);
        s2a_request_free(request);
    }
    assert_true(cached > 60); /* all turns but the last */
    s2a_engine_close(both);
    s2a_engine_close(judge);
}

/* ---- many at once, and none ----------------------------------------------------------------- */

typedef struct asker {
    pthread_t thread;
    live_talk talk;
    live_run run;
} asker;

static void *ask(void *ctx)
{
    asker *a = ctx;
    live_generate(b, a->talk.messages, a->talk.count, &a->run);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static asker all[4]; /* twice as many as slots */
    for (size_t i = 0; i < 4; i++) {
        live_talk_make(&all[i].talk, i + 8);
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask, &all[i]), 0);
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(all[i].thread, NULL);
    for (size_t i = 0; i < 4; i++) {
        if (all[i].run.status != S2A_OK)
            fail_msg("%s", all[i].run.err.message);
        assert_string_equal(all[i].run.text, all[i].talk.want);
    }
}

/* The last one. */
static void test_server_is_gone(void **state)
{
    (void)state;
    server_stop();
    run = (live_run){ .max_tokens = 1 };
    live_generate_text(b, "Hi", 2, &run);
    assert_int_equal(run.status, S2A_UNAVAILABLE);
    check_line(run.err.message, "is the server running?");
    s2a_engine_options options = http_options();
    s2a_engine *none = NULL;
    assert_int_equal(s2a_engine_open(&options, &none, NULL), S2A_UNAVAILABLE);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_discovery),        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_same_as_embedded), cmocka_unit_test(test_usage),
        cmocka_unit_test(test_odd_texts),        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_caller_stops),     cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_wrong_path),       cmocka_unit_test(test_context_is_full),
        cmocka_unit_test(test_answer_text),      cmocka_unit_test(test_answer_messages),
        cmocka_unit_test(test_turns_are_cached), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_server_is_gone),
    };
    if (!live_model() || !server_program())
        return 77; /* ctest: skipped */
    return cmocka_run_group_tests(tests, setup, teardown);
}
