/* What was said lately: found under its key alone, the oldest use goes first, and never more than
 * there is room for; from many threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memo.h"

#define SLOTS 256 /* of memo.c */

static memo_key key_of(const char *text)
{
    memo_key key = MEMO_KEY_START;
    memo_key_add(&key, text, strlen(text));
    return key;
}

static memo_key key_number(size_t n)
{
    memo_key key = MEMO_KEY_START;
    memo_key_add(&key, &n, sizeof n);
    return key;
}

static void put(memo *m, memo_key key, double value, size_t count)
{
    double *values = calloc(count + 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = value + (double)i;
    memo_put(m, &key, values, count);
    free(values);
}

/* 0 = it is not there. */
static double get(memo *m, memo_key key, size_t count)
{
    double *values = calloc(count + 1, sizeof *values);
    assert_non_null(values);
    values[count] = 77;
    bool found = memo_get(m, &key, values, count);
    for (size_t i = 1; i < count; i++)
        assert_true(values[i] == (found ? values[0] + (double)i : 0));
    assert_true(values[count] == 77);
    double first = found ? values[0] : 0;
    free(values);
    return first;
}

static void test_get(void **state)
{
    (void)state;
    memo *m = memo_new(100);
    assert_true(get(m, key_of("a"), 3) == 0);
    put(m, key_of("a"), 5, 3);
    put(m, key_of("b"), 6, 3);
    assert_true(get(m, key_of("a"), 3) == 5 && get(m, key_of("b"), 3) == 6);
    assert_true(get(m, key_of("a"), 2) == 0); /* of another number of figures */
    assert_true(get(m, key_of("a"), 4) == 0);
    assert_true(get(m, key_of("c"), 3) == 0);
    put(m, key_of("none"), 7, 0);
    memo_free(m);
    memo_free(NULL);
}

/* What is added in pieces is what is added at once; and no prefix, order, or byte is another's. */
static void test_keys(void **state)
{
    (void)state;
    memo_key at_once = key_of("abcdef"), pieces = key_of("abc");
    memo_key_add(&pieces, "", 0);
    memo_key_add(&pieces, "def", 3);
    assert_memory_equal(&at_once, &pieces, sizeof pieces);
    static memo_key keys[66000];
    size_t n = 0;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            char text[2] = { (char)a, (char)b };
            keys[n] = (memo_key)MEMO_KEY_START;
            memo_key_add(&keys[n++], text, 2);
        }
    for (size_t len = 0; len < 200; len++) { /* zeros of each length */
        char zeros[200] = { 0 };
        keys[n] = (memo_key)MEMO_KEY_START;
        memo_key_add(&keys[n++], zeros, len);
    }
    n--; /* two zeros are there twice */
    keys[65536 + 2] = keys[n];
    /* each half by itself tells all of them apart */
    for (int half = 0; half < 2; half++) {
        static uint64_t sorted[66000];
        for (size_t i = 0; i < n; i++)
            sorted[i] = half ? keys[i].b : keys[i].a;
        for (size_t gap = n / 2; gap > 0; gap /= 2) /* Shell's */
            for (size_t i = gap; i < n; i++) {
                uint64_t v = sorted[i];
                size_t k = i;
                for (; k >= gap && sorted[k - gap] > v; k -= gap)
                    sorted[k] = sorted[k - gap];
                sorted[k] = v;
            }
        for (size_t i = 1; i < n; i++)
            assert_true(sorted[i] != sorted[i - 1]);
    }
    /* a key that differs in one half, or in length, is another */
    memo *m = memo_new(100);
    put(m, at_once, 5, 1);
    memo_key other = at_once;
    other.a ^= 1;
    assert_true(get(m, other, 1) == 0);
    other = at_once;
    other.b ^= 1;
    assert_true(get(m, other, 1) == 0);
    other = at_once;
    other.len++;
    assert_true(get(m, other, 1) == 0 && get(m, at_once, 1) == 5);
    memo_free(m);
}

/* As many texts as there are slots; of more the one that was not used for longest goes. */
static void test_oldest(void **state)
{
    (void)state;
    memo *m = memo_new(1000000);
    for (size_t i = 0; i < SLOTS; i++)
        put(m, key_number(i), (double)i + 1, 2);
    for (size_t i = 0; i < SLOTS; i++)
        assert_true(get(m, key_number(i), 2) == (double)i + 1);
    assert_true(get(m, key_number(0), 2) == 1); /* used again */
    put(m, key_number(1000), 1000, 2);
    assert_true(get(m, key_number(0), 2) == 1 && get(m, key_number(1), 2) == 0 &&
                get(m, key_number(2), 2) == 3);
    assert_true(get(m, key_number(1000), 2) == 1000);
    memo_free(m);
}

/* As many numbers as there is room for. */
static void test_room(void **state)
{
    (void)state;
    memo *m = memo_new(10);
    put(m, key_of("a"), 1, 4);
    put(m, key_of("b"), 2, 6);
    assert_true(get(m, key_of("a"), 4) == 1 && get(m, key_of("b"), 6) == 2);
    put(m, key_of("c"), 3, 1); /* the eleventh: a goes, whose room is enough */
    assert_true(get(m, key_of("a"), 4) == 0 && get(m, key_of("b"), 6) == 2 &&
                get(m, key_of("c"), 1) == 3);
    put(m, key_of("d"), 4, 11); /* never fits, and nothing goes for it */
    assert_true(get(m, key_of("d"), 11) == 0 && get(m, key_of("b"), 6) == 2 &&
                get(m, key_of("c"), 1) == 3);
    put(m, key_of("e"), 5, 10); /* all else goes for it */
    assert_true(get(m, key_of("e"), 10) == 5 && get(m, key_of("b"), 6) == 0 &&
                get(m, key_of("c"), 1) == 0);
    put(m, key_of("f"), 6, 10);
    assert_true(get(m, key_of("e"), 10) == 0 && get(m, key_of("f"), 10) == 6);
    memo_free(m);
    m = memo_new(0);
    put(m, key_of("a"), 1, 1);
    assert_true(get(m, key_of("a"), 1) == 0);
    memo_free(m);
}

static void *run(void *arg)
{
    memo *m = arg;
    size_t wrong = 0;
    for (size_t i = 0; i < 20000; i++) {
        size_t n = i * 7919 % 400, count = 1 + n % 5;
        memo_key key = key_number(n);
        double values[5];
        if (memo_get(m, &key, values, count)) {
            for (size_t k = 0; k < count; k++)
                wrong += values[k] != (double)(n + k);
        } else {
            for (size_t k = 0; k < count; k++)
                values[k] = (double)(n + k);
            memo_put(m, &key, values, count);
        }
    }
    return (void *)wrong;
}

static void test_threads(void **state)
{
    (void)state;
    memo *m = memo_new(600);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, m), 0);
    for (size_t i = 0; i < 4; i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    memo_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),  cmocka_unit_test(test_keys),    cmocka_unit_test(test_oldest),
        cmocka_unit_test(test_room), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("memo", tests, NULL, NULL);
}
