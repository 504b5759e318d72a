/* The script backend: records, each directive, and what is wrong with a replay file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/buf.h"
#include "base/clock.h"
#include "scripted.h"

static s2a_status open_script(const char *records, size_t len, uint32_t timeout_ms, backend **out,
                              s2a_error *err)
{
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    char *path = temporary_file(records, len);
    options.model = path;
    options.request_timeout_ms = timeout_ms;
    options.ctx_tokens = 77;
    *out = NULL;
    s2a_status status = backend_script_open(&options, NULL, out, err);
    unlink(path);
    free(path);
    return status;
}

static backend *new_script(const char *records)
{
    backend *script = NULL;
    s2a_error err;
    if (open_script(records, strlen(records), 10000, &script, &err) != S2A_OK)
        fail_msg("script: %s", err.message);
    return script;
}

/* The pieces, each in brackets. */
static int on_token(void *ctx, const char *text, size_t len)
{
    buf_adds(ctx, "[");
    buf_add(ctx, text, len);
    buf_adds(ctx, "]");
    return 0;
}

static s2a_status generate(backend *b, const char *prompt, backend_params params, buf *text,
                           backend_usage *usage, s2a_error *err)
{
    backend_message messages[] = { { "system", "be brief", 8 },
                                   { "user", prompt, strlen(prompt) } };
    buf_init(text, 10000);
    buf_add(text, "", 0);
    return b->vtable->generate(b, messages, 2, &params, NULL, on_token, text, usage, err);
}

static void check(backend *b, const char *want, backend_finish finish)
{
    buf text;
    backend_usage usage;
    s2a_error err;
    if (generate(b, "a prompt", (backend_params){ 0 }, &text, &usage, &err) != S2A_OK)
        fail_msg("generate: %s", err.message);
    assert_string_equal(text.data, want);
    assert_int_equal(usage.finish, finish);
    buf_free(&text);
}

static void check_fails(backend *b, const char *prompt, s2a_status status, const char *says)
{
    buf text;
    backend_usage usage;
    s2a_error err;
    assert_int_equal(generate(b, prompt, (backend_params){ 0 }, &text, &usage, &err), status);
    assert_int_equal(err.status, status);
    assert_string_equal(err.message, says);
    assert_string_equal(text.data, "");
    assert_int_equal(usage.tokens.prompt_tokens, 2 + (prompt[0] != '\0'));
    buf_free(&text);
}

/* Records come in order, and the first again after the last. Separators are whole lines. */
static void test_records(void **state)
{
    (void)state;
    backend *b = new_script("one two\n  three\n\n%%\n%%\n%% no\nx%%\n%%\nlast");
    for (int round = 0; round < 2; round++) {
        check(b, "[one][ two][\n  three][\n]", BACKEND_FINISH_STOP);
        check(b, "", BACKEND_FINISH_STOP);
        check(b, "[%%][ no][\nx%%]", BACKEND_FINISH_STOP);
        check(b, "[last]", BACKEND_FINISH_STOP);
    }
    b->vtable->close(b);
    b = new_script("%%\na\n%%"); /* one that is empty, one that is not, and none after it */
    check(b, "", BACKEND_FINISH_STOP);
    check(b, "[a]", BACKEND_FINISH_STOP);
    check(b, "", BACKEND_FINISH_STOP);
    b->vtable->close(b);
    b = new_script("\n"); /* one newline is a record without text */
    check(b, "", BACKEND_FINISH_STOP);
    b->vtable->close(b);
}

static void test_capabilities(void **state)
{
    (void)state;
    backend *b = new_script("a");
    backend_capabilities c = b->vtable->capabilities(b);
    assert_int_equal(strncmp(c.model, "s2a-test-", 9), 0); /* the file's name alone */
    assert_int_equal(c.ctx_tokens, 77);
    assert_false(c.can_read || c.can_draft);
    assert_true(c.hidden_width == 0 && c.counts_tokens);
    assert_int_equal(b->vtable->count_tokens(b, " a bc\n\td ", 9), 3);
    assert_int_equal(b->vtable->count_tokens(b, "", 0), 0);
    b->vtable->close(b);
}

/* The told rows of the pieces that are wanted. */
static s2a_status tell(backend *b, const backend_piece *pieces, size_t count, size_t rows,
                       double *told, backend_usage *usage, s2a_error *err)
{
    backend_message message = { "user", "ask me", 6 };
    backend_head head = { .row_count = rows };
    backend_params params = { .top_p = 1 };
    return b->vtable->read(b, &message, 1, pieces, count, &head, &params, told, NULL, usage, err);
}

static const backend_piece pieces[] = { { "Begin: ", 7, false },
                                        { "One.", 4, true },
                                        { " Code.", 6, false },
                                        { " Two.", 5, true },
                                        { " Three.", 7, true } };

/* Each sentence takes the next @score line, other directives between them or not; what they leave
 * out is -9, what is no number 0. */
static void test_scores(void **state)
{
    (void)state;
    backend *b = new_script(
        "@score -1 -2.5 x\n@expect ask\n@score -3\n%%\ntext\n%%\n@score\t7\n%%\n@score 1 2 3 4");
    backend_usage usage;
    s2a_error err;
    double got[10] = { 0 };
    got[9] = 77;
    assert_true(b->vtable->capabilities(b).can_read);
    assert_int_equal(tell(b, pieces, 5, 3, got, &usage, NULL), S2A_OK);
    static const double want[10] = { -1, -2.5, 0, -3, -9, -9, -1, -2.5, 0, 77 };
    for (size_t i = 0; i < 10; i++)
        assert_true(got[i] == want[i]);
    assert_int_equal(usage.tokens.prompt_tokens, 2);
    assert_int_equal(tell(b, pieces, 5, 3, got, &usage, &err), S2A_BACKEND);
    assert_string_equal(err.message, "script: the record has no @score line");
    assert_int_equal(tell(b, pieces, 5, 3, got, &usage, &err), S2A_BACKEND); /* a tab makes it text
                                                                              */
    /* as many as there are rows, of as many as are wanted */
    got[2] = 77;
    assert_int_equal(tell(b, pieces, 3, 2, got, &usage, NULL), S2A_OK);
    assert_true(got[0] == 1 && got[1] == 2 && got[2] == 77);
    b->vtable->close(b);
}

/* A reading takes a record as a generation does, and its directives count. */
static void test_read(void **state)
{
    (void)state;
    backend *b =
        new_script("@score 1\n@error timeout late\n%%\n@score 1\n@expect you\n%%\n@score 1\n");
    backend_usage usage;
    s2a_error err;
    double told[3];
    float states[3];
    assert_int_equal(tell(b, pieces, 5, 1, told, &usage, &err), S2A_TIMEOUT);
    assert_string_equal(err.message, "script: late");
    assert_int_equal(tell(b, pieces, 5, 1, told, &usage, &err), S2A_BACKEND);
    assert_string_equal(err.message, "script: the prompt does not contain \"you\"");
    backend_head head = { .row_count = 1 };
    backend_params params = { .top_p = 1 };
    assert_int_equal(
        b->vtable->read(b, NULL, 0, pieces, 5, &head, &params, NULL, states, &usage, &err),
        S2A_UNSUPPORTED);
    assert_int_equal(tell(b, pieces, 5, 1, told, &usage, NULL), S2A_OK); /* which took no record */
    b->vtable->close(b);
}

static void test_usage(void **state)
{
    (void)state;
    backend *b = new_script("one two three four");
    buf text;
    backend_usage usage;
    s2a_error err;
    assert_int_equal(
        generate(b, "a b  c", (backend_params){ .max_tokens = 3 }, &text, &usage, &err), S2A_OK);
    assert_string_equal(text.data, "[one][ two][ three]");
    assert_int_equal(usage.finish, BACKEND_FINISH_LENGTH);
    assert_int_equal(usage.tokens.prompt_tokens, 5);
    assert_int_equal(usage.tokens.completion_tokens, 3);
    buf_free(&text);
    /* as many as there are */
    assert_int_equal(generate(b, "a", (backend_params){ .max_tokens = 4 }, &text, &usage, &err),
                     S2A_OK);
    assert_int_equal(usage.finish, BACKEND_FINISH_STOP);
    assert_int_equal(usage.tokens.completion_tokens, 4);
    buf_free(&text);
    backend_message message = { "user", "a", 1 };
    backend_params params = { 0 };
    assert_int_equal(b->vtable->generate(b, &message, 1, &params, NULL, NULL, NULL, &usage, NULL),
                     S2A_OK); /* nobody listens */
    assert_int_equal(usage.tokens.completion_tokens, 4);
    b->vtable->close(b);
}

static void test_length(void **state)
{
    (void)state;
    backend *b = new_script("@length\na b\n%%\n@lengthy\n%%\na\n@length\n");
    check(b, "[a][ b]", BACKEND_FINISH_LENGTH);
    check(b, "[@lengthy]", BACKEND_FINISH_STOP);     /* no directive: text */
    check(b, "[a][\n@length]", BACKEND_FINISH_STOP); /* leading lines only */
    b->vtable->close(b);
}

static void test_error(void **state)
{
    (void)state;
    backend *b = new_script("@error timeout no answer\nnever said\n%%\n@error LIMIT\n%%\n"
                            "@error unheard-of it broke\n%%\n@error unavailable  two  spaces");
    check_fails(b, "p", S2A_TIMEOUT, "script: no answer");
    check_fails(b, "p", S2A_LIMIT, "script: ");
    check_fails(b, "p", S2A_BACKEND, "script: it broke");
    check_fails(b, "", S2A_UNAVAILABLE, "script:  two  spaces");
    b->vtable->close(b);
    /* every status by its name */
    for (int i = 1; i <= S2A_INTERNAL; i++) {
        char record[100];
        snprintf(record, sizeof record, "@error %s x\n", s2a_status_name((s2a_status)i) + 4);
        b = new_script(record);
        check_fails(b, "p", (s2a_status)i, "script: x");
        b->vtable->close(b);
    }
}

static void test_expect(void **state)
{
    (void)state;
    backend *b = new_script("@expect the poem\nyes\n");
    buf text;
    backend_usage usage;
    s2a_error err;
    assert_int_equal(generate(b, "who wrote the poem?", (backend_params){ 0 }, &text, &usage, &err),
                     S2A_OK);
    assert_string_equal(text.data, "[yes]");
    buf_free(&text);
    check_fails(b, "The-poem", S2A_BACKEND, "script: the prompt does not contain \"the poem\"");
    check_fails(b, "", S2A_BACKEND, "script: the prompt does not contain \"the poem\"");
    backend_params params = { 0 };
    assert_int_equal(b->vtable->generate(b, NULL, 0, &params, NULL, NULL, NULL, &usage, &err),
                     S2A_BACKEND);
    b->vtable->close(b);
    /* the last message counts, not the one before */
    b = new_script("@expect brief\nyes\n");
    check_fails(b, "p", S2A_BACKEND, "script: the prompt does not contain \"brief\"");
    b->vtable->close(b);
    /* and before any error that the record asks for */
    b = new_script("@error timeout late\n@expect zzz\n");
    check_fails(b, "p", S2A_BACKEND, "script: the prompt does not contain \"zzz\"");
    b->vtable->close(b);
}

static void test_sleep(void **state)
{
    (void)state;
    backend *b = new_script("@sleep 60\n@length\na\n%%\nb\n%%\n@sleep nonsense\nc\n%%\n"
                            "@sleep -5\nd");
    double start = clock_ms();
    check(b, "[a]", BACKEND_FINISH_LENGTH);
    assert_true(clock_ms() - start >= 60);
    start = clock_ms();
    check(b, "[b]", BACKEND_FINISH_STOP);
    check(b, "[c]", BACKEND_FINISH_STOP);
    check(b, "[d]", BACKEND_FINISH_STOP);
    assert_true(clock_ms() - start < 1000);
    b->vtable->close(b);
    /* "@sleep " without a number waits for nothing, whatever the text begins with */
    b = new_script("@sleep \n3000 apples");
    start = clock_ms();
    check(b, "[3000][ apples]", BACKEND_FINISH_STOP);
    assert_true(clock_ms() - start < 1000);
    b->vtable->close(b);
}

static void test_timeout(void **state)
{
    (void)state;
    static const char *const sleeps[] = { "@sleep 1e9\nx", "@sleep inf\nx", "@sleep nan\nx" };
    s2a_error err;
    for (size_t i = 0; i < 3; i++) {
        backend *b = NULL;
        assert_int_equal(open_script(sleeps[i], strlen(sleeps[i]), 20, &b, &err), S2A_OK);
        if (i < 2)
            check_fails(b, "p", S2A_TIMEOUT, "script: no answer within 20 ms");
        else
            check(b, "[x]", BACKEND_FINISH_STOP);
        b->vtable->close(b);
    }
}

static void test_bad_files(void **state)
{
    (void)state;
    backend *b = NULL;
    s2a_error err;
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    assert_int_equal(backend_script_open(&options, NULL, &b, &err), S2A_ARGUMENT);
    options.model = "/nonexistent/replay";
    assert_int_equal(backend_script_open(&options, NULL, &b, &err), S2A_MODEL);
    assert_non_null(strstr(err.message, "/nonexistent/replay: No such file"));
    options.model = "/tmp";
    assert_int_equal(backend_script_open(&options, NULL, &b, &err), S2A_MODEL);
    assert_int_equal(open_script("", 0, 1, &b, &err), S2A_MODEL);
    assert_non_null(strstr(err.message, "contains no record"));
    assert_int_equal(open_script("ab\n%%\n\xe4\xb8", 8, 1, &b, &err), S2A_MODEL);
    assert_int_equal(err.position, 6);
    assert_non_null(strstr(err.message, "invalid UTF-8 at byte 6"));
    assert_null(b);
    /* NUL is text */
    assert_int_equal(open_script("a\0b", 3, 1000, &b, &err), S2A_OK);
    buf text;
    backend_usage usage;
    assert_int_equal(generate(b, "p", (backend_params){ 0 }, &text, &usage, &err), S2A_OK);
    assert_int_equal(text.len, 5);
    assert_memory_equal(text.data, "[a\0b]", 5);
    buf_free(&text);
    b->vtable->close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),   cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_scores),    cmocka_unit_test(test_read),
        cmocka_unit_test(test_usage),     cmocka_unit_test(test_length),
        cmocka_unit_test(test_error),     cmocka_unit_test(test_expect),
        cmocka_unit_test(test_sleep),     cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests_name("script", tests, NULL, NULL);
}
