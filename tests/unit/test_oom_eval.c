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
    eval_run run = { .task = "test", .items = items, .item_count = 2, .records = records,
                     .record_count = 3, .arms = arms, .arm_count = 2 };
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
    for (long n = 1; n <= 4; n++) {
        fail_at = n;
        double rank = stats_spearman(values, values, 3);
        fail_at = n <= 2 ? n : 1;
        double auc = stats_auc(values, positive, 3);
        size_t used = 0;
        fail_at = n <= 2 ? n : 1;
        stats_interval interval = stats_bootstrap(first_of, NULL, 3, 10, 0.9, 1, &used);
        fail_at = 0;
        assert_true(isnan(rank) && isnan(auc));
        assert_true(isnan(interval.low) && isnan(interval.high));
        assert_true(used == SIZE_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_alias_match),
        cmocka_unit_test(test_stats),
    };
    return cmocka_run_group_tests_name("oom eval", tests, NULL, NULL);
}
