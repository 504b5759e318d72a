/* segment against tests/cases/segment.txt, and properties over byte strings put together from
 * pieces that blocks and sentences begin and end with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "cases.h"
#include "core/segment.h"

static const char *const kinds[] = {
    [SEGMENT_SENTENCE] = "sentence", [SEGMENT_LIST_ITEM] = "item",  [SEGMENT_TABLE_ROW] = "row",
    [SEGMENT_CODE] = "code",         [SEGMENT_HEADING] = "heading", [SEGMENT_BLANK] = "blank",
};

/* Line breaks and tabs as escapes; where it counts, a space as "_". */
static void add_visible(buf *out, const char *text, size_t len, bool spaces)
{
    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '\n':
            buf_adds(out, "\\n");
            break;
        case '\r':
            buf_adds(out, "\\r");
            break;
        case '\t':
            buf_adds(out, "\\t");
            break;
        case ' ':
            buf_adds(out, spaces ? "_" : " ");
            break;
        default:
            buf_add(out, text + i, 1);
            break;
        }
    }
}

/* "KIND: TEXT<WHITE SPACE AFTER IT>", a line for each unit; "KIND?" for a question. */
static char *listing(const char *text, const segment_unit *units, size_t count)
{
    buf out;
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        const segment_unit *u = &units[i];
        buf_addf(&out, "%s%s%s: ", i ? "\n" : "", kinds[u->kind], u->question ? "?" : "");
        add_visible(&out, text + u->start, u->text_end - u->start, false);
        if (u->end > u->text_end) {
            buf_adds(&out, "<");
            add_visible(&out, text + u->text_end, u->end - u->text_end, true);
            buf_adds(&out, ">");
        }
    }
    char *lines = buf_take(&out, NULL);
    assert_non_null(lines);
    return lines;
}

static int run_units(const test_case *c, const case_field *text, const char *want)
{
    segment_unit *units = NULL;
    size_t count = 0;
    assert_int_equal(segment_text(text->value, text->len, NULL, &units, &count, NULL), S2A_OK);
    char *got = listing(text->value, units, count);
    int failed = strcmp(got, want) != 0;
    if (failed)
        fprintf(stderr, "case %s\n--- want\n%s\n--- got\n%s\n", c->name, want, got);
    free(got);
    free(units);
    return failed;
}

static int run_words(const test_case *c, const case_field *text, const char *want)
{
    s2a_span *words = NULL;
    size_t count = 0;
    buf got;
    buf_init(&got, 1 << 20);
    assert_int_equal(segment_words(text->value, text->len, NULL, &words, &count, NULL), S2A_OK);
    for (size_t i = 0; i < count; i++) {
        buf_adds(&got, i ? "|" : "");
        buf_add(&got, text->value + words[i].start, words[i].end - words[i].start);
    }
    buf_add(&got, "", 0);
    int failed = strcmp(got.data, want) != 0;
    if (failed)
        fprintf(stderr, "case %s\n  words want [%s]\n        got  [%s]\n", c->name, want, got.data);
    buf_free(&got);
    free(words);
    return failed;
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/segment.txt");
    int failed = 0;
    for (size_t i = 0; i < file.count; i++) {
        const test_case *c = &file.cases[i];
        const case_field *text = case_get(c, "text");
        const char *units = case_text(c, "units"), *words = case_text(c, "words");
        if (!text || (!units && !words))
            fail_msg("case %s lacks text, or both units and words", c->name);
        if (units)
            failed += run_units(c, text, units);
        if (words)
            failed += run_words(c, text, words);
    }
    cases_free(&file);
    assert_int_equal(failed, 0);
}

/* A text without a byte is not even blank. */
static void test_empty(void **state)
{
    (void)state;
    segment_unit *units = (segment_unit *)state;
    s2a_span *words = (s2a_span *)state;
    size_t count = 9;
    assert_int_equal(segment_text("x", 0, NULL, &units, &count, NULL), S2A_OK);
    assert_null(units);
    assert_int_equal(count, 0);
    count = 9;
    assert_int_equal(segment_words("x", 0, NULL, &words, &count, NULL), S2A_OK);
    assert_null(words);
    assert_int_equal(count, 0);
}

/* Long texts are given to ICU in pieces: the words are the same, wherever these end. */
static void test_long_words(void **state)
{
    (void)state;
    static const char *const kinds_of[] = { "don't 3.14 ", "\xe4\xb8\xad\xe6\x96\x87\xe3\x80\x82",
                                            "e\xcc\x81t\xc3\xa9 " };
    for (size_t k = 0; k < sizeof kinds_of / sizeof kinds_of[0]; k++) {
        buf text;
        s2a_span *words = NULL, *few = NULL;
        size_t count = 0, few_count = 0, copies = 3 * SEGMENT_WORD_BYTES / strlen(kinds_of[k]);
        buf_init(&text, 1 << 24);
        for (size_t i = 0; i < copies; i++)
            buf_adds(&text, kinds_of[k]);
        size_t piece = strlen(kinds_of[k]);
        assert_int_equal(segment_words(text.data, piece, NULL, &few, &few_count, NULL), S2A_OK);
        assert_int_equal(segment_words(text.data, text.len, NULL, &words, &count, NULL), S2A_OK);
        assert_int_equal(count, few_count * copies);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(words[i].start, few[i % few_count].start + i / few_count * piece);
            assert_int_equal(words[i].end, few[i % few_count].end + i / few_count * piece);
        }
        free(few);
        free(words);
        buf_free(&text);
    }
}

/* A word of as many bytes as a piece is one; one more and it is cut there. */
static void test_word_limit(void **state)
{
    (void)state;
    char *text = malloc(SEGMENT_WORD_BYTES + 2);
    assert_non_null(text);
    memset(text, 'a', SEGMENT_WORD_BYTES + 2);
    text[0] = ' ';
    s2a_span *words = NULL;
    size_t count = 0;
    for (size_t more = 0; more < 2; more++) {
        assert_int_equal(
            segment_words(text, SEGMENT_WORD_BYTES + 1 + more, NULL, &words, &count, NULL), S2A_OK);
        assert_int_equal(count, 1 + more);
        assert_int_equal(words[0].end, SEGMENT_WORD_BYTES + 1);
        free(words);
    }
    free(text);
}

/* ---- properties ------------------------------------------------------------------------- */

/* The table of RFC 3629, section 4, byte by byte. */
static size_t slow_valid_prefix(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < len;) {
        size_t more = s[i] < 0x80                    ? 0
                      : s[i] >= 0xc2 && s[i] <= 0xdf ? 1
                      : s[i] >= 0xe0 && s[i] <= 0xef ? 2
                      : s[i] >= 0xf0 && s[i] <= 0xf4 ? 3
                                                     : 9;
        if (more > len - i - 1)
            return i;
        for (size_t k = 1; k <= more; k++)
            if (s[i + k] < 0x80 || s[i + k] > 0xbf)
                return i;
        if ((s[i] == 0xe0 && s[i + 1] < 0xa0) || (s[i] == 0xed && s[i + 1] > 0x9f) ||
            (s[i] == 0xf0 && s[i + 1] < 0x90) || (s[i] == 0xf4 && s[i + 1] > 0x8f))
            return i;
        i += 1 + more;
    }
    return len;
}

/* White space that the texts below hold: bytes of it at the end of text[start, end). */
static size_t space_before(const char *text, size_t start, size_t end)
{
    static const char *const wide[] = { "\xc2\x85", "\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\xa8" };
    if (end > start && ascii_space(text[end - 1]))
        return 1;
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        size_t n = strlen(wide[i]);
        if (end - start >= n && !memcmp(text + end - n, wide[i], n))
            return n;
    }
    return 0;
}

static void check_units(const char *text, size_t len, bool valid)
{
    segment_unit *units = NULL;
    size_t count = 0, at = 0;
    assert_int_equal(segment_text(text, len, NULL, &units, &count, NULL), S2A_OK);
    for (size_t i = 0; i < count; i++) {
        const segment_unit *u = &units[i];
        assert_int_equal(u->start, at);
        assert_true(u->start < u->end && u->start <= u->text_end && u->text_end <= u->end);
        assert_int_equal(u->kind == SEGMENT_BLANK, u->text_end == u->start);
        assert_true(u->kind != SEGMENT_BLANK || count == 1);
        size_t end = u->end, space = 0;
        while ((space = space_before(text, u->start, end)) > 0)
            end -= space;
        assert_int_equal(u->text_end, end);
        assert_false(u->question && (u->kind == SEGMENT_CODE || u->kind == SEGMENT_BLANK));
        /* No character is cut. */
        assert_true(!valid || u->end == len || ((unsigned char)text[u->end] & 0xc0) != 0x80);
        at = u->end;
    }
    assert_int_equal(at, len);
    free(units);
}

static void check_words(const char *text, size_t len, bool valid)
{
    s2a_span *words = NULL;
    size_t count = 0, at = 0;
    assert_int_equal(segment_words(text, len, NULL, &words, &count, NULL), S2A_OK);
    for (size_t i = 0; i < count; i++) {
        assert_true(at <= words[i].start && words[i].start < words[i].end && words[i].end <= len);
        at = words[i].end;
        assert_true(!valid || ((unsigned char)text[words[i].start] & 0xc0) != 0x80);
        assert_false(ascii_space(text[words[i].start]) || ascii_space(text[at - 1]));
    }
    free(words);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* What blocks and sentences begin and end with, and what is not UTF-8; the latter stand last. */
static const char *const pieces[] = {
    "\n",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "```",
    "````",
    "~~~",
    "| ",
    "|---|",
    " | ",
    "- ",
    "* ",
    "1. ",
    "12) ",
    "\xe2\x80\xa2 ",
    "# ",
    "####### ",
    "    ",
    "\t",
    " ",
    "  ",
    "\xc2\xa0",
    "\xe3\x80\x80",
    "\xe2\x80\xa8",
    "\xe3\x80\x82",
    "\xef\xbc\x9f",
    "\xe2\x80\x9c",
    "\xe2\x80\x9d",
    "\"",
    "'",
    "U.S. ",
    "Mr. ",
    "e.g. ",
    "No. ",
    "J. R. ",
    "5",
    "3.14",
    "?",
    "!",
    ". ",
    ".",
    ", ",
    "word",
    "Word",
    "the ",
    "\xe4\xb8\xad",
    "\xf0\x9f\x98\x80",
    "\xd8\x9f ",
    "e\xcc\x81",
    ")",
    "(",
    "\xff",
    "\x80",
    "\xc3",
    "\xe4\xb8",
    "\xed\xa0\x80",
    "\xf0\x9f",
    "\xf5\x80\x80\x80",
    "\xc0\xaf",
};
#define PIECES (sizeof pieces / sizeof pieces[0])
#define ILL_FORMED 8

static void check_bytes(const char *text, size_t len)
{
    /* A copy that ends where the text does, so that a sanitizer sees any step past it. */
    char *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, text, len);
    size_t prefix = slow_valid_prefix(exact, len);
    assert_int_equal(utf8_valid_prefix(exact, len), prefix);
    check_units(exact, len, prefix == len);
    check_words(exact, len, prefix == len);
    free(exact);
}

static void test_properties(void **state)
{
    (void)state;
    uint32_t seed = 20;
    buf text;
    buf_init(&text, 1 << 16);
    for (int round = 0; round < 12000; round++) {
        size_t count = 1 + next_random(&seed) % 24;
        size_t choice = round % 2 ? PIECES : PIECES - ILL_FORMED;
        buf_reset(&text);
        for (size_t i = 0; i < count; i++)
            buf_adds(&text, pieces[next_random(&seed) % choice]);
        assert_true(round % 2 || slow_valid_prefix(text.data, text.len) == text.len);
        check_bytes(text.data, text.len);
    }
    for (int round = 0; round < 2000; round++) {
        size_t count = next_random(&seed) % 64;
        buf_reset(&text);
        for (size_t i = 0; i < count; i++) {
            char byte = (char)next_random(&seed);
            buf_add(&text, &byte, 1);
        }
        buf_add(&text, "", 0);
        check_bytes(text.data, text.len);
    }
    buf_free(&text);
}

/* Every first byte with every second one, and the borders of the longer forms. */
static void test_utf8(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            for (unsigned third = 0x7f; third <= 0xc0; third += third == 0x80 ? 0x3f : 1) {
                char text[12] = "12345678";
                char bytes[4] = { (char)first, (char)second, (char)third, (char)0x80 };
                for (size_t at = 0; at < 9; at += 4) {
                    memset(text, 'a', sizeof text);
                    memcpy(text + at, bytes, at == 8 ? 4 : 3);
                    assert_int_equal(utf8_valid_prefix(text, sizeof text),
                                     slow_valid_prefix(text, sizeof text));
                    assert_int_equal(utf8_valid_prefix(text, at + 2),
                                     slow_valid_prefix(text, at + 2));
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),      cmocka_unit_test(test_empty),
        cmocka_unit_test(test_long_words), cmocka_unit_test(test_word_limit),
        cmocka_unit_test(test_properties), cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
