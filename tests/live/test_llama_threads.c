/* Many threads on the embedded engine, and many engines in one process: answers are those that the
 * prompts get alone, a cancel or a timeout reaches whoever waits, everybody gets a turn. Also run
 * under ThreadSanitizer. Threads record; the main thread judges. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/llama/inspect.h"
#include "live.h"

#define THREADS 8u

static s2a_engine *shared;

static int setup(void **state)
{
    (void)state;
    shared = live_engine(1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s2a_engine_close(shared);
    return 0;
}

/* A thread with its own conversations, one after the other. */
typedef struct asker {
    pthread_t thread;
    backend *b;
    size_t first, count; /* of live_talk_make */
    s2a_cancel *cancel;
    live_run run; /* the last one, or the first that went wrong */
    size_t done, right;
} asker;

static void *ask(void *ctx)
{
    asker *a = ctx;
    for (a->done = 0; a->done < a->count; a->done++) {
        live_talk talk;
        live_talk_make(&talk, (a->first + a->done) % LIVE_TALKS);
        a->run = (live_run){ .cancel = a->cancel };
        live_generate(a->b, talk.messages, talk.count, &a->run);
        if (a->run.status != S2A_OK || a->run.torn || strcmp(a->run.text, talk.want) != 0)
            return NULL;
        a->right++;
    }
    return NULL;
}

static asker *askers_start(backend *const *backends, size_t backend_count, size_t count)
{
    asker *all = calloc(THREADS, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < THREADS; i++) {
        all[i].b = backends[i % backend_count];
        all[i].first = i * count;
        all[i].count = count;
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask, &all[i]), 0);
    }
    return all;
}

static void askers_end(asker *all)
{
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(all[i].thread, NULL);
    for (size_t i = 0; i < THREADS; i++)
        if (all[i].right != all[i].count)
            fail_msg("thread %zu, answer %zu: \"%s\", %s", i, all[i].done, all[i].run.text,
                     all[i].run.err.message);
    free(all);
}

/* ---- answers -------------------------------------------------------------------------------- */

/* Each prompt alone; that these are the known answers is test_llama.c's to show as well. */
static void test_alone(void **state)
{
    (void)state;
    asker *alone = calloc(1, sizeof *alone);
    assert_non_null(alone);
    alone->b = live_backend(shared);
    alone->count = LIVE_TALKS;
    ask(alone);
    if (alone->right != LIVE_TALKS)
        fail_msg("answer %zu: \"%s\", %s", alone->done, alone->run.text, alone->run.err.message);
    free(alone);
}

static void test_one_engine(void **state)
{
    (void)state;
    backend *b = live_backend(shared);
    askers_end(askers_start(&b, 1, 2));
    assert_true(llama_inspect_slots_agree(b));
}

static void test_two_engines(void **state)
{
    (void)state;
    s2a_engine *second = live_engine(256);
    backend *both[] = { live_backend(shared), live_backend(second) };
    askers_end(askers_start(both, 2, 1));
    assert_true(llama_inspect_slots_agree(both[0]));
    assert_true(llama_inspect_slots_agree(both[1]));
    s2a_engine_close(second);
}

/* ---- opening and closing -------------------------------------------------------------------- */

typedef struct opener {
    pthread_t thread;
    atomic_size_t lines; /* of the log: it may come from any thread */
    s2a_status status, bad_status;
    s2a_error err;
    live_run run;
    char want[64];
} opener;

static void count_line(void *ctx, int level, const char *line)
{
    opener *o = ctx;
    if (level >= 0 && level <= 3 && !strchr(line, '\n'))
        atomic_fetch_add(&o->lines, 1);
}

static void *open_and_close(void *ctx)
{
    opener *o = ctx;
    s2a_engine_options options = live_options(256);
    options.log = count_line;
    options.log_ctx = o;
    s2a_engine *engine = NULL;
    live_talk talk;
    live_talk_make(&talk, 3);
    memcpy(o->want, talk.want, sizeof o->want);
    o->status = s2a_engine_open(&options, &engine, &o->err);
    if (o->status == S2A_OK)
        live_generate(live_backend(engine), talk.messages, talk.count, &o->run);
    s2a_engine_close(engine);
    options.model = "/dev/null";
    o->bad_status = s2a_engine_open(&options, &engine, NULL);
    return NULL;
}

static void test_open_and_close(void **state)
{
    (void)state;
    opener *all = calloc(3, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&all[i].thread, NULL, open_and_close, &all[i]), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(all[i].thread, NULL);
    for (size_t i = 0; i < 3; i++) {
        if (all[i].status != S2A_OK)
            fail_msg("engine %zu: %s", i, all[i].err.message);
        assert_int_equal(all[i].run.status, S2A_OK);
        assert_string_equal(all[i].run.text, all[i].want);
        assert_int_equal(all[i].bad_status, S2A_MODEL);
        assert_true(atomic_load(&all[i].lines) > 10); /* what libllama logs of each model */
    }
    free(all);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* A generation that holds the engine, in on_token, until it is let go. */
typedef struct holder {
    pthread_t thread;
    backend *b;
    sem_t held, release;
    live_run run;
} holder;

static int hold(live_run *run)
{
    holder *h = run->hook_ctx;
    if (run->pieces == 1) {
        sem_post(&h->held);
        sem_wait(&h->release);
    }
    return 0;
}

static void *hold_engine(void *ctx)
{
    holder *h = ctx;
    live_talk talk;
    live_talk_make(&talk, 0);
    h->run = (live_run){ .hook = hold, .hook_ctx = h };
    live_generate(h->b, talk.messages, talk.count, &h->run);
    if (h->run.pieces == 0)
        sem_post(&h->held);
    return NULL;
}

static void holder_start(holder *h, backend *b)
{
    h->b = b;
    sem_init(&h->held, 0, 0);
    sem_init(&h->release, 0, 0);
    assert_int_equal(pthread_create(&h->thread, NULL, hold_engine, h), 0);
    sem_wait(&h->held);
}

static void holder_end(holder *h)
{
    sem_post(&h->release);
    pthread_join(h->thread, NULL);
    sem_destroy(&h->held);
    sem_destroy(&h->release);
}

/* Those who wait are reached while the engine is busy, and leave the others their places. */
static void test_cancel_some(void **state)
{
    (void)state;
    static holder h;
    backend *b = live_backend(shared);
    holder_start(&h, b);
    asker *all = calloc(THREADS, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < THREADS; i++) {
        all[i] = (asker){ .b = b, .first = i, .count = 1, .cancel = s2a_cancel_new() };
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask, &all[i]), 0);
    }
    live_sleep_ms(100); /* most of them wait by now; it does not matter if not */
    double start = clock_ms();
    for (size_t i = 0; i < THREADS; i += 3)
        s2a_cancel_fire(all[i].cancel);
    for (size_t i = 0; i < THREADS; i += 3)
        pthread_join(all[i].thread, NULL);
    double took = clock_ms() - start;
    holder_end(&h);
    for (size_t i = 0; i < THREADS; i++)
        if (i % 3 != 0)
            pthread_join(all[i].thread, NULL);
    assert_true(took < 4000);
    assert_int_equal(h.run.status, S2A_OK);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(all[i].run.status, i % 3 == 0 ? S2A_CANCELLED : S2A_OK);
        assert_int_equal(all[i].right, i % 3 == 0 ? 0 : 1);
        s2a_cancel_free(all[i].cancel);
    }
    free(all);
    assert_true(llama_inspect_slots_agree(b));
}

/* One handle for many requests: all end, those that wait and the one that runs. */
static void test_cancel_all(void **state)
{
    (void)state;
    static asker all[THREADS];
    backend *b = live_backend(shared);
    s2a_cancel *cancel = s2a_cancel_new();
    assert_non_null(cancel);
    for (size_t i = 0; i < THREADS; i++) {
        all[i] = (asker){ .b = b, .first = i, .count = 20, .cancel = cancel };
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask, &all[i]), 0);
    }
    live_sleep_ms(300);
    double start = clock_ms();
    s2a_cancel_fire(cancel);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(all[i].thread, NULL);
    assert_true(clock_ms() - start < 4000);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(all[i].run.status, S2A_CANCELLED);
    s2a_cancel_free(cancel);
    assert_true(llama_inspect_slots_agree(b));
    asker *after = askers_start(&b, 1, 1);
    askers_end(after);
}

/* The time of a request runs while it waits. */
static void test_timeout_while_waiting(void **state)
{
    (void)state;
    static holder h;
    static live_run waiting;
    s2a_engine_options options = live_options(256);
    options.request_timeout_ms = 3000;
    s2a_engine *engine = live_engine_with(&options);
    holder_start(&h, live_backend(engine));
    live_talk talk;
    live_talk_make(&talk, 1);
    waiting = (live_run){ .max_tokens = 0 };
    live_generate(live_backend(engine), talk.messages, talk.count, &waiting);
    holder_end(&h);
    assert_int_equal(waiting.status, S2A_TIMEOUT);
    assert_true(waiting.usage.tokens.ms >= 3000 && waiting.usage.tokens.ms < 8000);
    assert_int_equal(h.run.status, S2A_TIMEOUT); /* it was held for as long */
    assert_true(llama_inspect_slots_agree(live_backend(engine)));
    s2a_engine_close(engine);
}

/* ---- turns ---------------------------------------------------------------------------------- */

#define QUEUE 4u
#define ASKS 4u

/* Who had the engine, turn by turn. Only whoever has it writes. */
static struct {
    size_t turns[QUEUE * ASKS], count;
} order;

static int note_turn(live_run *run)
{
    const size_t *who = run->hook_ctx;
    if (run->pieces == 1)
        order.turns[order.count++] = *who;
    return 0;
}

typedef struct queuer {
    pthread_t thread;
    backend *b;
    size_t who;
    sem_t *begun;
    live_run run;
    s2a_status status;
} queuer;

static void *ask_in_turn(void *ctx)
{
    queuer *q = ctx;
    live_talk talk;
    live_talk_make(&talk, q->who);
    sem_post(q->begun);
    for (size_t i = 0; i < ASKS && q->status == S2A_OK; i++) {
        q->run = (live_run){ .max_tokens = 3, .hook = note_turn, .hook_ctx = &q->who };
        live_generate(q->b, talk.messages, talk.count, &q->run);
        q->status = q->run.status;
    }
    return NULL;
}

/* Who comes back right after a turn stands behind those who wait. Without an order of arrival the
 * thread that has just left has the door again before anybody else wakes up. */
static void test_fair_turns(void **state)
{
    (void)state;
    static holder h;
    static queuer all[QUEUE];
    backend *b = live_backend(shared);
    sem_t begun;
    order.count = 0;
    sem_init(&begun, 0, 0);
    holder_start(&h, b);
    for (size_t i = 0; i < QUEUE; i++) {
        all[i] = (queuer){ .b = b, .who = i, .begun = &begun };
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask_in_turn, &all[i]), 0);
    }
    for (size_t i = 0; i < QUEUE; i++)
        sem_wait(&begun);
    live_sleep_ms(400); /* all wait */
    holder_end(&h);
    for (size_t i = 0; i < QUEUE; i++)
        pthread_join(all[i].thread, NULL);
    sem_destroy(&begun);
    assert_int_equal(order.count, QUEUE * ASKS);
    for (size_t i = 0; i < QUEUE; i++)
        assert_int_equal(all[i].status, S2A_OK);
    /* The first round is everybody's; nobody is ever two turns ahead. */
    size_t turns[QUEUE] = { 0 };
    for (size_t i = 0; i < order.count; i++) {
        turns[order.turns[i]]++;
        for (size_t k = 0; k < QUEUE; k++)
            if (turns[order.turns[i]] > turns[k] + 2)
                fail_msg("turn %zu: thread %zu is far ahead of thread %zu", i, order.turns[i], k);
        if (i == QUEUE - 1)
            for (size_t k = 0; k < QUEUE; k++)
                assert_int_equal(turns[k], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),          cmocka_unit_test(test_one_engine),
        cmocka_unit_test(test_two_engines),    cmocka_unit_test(test_open_and_close),
        cmocka_unit_test(test_cancel_some),    cmocka_unit_test(test_cancel_all),
        cmocka_unit_test(test_timeout_while_waiting), cmocka_unit_test(test_fair_turns),
    };
    if (!live_model())
        return 77; /* ctest: skipped */
    return cmocka_run_group_tests(tests, setup, teardown);
}
