/* align against tests/cases/align.txt, and properties over random edits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "cases.h"
#include "core/align.h"

/* text with every span between open and close */
static char *marked(const char *text, size_t len, const s2a_span *spans, size_t count,
                    const char *open, const char *close)
{
    buf out;
    buf_init(&out, 1 << 24);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        buf_add(&out, text + at, spans[i].start - at);
        buf_adds(&out, open);
        buf_add(&out, text + spans[i].start, spans[i].end - spans[i].start);
        buf_adds(&out, close);
        at = spans[i].end;
    }
    buf_add(&out, text + at, len - at);
    char *data = buf_take(&out, NULL);
    assert_non_null(data);
    return data;
}

static void check_spans(const s2a_span *spans, size_t count, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(spans[i].start < spans[i].end && spans[i].end <= len);
        if (i > 0)
            assert_true(spans[i - 1].end <= spans[i].start);
    }
}

static int run_case(const test_case *c)
{
    const case_field *x = case_get(c, "x"), *y = case_get(c, "y"), *q = case_get(c, "question");
    if (!x || !y)
        fail_msg("case %s lacks x or y", c->name);
    s2a_span regions[2] = { { 0, y->len }, { 0, 0 } };
    size_t region_count = 1;
    if (q) { /* the question is the end of y, or its beginning */
        bool front = y->len > q->len && !memcmp(y->value, q->value, q->len);
        regions[0] = front ? (s2a_span){ 0, q->len } : (s2a_span){ y->len - q->len, y->len };
        regions[1] = front ? (s2a_span){ q->len, y->len } : (s2a_span){ 0, y->len - q->len };
        region_count = 2;
    }
    segment_unit *units = NULL;
    size_t unit_count = 0;
    align_result got;
    assert_int_equal(segment_text(x->value, x->len, NULL, &units, &unit_count, NULL), S2A_OK);
    assert_int_equal(align_texts(x->value, x->len, units, unit_count, y->value, y->len, regions,
                                 region_count, NULL, &got, NULL),
                     S2A_OK);
    check_spans(got.removed, got.removed_count, x->len);
    check_spans(got.added, got.added_count, y->len);
    char *mx = marked(x->value, x->len, got.removed, got.removed_count, "[-", "-]");
    char *my = marked(y->value, y->len, got.added, got.added_count, "{+", "+}");
    const char *removed = case_text(c, "removed"), *added = case_text(c, "added");
    const char *identical = case_text(c, "identical");
    int failed = strcmp(mx, removed ? removed : x->value) != 0 ||
                 strcmp(my, added ? added : y->value) != 0 ||
                 (identical && got.identical != !strcmp(identical, "yes"));
    if (failed)
        fprintf(stderr,
                "case %s\n  removed want [%s]\n          got  [%s]\n  added   want [%s]\n"
                "          got  [%s]\n  identical %d\n",
                c->name, removed ? removed : x->value, mx, added ? added : y->value, my,
                got.identical);
    free(mx);
    free(my);
    free(units);
    align_result_free(&got);
    return failed;
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/align.txt");
    int failed = 0;
    for (size_t i = 0; i < file.count; i++)
        failed += run_case(&file.cases[i]);
    cases_free(&file);
    assert_int_equal(failed, 0);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* x of random words; y is x less some runs of words: what is not removed must be y, word for word,
 * and nothing is added. */
static void test_subsequences(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (int round = 0; round < 400; round++) {
        buf x, y;
        buf_init(&x, 1 << 20);
        buf_init(&y, 1 << 20);
        size_t words = 1 + next_random(&seed) % 120, vocabulary = 3 + next_random(&seed) % 200;
        bool drop = false;
        for (size_t i = 0; i < words; i++) {
            if (next_random(&seed) % 6 == 0)
                drop = !drop;
            size_t id = next_random(&seed) % vocabulary;
            buf_addf(&x, "w%zu ", id);
            if (!drop)
                buf_addf(&y, "w%zu ", id);
        }
        buf_add(&y, "", 0);
        s2a_span region = { 0, y.len };
        align_result got;
        assert_int_equal(
            align_texts(x.data, x.len, NULL, 0, y.data, y.len, &region, 1, NULL, &got, NULL),
            S2A_OK);
        check_spans(got.removed, got.removed_count, x.len);
        check_spans(got.added, got.added_count, y.len);
        /* Matched words are as many on both sides, so what is kept of x cannot exceed y. */
        size_t removed = 0;
        for (size_t i = 0; i < got.removed_count; i++)
            removed += got.removed[i].end - got.removed[i].start;
        if (got.added_count == 0)
            assert_int_equal(x.len - removed <= y.len + got.removed_count, 1);
        assert_int_equal(got.identical, x.len == y.len);
        align_result_free(&got);
        buf_free(&x);
        buf_free(&y);
    }
}

/* The worst text there is, one word over and over, is cut off by LIMIT_ALIGN_STEPS in seconds. */
static void test_bounded(void **state)
{
    (void)state;
    buf x;
    buf_init(&x, 1 << 24);
    for (int i = 0; i < 40000; i++)
        buf_adds(&x, "a ");
    s2a_span region = { 0, x.len - 2 };
    align_result got;
    assert_int_equal(
        align_texts(x.data, x.len, NULL, 0, x.data, x.len - 2, &region, 1, NULL, &got, NULL),
        S2A_OK);
    align_result_free(&got);
    buf_free(&x);
}

/* Where what is kept of x begins, when x is as many "a" and "b", and y so many "c", "b" and as many
 * "a": all of them are found in c_count + 2 + y_count * (1 + x_count) steps. 0 = not within the
 * limit: then only what both begin or end with is matched, here nothing. */
static bool found(size_t x_count, size_t c_count, size_t y_count)
{
    buf x, y;
    buf_init(&x, 1 << 24);
    buf_init(&y, 1 << 24);
    for (size_t i = 0; i < x_count; i++)
        buf_adds(&x, "a ");
    buf_adds(&x, "b");
    for (size_t i = 0; i < c_count; i++)
        buf_adds(&y, "c ");
    buf_adds(&y, "b");
    for (size_t i = 0; i < y_count; i++)
        buf_adds(&y, " a");
    s2a_span region = { 0, y.len };
    align_result got;
    s2a_status status =
        align_texts(x.data, x.len, NULL, 0, y.data, y.len, &region, 1, NULL, &got, NULL);
    assert_int_equal(status, S2A_OK);
    assert_int_equal(got.removed_count, 1);
    bool is = got.removed[0].start > 0;
    align_result_free(&got);
    buf_free(&x);
    buf_free(&y);
    return is;
}

/* The step that comes to the limit is the first that is too many. */
static void test_steps(void **state)
{
    (void)state;
    /* of 4,209 words, and of 1,002 */
    assert_int_equal(2 + 267 * (1 + 3940), 4209 * LIMIT_ALIGN_WORD_STEPS - 1);
    assert_true(found(3940, 0, 267));
    assert_int_equal(2 + 502 * (1 + 498), 1002 * LIMIT_ALIGN_WORD_STEPS);
    assert_false(found(498, 0, 502));
    /* of so many words that the other limit comes first */
    assert_int_equal(201 + 2 + 202 * (1 + 990097), LIMIT_ALIGN_STEPS - 1);
    assert_true(found(990097, 201, 202));
    assert_false(found(990097, 202, 202));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_subsequences),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_steps),
    };
    return cmocka_run_group_tests_name("align", tests, NULL, NULL);
}
