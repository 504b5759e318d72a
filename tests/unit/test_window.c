/* Texts in many windows: every unit is decided once, no window is too large, and what comes out does
 * not depend on where the windows are. The backend is a fake whose judgement of a unit is written in
 * the unit: "Unit 17 weighs 3." */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/clause.h"
#include "core/error.h"
#include "core/select.h"
#include "core/window.h"

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

static void check_beside(const size_t *cost, size_t count, const window *w, size_t most, size_t margin)
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

/* ---- the fake ----------------------------------------------------------------------------- */

typedef struct fake {
    backend base;
    backend_capabilities can;
    size_t calls, fail_at, cancel_at;
    size_t most;     /* tokens of a prompt so far */
    size_t judged;   /* branches, or spans */
    s2a_cancel *cancel;
    bool long_seen;  /* a prompt had the line that is too long */
} fake;

static size_t count_words(backend *self, const char *text, size_t len)
{
    (void)self;
    size_t words = 0;
    for (size_t i = 0; i < len; i++)
        words += text[i] != ' ' && text[i] != '\n' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\n');
    return words;
}

static backend_capabilities capabilities(const backend *self)
{
    return ((const fake *)self)->can;
}

/* The call counts; what it is to do then. */
static s2a_status called(fake *f, const char *text, size_t len, backend_usage *usage, s2a_error *err)
{
    f->calls++;
    size_t tokens = count_words(NULL, text, len);
    f->most = tokens > f->most ? tokens : f->most;
    f->long_seen |= strstr(text, "xxxxxxxx") != NULL;
    *usage = (backend_usage){ .tokens = { tokens, 3, 0, 0, 0, 0.5 } };
    if (f->calls == f->cancel_at)
        s2a_cancel_fire(f->cancel);
    return f->calls == f->fail_at ? error_set(err, S2A_BACKEND, "the fake failed") : S2A_OK;
}

static s2a_status fake_score(backend *self, const backend_message *messages, size_t count,
                             const backend_branch *branches, size_t branch_count,
                             const char *const *labels, size_t label_count,
                             const backend_params *params, double *logprob, backend_usage *usage,
                             s2a_error *err)
{
    (void)labels, (void)params;
    fake *f = (fake *)self;
    const char *prompt = messages[count - 1].content;
    assert_int_equal(label_count, 3);
    assert_int_equal(strncmp(prompt, "[1] ", 4), 0); /* in each window */
    assert_non_null(strstr(prompt, "Question: Which?"));
    for (size_t i = 0; i < branch_count; i++) {
        size_t number = 0, unit = 0;
        int weight = 0;
        char line[64];
        assert_int_equal(sscanf(branches[i].forced, "[%zu] \"Unit %zu weighs %d.", &number, &unit, &weight), 3);
        snprintf(line, sizeof line, "[%zu] Unit %zu weighs %d.\n", number, unit, weight);
        assert_non_null(strstr(prompt, line)); /* the number is that of the list */
        double *row = logprob + 3 * i;
        row[0] = weight;
        row[1] = 0;
        row[2] = -1;
    }
    f->judged += branch_count;
    return called(f, prompt, messages[count - 1].len, usage, err);
}

/* A softmax over the units and one thing that all windows have: a head of weight e^w for each unit, a
 * head where all units weigh the same. */
static s2a_status fake_attention(backend *self, const char *text, size_t len, const s2a_span *units,
                                 size_t unit_count, const char *const *questions,
                                 size_t question_count, const backend_params *params, float *mass,
                                 backend_usage *usage, s2a_error *err)
{
    (void)params, (void)question_count;
    fake *f = (fake *)self;
    assert_string_equal(questions[0], "\n\nQuestion: Which?");
    assert_non_null(memmem(text, len, "Which?", 6)); /* it is read twice */
    double sum = 1;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < unit_count; i++) {
            int weight = 0, unit = 0;
            assert_true(units[i].start < units[i].end && units[i].end <= len);
            sscanf(text + units[i].start, "Unit %d weighs %d.", &unit, &weight);
            if (pass == 0)
                sum += exp(weight);
            mass[2 * i] = (float)(1.0 / (double)(unit_count + 1));
            mass[2 * i + 1] = (float)(exp(weight) / sum);
        }
    f->judged += unit_count;
    char *shown = strndup(text, len);
    s2a_status status = called(f, shown, len, usage, err);
    free(shown);
    return status;
}

static const backend_vtable fake_vtable = { .score = fake_score, .attention = fake_attention,
                                            .count_tokens = count_words,
                                            .capabilities = capabilities };

typedef struct setting {
    fake f;
    prompt_set prompts;
    select_examples examples;
    s2a_calibration calibration;
    select_input in;
    segment_unit *units;
    select_unit *out;
    select_text y;
    s2a_usage usage;
    s2a_error err;
} setting;

static char select_prompt[] = "{{input}}\n\nQuestion: {{question}}";

static setting *begin(const char *text)
{
    setting *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->f.base.vtable = &fake_vtable;
    s->f.can = (backend_capabilities){ .can_score = true, .counts_tokens = true };
    s->prompts.text[PROMPT_SELECT] = select_prompt;
    s->prompts.len[PROMPT_SELECT] = strlen(select_prompt);
    s->calibration = (s2a_calibration){ .relevance_border = -1, .relevance_ratio = 0.5,
                                        .relevance_cap = 3, .opinion_border = -100 };
    size_t count = 0;
    assert_int_equal(segment_text(text, strlen(text), NULL, &s->units, &count, NULL), S2A_OK);
    assert_int_equal(clause_split(text, NULL, &s->units, &count, NULL), S2A_OK);
    s->in = (select_input){ .backend = &s->f.base, .prompts = &s->prompts, .examples = &s->examples,
                            .text = text, .units = s->units, .count = count,
                            .question_start = SIZE_MAX, .calibration = &s->calibration };
    s->out = calloc(count + 1, sizeof *s->out);
    assert_non_null(s->out);
    return s;
}

static s2a_status judge(setting *s)
{
    select_text_free(&s->y);
    s2a_status status = select_judge(&s->in, s->out, &s->usage, &s->err);
    if (status == S2A_OK)
        assert_int_equal(select_compose(&s->in, s->out, strlen(s->in.text), &s->y, &s->err), S2A_OK);
    return status;
}

static void end(setting *s)
{
    select_text_free(&s->y);
    free(s->out);
    free(s->units);
    free(s);
}

/* Weights from 0 to 4, but for that of one unit. */
static char *text_of(size_t count, size_t heavy, int weight, const char *in_the_middle)
{
    buf text;
    buf_init(&text, (size_t)1 << 28);
    uint32_t seed = 3;
    for (size_t i = 0; i < count; i++) {
        int w = (int)(random_next(&seed) % 5);
        buf_addf(&text, "Unit %zu weighs %d. ", i, i == heavy ? weight : w);
        if (i == count / 2)
            buf_adds(&text, in_the_middle);
    }
    buf_adds(&text, "Which?");
    char *out = buf_take(&text, NULL);
    assert_non_null(out);
    return out;
}

/* ---- judging ------------------------------------------------------------------------------ */

/* As in one window, figure by figure: the heaviest unit is in the first window, and raises the border
 * of all. */
static void test_scores(void **state)
{
    (void)state;
    char *text = text_of(1000, 2, 6, "");
    setting *one = begin(text), *many = begin(text);
    one->in.window_tokens = 1000000;
    many->in.window_tokens = 300;
    assert_int_equal(judge(one), S2A_OK);
    assert_int_equal(judge(many), S2A_OK);
    assert_int_equal(one->f.calls, 1);
    /* 12 tokens a unit; 270 of 300 are a window's own */
    assert_in_range(many->f.calls, 12009 / 270, 12009 / 270 + 2);
    assert_int_equal(many->f.judged, 1000);
    assert_true(many->f.most <= 300);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(many->out[i].judged && many->out[i].score == one->out[i].score);
        assert_int_equal(many->out[i].kept, many->out[i].needed >= 2); /* -1 + min(3, 0.5 * 6) */
    }
    assert_string_equal(one->y.text.data, many->y.text.data);
    assert_true(one->y.changed);
    assert_int_equal(many->usage.cached_tokens, 3 * many->f.calls);
    assert_true(many->usage.prompt_tokens > one->usage.prompt_tokens);
    assert_true(fabs(many->usage.ms - 0.5 * (double)many->f.calls) < 1e-6);
    end(one);
    end(many);
    free(text);
}

/* A text of less than the default is in one window, one of more is not. */
static void test_default(void **state)
{
    (void)state;
    for (size_t units = 165; units <= 167; units++) { /* 12 tokens each, and 9 for the question */
        char *text = text_of(units, SIZE_MAX, 0, "");
        setting *s = begin(text);
        assert_int_equal(judge(s), S2A_OK);
        assert_int_equal(s->f.calls, units * 12 + 9 <= 2000 ? 1 : 2);
        end(s);
        free(text);
    }
}

/* The judgement's context is smaller than a window, and holds examples too. */
static void test_context(void **state)
{
    (void)state;
    char *text = text_of(300, SIZE_MAX, 0, "");
    setting *s = begin(text);
    s->examples.tokens = 500;
    s->f.can.ctx_tokens = 100000;
    s->f.can.score_tokens = 1000;
    assert_int_equal(judge(s), S2A_OK);
    assert_true(s->f.calls > 10);
    assert_true(s->f.most + 500 < 1000);
    s->f.can.score_tokens = 500 + 192 + 9 + 64; /* examples, room, question, and the least of a text */
    assert_int_equal(judge(s), S2A_OK);
    s->f.can.score_tokens--;
    assert_int_equal(judge(s), S2A_LIMIT);
    assert_non_null(strstr(s->err.message, "shorten the question"));
    s->f.can.counts_tokens = false; /* who only guesses asks */
    assert_int_equal(judge(s), S2A_OK);
    s->f.can = (backend_capabilities){ .can_score = true };
    s->f.most = 0;
    s->examples.tokens = 0;
    assert_int_equal(judge(s), S2A_OK);
    assert_true(s->f.most <= 2000);
    end(s);
    free(text);
}

static void test_too_long_unit(void **state)
{
    (void)state;
    buf line;
    buf_init(&line, 1 << 20);
    buf_adds(&line, "\n\n```\n");
    for (size_t i = 0; i < 100000; i++)
        buf_adds(&line, "x");
    buf_adds(&line, "\n```\n\n");
    char *text = text_of(40, SIZE_MAX, 0, line.data);
    setting *s = begin(text);
    assert_int_equal(judge(s), S2A_OK);
    assert_int_equal(s->f.calls, 2);
    assert_int_equal(s->f.judged, 40);
    assert_false(s->f.long_seen);
    size_t unjudged = 0;
    for (size_t i = 0; i < s->in.count; i++)
        if (!s->out[i].judged && !s->out[i].question) {
            assert_true(s->out[i].kept && s->out[i].score == 0);
            unjudged++;
        }
    assert_int_equal(unjudged, 1);
    s->in.threshold = 1000;
    assert_int_equal(judge(s), S2A_OK);
    assert_non_null(strstr(s->y.text.data, "xxx\n```\n\nWhich?"));
    end(s);
    free(text);
    buf_free(&line);
}

/* Nobody waits for the windows that are left. */
static void test_ends_early(void **state)
{
    (void)state;
    char *text = text_of(1000, SIZE_MAX, 0, "");
    setting *s = begin(text);
    s->f.fail_at = 3;
    assert_int_equal(judge(s), S2A_BACKEND);
    assert_int_equal(s->f.calls, 3);
    assert_int_equal(s->usage.cached_tokens, 9); /* what was done is said */
    s->f = (fake){ .base = s->f.base, .can = s->f.can, .cancel_at = 2 };
    s->in.cancel = s->f.cancel = s2a_cancel_new();
    assert_int_equal(judge(s), S2A_CANCELLED);
    assert_int_equal(s->f.calls, 2);
    s2a_cancel_free(s->f.cancel);
    end(s);
    free(text);
}

/* Many questions are not repeated in every window: the last of them are. */
static void test_many_questions(void **state)
{
    (void)state;
    buf text;
    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < 600; i++)
        buf_addf(&text, "Unit %zu weighs 1. Is it so? ", i);
    buf_adds(&text, "Which?");
    static char prompt[] = "{{input}}\n\n{{question}}\nQuestion: Which?";
    setting *s = begin(text.data);
    s->prompts.text[PROMPT_SELECT] = prompt;
    s->prompts.len[PROMPT_SELECT] = strlen(prompt);
    assert_int_equal(judge(s), S2A_OK);
    assert_int_equal(s->f.judged, 600);
    assert_true(s->f.calls > 5 && s->f.most < 2000 + 480);
    end(s);
    buf_free(&text);
}

/* ---- attention ---------------------------------------------------------------------------- */

/* Shares of attention are those of one window, though each window's add up to one. */
static void test_attention(void **state)
{
    (void)state;
    char *text = text_of(400, 390, 9, "");
    setting *one = begin(text), *many = begin(text);
    many->f.can.attention_heads = one->f.can.attention_heads = 2;
    many->f.can.can_read_attention = one->f.can.can_read_attention = true;
    many->in.keep = one->in.keep = 0.3;
    one->in.window_tokens = 1000000;
    many->in.window_tokens = 200;
    assert_int_equal(judge(one), S2A_OK);
    assert_int_equal(judge(many), S2A_OK);
    assert_true(one->f.calls == 1 && many->f.calls > 20);
    size_t kept = 0;
    for (size_t i = 0; i < 400; i++) {
        assert_true(many->out[i].attended);
        if (fabs(many->out[i].score - one->out[i].score) > 1e-3)
            fail_msg("unit %zu: %g and %g", i, many->out[i].score, one->out[i].score);
        kept += many->out[i].kept;
        for (size_t k = 0; k < 400; k++) /* the best */
            assert_true(!many->out[i].kept || many->out[k].kept ||
                        many->out[i].score > many->out[k].score - 1e-3);
    }
    assert_true(many->out[390].kept && kept > 100 && kept < 125);
    end(one);
    end(many);
    free(text);
}

/* The second head of the fake tells the units apart, the first does not. */
static void test_attention_heads(void **state)
{
    (void)state;
    char *text = text_of(20, 15, 9, "");
    static const struct {
        s2a_calibration heads;
        bool tells;
    } cases[] = {
        { { .attention_heads = { 1 }, .attention_head_count = 1 }, true },
        { { .attention_heads = { 0 }, .attention_head_count = 1 }, false },
        { { .attention_heads = { 0, 1 }, .attention_head_count = 2 }, true },
        { { .attention_head_count = 0 }, true },                             /* the upper half is read ... */
        { { .attention_heads = { 0, 2 }, .attention_head_count = 2 }, true }, /* no third: that as well */
        { { .attention_heads = { 0 }, .attention_head_count = 9 }, true },   /* too many: that as well */
    };
    size_t count = sizeof cases / sizeof cases[0];
    for (size_t n = 0; n < 2 * count; n++) { /* with the question in the text, and apart */
        size_t c = n % count;
        setting *s = begin(text);
        s->in.question_start = n < count ? SIZE_MAX : (size_t)(strstr(text, "Which?") - text);
        s->f.can.attention_heads = 2;
        s->f.can.can_read_attention = true;
        s->in.keep = 0.3;
        memcpy(s->calibration.attention_heads, cases[c].heads.attention_heads,
               sizeof cases[c].heads.attention_heads);
        s->calibration.attention_head_count = cases[c].heads.attention_head_count;
        assert_int_equal(judge(s), S2A_OK);
        double low = INFINITY, high = -INFINITY;
        for (size_t i = 0; i < 20; i++) {
            low = fmin(low, s->out[i].score);
            high = fmax(high, s->out[i].score);
        }
        assert_true(s->out[15].attended);
        assert_int_equal(high - low > 1, cases[c].tells);
        assert_true(!cases[c].tells || s->out[15].score >= high);
        end(s);
    }
    free(text);
}

/* ---- growth ------------------------------------------------------------------------------- */

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* A hundred thousand units: a step that is quadratic in them would take minutes. */
static void test_growth(void **state)
{
    (void)state;
    char *text = text_of(100000, SIZE_MAX, 0, "");
    double start = seconds();
    setting *s = begin(text);
    double segmented = seconds();
    for (int keep = 0; keep < 2; keep++) {
        s->in.keep = keep * 0.5;
        s->f = (fake){ .base = s->f.base, .can = s->f.can };
        assert_int_equal(judge(s), S2A_OK);
        assert_int_equal(s->f.judged, 100000);
        assert_true(s->f.calls > 600 && s->f.most <= 2000);
    }
    print_message("100,000 units: %.2f s to segment, %.2f s to judge twice\n", segmented - start,
                  seconds() - segmented);
    assert_true(seconds() - start < 10);
    end(s);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),     cmocka_unit_test(test_even),
        cmocka_unit_test(test_scores),    cmocka_unit_test(test_default),
        cmocka_unit_test(test_context),   cmocka_unit_test(test_too_long_unit),
        cmocka_unit_test(test_ends_early), cmocka_unit_test(test_many_questions),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_attention_heads), cmocka_unit_test(test_growth),
    };
    return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
