/* What a unit is by the labels of its bytes, and what tasks ordinary, prune and labelled count. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "eval/tally.h"

static char text[] = "aaaa bbbb  cc dddd.";
/*                    0    5     11 14  */

static eval_label label_of(eval_piece *pieces, size_t count, size_t start, size_t end)
{
    eval_item item = { .x = text, .pieces = pieces, .piece_count = count };
    return eval_item_label(&item, start, end);
}

static void test_label(void **state)
{
    (void)state;
    eval_piece apart[] = { { 0, 4, EVAL_NEEDED }, { 5, 9, EVAL_OPINION }, { 11, 13, EVAL_MIXED } };
    assert_int_equal(label_of(apart, 3, 0, 5), EVAL_NEEDED);
    assert_int_equal(label_of(apart, 3, 5, 11), EVAL_OPINION);
    assert_int_equal(label_of(apart, 3, 11, 14), EVAL_MIXED);
    assert_int_equal(label_of(apart, 3, 14, 19), EVAL_MIXED); /* nothing is known of it */
    assert_int_equal(label_of(apart, 3, 4, 5), EVAL_MIXED);   /* white space alone */
    /* as much needed as not: needed */
    assert_int_equal(label_of(apart, 3, 0, 9), EVAL_NEEDED);
    /* one byte that is needed keeps the rest from being one that should go */
    eval_piece shared[] = { { 0, 1, EVAL_NEEDED }, { 1, 19, EVAL_UNRELATED } };
    assert_int_equal(label_of(shared, 2, 0, 19), EVAL_MIXED);
    assert_int_equal(label_of(shared, 2, 1, 19), EVAL_UNRELATED);
    eval_piece most[] = { { 0, 9, EVAL_NEEDED }, { 11, 19, EVAL_ORDER } };
    assert_int_equal(label_of(most, 2, 0, 19), EVAL_NEEDED); /* 8 against 7: white space does not
                                                                count */
    /* what is disputed beside less of what should go is disputed; beside more of it, it is not */
    eval_piece disputed[] = { { 0, 9, EVAL_MIXED },
                              { 11, 13, EVAL_ORDER },
                              { 14, 19, EVAL_ORDER } };
    assert_int_equal(label_of(disputed, 3, 0, 13), EVAL_MIXED);
    assert_int_equal(label_of(disputed, 3, 5, 19), EVAL_ORDER);
    /* the kinds of what should go do not add up against what is needed */
    eval_piece kinds[] = { { 0, 4, EVAL_NEEDED },
                           { 5, 8, EVAL_OPINION },
                           { 11, 13, EVAL_UNRELATED } };
    assert_int_equal(label_of(kinds, 3, 0, 13), EVAL_NEEDED);
}

static void count(eval_task task, const eval_item *item, const eval_record *record,
                  eval_share *shares)
{
    memset(shares, 0, TALLY_COUNT * sizeof *shares);
    tally_add(task, item, record, shares);
}

#define ASSERT_SHARE(share, p, w)             \
    do {                                      \
        assert_int_equal((share).part, (p));  \
        assert_int_equal((share).whole, (w)); \
    } while (0)

static void test_ordinary(void **state)
{
    (void)state;
    eval_share n[TALLY_COUNT];
    s2a_span removed[] = { { 0, 4 }, { 11, 14 } };
    eval_item item = { .x = text, .check_count = 3, .checks_left_out = 1 };
    eval_record record = {
        .removed = removed, .removed_count = 2, .needed = 4, .needed_removed = 2, .followed = 2
    };
    count(EVAL_ORDINARY, &item, &record, n);
    ASSERT_SHARE(n[TALLY_CHANGED], 1, 1);
    ASSERT_SHARE(n[TALLY_UNITS_CUT], 2, 4);
    ASSERT_SHARE(n[TALLY_BYTES_CUT], 4 + 2, 15);
    ASSERT_SHARE(n[TALLY_FOLLOWED], 2, 3);
    ASSERT_SHARE(n[TALLY_LEFT_OUT], 1, 4);
    ASSERT_SHARE(n[TALLY_SUPPORT], 0, 0); /* of another task */
    tally_add(EVAL_ORDINARY, &item,
              &(eval_record){ .unchanged = true, .unanswered = true, .needed = 4 }, n);
    ASSERT_SHARE(n[TALLY_CHANGED], 1, 2);
    ASSERT_SHARE(n[TALLY_BYTES_CUT], 6, 30);
    ASSERT_SHARE(n[TALLY_FOLLOWED], 2, 3); /* nobody asked for an answer */
}

static void test_prune(void **state)
{
    (void)state;
    eval_share n[TALLY_COUNT];
    char x[] = "Oslo is old. Rome is Rome. Bonn is new.\n\nRome or Bonn?", oslo[] = "Oslo",
         rome[] = "Rome", bonn[] = "Bonn", none[] = "Kiev";
    char *aliases[] = { oslo, rome, bonn, none };
    s2a_span removed[] = { { 0, 17 }, { 27, 39 } }; /* the first Rome goes too, the second stays */
    eval_item item = {
        .x = x, .question_start = 41, .aliases = aliases, .alias_count = 4, .several = true
    };
    eval_record record = { .removed = removed,
                           .removed_count = 2,
                           .needed = 3,
                           .needed_removed = 1,
                           .distractors = 7,
                           .distractors_removed = 5 };
    count(EVAL_PRUNE, &item, &record, n);
    ASSERT_SHARE(n[TALLY_SUPPORT], 2, 3);
    ASSERT_SHARE(n[TALLY_PRECISION], 2, 4);
    ASSERT_SHARE(n[TALLY_ANSWERS], 1, 3); /* Kiev stands nowhere; Bonn in the question alone does
                                             not count */
    ASSERT_SHARE(n[TALLY_TEXT], 24, 31);
    double recall = 2.0 / 3, precision = 0.5;
    assert_true(fabs(tally_f2(n) - 5 * recall * precision / (4 * precision + recall)) < 1e-12);
    item.several = false; /* four ways to write one answer */
    count(EVAL_PRUNE, &item, &record, n);
    ASSERT_SHARE(n[TALLY_ANSWERS], 1, 1);
    item.aliases += 3;
    item.alias_count = 1;
    count(EVAL_PRUNE, &item, &record, n);
    ASSERT_SHARE(n[TALLY_ANSWERS], 0, 0);
    count(EVAL_PRUNE, &item, &(eval_record){ .needed = 3, .needed_removed = 3, .distractors = 1 },
          n);
    assert_true(tally_f2(n) == 0); /* what was kept holds nothing */
    count(EVAL_PRUNE, &item, &(eval_record){ .needed = 3, .needed_removed = 3 }, n);
    assert_true(isnan(tally_f2(n))); /* nothing was kept */
}

static void test_labelled(void **state)
{
    (void)state;
    eval_share n[TALLY_COUNT];
    eval_piece clean[] = { { 0, 4, EVAL_NEEDED }, { 5, 9, EVAL_MIXED } },
               not [] = { { 0, 4, EVAL_ORDER } };
    eval_item item = { .x = text, .pieces = clean, .piece_count = 2 };
    eval_record record = {
        .needed = 5, .needed_removed = 1, .distractors = 6, .distractors_removed = 4
    };
    record.kinds[EVAL_UNRELATED] = (eval_share){ 2, 3 };
    record.kinds[EVAL_OPINION] = (eval_share){ 1, 1 };
    record.kinds[EVAL_ORDER] = (eval_share){ 1, 2 };
    record.kinds[EVAL_MIXED] = (eval_share){ 1, 4 };
    count(EVAL_LABELLED, &item, &record, n);
    ASSERT_SHARE(n[TALLY_NEEDED], 4, 5);
    ASSERT_SHARE(n[TALLY_CLEAN], 0, 1);
    ASSERT_SHARE(n[TALLY_UNRELATED], 2, 3);
    ASSERT_SHARE(n[TALLY_OPINIONS], 1, 1);
    ASSERT_SHARE(n[TALLY_ORDERS], 1, 2);
    ASSERT_SHARE(n[TALLY_MIXED], 4, 15);
    record.unchanged = true;
    count(EVAL_LABELLED, &item, &record, n);
    ASSERT_SHARE(n[TALLY_CLEAN], 1, 1);
    item.pieces = not ;
    item.piece_count = 1;
    count(EVAL_LABELLED, &item, &record, n);
    ASSERT_SHARE(n[TALLY_CLEAN], 0, 0);
}

/* Names are those of JSON and CSV: none twice; every share belongs to a task, of which there is a
 * name. */
static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < TALLY_COUNT; i++) {
        assert_true(strlen(tallies[i].brief) <= 9);
        assert_true(strlen(tallies[i].help) > 0 && strlen(tallies[i].head) > 0);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(tallies[i].name, tallies[k].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label), cmocka_unit_test(test_ordinary),
        cmocka_unit_test(test_prune), cmocka_unit_test(test_labelled),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests_name("eval_tally", tests, NULL, NULL);
}
