/* stats against tests/cases/stats.txt, whose values are those of scipy, statsmodels, scikit-learn
 * and numpy (scripts/stats-fixtures.py), and what the header says of the edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>

#include <cmocka.h>

#include "cases.h"
#include "eval/stats.h"

#define MOST 128

typedef struct list {
    double values[MOST];
    uint64_t whole[MOST]; /* the same, exact for whole numbers */
    size_t count;
} list;

static list read_list(const test_case *c, const char *name)
{
    list out = { .count = 0 };
    const char *text = case_text(c, name);
    for (char *end; text && *text && out.count < MOST; text = end) {
        out.values[out.count] = strtod(text, &end);
        out.whole[out.count] = strtoull(text, NULL, 10);
        if (end == text)
            fail_msg("case %s: %s is not a list of numbers", c->name, name);
        out.count++;
    }
    return out;
}

static double mean_of(void *ctx, const size_t *index, size_t count)
{
    const double *values = ctx;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[index[i]];
    return sum / (double)count;
}

/* The one or two values of the function; a and b as they stand in the case. */
static size_t call(const char *function, const list *n, list *a, const list *b, double got[2])
{
    const double *x = n->values;
    stats_interval interval = { NAN, NAN };
    if (!strcmp(function, "wilson")) {
        interval = stats_wilson(n->whole[0], n->whole[1], x[2]);
    } else if (!strcmp(function, "bootstrap")) {
        size_t used = 0;
        interval = stats_bootstrap(mean_of, a->values, a->count, (size_t)n->whole[0], x[1],
                                   n->whole[2], &used);
        assert_int_equal(used, n->whole[0]);
    } else {
        bool positive[MOST];
        for (size_t i = 0; i < b->count; i++)
            positive[i] = b->values[i] > 0;
        if (!strcmp(function, "normal"))
            got[0] = stats_normal_quantile(x[0]);
        else if (!strcmp(function, "mcnemar"))
            got[0] = stats_mcnemar_exact(n->whole[0], n->whole[1]);
        else if (!strcmp(function, "pairs"))
            got[0] = stats_mcnemar_pairs_needed(x[0], x[1], x[2], x[3]);
        else if (!strcmp(function, "gap"))
            got[0] = stats_gap_closed(x[0], x[1], x[2]);
        else if (!strcmp(function, "auc"))
            got[0] = stats_auc(a->values, positive, a->count);
        else if (!strcmp(function, "quantile"))
            got[0] = stats_quantile(a->values, a->count, x[0]);
        else
            fail_msg("no function is called %s", function);
        return 1;
    }
    got[0] = interval.low;
    got[1] = interval.high;
    return 2;
}

static int run_case(const test_case *c)
{
    if (!case_text(c, "call") || !case_text(c, "function") || !case_text(c, "tolerance"))
        fail_msg("case %s lacks a field", c->name);
    list numbers = read_list(c, "numbers"), a = read_list(c, "a"), b = read_list(c, "b");
    list want = read_list(c, "want");
    double got[2], tolerance = strtod(case_text(c, "tolerance"), NULL);
    size_t count = call(case_text(c, "function"), &numbers, &a, &b, got);
    assert_int_equal(count, want.count);
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (fabs(got[i] - want.values[i]) <= tolerance * fmax(1, fabs(want.values[i])))
            continue;
        fprintf(stderr, "case %s: value %zu want %.17g got %.17g\n", c->name, i, want.values[i],
                got[i]);
        failed = 1;
    }
    return failed;
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/stats.txt");
    int failed = 0;
    for (size_t i = 0; i < file.count; i++)
        failed += run_case(&file.cases[i]);
    cases_free(&file);
    assert_int_equal(failed, 0);
}

/* The smallest p values are right to their last digits too, which an absolute tolerance hides. */
static void test_small_p(void **state)
{
    (void)state;
    double p = stats_mcnemar_exact(0, 60);
    assert_true(fabs(p / ldexp(1, -59) - 1) < 1e-12);
    assert_true(stats_mcnemar_exact(0, 4000) == 0); /* below what a double holds */
    p = stats_mcnemar_exact(1, 61);
    assert_true(fabs(p / (63 * ldexp(1, -61)) - 1) < 1e-12);
}

static void test_normal_edges(void **state)
{
    (void)state;
    assert_true(stats_normal_quantile(0.5) == 0);
    assert_true(stats_normal_quantile(0) == -INFINITY);
    assert_true(stats_normal_quantile(1) == INFINITY);
    assert_true(isnan(stats_normal_quantile(-0.1)));
    assert_true(isnan(stats_normal_quantile(1.1)));
    assert_true(isnan(stats_normal_quantile(NAN)));
    /* The inverse of the distribution function, across both joins of the approximation. */
    for (double z = -8; z <= 5; z += 0.01)
        assert_true(fabs(stats_normal_quantile(erfc(-z / sqrt(2)) / 2) - z) < 1e-9);
}

static void test_wilson_edges(void **state)
{
    (void)state;
    stats_interval none = stats_wilson(0, 0, 0.95), bad = stats_wilson(3, 2, 0.95);
    assert_true(none.low == 0 && none.high == 1);
    assert_true(isnan(bad.low) && isnan(bad.high));
    assert_true(isnan(stats_wilson(1, 2, 1).low) && isnan(stats_wilson(1, 2, 0).high));
    assert_true(stats_wilson(0, 7, 0.99).low == 0);
    assert_true(stats_wilson(7, 7, 0.99).high == 1);
}

static void test_undefined(void **state)
{
    (void)state;
    double same[3] = { 2, 2, 2 }, rising[3] = { 1, 2, 3 }, broken[3] = { 1, NAN, 3 };
    bool yes[3] = { true, true, true }, no[3] = { false, false, false }, one[3] = { true };
    assert_true(isnan(stats_mcnemar_pairs_needed(0.1, 0.1, 0.05, 0.8)));
    assert_true(isnan(stats_mcnemar_pairs_needed(-0.1, 0.2, 0.05, 0.8)));
    assert_true(isnan(stats_mcnemar_pairs_needed(0.7, 0.5, 0.05, 0.8)));
    assert_true(isnan(stats_mcnemar_pairs_needed(0.1, 0.2, 0, 0.8)));
    assert_true(isnan(stats_mcnemar_pairs_needed(0.1, 0.2, 0.05, 1)));
    assert_true(isnan(stats_gap_closed(0.5, 0.5, 0.7)));
    assert_true(isnan(stats_gap_closed(0.5, 0.5 + 1e-10, 0.7)));
    assert_true(isfinite(stats_gap_closed(0.5, 0.5 + 1e-8, 0.7)));
    assert_false(signbit(stats_gap_closed(0.5, 0.4, 0.5)));
    assert_true(isnan(stats_auc(rising, yes, 3)));
    assert_true(isnan(stats_auc(rising, no, 3)));
    assert_true(isnan(stats_auc(rising, one, 0)));
    assert_true(isnan(stats_auc(broken, one, 3)));
    assert_true(stats_auc(same, one, 3) == 0.5);
    assert_true(stats_auc(rising, one, 3) == 0);
    assert_true(isnan(stats_quantile(rising, 0, 0.5)));
    assert_true(isnan(stats_quantile(rising, 3, 1.5)));
    assert_true(isnan(stats_quantile(broken, 3, 0.5)));
}

static void test_quantile_sorts(void **state)
{
    (void)state;
    double values[5] = { 5, 1, 4, 2, 3 };
    assert_true(stats_quantile(values, 5, 0.625) == 3.5);
    for (int i = 0; i < 5; i++)
        assert_true(values[i] == i + 1);
}

/* The published first outputs of SplitMix64 for this seed. */
static void test_rng(void **state)
{
    (void)state;
    static const uint64_t want[5] = { 6457827717110365317u, 3203168211198807973u,
                                      9817491932198370423u, 4593380528125082431u,
                                      16408922859458223821u };
    stats_rng rng;
    stats_rng_seed(&rng, 1234567);
    for (int i = 0; i < 5; i++)
        assert_true(stats_rng_next(&rng) == want[i]);
    size_t hits[7] = { 0 };
    for (int i = 0; i < 70000; i++)
        hits[stats_rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++) /* 10000 +- 5 standard deviations */
        assert_in_range(hits[i], 9537, 10463);
    for (int i = 0; i < 100; i++)
        assert_int_equal(stats_rng_below(&rng, 1), 0);
    /* A bound just over half of the range: without the second draw one in two values would be one
     * of the low ones. */
    uint64_t half = (uint64_t)1 << 63, low = 0;
    for (int i = 0; i < 4000; i++)
        low += stats_rng_below(&rng, half + 1 + half / 2) < half / 2;
    assert_in_range(low, 1150, 1520); /* a third: 1333 */
}

/* The interval of a share of a large sample is the normal one. */
static void test_bootstrap_large(void **state)
{
    (void)state;
    static double values[2000];
    for (size_t i = 0; i < 2000; i++)
        values[i] = i % 10 < 3;
    size_t used = 0;
    stats_interval got = stats_bootstrap(mean_of, values, 2000, 1000, 0.95, 42, &used);
    double half = 1.959964 * sqrt(0.3 * 0.7 / 2000);
    assert_int_equal(used, 1000);
    assert_true(fabs(got.low - (0.3 - half)) < 0.1 * half);
    assert_true(fabs(got.high - (0.3 + half)) < 0.1 * half);
    stats_interval same = stats_bootstrap(mean_of, values, 2000, 1000, 0.95, 42, NULL);
    stats_interval other = stats_bootstrap(mean_of, values, 2000, 1000, 0.95, 43, NULL);
    assert_true(same.low == got.low && same.high == got.high);
    assert_true(other.low != got.low || other.high != got.high);
}

typedef struct failing {
    int calls, undefined; /* of every four calls */
} failing;

static double sometimes(void *ctx, const size_t *index, size_t count)
{
    failing *f = ctx;
    for (size_t i = 0; i < count; i++)
        assert_true(index[i] < count);
    return f->calls++ % 4 < f->undefined ? NAN : 1;
}

static void test_bootstrap_undefined(void **state)
{
    (void)state;
    size_t used = 9;
    failing half = { 0, 2 }, most = { 0, 3 }, all = { 0, 4 };
    stats_interval got = stats_bootstrap(sometimes, &half, 5, 100, 0.95, 1, &used);
    assert_int_equal(used, 50);
    assert_true(got.low == 1 && got.high == 1);
    got = stats_bootstrap(sometimes, &most, 5, 100, 0.95, 1, &used);
    assert_int_equal(used, 25);
    assert_true(isnan(got.low) && isnan(got.high));
    got = stats_bootstrap(sometimes, &all, 5, 100, 0.95, 1, &used);
    assert_int_equal(used, 0);
    assert_true(isnan(got.low) && isnan(got.high));
    got = stats_bootstrap(sometimes, &half, 0, 100, 0.95, 1, &used);
    assert_int_equal(used, 0);
    assert_true(isnan(got.low));
    got = stats_bootstrap(sometimes, &half, 5, 0, 0.95, 1, &used);
    assert_true(isnan(got.high));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_small_p),
        cmocka_unit_test(test_normal_edges),
        cmocka_unit_test(test_wilson_edges),
        cmocka_unit_test(test_undefined),
        cmocka_unit_test(test_quantile_sorts),
        cmocka_unit_test(test_rng),
        cmocka_unit_test(test_bootstrap_large),
        cmocka_unit_test(test_bootstrap_undefined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
