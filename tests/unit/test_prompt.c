/* prompt: what rendering does with values, and what is wrong with files of --prompts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "core/prompt.h"

/* ---- rendering -------------------------------------------------------------------------- */

typedef struct render_case {
    const char *text, *input, *context, *question, *want;
} render_case;

static const render_case renders[] = {
    { "a {{input}} b", "X", NULL, NULL, "a X b" },
    { "{{input}}{{question}}{{context}}", "I", "C", "Q", "IQC" },
    { "{{input}} and {{input}}", "X", NULL, NULL, "X and X" },
    { "no placeholder", "X", "C", "Q", "no placeholder" },
    { "", "X", "C", "Q", "" },
    { "{{input}}", "line\n\nline\n", NULL, NULL, "line\n\nline\n" },
    /* values are data */
    { "{{input}}|{{context}}|{{question}}", "{{question}}", "{{input}}", "{{context}}",
      "{{question}}|{{input}}|{{context}}" },
    { "<{{input}}>{{question}}", "{{ques", NULL, "tion}}", "<{{ques>tion}}" },
    { "{{{{input}}", "X", NULL, NULL, "{{X" },
    { "{ {input}} {{input} }", "X", NULL, NULL, "{ {input}} {{input} }" },
    /* a line whose placeholders are all empty is left out, with the blank lines after it */
    { "Context: {{context}}\n\nQuestion: {{question}}", NULL, NULL, "Q", "Question: Q" },
    { "Context: {{context}}\n\n\n\nQuestion: {{question}}\n", NULL, "", "Q", "Question: Q\n" },
    { "{{context}}\nA\n\nB {{input}}", "X", NULL, NULL, "A\n\nB X" },
    { "A\n\n{{context}}\n\nB", NULL, NULL, NULL, "A\n\nB" },
    { "A\n{{context}} {{question}}\nB", NULL, NULL, NULL, "A\nB" },
    { "A\n{{context}}", NULL, NULL, NULL, "A\n" },
    { "{{context}}", NULL, NULL, NULL, "" },
    /* but not one with a value in it, or without placeholders */
    { "{{context}} {{question}}\n\nB", NULL, NULL, "Q", " Q\n\nB" },
    { "{{context}}", NULL, " ", NULL, " " },
    { "A:\n\n{{context}}\nB:\n\nC", NULL, NULL, NULL, "A:\n\nB:\n\nC" },
};

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

static void test_render(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof renders / sizeof renders[0]; i++) {
        const render_case *c = &renders[i];
        char *text = bytes_dup(c->text, strlen(c->text));
        prompt_set set = { .text = { [PROMPT_ANSWER_PLAIN] = text },
                           .len = { [PROMPT_ANSWER_PLAIN] = strlen(c->text) } };
        prompt_values values = { .input = c->input,
                                 .input_len = length(c->input),
                                 .context = c->context,
                                 .context_len = length(c->context),
                                 .question = c->question,
                                 .question_len = length(c->question) };
        buf out;
        buf_init(&out, 1000);
        prompt_render(&set, PROMPT_ANSWER_PLAIN, &values, &out);
        buf_add(&out, "", 0);
        assert_int_equal(out.status, S2A_OK);
        if (strcmp(out.data, c->want) != 0)
            fail_msg("[%s]: want [%s], got [%s]", c->text, c->want, out.data);
        buf_free(&out);
        prompt_set_free(&set);
    }
}

/* Lengths bound values, not NULs; the output's limit is kept; what was there stays. */
static void test_render_bytes(void **state)
{
    (void)state;
    char text[] = "<{{input}}>";
    prompt_set set = { .text = { [PROMPT_ANSWER_MATH] = text },
                       .len = { [PROMPT_ANSWER_MATH] = sizeof text - 1 } };
    prompt_values values = { .input = "a\0b\xff ", .input_len = 4 };
    buf out;
    buf_init(&out, 8);
    buf_adds(&out, "12");
    prompt_render(&set, PROMPT_ANSWER_MATH, &values, &out);
    assert_int_equal(out.status, S2A_OK);
    assert_int_equal(out.len, 8);
    assert_memory_equal(out.data, "12<a\0b\xff>", 8);
    buf_reset(&out);
    buf_adds(&out, "123");
    prompt_render(&set, PROMPT_ANSWER_MATH, &values, &out);
    assert_int_equal(out.status, S2A_LIMIT);
    buf_reset(&out);
    prompt_render(&set, PROMPT_NONE, &values, &out);
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.data, values.input, 4);
    prompt_render(&set, PROMPT_NONE, &(prompt_values){ 0 }, &out);
    assert_int_equal(out.len, 4);
    buf_free(&out);
}

/* ---- files ------------------------------------------------------------------------------ */

static char dir[] = "/tmp/s2a-prompts-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/s2a-prompts-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/answer-plain.txt", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    remove(path);
    return rmdir(dir);
}

static void write_prompt(const char *text, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void check_free(const prompt_set *set)
{
    for (size_t i = 0; i < PROMPT_COUNT; i++)
        assert_null(set->text[i]);
}

static void test_builtin(void **state)
{
    (void)state;
    prompt_set built, set;
    assert_int_equal(prompt_set_load(NULL, &built, NULL), S2A_OK);
    for (size_t i = 0; i < PROMPT_COUNT; i++) {
        assert_true(built.len[i] > 0);
        assert_int_equal(strlen(built.text[i]), built.len[i]);
        assert_non_null(strstr(built.text[i], "{{"));
        assert_int_not_equal(built.text[i][built.len[i] - 1], '\n');
    }
    /* A directory without files changes nothing. */
    assert_int_equal(prompt_set_load(dir, &set, NULL), S2A_OK);
    for (size_t i = 0; i < PROMPT_COUNT; i++)
        assert_string_equal(set.text[i], built.text[i]);
    prompt_set_free(&set);
    check_free(&set);
    prompt_set_free(&built);
}

/* A file replaces the text of its name and no other; one newline at its end is dropped. */
static void test_replace(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } files[] = { { "{{context}} {{question}}", 24 },
                  { "{{context}} {{question}}\n", 24 },
                  { "{{question}} {{context}}\n\n", 25 },
                  { "{{input}} {{context}} {{question}}", 34 } };
    prompt_set built, set;
    assert_int_equal(prompt_set_load(NULL, &built, NULL), S2A_OK);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        write_prompt(files[i].text, strlen(files[i].text));
        assert_int_equal(prompt_set_load(dir, &set, NULL), S2A_OK);
        assert_int_equal(set.len[PROMPT_ANSWER_PLAIN], files[i].len);
        assert_memory_equal(set.text[PROMPT_ANSWER_PLAIN], files[i].text, files[i].len);
        assert_string_equal(set.text[PROMPT_ANSWER_MATH], built.text[PROMPT_ANSWER_MATH]);
        prompt_set_free(&set);
    }
    prompt_set_free(&built);
}

typedef struct fault_case {
    const char *text;
    size_t len, position;
    const char *says;
} fault_case;

#define NONE S2A_NO_POSITION

static const fault_case faults[] = {
    { "", 0, NONE, "{{context}} is missing" },
    { "\n", 1, NONE, "{{context}} is missing" },
    { "{{question}}", 12, NONE, "{{context}} is missing" },
    { "{{context}}", 11, NONE, "{{question}} is missing" },
    { "{{context} } {{question}}", 25, 0, "unknown placeholder at byte 0" },
    { "{{context}} {{question}} {{contexts}}", 37, 25, "unknown placeholder at byte 25" },
    { "{{context}} {{question}} {{", 27, 25, "unknown placeholder at byte 25" },
    { "{{context}} {{ question }}", 26, 12, "unknown placeholder at byte 12" },
    { "{{Context}} {{question}}", 24, 0, "unknown placeholder at byte 0" },
    { "{{context}} {{question}} {{{", 28, 25, "unknown placeholder at byte 25" },
    { "{{context}} \xff {{question}}", 26, 12, "not UTF-8 at byte 12" },
    { "{{context}} {{question}}\xc3", 25, 24, "not UTF-8 at byte 24" },
    { "{{context}} \xed\xa0\x80 {{question}} {{x}}", 34, 12, "not UTF-8 at byte 12" },
};

static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const fault_case *c = &faults[i];
        prompt_set set;
        s2a_error err;
        write_prompt(c->text, c->len);
        assert_int_equal(prompt_set_load(dir, &set, &err), S2A_PROMPT);
        assert_int_equal(err.status, S2A_PROMPT);
        if (err.position != c->position || !strstr(err.message, c->says) ||
            !strstr(err.message, path))
            fail_msg("[%s]: position %zu, %s", c->text, err.position, err.message);
        check_free(&set);
        assert_int_equal(prompt_set_load(dir, &set, NULL), S2A_PROMPT);
    }
}

static void test_io(void **state)
{
    (void)state;
    prompt_set set;
    s2a_error err;
    assert_int_equal(prompt_set_load("/nonexistent/prompts", &set, &err), S2A_IO);
    assert_non_null(strstr(err.message, "/nonexistent/prompts: No such file"));
    check_free(&set);
    write_prompt("x", 1);
    assert_int_equal(prompt_set_load(path, &set, &err), S2A_IO);
    assert_non_null(strstr(err.message, "not a directory"));
    if (geteuid() != 0) { /* root may read everything */
        assert_int_equal(chmod(path, 0), 0);
        assert_int_equal(prompt_set_load(dir, &set, &err), S2A_IO);
        assert_non_null(strstr(err.message, "Permission denied"));
        check_free(&set);
        assert_int_equal(chmod(path, 0600), 0);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(prompt_set_load(dir, &set, &err), S2A_IO);
    assert_non_null(strstr(err.message, path));
    check_free(&set);
    assert_int_equal(rmdir(path), 0);
}

static void test_limit(void **state)
{
    (void)state;
    static const char head[] = "{{context}}{{question}}";
    char *text = malloc(LIMIT_PROMPT_FILE_BYTES + 1);
    prompt_set set;
    s2a_error err;
    assert_non_null(text);
    memset(text, 'a', LIMIT_PROMPT_FILE_BYTES + 1);
    memcpy(text, head, sizeof head - 1);
    write_prompt(text, LIMIT_PROMPT_FILE_BYTES);
    assert_int_equal(prompt_set_load(dir, &set, &err), S2A_OK);
    assert_int_equal(set.len[PROMPT_ANSWER_PLAIN], LIMIT_PROMPT_FILE_BYTES);
    prompt_set_free(&set);
    write_prompt(text, LIMIT_PROMPT_FILE_BYTES + 1);
    assert_int_equal(prompt_set_load(dir, &set, &err), S2A_LIMIT);
    check_free(&set);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_render_bytes),
        cmocka_unit_test_setup_teardown(test_builtin, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_replace, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_faults, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_io, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_limit, make_dir, remove_dir),
    };
    return cmocka_run_group_tests_name("prompt", tests, NULL, NULL);
}
