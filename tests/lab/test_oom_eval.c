/* Allocation failures in the evaluation's pure parts, as in test_oom.c: the n-th allocation of our
 * own code fails, for every n. Each gives S2A_NOMEM and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>

#include <cmocka.h>

#include "eval/data.h"
#include "eval/instructions.h"
#include "eval/score.h"
#include "eval/summary.h"
#include "failing_alloc.h"

/* ---- the sweeps -------------------------------------------------------------------------- */

static void test_summary(void **state)
{
    (void)state;
    char *arms[] = { "plain", "oracle" }, *aliases[] = { "7" };
    eval_item items[] = {
        { .id = "q1", .group = "a", .aliases = aliases, .alias_count = 1 },
        { .id = "q2", .group = "b", .aliases = aliases, .alias_count = 1 },
    };
    eval_record records[] = {
        { .item = "q1", .arm = "plain", .fallback = "empty", .judged = true },
        { .item = "q1", .arm = "oracle", .correct = true, .judged = true },
        { .item = "q2", .arm = "plain", .fallback = "empty", .judged = true },
    };
    eval_run run = { .task = "test",
                     .items = items,
                     .item_count = 2,
                     .records = records,
                     .record_count = 3,
                     .arms = arms,
                     .arm_count = 2 };
    for (long n = 1;; n++) {
        eval_summary summary;
        s2a_error err = { .status = S2A_OK };
        failed = false;
        fail_at = n;
        s2a_status status = eval_summarise(&run, 10, &summary, &err);
        fail_at = 0;
        if (!failed) {
            assert_int_equal(status, S2A_OK);
            assert_int_equal(summary.count, 6);
            eval_summary_free(&summary);
            assert_true(n > 20);
            break;
        }
        assert_int_equal(status, S2A_NOMEM);
        assert_int_equal(err.status, S2A_NOMEM);
        assert_null(summary.figures);
        assert_null(summary.groups);
    }
}

static void test_alias_match(void **state)
{
    (void)state;
    const char *const aliases[] = { "Poe", "Whitman" };
    for (long n = 1;; n++) {
        bool match = true;
        size_t which = 9;
        failed = false;
        fail_at = n;
        s2a_status status = score_alias_match("Walt Whitman", 12, aliases, 2, &match, &which, NULL);
        fail_at = 0;
        if (!failed) {
            assert_int_equal(status, S2A_OK);
            assert_true(match && which == 1);
            assert_true(n > 2);
            break;
        }
        assert_int_equal(status, S2A_NOMEM);
        assert_false(match);
        assert_int_equal(which, 9);
    }
}

static double first_of(void *ctx, const size_t *index, size_t count)
{
    (void)ctx;
    return count > 0 ? (double)index[0] : NAN;
}

static void test_stats(void **state)
{
    (void)state;
    const double values[] = { 1, 2, 3 };
    const bool positive[] = { false, true, false };
    for (long n = 1; n <= 2; n++) {
        fail_at = n;
        double auc = stats_auc(values, positive, 3);
        size_t used = 0;
        fail_at = n;
        stats_interval interval = stats_bootstrap(first_of, NULL, 3, 10, 0.9, 1, &used);
        fail_at = 0;
        assert_true(isnan(auc));
        assert_true(isnan(interval.low) && isnan(interval.high));
        assert_true(used == SIZE_MAX);
    }
}

/* The samples of the tasks whose readers build texts of their own. */
static void test_rows(void **state)
{
    (void)state;
    static const eval_task tasks[] = { EVAL_INJECTION, EVAL_ORDINARY, EVAL_PRUNE, EVAL_LABELLED };
    for (size_t t = 0; t < sizeof tasks / sizeof tasks[0]; t++) {
        eval_data_options options = { .task = tasks[t], .refuse = true };
        for (long n = 1;; n++) {
            eval_data data;
            s2a_error err = { .status = S2A_OK };
            failed = false;
            fail_at = n;
            s2a_status status = eval_data_read(&options, &data, &err);
            fail_at = 0;
            if (!failed) {
                assert_int_equal(status, S2A_OK);
                assert_true(n > 50);
                eval_data_free(&data);
                break;
            }
            if (status != S2A_NOMEM)
                fail_msg("%s, allocation %ld: %s, %s", eval_task_name(tasks[t]), n,
                         s2a_status_name(status), err.message);
            assert_int_equal(err.status, S2A_NOMEM);
            eval_data_free(&data);
        }
    }
}

static void test_instruction(void **state)
{
    (void)state;
    static const char checks[] =
        "[{\"id\":\"keywords:existence\",\"kwargs\":{\"keywords\":[\"tea\",\"milk\"]}}]";
    for (long n = 1;; n++) {
        uint32_t followed = 9;
        failed = false;
        fail_at = n;
        s2a_status status = instructions_count(checks, "Milk tea", 8, &followed, NULL);
        fail_at = 0;
        if (!failed) {
            assert_true(status == S2A_OK && followed == 1 && n > 4);
            break;
        }
        assert_true(status == S2A_NOMEM && followed == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),     cmocka_unit_test(test_alias_match),
        cmocka_unit_test(test_stats),       cmocka_unit_test(test_rows),
        cmocka_unit_test(test_instruction),
    };
    return cmocka_run_group_tests_name("oom eval", tests, NULL, NULL);
}
