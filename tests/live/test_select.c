/* Mode select on the embedded engine: what is told of a text is what the hidden states are,
 * whatever decodes they were met in. The test model is too small to judge well, so nothing is asked
 * of its taste. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine.h"
#include "live.h"

#define X "I like rain. Ann has 3 apples. She buys 4 more. How many apples has she?"

static s2a_engine *engine;

static int setup(void **state)
{
    (void)state;
    engine = live_engine(4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s2a_engine_close(engine);
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

enum { PIECES = 5, WANTED = 3, LAYERS = 2, ROWS = 3 };

static const backend_message question = { "user", "Name a colour of the sky.", 25 };
static const uint32_t layers[LAYERS] = { 9, 14 };

static const backend_piece pieces[PIECES] = {
    { "The text: ", 10, false }, { "The sky is blue.", 16, true },
    { " So it is.", 10, false }, { " Grass is green.", 16, true },
    { " Snow?", 6, true },
};

static size_t width(void)
{
    backend *b = live_backend(engine);
    return b->vtable->capabilities(b).hidden_width;
}

static s2a_status read_by(const backend_head *head, const backend_piece *of, size_t count,
                          double *told, float *states, backend_usage *usage, s2a_error *err)
{
    backend *b = live_backend(engine);
    backend_params params = { .top_p = 1 };
    return b->vtable->read(b, &question, 1, of, count, head, &params, told, states, usage, err);
}

static float *states_of(const backend_piece *of, size_t count, size_t wanted)
{
    float *states = calloc(wanted * LAYERS * 2 * width(), sizeof *states);
    backend_head head = { .layers = layers, .layer_count = LAYERS };
    backend_usage usage;
    s2a_error err;
    assert_non_null(states);
    if (read_by(&head, of, count, NULL, states, &usage, &err) != S2A_OK)
        fail_msg("%s", err.message);
    assert_int_equal(usage.tokens.completion_tokens, 0);
    assert_true(usage.tokens.prompt_tokens > 20);
    return states;
}

/* A state is divided by its root mean square; what is told is the product of rows and states. */
static void test_told_is_rows_by_states(void **state)
{
    (void)state;
    size_t n = LAYERS * 2 * width();
    float *states = states_of(pieces, PIECES, WANTED), *rows = calloc(ROWS * n, sizeof *rows);
    double told[WANTED * ROWS];
    backend_usage usage;
    s2a_error err;
    assert_non_null(rows);
    for (size_t i = 0; i < ROWS * n; i++)
        rows[i] = (float)((double)(i * 7919 % 1000) / 1000 - .5);
    for (size_t i = 0; i < WANTED * LAYERS; i++) {
        double square = 0;
        for (size_t k = 0; k < width(); k++)
            square += (double)states[i * 2 * width() + k] * (double)states[i * 2 * width() + k];
        assert_true(fabs(square / (double)width() - 1) < 1e-3);
    }
    backend_head head = { layers, LAYERS, rows, ROWS, 1 };
    assert_int_equal(read_by(&head, pieces, PIECES, told, NULL, &usage, &err), S2A_OK);
    for (size_t p = 0; p < WANTED; p++)
        for (size_t r = 0; r < ROWS; r++) {
            double want = 0;
            for (size_t i = 0; i < n; i++)
                want += (double)rows[r * n + i] * (double)states[p * n + i];
            if (!(fabs(want - told[p * ROWS + r]) < .01 * (1 + fabs(want))))
                fail_msg("piece %zu, row %zu: %g in place of %g", p, r, told[p * ROWS + r], want);
        }
    free(rows);
    free(states);
}

/* The same text gives the same numbers, also after another one was read and answered. */
static void test_again(void **state)
{
    (void)state;
    size_t bytes = WANTED * LAYERS * 2 * width() * sizeof(float);
    float *first = states_of(pieces, PIECES, WANTED);
    free(states_of(pieces + 1, PIECES - 1, WANTED));
    live_run run = { .max_tokens = 3 };
    live_generate(live_backend(engine), &question, 1, &run);
    float *second = states_of(pieces, PIECES, WANTED);
    assert_memory_equal(first, second, bytes);
    free(first);
    free(second);
}

/* A text of several decodes: the mean of a piece that is divided between two is that of all its
 * tokens. The states of what stands before are those of the short text, up to rounding. */
static void test_many_decodes(void **state)
{
    (void)state;
    enum { COUNT = 120 };
    static backend_piece many[COUNT];
    static char text[COUNT][64];
    for (size_t i = 0; i < COUNT; i++) {
        int n = snprintf(text[i], sizeof text[i], " Box %zu has %zu stones and is %s.", i, i * i,
                         i % 2 ? "red" : "blue");
        many[i] = (backend_piece){ text[i], (size_t)n, true };
    }
    float *few = states_of(many, 10, 10), *all = states_of(many, COUNT, COUNT);
    size_t n = LAYERS * 2 * width();
    for (size_t p = 0; p < COUNT; p++)
        for (size_t l = 0; l < LAYERS; l++) {
            double mean = 0;
            for (size_t k = 0; k < width(); k++)
                mean += fabs((double)all[p * n + (l * 2 + 1) * width() + k]);
            assert_true(mean / (double)width() > .05); /* it was met, in whichever decode */
        }
    for (size_t p = 0; p < 10; p++) {
        double dot = 0, a = 0, b = 0;
        for (size_t i = 0; i < n; i++) {
            dot += (double)few[p * n + i] * (double)all[p * n + i];
            a += (double)few[p * n + i] * (double)few[p * n + i];
            b += (double)all[p * n + i] * (double)all[p * n + i];
        }
        assert_true(dot / sqrt(a * b) > .98);
    }
    free(few);
    free(all);
}

static void refused(const uint32_t *of, size_t count, s2a_status status, const char *says)
{
    backend_head head = { .layers = of, .layer_count = count, .row_count = 1 };
    backend_usage usage;
    s2a_error err = { .message = "" };
    double told[WANTED];
    assert_int_equal(read_by(&head, pieces, PIECES, told, NULL, &usage, &err), status);
    if (!strstr(err.message, says))
        fail_msg("\"%s\" does not say \"%s\"", err.message, says);
}

static void test_faults(void **state)
{
    (void)state;
    backend *b = live_backend(engine);
    uint32_t last = b->vtable->capabilities(b).layers - 1;
    const uint32_t down[] = { 4, 3 };
    refused(&last, 1, S2A_ARGUMENT, "from 0 to");
    refused(down, 2, S2A_ARGUMENT, "ascending");
    refused(layers, 0, S2A_ARGUMENT, "no layer");
    s2a_cancel *cancel = s2a_cancel_new();
    assert_non_null(cancel);
    s2a_cancel_fire(cancel);
    backend_params params = { .top_p = 1, .cancel = cancel };
    backend_head head = { .layers = layers, .layer_count = 1 };
    backend_usage usage;
    s2a_error err;
    float *states = calloc(WANTED * LAYERS * 2 * width(), sizeof *states);
    assert_int_equal(b->vtable->read(b, &question, 1, pieces, PIECES, &head, &params, NULL, states,
                                     &usage, &err),
                     S2A_CANCELLED);
    free(states);
    s2a_cancel_free(cancel);
}

/* ---- both steps --------------------------------------------------------------------------- */

static s2a_request *request_on(const char *text)
{
    s2a_request *request = s2a_request_new();
    assert_non_null(request);
    assert_int_equal(s2a_request_set_text(request, text, strlen(text), NULL), S2A_OK);
    assert_int_equal(s2a_request_set_sampling(request, 0, 1, 0, NULL), S2A_OK);
    s2a_request_set_max_tokens(request, 4);
    return request;
}

static s2a_result *attend(s2a_engine *by, s2a_request *request)
{
    s2a_result *result = NULL;
    s2a_error err;
    if (s2a_attend(by, request, &result, &err) != S2A_OK)
        fail_msg("%s", err.message);
    live_check_result(result);
    return result;
}

static void test_attend(void **state)
{
    (void)state;
    s2a_request *request = request_on(X);
    s2a_result *result = attend(engine, request);
    assert_int_equal(s2a_result_mode(result), S2A_MODE_SELECT);
    assert_int_equal(s2a_result_unit_count(result), 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(s2a_result_unit(result, i).has_score &&
                    isfinite(s2a_result_unit(result, i).score));
    uint64_t tokens = s2a_result_usage(result, 1).prompt_tokens;
    assert_in_range(tokens, 2 * 18, 2 * 30 + 60); /* the text twice, and what stands around it */
    s2a_result_free(result);
    result = attend(engine, request); /* remembered */
    assert_int_equal(s2a_result_usage(result, 1).prompt_tokens, 0);
    s2a_result_free(result);
    s2a_request_free(request);
}

/* A high threshold cuts all but what is protected, and what the model takes for asked. */
static void test_protect(void **state)
{
    (void)state;
    s2a_request *request = request_on(X);
    assert_int_equal(s2a_request_set_threshold(request, 1e5, NULL), S2A_OK);
    assert_int_equal(s2a_request_protect_text(request, "buys 4", 6, NULL), S2A_OK);
    s2a_result *result = attend(engine, request);
    assert_non_null(strstr(s2a_result_rewritten(result, NULL), "She buys 4 more."));
    assert_true(s2a_result_unit(result, 2).kept && !s2a_result_unit(result, 2).has_score);
    s2a_result_free(result);
    s2a_request_free(request);
}

static void test_keep(void **state)
{
    (void)state;
    s2a_request *request = s2a_request_new();
    assert_non_null(request);
    const char *asked = "How many apples has she?";
    assert_int_equal(s2a_request_set_parts(request, X, strlen(X), asked, strlen(asked), NULL),
                     S2A_OK);
    assert_int_equal(s2a_request_set_keep(request, .5, NULL), S2A_OK);
    s2a_result *result = attend(engine, request);
    size_t kept = 0;
    assert_int_equal(s2a_result_unit_count(result), 5);
    for (size_t i = 0; i < 4; i++) {
        s2a_unit u = s2a_result_unit(result, i);
        kept += u.kept ? u.end - u.start : 0;
    }
    assert_true(s2a_result_unit(result, 4).kept && !s2a_result_unit(result, 4).has_score);
    assert_true(kept > 0 && kept <= strlen(X) / 2 + 2);
    uint64_t tokens = s2a_result_usage(result, 1).prompt_tokens; /* the question, then the text once
                                                                  */
    assert_in_range(tokens, 18, 30 + 60);
    s2a_result_free(result);
    s2a_request_free(request);
}

/* Many windows: time and memory are those of windows, and each unit is judged. */
static void test_windows(void **state)
{
    (void)state;
    enum { LINES = 260 };
    char *text = malloc(LINES * 64);
    size_t len = 0;
    assert_non_null(text);
    for (size_t i = 0; i < LINES; i++)
        len += (size_t)sprintf(text + len, "On day %zu the %s carried %zu stones. ", i,
                               i % 3 ? "horse" : "donkey", i * 3);
    strcpy(text + len, "How many stones were carried on day 4?");
    s2a_request *request = request_on(text);
    s2a_result *result = attend(engine, request);
    assert_int_equal(s2a_result_unit_count(result), LINES + 1);
    for (size_t i = 0; i <= LINES; i++)
        assert_true(s2a_result_unit(result, i).has_score);
    s2a_result_free(result);
    s2a_request_free(request);
    free(text);
}

/* The context of the answers may be as small as it likes. */
static void test_small_context(void **state)
{
    (void)state;
    s2a_engine *small = live_engine(256);
    s2a_request *request = request_on(X);
    s2a_result *result = NULL;
    s2a_error err;
    assert_int_equal(s2a_answer(small, request, &result, &err), S2A_OK);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_NONE);
    s2a_result_free(result);
    s2a_request_free(request);
    s2a_engine_close(small);
}

/* A question without room for a text behind it is an error of step 1. */
static void test_too_long(void **state)
{
    (void)state;
    enum { WORDS = 9000 };
    s2a_request *request = s2a_request_new();
    char *asked = malloc(5 * WORDS + 8);
    assert_true(request && asked);
    for (size_t i = 0; i < WORDS; i++)
        memcpy(asked + 5 * i, "much ", 5);
    strcpy(asked + 5 * WORDS, "is it?");
    assert_int_equal(s2a_request_set_parts(request, X, strlen(X), asked, strlen(asked), NULL),
                     S2A_OK);
    s2a_request_set_preset(request, S2A_PRESET_RELEVANCE);
    s2a_result *result = NULL;
    s2a_error err;
    assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_LIMIT);
    assert_non_null(strstr(err.message, "shorten the question"));
    free(asked);
    s2a_request_free(request);
}

/* Without a head nothing is judged, and a file of another model's is told of. */
static void test_heads(void **state)
{
    (void)state;
    s2a_engine_options options = live_options(512);
    options.head = NULL;
    s2a_engine *without = live_engine_with(&options);
    assert_false(s2a_engine_selects(without));
    s2a_request *request = request_on(X);
    s2a_request_set_mode(request, S2A_MODE_SELECT);
    s2a_result *result = NULL;
    s2a_error err;
    assert_int_equal(s2a_attend(without, request, &result, &err), S2A_UNSUPPORTED);
    assert_non_null(strstr(err.message, "s2a calibrate"));
    s2a_request_free(request);
    s2a_engine_close(without);
    options.head = "models/heads/qwen2.5-coder-0.5b-instruct.head";
    assert_int_equal(s2a_engine_open(&options, &without, &err), S2A_INPUT);
    assert_non_null(strstr(err.message, "another model"));
    options.head = "tests/live/no-such.head";
    assert_int_equal(s2a_engine_open(&options, &without, &err), S2A_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_is_rows_by_states),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_many_decodes),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_attend),
        cmocka_unit_test(test_protect),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_small_context),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_heads),
    };
    if (!live_model())
        return 77; /* ctest: skipped */
    return cmocka_run_group_tests(tests, setup, teardown);
}
