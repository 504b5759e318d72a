/* Texts in many windows: every unit is decided once, no reading is too large, and what comes out
 * does not depend on where the windows are. The judgement of a unit is written in the unit: "Unit
 * 17 weighs 3." */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "core/select.h"
#include "core/window.h"
#include "fake_reader.h"

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* ---- where the windows are ---------------------------------------------------------------- */

static size_t sum_of(const size_t *cost, size_t from, size_t to)
{
    size_t sum = 0;
    for (size_t i = from; i < to; i++)
        sum += cost[i];
    return sum;
}

static void check_beside(const size_t *cost, size_t count, const window *w, size_t most,
                         size_t margin)
{
    size_t before = sum_of(cost, w->first, w->from), after = sum_of(cost, w->to, w->last);
    size_t all = sum_of(cost, w->first, w->last);
    assert_true(before <= margin && after <= margin && all <= most);
    /* as much as that allows */
    if (w->first > 0)
        assert_true(before + cost[w->first - 1] > margin || all + cost[w->first - 1] > most);
    if (w->last < count)
        assert_true(after + cost[w->last] > margin || all + cost[w->last] > most);
}

static void check_split(const size_t *cost, size_t count, size_t most, size_t margin)
{
    window *windows = NULL;
    size_t n = 0, at = 0;
    assert_int_equal(window_split(cost, count, most, margin, &windows, &n, NULL), S2A_OK);
    for (size_t i = 0; i < n; i++) {
        const window *w = &windows[i];
        while (at < w->from)
            assert_true(cost[at++] > most); /* only these are passed over */
        assert_int_equal(w->from, at);
        assert_true(w->first <= w->from && w->from < w->to && w->to <= w->last && w->last <= count);
        check_beside(cost, count, w, most, margin);
        at = w->to;
    }
    while (at < count)
        assert_true(cost[at++] > most);
    if (sum_of(cost, 0, count) <= most)
        assert_int_equal(n, count > 0);
    free(windows);
}

static void test_split(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (int round = 0; round < 3000; round++) {
        size_t cost[200], count = random_next(&seed) % 200, most = 10 + random_next(&seed) % 300;
        size_t wide = 1 + random_next(&seed) % (round % 3 ? most : most / 8 + 1);
        for (size_t i = 0; i < count; i++) {
            cost[i] = 1 + random_next(&seed) % wide;
            if (random_next(&seed) % 40 == 0)
                cost[i] = most + random_next(&seed) % 3; /* just fits, or not */
        }
        check_split(cost, count, most, random_next(&seed) % (most / 4));
    }
}

/* 205 units of 10 in windows of 1,000, a fifth of it overlap: three of about the same length. */
static void test_even(void **state)
{
    (void)state;
    size_t cost[205], n = 0;
    window *windows = NULL;
    for (size_t i = 0; i < 205; i++)
        cost[i] = 10;
    assert_int_equal(window_split(cost, 205, 1000, 100, &windows, &n, NULL), S2A_OK);
    assert_int_equal(n, 3);
    static const window want[] = { { 0, 79, 0, 69 }, { 59, 147, 69, 137 }, { 127, 205, 137, 205 } };
    assert_memory_equal(windows, want, sizeof want);
    free(windows);
}

/* ---- a text that is judged ------------------------------------------------------------------ */

typedef struct setting {
    fake_reader f;
    select_input in;
    segment_unit *units;
    select_unit *out;
    select_text y;
    s2a_usage usage;
    s2a_error err;
} setting;

/* A weight is the odds of what it weighs; what has none is asked. */
static void tell_weight(void *ctx, const backend_piece *piece, uint64_t given, double *told,
                        size_t rows)
{
    (void)ctx, (void)given;
    int unit = 0, weight = 0;
    char *text = strndup(piece->text, piece->len);
    bool weighed = sscanf(text, " Unit %d weighs %d.", &unit, &weight) == 2;
    free(text);
    for (size_t r = 0; r < rows; r++)
        told[r] = weighed && r < 2 ? weight : weighed ? -9 : 1;
}

static setting *begin(const char *text, size_t question_start, s2a_preset preset)
{
    setting *s = calloc(1, sizeof *s);
    assert_non_null(s);
    fake_reader_init(&s->f, tell_weight, NULL);
    size_t count = 0;
    assert_int_equal(segment_text(text, strlen(text), NULL, &s->units, &count, NULL), S2A_OK);
    assert_int_equal(select_refine(preset, text, &s->units, &count, NULL), S2A_OK);
    s->in = (select_input){ .backend = &s->f.base,
                            .head = &s->f.head,
                            .text = text,
                            .units = s->units,
                            .count = count,
                            .question_start = question_start,
                            .preset = preset,
                            .threshold = NAN };
    s->out = calloc(count + 1, sizeof *s->out);
    assert_non_null(s->out);
    return s;
}

static s2a_status judge(setting *s)
{
    select_text_free(&s->y);
    s2a_status status = select_judge(&s->in, s->out, &s->usage, &s->err);
    if (status == S2A_OK)
        assert_int_equal(select_compose(&s->in, s->out, strlen(s->in.text), &s->y, &s->err),
                         S2A_OK);
    return status;
}

static void end(setting *s)
{
    select_text_free(&s->y);
    fake_reader_free(&s->f);
    free(s->out);
    free(s->units);
    free(s);
}

/* Weights from -2 to 2; 4 words a unit. */
static char *text_of(size_t count, const char *in_the_middle, const char *last)
{
    buf text;
    buf_init(&text, (size_t)1 << 28);
    uint32_t seed = 3;
    for (size_t i = 0; i < count; i++) {
        buf_addf(&text, "Unit %zu weighs %d. ", i, (int)(random_next(&seed) % 5) - 2);
        if (i == count / 2)
            buf_adds(&text, in_the_middle);
    }
    buf_adds(&text, last);
    char *out = buf_take(&text, NULL);
    assert_non_null(out);
    return out;
}

/* ---- judging ------------------------------------------------------------------------------ */

/* As in one window, figure by figure. */
static void test_scores(void **state)
{
    (void)state;
    char *text = text_of(1000, "", "Which?");
    for (int keep = 0; keep < 2; keep++) {
        setting *one = begin(text, SIZE_MAX, S2A_PRESET_AUTO),
                *many = begin(text, SIZE_MAX, S2A_PRESET_AUTO);
        one->in.keep = many->in.keep = keep * 0.3;
        one->in.window_tokens = 1000000;
        many->in.window_tokens = 300;
        assert_int_equal(judge(one), S2A_OK);
        assert_int_equal(judge(many), S2A_OK);
        assert_int_equal(one->f.calls, 1);
        assert_in_range(many->f.calls, 4001 / 220, 4001 / 220 + 2); /* 220 of 300 are a window's own
                                                                     */
        assert_int_equal(many->f.wanted, 1001);
        for (size_t i = 0; i < 1001; i++) {
            assert_true(many->out[i].judged && many->out[i].score == one->out[i].score);
            assert_true(keep || many->out[i].kept == (many->out[i].score >= 0 || i == 1000));
        }
        assert_string_equal(one->y.text.data, many->y.text.data);
        assert_true(one->y.changed);
        assert_true(!keep || 3 * strlen(one->y.text.data) < strlen(text));
        assert_int_equal(many->usage.cached_tokens, 3 * many->f.calls);
        assert_true(many->usage.prompt_tokens > one->usage.prompt_tokens);
        assert_true(fabs(many->usage.ms - 0.5 * (double)many->f.calls) < 1e-6);
        end(one);
        end(many);
    }
    free(text);
}

/* A text of as many tokens as a window has is in one, one of more is not. */
static void test_default(void **state)
{
    (void)state;
    static const char *const last[] = { "Which one is it?", "And which one is it?" };
    for (size_t more = 0; more < 2; more++) { /* 749 of 4 tokens, and 4 or 5 */
        char *text = text_of(749, "", last[more]);
        setting *s = begin(text, SIZE_MAX, S2A_PRESET_AUTO);
        assert_int_equal(judge(s), S2A_OK);
        assert_int_equal(s->f.calls, 1 + more);
        end(s);
        free(text);
    }
}

/* ---- the judge's context -------------------------------------------------------------------- */

/* Whatever the context holds beyond the least, a reading fits it; where that is not enough it is
 * said. */
static void test_context(void **state)
{
    (void)state;
    char *text = text_of(300, "", "Which?");
    const uint32_t least = 96 + 160 + 400 + 2 * 40 + 2 * 64; /* around, the ends, margins, the least
                                                                of a text */
    setting *s = begin(text, SIZE_MAX, S2A_PRESET_AUTO);
    for (uint32_t more = 0; more < 400; more++) {
        s->f.most_tokens = s->f.calls = s->f.wanted = 0;
        s->f.can.ctx_tokens = more % 2 ? least + more : 1000000;
        s->f.can.read_tokens = more % 2 ? 0 : least + more;
        assert_int_equal(judge(s), S2A_OK);
        assert_int_equal(s->f.wanted, 301);
        assert_true(s->f.calls > 1 && s->f.most_tokens <= least + more);
    }
    char *longer = text_of(3000, "", "Which?"); /* read twice, windows take half of what is left */
    setting *l = begin(longer, SIZE_MAX, S2A_PRESET_AUTO);
    l->f.can.read_tokens = 4000;
    assert_int_equal(judge(l), S2A_OK);
    assert_true(l->f.most_tokens > 3000 && l->f.most_tokens <= 4000);
    end(l);
    free(longer);
    s->f.can.ctx_tokens = 1000000;
    s->f.can.read_tokens = least - 1;
    s->f.calls = 0;
    assert_int_equal(judge(s), S2A_LIMIT);
    assert_non_null(strstr(s->err.message, "shorten the question"));
    assert_int_equal(s->f.calls, 0);
    s->f.can = (backend_capabilities){ .can_read = true }; /* nothing is known, tokens are bytes */
    s->f.most_tokens = 0;
    assert_int_equal(judge(s), S2A_OK);
    assert_true(s->f.calls > 1 && s->f.most_tokens < 2 * 3000);
    end(s);
    free(text);
}

/* What is asked takes its room, in both forms, and may take all of it. */
static void test_question(void **state)
{
    (void)state;
    static const s2a_preset presets[] = { S2A_PRESET_AUTO, S2A_PRESET_RELEVANCE,
                                          S2A_PRESET_UNTRUSTED };
    char *context = text_of(200, "", "Which?\n\n");
    for (size_t p = 0; p < 3; p++)
        for (size_t words = 1; words <= 900; words += 31) {
            buf text;
            buf_init(&text, 1 << 20);
            buf_adds(&text, context);
            for (size_t i = 0; i < words; i++)
                buf_addf(&text, "%sis", i > 0 ? " " : "");
            buf_adds(&text, " it?");
            setting *s = begin(text.data, strlen(context), presets[p]);
            s->f.can.read_tokens = 1500;
            size_t fixed = 96 + words + 1 + (p == 0 ? 640 : 0) + 2 * 64;
            if (fixed > 1500) {
                assert_int_equal(judge(s), S2A_LIMIT);
                assert_int_equal(s->f.calls, 0);
            } else {
                assert_int_equal(judge(s), S2A_OK);
                assert_int_equal(s->f.wanted, 201);
                assert_true(s->f.most_tokens <= 1500);
            }
            end(s);
            buf_free(&text);
        }
    free(context);
}

/* A sentence that is longer than a window is not read, and stays; of untrusted text it is cut, and
 * read. */
static void test_too_long_unit(void **state)
{
    (void)state;
    buf line;
    buf_init(&line, 1 << 20);
    buf_adds(&line, "Here");
    for (size_t i = 0; i < 10000; i++)
        buf_adds(&line, " xxxxxxxx");
    buf_adds(&line, ". ");
    char *text = text_of(40, line.data, "Which?");
    for (int untrusted = 0; untrusted < 2; untrusted++) {
        setting *s = begin(text, SIZE_MAX, untrusted ? S2A_PRESET_UNTRUSTED : S2A_PRESET_AUTO);
        size_t unjudged = 0;
        s->f.writes = true;
        s->in.threshold = 1000;
        assert_int_equal(judge(s), S2A_OK);
        for (size_t i = 0; i < s->in.count; i++)
            if (!s->out[i].judged) {
                assert_true(s->out[i].kept && s->out[i].score == 0);
                unjudged++;
            }
        if (untrusted) {
            assert_int_equal(unjudged, 0);
            assert_int_equal(s->f.wanted, 40 + 46 + 1); /* 90,000 bytes, 2,000 at a time */
        } else {
            assert_int_equal(s->f.calls, 2);
            assert_int_equal(s->f.wanted, 41);
            assert_int_equal(unjudged, 1);
            assert_null(strstr(s->f.seen.data, "Here xxxxxxxx"));
            assert_non_null(strstr(s->y.text.data, " xxxxxxxx. Which?"));
        }
        end(s);
    }
    free(text);
    buf_free(&line);
}

/* Nobody waits for the windows that are left. */
static void test_ends_early(void **state)
{
    (void)state;
    char *text = text_of(1000, "", "Which?");
    setting *s = begin(text, SIZE_MAX, S2A_PRESET_AUTO);
    s->in.window_tokens = 300;
    s->f.fail_at = 3;
    assert_int_equal(judge(s), S2A_BACKEND);
    assert_int_equal(s->f.calls, 3);
    assert_int_equal(s->usage.cached_tokens, 9); /* what was done is said */
    s->f.calls = s->f.fail_at = 0;
    s->f.cancel_at = 2;
    s->in.cancel = s->f.cancel = s2a_cancel_new();
    assert_int_equal(judge(s), S2A_CANCELLED);
    assert_int_equal(s->f.calls, 2);
    assert_int_equal(judge(s), S2A_CANCELLED); /* from the start */
    assert_int_equal(s->f.calls, 2);
    s2a_cancel_free(s->f.cancel);
    end(s);
    free(text);
}

/* ---- growth ------------------------------------------------------------------------------- */

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* A hundred thousand units, and as many protected spans: a step that is quadratic in them would
 * take minutes; judging takes some twelve times as long as segmenting, also under valgrind. */
static void test_growth(void **state)
{
    (void)state;
    char *text = text_of(100000, "", "Which?");
    double start = seconds();
    setting *s = begin(text, SIZE_MAX, S2A_PRESET_AUTO);
    s2a_span *protect = calloc(100000, sizeof *protect);
    assert_non_null(protect);
    for (size_t i = 0; i < 100000; i++)
        protect[i] = (s2a_span){ i, i + 1 }; /* the first 100,000 bytes */
    s->in.protect = protect;
    s->in.protect_count = 100000;
    double segmented = seconds();
    for (int keep = 0; keep < 2; keep++) {
        s->in.keep = keep * 0.5;
        s->f.calls = s->f.wanted = s->f.most_tokens = 0;
        assert_int_equal(judge(s), S2A_OK);
        assert_in_range(s->f.wanted, 94000, 96000);
        assert_true(s->f.calls > 100 && s->f.most_tokens <= 2 * 3000 + 300);
    }
    print_message("100,000 units: %.2f s to segment, %.2f s to judge twice\n", segmented - start,
                  seconds() - segmented);
    assert_true(seconds() - segmented < 10 + 60 * (segmented - start));
    free(protect);
    end(s);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),         cmocka_unit_test(test_even),
        cmocka_unit_test(test_scores),        cmocka_unit_test(test_default),
        cmocka_unit_test(test_context),       cmocka_unit_test(test_question),
        cmocka_unit_test(test_too_long_unit), cmocka_unit_test(test_ends_early),
        cmocka_unit_test(test_growth),
    };
    return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
