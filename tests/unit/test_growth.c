/* The work of core grows with its text, whatever the text is: CPU time of a text and of one four
 * times as long, for many kinds of filler. A quadratic walk takes sixteen times as long, so that a
 * bound of ten says nothing of the machine; what is too slow is measured again before it counts.
 *
 *     test_growth exponents BYTES [OPERATION:FILLER...]
 *
 * prints a table for scripts/growth.py: texts of up to BYTES, of all fillers or of these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cancel.h"
#include "core/align.h"
#include "core/guard.h"
#include "core/parse.h"
#include "core/segment.h"
#include "core/select.h"
#include "cpu_fire.h"
#include "s2a.h"

/* A head, and a piece over and over; "%" in the piece is its number. */
typedef struct filler {
    const char *head, *piece;
} filler;

#define POEM "The poem is from 1855. Who wrote it?"

static const filler fillers[] = {
    /* white space: of lines, behind each kind of end */
    { POEM, "\n " },
    { POEM, "\n" },
    { POEM, "\n\n" },
    { POEM, "\r\n" },
    { POEM, "\n    " },
    { POEM, "\r" },
    { POEM, " " },
    { POEM, "\t" },
    { POEM, "\v" },
    { POEM, "\f\n" },
    { "The poem is old.", "\n" },
    { "It is by Mr.", "\n " },
    { "It is by Mr.", "\r" },
    { "It is by Mr.", " " },
    { "It is by J.", "\n" },
    { "e.g.", "\xe2\x80\xa8" },
    { "It is by Mr.", "\xe2\x80\xa9" },
    { "Mr.", "\xc2\x85 " },
    { "a line that", "\n" },
    { "\"Where?\"", "\n" },
    { "i say so.", "\n " },
    { "", "\xc2\xa0" },
    { "", "\xe3\x80\x80" },
    { "Who?*", "\r" },
    { "Who?", "*\r" },
    { "Who?", "* " },
    { "- item", "\n" },
    { "# head", "\n " },
    { "You need: 1.", "\n" },
    { "You need: 1.", " " },
    { "", "Mr.\n" },
    { "", "J.\n " },
    /* marks of sentences */
    { "", "." },
    { "", ". " },
    { "", "?" },
    { "", "? " },
    { "", "!?" },
    { "", "\xe3\x80\x82" },
    { "", "... " },
    { "", "a.b" },
    { "", "a?b" },
    { "", "A. " },
    { "", "a. " },
    { "", "U.S. " },
    { "", "U.S.A. Then " },
    { "", "Mr. " },
    { "", "No. 5 " },
    { "", "e.g. a " },
    { "a ", ". 1 " },
    { "", ": 1. " },
    { "", "1. " },
    { "", "(1) " },
    { "You need: ", "%. Flour. " },
    { "", "iv. x " },
    /* quotes, brackets, emphasis, bullets, fences, tables */
    { "", "\"" },
    { "", "\" " },
    { "", "\"a\" " },
    { "", "\"%\" " },
    { "", "\xe2\x80\x9c" },
    { "", "\xe2\x80\x9c"
          "a\xe2\x80\x9d " },
    { "", "\xc2\xab%" },
    { "", "\xe3\x80\x8c" },
    { "", "'" },
    { "", "(" },
    { "", ")" },
    { "", "[" },
    { "", "] " },
    { "", "*" },
    { "", "_" },
    { "", "** " },
    { "", "a* " },
    { "", "`" },
    { "", "` " },
    { "", "`%` " },
    { "", "``` " },
    { "", "```\n" },
    { "", "~~~\n" },
    { "", "```a\nb\n```\n" },
    { "```", "\n" },
    { "", "- " },
    { "", "- a\n" },
    { "", "  - a\n" },
    { "- a", "\n  b" },
    { "", "* \n" },
    { "", "#" },
    { "", "# " },
    { "", "# a\n" },
    { "", "|" },
    { "", "|-" },
    { "", "| a |\n" },
    { "", "|-|\n" },
    { "", "    a\n" },
    { "", "    a\n\n" },
    { "", "> " },
    { "", "---\n" },
    { "", "<!-- -->" },
    /* words and numbers */
    { "", "a" },
    { "", "A" },
    { "", "a " },
    { "", "A " },
    { "", "the poem " },
    { "", "w% " },
    { "", "W%. " },
    { "", "w% is so.\n" },
    { "", "1" },
    { "", "1 " },
    { "", "1," },
    { "", "1.5 " },
    { "", "% " },
    { "", "don't " },
    { "", "don\xe2\x80\x99t " },
    { "", "a-" },
    { "", "a_b " },
    { "", POEM " " },
    { "", "i think it was poe. who wrote it? " },
    /* scripts, and what is not UTF-8 */
    { "", "\xe4\xb8\xad" },
    { "", "\xe4\xb8\xad\xe6\x96\x87\xe3\x80\x82" },
    { "", "\xe3\x82\xab" },
    { "", "\xe0\xb8\x81\xe0\xb8\xb2" },
    { "", "\xe1\x9e\x80\xe1\x9e\xb6" },
    { "", "\xd8\x9f " },
    { "", "\xcc\x81" },
    { "", "e\xcc\x81 " },
    { "", "\xe2\x80\x8d" },
    { "", "\xf0\x9f\x91\xa8\xe2\x80\x8d" },
    { "", "\xf0\x9f\x87\xa9" },
    { "", "\xff" },
    { "", "\xe2\x80" },
    { "", "\x01" },
    /* what parse and guard look for */
    { "", "Context: " },
    { "", "Question: " },
    { "", "Context\n" },
    { "Context:\n", "**" },
    { "", "Unbiased text context: a\n" },
    { "", "(context text " },
    { "Context (", "(" },
    { "", "Note: " },
    { "a\n\n", "Note: a\n\n" },
    { "Sure!\n", "Here is\n" },
    { "**", "\"[" },
    { "", "none " },
    { "", "I'm sorry " },
};
#define FILLERS (sizeof fillers / sizeof fillers[0])

/* malloc'ed; exactly len bytes, so that a sanitizer sees a step past them. */
static char *fill(const filler *f, size_t len)
{
    char *text = malloc(len);
    assert_non_null(text);
    size_t at = strlen(f->head) < len ? strlen(f->head) : len;
    memcpy(text, f->head, at);
    char piece[200];
    const char *mark = strstr(f->piece, "%");
    size_t size = strlen(f->piece);
    memcpy(piece, f->piece, size + 1);
    for (size_t n = 1; at < len; n++) {
        if (mark)
            size = (size_t)snprintf(piece, sizeof piece, "%.*s%zu%s", (int)(mark - f->piece),
                                    f->piece, n, mark + 1);
        size_t take = size < len - at ? size : len - at;
        memcpy(text + at, piece, take);
        at += take;
    }
    return text;
}

/* ---- what is measured: each is done with a text of len bytes -------------------------------- */

static s2a_status do_segment(const char *text, size_t len, const s2a_cancel *cancel)
{
    segment_unit *units = NULL;
    size_t count = 0;
    s2a_status status = segment_text(text, len, cancel, &units, &count, NULL);
    free(units);
    return status;
}

/* What select does around the reading. */
static s2a_status do_select(const char *text, size_t len, const s2a_cancel *cancel)
{
    segment_unit *units = NULL;
    size_t count = 0;
    judge_head head = { .layer_count = 0 };
    select_text y = { .changed = false };
    s2a_status status = segment_text(text, len, cancel, &units, &count, NULL);
    if (status == S2A_OK)
        status = select_refine(S2A_PRESET_UNTRUSTED, text, &units, &count, NULL);
    select_input in = { .head = &head,
                        .text = text,
                        .units = units,
                        .count = count,
                        .cancel = cancel,
                        .question_start = SIZE_MAX,
                        .threshold = 0,
                        .keep = .5 };
    select_unit *marks = calloc(count + 1, sizeof *marks);
    if (status == S2A_OK && !marks)
        status = S2A_NOMEM;
    if (status == S2A_OK) {
        select_mark(&in, marks);
        for (size_t i = 0; i < count; i++) {
            marks[i].judged = !marks[i].whole;
            marks[i].odds[0] = marks[i].odds[1] = (double)(i * 7 % 5) - 2;
            marks[i].odds[2] = -1;
        }
        status = select_decide(&in, marks, NULL);
    }
    if (status == S2A_OK)
        status = select_compose(&in, marks, len, &y, NULL);
    if (status == S2A_OK && cancel_fired(cancel))
        status = S2A_CANCELLED;
    select_text_free(&y);
    free(marks);
    free(units);
    return status;
}

/* x' is x without its first third. */
static s2a_status do_align(const char *text, size_t len, const s2a_cancel *cancel)
{
    const char *y = text + len / 3;
    size_t y_len = len - len / 3;
    align_result got;
    s2a_span regions[2] = { { 0, y_len / 2 }, { y_len / 2, y_len } };
    s2a_status status = align_texts(text, len, NULL, 0, y, y_len, regions, 2, cancel, &got, NULL);
    if (status == S2A_OK)
        align_result_free(&got);
    return status;
}

static s2a_status do_parse(const char *text, size_t len, const s2a_cancel *cancel)
{
    parse_parts parts;
    s2a_status status = parse_rewrite(text, len, PARSE_SPLIT, cancel, &parts, NULL);
    return status == S2A_OK ? parse_rewrite(text, len, PARSE_WHOLE, cancel, &parts, NULL) : status;
}

static s2a_status do_guard(const char *text, size_t len, const s2a_cancel *cancel)
{
    guard_input in = {
        .x = text, .x_len = len, .y = text + len / 3, .y_len = len - len / 3, .cancel = cancel
    };
    s2a_fallback reason;
    char detail[200];
    return guard_check(&in, &reason, detail, sizeof detail, NULL);
}

static const struct operation {
    const char *name;
    s2a_status (*run)(const char *text, size_t len, const s2a_cancel *cancel);
} operations[] = {
    { "segment", do_segment }, { "select", do_select }, { "align", do_align },
    { "parse", do_parse },     { "guard", do_guard },
};
#define OPERATIONS (sizeof operations / sizeof operations[0])

/* ---- measuring ------------------------------------------------------------------------------ */

static double measure(const struct operation *op, const filler *f, size_t len)
{
    char *text = fill(f, len);
    double start = cpu_seconds();
    assert_int_equal(op->run(text, len, NULL), S2A_OK);
    double took = cpu_seconds() - start;
    free(text);
    return took;
}

enum { SHORT_BYTES = 8 << 10, TIMES = 4, TRIES = 4 };
/* Four would be linear and sixteen quadratic. Aligning short texts is in between: its steps for
 * each word have a limit, which these sizes are around. */
#define BOUND 13
/* What is that fast is not measured well enough, and does not matter. */
#define FLOOR_SECONDS 0.003

static bool grows_too_fast(const struct operation *op, const filler *f)
{
    double less = 0, more = 0;
    for (int i = 0; i < TRIES; i++) {
        less = measure(op, f, SHORT_BYTES);
        more = measure(op, f, (size_t)SHORT_BYTES * TIMES);
        if (more <= BOUND * (less > FLOOR_SECONDS ? less : FLOOR_SECONDS))
            return false;
    }
    print_error("%s, head \"%s\", piece \"%s\": %.1f ms, four times as long %.1f ms\n", op->name,
                f->head, f->piece, less * 1e3, more * 1e3);
    return true;
}

static void test_operation(void **state)
{
    const struct operation *op = *state;
    size_t failed = 0;
    for (size_t i = 0; i < FILLERS; i++)
        failed += grows_too_fast(op, &fillers[i]);
    assert_int_equal(failed, 0);
}

/* ---- hanging up ----------------------------------------------------------------------------- */

enum { LONG_BYTES = 3 << 20, EVERY = 16, FIRE_MICROSECONDS = 20000 };
/* 0.1 s is what is promised. Sanitizers and valgrind are slower: there half of what the whole text
 * takes, counted from a part of it, is soon enough; what cannot be cancelled takes nearly all of
 * it. */
#define SOON_SECONDS 0.5
enum { SOON_SHARE = 2, PART = 32 };

/* What is at work when it is cancelled has soon ended; returns whether it was at work. */
static bool check_cancel(const struct operation *op, const filler *f)
{
    double soon = measure(op, f, LONG_BYTES / PART) * PART / SOON_SHARE;
    soon = soon > SOON_SECONDS ? soon : SOON_SECONDS;
    char *text = fill(f, LONG_BYTES);
    s2a_cancel *cancel = s2a_cancel_new();
    cpu_fire_begin(cancel, FIRE_MICROSECONDS);
    s2a_status status = op->run(text, LONG_BYTES, cancel);
    double took = cpu_fire_end();
    s2a_cancel_free(cancel);
    free(text);
    assert_true(status == S2A_OK || status == S2A_CANCELLED);
    if (status == S2A_CANCELLED && took > soon)
        fail_msg("%s, piece \"%s\": %.3f s after it was cancelled, %.3f s are allowed", op->name,
                 f->piece, took, soon);
    return status == S2A_CANCELLED;
}

static void test_cancel(void **state)
{
    const struct operation *op = *state;
    size_t stopped = 0;
    for (size_t i = 0; i < FILLERS; i += EVERY)
        stopped += check_cancel(op, &fillers[i]);
    assert_true(stopped > 0);
}

/* Cancelled before it begins: nothing is done. */
static void test_cancelled(void **state)
{
    const struct operation *op = *state;
    s2a_cancel *cancel = s2a_cancel_new();
    s2a_cancel_fire(cancel);
    for (size_t i = 0; i < FILLERS; i++) {
        char *text = fill(&fillers[i], SHORT_BYTES);
        assert_int_equal(op->run(text, SHORT_BYTES, cancel), S2A_CANCELLED);
        free(text);
    }
    s2a_cancel_free(cancel);
}

/* ---- the table ------------------------------------------------------------------------------ */

static void print_escaped(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != ',')
            putchar(c);
        else
            printf("\\x%02x", c);
    }
}

/* Whether it is to be measured; names NULL-terminated, none = all are. */
static bool is_named(char **names, const char *operation, size_t index)
{
    char name[64];
    snprintf(name, sizeof name, "%s:%zu", operation, index);
    bool found = !*names;
    for (; *names && !found; names++)
        found = !strcmp(*names, name);
    return found;
}

static int print_exponents(size_t most, char **names)
{
    printf("operation,filler,head,piece,bytes,cpu_seconds\n");
    for (size_t k = 0; k < OPERATIONS; k++)
        for (size_t i = 0; i < FILLERS; i++)
            for (size_t len = most / 16; len <= most; len *= 4) {
                if (!is_named(names, operations[k].name, i))
                    break;
                double took = measure(&operations[k], &fillers[i], len);
                printf("%s,%zu,", operations[k].name, i);
                print_escaped(fillers[i].head);
                putchar(',');
                print_escaped(fillers[i].piece);
                printf(",%zu,%.6f\n", len, took);
                fflush(stdout);
            }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "exponents"))
        return print_exponents(strtoul(argv[2], NULL, 10), argv + 3);
    static const struct {
        const char *name;
        void (*run)(void **state);
    } kinds[] = { { "grows", test_operation },
                  { "cancel", test_cancel },
                  { "cancelled", test_cancelled } };
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    struct CMUnitTest tests[OPERATIONS * KINDS];
    char names[OPERATIONS * KINDS][40];
    for (size_t i = 0; i < OPERATIONS * KINDS; i++) {
        const struct operation *op = &operations[i / KINDS];
        snprintf(names[i], sizeof names[i], "%s_%s", op->name, kinds[i % KINDS].name);
        tests[i] = (struct CMUnitTest){ names[i], kinds[i % KINDS].run, NULL, NULL,
                                        (void *)(uintptr_t)op };
    }
    return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}
