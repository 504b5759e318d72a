/* http_text: JSON that is not quite JSON, and what errors quote of a server's words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/http_text.h"

/* ---- JSON ------------------------------------------------------------------------------- */

static void check_string(const char *json, size_t len, const char *want, size_t want_len)
{
    json_t *root = http_parse_json(json, len);
    const json_t *value = json_array_get(root, 0);
    if (!json_is_string(value))
        fail_msg("%s: no string", json);
    assert_int_equal(json_string_length(value), want_len);
    assert_memory_equal(json_string_value(value), want, want_len);
    json_decref(root);
}
#define CHECK_STRING(json, want) check_string(json, sizeof(json) - 1, want, sizeof(want) - 1)

#define FFFD "\xef\xbf\xbd"

static void test_json(void **state)
{
    (void)state;
    CHECK_STRING("[\"a\\u4e2d\"]", "a\xe4\xb8\xad");
    CHECK_STRING("[\"a\\u0000b\"]", "a\0b");
    /* bytes that are not UTF-8: one mark for each */
    CHECK_STRING("[\"a\xff"
                 "b\xc3\"]",
                 "a" FFFD "b" FFFD);
    CHECK_STRING("[\"\xed\xa0\x80\"]", FFFD FFFD FFFD);
    CHECK_STRING("[\"\xe4\xb8\xad\xf0\x9f\"]", "\xe4\xb8\xad" FFFD FFFD);
    /* halves of surrogate pairs */
    CHECK_STRING("[\"\\ud83d\\ude00\"]", "\xf0\x9f\x98\x80");
    CHECK_STRING("[\"\\ud83d\"]", FFFD);
    CHECK_STRING("[\"\\uDE00x\"]", FFFD "x");
    CHECK_STRING("[\"\\ud83dx\\ude00\"]", FFFD "x" FFFD);
    CHECK_STRING("[\"\\ud83d\\ud83d\\ude00\"]", FFFD "\xf0\x9f\x98\x80");
    CHECK_STRING("[\"\\ude00\\ud83d\"]", FFFD FFFD);
    CHECK_STRING("[\"\\ud83d\\u0041\"]", FFFD "A");
    CHECK_STRING("[\"\\ud83d\\ue000\"]", FFFD "\xee\x80\x80");
    /* a backslash that is itself escaped begins nothing */
    CHECK_STRING("[\"\\\\ud83d \\ud83d\"]", "\\ud83d " FFFD);
    CHECK_STRING("[\"\\\"\\ud83d\\n\"]", "\"" FFFD "\n");
}

static void test_not_json(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",   "{",        "<html>",   "[\"\\ud83\"]", "[\"\\u\xff\"]",
        "\\", "[\"\\ud8", "data: {}", "{\"a\":1}}",   "\xff"
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_null(http_parse_json(texts[i], strlen(texts[i])));
    assert_null(http_parse_json("{\"a\":1}", 6)); /* the length counts, not the NUL */
    json_t *root = http_parse_json("{\"a\":1}xx", 7);
    assert_int_equal(json_integer_value(json_object_get(root, "a")), 1);
    json_decref(root);
}

/* ---- quotes ----------------------------------------------------------------------------- */

static void quote(const char *body, const char *key, char text[static HTTP_QUOTE_MAX + 1])
{
    size_t len = body ? strlen(body) : 0;
    json_t *root = body ? http_parse_json(body, len) : NULL;
    http_quote(root, body, len, key, text);
    json_decref(root);
}

static void test_quote(void **state)
{
    (void)state;
    static const struct {
        const char *body, *key, *want;
    } cases[] = {
        { "{\"error\":{\"message\":\"no such model\",\"type\":\"x\"}}", NULL, "no such model" },
        { "{\"error\":\"no such model\"}", NULL, "no such model" },
        { "{\"object\":\"error\",\"message\":\"too long\"}", NULL, "too long" },
        { "{\"detail\":\"Not Found\"}", NULL, "Not Found" },
        { "{\"detail\":[{\"loc\":[1],\"msg\":\"field required\"}]}", NULL, "field required" },
        { "[{\"error\":{\"message\":\"in an array\"}}]", NULL, "in an array" },
        { "{\"error\":{\"code\":5},\"message\":\"outside\"}", NULL, "outside" },
        { "{\"error\":null,\"error_message\":\"last\"}", NULL, "last" },
        { "{\"status\":\"bad\"}", NULL, "{\"status\":\"bad\"}" },
        { "[]", NULL, "[]" },
        { "Internal Server Error\r\n", NULL, "Internal Server Error " },
        { "  <!doctype html><TITLE>502 Bad\n Gateway</TITLE>", NULL, "502 Bad Gateway" },
        { "<html><title>cut", NULL, "an HTML page" },
        { "<html></html>", NULL, "an HTML page" },
        { "", NULL, "nothing" },
        { " \r\n\t", NULL, "nothing" },
        { NULL, NULL, "nothing" },
        { "{\"error\":\"\"}", NULL, "nothing" },
        /* one line, and nothing that a terminal obeys */
        { "a\n\n b\tc\x1b[31m\x7f"
          "d\xc2\x9b"
          "e",
          NULL, "a b c [31m d e" },
        { "{\"error\":\"a\\u0000b\\nc\\u009b\"}", NULL, "a b c " },
        { "bad \xff byte", NULL, "bad " FFFD " byte" },
        /* the key */
        { "{\"error\":\"key sk-1 is wrong, sk-1!\"}", "sk-1", "key *** is wrong, ***!" },
        { "sk-1sk-1", "sk-1", "******" },
        { "sk-1", "", "sk-1" },
        { "<title>sk-1</title>", "sk-1", "***" },
        { "the key sk-", "sk-1", "the key sk-" },
    };
    char text[HTTP_QUOTE_MAX + 1];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        quote(cases[i].body, cases[i].key, text);
        assert_string_equal(text, cases[i].want);
    }
}

/* A long message is cut between characters, and never inside what stands for the key. */
static void test_quote_length(void **state)
{
    (void)state;
    char body[2000], text[HTTP_QUOTE_MAX + 1];
    for (size_t shift = 0; shift < 5; shift++) {
        memset(body, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof body; i += 3)
            memcpy(body + i, "\xe4\xb8\xad", 4);
        quote(body, NULL, text);
        size_t len = strlen(text);
        assert_true(len <= HTTP_QUOTE_MAX && len > HTTP_QUOTE_MAX - 3);
        assert_int_equal((len - shift) % 3, 0);
        assert_memory_equal(text, body, len);
    }
    memset(body, 'b', sizeof body);
    body[HTTP_QUOTE_MAX] = '\0';
    quote(body, NULL, text);
    assert_string_equal(text, body);
    /* half of the key must not stand at the cut */
    memset(body, 'b', sizeof body);
    memcpy(body + HTTP_QUOTE_MAX - 4, "secret-key", 11);
    quote(body, "secret-key", text);
    assert_null(strstr(text, "secr"));
    assert_non_null(strstr(text, "***"));
}

static void test_context_error(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "This model's maximum context length is 4096 tokens",
        "context_length_exceeded",
        "the request exceeds the available Context Size",
        "Prompt is too long: 9 tokens",
        "outside of the context window",
        "Input is too long for requested model",
    };
    static const char *const no[] = { "", "invalid key", "the context", "prompt is empty" };
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(http_is_context_error(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(http_is_context_error(no[i]));
    assert_false(http_is_context_error(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),          cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_quote),         cmocka_unit_test(test_quote_length),
        cmocka_unit_test(test_context_error),
    };
    return cmocka_run_group_tests_name("http_text", tests, NULL, NULL);
}
