/* Allocation failures: the n-th allocation of our own code fails, for every n, over a whole
 * s2a_attend and s2a_answer on the script backend. Each gives S2A_NOMEM, no result, and under the
 * leak sanitizer or valgrind nothing is left. Built with ld --wrap for malloc and its relatives, so
 * that the product needs no hook; allocations inside shared libraries are theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine.h"
#include "s2a.h"
#include "scripted.h"
#include "failing_alloc.h"

#define X "I think it was “Poe” in 1,855. The poem is from 1855: `print`. Who wrote it?"
#define RECORDS "Context: The poem is from 1855: `print`. See \"Poe\".\nQuestion/Query: Who wrote it?\n"

typedef s2a_status (*run_fn)(s2a_engine *, const s2a_request *, s2a_result **, s2a_error *);

static s2a_request *request_build(s2a_status *status)
{
    s2a_request *request = s2a_request_new();
    if (!request) {
        *status = S2A_NOMEM;
        return NULL;
    }
    *status = s2a_request_set_parts(request, X, strlen(X), "Who?", 4, NULL);
    if (*status == S2A_OK)
        *status = s2a_request_set_text(request, X, strlen(X), NULL);
    if (*status == S2A_OK)
        *status = s2a_request_set_id(request, "id", NULL);
    if (*status == S2A_OK)
        *status = s2a_request_add_message(request, "system", "Be brief.", 9, NULL);
    if (*status == S2A_OK)
        *status = s2a_request_add_message(request, "user", X, strlen(X), NULL);
    return request;
}

static s2a_status as_it_is(s2a_request *request)
{
    (void)request;
    return S2A_OK;
}

static s2a_status keep_half(s2a_request *request)
{
    return s2a_request_set_keep(request, 0.5, NULL);
}

static s2a_status conversation(s2a_request *request)
{
    s2a_status status = s2a_request_add_message(request, "assistant", "No.", 3, NULL);
    return status == S2A_OK ? s2a_request_add_message(request, "user", X, strlen(X), NULL) : status;
}

static s2a_status long_text(s2a_request *request)
{
    static const char text[] = X X X X X X X X X X "I think it was Poe. I think it was Poe.";
    return s2a_request_set_text(request, text, sizeof text - 1, NULL);
}

static void sweep_with(run_fn run, const char *records, s2a_engine_options options,
                       s2a_status (*change)(s2a_request *))
{
    long runs = 0;
    for (long n = 1;; n++, runs++) {
        s2a_engine *engine = scripted_engine_with(records, options);
        s2a_result *result = NULL;
        s2a_error err = { .status = S2A_OK };
        failed = false;
        fail_at = n;
        s2a_status status = S2A_OK;
        s2a_request *request = request_build(&status);
        if (status == S2A_OK)
            status = change(request);
        if (status == S2A_OK)
            status = run(engine, request, &result, &err);
        fail_at = 0;
        if (!failed) {
            assert_int_equal(status, S2A_OK);
            s2a_result_free(result);
            s2a_request_free(request);
            s2a_engine_close(engine);
            break;
        }
        assert_int_equal(status, S2A_NOMEM);
        assert_null(result);
        s2a_request_free(request);
        s2a_engine_close(engine);
    }
    print_message("%ld allocations failed one by one\n", runs);
    assert_true(runs > 20);
}

static void sweep(run_fn run, const char *records)
{
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    sweep_with(run, records, options, as_it_is);
}

static void test_attend(void **state)
{
    (void)state;
    sweep(s2a_attend, RECORDS);
}

static void test_attend_fallback(void **state)
{
    (void)state;
    sweep(s2a_attend, "Context: In 1999.\nQuestion/Query: Who wrote it?\n");
}

static void test_attend_inferred_question(void **state)
{
    (void)state;
    sweep(s2a_attend, "Unbiased text context: The poem is from 1855. Who wrote it?\n");
}

static void test_answer(void **state)
{
    (void)state;
    sweep(s2a_answer, RECORDS "%%\nWalt Whitman.\n");
}

static void test_select(void **state)
{
    (void)state;
    sweep(s2a_attend, "@score -9 -9 0\n@score 0 -9 -9\n");
    sweep(s2a_answer, "@score -9 -9 0\n@score 0 -9 -9\n%%\nWalt Whitman.\n");
}

/* In a context that holds little of the text beside the examples. */
static void test_select_windows(void **state)
{
    (void)state;
    static const char records[] = "@score -9 -9 0\n@score 0 -9 -9\n";
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    s2a_engine *engine = scripted_engine(records);
    options.ctx_tokens = (uint32_t)engine->examples.tokens + 500;
    s2a_engine_close(engine);
    sweep_with(s2a_attend, records, options, long_text);
    sweep_with(s2a_attend, records, options, keep_half);
}

static void test_select_turns(void **state)
{
    (void)state;
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    sweep_with(s2a_answer, "@score -9 -9 0\n@score 0 -9 -9\n%%\nWalt Whitman.\n", options, conversation);
}

static void test_engine_open(void **state)
{
    (void)state;
    char *path = temporary_file("@expect a\none\n%%\ntwo\n", 21);
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.backend = "script";
    options.model = path;
    options.prompts_dir = "prompts";
    for (long n = 1;; n++) {
        s2a_engine *engine = NULL;
        failed = false;
        fail_at = n;
        s2a_status status = s2a_engine_open(&options, &engine, NULL);
        fail_at = 0;
        s2a_engine_close(engine);
        if (!failed) {
            assert_int_equal(status, S2A_OK);
            assert_true(n > 10);
            break;
        }
        assert_int_equal(status, S2A_NOMEM);
        assert_null(engine);
    }
    remove(path);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attend),
        cmocka_unit_test(test_attend_fallback),
        cmocka_unit_test(test_attend_inferred_question),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_select_windows),
        cmocka_unit_test(test_select_turns),
        cmocka_unit_test(test_engine_open),
    };
    return cmocka_run_group_tests_name("oom", tests, NULL, NULL);
}
