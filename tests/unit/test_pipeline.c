/* The two steps end to end on the script backend: presets, forms of a request, every fallback,
 * errors, cancelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "s2a.h"
#include "scripted.h"

#define X "I think it was Poe. The poem is from 1855. Who wrote it?"
#define PARTS "Unbiased text context: The poem is from 1855.\n\nQuestion/Query: Who wrote it?\n"

static void check_text(const char *(*get)(const s2a_result *, size_t *), const s2a_result *result,
                       const char *want)
{
    size_t len = 0;
    const char *got = get(result, &len);
    if (!want) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_string_equal(got, want);
    assert_int_equal(len, strlen(want));
}

/* What must hold of any result: units join, spans are inside, removed words are not kept. */
static void check_invariants(const s2a_result *result)
{
    size_t x_len = 0, y_len = 0, at = 0;
    assert_non_null(s2a_result_input(result, &x_len));
    assert_non_null(s2a_result_rewritten(result, &y_len));
    for (size_t i = 0; i < s2a_result_unit_count(result); i++) {
        s2a_unit unit = s2a_result_unit(result, i);
        assert_int_equal(unit.start, at);
        assert_true(unit.end > unit.start);
        assert_false(unit.has_score);
        at = unit.end;
    }
    assert_int_equal(at, x_len);
    for (size_t i = 0; i < s2a_result_removed_count(result); i++) {
        s2a_span span = s2a_result_removed(result, i);
        assert_true(span.start < span.end && span.end <= x_len);
    }
    for (size_t i = 0; i < s2a_result_added_count(result); i++) {
        s2a_span span = s2a_result_added(result, i);
        assert_true(span.start < span.end && span.end <= y_len);
    }
}

static s2a_result *attend(const char *records, s2a_request *request)
{
    s2a_engine *engine = scripted_engine(records);
    s2a_result *result = NULL;
    s2a_error err;
    if (s2a_attend(engine, request, &result, &err) != S2A_OK)
        fail_msg("attend: %s", err.message);
    check_invariants(result);
    s2a_engine_close(engine);
    return result;
}

static s2a_result *answer(const char *records, s2a_request *request)
{
    s2a_engine *engine = scripted_engine(records);
    s2a_result *result = NULL;
    s2a_error err;
    if (s2a_answer(engine, request, &result, &err) != S2A_OK)
        fail_msg("answer: %s (records: %s)", err.message, records);
    check_invariants(result);
    s2a_engine_close(engine);
    return result;
}

static void test_attend(void **state)
{
    (void)state;
    s2a_request *request = scripted_request(X);
    s2a_result *result = attend("@expect Text by User: " X "\n" PARTS, request);
    check_text(s2a_result_context, result, "The poem is from 1855.");
    check_text(s2a_result_question, result, "Who wrote it?");
    check_text(s2a_result_rewritten, result, "The poem is from 1855. Who wrote it?");
    check_text(s2a_result_input, result, X);
    check_text(s2a_result_answer, result, NULL);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_NONE);
    assert_string_equal(s2a_result_fallback_detail(result), "");
    assert_int_equal(s2a_result_removed_count(result), 1);
    s2a_span removed = s2a_result_removed(result, 0);
    assert_int_equal(removed.start, 0);
    assert_int_equal(removed.end, strlen("I think it was Poe."));
    assert_int_equal(s2a_result_unit_count(result), 3);
    assert_false(s2a_result_unit(result, 0).kept);
    assert_string_equal(s2a_result_unit(result, 0).label, "removed");
    assert_string_equal(s2a_result_unit(result, 1).label, "kept");
    assert_string_equal(s2a_result_unit(result, 2).label, "question");
    assert_int_equal(s2a_result_mode(result), S2A_MODE_REWRITE);
    assert_true(s2a_result_usage(result, 1).completion_tokens > 0);
    assert_int_equal(s2a_result_usage(result, 2).completion_tokens, 0);
    s2a_result_free(result);
    s2a_request_free(request);
}

/* What step 2 is asked, for each preset: the record fails unless the prompt contains the text. */
static void test_presets(void **state)
{
    (void)state;
    static const struct {
        const char *preset, *records, *rewritten;
    } cases[] = {
        { "auto",
          "@expect Text by User: I think\n" PARTS
          "%%\n@expect Unbiased text context: The poem is from 1855.\nok\n",
          "The poem is from 1855. Who wrote it?" },
        { "opinion",
          "@expect extract the part that is unbiased and not their opinion\n" PARTS
          "%%\n@expect Question/Query: Who wrote it?\nok\n",
          "The poem is from 1855. Who wrote it?" },
        { "opinion", PARTS "%%\n@expect Answer in an unbiased way.\nok\n",
          "The poem is from 1855. Who wrote it?" },
        { "not-instructed", PARTS "%%\n@expect Question/Query: Who wrote it?\nok\n",
          "The poem is from 1855. Who wrote it?" },
        { "keep-original", PARTS "%%\n@expect Original user query (possibly biased): " X "\nok\n",
          "The poem is from 1855. Who wrote it?" },
        { "relevance",
          "@expect Do not use list.\n" PARTS
          "%%\n@expect Problem: The poem is from 1855. Who wrote it?\nok\n",
          "The poem is from 1855. Who wrote it?" },
        { "single",
          "@expect Text by User: " X "\nThe poem is from 1855. Who wrote it?\n"
          "%%\n@expect The poem is from 1855. Who wrote it?\nok\n",
          "The poem is from 1855. Who wrote it?" },
        { "plain", "@expect " X "\nok\n", X },
        { "instructed", "@expect Answer in an unbiased way.\nok\n", X },
        { "instructed-math", "@expect you may ignore that part\nok\n", X },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s2a_request *request = scripted_request(X);
        s2a_preset preset;
        assert_true(s2a_preset_from_name(cases[i].preset, &preset));
        s2a_request_set_preset(request, preset);
        s2a_result *result = answer(cases[i].records, request);
        assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_NONE);
        check_text(s2a_result_rewritten, result, cases[i].rewritten);
        check_text(s2a_result_answer, result, "ok");
        assert_string_equal(s2a_preset_name(s2a_result_preset(result)), cases[i].preset);
        s2a_result_free(result);
        s2a_request_free(request);
    }
}

static void test_fallbacks(void **state)
{
    (void)state;
    static const struct {
        const char *record;
        s2a_fallback reason;
    } cases[] = {
        { "Unbiased text context: The poem is from 1855.\n", S2A_FALLBACK_NO_QUESTION },
        { "Context: x\nQuestion/Query: Why do elephants sing?\n", S2A_FALLBACK_NO_QUESTION },
        { "\n", S2A_FALLBACK_EMPTY },
        { "Unbiased text context:\nQuestion/Query:\n", S2A_FALLBACK_EMPTY },
        { "@length\n" PARTS, S2A_FALLBACK_CUT_OFF },
        { "Context: The poem is from 1955.\nQuestion/Query: Who wrote it?\n",
          S2A_FALLBACK_NEW_NUMBER },
        { "Context: The poem \"Howl\".\nQuestion/Query: Who wrote it?\n", S2A_FALLBACK_NEW_QUOTE },
        { "Context: See `poem.c`.\nQuestion/Query: Who wrote it?\n", S2A_FALLBACK_NEW_CODE },
        { "I'm sorry, I can't help with that.\n", S2A_FALLBACK_REFUSAL },
        { "Context: Poems are made by poets, and poets are people who like words, and words are "
          "what we speak with, day in and day out, until at last we rest.\nQuestion/Query: Who "
          "wrote it?\n",
          S2A_FALLBACK_TOO_LONG },
        { "@error timeout the server said nothing\n", S2A_FALLBACK_STEP1_FAILED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char records[1024];
        snprintf(records, sizeof records, "%s%%%%\n@expect " X "\nthe answer\n", cases[i].record);
        s2a_request *request = scripted_request(X);
        s2a_result *result = answer(records, request);
        assert_string_equal(s2a_fallback_name(s2a_result_fallback(result)),
                            s2a_fallback_name(cases[i].reason));
        assert_true(strlen(s2a_result_fallback_detail(result)) > 0);
        check_text(s2a_result_rewritten, result, X);
        check_text(s2a_result_answer, result, "the answer");
        check_text(s2a_result_context, result, NULL);
        check_text(s2a_result_question, result, NULL);
        assert_int_equal(s2a_result_removed_count(result), 0);
        for (size_t u = 0; u < s2a_result_unit_count(result); u++)
            assert_true(s2a_result_unit(result, u).kept);
        s2a_result_free(result);
        s2a_request_free(request);
    }
}

/* The model that never stops is stopped: x' can no longer be trusted far past the bound. */
static void test_runaway(void **state)
{
    (void)state;
    size_t size = 200000;
    char *records = malloc(size + 64);
    assert_non_null(records);
    strcpy(records, "Unbiased text context: ");
    size_t at = strlen(records);
    for (; at + 5 < size; at += 5)
        memcpy(records + at, "over ", 5);
    strcpy(records + at, "\n%%\nok\n");
    s2a_request *request = scripted_request(X);
    s2a_result *result = answer(records, request);
    assert_true(s2a_result_fallback(result) != S2A_FALLBACK_NONE);
    assert_true(s2a_result_usage(result, 1).completion_tokens < 2000);
    check_text(s2a_result_answer, result, "ok");
    s2a_result_free(result);
    s2a_request_free(request);
    free(records);
}

static void test_clean_prompt_is_untouched(void **state)
{
    (void)state;
    const char *x = "The poem is  from 1855.\n\n  Who wrote it?";
    s2a_request *request = scripted_request(x);
    s2a_result *result = attend(PARTS, request);
    check_text(s2a_result_rewritten, result, x);
    assert_int_equal(s2a_result_removed_count(result), 0);
    assert_int_equal(s2a_result_added_count(result), 0);
    s2a_result_free(result);
    s2a_request_free(request);
}

static void test_repeated_question_is_dropped(void **state)
{
    (void)state;
    s2a_request *request = scripted_request(X);
    s2a_result *result = attend("Unbiased text context: The poem is from 1855. Who wrote it?\n\n"
                                "Question/Query: Who wrote it?\n",
                                request);
    check_text(s2a_result_context, result, "The poem is from 1855.");
    assert_int_equal(s2a_result_added_count(result), 0);
    s2a_result_free(result);
    s2a_request_free(request);
}

static void test_parts(void **state)
{
    (void)state;
    s2a_request *request = scripted_request("replaced below");
    const char *context = "I think it was Poe. The poem is from 1855. Who wrote it?";
    assert_int_equal(
        s2a_request_set_parts(request, context, strlen(context), "Who wrote it?", 13, NULL),
        S2A_OK);
    s2a_result *result = attend("@expect 1855. Who wrote it?\n"
                                "Context: The poem is from 1855.\nQuestion/Query: Who was it?\n",
                                request);
    check_text(s2a_result_question, result, "Who wrote it?");
    check_text(s2a_result_rewritten, result, "The poem is from 1855.\n\nWho wrote it?");
    assert_int_equal(s2a_result_removed_count(result), 2);
    size_t last = s2a_result_unit_count(result) - 1;
    assert_true(s2a_result_unit(result, last).kept);
    assert_string_equal(s2a_result_unit(result, last).label, "question");
    s2a_result_free(result);

    /* A fallback keeps both parts as they were given. */
    result = attend("I'm sorry.\n", request);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_REFUSAL);
    check_text(s2a_result_context, result, context);
    check_text(s2a_result_question, result, "Who wrote it?");
    s2a_result_free(result);

    /* Without a context there is nothing to judge, and the question is all. */
    assert_int_equal(s2a_request_set_parts(request, NULL, 0, "Who wrote it?", 13, NULL), S2A_OK);
    result = attend("Context: None\nQuestion/Query: Who wrote it?\n", request);
    check_text(s2a_result_rewritten, result, "Who wrote it?");
    check_text(s2a_result_context, result, "");
    s2a_result_free(result);
    s2a_request_free(request);
}

static s2a_status add(s2a_request *request, const char *role, const char *content, s2a_error *err)
{
    return s2a_request_add_message(request, role, content, strlen(content), err);
}

static void test_messages(void **state)
{
    (void)state;
    s2a_request *request = scripted_request("replaced below");
    s2a_error err;
    assert_int_equal(add(request, "system", "You are terse.", &err), S2A_OK);
    assert_int_equal(add(request, "user", "Hello 77", &err), S2A_OK);
    assert_int_equal(add(request, "assistant", "Hi", &err), S2A_OK);
    assert_int_equal(add(request, "user", X, &err), S2A_OK);
    /* Step 1 sees the user's text alone. */
    s2a_result *result = answer(PARTS "%%\nok\n", request);
    check_text(s2a_result_input, result, X);
    uint64_t step2 = s2a_result_usage(result, 2).prompt_tokens;
    s2a_result_free(result);
    s2a_request *alone = scripted_request(X);
    result = answer(PARTS "%%\nok\n", alone);
    /* "You are terse." + "Hello 77" + "Hi" stay in step 2. */
    assert_int_equal(step2, s2a_result_usage(result, 2).prompt_tokens + 6);
    s2a_result_free(result);
    s2a_request_free(alone);

    assert_int_equal(add(request, "robot", "x", &err), S2A_ARGUMENT);
    assert_non_null(strstr(err.message, "robot"));
    assert_int_equal(add(request, "assistant", "I am last", &err), S2A_OK);
    s2a_engine *engine = scripted_engine(PARTS);
    result = (s2a_result *)&err;
    assert_int_equal(s2a_answer(engine, request, &result, &err), S2A_ARGUMENT);
    assert_null(result);
    assert_non_null(strstr(err.message, "assistant"));
    s2a_engine_close(engine);
    s2a_request_free(request);
}

static void test_errors(void **state)
{
    (void)state;
    s2a_error err;
    s2a_result *result = NULL;
    s2a_engine *engine = scripted_engine("@error backend the model broke\n");
    s2a_request *request = s2a_request_new();
    assert_non_null(request);
    assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_text(request, "  \n", 3, &err), S2A_OK);
    assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_INPUT);
    assert_int_equal(s2a_request_set_parts(request, "a", 1, " ", 1, &err), S2A_OK);
    assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_INPUT);
    assert_int_equal(s2a_request_set_text(request, "ab\xff", 3, &err), S2A_INPUT);
    assert_int_equal(err.position, 2);
    assert_int_equal(s2a_request_set_sampling(request, -1, 1, 0, &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_sampling(request, 0, 0, 0, &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_sampling(request, 0, 1.5, 0, &err), S2A_ARGUMENT);

    assert_int_equal(s2a_request_set_text(request, X, strlen(X), &err), S2A_OK);
    /* attend passes a broken backend on; answer has nothing left when step 2 breaks too. */
    assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_BACKEND);
    assert_non_null(strstr(err.message, "the model broke"));
    assert_int_equal(s2a_answer(engine, request, &result, &err), S2A_BACKEND);
    assert_null(result);
    s2a_request_set_mode(request, S2A_MODE_SELECT);
    assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_UNSUPPORTED);
    s2a_request_set_mode(request, S2A_MODE_REWRITE);
    s2a_request_set_preset(request, (s2a_preset)99);
    assert_int_equal(s2a_attend(engine, request, &result, NULL), S2A_ARGUMENT);
    s2a_request_free(request);
    s2a_engine_close(engine);
}

static void test_engine_errors(void **state)
{
    (void)state;
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    s2a_engine *engine = NULL;
    s2a_error err;
    options.backend = "oracle";
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_ARGUMENT);
    options.backend = "script";
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_ARGUMENT);
    options.model = "/nonexistent";
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_MODEL);
    options.model = "/tmp";
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_MODEL);
    char *path = temporary_file("", 0);
    options.model = path;
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_MODEL);
    options.prompts_dir = "/nonexistent";
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_IO);
    options.prompts_dir = path;
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_IO);
    remove(path);
    free(path);
    path = temporary_file("bad \xff", 5);
    options.prompts_dir = NULL;
    options.model = path;
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_MODEL);
    assert_int_equal(err.position, 4);
    remove(path);
    free(path);
    options.size = 0;
    assert_int_equal(s2a_engine_open(&options, &engine, &err), S2A_ARGUMENT);
    assert_null(engine);
    s2a_engine_close(NULL);
    s2a_request_free(NULL);
    s2a_result_free(NULL);
    s2a_cancel_free(NULL);
}

/* A prompt that cannot be copied within the context: attend says so, answer goes on without. */
static void test_context_limit(void **state)
{
    (void)state;
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.ctx_tokens = 300;
    s2a_engine *engine = scripted_engine_with("the answer\n", options);
    assert_int_equal(s2a_engine_ctx_tokens(engine), 300);
    s2a_request *request = scripted_request(X);
    s2a_result *result = NULL;
    s2a_error err;
    assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_LIMIT);
    assert_non_null(strstr(err.message, "--ctx"));
    assert_int_equal(s2a_answer(engine, request, &result, &err), S2A_OK);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_STEP1_FAILED);
    check_text(s2a_result_answer, result, "the answer");
    s2a_result_free(result);
    s2a_request_free(request);
    s2a_engine_close(engine);
}

typedef struct watch {
    size_t bytes[3];
    int stop_step;
} watch;

static int on_token(void *ctx, int step, const char *text, size_t len)
{
    watch *w = ctx;
    assert_non_null(text);
    w->bytes[step] += len;
    return step == w->stop_step;
}

static void test_tokens_and_cancel(void **state)
{
    (void)state;
    s2a_engine *engine = scripted_engine(PARTS "%%\nWalt Whitman wrote it.\n");
    s2a_request *request = scripted_request(X);
    watch w = { { 0 }, 0 };
    s2a_request_set_on_token(request, on_token, &w);
    s2a_result *result = NULL;
    s2a_error err;
    assert_int_equal(s2a_answer(engine, request, &result, &err), S2A_OK);
    assert_int_equal(w.bytes[1], strlen(PARTS) - 1);
    assert_int_equal(w.bytes[2], strlen("Walt Whitman wrote it."));
    s2a_result_free(result);
    for (w.stop_step = 1; w.stop_step <= 2; w.stop_step++) {
        s2a_engine *fresh = scripted_engine(PARTS "%%\nWalt Whitman wrote it.\n");
        assert_int_equal(s2a_answer(fresh, request, &result, &err), S2A_CANCELLED);
        assert_null(result);
        s2a_engine_close(fresh);
    }
    s2a_request_set_on_token(request, NULL, NULL);
    s2a_cancel *cancel = s2a_cancel_new();
    s2a_request_set_cancel(request, cancel);
    s2a_cancel_fire(cancel);
    assert_int_equal(s2a_answer(engine, request, &result, &err), S2A_CANCELLED);
    s2a_cancel_reset(cancel);
    s2a_request_set_max_tokens(request, 2);
    s2a_engine *short_engine = scripted_engine(PARTS "%%\nWalt Whitman wrote it.\n");
    assert_int_equal(s2a_answer(short_engine, request, &result, &err), S2A_OK);
    check_text(s2a_result_answer, result, "Walt Whitman");
    assert_true(s2a_result_answer_cut(result));
    s2a_result_free(result);
    s2a_engine_close(short_engine);
    s2a_cancel_free(cancel);
    s2a_request_free(request);
    s2a_engine_close(engine);
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i <= S2A_INTERNAL; i++) {
        assert_int_equal(strncmp(s2a_status_name((s2a_status)i), "S2A_", 4), 0);
        assert_true(strlen(s2a_status_text((s2a_status)i)) > 0);
    }
    assert_string_equal(s2a_status_name((s2a_status)999), "S2A_INTERNAL");
    for (int i = 0; i <= S2A_PRESET_INSTRUCTED_MATH; i++) {
        s2a_preset preset = S2A_PRESET_AUTO;
        assert_true(s2a_preset_from_name(s2a_preset_name((s2a_preset)i), &preset));
        assert_int_equal(preset, i);
    }
    s2a_mode mode;
    assert_true(s2a_mode_from_name("rewrite", &mode));
    assert_false(s2a_mode_from_name("nonsense", &mode));
    assert_false(s2a_preset_from_name(NULL, &(s2a_preset){ 0 }));
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", S2A_VERSION_MAJOR, S2A_VERSION_MINOR,
             S2A_VERSION_PATCH);
    assert_string_equal(s2a_version(), version);
    assert_string_equal(s2a_mode_name((s2a_mode)99), "unknown");
    assert_string_equal(s2a_preset_name((s2a_preset)99), "unknown");
    assert_string_equal(s2a_fallback_name((s2a_fallback)99), "unknown");
}

/* ---- step 2 alone ----------------------------------------------------------------------- */

static void check_same(const char *(*get)(const s2a_result *, size_t *), const s2a_result *a,
                       const s2a_result *b)
{
    size_t a_len = 0, b_len = 0;
    const char *text = get(a, &a_len), *other = get(b, &b_len);
    assert_int_equal(text != NULL, other != NULL);
    assert_int_equal(a_len, b_len);
    assert_true(!text || !memcmp(text, other, a_len));
}

/* Of one engine: s2a_attend and s2a_answer_from give what s2a_answer gives, for each preset. */
static void test_answer_from(void **state)
{
    (void)state;
    for (int preset = S2A_PRESET_AUTO; preset < S2A_PRESET_UNTRUSTED; preset++) {
        bool baseline = preset == S2A_PRESET_PLAIN || preset == S2A_PRESET_INSTRUCTED ||
                        preset == S2A_PRESET_INSTRUCTED_MATH;
        const char *records = baseline ? "the answer\n" : PARTS "%%\nthe answer\n";
        s2a_request *request = scripted_request(X);
        s2a_request_set_preset(request, (s2a_preset)preset);
        s2a_result *both = answer(records, request), *result = NULL;
        s2a_engine *engine = scripted_engine(records);
        assert_int_equal(s2a_attend(engine, request, &result, NULL), S2A_OK);
        check_text(s2a_result_answer, result, NULL);
        assert_int_equal(s2a_answer_from(engine, request, result, NULL), S2A_OK);
        check_invariants(result);
        check_same(s2a_result_answer, result, both);
        check_same(s2a_result_rewritten, result, both);
        check_same(s2a_result_prompt, result, both);
        for (int step = 1; step <= 2; step++) {
            s2a_usage a = s2a_result_usage(result, step), b = s2a_result_usage(both, step);
            assert_int_equal(a.prompt_tokens, b.prompt_tokens);
            assert_int_equal(a.completion_tokens, b.completion_tokens);
        }
        s2a_engine_close(engine);
        s2a_result_free(result);
        s2a_result_free(both);
        s2a_request_free(request);
    }
}

/* By another engine, and again: the last answer counts. A failure leaves what step 1 found. */
static void test_answer_from_again(void **state)
{
    (void)state;
    s2a_error err = { .status = S2A_OK };
    s2a_request *request = scripted_request(X);
    s2a_result *result = attend(PARTS, request);
    s2a_engine *engine = scripted_engine("@expect Question/Query: Who wrote it?\none two three\n"
                                         "%%\nanother\n%%\n@error timeout late\n%%\nat last\n");
    watch w = { .stop_step = 0 };
    s2a_request_set_on_token(request, on_token, &w);
    s2a_request_set_max_tokens(request, 2);
    assert_int_equal(s2a_answer_from(engine, request, result, &err), S2A_OK);
    check_text(s2a_result_answer, result, "one two");
    assert_true(s2a_result_answer_cut(result));
    assert_true(w.bytes[1] == 0 && w.bytes[2] == strlen("one two"));
    assert_int_equal(s2a_answer_from(engine, request, result, &err), S2A_OK);
    check_text(s2a_result_answer, result, "another");
    assert_false(s2a_result_answer_cut(result));
    assert_int_equal(s2a_answer_from(engine, request, result, &err), S2A_TIMEOUT);
    assert_non_null(strstr(err.message, "late"));
    check_text(s2a_result_answer, result, NULL);
    check_text(s2a_result_rewritten, result, "The poem is from 1855. Who wrote it?");
    check_invariants(result);
    w.stop_step = 2;
    assert_int_equal(s2a_answer_from(engine, request, result, &err), S2A_CANCELLED);
    check_text(s2a_result_answer, result, NULL);
    s2a_engine_close(engine);
    s2a_result_free(result);
    s2a_request_free(request);
}

/* After a fallback the original prompt is answered. */
static void test_answer_from_fallback(void **state)
{
    (void)state;
    s2a_request *request = scripted_request(X);
    s2a_result *result = attend("I'm sorry.\n", request);
    s2a_engine *engine = scripted_engine("@expect " X "\nPoe\n");
    assert_int_equal(s2a_answer_from(engine, request, result, NULL), S2A_OK);
    check_text(s2a_result_answer, result, "Poe");
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_REFUSAL);
    s2a_engine_close(engine);
    s2a_result_free(result);
    s2a_request_free(request);
}

/* Earlier messages come without what step 1 took from them, if they are those that it saw. */
static void test_answer_from_messages(void **state)
{
    (void)state;
    s2a_error err = { .status = S2A_OK };
    s2a_engine *engine = scripted_engine("@score -4 4\n@score 4 4 4\n%%\n@score 4 4 4\n%%\n"
                                         "@expect-before Who sang?\nMia.\n");
    s2a_request *request = scripted_request("replaced below");
    assert_int_equal(add(request, "user", "It rained. Who sang?", &err), S2A_OK);
    assert_int_equal(add(request, "assistant", "Mia.", &err), S2A_OK);
    assert_int_equal(add(request, "user", "Who wrote it?", &err), S2A_OK);
    s2a_result *result = NULL;
    assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_OK);
    assert_int_equal(s2a_result_turn_count(result), 1);
    assert_string_equal(s2a_result_turn(result, 0).rewritten, "Who sang?");
    assert_int_equal(s2a_answer_from(engine, request, result, &err), S2A_OK);
    check_text(s2a_result_answer, result, "Mia.");
    assert_int_equal(s2a_result_usage(result, 2).prompt_tokens, 2 + 1 + 3);
    s2a_request *other = scripted_request("Who wrote it?");
    assert_int_equal(s2a_answer_from(engine, other, result, &err), S2A_ARGUMENT);
    check_text(s2a_result_answer, result, NULL);
    assert_int_equal(add(other, "user", "It poured. Who sang?", &err), S2A_OK);
    assert_int_equal(add(other, "user", "Who wrote it?", &err), S2A_OK);
    assert_int_equal(s2a_answer_from(engine, other, result, &err), S2A_ARGUMENT);
    assert_non_null(strstr(err.message, "messages: message 0 differs from step 1's"));
    s2a_request_free(other);
    s2a_request_free(request);
    s2a_result_free(result);
    s2a_engine_close(engine);
}

/* Preset single writes all of x' anew, also with a separate question: what it left out of the
 * context is removed, and x' without the question is a fallback. */
static void test_single_parts(void **state)
{
    (void)state;
    static const struct {
        const char *written, *rewritten;
        s2a_fallback fallback;
        size_t removed;
    } cases[] = {
        { "The poem is from 1855. Who wrote it?", "The poem is from 1855. Who wrote it?",
          S2A_FALLBACK_NONE, 1 },
        { "It rained. The poem is from 1855.", NULL, S2A_FALLBACK_NO_QUESTION, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const char context[] = "It rained. The poem is from 1855.";
        char record[200];
        snprintf(record, sizeof record, "Unbiased text context: %s\n", cases[i].written);
        s2a_engine *engine = scripted_engine(record);
        s2a_request *request = s2a_request_new();
        s2a_result *result = NULL;
        s2a_error err;
        assert_int_equal(
            s2a_request_set_parts(request, context, strlen(context), "Who wrote it?", 13, &err),
            S2A_OK);
        s2a_request_set_preset(request, S2A_PRESET_SINGLE);
        if (s2a_attend(engine, request, &result, &err) != S2A_OK)
            fail_msg("%s", err.message);
        assert_int_equal(s2a_result_fallback(result), cases[i].fallback);
        assert_int_equal(s2a_result_removed_count(result), cases[i].removed);
        if (cases[i].rewritten)
            check_text(s2a_result_rewritten, result, cases[i].rewritten);
        s2a_result_free(result);
        s2a_request_free(request);
        s2a_engine_close(engine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_parts),
        cmocka_unit_test(test_attend),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_fallbacks),
        cmocka_unit_test(test_runaway),
        cmocka_unit_test(test_clean_prompt_is_untouched),
        cmocka_unit_test(test_repeated_question_is_dropped),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_engine_errors),
        cmocka_unit_test(test_context_limit),
        cmocka_unit_test(test_tokens_and_cancel),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_answer_from),
        cmocka_unit_test(test_answer_from_again),
        cmocka_unit_test(test_answer_from_fallback),
        cmocka_unit_test(test_answer_from_messages),
    };
    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
