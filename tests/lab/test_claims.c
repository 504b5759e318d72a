/* A key is held by one thread at a time, and others are not kept waiting for it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "eval/claims.h"

#define THREADS 8
#define ROUNDS 2000

static struct {
    claims *c;
    atomic_int inside[3];
    atomic_int together;
    int made[3]; /* guarded by the claims alone */
} shared;

static void *work(void *ctx)
{
    static const char *const keys[] = { "a", "b", "c" };
    size_t which = (size_t)(uintptr_t)ctx % 3;
    for (int i = 0; i < ROUNDS; i++) {
        char key[2];
        claim mine;
        snprintf(key, sizeof key, "%s", keys[which]); /* equal by text, not by address */
        claims_enter(shared.c, &mine, key);
        if (atomic_fetch_add(&shared.inside[which], 1) != 0)
            atomic_fetch_add(&shared.together, 1);
        shared.made[which]++;
        atomic_fetch_sub(&shared.inside[which], 1);
        claims_leave(shared.c, &mine);
        which = (which + 1) % 3;
    }
    return NULL;
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    shared.c = claims_new();
    assert_non_null(shared.c);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&shared.together), 0);
    assert_int_equal(shared.made[0] + shared.made[1] + shared.made[2], THREADS * ROUNDS);
    claims_free(shared.c);
}

/* In any order: the first that came need not go first. */
static void test_other_keys(void **state)
{
    (void)state;
    claims *c = claims_new();
    claim first, second, third;
    assert_non_null(c);
    claims_enter(c, &first, "one");
    claims_enter(c, &second, "two");
    claims_leave(c, &first);
    claims_enter(c, &third, "one");
    claims_leave(c, &second);
    claims_leave(c, &third);
    claims_free(c);
    claims_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_one_at_a_time),
                                        cmocka_unit_test(test_other_keys) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
