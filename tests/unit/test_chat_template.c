/* chat_template: the default system message in a template's text, and places of contents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/llama/chat_template.h"

/* ---- the default system message --------------------------------------------------------- */

typedef struct system_case {
    const char *text, *want; /* want NULL: there is none */
} system_case;

static const system_case systems[] = {
    { "", NULL },
    { "{{ messages }}", NULL },
    /* SmolLM2, Qwen2.5 */
    { "{% if loop.first %}{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}",
      "You are helpful." },
    { "{{- '<|im_start|>system\\n' }}{{- messages[0]['content'] }}"
      "{{- '<|im_start|>system\\nYou are Qwen.<|im_end|>\\n' }}",
      "You are Qwen." },
    { "{{ \"<|im_start|>system\\nIt's \\\"me\\\"\\tand\\\\you.\\nBye<|im_end|>\" }}",
      "It's \"me\"\tand\\you.\nBye" },
    { "{{ '<|im_start|>system\\nit\\'s<|im_end|>' }}", "it's" },
    { "{{ '<|im_start|>system\\n<|im_end|>' }}", "" },
    /* as text of the template itself */
    { "<|im_start|>system\nYou \"are\" 'plain'.\n<|im_end|>{% for m in messages %}",
      "You \"are\" 'plain'.\n" },
    /* the string has begun before the marker */
    { "{{ bos + 'x<|im_start|>system\\nYou<|im_end|>' }}", "You" },
    /* computed, or not whole */
    { "{{ '<|im_start|>system\\n' + system + '<|im_end|>' }}", NULL },
    { "<|im_start|>system\n{{ system }}<|im_end|>", NULL },
    { "{{ '<|im_start|>system\\nYou are' }}", NULL },
    { "<|im_start|>system\nYou are", NULL },
    { "<|im_start|>system<|im_end|>", NULL },
    { "<|im_start|>system", NULL },
    { "<|im_start|>system\\", NULL },
    { "<|im_start|>system\\n", NULL },
    { "'<|im_start|>system\\nab\\", NULL },
    { "<|im_start|>user\nYou<|im_end|>", NULL },
    /* another kind of family */
    { "[INST] <<SYS>>\\nYou are<</SYS>>", NULL },
};

static void test_default_system(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        const system_case *c = &systems[i];
        buf out;
        buf_init(&out, 1000);
        buf_adds(&out, "-");
        bool found = chat_template_default_system(c->text, &out);
        if (found != (c->want != NULL) || strcmp(out.data + 1, c->want ? c->want : "") != 0)
            fail_msg("%s: want %s, got %s", c->text, c->want ? c->want : "none", out.data + 1);
        buf_free(&out);
    }
}

/* ---- places ----------------------------------------------------------------------------- */

static void check_place(const chat_place *place, const buf *text, size_t index, const char *want,
                        bool left, bool right)
{
    assert_int_equal(place->index, index);
    assert_int_equal(place->end - place->start, strlen(want));
    assert_memory_equal(text->data + place->start, want, strlen(want));
    assert_int_equal(place->trim_left, left);
    assert_int_equal(place->trim_right, right);
}

static void test_places(void **state)
{
    (void)state;
    buf text;
    chat_place *places = NULL;
    size_t count = 9;
    buf_init(&text, 1000);
    buf_adds(&text, "<s>");
    chat_template_stand_in(&text, 0);
    buf_adds(&text, "|");
    chat_template_stand_in(&text, 12);
    chat_template_stand_in(&text, 3);
    assert_true(chat_template_places(text.data, text.len, &places, &count));
    assert_int_equal(count, 3);
    check_place(&places[0], &text, 0, "\vS2Axq0qx\v", false, false);
    check_place(&places[1], &text, 12, "\vS2Axq12qx\v", false, false);
    check_place(&places[2], &text, 3, "\vS2Axq3qx\v", false, false);
    free(places);
    buf_free(&text);
}

/* Templates that trim contents take the tabs away, on one side or on both. */
static void test_trimmed(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
        bool left, right;
    } cases[] = {
        { "S2Axq7qx", "S2Axq7qx", true, true },
        { "a S2Axq7qx b", "S2Axq7qx", true, true },
        { "\vS2Axq7qx", "\vS2Axq7qx", false, true },
        { "S2Axq7qx\v\v", "S2Axq7qx\v", true, false },
        { "\v\vS2Axq7qx\n", "\vS2Axq7qx", false, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf text;
        chat_place *places = NULL;
        size_t count = 0;
        buf_init(&text, 1000);
        buf_adds(&text, cases[i].text);
        assert_true(chat_template_places(text.data, text.len, &places, &count));
        assert_int_equal(count, 1);
        check_place(places, &text, 7, cases[i].want, cases[i].left, cases[i].right);
        free(places);
        buf_free(&text);
    }
}

static void test_no_places(void **state)
{
    (void)state;
    static const char *const texts[] = { "",         "S2Axq",    "S2Axqqx",           "S2Axq1",
                                         "S2Axq1q",  "S2Axq1xq", "S2Axq1234567890qx", "S2Axq-1qx",
                                         "s2axq1qx", "S2Axq 1qx" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        chat_place *places = (chat_place *)state;
        size_t count = 9;
        assert_true(chat_template_places(texts[i], strlen(texts[i]), &places, &count));
        assert_int_equal(count, 0);
        assert_null(places);
    }
    /* One that is broken does not hide the next. */
    chat_place *places = NULL;
    size_t count = 0;
    static const char shared[] = "S2Axq0qx\vS2Axq1qx"; /* a tab between two is the first one's */
    assert_true(chat_template_places(shared, sizeof shared - 1, &places, &count));
    assert_int_equal(count, 2);
    assert_int_equal(places[0].end, 9);
    assert_int_equal(places[1].start, 9);
    assert_false(places[0].trim_right);
    assert_true(places[1].trim_left);
    free(places);
    assert_true(chat_template_places("S2AxqS2Axq5qx", 13, &places, &count));
    assert_int_equal(count, 1);
    assert_int_equal(places[0].index, 5);
    free(places);
    assert_true(chat_template_places("S2Axq5qx", 7, &places, &count)); /* the length counts */
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_system),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_trimmed),
        cmocka_unit_test(test_no_places),
    };
    return cmocka_run_group_tests_name("chat_template", tests, NULL, NULL);
}
