/* s2a_result_prompt: what step 2 asks with, whether the library makes it or somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scripted.h"

#define X "I think it was Poe. The poem is from 1855. Who wrote it?"
#define PARTS "Unbiased text context: The poem is from 1855.\n\nQuestion/Query: Who wrote it?"

static void check(const char *records, s2a_mode mode, s2a_preset preset, const char *prompt)
{
    /* Step 2 is sent by the library where the record expects its text, so both are the same. */
    for (int both = 0; both < 2; both++) {
        s2a_engine *engine = scripted_engine(records);
        s2a_request *request = scripted_request(X);
        s2a_result *result = NULL;
        s2a_error err;
        s2a_request_set_mode(request, mode);
        s2a_request_set_preset(request, preset);
        s2a_status status = both ? s2a_answer(engine, request, &result, &err)
                                 : s2a_attend(engine, request, &result, &err);
        if (status != S2A_OK)
            print_error("%s\n", err.message);
        assert_int_equal(status, S2A_OK);
        size_t len = 0;
        assert_string_equal(s2a_result_prompt(result, &len), prompt);
        assert_int_equal(len, strlen(prompt));
        s2a_result_free(result);
        s2a_request_free(request);
        s2a_engine_close(engine);
    }
}

static void test_prompts(void **state)
{
    (void)state;
    check(PARTS "\n%%\n@expect Answer in an unbiased way.\nWhitman.\n", S2A_MODE_REWRITE,
          S2A_PRESET_OPINION, PARTS "\n\nAnswer in an unbiased way.");
    check(PARTS "\n%%\nWhitman.\n", S2A_MODE_REWRITE, S2A_PRESET_NOT_INSTRUCTED, PARTS);
    check("no labels\n%%\n@expect I think it was Poe\nPoe.\n", S2A_MODE_REWRITE, S2A_PRESET_OPINION,
          X);
    check("@expect I think it was Poe\nPoe.\n", S2A_MODE_DEFAULT, S2A_PRESET_PLAIN, X);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_prompts) };
    return cmocka_run_group_tests_name("result_prompt", tests, NULL, NULL);
}
