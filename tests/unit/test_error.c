/* error: a message is one line of UTF-8, whatever it quotes. Its length: test_limits.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void test_clean(void **state)
{
    (void)state;
    static const struct {
        const char *quoted, *want;
    } cases[] = {
        { "a\nb\r\tc\x1b[0m\x7f", "near 'a b  c [0m '" },
        { "\xe4\xb8\xad \xf0\x9f\x98\x80", "near '\xe4\xb8\xad \xf0\x9f\x98\x80'" },
        { "\xe4\xb8", "near '?\?'" },
        { "\x98\x80z\xff", "near '?\?z?'" },
        { "", "near ''" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s2a_error err;
        assert_int_equal(error_set(&err, S2A_INPUT, "near '%s'", cases[i].quoted), S2A_INPUT);
        assert_string_equal(err.message, cases[i].want);
        assert_int_equal(err.status, S2A_INPUT);
        assert_int_equal(err.position, S2A_NO_POSITION);
        assert_int_equal(error_set_at(&err, S2A_IO, 7, "near '%s'", cases[i].quoted), S2A_IO);
        assert_string_equal(err.message, cases[i].want);
        assert_int_equal(err.position, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_clean) };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
