/* The tool's parts that a script cannot reach well: wrapping, lines at their limits, numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/settings.h"
#include "cli/term.h"

static void term_ready(void **state)
{
    (void)state;
    term t;
    term_init(&t, true, true); /* the locale, for widths */
}

static void test_width(void **state)
{
    term_ready(state);
    assert_int_equal(term_width("abc", 3), 3);
    assert_int_equal(term_width("", 0), 0);
    assert_int_equal(term_width("h\xC3\xA9", 3), 2);
    assert_int_equal(term_width("e\xCC\x81", 3), 1); /* combining acute accent */
    assert_int_equal(term_width("\xE6\x9D\xB1\xE4\xBA\xAC", 6), 4);
    assert_int_equal(term_width("\xF0\x9F\x98\x80", 4), 2); /* an emoji */
    assert_int_equal(term_width("\xE6\x9D", 2), 2);         /* cut: each byte for itself */
    assert_int_equal(term_fit("abcdef", 6, 4), 4);
    assert_int_equal(term_fit("\xE6\x9D\xB1\xE4\xBA\xAC", 6, 3), 3);
    assert_int_equal(term_fit("ae\xCC\x81z", 5, 2), 4); /* the accent stays with its letter */
    assert_int_equal(term_fit("abc", 3, 0), 0);
}

static void check_wrap(const char *text, size_t columns, const char *want)
{
    buf got;
    buf_init(&got, 4096);
    size_t at = 0, len = strlen(text);
    s2a_span line;
    while (term_wrap(text, len, columns, &at, &line)) {
        assert_true(line.start <= line.end && line.end <= len && at <= len);
        buf_add(&got, text + line.start, line.end - line.start);
        buf_adds(&got, "|");
    }
    buf_add(&got, "", 0);
    assert_string_equal(got.data, want);
    buf_free(&got);
}

static void test_wrap(void **state)
{
    term_ready(state);
    check_wrap("", 10, "");
    check_wrap("one", 10, "one|");
    check_wrap("one two three", 7, "one two|three|");
    check_wrap("one two three", 8, "one two|three|");
    check_wrap("one two three", 6, "one|two|three|");
    check_wrap("one   two", 4, "one |two|");
    check_wrap("onetwothree", 4, "onet|woth|ree|");
    check_wrap("a\n\nb\n", 4, "a||b|");
    check_wrap("\n", 4, "|");
    check_wrap("  indented", 20, "  indented|");
    check_wrap("\xE6\x9D\xB1\xE4\xBA\xAC\xE6\x9D\xB1", 3,
               "\xE6\x9D\xB1|\xE4\xBA\xAC|\xE6\x9D\xB1|");
    check_wrap("\xE6\x9D\xB1\xE4\xBA\xAC", 1, "\xE6\x9D\xB1|\xE4\xBA\xAC|"); /* no room: one each */
}

/* The lines of a text when they may have max bytes; too long ones are "#", torn ones end in "~". */
static void check_lines(const char *text, size_t len, size_t max, const char *want)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    rewind(file);
    files_lines lines;
    assert_true(files_lines_init(&lines, fileno(file), max));
    buf got;
    buf_init(&got, (size_t)1 << 24);
    files_line kind;
    while ((kind = files_lines_next(&lines)) == FILES_LINE || kind == FILES_TOO_LONG) {
        if (kind == FILES_LINE)
            buf_add(&got, lines.line.data, lines.line.len);
        buf_adds(&got, kind == FILES_TOO_LONG ? "#" : "");
        buf_adds(&got, lines.torn ? "~" : "|");
    }
    assert_int_equal(kind, FILES_END);
    assert_int_equal(lines.bytes, len);
    buf_add(&got, "", 0);
    assert_string_equal(got.data, want);
    buf_free(&got);
    files_lines_free(&lines);
    fclose(file);
}

static void test_lines(void **state)
{
    (void)state;
    check_lines("", 0, 4, "");
    check_lines("\n", 1, 4, "|");
    check_lines("a", 1, 4, "a~");
    check_lines("a\n\nb\r\n", 6, 4, "a||b\r|");
    check_lines("abcd\nabcde\nabcd", 15, 4, "abcd|#|abcd~");
    check_lines("abcde", 5, 4, "#~");
}

/* Lines that end before, at and after the end of what one read() brings. */
static void test_lines_chunks(void **state)
{
    (void)state;
    for (size_t first = 65534; first <= 65538; first++) {
        char *text = malloc(first + 4), *want = malloc(first + 4);
        assert_non_null(text);
        assert_non_null(want);
        memset(text, 'x', first);
        memcpy(text + first, "\ny\n", 4);
        memset(want, 'x', first);
        memcpy(want + first, "|y|", 4);
        check_lines(text, first + 3, first, want);
        check_lines(text, first + 3, first - 1, "#|y|");
        free(text);
        free(want);
    }
}

static void test_integers(void **state)
{
    (void)state;
    int64_t value = -7;
    s2a_error err;
    assert_int_equal(settings_integer("--n", "0", 0, 10, &value, &err), S2A_OK);
    assert_int_equal(value, 0);
    assert_int_equal(settings_integer("--n", "-1", -1, 10, &value, &err), S2A_OK);
    assert_int_equal(value, -1);
    assert_int_equal(settings_integer("--n", "010", 0, 10, &value, &err), S2A_OK);
    assert_int_equal(value, 10);
    static const char *const bad[] = {
        "", " 1", "1 ", "+1", "1.0", "0x1", "-", "--1", "11", "-2", "9223372036854775808", "one"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        value = 5;
        assert_int_equal(settings_integer("--n", bad[i], -1, 10, &value, &err), S2A_ARGUMENT);
        assert_int_equal(value, 5);
        assert_non_null(strstr(err.message, "--n: "));
    }
}

static void test_numbers(void **state)
{
    (void)state;
    double value = 0;
    s2a_error err;
    assert_int_equal(settings_number("--x", ".5", 0, true, 1, &value, &err), S2A_OK);
    assert_true(value > 0.49 && value < 0.51);
    assert_int_equal(settings_number("--x", "1e-3", 0, true, 1, &value, &err), S2A_OK);
    assert_int_equal(settings_number("--x", "0", 0, false, 1, &value, &err), S2A_OK);
    assert_int_equal(settings_number("--x", "0", 0, true, 1, &value, &err), S2A_ARGUMENT);
    static const char *const bad[] = { "",   " 1",  "1 ",   "+1",    "nan", "inf", "0x1",
                                       "1e", "1.1", "-0.1", "1e999", "1,5", "." };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(settings_number("--x", bad[i], 0, false, 1, &value, &err), S2A_ARGUMENT);
}

/* A weaker source does not replace what a stronger one said, but its faults are found. */
static void test_sources(void **state)
{
    (void)state;
    settings s;
    s2a_error err;
    settings_init(&s);
    assert_int_equal(settings_apply(&s, "seed", "3", SETTINGS_FLAG, "--seed", &err), S2A_OK);
    assert_int_equal(settings_apply(&s, "seed", "4", SETTINGS_FILE, "seed", &err), S2A_OK);
    assert_int_equal(s.seed, 3);
    assert_int_equal(settings_apply(&s, "seed", "x", SETTINGS_FILE, "seed", &err), S2A_ARGUMENT);
    assert_int_equal(settings_apply(&s, "seed", "5", SETTINGS_FLAG, "--seed", &err), S2A_OK);
    assert_int_equal(s.seed, 5);
    assert_int_equal(settings_source_of(&s, "seed"), SETTINGS_FLAG);
    assert_int_equal(settings_source_of(&s, "top_p"), SETTINGS_DEFAULT);
    assert_int_equal(settings_apply(&s, "top-p", "1", SETTINGS_FILE, "top-p", &err), S2A_ARGUMENT);
    static const char text[] = "{\"model\": \"a\", \"url\": \"http://h/\", \"timeout\": 1.5}";
    assert_int_equal(settings_from_json(&s, "file", text, strlen(text), &err), S2A_OK);
    assert_int_equal(settings_settle(&s, &err), S2A_OK);
    assert_string_equal(s.model, "a");
    assert_string_equal(s.backend, "http");
    assert_true(s.timeout_s > 1.49 && s.timeout_s < 1.51);
    settings_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_width),    cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_lines),    cmocka_unit_test(test_lines_chunks),
        cmocka_unit_test(test_integers), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
