/* draft and cost: which tokens are proposed while a text is copied with parts left out, and how
 * many of them are worth it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/llama/draft.h"

/* One letter a token; a space before it makes it another token of the same word. A letter after '|'
 * is a start. */
static draft draft_of(const char *text)
{
    draft d;
    assert_true(draft_init(&d, strlen(text)));
    d.count = 0;
    for (const char *c = text; *c; c++) {
        draft_source *s = &d.source[d.count++];
        s->start = *c == '|';
        c += *c == '|';
        bool space = *c == '_';
        c += space;
        s->word = (uint32_t)*c;
        s->token = *c + (space ? 1000 : 0);
    }
    return d;
}

static void write_token(draft *d, char letter, bool space)
{
    draft_take(d, letter + (space ? 1000 : 0), (uint32_t)letter);
}

static void write_all(draft *d, const char *letters)
{
    for (; *letters; letters++)
        write_token(d, *letters, false);
}

static char expected(const draft *d)
{
    return d->at == DRAFT_LOST || d->at == d->count ? '-' : (char)d->source[d->at].word;
}

/* What the draft says after each letter of a text that is written. */
static void check_follow(const char *source, const char *written, const char *want)
{
    draft d = draft_of(source);
    char got[128];
    for (size_t i = 0; written[i]; i++) {
        write_token(&d, written[i], false);
        got[i] = expected(&d);
        got[i + 1] = '\0';
    }
    if (strcmp(got, want) != 0)
        fail_msg("%s, written %s: \"%s\" instead of \"%s\"", source, written, got, want);
    draft_free(&d);
}

static void test_copy(void **state)
{
    (void)state;
    check_follow("|abcdef", "abcdef", "bcdef-");
}

/* A unit is left out: the draft is wrong once, and right from the next unit's second token on. */
static void test_skip(void **state)
{
    (void)state;
    check_follow("|abc|def|ghi", "abcghi", "bcdhi-");
    check_follow("|abc|def|dxy|ghi", "abcghi", "bcdhi-");
}

/* Of two units that begin alike the next one ahead is taken. */
static void test_next_ahead(void **state)
{
    (void)state;
    check_follow("|mno|abc|def|mpq|mrs", "defmp", "efmpq");
}

/* Words that the source does not have, and one that stands in for another. */
static void test_new_words(void **state)
{
    (void)state;
    check_follow("|abcdef", "abzdef", "bc--f-");
    check_follow("|abcdef", "xyz", "---");
}

/* Inside of a unit one word is not enough. */
static void test_no_chance_match(void **state)
{
    (void)state;
    check_follow("|abcdefgh", "ze", "--");
    check_follow("|abcdefgh", "zef", "--g");
}

/* Nothing goes on behind the end; what is copied again starts again. */
static void test_end_and_again(void **state)
{
    (void)state;
    check_follow("|abc", "abcab", "bc-bc");
}

/* The same word with a space before it is followed, though its token is another. */
static void test_space(void **state)
{
    (void)state;
    draft d = draft_of("|_ab_cd");
    write_token(&d, 'a', false);
    assert_int_equal(expected(&d), 'b');
    write_all(&d, "b");
    write_token(&d, 'c', false);
    assert_int_equal(expected(&d), 'd');
    draft_free(&d);
}

/* ---- how long a draft is
 * ---------------------------------------------------------------------- */

#define ALPHABET "|abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static draft copying(void)
{
    draft d = draft_of(ALPHABET);
    write_all(&d, "ab");
    for (size_t i = 0; i < 20; i++) { /* all right so far */
        draft_judge(&d, 1, 1);
        write_token(&d, (char)d.source[d.at].word, false);
    }
    return d;
}

static size_t length(const draft *d, const cost_curve *cost, double others, size_t limit)
{
    double gain = 0;
    size_t n = draft_length(d, cost, 1 + (size_t)others, others, limit, &gain);
    assert_true(n == 0 ? gain == 0 : gain > 0 && gain <= (double)n);
    return n;
}

static void test_length_by_cost(void **state)
{
    (void)state;
    draft d = copying();
    cost_curve flat = { 0 }, steep = { 0 }, line = { 0 };
    for (size_t rows = 1; rows <= 64; rows++) {
        cost_add(&flat, rows, 50);
        cost_add(&steep, rows, 50 * (double)rows);
        cost_add(&line, rows, 50 + 10 * ((double)rows - 1));
    }
    assert_in_range(length(&d, &flat, 0, 100), 30, DRAFT_MAX);
    assert_int_equal(length(&d, &flat, 0, 5), 5);
    assert_int_equal(length(&d, &steep, 0, 100), 0); /* each row costs as much as a token */
    assert_in_range(length(&d, &line, 0, 100), 4, DRAFT_MAX);
    assert_int_equal(length(&d, &line, 0, 0), 0);
    draft_free(&d);
}

/* Up to 32 rows cost the same, further ones as much as a token: others use the cheap ones up. */
static void test_length_beside_others(void **state)
{
    (void)state;
    draft d = copying();
    cost_curve stairs = { 0 };
    for (size_t rows = 1; rows <= 128; rows++)
        cost_add(&stairs, rows, rows <= 32 ? 50 : 50 * (double)(rows - 31));
    assert_in_range(length(&d, &stairs, 0, 100), 20, 31);
    assert_in_range(length(&d, &stairs, 15, 100), 8, 16);
    assert_int_equal(length(&d, &stairs, 31, 100), 0);
    draft_free(&d);
}

/* More than four rows are whole fours, unless the draft ends before. */
static void test_length_in_fours(void **state)
{
    (void)state;
    draft d = copying();
    cost_curve line = { 0 };
    for (size_t rows = 1; rows <= 64; rows++)
        cost_add(&line, rows, 50 + 4 * ((double)rows - 1));
    for (size_t others = 0; others < 9; others++) {
        size_t n = length(&d, &line, (double)others, 100);
        assert_true(n > 4);
        assert_int_equal((1 + others + n) % 4, 0);
    }
    for (size_t limit = 1; limit < 12; limit++)
        assert_int_equal(length(&d, &line, 0, limit), limit);
    draft_free(&d);
}

/* After many wrong drafts there is none any more, and one right token is not enough to go on as if
 * nothing had been. */
static void test_length_by_acceptance(void **state)
{
    (void)state;
    draft d = draft_of(ALPHABET);
    cost_curve line = { 0 };
    for (size_t rows = 1; rows <= 64; rows++)
        cost_add(&line, rows, 50 + 20 * ((double)rows - 1));
    write_all(&d, "ab");
    size_t before = length(&d, &line, 0, 100);
    assert_true(before > 0);
    for (size_t i = 0; i < 40; i++)
        draft_judge(&d, 4, 0);
    assert_int_equal(length(&d, &line, 0, 100), 0);
    for (size_t i = 0; i < 200; i++)
        draft_judge(&d, 4, 4);
    assert_true(length(&d, &line, 0, 100) >= before);
    draft_free(&d);
}

static void test_lost_drafts_nothing(void **state)
{
    (void)state;
    draft d = draft_of(ALPHABET);
    cost_curve none = { 0 };
    assert_int_equal(length(&d, &none, 0, 100), 0);
    write_all(&d, "!");
    assert_int_equal(length(&d, &none, 0, 100), 0);
    write_all(&d, "ab89");
    assert_int_equal(expected(&d), '-');
    assert_int_equal(length(&d, &none, 0, 100), 0);
    draft_free(&d);
}

/* ---- the cost of a decode
 * --------------------------------------------------------------------- */

static void test_cost_line(void **state)
{
    (void)state;
    cost_curve c = { 0 };
    assert_true(cost_of(&c, 1) == cost_of(&c, 512));
    cost_add(&c, 512, 5120);
    assert_true(cost_of(&c, 1024) > 10000);
    assert_true(cost_of(&c, 0) > 0);
    cost_add(&c, 1, 60);
    assert_true(fabs(cost_of(&c, 1) - (60)) < 1e-9);
    assert_true(fabs(cost_of(&c, 512) - (5120)) < 1e-9);
    assert_true(fabs(cost_of(&c, 257) - (60 + 256 * (5060 / 511.0))) < 1e-6);
    cost_add(&c, 8, 90); /* less than the line: what was measured counts */
    assert_true(fabs(cost_of(&c, 8) - (90)) < 1e-9);
    assert_true(cost_of(&c, 9) > 90 && cost_of(&c, 9) < 120);
}

static void test_cost_noise(void **state)
{
    (void)state;
    cost_curve c = { 0 };
    for (size_t i = 0; i < 50; i++)
        cost_add(&c, 1, 60);
    cost_add(&c, 1, 60000);
    assert_true(cost_of(&c, 1) < 100);
    for (size_t i = 0; i < 50; i++) /* it stays slow: that is how it is now */
        cost_add(&c, 1, 200);
    assert_true(fabs(cost_of(&c, 1) - (200)) < 1);
    cost_add(&c, 0, 5);
    cost_add(&c, 4, 0);
    cost_add(&c, 4, -1);
    assert_true(fabs(cost_of(&c, 1) - (200)) < 1);
}

/* Every size has a point, and sizes of one point lie close together. */
static void test_cost_sizes(void **state)
{
    (void)state;
    for (size_t rows = 1; rows <= 100000; rows += 1 + rows / 7) {
        cost_curve c = { 0 };
        cost_add(&c, rows, (double)rows);
        assert_true(fabs(cost_of(&c, rows) - (double)rows) < 1e-6 * (double)rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_next_ahead),
        cmocka_unit_test(test_new_words),
        cmocka_unit_test(test_no_chance_match),
        cmocka_unit_test(test_end_and_again),
        cmocka_unit_test(test_space),
        cmocka_unit_test(test_length_by_cost),
        cmocka_unit_test(test_length_beside_others),
        cmocka_unit_test(test_length_in_fours),
        cmocka_unit_test(test_length_by_acceptance),
        cmocka_unit_test(test_lost_drafts_nothing),
        cmocka_unit_test(test_cost_line),
        cmocka_unit_test(test_cost_noise),
        cmocka_unit_test(test_cost_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
