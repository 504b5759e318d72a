/* Processes of the benchmark, and a worker that is none: what does not start, ends, says nothing,
 * says nonsense, will not go. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bench/peer.h"
#include "scripted.h"

/* A shell script as a program; unlink and free it. */
static char *program(const char *script)
{
    char text[1024];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    char *path = temporary_file(text, strlen(text));
    assert_int_equal(chmod(path, 0700), 0);
    return path;
}

static void start(const char *script, bool pipes, bench_process *p)
{
    s2a_error err;
    char *path = program(script);
    const char *const argv[] = { path, NULL };
    if (bench_process_start(argv, pipes, p, &err) != S2A_OK)
        fail_msg("%s", err.message);
    usleep(200000); /* sh has opened its script */
    unlink(path);
    free(path);
}

static bool alive(pid_t pid)
{
    return kill(pid, 0) == 0;
}

static void test_start(void **state)
{
    (void)state;
    static const char *const bad[] = { "/no/such/program", "/dev/null", "/tmp" };
    for (size_t i = 0; i < 3; i++) {
        const char *const argv[] = { bad[i], NULL };
        bench_process p;
        s2a_error err;
        assert_int_equal(bench_process_start(argv, i % 2 == 0, &p, &err), S2A_UNAVAILABLE);
        assert_non_null(strstr(err.message, bad[i]));
        assert_int_equal(p.pid, 0);
        bench_process_stop(&p); /* none is fine */
    }
}

static void test_log_and_status(void **state)
{
    (void)state;
    bench_process p;
    int status = -1;
    char text[64];
    start("echo one; echo two >&2; echo; exit 3", false, &p);
    assert_true(bench_process_wait(&p, 10000, NULL, &status));
    assert_int_equal(status, 3);
    bench_process_last_line(&p, text, sizeof text);
    assert_string_equal(text, "two");
    bench_process_log(&p, text, sizeof text);
    assert_string_equal(text, "one\ntwo\n\n");
    bench_process_last_line(&p, text, 3);
    assert_string_equal(text, "tw");
    bench_process_stop(&p);
    start("kill -9 $$", false, &p);
    assert_true(bench_process_wait(&p, 10000, NULL, &status));
    assert_int_equal(status, 128 + SIGKILL);
    bench_process_stop(&p);
}

static void test_stop(void **state)
{
    (void)state;
    bench_process p;
    int status = 0;
    start("exec sleep 100", true, &p);
    pid_t pid = p.pid;
    assert_true(bench_process_peak_kb(pid) > 0);
    assert_false(bench_process_ended(&p));
    assert_false(bench_process_wait(&p, 50, NULL, &status)); /* in time */
    double begin = clock_ms();
    bench_process_stop(&p);
    assert_true(clock_ms() - begin < 2500);
    assert_false(alive(pid));
    bench_process_stop(&p); /* twice is fine */
    assert_int_equal(bench_process_peak_kb(pid), 0);
    /* One that does not want to. */
    start("trap '' TERM; while :; do sleep 0.1; done", false, &p);
    pid = p.pid;
    begin = clock_ms();
    bench_process_stop(&p);
    assert_true(clock_ms() - begin > 2900);
    assert_false(alive(pid));
}

static void test_ports(void **state)
{
    (void)state;
    assert_in_range(bench_process_free_port(), 1, 65535);
}

/* ---- workers -------------------------------------------------------------------------------- */

static s2a_status open_on(const char *script, const s2a_cancel *cancel, bench_peer *peer,
                          s2a_error *err)
{
    bench_engine engine = { .backend = "script", .model = "x", .timeout_ms = 1000 };
    char *path = program(script);
    s2a_status status = bench_peer_open_worker(peer, path, &engine, cancel, err);
    unlink(path);
    free(path);
    return status;
}

static void test_worker_faults(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        s2a_status want;
        const char *says;
    } rows[] = {
        { "exit 0", S2A_BACKEND, "has ended" },
        { "echo 'cannot do it' >&2; read line; exit 1", S2A_BACKEND, "it said: cannot do it" },
        { "read line; echo nonsense; sleep 1", S2A_BACKEND, "" },
        { "read line; echo '{\"status\": 7, \"error\": \"no model\"}'; sleep 1", S2A_MODEL,
          "no model" },
        { "read line; echo '{\"status\": 99, \"error\": \"what\"}'; sleep 1", S2A_BACKEND, "what" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench_peer peer;
        s2a_error err;
        if (open_on(rows[i].script, NULL, &peer, &err) != rows[i].want)
            fail_msg("%s: %s", rows[i].script, err.message);
        assert_non_null(strstr(err.message, rows[i].says));
        assert_false(peer.open);
        bench_peer_close(&peer);
    }
}

static void test_worker_dies_later(void **state)
{
    (void)state;
    bench_peer peer;
    s2a_error err;
    static bench_done done;
    char text[] = "What?";
    char *texts[] = { text };
    bench_job job = { .mode = S2A_MODE_NONE,
                      .preset = S2A_PRESET_PLAIN,
                      .max_tokens = 1,
                      .texts = texts,
                      .count = 1 };
    static const char open[] = "read line; echo '{\"model\": \"m\", \"drafts\": true}'; ";
    static const struct {
        const char *then;
        s2a_status want;
    } rows[] = { { "read line; exit 5", S2A_BACKEND },
                 { "read line; echo '{\"done\": {\"requests\": []}}'; sleep 1", S2A_BACKEND },
                 { "exit 1", S2A_BACKEND } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char script[256];
        snprintf(script, sizeof script, "%s%s", open, rows[i].then);
        assert_int_equal(open_on(script, NULL, &peer, &err), S2A_OK);
        assert_string_equal(peer.model, "m");
        assert_true(peer.drafts && peer.open);
        assert_int_equal(bench_peer_run(&peer, &job, &done, &err), rows[i].want);
        assert_int_equal(bench_peer_count(&peer, "x", 1), 0);
        bench_peer_close(&peer);
    }
}

static void test_worker_cancelled(void **state)
{
    (void)state;
    bench_peer peer;
    s2a_error err;
    s2a_cancel *cancel = s2a_cancel_new();
    s2a_cancel_fire(cancel);
    double begin = clock_ms();
    assert_int_equal(open_on("exec sleep 100", cancel, &peer, &err), S2A_CANCELLED);
    pid_t pid = peer.process.pid;
    bench_peer_close(&peer);
    assert_true(clock_ms() - begin < 2500);
    assert_false(alive(pid));
    s2a_cancel_free(cancel);
}

static void test_server_faults(void **state)
{
    (void)state;
    bench_peer peer;
    s2a_error err;
    char version[64];
    char *path = program("echo 'error: unknown argument' >&2; exit 1");
    bench_server server = {
        .program = path, .model = "x", .ctx_tokens = 512, .slots = 1, .threads = 1
    };
    assert_int_equal(bench_peer_open_server(&peer, &server, NULL, &err), S2A_UNAVAILABLE);
    assert_int_equal(err.status, S2A_UNAVAILABLE);
    assert_non_null(strstr(err.message, "unknown argument"));
    bench_peer_close(&peer);
    bench_server_version(path, version, sizeof version);
    assert_string_equal(version, "");
    unlink(path);
    free(path);
    server.program = "/no/such/server";
    assert_int_equal(bench_peer_open_server(&peer, &server, NULL, &err), S2A_UNAVAILABLE);
    bench_peer_close(&peer);
    bench_server_version("/no/such/server", version, sizeof version);
    assert_string_equal(version, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_log_and_status),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_worker_faults),
        cmocka_unit_test(test_worker_dies_later),
        cmocka_unit_test(test_worker_cancelled),
        cmocka_unit_test(test_server_faults),
    };
    signal(SIGPIPE, SIG_IGN); /* as in the tool */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
