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
    kv_slots_touch(&s, 0);                  /* now 1 is the oldest */
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

/* ---- forgetting --------------------------------------------------------------------------- */

/* A prompt of head tokens that all share and others of its own, answered and left. Returns its
 * slot. */
static int ask(kv_slots *s, size_t head, int32_t own, size_t count)
{
    int32_t tokens[CAPACITY];
    memcpy(tokens, run_of(0, head), head * sizeof *tokens);
    memcpy(tokens + head, run_of(own, count - head), (count - head) * sizeof *tokens);
    kv_plan plan = kv_slots_plan(s, tokens, count, false);
    assert_true(plan.slot >= 0);
    kv_slots_note(s, tokens, count, &plan);
    kv_slots_cut(s, plan.slot, plan.slot == plan.source ? plan.keep : 0);
    size_t have = s->slot[plan.slot].count;
    kv_slots_append(s, plan.slot, tokens + have, count - have);
    kv_slots_touch(s, plan.slot);
    return plan.slot;
}

static size_t forget_all(kv_slots *s)
{
    size_t forgotten = 0;
    for (int slot; (slot = kv_slots_forgettable(s)) >= 0; forgotten++) {
        assert_false(s->slot[slot].busy);
        kv_slots_forget(s, slot);
    }
    return forgotten;
}

/* Prompts that only begin alike: all but the beginnings are forgotten after KV_STRANGERS
 * of them. */
static void test_strangers(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    for (int32_t i = 1; i < KV_STRANGERS; i++) {
        ask(&s, 100, 1000 * i, 300);
        assert_int_equal(forget_all(&s), 0);
    }
    int last = ask(&s, 100, 1000 * KV_STRANGERS, 300);
    s.slot[last].busy = true;
    assert_int_equal(forget_all(&s), KV_STRANGERS - 1);
    for (int i = 0; i < KV_STRANGERS; i++)
        assert_int_equal(s.slot[i].count, i == last ? 300 : 100);
    s.slot[last].busy = false;
    assert_int_equal(forget_all(&s), 1);
    int next = ask(&s, 100, 77, 300); /* finds the beginning still */
    assert_int_equal(s.slot[next].head, 100);
    assert_int_equal(forget_all(&s), 1);
    kv_slots_free(&s);
}

/* Without anything in common nothing is left. */
static void test_strangers_whole(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    for (int32_t i = 1; i <= KV_STRANGERS; i++)
        ask(&s, 0, 1000 * i, 50);
    assert_int_equal(forget_all(&s), KV_STRANGERS);
    for (int i = 0; i < KV_SLOTS; i++)
        assert_int_equal(s.slot[i].count, 0);
    assert_int_equal(kv_slots_evictable(&s), -1);
    kv_slots_free(&s);
}

/* Two conversations by turns, among others, stay. */
static void test_conversations(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    for (int32_t turn = 1; turn <= 30; turn++) {
        ask(&s, 20, 1000, 200 + 10 * (size_t)turn);
        ask(&s, 20, 5000, 210 + 10 * (size_t)turn);
        ask(&s, 20, 10000 + 1000 * turn, 160);
        assert_int_equal(forget_all(&s), 0);
    }
    kv_slots_free(&s);
}

/* A conversation that was forgotten and comes again ends the forgetting: the next time it
 * is there. */
static void test_comes_again(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    for (int32_t i = 1; i < KV_STRANGERS; i++)
        ask(&s, 10, 1000 * i, 300);
    int talk = ask(&s, 10, 500, 200);
    assert_true(forget_all(&s) > 0);
    assert_int_equal(s.slot[talk].count, 10);
    assert_int_equal(s.slot[talk].known, 200);
    int again = ask(&s, 10, 500, 240);
    assert_int_equal(s.strangers, 0);
    assert_int_equal(forget_all(&s), 0);
    assert_int_equal(s.slot[again].count, 240);
    kv_slots_free(&s);
}

/* What a busy slot holds needs no remembering. */
static void test_busy_twin(void **state)
{
    (void)state;
    kv_slots s = new_slots();
    int first = ask(&s, 0, 100, 50);
    s.slot[first].busy = true;
    size_t before = s.strangers;
    ask(&s, 0, 100, 50);
    assert_int_equal(s.strangers, before + 1);
    kv_slots_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_cut_and_append),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_evictable),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_strangers_whole),
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_comes_again),
        cmocka_unit_test(test_busy_twin),
    };
    return cmocka_run_group_tests_name("kv_slots", tests, NULL, NULL);
}
