/* The store of results: what goes in comes out, whatever the texts hold; threads; another file. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "eval/store.h"

static char hostile[] = "'; DROP TABLE runs; -- \"</script>\" \xf0\x9f\x98\x80 \x01\n";
static char task[] = "qa", model[] = "m", hash[] = "h", name[] = "n", plain[] = "plain",
            oracle[] = "oracle";

static eval_run head(void)
{
    return (eval_run){ .task = task,
                       .model = model,
                       .model_hash = hash,
                       .prompts_hash = hash,
                       .version = name,
                       .data_name = name,
                       .temperature = 0.6,
                       .top_p = 0.9,
                       .max_tokens = 5 };
}

static eval_store *open_new(char path[40])
{
    strcpy(path, "/tmp/s2a-store-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    eval_store *store = NULL;
    s2a_error err;
    if (eval_store_open(path, &store, &err) != S2A_OK)
        fail_msg("%s", err.message);
    return store;
}

static void remove_all(const char *path)
{
    char other[64];
    unlink(path);
    snprintf(other, sizeof other, "%s-wal", path);
    unlink(other);
    snprintf(other, sizeof other, "%s-shm", path);
    unlink(other);
}

static void test_round_trip(void **state)
{
    (void)state;
    char path[40];
    eval_store *store = open_new(path);
    eval_run h = head();
    int64_t run = 0, same = 0, other = 0;
    assert_int_equal(eval_store_run(store, &h, hash, "", &run, NULL), S2A_OK);
    assert_int_equal(eval_store_run(store, &h, hash, "", &same, NULL), S2A_OK);
    h.temperature = 0;
    assert_int_equal(eval_store_run(store, &h, hash, "", &other, NULL), S2A_OK);
    assert_true(run == same && run != other);
    char *aliases[] = { hostile };
    eval_piece piece = { 1, 3, EVAL_DISTRACTOR }, kind = { 0, 1, EVAL_ORDER };
    char first[] = "i1", second[] = "i2";
    eval_item items[] = { { .id = second,
                            .group = name,
                            .x = hostile,
                            .oracle = hostile,
                            .aliases = aliases,
                            .alias_count = 1,
                            .wrong = hostile,
                            .pieces = &piece,
                            .piece_count = 1,
                            .k = 4,
                            .numeric = true,
                            .question_start = 9 },
                          { .id = first,
                            .group = name,
                            .facet = hostile,
                            .x = name,
                            .oracle = name,
                            .untrusted = true,
                            .several = true,
                            .checks = hostile,
                            .check_count = 2,
                            .checks_left_out = 1,
                            .pieces = &kind,
                            .piece_count = 1 } };
    assert_int_equal(eval_store_add_items(store, run, items, 2, NULL), S2A_OK);
    assert_int_equal(eval_store_add_items(store, run, items, 2, NULL), S2A_OK); /* no item twice */
    s2a_span removed = { 2, 7 };
    eval_record record = { .item = second,
                           .arm = oracle,
                           .seed = 3,
                           .answer = hostile,
                           .rewritten = hostile,
                           .correct = true,
                           .fallback = name,
                           .removed = &removed,
                           .removed_count = 1,
                           .distractors = 2,
                           .distractors_removed = 1,
                           .needed = 5,
                           .needed_removed = 4,
                           .step1 = { .prompt_tokens = 7, .ms = 1.5 },
                           .judged = true,
                           .sentiment = -2,
                           .quality = 4 };
    eval_unit units[] = { { 0, 4, true, 0.1, EVAL_NEEDED }, { 4, 9, false, -1e-300, EVAL_MIXED } };
    record.units = units;
    record.unit_count = 2;
    record.reader = UINT64_C(0xfedcba9876543210);
    record.kinds[EVAL_MIXED] = (eval_share){ 0, 3 };
    record.kinds[EVAL_ORDER] = (eval_share){ 1, 2 };
    record.followed = 2;
    assert_int_equal(eval_store_put(store, run, &record, NULL), S2A_OK);
    record.arm = plain;
    record.fallback = NULL;
    record.unit_count = 0; /* as records were before scores were kept */
    record.unanswered = true;
    record.answer = NULL;
    assert_int_equal(eval_store_put(store, run, &record, NULL), S2A_OK);
    eval_store_close(store);

    assert_int_equal(eval_store_open(path, &store, NULL), S2A_OK);
    eval_record got;
    bool found = true;
    assert_int_equal(eval_store_get(store, run, first, plain, 3, &got, &found, NULL), S2A_OK);
    assert_false(found);
    assert_int_equal(eval_store_get(store, run, second, oracle, 3, &got, &found, NULL), S2A_OK);
    assert_true(found && got.correct && got.judged && !got.unchanged);
    assert_string_equal(got.answer, hostile);
    assert_string_equal(got.fallback, name);
    assert_int_equal(got.removed[0].end, 7);
    assert_int_equal(got.needed_removed, 4);
    assert_true(got.sentiment == -2 && got.step1.ms == 1.5 && got.step1.prompt_tokens == 7);
    assert_int_equal(got.unit_count, 2);
    assert_true(got.units[0].kept && got.units[0].score == 0.1 && got.units[0].end == 4);
    assert_true(!got.units[1].kept && got.units[1].score == -1e-300 &&
                got.units[1].label == EVAL_MIXED);
    assert_memory_equal(got.kinds, record.kinds, sizeof got.kinds);
    assert_true(got.followed == 2 && !got.unanswered);
    assert_int_equal(got.reader, record.reader);
    eval_record_free(&got);
    assert_int_equal(eval_store_get(store, run, second, plain, 3, &got, &found, NULL), S2A_OK);
    assert_true(found && got.unit_count == 0 && got.unanswered && !got.answer);
    eval_record_free(&got);
    const char *const order[] = { "plain", "oracle" };
    eval_run *runs = NULL;
    size_t count = 0;
    assert_int_equal(eval_store_load(store, order, 2, &runs, &count, NULL), S2A_OK);
    assert_int_equal(count, 1); /* the other run has no records */
    assert_int_equal(runs[0].item_count, 2);
    assert_string_equal(runs[0].items[0].id, second);
    assert_string_equal(runs[0].items[0].aliases[0], hostile);
    assert_true(runs[0].items[0].numeric && runs[0].items[0].question_start == 9);
    assert_int_equal(runs[0].items[0].pieces[0].label, EVAL_DISTRACTOR);
    const eval_item *none = &runs[0].items[0], *all = &runs[0].items[1];
    assert_true(!none->facet && !none->untrusted && !none->several && !none->checks &&
                !none->check_count);
    assert_string_equal(all->facet, hostile);
    assert_string_equal(all->checks, hostile);
    assert_true(all->untrusted && all->several && all->check_count == 2 &&
                all->checks_left_out == 1);
    assert_int_equal(all->pieces[0].label, EVAL_ORDER);
    assert_int_equal(runs[0].arm_count, 2);
    assert_string_equal(runs[0].arms[0], "plain");
    assert_string_equal(runs[0].records[0].arm, "plain");
    assert_null(runs[0].records[0].fallback);
    eval_run_free(&runs[0]);
    free(runs);
    eval_store_close(store);
    remove_all(path);
}

static void *put_many(void *ctx)
{
    eval_store *store = ctx;
    for (int i = 0; i < 50; i++) {
        char key[32], *text = NULL;
        snprintf(key, sizeof key, "key %d", i);
        if (eval_store_step_put(store, key, key, NULL) != S2A_OK ||
            eval_store_step_get(store, key, &text, NULL) != S2A_OK || !text ||
            strcmp(text, key) != 0)
            return store;
        free(text);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    char path[40], *text = NULL;
    eval_store *store = open_new(path);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, store), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(eval_store_step_get(store, "none", &text, NULL), S2A_OK);
    assert_null(text);
    eval_store_close(store);
    remove_all(path);
}

static void test_not_ours(void **state)
{
    (void)state;
    eval_store *store = NULL;
    s2a_error err;
    assert_int_equal(eval_store_open("/tmp", &store, &err), S2A_IO);
    assert_null(store);
    assert_int_equal(eval_store_open("/tmp/no such directory/x", &store, &err), S2A_IO);
    assert_non_null(strstr(err.message, "/tmp/no such directory/x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_not_ours),
    };
    return cmocka_run_group_tests_name("eval_store", tests, NULL, NULL);
}
