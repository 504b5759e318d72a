/* tune: which numbers of threads are tried, which one is taken, and the file that remembers it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/llama/tune.h"

static void check_candidates(uint32_t cores, const uint32_t *want, size_t count)
{
    uint32_t got[TUNE_CANDIDATES];
    assert_int_equal(tune_candidates(cores, got), count);
    assert_memory_equal(got, want, count * sizeof *want);
}

static void test_candidates(void **state)
{
    (void)state;
    check_candidates(0, (uint32_t[]){ 1 }, 1);
    check_candidates(1, (uint32_t[]){ 1 }, 1);
    check_candidates(2, (uint32_t[]){ 2, 1 }, 2);
    check_candidates(3, (uint32_t[]){ 3, 1 }, 2);
    check_candidates(6, (uint32_t[]){ 6, 5, 3, 1 }, 4);
    check_candidates(16, (uint32_t[]){ 16, 12, 8, 4, 2, 1 }, 6);
    uint32_t got[TUNE_CANDIDATES];
    size_t count = tune_candidates(UINT32_MAX, got);
    assert_int_equal(count, TUNE_CANDIDATES);
    for (size_t i = 1; i < count; i++)
        assert_true(got[i] < got[i - 1]);
}

static void check_choice(const tune_time *times, size_t count, uint32_t read, uint32_t write)
{
    tuning t = tune_choose(times, count);
    assert_int_equal(t.read_threads, read);
    assert_int_equal(t.write_threads, write);
}

static void test_choice(void **state)
{
    (void)state;
    /* eight cores of two threads each: reading gains a little from all, writing loses */
    const tune_time shared[] = {
        { 16, 90, 60 }, { 12, 110, 45 }, { 8, 95, 40 }, { 4, 190, 41 }, { 2, 380, 70 },
    };
    check_choice(shared, 5, 16, 8);
    check_choice(shared, 1, 16, 16);
    /* not for less than a tenth */
    const tune_time close[] = { { 2, 100, 20 }, { 1, 91, 18.1 } };
    check_choice(close, 2, 2, 2);
    const tune_time clear[] = { { 2, 100, 20 }, { 1, 89, 17.9 } };
    check_choice(clear, 2, 1, 1);
}

static void test_goes_on(void **state)
{
    (void)state;
    const tune_time times[] = {
        { 16, 100, 50 }, { 12, 120, 40 }, { 8, 149, 61 }, { 4, 151, 59 }, { 2, 300, 61 }
    };
    assert_true(tune_goes_on(times, 0));
    assert_true(tune_goes_on(times, 1));
    assert_true(tune_goes_on(times, 2));
    assert_true(tune_goes_on(times, 3)); /* reading is not hopeless */
    assert_true(tune_goes_on(times, 4)); /* writing is not */
    assert_false(tune_goes_on(times, 5));
}

static bool disturbed(double total, double idle, double own)
{
    tune_use before = { 1000, 300, 2 }, after = { 1000 + total, 300 + idle, 2 + own };
    return tune_was_disturbed(&before, &after);
}

static void test_disturbed(void **state)
{
    (void)state;
    assert_false(disturbed(0, 0, 0));
    assert_false(disturbed(4, 0, 4)); /* all ours */
    assert_false(disturbed(4, 2, 2)); /* one thread on two cores */
    assert_true(disturbed(4, 0, 3));  /* somebody else has a core a while */
    assert_true(disturbed(4, .5, 2.5));
    assert_false(disturbed(64, 40, 4)); /* a busy machine, but large enough for us too */
    tune_use now, later;
    assert_true(tune_use_now(&now));
    assert_true(now.total > 0 && now.idle <= now.total && now.own >= 0);
    assert_true(tune_use_now(&later));
    assert_true(later.total >= now.total && later.own > now.own);
}

static char dir[] = "/tmp/s2a-tune-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/threads.json", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir); /* nothing else was left there */
}

static void test_file(void **state)
{
    (void)state;
    const tune_time times[] = { { 8, 90.25, 60 }, { 4, 95, 40 } };
    tuning chosen = { 8, 4 }, got = { 0 };
    assert_false(tune_load(path, 8, &got));
    tune_save(path, "A \"processor\"", 8, times, 2, &chosen);
    assert_true(tune_load(path, 8, &got));
    assert_int_equal(got.read_threads, 8);
    assert_int_equal(got.write_threads, 4);
    assert_false(tune_load(path, 16, &got)); /* of another machine */
    tune_save("/nowhere/threads.json", "x", 8, times, 2, &chosen);
}

static void test_damaged_file(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"format\": 1}",
        "{\"format\": 2, \"cores\": 8, \"read_threads\": 8, \"write_threads\": 4}",
        "{\"format\": 1, \"cores\": 8, \"read_threads\": 0, \"write_threads\": 4}",
        "{\"format\": 1, \"cores\": 8, \"read_threads\": 9, \"write_threads\": 4}",
        "{\"format\": 1, \"cores\": 8, \"read_threads\": 8, \"write_threads\": -1}",
        "{\"format\": 1, \"cores\": 8, \"read_threads\": \"8\", \"write_threads\": 4}",
        "{\"format\": 1, \"cores\": 8, \"read_threads\": 8}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tuning got;
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(bad[i], file);
        fclose(file);
        if (tune_load(path, 8, &got))
            fail_msg("taken: %s", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_candidates), cmocka_unit_test(test_choice),
        cmocka_unit_test(test_goes_on),    cmocka_unit_test(test_disturbed),
        cmocka_unit_test(test_file),       cmocka_unit_test(test_damaged_file),
    };
    return cmocka_run_group_tests_name("tune", tests, setup, teardown);
}
