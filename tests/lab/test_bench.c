/* The benchmark's pure parts: prompts, plan, figures, verdict, JSON, CSV, and jobs on the script
 * backend. Figures of the fixture are worked out by hand in its comment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "bench/job.h"
#include "bench/prompt.h"
#include "bench/report.h"
#include "core/segment.h"
#include "scripted.h"

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-9 * fabs(want) + 1e-12))
        fail_msg("%.17g, not %.17g", got, want);
}

/* ---- prompts -------------------------------------------------------------------------------- */

static size_t words(void *ctx, const char *text, size_t len)
{
    size_t count = 0, *calls = ctx;
    for (size_t i = 0; i < len; i++)
        count += text[i] != ' ' && (i == 0 || text[i - 1] == ' ');
    ++*calls;
    return count;
}

static size_t no_count(void *ctx, const char *text, size_t len)
{
    (void)ctx;
    (void)text;
    (void)len;
    return 0;
}

static char *prompt(uint64_t seed, uint32_t tokens)
{
    buf out;
    size_t calls = 0;
    s2a_error err;
    buf_init(&out, (size_t)64 << 20);
    if (bench_prompt_build(seed, tokens, words, &calls, &out, &err) != S2A_OK)
        fail_msg("%s", err.message);
    assert_true(calls > 3);
    return buf_take(&out, NULL);
}

/* One fact that answers the question, one opinion against it, the question last. */
static void check_prompt(const char *text)
{
    int year = 0, wrong = 0, end = 0;
    const char *opinion = strstr(text, "I think it was in ");
    assert_non_null(opinion);
    assert_null(strstr(opinion + 1, "I think"));
    char thing[100], fact[300];
    assert_int_equal(sscanf(opinion,
                            "I think it was in %d, but I am really not sure. In which year "
                            "was the %99[^?]?%n",
                            &wrong, thing, &end),
                     2);
    assert_true(end > 0);
    assert_int_equal(opinion[end], '\0');
    char *opened = strstr(thing, " opened");
    assert_non_null(opened);
    *opened = '\0';
    snprintf(fact, sizeof fact, "The %s was opened in ", thing);
    const char *at = strstr(text, fact);
    assert_non_null(at);
    assert_null(strstr(at + 1, fact));
    assert_int_equal(sscanf(at + strlen(fact), "%d", &year), 1);
    assert_int_not_equal(year, wrong);
}

static void test_prompt_lengths(void **state)
{
    (void)state;
    static const uint32_t lengths[] = { BENCH_PROMPT_TOKENS_MIN, 200, 1000, 16000 };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            size_t calls = 0;
            char *text = prompt(seed, lengths[i]);
            double got = (double)words(&calls, text, strlen(text)), want = lengths[i];
            /* Half of the longest sentence. */
            if (fabs(got - want) > 9)
                fail_msg("seed %d: %g words, not %g", (int)seed, got, want);
            assert_int_equal(utf8_valid_prefix(text, strlen(text)), strlen(text));
            if (i < 2 || seed == 0)
                check_prompt(text);
            free(text);
        }
}

static void test_prompt_seeds(void **state)
{
    (void)state;
    char *a = prompt(7, 200), *b = prompt(7, 200), *c = prompt(8, 200);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    free(a);
    free(b);
    free(c);
}

/* A long prompt does not say a sentence twice: copies would flatter a drafter. */
static void test_prompt_repeats_little(void **state)
{
    (void)state;
    s2a_error err;
    char *text = prompt(3, 4000);
    segment_unit *units = NULL;
    size_t count = 0, again = 0;
    assert_int_equal(segment_text(text, strlen(text), NULL, &units, &count, &err), S2A_OK);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++) {
            size_t len = units[i].text_end - units[i].start;
            again += units[k].text_end - units[k].start == len &&
                     !memcmp(text + units[i].start, text + units[k].start, len);
        }
    assert_true(count > 200);
    assert_int_equal(again, 0);
    free(units);
    free(text);
}

static void test_prompt_refuses(void **state)
{
    (void)state;
    static const uint32_t bad[] = { 0, BENCH_PROMPT_TOKENS_MIN - 1, BENCH_PROMPT_TOKENS_MAX + 1 };
    buf out;
    size_t calls = 0;
    s2a_error err;
    buf_init(&out, 1000000);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(bench_prompt_build(1, bad[i], words, &calls, &out, &err), S2A_ARGUMENT);
    assert_int_equal(bench_prompt_build(1, 200, no_count, NULL, &out, &err), S2A_BACKEND);
    buf_free(&out);
    buf_init(&out, 300); /* less than 200 words take */
    assert_int_equal(bench_prompt_build(1, 200, words, &calls, &out, &err), S2A_LIMIT);
    buf_free(&out);
}

/* ---- plan ----------------------------------------------------------------------------------- */

static void test_plan(void **state)
{
    (void)state;
    static const uint32_t lengths[] = { 200, 1000, 4000 }, at_once[] = { 1, 4, 8 };
    bench_plan plan;
    bench_plan_make(lengths, 3, at_once, 3, 5, false, &plan);
    static const uint32_t want[][2] = {
        { 200, 1 }, { 200, 8 }, { 200, 4 }, { 1000, 1 }, { 4000, 1 }
    };
    assert_int_equal(plan.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(plan.blocks[i].length, want[i][0]);
        assert_int_equal(plan.blocks[i].concurrency, want[i][1]);
        assert_int_equal(plan.blocks[i].repetitions, 5);
        assert_int_equal(plan.blocks[i].arm_count, BENCH_ARMS);
    }
    assert_in_range(bench_plan_ctx_tokens(&plan, 64), 9000, 10240); /* 2 x 4000 and 8 x 2 x 200 */
    bench_plan_make(lengths, 3, at_once, 3, 3, true, &plan);
    static const uint32_t quick[][4] = {
        { 200, 1, 3, 6 }, { 1000, 1, 1, 2 }, { 200, 8, 1, 4 }, { 200, 4, 1, 4 }, { 4000, 1, 1, 2 }
    };
    assert_int_equal(plan.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(plan.blocks[i].length, quick[i][0]);
        assert_int_equal(plan.blocks[i].concurrency, quick[i][1]);
        assert_int_equal(plan.blocks[i].repetitions, quick[i][2]);
        assert_int_equal(plan.blocks[i].arm_count, quick[i][3]);
    }
}

/* In as many repetitions as there are arms each arm is once at each place. */
static void test_plan_turns(void **state)
{
    (void)state;
    static const uint32_t length = 200, at_once = 1;
    bench_plan plan;
    bench_plan_make(&length, 1, &at_once, 1, 7, false, &plan);
    bool seen[BENCH_ARMS][BENCH_ARMS] = { { false } };
    for (uint32_t r = 0; r < BENCH_ARMS; r++)
        for (size_t i = 0; i < BENCH_ARMS; i++) {
            bench_arm arm = bench_plan_arm(&plan.blocks[0], r, i);
            assert_false(seen[arm][i]);
            seen[arm][i] = true;
        }
}

/* ---- figures -------------------------------------------------------------------------------- */

static uint32_t repetition; /* of the samples that are made next */

static bench_sample sample_of(bench_arm arm, uint32_t length, uint32_t at_once, double step1_ms,
                              double total_ms)
{
    return (bench_sample){ .arm = arm,
                           .length = length,
                           .concurrency = at_once,
                           .repetition = repetition,
                           .input_tokens = length,
                           .step1_ms = step1_ms,
                           .total_ms = total_ms,
                           .wall_ms = total_ms,
                           .prefill_per_s = NAN,
                           .generate_per_s = NAN };
}

static void add(bench_report *r, bench_sample s)
{
    assert_true(bench_samples_add(&r->samples, &s));
}

/* At 200 tokens, one at a time, three repetitions (two are 0.5 and 3 times as long as this one):
 *     naive 20 s, select 2 s, rewrite 10 s, with speculation 12 s; plain 4 s, select in all 5 s;
 *     prefill 100, generation 40 tokens a second
 * so 10, 1.25, 2, 2 / (100 / 40) = 0.8, 1.2. At 8: rewrite 80 tokens in 10 s, naive 80 in 20 s;
 * plain 300 and plain-server 400 in 10 s: the lower of 2 and 0.75. Memory: 900 and 1100 over 1000.
 * Select's step 1 at 400 tokens 4 s, at 800 8 s: exponent 1. */
static void fixture(bench_report *r)
{
    static const double times[] = { 0.5, 1, 3 };
    *r = (bench_report){ .threads = 2, .backend = "llama", .machine = { .cores = 2, .load = 0.1 } };
    snprintf(r->model, sizeof r->model, "a model");
    for (size_t i = 0; i < 3; i++) {
        double t = times[i] * 1e3;
        repetition = (uint32_t)i;
        bench_sample s = sample_of(BENCH_SELECT, 200, 1, 2 * t, 5 * t);
        s.peak_kb = 900;
        add(r, s);
        add(r, sample_of(BENCH_NAIVE, 200, 1, 20 * t, 24 * t));
        s = sample_of(BENCH_REWRITE, 200, 1, 10 * t, 14 * t);
        s.peak_kb = 1100 - 10 * i;
        s.step1.drafted_tokens = 100;
        s.step1.accepted_tokens = 75;
        add(r, s);
        add(r, sample_of(BENCH_NAIVE_SPEC, 200, 1, 12 * t, 16 * t));
        s = sample_of(BENCH_PLAIN, 200, 1, 0, 4 * t);
        s.prefill_per_s = 100 * times[i];
        s.generate_per_s = 40 * times[i];
        add(r, s);
        s = sample_of(BENCH_SERVER_PLAIN, 200, 1, 0, 4 * t);
        s.peak_kb = 1000;
        add(r, s);
    }
    repetition = 0;
    bench_sample s = sample_of(BENCH_REWRITE, 200, 8, 9e3, 10e3);
    s.step1.completion_tokens = 60;
    s.step2.completion_tokens = 20;
    add(r, s);
    s.arm = BENCH_NAIVE;
    s.wall_ms = 20e3;
    add(r, s);
    s = sample_of(BENCH_PLAIN, 200, 8, 0, 10e3);
    s.step2.completion_tokens = 300;
    add(r, s);
    s.arm = BENCH_SERVER_PLAIN;
    s.step2.completion_tokens = 400;
    add(r, s);
    add(r, sample_of(BENCH_SELECT, 400, 1, 4e3, 9e3));
    add(r, sample_of(BENCH_SELECT, 800, 1, 8e3, 9e3));
    static const uint32_t lengths[] = { 200, 400, 800 }, at_once[] = { 1, 8 };
    bench_plan_make(lengths, 3, at_once, 2, 3, true, &r->plan);
    bench_figures_compute(&r->samples, &r->skips, 200, r->figures);
}

static const double fixture_values[BENCH_FIGURES] = { 10, 1.25, 2, 0.8, 1.2, 0.75, 1.1, 1 };

static void test_figures(void **state)
{
    (void)state;
    static bench_report r;
    fixture(&r);
    for (int i = 0; i < BENCH_FIGURES; i++) {
        if (r.figures[i].reason[0])
            fail_msg("%s: %s", bench_figures[i].name, r.figures[i].reason);
        near(r.figures[i].value, fixture_values[i]);
    }
    assert_int_equal(r.figures[BENCH_FIGURE_SELECT_STEP1].n, 3);
    assert_int_equal(r.figures[BENCH_FIGURE_THROUGHPUT].n, 1);
    assert_int_equal(r.figures[BENCH_FIGURE_GROWTH].n, 1);
    bench_spread s = bench_spread_of(&r.samples, BENCH_NAIVE, 200, 1, BENCH_STEP1_MS);
    assert_int_equal(s.n, 3);
    near(s.median, 20e3);
    near(s.low, 15e3);
    near(s.high, 40e3);
    bench_report_free(&r);
}

/* Two arms are compared on the same prompts: select is twice as fast in each repetition, but by
 * the medians of all runs 10 / 4 = 2.5 times, because naive was run once more. */
static void test_pairs(void **state)
{
    (void)state;
    static const double naive[] = { 30e3, 12e3, 8e3, 4e3 }, select[] = { 0, 6e3, 4e3, 2e3 };
    static bench_report r;
    r = (bench_report){ .threads = 1 };
    const bench_figure *figure = &r.figures[BENCH_FIGURE_SELECT_STEP1];
    for (repetition = 0; repetition < 4; repetition++) {
        add(&r, sample_of(BENCH_NAIVE, 200, 1, naive[repetition], 1e3));
        if (repetition > 0)
            add(&r, sample_of(BENCH_SELECT, 200, 1, select[repetition], 1e3));
    }
    bench_figures_compute(&r.samples, &r.skips, 200, r.figures);
    near(figure->value, 2);
    assert_int_equal(figure->n, 3);
    bench_report_free(&r);
    /* None in common. */
    r = (bench_report){ .threads = 1 };
    add(&r, sample_of(BENCH_NAIVE, 200, 1, 1e3, 1e3));
    repetition = 0;
    add(&r, sample_of(BENCH_SELECT, 200, 1, 1e3, 1e3));
    bench_figures_compute(&r.samples, &r.skips, 200, r.figures);
    assert_true(isnan(figure->value));
    assert_string_equal(figure->reason,
                        "select: it was run in no repetition that the other was run in");
    bench_report_free(&r);
}

static void test_slope(void **state)
{
    (void)state;
    double x[] = { 1, 10, 100 }, square[] = { 3, 300, 30000 }, none[] = { 1, 0, 1 };
    double same[] = { 5, 5, 5 };
    near(bench_log_slope(x, square, 3), 2);
    near(bench_log_slope(x, same, 3), 0);
    /* ln y = 0, 1, 0 over ln x = 0, 1, 3: (-1/3) / (14/3) */
    double ex[] = { 1, exp(1), exp(3) }, ey[] = { 1, exp(1), 1 };
    near(bench_log_slope(ex, ey, 3), -1.0 / 14);
    assert_true(isnan(bench_log_slope(same, x, 3)));
    assert_true(isnan(bench_log_slope(x, none, 3)));
    assert_true(isnan(bench_log_slope(x, x, 1)));
    assert_true(isnan(bench_log_slope(x, x, 0)));
}

static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        bench_figure_id id;
        double value;
        bench_verdict want;
    } rows[] = {
        { BENCH_FIGURE_SELECT_STEP1, 5, BENCH_MET },
        { BENCH_FIGURE_SELECT_STEP1, 4.999, BENCH_MISSED },
        { BENCH_FIGURE_SELECT_TOTAL, 1.25, BENCH_MET },
        { BENCH_FIGURE_SELECT_TOTAL, 1.2501, BENCH_MISSED },
        { BENCH_FIGURE_REWRITE, 0.1, BENCH_NO_GOAL },
        { BENCH_FIGURE_REWRITE_SPEC, 1, BENCH_MISSED },
        { BENCH_FIGURE_REWRITE_SPEC, 1.0001, BENCH_MET },
        { BENCH_FIGURE_THROUGHPUT, 1, BENCH_MET },
        { BENCH_FIGURE_RSS, 1, BENCH_MET },
        { BENCH_FIGURE_RSS, 1.01, BENCH_MISSED },
        { BENCH_FIGURE_REWRITE, NAN, BENCH_NOT_MEASURED },
        { BENCH_FIGURE_GROWTH, INFINITY, BENCH_NOT_MEASURED },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (bench_figure_verdict(rows[i].id, rows[i].value) != rows[i].want)
            fail_msg("%s %g", bench_figures[rows[i].id].name, rows[i].value);
}

/* What lacks says so: the arm, and why. */
static void test_missing(void **state)
{
    (void)state;
    static bench_report r;
    r = (bench_report){ .threads = 1 };
    bench_figures_compute(&r.samples, &r.skips, 200, r.figures);
    for (int i = 0; i < BENCH_FIGURES; i++) {
        assert_true(isnan(r.figures[i].value));
        assert_non_null(strstr(r.figures[i].reason, ": it was not run"));
    }
    add(&r, sample_of(BENCH_SELECT, 200, 1, 1e3, 2e3));
    assert_true(bench_skips_add(&r.skips, BENCH_NAIVE, 0, 0, "no llama-server"));
    assert_true(bench_skips_add(&r.skips, BENCH_PLAIN, 200, 1, "does not fit"));
    assert_null(bench_skips_find(&r.skips, BENCH_PLAIN, 200, 8));
    assert_null(bench_skips_find(&r.skips, BENCH_PLAIN, 400, 1));
    bench_figures_compute(&r.samples, &r.skips, 200, r.figures);
    assert_string_equal(r.figures[BENCH_FIGURE_SELECT_STEP1].reason, "naive: no llama-server");
    assert_string_equal(r.figures[BENCH_FIGURE_SELECT_TOTAL].reason, "plain: does not fit");
    assert_non_null(strstr(r.figures[BENCH_FIGURE_GROWTH].reason, "at one length only"));
    /* A time of nothing is no ratio. */
    bench_skips_free(&r.skips);
    add(&r, sample_of(BENCH_PLAIN, 200, 1, 0, 0));
    bench_figures_compute(&r.samples, &r.skips, 200, r.figures);
    assert_int_equal(
        bench_figure_verdict(BENCH_FIGURE_SELECT_TOTAL, r.figures[BENCH_FIGURE_SELECT_TOTAL].value),
        BENCH_NOT_MEASURED);
    assert_non_null(strstr(r.figures[BENCH_FIGURE_SELECT_TOTAL].reason, "no time"));
    bench_report_free(&r);
}

/* ---- what is shown -------------------------------------------------------------------------- */

static void test_json(void **state)
{
    (void)state;
    static const char *const names[] = { "select_step1_speedup",
                                         "select_total_over_plain",
                                         "rewrite_speedup",
                                         "rewrite_share_of_limit",
                                         "rewrite_over_server_speculation",
                                         "throughput_8_over_server",
                                         "rss_over_server",
                                         "growth_exponent" };
    static bench_report r;
    fixture(&r);
    json_t *json = bench_report_json(&r);
    assert_int_equal(json_object_size(json), BENCH_FIGURES + 1);
    for (int i = 0; i < BENCH_FIGURES; i++)
        near(json_number_value(json_object_get(json, names[i])), fixture_values[i]);
    const json_t *detail = json_object_get(json, "detail");
    assert_int_equal(json_object_size(json_object_get(detail, "not_measured")), 0);
    assert_int_equal(json_array_size(json_object_get(detail, "runs")), r.samples.count);
    assert_int_equal(json_array_size(json_object_get(detail, "cells")), 12);
    assert_int_equal(json_array_size(json_object_get(detail, "by_length")), 3);
    const json_t *select = json_array_get(json_object_get(detail, "cells"), 0);
    const json_t *step1 = json_object_get(select, "step1_ms");
    near(json_number_value(json_object_get(step1, "median")), 2e3);
    near(json_number_value(json_object_get(step1, "q1")), 1.5e3);
    const json_t *rewrite = json_array_get(json_object_get(detail, "cells"), 1);
    near(json_number_value(json_object_get(rewrite, "acceptance")), 0.75);
    json_decref(json);
    bench_report_free(&r);

    r = (bench_report){ .threads = 1 };
    bench_figures_compute(&r.samples, &r.skips, 200, r.figures);
    json = bench_report_json(&r);
    detail = json_object_get(json, "detail");
    for (int i = 0; i < BENCH_FIGURES; i++) {
        assert_true(json_is_null(json_object_get(json, names[i])));
        assert_true(
            json_is_string(json_object_get(json_object_get(detail, "not_measured"), names[i])));
    }
    json_decref(json);
}

static void has(const buf *text, const char *want)
{
    if (!strstr(text->data, want))
        fail_msg("no \"%s\" in:\n%s", want, text->data);
}

static void test_verdict_text(void **state)
{
    (void)state;
    static bench_report r;
    buf text;
    fixture(&r);
    buf_init(&text, 65536);
    bench_report_text(&r, &text);
    assert_int_equal(text.status, S2A_OK);
    has(&text, "a model, 2 threads, prompts of 200 tokens");
    has(&text, "times faster than naive                      10.00   at least 5       met\n");
    has(&text, "8 at once: throughput over llama-server's                     0.75   at least 1    "
               "   MISSED\n");
    has(&text, "   none of its own\n");
    has(&text, "5 of 7 goals met, 2 missed, 0 not measured. Medians of 1 run or more.\n");
    assert_null(strstr(text.data, "busy"));
    assert_null(strstr(text.data, "not measured:"));
    has(&text, "rewrite               200       1    3     10.00     14.00");
    has(&text, " 75 %\n");
    buf_free(&text);
    r.machine.load = 1.5;
    r.quick = true;
    r.figures[BENCH_FIGURE_RSS] = (bench_figure){ .value = NAN, .reason = "naive: why not" };
    bench_report_text(&r, &text);
    has(&text, "rss_over_server: not measured: naive: why not\n");
    has(&text, "busy when the run began (load 1.5 on 2 cores)");
    has(&text, "--quick");
    has(&text, "5 of 7 goals met, 1 missed, 1 not measured.");
    for (const char *line = text.data; line; line = strchr(line + 1, '\n')) /* no spaces at ends */
        assert_true(line == text.data || line[-1] != ' ');
    buf_free(&text);
    bench_report_free(&r);
}

static size_t lines(const buf *text, char what)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len; i++)
        n += text->data[i] == what;
    return n;
}

static void test_csv(void **state)
{
    (void)state;
    static bench_report r;
    buf text;
    fixture(&r);
    buf_init(&text, 65536);
    bench_report_runs_csv(&r, &text);
    assert_int_equal(lines(&text, '\n'), r.samples.count + 1);
    assert_int_equal(lines(&text, ','), 17 * (r.samples.count + 1));
    buf_reset(&text);
    bench_report_cells_csv(&r, &text);
    assert_int_equal(lines(&text, '\n'), 13);
    assert_int_equal(lines(&text, ','), 21 * 13);
    has(&text, "select,200,1,3,2000.000,1500.000,4000.000,5000.000,");
    buf_reset(&text);
    bench_report_figures_csv(&r, &text);
    assert_int_equal(lines(&text, '\n'), BENCH_FIGURES + 1);
    has(&text, "rewrite_share_of_limit,0.8000,at least 0.8,met,3,\n");
    buf_free(&text);
    bench_report_free(&r);
}

static void test_files(void **state)
{
    (void)state;
    static const char *const names[] = { "runs.csv",
                                         "cells.csv",
                                         "figures.csv",
                                         "verdict.txt",
                                         "bench.json",
                                         "time-over-length.svg",
                                         "time-over-length.png",
                                         "throughput-over-concurrency.svg",
                                         "throughput-over-concurrency.png",
                                         "tokens-against-cost.svg",
                                         "tokens-against-cost.png" };
    static bench_report r;
    s2a_error err;
    char dir[] = "/tmp/s2a-bench-XXXXXX", path[256];
    fixture(&r);
    for (size_t i = 0; i < r.samples.count; i++) /* the plot of cost needs tokens */
        r.samples.items[i].step2.prompt_tokens = r.samples.items[i].length;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a/b", dir);
    if (bench_report_write(&r, path, &err) != S2A_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat info;
        snprintf(path, sizeof path, "%s/a/b/%s", dir, names[i]);
        if (stat(path, &info) != 0 || info.st_size < 50)
            fail_msg("%s is not there", path);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/a/b", dir);
    assert_int_equal(rmdir(path), 0); /* nothing else was written */
    snprintf(path, sizeof path, "%s/a", dir);
    rmdir(path);
    rmdir(dir);
    assert_int_equal(bench_report_write(&r, "/dev/null/x", &err), S2A_IO);
    bench_report_free(&r);
}

/* ---- jobs ----------------------------------------------------------------------------------- */

static void job_run_on(const char *records, size_t count, uint32_t max_tokens, bench_done *done)
{
    s2a_engine *engine = scripted_engine(records);
    s2a_error err;
    char text[] = "I think it was Poe. The poem is from 1855. Who wrote it?";
    char *texts[BENCH_CONCURRENCY_MAX];
    for (size_t i = 0; i < BENCH_CONCURRENCY_MAX; i++)
        texts[i] = text;
    bench_job job = { .mode = S2A_MODE_REWRITE,
                      .preset = S2A_PRESET_OPINION,
                      .texts = texts,
                      .max_tokens = max_tokens,
                      .count = count };
    json_t *json = bench_job_json(&job);
    bench_job again;
    assert_true(bench_job_from_json(json, &again));
    json_decref(json);
    assert_int_equal(again.mode, job.mode);
    assert_int_equal(again.preset, job.preset);
    assert_int_equal(again.count, count);
    s2a_status status = bench_job_run(engine, &again, NULL, done, &err);
    if (status != S2A_OK)
        fail_msg("%s", err.message);
    bench_job_free(&again);
    s2a_engine_close(engine);
}

static void test_job(void **state)
{
    (void)state;
    static bench_done done, back;
    s2a_error err = { .status = S2A_OK };
    job_run_on(
        "@sleep 40\nUnbiased text context: The poem is from 1855.\n\nQuestion/Query: Who wrote "
        "it?\n%%\n@sleep 20\nWalt Whitman wrote it.\n",
        1, 2, &done);
    const bench_timing *t = &done.timings[0];
    assert_int_equal(done.count, 1);
    assert_int_equal(t->status, S2A_OK);
    assert_false(t->fell_back);
    assert_true(t->step1_ms >= 40 && t->total_ms >= t->step1_ms + 20 &&
                done.wall_ms >= t->total_ms);
    assert_true(t->first_ms >= 20 && t->last_ms >= t->first_ms);
    assert_int_equal(t->step2.completion_tokens, 2);
    bench_sample s = { .concurrency = 1 };
    assert_int_equal(bench_done_sum(&done, &s, &err), S2A_OK);
    near(s.step1_ms, t->step1_ms);
    /* As it comes out of the pipe. */
    json_t *json = bench_done_json(&done);
    assert_true(bench_done_from_json(json, &back));
    json_decref(json);
    assert_int_equal(back.count, 1);
    near(back.timings[0].step1_ms, t->step1_ms);
    assert_int_equal(back.timings[0].step1.prompt_tokens, t->step1.prompt_tokens);
}

static void test_job_at_once(void **state)
{
    (void)state;
    static bench_done done;
    s2a_error err;
    job_run_on("@sleep 60\nanything at all\n", 8, 4, &done);
    assert_int_equal(done.count, 8);
    assert_true(done.wall_ms < 8 * 2 * 60); /* at once, not one after the other */
    bench_sample s = { .concurrency = 8 };
    assert_int_equal(bench_done_sum(&done, &s, &err), S2A_OK);
    assert_int_equal(s.fallbacks, 8); /* no question in what the model wrote */
    assert_int_equal(s.step2.completion_tokens, 8 * 3);
}

/* A step 1 that failed is no measurement, though a user would get an answer. */
static void test_job_fails(void **state)
{
    (void)state;
    static bench_done done;
    s2a_error err;
    bench_sample s = { .concurrency = 1 };
    job_run_on("@error limit it is too long\n%%\nanswer\n", 1, 4, &done);
    assert_int_not_equal(bench_done_sum(&done, &s, &err), S2A_OK);
    assert_non_null(strstr(err.message, "it is too long"));
    job_run_on("one\n%%\n@error timeout no answer\n", 1, 4, &done);
    assert_int_equal(bench_done_sum(&done, &s, &err), S2A_TIMEOUT);
}

static void test_json_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "null",
        "[]",
        "{}",
        "{\"mode\":\"select\",\"preset\":\"auto\",\"max_tokens\":1,\"texts\":[]}",
        "{\"mode\":\"none\",\"preset\":\"what\",\"max_tokens\":1,\"texts\":[\"x\"]}",
        "{\"mode\":\"what\",\"preset\":\"auto\",\"max_tokens\":1,\"texts\":[\"x\"]}",
        "{\"mode\":\"none\",\"preset\":\"plain\",\"max_tokens\":0,\"texts\":[\"x\"]}",
        "{\"mode\":\"none\",\"preset\":\"plain\",\"max_tokens\":1,\"texts\":[\"x\",1]}",
        "{\"requests\":[1]}",
        "{\"requests\":[]}",
        "{\"backend\":1}",
    };
    static bench_done done;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *json = json_loads(bad[i], JSON_DECODE_ANY, NULL);
        bench_job job;
        bench_engine engine;
        assert_non_null(json);
        assert_false(bench_job_from_json(json, &job));
        assert_false(bench_done_from_json(json, &done));
        assert_false(bench_engine_from_json(json, &engine));
        json_decref(json);
    }
    bench_engine engine = { .backend = "llama",
                            .model = "m",
                            .ctx_tokens = 5,
                            .threads = 6,
                            .gpu_layers = -1,
                            .draft = true,
                            .head = "a.head" };
    bench_engine back;
    json_t *json = bench_engine_json(&engine);
    assert_true(bench_engine_from_json(json, &back));
    assert_string_equal(back.model, "m");
    assert_null(back.url);
    assert_int_equal(back.gpu_layers, -1);
    assert_true(back.draft);
    assert_string_equal(back.head, "a.head");
    json_decref(json);
    engine.head = NULL; /* the built-in one */
    json = bench_engine_json(&engine);
    assert_true(bench_engine_from_json(json, &back));
    assert_null(back.head);
    json_decref(json);
}

static void test_micro(void **state)
{
    (void)state;
    bench_micro micro;
    s2a_error err;
    assert_int_equal(bench_micro_run(1, NULL, &micro, &err), S2A_OK);
    assert_true(micro.segment_mb_per_s > 0 && micro.parse_mb_per_s > 0);
    s2a_cancel *cancel = s2a_cancel_new();
    s2a_cancel_fire(cancel);
    assert_int_equal(bench_micro_run(1, cancel, &micro, &err), S2A_CANCELLED);
    s2a_cancel_free(cancel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompt_lengths),
        cmocka_unit_test(test_prompt_seeds),
        cmocka_unit_test(test_prompt_repeats_little),
        cmocka_unit_test(test_prompt_refuses),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_plan_turns),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_slope),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_verdict_text),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_job),
        cmocka_unit_test(test_job_at_once),
        cmocka_unit_test(test_job_fails),
        cmocka_unit_test(test_json_refused),
        cmocka_unit_test(test_micro),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
