/* guard against tests/cases/guard.txt: every reason is reached, and what comes near one but is
 * fine is let through. */
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
#include "core/guard.h"

static size_t count_words(const char *text)
{
    s2a_span *words = NULL;
    size_t count = 0;
    assert_int_equal(segment_words(text, strlen(text), NULL, &words, &count, NULL), S2A_OK);
    free(words);
    return count;
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/guard.txt");
    bool reached[16] = { false };
    int failed = 0;
    for (size_t i = 0; i < file.count; i++) {
        const test_case *c = &file.cases[i];
        const case_field *x = case_get(c, "x"), *y = case_get(c, "y"), *q = case_get(c, "question");
        const char *want = case_text(c, "reason"), *detail_want = case_text(c, "detail");
        if (!x || !y || !want)
            fail_msg("case %s lacks x, y or reason", c->name);
        guard_input in = { .x = x->value,
                           .x_len = x->len,
                           .y = y->value,
                           .y_len = y->len,
                           .cut_off = case_get(c, "cut") != NULL,
                           .question_lost = case_get(c, "lost") != NULL,
                           .question_required = q != NULL };
        if (q) {
            in.question = (s2a_span){ y->len - q->len, y->len };
            in.question_words = count_words(q->value);
            const char *matched = case_text(c, "matched");
            in.question_matched = matched ? (size_t)atoi(matched) : in.question_words;
        }
        s2a_fallback reason;
        char detail[200];
        assert_int_equal(guard_check(&in, &reason, detail, sizeof detail, NULL), S2A_OK);
        reached[reason] = true;
        assert_true((reason == S2A_FALLBACK_NONE) == (detail[0] == '\0'));
        if (strcmp(s2a_fallback_name(reason), want) != 0 ||
            (detail_want && strcmp(detail, detail_want) != 0)) {
            failed++;
            fprintf(stderr, "case %s: want %s (%s), got %s (%s)\n", c->name, want,
                    detail_want ? detail_want : "", s2a_fallback_name(reason), detail);
        }
    }
    cases_free(&file);
    assert_int_equal(failed, 0);
    for (int reason = S2A_FALLBACK_NONE; reason < S2A_FALLBACK_STEP1_FAILED; reason++)
        if (!reached[reason])
            fail_msg("no case reaches %s", s2a_fallback_name((s2a_fallback)reason));
}

/* x: 16 MiB, and then count quotations; x' has them in the opposite order, so that each is looked
 * for through all of x. */
static s2a_fallback check_backwards(size_t count)
{
    enum { HEAD = 16 << 20 };
    buf x, y;
    buf_init(&x, 1 << 26);
    buf_init(&y, 1 << 20);
    char *head = malloc(HEAD);
    assert_non_null(head);
    memset(head, 'a', HEAD);
    buf_add(&x, head, HEAD);
    free(head);
    for (size_t i = 0; i < count; i++) {
        buf_addf(&x, " \"q%03zu\"", i);
        buf_addf(&y, " \"q%03zu\"", count - 1 - i);
    }
    guard_input in = { .x = x.data, .x_len = x.len, .y = y.data, .y_len = y.len };
    s2a_fallback reason;
    char detail[200];
    assert_int_equal(guard_check(&in, &reason, detail, sizeof detail, NULL), S2A_OK);
    buf_free(&x);
    buf_free(&y);
    return reason;
}

static void test_bounded(void **state)
{
    (void)state;
    size_t most = (size_t)(LIMIT_GUARD_BYTES >> 24);
    assert_int_equal(check_backwards(most), S2A_FALLBACK_NONE);
    assert_int_equal(check_backwards(most + 1), S2A_FALLBACK_NEW_QUOTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_bounded),
                                        cmocka_unit_test(test_cases) };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
