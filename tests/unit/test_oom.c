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

#include "base/buf.h"
#include "base/limits.h"
#include "core/head.h"
#include "core/reading.h"
#include "core/select.h"
#include "failing_alloc.h"
#include "fake_reader.h"
#include "s2a.h"
#include "scripted.h"
#include "teach/teach.h"

#define X "I think it was “Poe” in 1,855. The poem is from 1855: `print`. Who wrote it?"
#define RECORDS \
    "Context: The poem is from 1855: `print`. See \"Poe\".\nQuestion/Query: Who wrote it?\n"

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
        *status = s2a_request_protect_text(request, "1855", 4, NULL);
    if (*status == S2A_OK)
        *status = s2a_request_protect_lines(request, 7, 8, NULL);
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

/* Mode rewrite refuses protected texts. */
static s2a_status unprotected(s2a_request *request)
{
    s2a_request_unprotect(request);
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

#define LONG \
    X " " X " " X " " X " " X " " X " " X " " X " " X " " X " I think it was Poe. I like it."

static s2a_status long_text(s2a_request *request)
{
    return s2a_request_set_text(request, LONG, sizeof LONG - 1, NULL);
}

static s2a_status parts(s2a_request *request)
{
    static const char context[] = "It rained. - `x`\n```\nint x;\nSing.\n";
    return s2a_request_set_parts(request, context, sizeof context - 1, "Who?", 4, NULL);
}

static s2a_status parts_relevance(s2a_request *request)
{
    s2a_request_set_preset(request, S2A_PRESET_RELEVANCE);
    return parts(request);
}

static s2a_status parts_untrusted(s2a_request *request)
{
    s2a_request_set_preset(request, S2A_PRESET_UNTRUSTED);
    return parts(request);
}

static s2a_status documents(s2a_request *request)
{
    s2a_request_unprotect(request);
    s2a_status status = s2a_request_set_question(request, "Who?", 4, NULL);
    if (status == S2A_OK)
        status = s2a_request_add_document(request, "It rained. - `x`\n\n```\nint x;\n", 28, NULL);
    if (status == S2A_OK)
        status = s2a_request_add_document(request, "", 0, NULL);
    return status == S2A_OK ? s2a_request_add_document(request, X, strlen(X), NULL) : status;
}

static s2a_status documents_half(s2a_request *request)
{
    s2a_status status = documents(request);
    return status == S2A_OK ? keep_half(request) : status;
}

static s2a_status conversation_untrusted(s2a_request *request)
{
    s2a_request_set_preset(request, S2A_PRESET_UNTRUSTED);
    return conversation(request);
}

/* So many allocations may fail and change nothing: what is remembered of a reading is a
 * help alone. */
static void sweep_with(run_fn run, const char *records, s2a_engine_options options,
                       s2a_status (*change)(s2a_request *), long spared)
{
    long runs = 0;
    char *want = NULL;
    for (long n = 0;; n++, runs++) { /* 0: none fails */
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
        bool done = n > 0 && !failed;
        if (status == S2A_OK) {
            const char *is = s2a_result_rewritten(result, NULL);
            want = want ? want : strdup(is);
            assert_string_equal(is, want);
            assert_true(spared == 0 || s2a_result_removed_count(result) > 0);
            spared -= failed;
        } else {
            assert_int_equal(status, S2A_NOMEM);
            assert_true(failed);
            assert_null(result);
        }
        s2a_result_free(result);
        s2a_request_free(request);
        s2a_engine_close(engine);
        if (done)
            break;
    }
    print_message("%ld allocations failed one by one\n", runs);
    assert_true(runs > 20 && spared == 0);
    free(want);
}

static void sweep(run_fn run, const char *records)
{
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    sweep_with(run, records, options, unprotected, 0);
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

#define SCORES "@score -9 9\n@score 9 9 1\n"

static void test_select(void **state)
{
    (void)state;
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    sweep_with(s2a_attend, SCORES, options, as_it_is, 1);
    sweep_with(s2a_answer, SCORES "%%\nWalt Whitman.\n", options, as_it_is, 1);
    sweep_with(s2a_attend, SCORES, options, keep_half, 1);
}

/* In a context that holds little of the text at once. */
static void test_select_windows(void **state)
{
    (void)state;
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.ctx_tokens = 900;
    sweep_with(s2a_attend, SCORES, options, long_text, 5);
}

static void test_select_parts(void **state)
{
    (void)state;
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    sweep_with(s2a_attend, SCORES, options, parts, 1);
    sweep_with(s2a_attend, "@score -9\n@score 9\n", options, parts_relevance, 1);
    sweep_with(s2a_attend, "@score 0 9\n@score 0 -9\n", options, parts_untrusted, 1);
}

static void test_select_documents(void **state)
{
    (void)state;
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    sweep_with(s2a_attend, "@score -9\n@score 9\n", options, documents, 1);
    /* one document is unchanged: its text is put together anew, from the whole */
    sweep_with(s2a_attend, "@score -9\n@score 9\n", options, documents_half, 2);
}

static void test_select_turns(void **state)
{
    (void)state;
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    sweep_with(s2a_answer, SCORES "%%\n" SCORES "%%\nWalt Whitman.\n", options, conversation, 2);
    sweep_with(s2a_attend, "@score 0 9\n@score 0 -9\n", options, conversation_untrusted,
               1); /* one text, twice */
}

/* ---- parts of select ------------------------------------------------------------------------ */

/* What is to be cut finer is as it was where there is no memory for that. */
static void test_units(void **state)
{
    (void)state;
    static const char text[] = "It rained.\n```\nint x;\nint y;\n\nWho?";
    for (int apart = 0; apart < 2; apart++)
        for (long n = 1;; n++) {
            segment_unit *units = NULL, was = { .start = 0 };
            size_t count = 0, at = sizeof text - 1 - 4;
            if (!apart) {
                assert_int_equal(segment_text(text, sizeof text - 1, NULL, &units, &count, NULL),
                                 S2A_OK);
                assert_int_equal(count, 2);
                was = units[1];
            }
            failed = false;
            fail_at = n;
            s2a_status status =
                apart ? segment_apart(text, sizeof text - 1, at, NULL, &units, &count, NULL)
                      : select_refine(S2A_PRESET_UNTRUSTED, text, &units, &count, NULL);
            fail_at = 0;
            assert_int_equal(status, failed ? S2A_NOMEM : S2A_OK);
            assert_int_equal(count, !failed ? (apart ? 3 : 5) : apart ? 0 : 2);
            assert_true(!failed || apart ||
                        (units[1].start == was.start && units[1].end == was.end &&
                         units[1].text_end == was.text_end));
            free(units);
            if (!failed) {
                assert_true(n > 1);
                break;
            }
        }
}

static void test_states(void **state)
{
    (void)state;
    static const char text[] = "It rained. Who?";
    static const uint32_t layer = 3;
    segment_unit *units = NULL;
    size_t count = 0;
    fake_reader f;
    fake_reader_init(&f, NULL, NULL);
    f.can.hidden_width = 4;
    assert_int_equal(segment_text(text, sizeof text - 1, NULL, &units, &count, NULL), S2A_OK);
    select_input in = {
        .backend = &f.base, .text = text, .units = units, .count = count, .question_start = SIZE_MAX
    };
    for (long n = 1;; n++) {
        float *states = NULL;
        size_t read = 0;
        s2a_usage usage;
        failed = false;
        fail_at = n;
        s2a_status status = reading_states(&in, NULL, &layer, 1, &states, &read, &usage, NULL);
        fail_at = 0;
        assert_int_equal(status, failed ? S2A_NOMEM : S2A_OK);
        assert_int_equal(states == NULL, failed);
        free(states);
        if (!failed) {
            assert_true(n > 4 && read == 2);
            break;
        }
    }
    free(units);
    fake_reader_free(&f);
}

/* ---- heads ---------------------------------------------------------------------------------- */

/* From a file; and written again. */
static void test_head(void **state)
{
    (void)state;
    static float maps[HEAD_ROWS * 4];
    judge_head made = {
        .model = "m", .weights_id = 5, .layers = { 1 }, .layer_count = 1, .width = 2, .maps = maps
    };
    buf bytes;
    buf_init(&bytes, LIMIT_HEAD_FILE_BYTES);
    head_write(&made, &bytes);
    char *path = temporary_file(bytes.data, bytes.len);
    fake_reader f;
    fake_reader_init(&f, NULL, NULL);
    f.can.hidden_width = 2;
    f.can.weights_id = 5;
    f.can.layers = 3;
    for (long n = 1;; n++) {
        judge_head *h = NULL;
        buf again;
        buf_init(&again, LIMIT_HEAD_FILE_BYTES);
        failed = false;
        fail_at = n;
        s2a_status status = head_find(&f.base, path, &h, NULL);
        if (status == S2A_OK)
            head_write(h, &again);
        fail_at = 0;
        assert_int_equal(status != S2A_OK ? status : again.status, failed ? S2A_NOMEM : S2A_OK);
        assert_int_equal(h == NULL, status != S2A_OK);
        if (!failed) {
            assert_int_equal(again.len, bytes.len);
            assert_memory_equal(again.data, bytes.data, bytes.len);
        }
        head_free(h);
        buf_free(&again);
        if (!failed) {
            assert_true(n > 3);
            break;
        }
    }
    fake_reader_free(&f);
    buf_free(&bytes);
    remove(path);
    free(path);
}

/* ---- teaching ------------------------------------------------------------------------------- */

static void test_teaching_set(void **state)
{
    (void)state;
    static const char text[] =
        "{\"kind\":\"k\",\"units\":[{\"text\":\"a\",\"label\":\"needed\"}]}\n"
        "{\"kind\":\"k\",\"units\":[{\"text\":\"b\",\"label\":\"either\"}]}\n";
    for (long n = 1;; n++) {
        teaching_set set;
        failed = false;
        fail_at = n;
        s2a_status status = teaching_set_read("f", text, sizeof text - 1, &set, NULL);
        fail_at = 0;
        assert_int_equal(status, failed ? S2A_NOMEM : S2A_OK);
        assert_true(failed || set.count == 2);
        teaching_set_free(&set);
        if (!failed) {
            assert_true(n > 5);
            break;
        }
    }
}

static void test_teach(void **state)
{
    (void)state;
    enum { COUNT = 200, NUMBERS = 4 };
    static teach_unit units[COUNT];
    static float states[COUNT][NUMBERS];
    static const teaching_label labels[] = { TEACH_NEEDED,  TEACH_UNRELATED, TEACH_NEEDED,
                                             TEACH_OPINION, TEACH_NEEDED,    TEACH_UNRELATED,
                                             TEACH_NEEDED,  TEACH_ORDER };
    for (size_t i = 0; i < COUNT; i++) {
        units[i] = (teach_unit){
            i,         (unsigned)(i / 8), i % 8 < 4 ? HEAD_AGAIN : HEAD_APART, labels[i % 8],
            i / 8 % 2, states[i]
        };
        for (size_t k = 0; k < NUMBERS; k++)
            states[i][k] =
                (float)((i * 31 + k * 17) % 13) + (labels[i % 8] == TEACH_NEEDED ? 9 : 0);
    }
    for (long n = 1;; n++) {
        judge_head h = { .layers = { 1 }, .layer_count = 1, .width = NUMBERS / 2 };
        s2a_calibration_report report;
        failed = false;
        fail_at = n;
        s2a_status status = teach_fit(units, COUNT, NULL, &h, &report, NULL);
        fail_at = 0;
        assert_int_equal(status, failed ? S2A_NOMEM : S2A_OK);
        free(h.maps);
        if (!failed) {
            assert_true(n > 5 + 5 * 6 * 3);
            break;
        }
    }
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
        cmocka_unit_test(test_select_parts),
        cmocka_unit_test(test_select_documents),
        cmocka_unit_test(test_select_turns),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_teaching_set),
        cmocka_unit_test(test_teach),
        cmocka_unit_test(test_engine_open),
    };
    return cmocka_run_group_tests_name("oom", tests, NULL, NULL);
}
