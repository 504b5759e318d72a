/* Teaching a head on made-up states, of which it is known what can be told apart and how well. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "teach/teach.h"

#define WIDTH 8
#define NUMBERS (2 * WIDTH)
#define MAX_UNITS 6000

/* ---- states ------------------------------------------------------------------------------- */

static uint64_t seed;

static double uniform(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(seed >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

typedef struct made {
    teach_unit units[MAX_UNITS];
    float states[MAX_UNITS][NUMBERS];
    size_t count;
} made;

static made *m;

static int setup(void **state)
{
    (void)state;
    seed = 1;
    m = calloc(1, sizeof *m);
    return m ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(m);
    return 0;
}

/* A sentence whose state is noise. */
static float *add(size_t prompt, unsigned kind, head_form form, teaching_label label, bool asked)
{
    assert_true(m->count < MAX_UNITS);
    float *s = m->states[m->count];
    m->units[m->count++] = (teach_unit){ prompt, kind, form, label, asked, s };
    for (size_t i = 0; i < NUMBERS; i++)
        s[i] = (float)normal();
    return s;
}

/* What numbers say, if size is large: 0 needed against unrelated, 1 against an opinion, 2 asked; 3
 * support, 4 no order. Kinds differ in the others, one number is always the same, and two are very
 * large and very small. */
static void signal(float *s, const teach_unit *u, double size)
{
    bool needed = u->label == TEACH_NEEDED;
    if (u->form == HEAD_AGAIN) {
        s[0] += (float)(size * (needed ? 1 : u->label == TEACH_UNRELATED ? -1 : 0));
        s[1] += (float)(size * (needed ? 1 : u->label == TEACH_OPINION ? -1 : 0));
        s[2] += (float)(size * (u->asked ? 1 : -1));
    } else {
        s[3] += (float)(size * (needed ? 1 : u->label == TEACH_UNRELATED ? -1 : 0));
        s[4] += (float)(size * (needed ? 1 : u->label == TEACH_ORDER ? -1 : 0));
    }
    s[5] += (float)(3 * (int)(u->kind % 7));
    s[NUMBERS - 1] = 4;
    s[1] *= 1000;
    s[2] *= 1e-3f;
}

/* Prompts of ten kinds: every third is clean; documents in between. */
static void make(size_t prompts, double again, double apart)
{
    static const teaching_label labels[] = { TEACH_NEEDED, TEACH_UNRELATED, TEACH_NEEDED,
                                             TEACH_OPINION, TEACH_EITHER };
    static const teaching_label documents[] = { TEACH_NEEDED, TEACH_ORDER, TEACH_NEEDED,
                                                TEACH_UNRELATED };
    for (size_t p = 0; p < prompts; p++) {
        unsigned kind = (unsigned)(p % 10);
        bool clean = p % 3 == 0, document = p % 2;
        for (size_t i = 0; i < 5; i++) {
            head_form form = document ? HEAD_APART : HEAD_AGAIN;
            teaching_label label = clean ? TEACH_NEEDED : document ? documents[i % 4] : labels[i];
            float *s = add(p, kind, form, label, !document && i == 2);
            signal(s, &m->units[m->count - 1], document ? apart : again);
        }
    }
}

static judge_head new_head(void)
{
    return (judge_head){ .model = "made up", .layers = { 4 }, .layer_count = 1, .width = WIDTH };
}

static s2a_calibration_report teach(judge_head *h)
{
    s2a_calibration_report report;
    s2a_error err;
    *h = new_head();
    if (teach_fit(m->units, m->count, NULL, h, &report, &err) != S2A_OK)
        fail_msg("%s", err.message);
    assert_int_equal(report.units, m->count);
    assert_int_equal(report.prompts, m->units[m->count - 1].prompt + 1);
    return report;
}

static double odds(const judge_head *h, head_row row, const float *state)
{
    double sum = 0;
    for (size_t i = 0; i < NUMBERS; i++)
        sum += (double)h->maps[row * NUMBERS + i] * (double)state[i];
    return h->offset[row] + h->scale[row] * sum;
}

/* ---- what can be told apart
 * ------------------------------------------------------------------- */

static void test_separable(void **state)
{
    (void)state;
    judge_head h;
    make(600, 20, 20);
    s2a_calibration_report r = teach(&h);
    assert_true(r.auc == 1 && r.order_auc == 1 && r.cuts && r.cuts_orders);
    assert_true(r.needed_kept == 1 && r.unrelated_removed == 1 && r.opinion_removed == 1 &&
                r.clean_unchanged == 1);
    assert_true(r.order_removed == 1 && r.documents_unchanged == 1);
    assert_true(h.thresholds.automatic <= 0 && h.thresholds.automatic >= -8 &&
                h.thresholds.untrusted <= 0);
    assert_memory_equal(&h.second, &h.thresholds, sizeof h.second);
    assert_true(h.thresholds.opinion == h.thresholds.automatic &&
                h.thresholds.relevance == h.thresholds.automatic);
    for (size_t i = 0; i < m->count; i++) { /* and the head says so of each, as it will be used */
        const teach_unit *u = &m->units[i];
        bool needed = u->label == TEACH_NEEDED, either = u->label == TEACH_EITHER;
        if (u->form == HEAD_AGAIN && !either) {
            assert_true(needed ? odds(&h, HEAD_ROW_UNRELATED, u->state) > 1 &&
                                     odds(&h, HEAD_ROW_OPINION, u->state) > 1
                        : u->label == TEACH_OPINION ? odds(&h, HEAD_ROW_OPINION, u->state) < -1
                                                    : odds(&h, HEAD_ROW_UNRELATED, u->state) < -1);
            assert_true(u->asked == (odds(&h, HEAD_ROW_ASKED, u->state) > 0));
        } else if (!either) {
            assert_true(needed ? odds(&h, HEAD_ROW_SUPPORT, u->state) > 1 &&
                                     odds(&h, HEAD_ROW_ORDER, u->state) > 1
                        : u->label == TEACH_ORDER ? odds(&h, HEAD_ROW_ORDER, u->state) < -1
                                                  : odds(&h, HEAD_ROW_SUPPORT, u->state) < -1);
        }
    }
    free(h.maps);
}

/* What is asked stays, also in what is said of a head, whatever else it is. */
static void test_asked(void **state)
{
    (void)state;
    judge_head h;
    make(600, 20, 20);
    for (size_t i = 0; i < m->count; i++) {
        teach_unit *u = &m->units[i];
        if (u->form == HEAD_AGAIN && u->label == TEACH_UNRELATED && u->prompt % 20 == 0) {
            u->asked = true;
            m->states[i][2] += 40 * 1e-3f;
        }
    }
    s2a_calibration_report r = teach(&h);
    assert_true(r.unrelated_removed > 0.85 && r.unrelated_removed < 0.95 && r.opinion_removed == 1);
    free(h.maps);
}

static void test_noise(void **state)
{
    (void)state;
    judge_head h;
    make(600, 0, 0);
    s2a_calibration_report r = teach(&h);
    assert_true(fabs(r.auc - 0.5) < 0.1 && fabs(r.order_auc - 0.5) < 0.1);
    assert_true(!r.cuts && !r.cuts_orders);
    assert_true(
        h.thresholds.automatic == TEACH_HARMLESS && h.thresholds.opinion == TEACH_HARMLESS &&
        h.thresholds.relevance == TEACH_HARMLESS && h.thresholds.untrusted == TEACH_HARMLESS);
    assert_true(r.needed_kept == 1 && r.unrelated_removed == 0 && r.opinion_removed == 0 &&
                r.order_removed == 0);
    assert_true(r.clean_unchanged == 1 && r.documents_unchanged == 1);
    free(h.maps);
}

/* Sentences may be told apart where orders are not, and the other way round. */
static void test_one_form(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        judge_head h;
        m->count = 0;
        make(600, again ? 20 : 0, again ? 0 : 20);
        s2a_calibration_report r = teach(&h);
        assert_int_equal(r.cuts, again);
        assert_int_equal(r.cuts_orders, !again);
        assert_int_equal(h.thresholds.automatic > TEACH_HARMLESS, again);
        assert_int_equal(h.thresholds.untrusted > TEACH_HARMLESS, !again);
        free(h.maps);
    }
}

/* Where they overlap a border is one that leaves the clean ones alone, and cuts what it can. */
static void test_border(void **state)
{
    (void)state;
    judge_head h;
    make(1000, 1.5, 1.5);
    s2a_calibration_report r = teach(&h);
    assert_true(r.auc > 0.93 && r.auc < 0.999 && r.cuts && r.cuts_orders);
    assert_true(r.clean_unchanged >= TEACH_UNCHANGED && r.documents_unchanged >= TEACH_UNCHANGED);
    assert_true(h.thresholds.automatic < 0 && h.thresholds.automatic > -8);
    assert_true(r.needed_kept > 0.98 && r.unrelated_removed > 0.2 && r.opinion_removed > 0.2 &&
                r.order_removed > 0.2);
    assert_true(r.unrelated_removed < 1 && r.order_removed < 1);
    free(h.maps);
}

/* ---- what is held out
 * ------------------------------------------------------------------------- */

/* One kind says it by another number than all others: who has not seen it cannot know, who
 * has can. */
static void test_kinds(void **state)
{
    (void)state;
    judge_head h;
    make(600, 20, 20);
    for (size_t i = 0; i < m->count; i++) {
        float *s = m->states[i];
        const teach_unit *u = &m->units[i];
        if (u->kind % 5 == 4 && u->form == HEAD_AGAIN) {
            s[6] = s[0];
            s[7] = s[1] / 1000;
            s[0] = (float)normal();
            s[1] = (float)(1000 * normal());
        }
    }
    s2a_calibration_report r = teach(&h);
    assert_true(r.auc < 0.995 && r.auc > 0.95);
    assert_true(r.order_auc == 1);
    size_t wrong = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->units[i].form == HEAD_AGAIN && m->units[i].label == TEACH_OPINION)
            wrong += odds(&h, HEAD_ROW_OPINION, m->units[i].state) > 0;
    assert_true(wrong < 10);
    free(h.maps);
}

/* Of one kind alone nothing can be held out, and nothing is cut. */
static void test_one_kind(void **state)
{
    (void)state;
    judge_head h;
    make(300, 20, 20);
    for (size_t i = 0; i < m->count; i++)
        m->units[i].kind = 3;
    s2a_calibration_report r = teach(&h);
    assert_true(isnan(r.auc) && isnan(r.order_auc) && !r.cuts && !r.cuts_orders);
    assert_true(h.thresholds.automatic == TEACH_HARMLESS &&
                h.thresholds.untrusted == TEACH_HARMLESS);
    free(h.maps);
}

/* Log-odds are those of sentences that nobody taught: two normal distributions, three of one to one
 * of the other. */
static void test_calibrated(void **state)
{
    (void)state;
    judge_head h;
    for (size_t i = 0; i < 4000; i++) {
        bool good = i % 4 < 3;
        float *s = add(i, (unsigned)(i % 10), i % 8 < 4 ? HEAD_AGAIN : HEAD_APART,
                       good                         ? TEACH_NEEDED
                       : i % 16 == 3 || i % 16 == 7 ? TEACH_UNRELATED
                       : i % 8 < 4                  ? TEACH_OPINION
                                                    : TEACH_ORDER,
                       i % 2);
        s[0] = (float)((good ? 1 : -1) + normal());
        memset(s + 1, 0, (NUMBERS - 1) * sizeof *s);
    }
    teach(&h);
    static const struct {
        head_row row;
        double each; /* of the other side are there so many to one */
    } rows[] = { { HEAD_ROW_UNRELATED, 6 },
                 { HEAD_ROW_OPINION, 6 },
                 { HEAD_ROW_SUPPORT, 6 },
                 { HEAD_ROW_ORDER, 6 } };
    for (size_t r = 0; r < 4; r++)
        for (double x = -2; x <= 2; x += 0.5) {
            float s[NUMBERS] = { (float)x };
            double is = odds(&h, rows[r].row, s), due = 2 * x + log(rows[r].each);
            if (fabs(is - due) > 0.35)
                fail_msg("row %d at %g: %g, not %g", (int)rows[r].row, x, is, due);
        }
    free(h.maps);
}

/* As many numbers as sentences tell all of those that are taught apart, by chance; nobody is sure
 * for that. */
static void test_not_sure(void **state)
{
    (void)state;
    judge_head h;
    for (size_t i = 0; i < 80; i++) {
        head_form form = i % 2 ? HEAD_APART : HEAD_AGAIN;
        teaching_label other = i % 8 < 4            ? TEACH_UNRELATED
                               : form == HEAD_AGAIN ? TEACH_OPINION
                                                    : TEACH_ORDER;
        add(i, (unsigned)(i / 4 % 10), form, i / 8 % 2 ? TEACH_NEEDED : other, i / 16 % 2);
    }
    s2a_calibration_report r = teach(&h);
    assert_true(!r.cuts && !r.cuts_orders);
    for (size_t i = 0; i < m->count; i++)
        for (size_t row = 0; row < HEAD_ROWS; row++)
            if (fabs(odds(&h, (head_row)row, m->units[i].state)) > 2.5)
                fail_msg("%g", odds(&h, (head_row)row, m->units[i].state));
    free(h.maps);
}

/* ---- what else ------------------------------------------------------------------------------ */

static void test_twice(void **state)
{
    (void)state;
    judge_head a, b;
    make(300, 2, 2);
    s2a_calibration_report first = teach(&a), second = teach(&b);
    assert_memory_equal(&first, &second, sizeof first);
    assert_memory_equal(a.maps, b.maps, HEAD_ROWS * NUMBERS * sizeof *a.maps);
    assert_memory_equal(a.scale, b.scale, sizeof a.scale);
    assert_memory_equal(a.offset, b.offset, sizeof a.offset);
    assert_memory_equal(&a.thresholds, &b.thresholds, sizeof a.thresholds);
    free(a.maps);
    free(b.maps);
}

static void check_fails(size_t count, const s2a_cancel *cancel, s2a_status want, const char *says)
{
    judge_head h = new_head();
    s2a_calibration_report r;
    s2a_error err;
    assert_int_equal(teach_fit(m->units, count, cancel, &h, &r, &err), want);
    if (!strstr(err.message, says))
        fail_msg("%s", err.message);
    free(h.maps);
}

/* One of the sides is missing: there is nothing to tell. */
static void test_too_little(void **state)
{
    (void)state;
    check_fails(0, NULL, S2A_INPUT, "no labelled sentence was read");
    make(60, 2, 2);
    check_fails(1, NULL, S2A_INPUT, "only one of two labels");
    for (int label = TEACH_NEEDED; label < TEACH_EITHER; label++) {
        m->count = 0;
        make(60, 2, 2);
        for (size_t i = 0; i < m->count; i++)
            if ((int)m->units[i].label == label)
                m->units[i].label = TEACH_EITHER;
        check_fails(m->count, NULL, S2A_INPUT, "only one of two labels");
    }
    m->count = 0;
    make(60, 2, 2);
    for (size_t i = 0; i < m->count; i++)
        m->units[i].asked = false;
    check_fails(m->count, NULL, S2A_INPUT, "only one of two labels");
    s2a_cancel *cancel = s2a_cancel_new();
    s2a_cancel_fire(cancel);
    check_fails(m->count, cancel, S2A_CANCELLED, "cancelled");
    s2a_cancel_free(cancel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_separable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_border, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calibrated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_sure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_little, setup, teardown),
    };
    return cmocka_run_group_tests_name("teach", tests, NULL, NULL);
}
