/* ROC, reliability and counts of made-up scored units. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval/judgement.h"

static char id_a[] = "a", id_b[] = "b", even[] = "even", odd[] = "odd", text[] = "x",
            arm[] = "select";

static eval_unit unit(double score, eval_label label)
{
    return (eval_unit){ 0, 1, score >= 0, score, label };
}

/* Two items of different groups; the units of each are its record's. */
static void judge(eval_unit *a, size_t a_count, eval_unit *b, size_t b_count, eval_judgement *out)
{
    static eval_item items[2];
    static eval_record records[3];
    items[0] = (eval_item){ .id = id_a, .group = even, .x = text, .oracle = text };
    items[1] = (eval_item){ .id = id_b, .group = odd, .x = text, .oracle = text };
    records[0] = (eval_record){ .item = id_a, .arm = arm }; /* without scores */
    records[1] = (eval_record){ .item = id_a, .arm = arm, .units = a, .unit_count = a_count };
    records[2] = (eval_record){ .item = id_b, .arm = arm, .units = b, .unit_count = b_count };
    eval_run run = { .items = items, .item_count = 2, .records = records, .record_count = 3 };
    assert_int_equal(eval_judgement_make(&run, out, NULL), S2A_OK);
}

static void test_counts(void **state)
{
    (void)state;
    eval_unit a[] = { unit(3, EVAL_NEEDED), unit(-1, EVAL_NEEDED), unit(-2, EVAL_DISTRACTOR),
                      unit(9, EVAL_MIXED), unit(NAN, EVAL_NEEDED) };
    eval_unit b[] = { unit(5, EVAL_NEEDED), unit(0, EVAL_DISTRACTOR) };
    eval_judgement j;
    judge(a, 5, b, 2, &j);
    assert_int_equal(j.group_count, 3);
    assert_null(j.groups[0].group);
    assert_string_equal(j.groups[1].group, "even");
    assert_string_equal(j.groups[2].group, "odd");
    const judgement_counts all = { 3, 2, 2, 1 };
    assert_memory_equal(&j.groups[0].counts, &all, sizeof all);
    const judgement_counts second = { 1, 1, 1, 0 };
    assert_memory_equal(&j.groups[2].counts, &second, sizeof second);
    assert_true(fabs(j.groups[0].auc - 5.0 / 6) < 1e-12 && j.groups[1].auc == 1);
    eval_judgement_free(&j);
}

static void test_roc(void **state)
{
    (void)state;
    eval_unit a[] = { unit(2, EVAL_NEEDED), unit(-3, EVAL_DISTRACTOR), unit(1, EVAL_DISTRACTOR) };
    eval_unit b[] = { unit(1, EVAL_NEEDED) };
    eval_judgement j;
    judge(a, 3, b, 1, &j);
    static const judgement_point want[] = { { -3, { 2, 2, 2, 0 } },
                                            { 1, { 2, 2, 2, 1 } },
                                            { 2, { 2, 1, 2, 2 } }, /* a tie goes at once */
                                            { INFINITY, { 2, 0, 2, 2 } } };
    assert_int_equal(j.roc_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(j.roc[i].threshold == want[i].threshold);
        assert_memory_equal(&j.roc[i].counts, &want[i].counts, sizeof want[i].counts);
    }
    eval_judgement_free(&j);
}

static void test_bins(void **state)
{
    (void)state;
    eval_unit a[] = {
        unit(-100, EVAL_DISTRACTOR), unit(-6, EVAL_NEEDED), unit(0, EVAL_NEEDED),
        unit(1.9, EVAL_DISTRACTOR),  unit(6, EVAL_NEEDED),  unit(1e300, EVAL_NEEDED)
    };
    eval_judgement j;
    judge(a, 6, NULL, 0, &j);
    assert_int_equal(j.group_count, 1); /* one group alone is all */
    static const size_t units[] = { 1, 1, 0, 0, 2, 0, 0, 2 }, needed[] = { 0, 1, 0, 0, 1, 0, 0, 2 };
    for (int b = 0; b < JUDGEMENT_BINS; b++) {
        assert_int_equal(j.bins[b].units, units[b]);
        assert_int_equal(j.bins[b].needed, needed[b]);
        assert_true(isnan(j.bins[b].share) == (units[b] == 0));
        assert_true(isnan(j.bins[b].ci.low) == (units[b] == 0));
    }
    assert_true(j.bins[4].share == 0.5 && j.bins[4].low == 0 && j.bins[4].high == 2);
    assert_true(fabs(j.bins[4].expected - (0.5 + 1 / (1 + exp(-1.9))) / 2) < 1e-12);
    stats_interval ci = stats_wilson(1, 2, 0.95);
    assert_true(j.bins[4].ci.low == ci.low && j.bins[4].ci.high == ci.high);
    assert_true(isinf(j.bins[0].low) && isinf(j.bins[7].high));
    eval_judgement_free(&j);
}

/* Of many units the curve keeps its ends, its order and its limit. */
static void test_thinned(void **state)
{
    (void)state;
    static const size_t counts[] = { JUDGEMENT_ROC_MAX - 2, JUDGEMENT_ROC_MAX - 1,
                                     JUDGEMENT_ROC_MAX, 20000 };
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        size_t n = counts[c];
        eval_unit *many = calloc(n, sizeof *many);
        assert_non_null(many);
        for (size_t i = 0; i < n; i++)
            many[i] = unit((double)i - 1000, i % 2 ? EVAL_NEEDED : EVAL_DISTRACTOR);
        eval_judgement j;
        judge(many, n, NULL, 0, &j);
        assert_true(j.roc_count <= JUDGEMENT_ROC_MAX && j.roc_count >= JUDGEMENT_ROC_MAX / 2);
        assert_int_equal(j.roc[0].counts.needed_kept, n / 2);
        assert_int_equal(j.roc[j.roc_count - 1].counts.needed_kept, 0);
        assert_int_equal(j.roc[j.roc_count - 1].counts.distractors_removed, (n + 1) / 2);
        for (size_t i = 1; i < j.roc_count; i++)
            assert_true(j.roc[i].threshold > j.roc[i - 1].threshold &&
                        j.roc[i].counts.needed_kept <= j.roc[i - 1].counts.needed_kept);
        eval_judgement_free(&j);
        free(many);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    eval_judgement j;
    judge(NULL, 0, NULL, 0, &j);
    assert_int_equal(j.group_count, 0);
    assert_int_equal(j.roc_count, 0);
    eval_judgement_free(&j);
    eval_unit lone = unit(1, EVAL_NEEDED);
    judge(&lone, 1, NULL, 0, &j);
    assert_true(isnan(j.groups[0].auc)); /* of one kind alone */
    eval_judgement_free(&j);
    eval_run empty = { .item_count = 0 };
    assert_int_equal(eval_judgement_make(&empty, &j, NULL), S2A_OK);
    assert_int_equal(j.group_count, 0);
    eval_judgement_free(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),  cmocka_unit_test(test_roc),     cmocka_unit_test(test_bins),
        cmocka_unit_test(test_thinned), cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
