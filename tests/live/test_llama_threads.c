/* Many threads on the embedded engine, and many engines in one process: answers are those that the
 * prompts get alone, a cancel or a timeout reaches whom it is for, nobody starves. Also run
 * under ThreadSanitizer. Threads record; the main thread judges. */
#include <dirent.h>
#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "live.h"
#include "llama_inspect.h"

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

/* ---- together ------------------------------------------------------------------------------- */

/* A generation that stands still in on_token until it is let go. */
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

/* Who is slow to take his text holds up nobody, and loses nothing. */
static void test_slow_reader(void **state)
{
    (void)state;
    static holder h;
    backend *b = live_backend(shared);
    holder_start(&h, b);
    askers_end(askers_start(&b, 1, 1));
    holder_end(&h);
    live_talk talk;
    live_talk_make(&talk, 0);
    assert_int_equal(h.run.status, S2A_OK);
    assert_string_equal(h.run.text, talk.want);
    assert_true(llama_inspect_slots_agree(b));
}

/* More text at once than the cache holds: calls wait, or give up their place and come back. None
 * fails, and all say what they say alone. */
static void test_crowded(void **state)
{
    (void)state;
    s2a_engine *small = live_engine(256);
    backend *b = live_backend(small);
    askers_end(askers_start(&b, 1, 2));
    assert_true(llama_inspect_slots_agree(b));
    s2a_engine_close(small);
}

static void test_cancel_some(void **state)
{
    (void)state;
    backend *b = live_backend(shared);
    asker *all = calloc(THREADS, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < THREADS; i++) {
        bool cancelled = i % 3 == 0; /* these would go on for long */
        all[i] = (asker){
            .b = b, .first = i, .count = cancelled ? 1000 : 1, .cancel = s2a_cancel_new()
        };
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask, &all[i]), 0);
    }
    live_sleep_ms(100);
    double start = clock_ms();
    for (size_t i = 0; i < THREADS; i += 3)
        s2a_cancel_fire(all[i].cancel);
    for (size_t i = 0; i < THREADS; i += 3)
        pthread_join(all[i].thread, NULL);
    double took = clock_ms() - start;
    for (size_t i = 0; i < THREADS; i++)
        if (i % 3 != 0)
            pthread_join(all[i].thread, NULL);
    assert_true(took < 4000);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(all[i].run.status, i % 3 == 0 ? S2A_CANCELLED : S2A_OK);
        assert_int_equal(all[i].right, i % 3 == 0 ? all[i].done : 1);
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

/* The time of a request runs also where its reader stands still. */
static void test_timeout(void **state)
{
    (void)state;
    static holder h;
    s2a_engine_options options = live_options(256);
    options.request_timeout_ms = 3000;
    s2a_engine *engine = live_engine_with(&options);
    holder_start(&h, live_backend(engine));
    live_sleep_ms(3100);
    holder_end(&h);
    if (h.run.status != S2A_TIMEOUT) /* all was written while it was held */
        assert_int_equal(h.run.usage.finish, BACKEND_FINISH_STOP);
    assert_true(h.run.usage.tokens.ms >= 3000 && h.run.usage.tokens.ms < 8000);
    assert_true(llama_inspect_slots_agree(live_backend(engine)));
    s2a_engine_close(engine);
}

/* ---- turns ---------------------------------------------------------------------------------- */

#define QUEUE 4u
#define ASKS 6u

typedef struct queuer {
    pthread_t thread;
    backend *b;
    size_t who;
    atomic_size_t *done; /* of all */
    size_t ahead;        /* the most that anybody was ahead of this one */
    live_run run;
    s2a_status status;
} queuer;

static void *ask_in_turn(void *ctx)
{
    queuer *q = ctx;
    live_talk talk;
    live_talk_make(&talk, q->who);
    for (size_t i = 0; i < ASKS && q->status == S2A_OK; i++) {
        q->run = (live_run){ .max_tokens = 3 };
        live_generate(q->b, talk.messages, talk.count, &q->run);
        q->status = q->run.status;
        size_t mine = atomic_fetch_add(&q->done[q->who], 1) + 1;
        for (size_t k = 0; k < QUEUE; k++) {
            size_t theirs = atomic_load(&q->done[k]);
            if (theirs > mine && theirs - mine > q->ahead)
                q->ahead = theirs - mine;
        }
    }
    return NULL;
}

/* All are served together: nobody is far behind, though the cache holds two of them at a time. */
static void test_fair_turns(void **state)
{
    (void)state;
    static queuer all[QUEUE];
    static atomic_size_t done[QUEUE];
    s2a_engine *small = live_engine(256);
    for (size_t i = 0; i < QUEUE; i++) {
        all[i] = (queuer){ .b = live_backend(small), .who = i, .done = done };
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask_in_turn, &all[i]), 0);
    }
    for (size_t i = 0; i < QUEUE; i++)
        pthread_join(all[i].thread, NULL);
    for (size_t i = 0; i < QUEUE; i++) {
        assert_int_equal(all[i].status, S2A_OK);
        if (all[i].ahead > 3)
            fail_msg("thread %zu: another was %zu turns ahead", i, all[i].ahead);
    }
    s2a_engine_close(small);
}

/* ---- judging and writing
 * ---------------------------------------------------------------------- */

typedef struct writer {
    pthread_t thread;
    sem_t begun;
    atomic_size_t pieces;
    s2a_cancel *cancel;
    live_run run;
} writer;

static int piece_count(live_run *run)
{
    writer *w = run->hook_ctx;
    if (atomic_fetch_add(&w->pieces, 1) == 0)
        sem_post(&w->begun);
    return 0;
}

static void *write_long(void *ctx)
{
    static const char text[] = "Write a long story about a fox, a hen and a farmer.";
    writer *w = ctx;
    w->run =
        (live_run){ .max_tokens = 600, .cancel = w->cancel, .hook = piece_count, .hook_ctx = w };
    live_generate_text(live_backend(shared), text, sizeof text - 1, &w->run);
    if (w->run.pieces == 0)
        sem_post(&w->begun);
    return NULL;
}

/* A judgement of many decodes lets others write between two of them: at least a token each. */
static void test_judged_beside(void **state)
{
    (void)state;
    enum { COUNT = 180, DECODES = COUNT * 16 / 512 }; /* 16 tokens a piece, at the least */
    static const backend_message question = { "user", "Name a colour.", 14 };
    static const uint32_t layer = 14;
    static char text[COUNT][96];
    static backend_piece pieces[COUNT];
    static writer w;
    for (size_t i = 0; i < COUNT; i++) {
        int n =
            snprintf(text[i], sizeof text[i],
                     " Answer %zu: it is green, as the grass is in May, when it has rained.", i);
        pieces[i] = (backend_piece){ text[i], (size_t)n, true };
    }
    w.cancel = s2a_cancel_new();
    assert_non_null(w.cancel);
    sem_init(&w.begun, 0, 0);
    assert_int_equal(pthread_create(&w.thread, NULL, write_long, &w), 0);
    sem_wait(&w.begun);
    backend *b = live_backend(shared);
    backend_params params = { .top_p = 1 };
    backend_usage usage;
    s2a_error err = { 0 };
    size_t before = atomic_load(&w.pieces);
    backend_head head = { .layers = &layer, .layer_count = 1 };
    float *states = calloc(COUNT * 2 * b->vtable->capabilities(b).hidden_width, sizeof *states);
    s2a_status status =
        b->vtable->read(b, &question, 1, pieces, COUNT, &head, &params, NULL, states, &usage, &err);
    free(states);
    size_t written = atomic_load(&w.pieces) - before;
    s2a_cancel_fire(w.cancel);
    pthread_join(w.thread, NULL);
    sem_destroy(&w.begun);
    s2a_cancel_free(w.cancel);
    if (status != S2A_OK)
        fail_msg("%s", err.message);
    assert_int_equal(w.run.status, S2A_CANCELLED); /* it was still writing */
    if (written < DECODES - 2) /* a piece may be more than a token, the last is on its way */
        fail_msg("%zu pieces while %d decodes were made", written, DECODES);
    assert_true(llama_inspect_slots_agree(b));
}

/* The name of the file that says with how many threads; false when there is none. */
static bool threads_file(const char *dir, char *path, size_t size)
{
    DIR *listing = opendir(dir);
    bool found = false;
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing));)
        if (!strncmp(entry->d_name, "threads-", 8)) {
            snprintf(path, size, "%s/%s", dir, entry->d_name);
            found = true;
        }
    closedir(listing);
    return found;
}

/* Measured once, then read from the file. On one core there is nothing to choose from, and on a
 * busy machine nothing is measured: the engine works all the same. */
static void test_threads_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/s2a-threads-XXXXXX", path[512] = "";
    uint32_t read = 0, write = 0;
    live_run run;
    assert_non_null(mkdtemp(dir));
    s2a_engine_options options = live_options(1024);
    options.cache_dir = dir;
    s2a_engine_close(live_engine_with(&options)); /* told how many: nothing is measured */
    assert_false(threads_file(dir, path, sizeof path));
    options.threads = 0;
    s2a_engine *engine = live_engine_with(&options);
    live_check_talk(live_backend(engine), 0, &run);
    s2a_engine_close(engine);
    if (threads_file(dir, path, sizeof path)) {
        FILE *file = fopen(path, "r+");
        assert_non_null(file);
        json_t *found = json_loadf(file, 0, NULL);
        assert_true(json_array_size(json_object_get(found, "measured")) > 1);
        json_object_set_new(found, "read_threads", json_integer(2));
        json_object_set_new(found, "write_threads", json_integer(1));
        rewind(file);
        assert_int_equal(ftruncate(fileno(file), 0), 0);
        assert_int_equal(json_dumpf(found, file, 0), 0);
        json_decref(found);
        fclose(file);
        engine = live_engine_with(&options);
        llama_inspect_threads(live_backend(engine), &read, &write);
        live_check_talk(live_backend(engine), 1, &run);
        s2a_engine_close(engine);
        assert_int_equal(read, 2);
        assert_int_equal(write, 1);
    }
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),        cmocka_unit_test(test_one_engine),
        cmocka_unit_test(test_two_engines),  cmocka_unit_test(test_open_and_close),
        cmocka_unit_test(test_slow_reader),  cmocka_unit_test(test_crowded),
        cmocka_unit_test(test_cancel_some),  cmocka_unit_test(test_cancel_all),
        cmocka_unit_test(test_timeout),      cmocka_unit_test(test_fair_turns),
        cmocka_unit_test(test_threads_file), cmocka_unit_test(test_judged_beside),
    };
    if (!live_model())
        return 77; /* ctest: skipped */
    return cmocka_run_group_tests(tests, setup, teardown);
}
