/* kv_slots: which slot a prompt goes to and how much of it is there already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/llama/kv_slots.h"

#define CAPACITY 1000

/* count tokens from first on, one more each. */
static const int32_t *run_of(int32_t first, size_t count)
{
    static int32_t tokens[CAPACITY];
    for (size_t i = 0; i < count; i++)
        tokens[i] = first + (int32_t)i;
    return tokens;
}

static kv_slots new_slots(void)
{
    kv_slots s;
    assert_true(kv_slots_init(&s, CAPACITY));
    return s;
}

static void fill(kv_slots *s, int slot, int32_t first, size_t count)
{
    kv_slots_cut(s, slot, 0);
    kv_slots_append(s, slot, run_of(first, count), count);
    kv_slots_touch(s, slot);
}

static void check_plan(const kv_slots *s, int32_t first, size_t count, bool whole, int slot,
                       int source, size_t keep)
{
    kv_plan plan = kv_slots_plan(s, run_of(first, count), count, whole);
    assert_int_equal(plan.slot, slot);
    assert_int_equal(plan.source, source);
    assert_int_equal(plan.keep, keep);
}

/* Where nothing is known, the slot that was used longest ago, unused ones first. */
static void test_oldest(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    check_plan(&s, 0, 10, false, 0, 0, 0);
    for (int i = 0; i < KV_SLOTS; i++) {
        check_plan(&s, 0, 10, false, i, i, 0);
        fill(&s, i, 100 * (i + 1), 10);
    }
    check_plan(&s, 0, 10, false, 0, 0, 0);
    kv_slots_touch(&s, 0);
    check_plan(&s, 0, 10, false, 1, 1, 0);
    kv_slots_cut(&s, 3, 0); /* cleared is older than all */
    check_plan(&s, 0, 10, false, 3, 3, 0);
    kv_slots_free(&s);
}

/* The longest common prefix wins; the last token is always decoded again. */
static void test_prefix(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    fill(&s, 0, 0, 10);
    fill(&s, 1, 0, 20);
    fill(&s, 2, 500, 20);
    check_plan(&s, 0, 30, false, 1, 1, 20);
    check_plan(&s, 0, 21, false, 1, 1, 20);
    check_plan(&s, 0, 20, false, 1, 1, 19); /* the same prompt */
    check_plan(&s, 0, 15, false, 1, 1, 14); /* a beginning of it */
    check_plan(&s, 0, 1, false, 0, 0, 0);
    check_plan(&s, 500, 25, false, 2, 2, 20);
    check_plan(&s, 501, 25, false, 3, 3, 0); /* the first token differs */
    /* a prompt that parts from the slot's half way */
    kv_slots_append(&s, 3, run_of(0, 5), 5);
    kv_slots_append(&s, 3, run_of(900, 5), 5);
    check_plan(&s, 900, 5, false, 3, 3, 0);
    kv_plan plan = kv_slots_plan(&s, s.slot[3].tokens, 10, false);
    assert_int_equal(plan.slot, 3);
    assert_int_equal(plan.keep, 9);
    kv_slots_free(&s);
}

/* A long tail that the new prompt does not share is kept: the prefix is copied elsewhere. A short
 * one is given up. */
static void test_copy(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    fill(&s, 0, 0, 100);
    for (int i = 1; i < KV_SLOTS; i++)
        fill(&s, i, 200 + 100 * (i % 8), 10);
    kv_slots_touch(&s, 0); /* now 1 is the oldest */
    check_plan(&s, 0, 36, false, 1, 0, 35); /* 65 tokens would be lost */
    check_plan(&s, 0, 37, false, 0, 0, 36); /* 64: short */
    /* the slot itself, where it was used longest ago */
    for (int i = 1; i < KV_SLOTS; i++)
        kv_slots_touch(&s, i);
    check_plan(&s, 0, 10, false, 0, 0, 9);
    kv_slots_free(&s);
}

/* Recurrent state cannot be cut back: all of the slot must be the prompt's, and less than all of
 * the prompt the slot's. */
static void test_whole(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    fill(&s, 0, 0, 10);
    fill(&s, 1, 0, 20);
    fill(&s, 2, 0, 300);
    check_plan(&s, 0, 30, true, 1, 1, 20);
    check_plan(&s, 0, 20, true, 0, 0, 10);
    check_plan(&s, 0, 11, true, 0, 0, 10);
    check_plan(&s, 0, 10, true, 3, 3, 0);
    check_plan(&s, 0, 301, true, 2, 2, 300);
    kv_slots_free(&s);
}

static void test_cut_and_append(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    kv_slots_append(&s, 2, run_of(0, CAPACITY), CAPACITY); /* as many as fit */
    assert_int_equal(s.slot[2].count, CAPACITY);
    kv_slots_cut(&s, 2, 4);
    kv_slots_append(&s, 2, run_of(70, 2), 2);
    static const int32_t want[] = { 0, 1, 2, 3, 70, 71 };
    assert_int_equal(s.slot[2].count, 6);
    assert_memory_equal(s.slot[2].tokens, want, sizeof want);
    kv_slots_append(&s, 2, run_of(0, 0), 0);
    assert_int_equal(s.slot[2].count, 6);
    kv_slots_touch(&s, 2);
    uint64_t used = s.slot[2].used;
    kv_slots_cut(&s, 2, 6);
    assert_int_equal(s.slot[2].used, used);
    kv_slots_cut(&s, 2, 0);
    assert_int_equal(s.slot[2].used, 0);
    kv_slots_free(&s);
}

/* A slot that is busy may be copied from, but not used. */
static void test_busy(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    fill(&s, 0, 0, 20);
    s.slot[0].busy = true;
    check_plan(&s, 0, 30, false, 1, 0, 20);
    check_plan(&s, 0, 30, true, 1, 1, 0);
    s.slot[0].busy = false;
    check_plan(&s, 0, 30, false, 0, 0, 20);
    for (int i = 0; i < KV_SLOTS; i++)
        s.slot[i].busy = true;
    assert_int_equal(kv_slots_plan(&s, run_of(0, 30), 30, false).slot, -1);
    assert_int_equal(kv_slots_plan(&s, run_of(700, 30), 30, false).slot, -1);
    s.slot[5].busy = false;
    check_plan(&s, 700, 30, false, 5, 5, 0);
    check_plan(&s, 0, 30, false, 5, 0, 20);
    kv_slots_free(&s);
}

static void test_evictable(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    assert_int_equal(kv_slots_evictable(&s), -1);
    fill(&s, 1, 0, 5);
    assert_int_equal(kv_slots_evictable(&s), 1);
    s.slot[1].busy = true;
    assert_int_equal(kv_slots_evictable(&s), -1);
    fill(&s, 3, 0, 5);
    fill(&s, 0, 0, 5);
    assert_int_equal(kv_slots_evictable(&s), 3);
    s.slot[1].busy = false;
    assert_int_equal(kv_slots_evictable(&s), 1);
    kv_slots_touch(&s, 1);
    assert_int_equal(kv_slots_evictable(&s), 3);
    kv_slots_cut(&s, 3, 0);
    assert_int_equal(kv_slots_evictable(&s), 0);
    kv_slots_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest), cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_copy),   cmocka_unit_test(test_whole),
        cmocka_unit_test(test_cut_and_append), cmocka_unit_test(test_busy),
        cmocka_unit_test(test_evictable),
    };
    return cmocka_run_group_tests_name("kv_slots", tests, NULL, NULL);
}
