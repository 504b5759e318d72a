/* gate: one at a time, in the order of arrival, and nobody waits for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "backend/llama/gate.h"
#include "base/clock.h"

#define THREADS 6

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

static bool when_set(void *ctx)
{
    return atomic_load((atomic_bool *)ctx);
}

static void pause_ms(long ms)
{
    struct timespec t = { 0, ms * 1000000 };
    nanosleep(&t, NULL);
}

/* Waits until somebody new stands last in the queue; false after some seconds. */
static bool queued(gate *g, const gate_waiter *last)
{
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&g->lock);
        bool changed = g->last && g->last != last;
        pthread_mutex_unlock(&g->lock);
        if (changed)
            return true;
        pause_ms(1);
    }
    return false;
}

static const gate_waiter *last_of(gate *g)
{
    pthread_mutex_lock(&g->lock);
    const gate_waiter *last = g->last;
    pthread_mutex_unlock(&g->lock);
    return last;
}

/* ---- one at a time ---------------------------------------------------------------------- */

typedef struct counter {
    gate g;
    int inside; /* no atomics: the gate is what guards them */
    long total;
    bool broken;
} counter;

static void *count_up(void *arg)
{
    counter *c = arg;
    for (int i = 0; i < 300; i++) {
        if (!gate_enter(&c->g, never, NULL))
            return NULL;
        c->broken |= c->inside++ != 0;
        c->total++;
        c->inside--;
        gate_leave(&c->g);
    }
    return NULL;
}

static void test_exclusive(void **state)
{
    (void)state;
    counter c = { .total = 0 };
    pthread_t threads[THREADS];
    assert_true(gate_init(&c.g));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &c), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(c.total, THREADS * 300);
    assert_false(c.broken);
    assert_null(c.g.first);
    assert_null(c.g.last);
    gate_destroy(&c.g);
}

/* ---- order ------------------------------------------------------------------------------ */

typedef struct line_up {
    gate g;
    int order[THREADS], entered; /* guarded by the gate */
    atomic_int gave_up;
} line_up;

typedef struct waiter {
    line_up *l;
    int number;
    atomic_bool give_up;
    pthread_t thread;
} waiter;

static void *wait_in_line(void *arg)
{
    waiter *w = arg;
    if (!gate_enter(&w->l->g, when_set, &w->give_up)) {
        atomic_fetch_add(&w->l->gave_up, 1);
        return NULL;
    }
    w->l->order[w->l->entered++] = w->number;
    gate_leave(&w->l->g);
    return NULL;
}

static void start_line(line_up *l, waiter *waiters)
{
    assert_true(gate_init(&l->g));
    assert_true(gate_enter(&l->g, never, NULL));
    for (int i = 0; i < THREADS; i++) {
        waiters[i].l = l;
        waiters[i].number = i;
        atomic_init(&waiters[i].give_up, false);
        const gate_waiter *last = last_of(&l->g);
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_in_line, &waiters[i]), 0);
        assert_true(queued(&l->g, last));
    }
}

static void test_order(void **state)
{
    (void)state;
    line_up l = { .entered = 0 };
    waiter waiters[THREADS];
    start_line(&l, waiters);
    gate_leave(&l.g);
    for (int i = 0; i < THREADS; i++)
        pthread_join(waiters[i].thread, NULL);
    assert_int_equal(l.entered, THREADS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(l.order[i], i);
    assert_int_equal(l.gave_up, 0);
    gate_destroy(&l.g);
}

/* The first, one in the middle and the last give up while they wait; the others keep their
 * order. */
static void test_give_up(void **state)
{
    (void)state;
    static const int leavers[] = { 2, 0, THREADS - 1 }, stay[] = { 1, 3, 4 };
    line_up l = { .entered = 0 };
    waiter waiters[THREADS];
    start_line(&l, waiters);
    for (int i = 0; i < 3; i++) {
        double start = clock_ms();
        atomic_store(&waiters[leavers[i]].give_up, true);
        pthread_join(waiters[leavers[i]].thread, NULL);
        assert_true(clock_ms() - start < 2000);
        assert_int_equal(l.gave_up, i + 1);
    }
    assert_int_equal(l.entered, 0); /* the gate was busy all the time */
    gate_leave(&l.g);
    for (int i = 0; i < 3; i++)
        pthread_join(waiters[stay[i]].thread, NULL);
    assert_int_equal(l.entered, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(l.order[i], stay[i]);
    assert_null(l.g.first);
    assert_null(l.g.last);
    gate_destroy(&l.g);
}

/* Asked on arrival: whoever is cancelled already does not enter, though the gate is free. */
static void test_gone_at_once(void **state)
{
    (void)state;
    gate g;
    atomic_bool gone;
    atomic_init(&gone, true);
    assert_true(gate_init(&g));
    assert_false(gate_enter(&g, when_set, &gone));
    assert_false(g.busy);
    atomic_store(&gone, false);
    assert_true(gate_enter(&g, when_set, &gone));
    assert_true(g.busy);
    gate_leave(&g);
    assert_true(gate_enter(&g, when_set, &gone));
    gate_leave(&g);
    assert_null(g.first);
    gate_destroy(&g);
}

/* give_up is asked without the lock: it may take the gate's time without keeping it from others. */
static bool looks_inside(void *ctx)
{
    gate *g = ctx;
    pthread_mutex_lock(&g->lock);
    pthread_mutex_unlock(&g->lock);
    return false;
}

static void test_unlocked(void **state)
{
    (void)state;
    gate g;
    assert_true(gate_init(&g));
    assert_true(gate_enter(&g, looks_inside, &g));
    gate_leave(&g);
    gate_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exclusive), cmocka_unit_test(test_order),
        cmocka_unit_test(test_give_up),   cmocka_unit_test(test_gone_at_once),
        cmocka_unit_test(test_unlocked),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
