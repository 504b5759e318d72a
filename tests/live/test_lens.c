/* Hidden states of the embedded engine, and a judgement read from them: what is read stands at the slots, the
 * layers above are left out, and nothing that was computed so is taken for the whole. */
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/engine.h"
#include "core/lens.h"
#include "live.h"

#define X "I like rain. Ann has 3 apples. She buys 4 more. How many apples has she?"
#define ROUNDING 0.5 /* nats; see test_select.c */
enum { LAYER = 12, LABELS = 3 };

static s2a_engine *engine;
static size_t width;
static tuned_lens made; /* of random weights */
static int16_t *nothing; /* weights of a lens that says its offsets, whatever the state is */

static int setup(void **state)
{
    (void)state;
    engine = live_engine(4096);
    const backend *b = live_backend(engine);
    width = b->vtable->capabilities(b).hidden_width;
    assert_int_equal(width, 576);
    assert_null(engine->lens); /* there is none for the test model */
    int16_t *weights = calloc(LENS_ROWS * width, sizeof *weights);
    nothing = calloc(LENS_ROWS * width, sizeof *nothing);
    assert_true(weights && nothing);
    uint32_t seed = 1;
    for (size_t i = 0; i < LENS_ROWS * width; i++)
        weights[i] = (int16_t)((seed = seed * 1664525 + 1013904223) >> 16);
    made = (tuned_lens){ .layer = LAYER, .width = (uint32_t)width, .offset = { 1, -1 },
                         .scale = { 3e-6, 3e-6 }, .weights = weights };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free((void *)(uintptr_t)made.weights);
    free(nothing);
    s2a_engine_close(engine);
    return 0;
}

static tuned_lens flat_lens(double relevance, double opinion)
{
    tuned_lens l = made;
    l.weights = nothing;
    l.offset[LENS_RELEVANCE] = relevance;
    l.offset[LENS_OPINION] = opinion;
    return l;
}

static const backend_message question = { "user", "Name a colour of the sky.", 25 };
static const char *const labels[] = { " blue", " green", " seven" };

static void hidden(const backend_branch *branches, size_t count, const uint32_t *layers,
                   size_t layer_count, float *out, backend_usage *usage)
{
    backend *b = live_backend(engine);
    backend_params params = { .top_p = 1 };
    s2a_error err;
    if (b->vtable->hidden(b, &question, 1, branches, count, layers, layer_count, &params, out, usage,
                          &err) != S2A_OK)
        fail_msg("%s", err.message);
}

static void score(const backend_branch *branches, size_t count, const tuned_lens *l, double *out,
                  backend_usage *usage)
{
    backend *b = live_backend(engine);
    backend_params params = { .top_p = 1, .lens = l };
    s2a_error err;
    if (b->vtable->score(b, &question, 1, branches, count, labels, LABELS, &params, out, usage,
                         &err) != S2A_OK)
        fail_msg("%s", err.message);
}

/* The cosine of the angle between two states. */
static double likeness(const float *a, const float *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < width; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    assert_true(isfinite(aa) && aa > 0 && isfinite(bb) && bb > 0);
    return ab / sqrt(aa * bb);
}

/* ---- states ------------------------------------------------------------------------------- */

/* The state of a slot is its own: the same alone, beside others, with other layers, and from what is cached;
 * another one at another slot and behind another layer. */
static void test_states(void **state)
{
    (void)state;
    size_t slot[] = { 10 }, two_slots[] = { 10, 33 };
    backend_branch one = { "The sky is", 10, slot, 1 };
    backend_branch two = { "The sky is blue, and the grass is", 33, two_slots, 2 };
    backend_branch many[] = { one, two };
    const uint32_t layer = LAYER, layers[] = { 3, LAYER, 28 };
    float *alone = calloc(width, sizeof *alone), *all = calloc(9 * width, sizeof *all);
    assert_true(alone && all);
    backend_usage usage;
    hidden(&one, 1, &layer, 1, alone, &usage);
    assert_int_equal(usage.tokens.completion_tokens, 0);
    hidden(many, 2, layers, 3, all, &usage);
    assert_int_equal(usage.tokens.cached_tokens, 0); /* of another depth */
    assert_true(likeness(alone, all + width) > .99);
    assert_true(likeness(alone, all + 4 * width) > .99); /* the same words before the slot */
    assert_true(likeness(alone, all + 7 * width) < .95);
    assert_true(likeness(alone, all) < .95 && likeness(alone, all + 2 * width) < .95);
    hidden(many, 2, layers, 3, all, &usage);
    assert_true(usage.tokens.cached_tokens > 10);
    assert_true(likeness(alone, all + width) > .99);
    free(alone);
    free(all);
}

/* More branches than sequences and than tokens of a batch: decodes and graphs of several sizes. */
static void test_many(void **state)
{
    (void)state;
    enum { COUNT = 150 };
    static char text[COUNT][48];
    static size_t slots[COUNT];
    static backend_branch branches[COUNT];
    backend_usage usage;
    const uint32_t layer = LAYER;
    for (size_t i = 0; i < COUNT; i++) {
        slots[i] = (size_t)snprintf(text[i], sizeof text[i], "In answer %zu of fifty: the sky is", i % 50);
        branches[i] = (backend_branch){ text[i], slots[i], &slots[i], 1 };
    }
    float *all = calloc(COUNT * width, sizeof *all), *alone = calloc(width, sizeof *alone);
    assert_true(all && alone);
    hidden(branches, COUNT, &layer, 1, all, &usage);
    for (size_t i = 0; i < COUNT; i += 37) {
        hidden(&branches[i], 1, &layer, 1, alone, &usage);
        double own = likeness(alone, all + i * width);
        assert_true(own > .98);
        assert_true(likeness(all + i * width, all + (i % 50) * width) > .98);
    }
    free(all);
    free(alone);
}

/* What was computed up to a layer is not taken for all of it, nor the other way round. */
static void test_depths(void **state)
{
    (void)state;
    size_t slot[] = { 10 };
    backend_branch one = { "The sky is", 10, slot, 1 };
    double whole[LABELS], again[LABELS];
    backend_usage usage;
    score(&one, 1, NULL, whole, &usage);
    score(&one, 1, &made, again, &usage);
    assert_int_equal(usage.tokens.cached_tokens, 0);
    score(&one, 1, &made, again, &usage);
    assert_true(usage.tokens.cached_tokens > 10);
    score(&one, 1, NULL, again, &usage);
    assert_int_equal(usage.tokens.cached_tokens, 0);
    for (size_t i = 0; i < LABELS; i++)
        assert_true(fabs(whole[i] - again[i]) < ROUNDING);
}

static void test_faults(void **state)
{
    (void)state;
    backend *b = live_backend(engine);
    backend_params params = { .top_p = 1 };
    backend_usage usage;
    s2a_error err;
    size_t slot[] = { 10 };
    backend_branch one = { "The sky is", 10, slot, 1 };
    float *out = calloc(3 * width, sizeof *out);
    double odds[LABELS];
    assert_non_null(out);
    static const uint32_t bad[][2] = { { 29, 30 }, { 5, 5 }, { 5, 4 }, { UINT32_MAX, 0 } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(b->vtable->hidden(b, &question, 1, &one, 1, bad[i], 2, &params, out, &usage, &err),
                         S2A_ARGUMENT);
    assert_int_equal(b->vtable->hidden(b, &question, 1, &one, 1, bad[1], 0, &params, out, &usage, &err),
                     S2A_ARGUMENT);
    tuned_lens other = made;
    other.width--;
    params.lens = &other;
    assert_int_equal(b->vtable->score(b, &question, 1, &one, 1, labels, LABELS, &params, odds, &usage, &err),
                     S2A_ARGUMENT);
    s2a_cancel *cancel = s2a_cancel_new();
    s2a_cancel_fire(cancel);
    params = (backend_params){ .top_p = 1, .cancel = cancel };
    assert_int_equal(b->vtable->hidden(b, &question, 1, &one, 1, bad[1], 1, &params, out, &usage, &err),
                     S2A_CANCELLED);
    s2a_cancel_free(cancel);
    hidden(&one, 1, bad[1], 1, out, &usage); /* and it works again */
    free(out);
}

/* ---- judgements --------------------------------------------------------------------------- */

/* A score is what the lens reads of the state, less the first label's. */
static void test_score(void **state)
{
    (void)state;
    size_t slot[] = { 10 }, other_slot[] = { 12 };
    backend_branch two[] = { { "The sky is", 10, slot, 1 }, { "The grass is", 12, other_slot, 1 } };
    float *states = calloc(2 * width, sizeof *states);
    double out[2 * LABELS], odds[LENS_ROWS], others[LENS_ROWS];
    backend_usage usage;
    const uint32_t layer = LAYER;
    assert_non_null(states);
    hidden(two, 2, &layer, 1, states, &usage);
    score(two, 2, &made, out, &usage);
    for (size_t i = 0; i < 2; i++) {
        assert_true(lens_read(&made, states + i * width, odds));
        assert_true(lens_read(&made, states + (1 - i) * width, others));
        assert_true(out[i * LABELS] == 0);
        for (size_t k = 0; k < LENS_ROWS; k++) { /* it is that of its own slot */
            double off = fabs(out[i * LABELS + 1 + k] + odds[k]);
            assert_true(off < ROUNDING / 2);
            assert_true(off < fabs(out[i * LABELS + 1 + k] + others[k]) / 2);
        }
    }
    free(states);
}

static double first_score(s2a_engine *of, s2a_preset preset, uint64_t *cached)
{
    s2a_request *request = s2a_request_new();
    s2a_result *result = NULL;
    s2a_error err;
    assert_non_null(request);
    if (preset == S2A_PRESET_UNTRUSTED) {
        assert_int_equal(s2a_request_set_parts(request, X, strlen(X), "Who?", 4, NULL), S2A_OK);
    } else {
        assert_int_equal(s2a_request_set_text(request, X, strlen(X), NULL), S2A_OK);
    }
    s2a_request_set_preset(request, preset);
    if (s2a_attend(of, request, &result, &err) != S2A_OK)
        fail_msg("%s", err.message);
    live_check_result(result);
    double score = s2a_result_unit(result, 0).score;
    *cached = s2a_result_usage(result, 1).cached_tokens;
    s2a_result_free(result);
    s2a_request_free(request);
    return score;
}

/* Mode select goes by the lens where there is one, but for preset untrusted, whose labels are others. */
static void test_select(void **state)
{
    (void)state;
    uint64_t cached = 0;
    tuned_lens kept = flat_lens(100, 100), cut = flat_lens(100, -100);
    double untrusted = first_score(engine, S2A_PRESET_UNTRUSTED, &cached);
    engine->lens = &kept;
    assert_true(first_score(engine, S2A_PRESET_AUTO, &cached) > 50);
    assert_true(first_score(engine, S2A_PRESET_OPINION, &cached) > 50);
    assert_true(fabs(first_score(engine, S2A_PRESET_UNTRUSTED, &cached) - untrusted) < 2 * ROUNDING);
    engine->lens = &cut;
    assert_true(first_score(engine, S2A_PRESET_OPINION, &cached) < -50);
    assert_true(first_score(engine, S2A_PRESET_RELEVANCE, &cached) > 50);
    engine->lens = NULL;
}

typedef struct asker {
    pthread_t thread;
    s2a_engine *engine;
    s2a_status status;
    bool selected;
    uint64_t written;
} asker;

static void *ask(void *ctx)
{
    asker *a = ctx;
    s2a_request *request = s2a_request_new();
    s2a_result *result = NULL;
    a->status = S2A_NOMEM;
    if (request && s2a_request_set_text(request, X, strlen(X), NULL) == S2A_OK) {
        s2a_request_set_max_tokens(request, 6);
        a->status = s2a_answer(a->engine, request, &result, NULL);
    }
    if (a->status == S2A_OK) {
        a->selected = s2a_result_mode(result) == S2A_MODE_SELECT &&
                      s2a_result_fallback(result) == S2A_FALLBACK_NONE;
        a->written = s2a_result_usage(result, 2).completion_tokens;
    }
    s2a_result_free(result);
    s2a_request_free(request);
    return NULL;
}

/* An engine that another one judges for goes by that one's lens, takes turns with it, and answers itself;
 * what the judge does for others stays its own affair. */
static void test_selector(void **state)
{
    (void)state;
    enum { ASKERS = 3 };
    tuned_lens kept = flat_lens(100, 100);
    s2a_engine_options options = live_options(1024);
    options.select_engine = engine;
    s2a_engine *answers = live_engine_with(&options);
    backend *b = live_backend(answers), *judge = live_backend(engine);
    assert_true(b != judge);
    assert_ptr_equal(b->vtable->capabilities(b).gate, judge->vtable->capabilities(judge).gate);
    engine->lens = &kept;
    uint64_t cached = 0;
    assert_true(first_score(answers, S2A_PRESET_AUTO, &cached) > 50);
    asker all[ASKERS + 1];
    for (size_t i = 0; i <= ASKERS; i++) { /* the last one on the judge itself */
        all[i] = (asker){ .engine = i < ASKERS ? answers : engine };
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask, &all[i]), 0);
    }
    for (size_t i = 0; i <= ASKERS; i++) {
        pthread_join(all[i].thread, NULL);
        assert_int_equal(all[i].status, S2A_OK);
        assert_true(all[i].selected && all[i].written > 0);
    }
    engine->lens = NULL;
    s2a_engine_close(answers);
}

/* The file of the examples' cells is that of a depth: engines that were opened anew. */
static void test_cache_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/s2a-lens-XXXXXX", path[320];
    double scores[4];
    uint64_t cached[4];
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < 4; i++) { /* whole, lens, whole, lens */
        s2a_engine_options options = live_options(4096);
        options.cache_dir = dir;
        s2a_engine *fresh = live_engine_with(&options);
        fresh->lens = i % 2 ? &made : NULL;
        scores[i] = first_score(fresh, S2A_PRESET_AUTO, &cached[i]);
        s2a_engine_close(fresh);
    }
    assert_true(cached[0] == 0 && cached[1] == 0 && cached[2] > 300 && cached[3] > 300);
    assert_true(fabs(scores[0] - scores[2]) < 2 * ROUNDING);
    assert_true(fabs(scores[1] - scores[3]) < 2 * ROUNDING);
    DIR *listing = opendir(dir);
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing));) {
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    closedir(listing);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states), cmocka_unit_test(test_many),   cmocka_unit_test(test_depths),
        cmocka_unit_test(test_faults), cmocka_unit_test(test_score),  cmocka_unit_test(test_select),
        cmocka_unit_test(test_selector), cmocka_unit_test(test_cache_file),
    };
    if (!live_model())
        return 77; /* ctest: skipped */
    return cmocka_run_group_tests(tests, setup, teardown);
}
