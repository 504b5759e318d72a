/* sse: streams and their events, whatever pieces the streams come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sse.h"

/* Adds "[TYPE|DATA]" for every event of the piece; NULs in data as "\0". */
static sse_result feed(sse_parser *parser, const char *data, size_t len, buf *out)
{
    sse_event event;
    sse_result result;
    while ((result = sse_next(parser, &data, &len, &event)) == SSE_EVENT) {
        buf_addf(out, "[%s|", event.type);
        for (size_t i = 0; i < event.len; i++)
            buf_add(out, event.data[i] ? &event.data[i] : "\\0", event.data[i] ? 1 : 2);
        buf_adds(out, "]");
    }
    if (result == SSE_MORE)
        assert_int_equal(len, 0);
    return result;
}

static sse_result finish(sse_parser *parser, buf *out)
{
    sse_event event;
    sse_result result = sse_finish(parser, &event);
    if (result == SSE_EVENT) {
        buf_addf(out, "end[%s|%s]", event.type, event.data);
        assert_int_equal(strlen(event.data), event.len);
        result = sse_finish(parser, &event); /* handed out once */
        assert_int_equal(result, SSE_MORE);
    }
    return result;
}

typedef struct sse_case {
    const char *stream, *want;
} sse_case;

static const sse_case cases[] = {
    { "", "" },
    { "data: a\n\n", "[|a]" },
    { "data:a\n\ndata:b\n\n", "[|a][|b]" },
    { "data: a\ndata: b\n\n", "[|a\nb]" },
    { "data:  a \n\n", "[| a ]" },
    { "data\n\n", "[|]" },
    { "data\ndata\n\n", "[|\n]" },
    { "data:\n\n", "[|]" },
    { "data: a:b: c\n\n", "[|a:b: c]" },
    /* line ends */
    { "data: a\r\n\r\ndata: b\r\n\r\n", "[|a][|b]" },
    { "data: a\r\rdata: b\r\r", "[|a][|b]" },
    { "data: a\n\r\ndata: b\r\n\n", "[|a][|b]" },
    { "data: a\r\n\rdata: b\r\r\n", "[|a][|b]" },
    { "data: a\r\ndata: b\n\r", "[|a\nb]" },
    { "\n\n\r\n\rdata: a\n\n\n\n", "[|a]" },
    /* fields */
    { "event: ping\ndata: a\n\ndata: b\n\n", "[ping|a][|b]" },
    { "event: one\nevent: two\ndata: a\n\n", "[two|a]" },
    { "event: one\n\ndata: a\n\n", "[|a]" },
    { "event: x\nevent\ndata: a\n\n", "[|a]" },
    { ": comment\ndata: a\n:data: b\n\n", "[|a]" },
    { ":\n\n: ping\n\ndata: a\n\n", "[|a]" },
    { "id: 1\nretry: 10\nfoo: bar\ndata: a\n\n", "[|a]" },
    { "Data: a\n data: b\ndatax: c\ndat: d\n\ndata: e\n\n", "[|e]" },
    { "id: 1\n\n", "" },
    /* a byte order mark, once */
    { "\xef\xbb\xbf"
      "data: a\n\n\xef\xbb\xbf"
      "data: b\n\n",
      "[|a]" },
    { "\xef\xbb\xbf\n\xef\xbb\xbf"
      "data: a\n\n",
      "" },
    { "\xef\xbb"
      "data: a\n\ndata: b\n\n",
      "[|b]" },
    /* bytes are let be */
    { "data: \xe4\xb8\xad\xff\n\n", "[|\xe4\xb8\xad\xff]" },
    { "data: [DONE]\n\n", "[|[DONE]]" },
    /* the stream ends without its last empty line, or newline */
    { "data: a\n", "end[|a]" },
    { "data: a", "end[|a]" },
    { "data: a\n\ndata: b\r", "[|a]end[|b]" },
    { "event: x\ndata: a\ndata: b", "end[x|a\nb]" },
    { "data: a\n\n: bye", "[|a]" },
    { "event: x\n", "" },
    { "data", "end[|]" },
};

static void run(const char *stream, size_t len, size_t first, size_t step, const char *want)
{
    sse_parser parser;
    buf out;
    sse_init(&parser, 1000);
    buf_init(&out, 10000);
    for (size_t at = 0; at < len;) {
        size_t piece = at == 0 && first ? first : step;
        piece = piece < len - at ? piece : len - at;
        /* Its own memory, gone after the call: nothing may be kept of it. */
        char *copy = malloc(piece);
        assert_non_null(copy);
        memcpy(copy, stream + at, piece);
        assert_int_equal(feed(&parser, copy, piece, &out), SSE_MORE);
        free(copy);
        at += piece;
    }
    assert_int_equal(finish(&parser, &out), SSE_MORE);
    buf_add(&out, "", 0);
    if (strcmp(out.data, want) != 0)
        fail_msg("[%s] in pieces of %zu, %zu: want %s, got %s", stream, first, step, want,
                 out.data);
    buf_free(&out);
    sse_free(&parser);
}

/* Whole, in equal pieces of any length, and in any two pieces. */
static void test_splits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].stream);
        for (size_t k = 1; k <= len + 1; k++) {
            run(cases[i].stream, len, 0, k, cases[i].want);
            run(cases[i].stream, len, k, len + 1, cases[i].want);
        }
    }
}

static void test_nul(void **state)
{
    (void)state;
    for (size_t step = 1; step < 16; step++)
        run("data: a\0b\n\0data\n\n", 17, 0, step, "[|a\\0b]");
}

/* Only the parser's own memory is behind an event: it holds until the next call. */
static void test_lifetime(void **state)
{
    (void)state;
    sse_parser parser;
    sse_event event;
    char stream[] = "event: t\ndata: a\n\ndata: b\n\n";
    const char *data = stream;
    size_t len = sizeof stream - 1;
    sse_init(&parser, 100);
    assert_int_equal(sse_next(&parser, &data, &len, &event), SSE_EVENT);
    assert_int_equal(len, 9);
    memset(stream, 'x', 18);
    assert_string_equal(event.type, "t");
    assert_string_equal(event.data, "a");
    assert_int_equal(sse_next(&parser, &data, &len, &event), SSE_EVENT);
    assert_string_equal(event.type, "");
    assert_string_equal(event.data, "b");
    assert_int_equal(sse_next(&parser, &data, &len, &event), SSE_MORE);
    assert_int_equal(sse_finish(&parser, &event), SSE_MORE);
    sse_free(&parser);
}

static sse_result limited(const char *stream, size_t max, const char *want)
{
    sse_parser parser;
    buf out;
    sse_init(&parser, max);
    buf_init(&out, 1000);
    buf_add(&out, "", 0);
    sse_result result = feed(&parser, stream, strlen(stream), &out);
    assert_string_equal(out.data, want);
    if (result == SSE_LIMIT) { /* stays so */
        assert_int_equal(feed(&parser, "\n\ndata: z\n\n", 11, &out), SSE_LIMIT);
        assert_int_equal(finish(&parser, &out), SSE_LIMIT);
        assert_string_equal(out.data, want);
    }
    buf_free(&out);
    sse_free(&parser);
    return result;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(limited("data: 34\n\n", 8, "[|34]"), SSE_MORE);
    assert_int_equal(limited("data: 345\n\n", 8, ""), SSE_LIMIT);
    assert_int_equal(limited("data: a\n\n: comments count too\n\n", 8, "[|a]"), SSE_LIMIT);
    /* the data of one event, its newlines included */
    assert_int_equal(limited("data:123\ndata:1234\n\n", 9, "[|123\n1234]"), SSE_MORE);
    assert_int_equal(limited("data:123\ndata:123\ndata\n\n", 8, "[|123\n123\n]"), SSE_MORE);
    assert_int_equal(limited("data:123\ndata:123\ndata:1\n\n", 8, ""), SSE_LIMIT);
    /* but not of two */
    assert_int_equal(limited("data:123\n\ndata:456\n\ndata:789\n\n", 8, "[|123][|456][|789]"),
                     SSE_MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_lifetime),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("sse", tests, NULL, NULL);
}
