/* The queue before a log: who writes never waits, whatever the file does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "serve/access_log.h"
#include "serve/keys.h"
#include "serve/log_queue.h"
#include "serve/serve_limits.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/s2a-log-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/s2a-log-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/log", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static log_queue *opened(void)
{
    log_queue *q = NULL;
    s2a_error err;
    double start = clock_ms();
    assert_int_equal(log_queue_open(path, &q, &err), S2A_OK);
    assert_true(clock_ms() - start < 2000);
    return q;
}

static char *contents(void)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static void put(log_queue *q, const char *line)
{
    log_queue_put(q, line, strlen(line));
}

static void test_lines(void **state)
{
    (void)state;
    log_queue *q = opened();
    for (int i = 0; i < 1000; i++)
        put(q, "a line\n");
    assert_int_equal(log_queue_dropped(q), 0);
    log_queue_close(q);
    char *text = contents();
    assert_int_equal(strlen(text), 7000);
    free(text);
    log_queue_close(NULL);
}

/* Nobody reads it, from the beginning or after a while: opening, writing and closing wait for
 * nobody. */
static void test_stalled(void **state)
{
    (void)state;
    for (int reader = 0; reader < 2; reader++) {
        assert_int_equal(mkfifo(path, 0600), 0);
        int r = reader ? open(path, O_RDONLY | O_NONBLOCK) : -1;
        log_queue *q = opened();
        char *line = malloc(65536);
        memset(line, 'x', 65535);
        line[65535] = '\n';
        double start = clock_ms();
        for (size_t i = 0; i < 4 * SERVE_LOG_BYTES / 65536; i++)
            log_queue_put(q, line, 65536);
        assert_true(log_queue_dropped(q) > 0);
        log_queue_reopen(q);
        log_queue_reopen(q);
        log_queue_close(q);
        assert_true(clock_ms() - start < SERVE_LOG_CLOSE_MS + 4000);
        free(line);
        if (r >= 0)
            close(r);
        unlink(path);
    }
    fclose(fopen(path, "w"));
}

/* At the limit of what may wait, and one byte past it; a line that is alone is always taken. */
static void test_limit(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        assert_int_equal(mkfifo(path, 0600), 0);
        log_queue *q = opened();
        char *big = calloc(1, SERVE_LOG_BYTES + 1);
        log_queue_put(q, big, SERVE_LOG_BYTES / 2);
        usleep(50000); /* the thread has it and waits; it still counts */
        log_queue_put(q, big, SERVE_LOG_BYTES / 2 + extra);
        assert_int_equal(log_queue_dropped(q), extra);
        log_queue_close(q);
        q = opened();
        log_queue_put(q, big, SERVE_LOG_BYTES + 1);
        assert_int_equal(log_queue_dropped(q), 0);
        log_queue_close(q);
        free(big);
        unlink(path);
    }
    fclose(fopen(path, "w"));
}

/* A file that has no room in the middle of a line: the rest follows once there is, and no other
 * line gets in between; what was lost is counted. The limit of the process stands for a
 * full disk. */
static void test_no_room(void **state)
{
    (void)state;
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 105;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    log_queue *q = opened();
    for (int i = 0; i < 20; i++)
        put(q, "a whole line\n"); /* eight go in, and one byte of the ninth */
    for (int i = 0; i < 200 && log_queue_dropped(q) < 11; i++)
        usleep(10000);
    assert_int_equal(log_queue_dropped(q), 11);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    put(q, "the last line\n");
    log_queue_close(q);
    char *text = contents(), *want = calloc(1, 400);
    for (int i = 0; i < 9; i++)
        strcat(want, "a whole line\n");
    strcat(want, "the last line\n");
    assert_string_equal(text, want);
    free(text);
    free(want);
}

static void test_reopen(void **state)
{
    (void)state;
    char old[80];
    snprintf(old, sizeof old, "%s/old", dir);
    log_queue *q = opened();
    put(q, "one\n");
    usleep(100000);
    assert_int_equal(rename(path, old), 0);
    log_queue_reopen(q);
    put(q, "two\n");
    log_queue_close(q);
    char *text = contents();
    assert_string_equal(text, "two\n");
    free(text);
    unlink(old);
}

/* The lines after a loss say how many were lost. */
static void test_loss_is_said(void **state)
{
    (void)state;
    access_log *log = NULL;
    s2a_error err;
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    assert_int_equal(access_log_open(path, &log, &err), S2A_OK);
    access_log_write(log, json_pack("{s:i}", "a", 1));
    for (int i = 0; i < 200 && access_log_dropped(log) == 0; i++)
        usleep(10000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    access_log_write(log, json_pack("{s:i}", "a", 2));
    access_log_close(log);
    char *text = contents();
    assert_non_null(strstr(text, "\"a\":2,\"log_dropped\":1}\n"));
    assert_null(strstr(text, "\"a\":1"));
    free(text);
}

/* Nor does it hold up who reads the keys again. */
static void test_keys_of_fifo(void **state)
{
    (void)state;
    keys *k = NULL;
    s2a_error err;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(keys_load(path, &k, &err), S2A_ARGUMENT);
    assert_null(k);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    alarm(120);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stalled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reopen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loss_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_of_fifo, set_up, tear_down),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("log_queue", tests, NULL, NULL);
}
