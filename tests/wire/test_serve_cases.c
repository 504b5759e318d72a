/* s2a serve: tests/wire/cases/serve-*.txt. "test_serve_cases PART" runs the cases that have the
 * part in the file's name or in their goal. */
#include "serve_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *part_of_name;

static void test_cases(void **state)
{
    (void)state;
    assert_int_equal(serve_case_run_all(part_of_name), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases) };
    part_of_name = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests_name("serve_cases", tests, NULL, NULL);
}
