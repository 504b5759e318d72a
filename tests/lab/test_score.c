/* score against tests/cases/score.txt, and against what TriviaQA's own script makes of
 * tests/cases/normalise.txt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>

#include <cmocka.h>

#include "cases.h"
#include "eval/score.h"

static int differs(const test_case *c, const char *what, const char *want, const char *got)
{
    if (!strcmp(want, got))
        return 0;
    fprintf(stderr, "case %s: %s want [%s] got [%s]\n", c->name, what, want, got);
    return 1;
}

static int check_normalise(const test_case *c, const case_field *text, const char *want)
{
    char *got = score_normalise(text->value, text->len);
    assert_non_null(got);
    int failed = differs(c, "normalised", want, got);
    char *again = score_normalise(got, strlen(got));
    assert_non_null(again);
    free(again);
    free(got);
    return failed;
}

static int check_aliases(const test_case *c, const case_field *answer)
{
    char *list = strdup(case_text(c, "aliases")), *rest = list, *aliases[8];
    size_t count = 0, which = 99;
    assert_non_null(list);
    while (rest && count < 8)
        aliases[count++] = strsep(&rest, "\n");
    bool match = true;
    assert_int_equal(score_alias_match(answer->value, answer->len, (const char *const *)aliases,
                                       count, &match, &which, NULL),
                     S2A_OK);
    char got[32] = "none";
    if (match)
        snprintf(got, sizeof got, "%zu", which);
    else
        assert_int_equal(which, 99);
    bool same = !match;
    assert_int_equal(score_alias_match(answer->value, answer->len, (const char *const *)aliases,
                                       count, &same, NULL, NULL),
                     S2A_OK);
    assert_int_equal(same, match);
    free(list);
    return differs(c, "match", case_text(c, "match"), got);
}

static int check_number(const test_case *c, const case_field *text, const char *want)
{
    double value = -77;
    char got[64] = "none";
    if (score_number(text->value, text->len, &value)) {
        snprintf(got, sizeof got, "%.17g", value);
        if (strcmp(want, "none") != 0 && strtod(want, NULL) == value)
            return 0;
    }
    return differs(c, "number", want, got);
}

static int check_rating(const test_case *c, const case_field *text, const char *want)
{
    int low = 0, high = 0, value = 0;
    char got[32] = "none";
    assert_int_equal(sscanf(case_text(c, "range"), "%d %d", &low, &high), 2);
    if (score_rating(text->value, text->len, low, high, &value))
        snprintf(got, sizeof got, "%d", value);
    return differs(c, "rating", want, got);
}

static int run_case(const test_case *c)
{
    const case_field *text = case_get(c, "text"), *answer = case_get(c, "answer");
    const char *number = case_text(c, "number"), *rating = case_text(c, "rating");
    const char *normalised = case_text(c, "normalised");
    if (answer)
        return check_aliases(c, answer);
    if (!text || (!number && !rating && !normalised))
        fail_msg("case %s tests nothing", c->name);
    if (number)
        return check_number(c, text, number);
    return rating ? check_rating(c, text, rating) : check_normalise(c, text, normalised);
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/score.txt");
    int failed = 0;
    for (size_t i = 0; i < file.count; i++)
        failed += run_case(&file.cases[i]);
    cases_free(&file);
    assert_int_equal(failed, 0);
}

static void test_published_normalisation(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/normalise.txt");
    int failed = 0;
    for (size_t i = 0; i < file.count; i++) {
        const test_case *c = &file.cases[i];
        assert_non_null(case_get(c, "text"));
        assert_non_null(case_get(c, "want"));
        failed += check_normalise(c, case_get(c, "text"), case_text(c, "want"));
    }
    assert_true(file.count >= 40);
    cases_free(&file);
    assert_int_equal(failed, 0);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(score_number_equal(3, 3));
    assert_true(score_number_equal(0.75, 0.75005));
    assert_false(score_number_equal(0.75, 0.7502));
    assert_true(score_number_equal(33333.33, 33333.3333333));
    assert_true(score_number_equal(1234567.8, 1234600.5)); /* relative */
    assert_false(score_number_equal(1234567.8, 1235000.5));
    assert_false(score_number_equal(12345, 12346)); /* whole numbers are exact */
    assert_false(score_number_equal(5, -5));
    assert_true(score_number_equal(0, -0.0));
    assert_true(score_number_equal(2, 1.99995));
    assert_false(score_number_equal(INFINITY, 1));
    assert_false(score_number_equal(INFINITY, INFINITY));
    assert_false(score_number_equal(NAN, NAN));
}

/* Lengths bound the text, not NULs: what is past them is not read. */
static void test_length(void **state)
{
    (void)state;
    double value = 0;
    int rating = 0;
    assert_true(score_number("Final answer: 123", 16, &value));
    assert_true(value == 12);
    assert_false(score_number("12", 0, &value));
    assert_false(score_number("final answer", 12, &value));
    assert_true(score_rating("34", 1, 1, 5, &rating));
    assert_int_equal(rating, 3);
    char *text = score_normalise("Theatre", 3);
    assert_string_equal(text, "");
    free(text);
    text = score_normalise(NULL, 0);
    assert_string_equal(text, "");
    free(text);
    size_t which = 0;
    bool match = true;
    assert_int_equal(
        score_alias_match("Poe", 2, (const char *const[]){ "Poe" }, 1, &match, &which, NULL),
        S2A_OK);
    assert_false(match);
    assert_int_equal(score_alias_match("Poe", 3, NULL, 0, &match, &which, NULL), S2A_OK);
    assert_false(match);
}

/* Any bytes, whole and cut: no function reads past the text or fails. Meant for the sanitizers. */
static void test_any_bytes(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "final answer",
        "\\boxed{",
        "(",
        ")",
        ":",
        "=",
        "-",
        "\xe2\x88\x92",
        "$",
        "\xe2\x82\xac",
        "1,234",
        ".5",
        "7",
        "/",
        "e",
        "x",
        "\\times",
        "out of",
        " ",
        "\n",
        "\xff",
        "\xe2\x80",
        "the",
        "_",
        "\xce\xa3",
        "\xc4\xb0",
        "\xe5\x8c\x97",
        "%",
        ",",
    };
    uint32_t seed = 11;
    for (int round = 0; round < 4000; round++) {
        char text[256];
        size_t len = 0;
        for (int i = 0; i < 12; i++) {
            seed = seed * 1664525u + 1013904223u;
            const char *piece = pieces[(seed >> 8) % (sizeof pieces / sizeof pieces[0])];
            memcpy(text + len, piece, strlen(piece));
            len += strlen(piece);
        }
        char *exact = malloc(len); /* so that the sanitizer sees one byte too far */
        assert_non_null(exact);
        memcpy(exact, text, len);
        double value = 0;
        int rating = 0;
        if (score_number(exact, len, &value))
            assert_true(isfinite(value));
        if (score_rating(exact, len, -5, 5, &rating))
            assert_in_range(rating + 5, 0, 10);
        char *normalised = score_normalise(exact, len);
        assert_non_null(normalised);
        size_t end = strlen(normalised);
        assert_true(end == 0 || (normalised[0] != ' ' && normalised[end - 1] != ' '));
        assert_null(strstr(normalised, "  "));
        bool match = false;
        const char *alias = normalised;
        assert_int_equal(score_alias_match(exact, len, &alias, 1, &match, NULL, NULL), S2A_OK);
        free(normalised);
        free(exact);
    }
}

/* A number of more digits than a double holds is not equal to anything. */
static void test_huge(void **state)
{
    (void)state;
    char text[400];
    memset(text, '9', sizeof text);
    double value = 0;
    assert_true(score_number(text, sizeof text, &value));
    assert_false(score_number_equal(value, 5));
    int rating = 0;
    assert_false(score_rating(text, sizeof text, 1, 5, &rating));
}

static void test_yes_no(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want; /* -1: neither */
    } rows[] = { { "yes", 1 },      { "No.", 0 },
                 { "**YES**", 1 },  { " Answer: no, it says yes", 0 },
                 { "", -1 },        { "notyes none", -1 },
                 { "yes\n", 1 },    { "ye", -1 },
                 { "nope. Yes", 1 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool yes = !rows[i].want;
        bool found = score_yes_no(rows[i].text, strlen(rows[i].text), &yes);
        assert_int_equal(found, rows[i].want >= 0);
        if (found)
            assert_int_equal(yes, rows[i].want);
    }
    bool yes = false;
    assert_false(score_yes_no("yes", 2, &yes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),     cmocka_unit_test(test_published_normalisation),
        cmocka_unit_test(test_equal),     cmocka_unit_test(test_length),
        cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_huge),
        cmocka_unit_test(test_yes_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
