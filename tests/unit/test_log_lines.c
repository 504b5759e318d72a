/* log_lines: lines from pieces, levels, and the cause of a failure among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/llama/log_lines.h"
#include "base/buf.h"
#include "base/utf8.h"

static void note(void *ctx, int level, const char *line)
{
    buf_addf(ctx, "%d:%s|", level, line);
}

static void check(buf *got, const char *want)
{
    buf_add(got, "", 0);
    assert_string_equal(got->data, want);
    buf_reset(got);
}

static void test_lines(void **state)
{
    (void)state;
    buf got;
    buf_init(&got, 10000);
    log_lines l = { .log = note, .log_ctx = &got };
    log_lines_add(&l, 2, "one\n");
    check(&got, "2:one|");
    log_lines_add(&l, 2, "one\ntwo\nthr");
    check(&got, "2:one|2:two|");
    log_lines_add(&l, -1, "ee");
    check(&got, "");
    log_lines_add(&l, -1, "!\nfour");
    check(&got, "2:three!|");
    /* a piece with a level of its own begins a line */
    log_lines_add(&l, 1, "five");
    check(&got, "2:four|");
    log_lines_end(&l);
    check(&got, "1:five|");
    log_lines_end(&l);
    log_lines_add(&l, 3, "");
    log_lines_add(&l, 3, "\n\n\n");
    check(&got, "");
    /* dots of a progress bar: one line */
    log_lines_add(&l, 2, ".");
    for (int i = 0; i < 4; i++)
        log_lines_add(&l, -1, ".");
    log_lines_add(&l, -1, "\n");
    check(&got, "2:.....|");
    buf_free(&got);
}

static void test_long(void **state)
{
    (void)state;
    buf got;
    char text[2001];
    buf_init(&got, 10000);
    log_lines l = { .log = note, .log_ctx = &got };
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe4\xb8\xad", 4);
        log_lines_add(&l, 0, text);
        log_lines_add(&l, -1, "more of it\nnext\n");
        size_t len = strcspn(got.data, "|") - 2;
        assert_true(len <= sizeof l.line - 1 && len > sizeof l.line - 8);
        assert_memory_equal(got.data + 2, text, len);
        assert_int_equal((len - shift) % 3, 0); /* cut between characters */
        assert_string_equal(got.data + 2 + len, "|0:next|");
        buf_reset(&got);
    }
    assert_true(strlen(l.fault) < sizeof l.fault);
    assert_int_equal(utf8_valid_prefix(l.fault, strlen(l.fault)), strlen(l.fault));
    buf_free(&got);
}

static const char *fault_of(const char *first, const char *second)
{
    static log_lines l; /* the fault is in it */
    l = (log_lines){ .log = NULL };
    log_lines_add(&l, 2, "information: not a fault\n");
    log_lines_add(&l, 1, "warning: not a fault\n");
    if (first)
        log_lines_add(&l, 0, first);
    log_lines_end(&l);
    if (second)
        log_lines_add(&l, 0, second);
    log_lines_end(&l);
    return log_lines_fault(&l, "nothing said");
}

static void test_fault(void **state)
{
    (void)state;
    assert_string_equal(fault_of(NULL, NULL), "nothing said");
    assert_string_equal(fault_of("tensor is cut\n", "failed to load\n"), "tensor is cut");
    assert_string_equal(fault_of("gguf_init: bad magic\n", NULL), "bad magic");
    assert_string_equal(fault_of("llama_model_load: error loading model: tensor 'a: b' is cut", ""),
                        "tensor 'a: b' is cut");
    /* words before the colon are no function's name */
    assert_string_equal(fault_of("it went wrong: the disk", NULL), "it went wrong: the disk");
    assert_string_equal(fault_of("no colon here", NULL), "no colon here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_fault),
    };
    return cmocka_run_group_tests_name("log_lines", tests, NULL, NULL);
}
