/* Instructions of IFEval against tests/cases/instructions.txt, and lists of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"
#include "eval/instructions.h"

static const char *verdict(const char *id, const json_t *kwargs, const case_field *answer)
{
    bool known = false, follows = true;
    assert_int_equal(instruction_known(id, kwargs, &known, NULL), S2A_OK);
    s2a_status status = instruction_follows(id, kwargs, answer->value, answer->len, &follows, NULL);
    assert_int_equal(status, known ? S2A_OK : S2A_ARGUMENT);
    return !known ? "unknown" : follows ? "yes" : "no";
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/instructions.txt");
    size_t failed = 0;
    for (size_t i = 0; i < file.count; i++) {
        const test_case *c = &file.cases[i];
        json_t *kwargs = json_loads(case_text(c, "kwargs"), 0, NULL);
        assert_non_null(kwargs);
        const char *got = verdict(case_text(c, "id"), kwargs, case_get(c, "answer"));
        if (strcmp(got, case_text(c, "follows")) != 0) {
            fprintf(stderr, "case %s: want [%s] got [%s]\n", c->name, case_text(c, "follows"), got);
            failed++;
        }
        json_decref(kwargs);
    }
    assert_true(file.count >= 80);
    cases_free(&file);
    assert_int_equal(failed, 0);
}

/* The answer's length bounds it, and not a byte that stands behind it. */
static void test_length(void **state)
{
    (void)state;
    json_t *none = json_object();
    bool follows = false;
    assert_int_equal(
        instruction_follows("punctuation:no_comma", none, "One, two", 3, &follows, NULL), S2A_OK);
    assert_true(follows);
    assert_int_equal(instruction_follows("startend:quotation", none, "\"a\" b", 3, &follows, NULL),
                     S2A_OK);
    assert_true(follows);
    json_decref(none);
}

static void test_list(void **state)
{
    (void)state;
    static const char checks[] =
        "[{\"id\":\"punctuation:no_comma\",\"kwargs\":{}},"
        "{\"id\":\"length_constraints:number_words\",\"kwargs\":{\"num_words\":3,"
        "\"relation\":\"at least\"}}]";
    uint32_t followed = 9;
    assert_int_equal(instructions_count(checks, "One two", 7, &followed, NULL), S2A_OK);
    assert_int_equal(followed, 1);
    assert_int_equal(instructions_count(checks, "One two three", 13, &followed, NULL), S2A_OK);
    assert_int_equal(followed, 2);
    assert_int_equal(instructions_count(NULL, "One", 3, &followed, NULL), S2A_OK);
    assert_int_equal(followed, 0);
    s2a_error err;
    assert_int_equal(instructions_count("{}", "One", 3, &followed, &err), S2A_INPUT);
    assert_int_equal(instructions_count("[{\"id\":\"a:b\"}]", "One", 3, &followed, &err),
                     S2A_ARGUMENT);
    assert_int_equal(instructions_count("[{}]", "One", 3, &followed, &err), S2A_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests_name("eval_instructions", tests, NULL, NULL);
}
