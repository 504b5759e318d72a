/* Lenses: the figures that are read with one, whose they are, and that those built in are of the prompts
 * built in. */
#include <math.h>
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

static backend_capabilities can;

static backend_capabilities capabilities(const backend *self)
{
    (void)self;
    return can;
}

static s2a_status no_hidden(backend *self, const backend_message *messages, size_t count,
                            const backend_branch *branches, size_t branch_count,
                            const uint32_t *layers, size_t layer_count, const backend_params *params,
                            float *hidden, backend_usage *usage, s2a_error *err)
{
    (void)self, (void)messages, (void)count, (void)branches, (void)branch_count, (void)layers;
    (void)layer_count, (void)params, (void)hidden, (void)usage, (void)err;
    fail();
    return S2A_INTERNAL;
}

static void prompts_open(const char *dir, prompt_set *out)
{
    s2a_error err;
    if (prompt_set_load(dir, out, &err) != S2A_OK)
        fail_msg("%s", err.message);
}

/* ---- reading ------------------------------------------------------------------------------ */

static void test_read(void **state)
{
    (void)state;
    static const int16_t weights[] = { 100, 0, 0, -200, /* opinion: */ 0, 50, 50, 0 };
    tuned_lens l = { .layer = 3, .width = 4, .offset = { 1, -2 }, .scale = { 0.01, 0.1 }, .weights = weights };
    float x[] = { 3, -3, 3, -3 }; /* root mean square 3 */
    double odds[LENS_ROWS], scaled[LENS_ROWS];
    assert_true(lens_read(&l, x, odds));
    assert_true(fabs(odds[LENS_RELEVANCE] - (1 + 0.01 * 300)) < 1e-5);
    assert_true(fabs(odds[LENS_OPINION] - -2) < 1e-5);
    for (size_t i = 0; i < 4; i++)
        x[i] *= 50; /* only the direction of a state counts */
    assert_true(lens_read(&l, x, scaled));
    assert_true(fabs(scaled[0] - odds[0]) < 1e-5 && fabs(scaled[1] - odds[1]) < 1e-5);
    memset(x, 0, sizeof x);
    assert_true(lens_read(&l, x, odds));
    assert_true(odds[0] == 1 && odds[1] == -2);
    x[2] = NAN;
    assert_false(lens_read(&l, x, odds));
    x[2] = INFINITY;
    assert_false(lens_read(&l, x, odds));
}

static void test_id(void **state)
{
    (void)state;
    int16_t weights[] = { 1, 2, 3, 4 };
    tuned_lens l = { .layer = 3, .width = 2, .offset = { 1, -2 }, .scale = { 1, 1 }, .weights = weights };
    uint64_t id = lens_id(&l);
    assert_true(id != 0 && id == lens_id(&l));
    tuned_lens other = l;
    other.layer = 4;
    assert_true(lens_id(&other) != id);
    other = l;
    other.offset[1] = -2.5;
    assert_true(lens_id(&other) != id);
    other = l;
    other.scale[0] = 2;
    assert_true(lens_id(&other) != id);
    weights[3] = 5;
    assert_true(lens_id(&l) != id);
}

/* ---- whose it is -------------------------------------------------------------------------- */

/* Who changes a prompt of select, its labels or its branches fits the lenses anew. */
static void test_builtin(void **state)
{
    (void)state;
    prompt_set prompts;
    prompts_open(NULL, &prompts);
    uint64_t form = lens_form(&prompts);
    assert_true(lenses_builtin_count > 0);
    for (size_t i = 0; i < lenses_builtin_count; i++) {
        const tuned_lens *l = &lenses_builtin[i];
        if (l->form != form)
            fail_msg("lens %zu was fitted on other prompts than those of prompts/: scripts/select/lens.py", i);
        assert_true(l->weights_id != 0 && l->width > 0 && l->scale[0] > 0 && l->scale[1] > 0);
        for (size_t k = 0; k < i; k++)
            assert_true(lenses_builtin[k].weights_id != l->weights_id);
    }
    prompt_set_free(&prompts);
}

static void test_form(void **state)
{
    (void)state;
    static const char *const files[] = { "select-system", "select-examples", "select" };
    static const char *const texts[] = { "Sort them.", "needed: a.\nquestion: b?\n", "{{input}} {{question}}" };
    char dir[] = "/tmp/s2a-lens-XXXXXX", path[64];
    prompt_set prompts;
    assert_non_null(mkdtemp(dir));
    prompts_open(dir, &prompts);
    uint64_t form = lens_form(&prompts);
    prompt_set_free(&prompts);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s.txt", dir, files[i]);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(texts[i], file);
        fclose(file);
        prompts_open(dir, &prompts);
        assert_true(lens_form(&prompts) != form);
        prompt_set_free(&prompts);
        unlink(path);
    }
    rmdir(dir);
}

static void test_find(void **state)
{
    (void)state;
    static const backend_vtable with = { .hidden = no_hidden, .capabilities = capabilities };
    static const backend_vtable without = { .capabilities = capabilities };
    backend b = { &with }, none = { &without };
    const tuned_lens *first = &lenses_builtin[0];
    prompt_set prompts;
    prompts_open(NULL, &prompts);
    can = (backend_capabilities){ .hidden_width = first->width, .weights_id = first->weights_id };
    assert_ptr_equal(lens_find(&b, &prompts), first);
    assert_null(lens_find(&none, &prompts));
    can.hidden_width++;
    assert_null(lens_find(&b, &prompts));
    can.hidden_width = 0;
    assert_null(lens_find(&b, &prompts));
    can = (backend_capabilities){ .hidden_width = first->width, .weights_id = first->weights_id + 1 };
    assert_null(lens_find(&b, &prompts)); /* another file of the same shape */
    can.weights_id = 0;
    assert_null(lens_find(&b, &prompts));
    prompt_set_free(&prompts);
}

/* A lens with borders of its own stands in for those of labels, not for what a user calibrated. */
static void test_borders(void **state)
{
    (void)state;
    s2a_calibration labels = { .relevance_border = -3, .relevance_cap = 4, .attention_head_count = 1,
                               .attention_heads = { 7 }, .of_labels = true };
    s2a_calibration user = labels, nothing = { .of_labels = true };
    user.of_labels = false;
    tuned_lens plain = { .layer = 1 }, taught = { .layer = 1, .borders = { .relevance_border = -2, .opinion_border = .5 } };
    assert_true(engine_calibration(&labels, NULL).relevance_border == -3);
    assert_true(engine_calibration(&labels, &plain).relevance_border == -3);
    s2a_calibration used = engine_calibration(&labels, &taught);
    assert_true(used.relevance_border == -2 && used.relevance_cap == 0 && used.opinion_border == .5);
    assert_true(used.attention_head_count == 1 && used.attention_heads[0] == 7); /* heads stay */
    assert_true(engine_calibration(&user, &taught).relevance_border == -3);
    assert_true(engine_calibration(&nothing, &taught).relevance_border == -2);
    assert_true(engine_calibration(&nothing, &plain).relevance_border == -1); /* the default */
    assert_true(engine_calibration(&nothing, NULL).relevance_border == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),  cmocka_unit_test(test_id),   cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_form),  cmocka_unit_test(test_find), cmocka_unit_test(test_borders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
