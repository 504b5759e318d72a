/* Stops: what is held back, where the text ends, and that how the text is cut into pieces changes
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/stop_scan.h"

typedef struct stops {
    stop_text list[4];
    size_t count;
} stops;

static stops stops_of(const char *a, const char *b, const char *c)
{
    const char *texts[] = { a, b, c };
    stops s = { .count = 0 };
    for (size_t i = 0; i < 3 && texts[i]; i++)
        s.list[s.count++] = (stop_text){ texts[i], strlen(texts[i]) };
    return s;
}

/* The text in pieces of that many bytes. */
static size_t run(const stops *s, const char *text, size_t piece, buf *out)
{
    stop_scan scan = { .stops = s->list, .count = s->count };
    size_t len = strlen(text), found = STOP_NONE;
    buf_init(out, 1000);
    buf_add(out, "", 0);
    for (size_t at = 0; at < len && found == STOP_NONE; at += piece)
        found = stop_scan_add(&scan, text + at, len - at < piece ? len - at : piece, out);
    if (found == STOP_NONE)
        found = stop_scan_end(&scan, out);
    stop_scan_free(&scan);
    return found;
}

static void check(stops s, const char *text, const char *want, size_t found)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        buf out;
        assert_int_equal(run(&s, text, piece, &out), found);
        assert_string_equal(out.data, want);
        buf_free(&out);
    }
}

static void test_where_it_ends(void **state)
{
    (void)state;
    check(stops_of("END", NULL, NULL), "one two END three", "one two ", 0);
    check(stops_of("END", NULL, NULL), "END", "", 0);
    check(stops_of("END", NULL, NULL), "one EN two E", "one EN two E", STOP_NONE);
    check(stops_of("x", "END", NULL), "one END x", "one ", 1);
    check(stops_of("aab", NULL, NULL), "aaab", "a", 0); /* it begins within a false beginning */
    check(stops_of("abab!", NULL, NULL), "ababab!", "ab", 0);
    check(stops_of("\n\n", NULL, NULL), "a\nb\n\nc", "a\nb", 0);
    check(stops_of("\xc3\xbc", NULL, NULL), "gr\xc3\xbc\xc3\x9f", "gr", 0);
    check(stops_of(NULL, NULL, NULL), "all of it", "all of it", STOP_NONE);
}

/* The first place counts, then the shortest; also where the longer one never comes. */
static void test_which_one(void **state)
{
    (void)state;
    check(stops_of("abcd", "ab", NULL), "xabcd", "x", 1);
    check(stops_of("bc", "abcd", NULL), "xabcd", "x", 1);
    check(stops_of("bc", "abcd", NULL), "xabce", "xa", 0);
    check(stops_of("bc", "abcd", NULL), "xabc", "xa", 0); /* the text ends while it waits */
}

static void test_held_back(void **state)
{
    (void)state;
    stops s = stops_of("</s>", NULL, NULL);
    stop_scan scan = { .stops = s.list, .count = s.count };
    buf out;
    buf_init(&out, 100);
    assert_int_equal(stop_scan_add(&scan, "a</", 3, &out), STOP_NONE);
    assert_string_equal(out.data, "a");
    assert_int_equal(stop_scan_add(&scan, "b</s", 4, &out), STOP_NONE);
    assert_string_equal(out.data, "a</b");
    assert_int_equal(stop_scan_end(&scan, &out), STOP_NONE);
    assert_string_equal(out.data, "a</b</s");
    stop_scan_free(&scan);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_where_it_ends),
                                        cmocka_unit_test(test_which_one),
                                        cmocka_unit_test(test_held_back) };
    return cmocka_run_group_tests_name("stop_scan", tests, NULL, NULL);
}
