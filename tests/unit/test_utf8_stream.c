/* utf8_stream: whole characters from bytes in any pieces, and U+FFFD where there are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

#define FFFD "\xef\xbf\xbd"

typedef struct utf8_case {
    const char *bytes, *want;
} utf8_case;

static const utf8_case cases[] = {
    { "", "" },
    { "abc", "abc" },
    { "\xc2\x80 \xdf\xbf", "\xc2\x80 \xdf\xbf" },
    { "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
      "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf" },
    { "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
    /* Unicode 15, tables 3-8 to 3-11 */
    { "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A" },
    { "\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A" },
    { "\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B" },
    { "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", FFFD FFFD FFFD FFFD "A" },
    /* cut short */
    { "a\xe4", "a" FFFD },
    { "a\xe4\xb8", "a" FFFD },
    { "a\xf0\x9f\x98", "a" FFFD },
    { "\xe4\xb8\xe4\xb8\xad", FFFD "\xe4\xb8\xad" },
    { "\xe4\xb8\nb", FFFD "\nb" },
    { "\xf5\x80\xfe", FFFD FFFD FFFD },
};

static void run(const char *bytes, size_t len, size_t first, size_t step, const char *want)
{
    utf8_stream stream = { .need = 0 };
    buf out;
    buf_init(&out, 1000);
    for (size_t at = 0; at < len;) {
        size_t piece = at == 0 && first ? first : step;
        piece = piece < len - at ? piece : len - at;
        utf8_stream_add(&stream, bytes + at, piece, &out);
        /* What is out is whole, at any moment. */
        assert_int_equal(utf8_valid_prefix(out.data, out.len), out.len);
        at += piece;
    }
    utf8_stream_end(&stream, &out);
    buf_add(&out, "", 0);
    assert_string_equal(out.data, want);
    /* It starts afresh after the end. */
    buf_reset(&out);
    utf8_stream_add(&stream, "\xe4\xb8\xad", 3, &out);
    assert_string_equal(out.data, "\xe4\xb8\xad");
    utf8_stream_end(&stream, &out);
    assert_int_equal(out.len, 3);
    buf_free(&out);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].bytes);
        for (size_t k = 1; k <= len + 1; k++) {
            run(cases[i].bytes, len, 0, k, cases[i].want);
            run(cases[i].bytes, len, k, len + 1, cases[i].want);
        }
    }
}

/* A character is handed out with its last byte, not later. */
static void test_no_delay(void **state)
{
    (void)state;
    static const char text[] = "a\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80z";
    static const size_t whole[] = { 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11 };
    utf8_stream stream = { .need = 0 };
    buf out;
    buf_init(&out, 100);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        utf8_stream_add(&stream, text + i, 1, &out);
        assert_int_equal(out.len, whole[i]);
    }
    assert_memory_equal(out.data, text, sizeof text - 1);
    buf_free(&out);
}

static void test_nul_and_limit(void **state)
{
    (void)state;
    utf8_stream stream = { .need = 0 };
    buf out;
    buf_init(&out, 4);
    utf8_stream_add(&stream, "a\0b", 3, &out);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "a\0b", 3);
    utf8_stream_add(&stream, "\xff", 1, &out);
    assert_int_equal(out.status, S2A_LIMIT);
    buf_free(&out);
}

/* Any bytes give UTF-8; what was UTF-8 comes out as it was. */
static void test_random(void **state)
{
    (void)state;
    uint32_t seed = 5;
    buf out;
    buf_init(&out, 1 << 16);
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t len = (seed >> 9) % sizeof bytes;
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            /* mostly bytes of longer characters */
            bytes[i] = (char)(seed >> 24 | (seed >> 8 & 3 ? 0x80 : 0));
        }
        seed = seed * 1664525u + 1013904223u;
        utf8_stream stream = { .need = 0 };
        buf_reset(&out);
        utf8_stream_add(&stream, bytes, len, &out);
        utf8_stream_end(&stream, &out);
        buf_add(&out, "", 0);
        assert_int_equal(out.status, S2A_OK);
        assert_int_equal(utf8_valid_prefix(out.data, out.len), out.len);
        size_t valid = utf8_valid_prefix(bytes, len);
        assert_true(out.len >= valid && !memcmp(out.data, bytes, valid));
        if (valid == len)
            assert_int_equal(out.len, len);
        else
            assert_memory_equal(out.data + valid, FFFD, 3);
    }
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_no_delay),
        cmocka_unit_test(test_nul_and_limit),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests_name("utf8_stream", tests, NULL, NULL);
}
