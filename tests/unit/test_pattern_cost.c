/* What patterns of a JSON schema multiply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/llama/pattern_cost.h"
#include "base/limits.h"

static void test_cost(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        uint32_t cost;
    } rows[] = {
        { "", 1 },
        { "^abc$", 1 },
        { "a?", 1 },
        { "a*", 3 },
        { "a{2,5}", 5 },
        { "a{2,}", 5 },
        { "a{7}b{9}", 9 },
        { "(a{1,20}b){3}", 60 },
        { "(?:a{1,20}b){3}?", 60 },
        { "(a?){10}", 100 },
        { "(a?b){10}", 10 },
        { "(a|b?){10}", 100 },
        { "(a|){10}", 100 },
        { "(|a)*", 9 },
        { "((a*)*)*", 243 },
        { "([(){9}]x){5}", 5 },
        { "(\\(x{3}\\)){5}", 15 },
        { "[^]a{9}]{2}", 2 },
        { "a{,5}", 5 },
        { "a{x", 1 },
        { "(a{9}", 9 },
        { "a)){3}", 3 },
        { "\\", 1 },
        { "[", 1 },
        { "[[", 1 },
        { "[\\", 1 },
        { "(?", 1 },
        { "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$", 12 },
        { "^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\\.){3}[0-9]+$", 3 },
        { "^([a-z0-9]{1,63}\\.){1,10}$", 630 },
        { "(((a{60000}){60000}){60000})", UINT32_MAX },
        { "(a{99999999999999999999})", UINT32_MAX },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (pattern_cost(rows[i].pattern) != rows[i].cost)
            print_error("%s: %u\n", rows[i].pattern, pattern_cost(rows[i].pattern));
        assert_int_equal(pattern_cost(rows[i].pattern), rows[i].cost);
    }
    char deep[400];
    memset(deep, '(', 399);
    deep[399] = '\0';
    assert_int_equal(pattern_cost(deep), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cost) };
    return cmocka_run_group_tests_name("pattern_cost", tests, NULL, NULL);
}
