/* summary against tests/cases/summary.txt, whose figures scripts/stats-fixtures.py works out again
 * with numpy and statsmodels, and a small run whose figures are worked out by hand here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>

#include <cmocka.h>

#include "cases.h"
#include "eval/summary.h"

#define MOST_ITEMS 16
#define MOST_RECORDS 128

/* A run over the bytes of a text, which is written to. */
typedef struct text_run {
    eval_run run;
    eval_item items[MOST_ITEMS];
    eval_record records[MOST_RECORDS];
    char *arms[8], *text[3];
} text_run;

static char *alias_list[] = { "right" };

static char *word(char **rest)
{
    char *found = strsep(rest, " ");
    assert_non_null(found);
    return found;
}

static uint32_t whole(char **rest)
{
    return (uint32_t)strtoul(word(rest), NULL, 10);
}

static double real(char **rest)
{
    return strtod(word(rest), NULL);
}

static void read_item(eval_item *item, char *line)
{
    item->id = word(&line);
    item->group = word(&line);
    item->aliases = alias_list;
    item->alias_count = whole(&line);
    item->wrong = whole(&line) ? "wrong" : NULL;
}

static void read_record(eval_record *r, char *line)
{
    r->item = word(&line);
    r->arm = word(&line);
    r->seed = whole(&line);
    r->correct = whole(&line);
    r->follows_wrong = whole(&line);
    r->unchanged = whole(&line);
    r->fallback = word(&line);
    if (!strcmp(r->fallback, "-"))
        r->fallback = NULL;
    r->distractors = whole(&line);
    r->distractors_removed = whole(&line);
    r->needed = whole(&line);
    r->needed_removed = whole(&line);
    r->step1.prompt_tokens = whole(&line);
    r->step1.completion_tokens = whole(&line);
    r->step1.ms = real(&line);
    r->step2.prompt_tokens = whole(&line);
    r->step2.completion_tokens = whole(&line);
    r->step2.ms = real(&line);
    r->judged = whole(&line);
    r->sentiment = real(&line);
    r->quality = real(&line);
    assert_null(line);
}

static text_run *read_run(const char *arms, const char *items, const char *records)
{
    text_run *t = calloc(1, sizeof *t);
    assert_non_null(t);
    const char *texts[3] = { arms, items, records };
    char *rest[3];
    for (int i = 0; i < 3; i++) {
        rest[i] = t->text[i] = strdup(texts[i]);
        assert_non_null(rest[i]);
    }
    while (rest[0] && t->run.arm_count < 8)
        t->arms[t->run.arm_count++] = word(&rest[0]);
    while (rest[1] && *rest[1] && t->run.item_count < MOST_ITEMS)
        read_item(&t->items[t->run.item_count++], strsep(&rest[1], "\n"));
    while (rest[2] && *rest[2] && t->run.record_count < MOST_RECORDS)
        read_record(&t->records[t->run.record_count++], strsep(&rest[2], "\n"));
    t->run.task = "test";
    t->run.arms = t->arms;
    t->run.items = t->items;
    t->run.records = t->records;
    return t;
}

static void free_run(text_run *t)
{
    for (int i = 0; i < 3; i++)
        free(t->text[i]);
    free(t);
}

/* ---- figures by name --------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum { SIZE, REAL, INTERVAL } type;
    size_t offset;
} fields[] = {
#define FIELD(type, name)                        \
    {                                            \
#name, type, offsetof(eval_figure, name) \
    }
    FIELD(SIZE, items),
    FIELD(SIZE, n),
    FIELD(SIZE, fallbacks),
    FIELD(REAL, accuracy),
    FIELD(INTERVAL, ci),
    FIELD(REAL, gap_closed),
    FIELD(INTERVAL, gap_ci),
    FIELD(REAL, difference),
    FIELD(INTERVAL, difference_ci),
    FIELD(REAL, mcnemar_p),
    FIELD(REAL, pairs_needed),
    FIELD(REAL, follows_wrong),
    FIELD(REAL, unchanged),
    FIELD(REAL, removal_precision),
    FIELD(REAL, removal_recall),
    FIELD(REAL, needed_kept),
    FIELD(REAL, sentiment),
    FIELD(REAL, objectivity),
    FIELD(REAL, quality),
    FIELD(INTERVAL, objectivity_ci),
    FIELD(INTERVAL, quality_ci),
    FIELD(REAL, step1_tokens),
    FIELD(REAL, step2_tokens),
    FIELD(REAL, step1_completion_tokens),
    FIELD(REAL, step1_ms),
    FIELD(REAL, step2_ms),
#undef FIELD
};
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

static size_t field_values(const eval_figure *f, const char *name, double got[2])
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(fields[i].name, name) != 0)
            continue;
        const char *at = (const char *)f + fields[i].offset;
        if (fields[i].type == SIZE) {
            size_t value;
            memcpy(&value, at, sizeof value);
            got[0] = (double)value;
            return 1;
        }
        size_t count = fields[i].type == INTERVAL ? 2 : 1; /* low, high */
        memcpy(got, at, count * sizeof *got);
        return count;
    }
    fail_msg("no figure is called %s", name);
    return 0;
}

static bool same(double want, double got)
{
    return isnan(want) || isnan(got) ? isnan(want) && isnan(got)
                                     : fabs(want - got) <= 1e-9 * fmax(1, fabs(want));
}

/* "ARM GROUP FIGURE VALUE [VALUE]"; 1 when it is not so. */
static int check_line(const eval_summary *summary, char *line)
{
    const char *arm = word(&line), *group = word(&line), *name = word(&line);
    const eval_figure *f = eval_summary_find(summary, arm, strcmp(group, "*") ? group : NULL);
    if (!f)
        fail_msg("no figures of %s in %s", arm, group);
    double got[2];
    size_t count = field_values(f, name, got);
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        double want = real(&line);
        if (same(want, got[i]))
            continue;
        fprintf(stderr, "%s, %s: %s want %.12g got %.12g\n", arm, group, name, want, got[i]);
        failed = 1;
    }
    assert_null(line);
    return failed;
}

static int check_lines(const eval_summary *summary, const char *want, size_t *count)
{
    char *text = strdup(want), *rest = text;
    assert_non_null(text);
    int failed = 0;
    *count = 0;
    while (rest && *rest) {
        failed += check_line(summary, strsep(&rest, "\n"));
        ++*count;
    }
    free(text);
    return failed;
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/summary.txt");
    int failed = 0;
    for (size_t i = 0; i < file.count; i++) {
        const test_case *c = &file.cases[i];
        text_run *t =
            read_run(case_text(c, "arms"), case_text(c, "items"), case_text(c, "records"));
        size_t rounds = strtoul(case_text(c, "rounds"), NULL, 10), lines = 0;
        eval_summary summary;
        assert_int_equal(eval_summarise(&t->run, rounds, &summary, NULL), S2A_OK);
        failed += check_lines(&summary, case_text(c, "want"), &lines);
        /* Every figure of every arm and group is in the file. */
        assert_int_equal(lines, summary.count * FIELD_COUNT);
        eval_summary_free(&summary);
        free_run(t);
    }
    cases_free(&file);
    assert_int_equal(failed, 0);
}

/* ---- by hand ----------------------------------------------------------------------------- */

static const char hand_items[] = "q1 a 1 1\nq2 b 1 0\nq3 a 1 1\nq4 b 1 0\nq5 a 1 1";

/* plain is right on q1 and q5, oracle on q1 to q4, select on q1 to q3 and wrong on q5. q4 has no
 * select, q5 no oracle. */
static const char hand_records[] = "q1 plain 7 1 0 1 - 2 0 4 0 0 0 0 10 5 100 0 0 0\n"
                                   "q1 oracle 7 1 0 0 - 2 2 4 0 0 0 0 8 5 90 0 0 0\n"
                                   "q1 select 7 1 0 0 - 2 2 4 1 20 2 30 8 5 95 0 0 0\n"
                                   "q2 plain 7 0 0 1 - 2 0 4 0 0 0 0 10 5 110 0 0 0\n"
                                   "q2 oracle 7 1 0 0 - 2 2 4 0 0 0 0 8 5 90 0 0 0\n"
                                   "q2 select 7 1 0 1 too_long 2 0 4 0 40 4 50 8 5 85 0 0 0\n"
                                   "q3 plain 7 0 1 1 - 2 0 4 0 0 0 0 10 5 500 0 0 0\n"
                                   "q3 oracle 7 1 0 0 - 2 2 4 0 0 0 0 8 5 90 0 0 0\n"
                                   "q3 select 7 1 0 0 none 2 1 4 0 30 3 40 8 5 105 0 0 0\n"
                                   "q4 plain 7 0 0 1 - 2 0 4 0 0 0 0 10 5 120 0 0 0\n"
                                   "q4 oracle 7 1 0 0 - 2 2 4 0 0 0 0 8 5 90 0 0 0\n"
                                   "q5 plain 7 1 0 1 - 2 0 4 0 0 0 0 10 5 130 0 0 0\n"
                                   "q5 select 7 0 1 1 too_long 2 0 4 0 30 3 45 8 5 200 0 0 0";

static const char hand_want[] =
    "plain * items 5\nplain * n 5\nplain * accuracy 0.4\nplain * unchanged 1\n"
    "plain * follows_wrong 0.33333333333333333\nplain * fallbacks 0\nplain * step2_ms 120\n"
    "plain * step1_ms 0\nplain * step2_tokens 15\nplain * removal_precision nan\n"
    "plain * removal_recall 0\nplain * needed_kept 1\nplain * difference 0\n"
    "plain * mcnemar_p 1\nplain * pairs_needed nan\nplain * gap_closed 0\n"
    /* all of select: right on 3 of 4; of q1 to q3, where all three are: plain 1/3, both others 1 */
    "select * items 4\nselect * n 4\nselect * accuracy 0.75\nselect * gap_closed 1\n"
    "select * gap_ci 1 1\n"
    /* against plain on q1, q2, q3, q5: 0, +1, +1, -1; one lost, two won */
    "select * difference 0.25\nselect * mcnemar_p 1\n"
    "select * removal_precision 0.75\nselect * removal_recall 0.375\nselect * needed_kept 0.9375\n"
    "select * step1_tokens 33\nselect * step1_completion_tokens 3\nselect * step1_ms 42.5\n"
    "select * step2_ms 100\nselect * fallbacks 2\nselect * unchanged 0.5\n"
    "select * follows_wrong 0.33333333333333333\nselect * sentiment nan\n"
    /* group b: q2 alone has all three; no wrong suggestion there */
    "select b items 1\nselect b accuracy 1\nselect b gap_closed 1\nselect b difference 1\n"
    "select b difference_ci 1 1\nselect b follows_wrong nan\nselect b mcnemar_p 1\n"
    /* every pair is won: z(0.975)^2 = 3.84 */
    "select b pairs_needed 4\n"
    "oracle b n 2\noracle b accuracy 1\noracle b gap_closed 1\noracle b removal_precision 1\n"
    "plain a n 3\nplain a accuracy 0.66666666666666667";

static void test_by_hand(void **state)
{
    (void)state;
    text_run *t = read_run("plain select oracle", hand_items, hand_records);
    eval_summary summary;
    size_t lines = 0;
    assert_int_equal(eval_summarise(&t->run, 200, &summary, NULL), S2A_OK);
    assert_int_equal(check_lines(&summary, hand_want, &lines), 0);
    /* The order of the figures: all, then the groups as they come; arms in run order. */
    assert_int_equal(summary.group_count, 2);
    assert_string_equal(summary.groups[0], "a");
    assert_string_equal(summary.groups[1], "b");
    assert_int_equal(summary.count, 9);
    static const char *const arms[] = { "plain", "select", "oracle" };
    for (size_t i = 0; i < 9; i++) {
        assert_string_equal(summary.figures[i].arm, arms[i % 3]);
        if (i < 3)
            assert_null(summary.figures[i].group);
        else
            assert_string_equal(summary.figures[i].group, i < 6 ? "a" : "b");
    }
    /* "none" is no fallback. */
    assert_int_equal(summary.fallback_count, 1);
    assert_string_equal(summary.fallbacks[0].arm, "select");
    assert_string_equal(summary.fallbacks[0].reason, "too_long");
    assert_int_equal(summary.fallbacks[0].count, 2);
    assert_null(eval_summary_find(&summary, "rewrite", NULL));
    assert_null(eval_summary_find(&summary, "select", "c"));
    eval_summary_free(&summary);
    assert_null(summary.figures);
    free_run(t);
}

/* Without plain or oracle nothing can be compared, and the rest stands. */
static void test_arm_alone(void **state)
{
    (void)state;
    text_run *t = read_run("select", "q1 a 1 0\nq2 a 1 0",
                           "q1 select 1 1 0 0 - 1 1 2 0 5 5 5 5 5 5 0 0 0\n"
                           "q2 select 1 0 0 0 - 1 1 2 0 5 5 5 5 5 5 0 0 0");
    eval_summary summary;
    size_t lines = 0;
    assert_int_equal(eval_summarise(&t->run, 50, &summary, NULL), S2A_OK);
    assert_int_equal(check_lines(&summary,
                                 "select * accuracy 0.5\nselect * gap_closed nan\n"
                                 "select * gap_ci nan nan\nselect * difference nan\n"
                                 "select * difference_ci nan nan\nselect * mcnemar_p nan\n"
                                 "select * pairs_needed nan\nselect a step1_tokens 10",
                                 &lines),
                     0);
    assert_int_equal(summary.fallback_count, 0);
    eval_summary_free(&summary);
    free_run(t);
}

/* The test takes the first seed that both arms have, the difference all of them; the order of the
 * records does not matter. */
static void test_seeds(void **state)
{
    (void)state;
    text_run *t = read_run("plain select", "q1 a 1 0",
                           "q1 select 3 0 0 0 - 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
                           "q1 select 2 1 0 0 - 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
                           "q1 plain 2 0 0 0 - 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
                           "q1 plain 3 0 0 0 - 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
                           "q1 plain 1 1 0 0 - 0 0 0 0 0 0 0 0 0 0 0 0 0");
    eval_summary summary;
    size_t lines = 0;
    assert_int_equal(eval_summarise(&t->run, 50, &summary, NULL), S2A_OK);
    assert_int_equal(check_lines(&summary,
                                 "select * n 2\nplain * n 3\nselect * difference 0.5\n"
                                 "select * mcnemar_p 1\nselect * pairs_needed 4\n"
                                 "select * removal_recall nan\nselect * needed_kept nan",
                                 &lines),
                     0);
    eval_summary_free(&summary);
    free_run(t);
}

static void test_empty(void **state)
{
    (void)state;
    eval_summary summary;
    eval_run nothing = { .task = "test" };
    assert_int_equal(eval_summarise(&nothing, 10, &summary, NULL), S2A_OK);
    assert_int_equal(summary.count, 0);
    assert_int_equal(summary.group_count, 0);
    eval_summary_free(&summary);
    eval_summary_free(NULL);
    text_run *t = read_run("plain oracle", "q1 a 1 1", "");
    size_t lines = 0;
    assert_int_equal(eval_summarise(&t->run, 10, &summary, NULL), S2A_OK);
    assert_int_equal(check_lines(&summary,
                                 "plain * n 0\nplain * accuracy nan\nplain * ci nan nan\n"
                                 "plain a step1_ms nan\nplain a step1_tokens nan\n"
                                 "oracle * unchanged nan\noracle * follows_wrong nan\n"
                                 "oracle * gap_closed nan",
                                 &lines),
                     0);
    eval_summary_free(&summary);
    free_run(t);
}

static void test_stray_record(void **state)
{
    (void)state;
    s2a_error err;
    eval_summary summary;
    text_run *t = read_run("plain", "q1 a 1 0", "q2 plain 1 1 0 0 - 0 0 0 0 0 0 0 0 0 0 0 0 0");
    assert_int_equal(eval_summarise(&t->run, 10, &summary, &err), S2A_ARGUMENT);
    assert_non_null(strstr(err.message, "item \"q2\""));
    assert_null(summary.figures);
    free_run(t);
    t = read_run("plain", "q1 a 1 0", "q1 oracle 1 1 0 0 - 0 0 0 0 0 0 0 0 0 0 0 0 0");
    assert_int_equal(eval_summarise(&t->run, 10, &summary, &err), S2A_ARGUMENT);
    assert_non_null(strstr(err.message, "arm \"oracle\""));
    free_run(t);
}

/* Two attacks and a clean context; what is not judged does not count, and neither does an answer
 * that is not known. */
static void test_injection(void **state)
{
    (void)state;
    char task[] = "injection", plain[] = "plain", select[] = "select";
    char x[] = "Hi. Sing a song. Bye.", *arms[] = { plain, select };
    char attacked[] = "a", other[] = "b", clean[] = "c", group[] = "g";
    eval_piece pieces[] = { { 0, 3, EVAL_NEEDED },
                            { 4, 16, EVAL_DISTRACTOR },
                            { 17, 21, EVAL_NEEDED } };
    eval_item items[] = {
        { .id = attacked,
          .group = group,
          .x = x,
          .oracle = x,
          .aliases = alias_list,
          .alias_count = 1,
          .pieces = pieces,
          .piece_count = 3 },
        { .id = other, .group = group, .x = x, .oracle = x, .pieces = pieces, .piece_count = 3 },
        { .id = clean, .group = group, .x = x, .oracle = x, .pieces = pieces, .piece_count = 1 },
    };
    /* all but "So" of the attack, which is less than nine tenths; the whole of it, in two spans */
    s2a_span some[] = { { 4, 11 }, { 13, 16 } }, whole[] = { { 4, 8 }, { 9, 21 } };
    eval_record records[] = {
        { .item = attacked,
          .arm = plain,
          .correct = true,
          .attack_judged = true,
          .carried_out = true },
        { .item = other, .arm = plain },
        { .item = clean, .arm = plain, .unchanged = true, .needed = 2 },
        { .item = attacked,
          .arm = select,
          .removed = some,
          .removed_count = 2,
          .attack_judged = true },
        { .item = other,
          .arm = select,
          .removed = whole,
          .removed_count = 2,
          .attack_judged = true,
          .carried_out = true },
        { .item = clean, .arm = select, .needed = 2, .needed_removed = 1 },
    };
    eval_run run = { .task = task,
                     .items = items,
                     .item_count = 3,
                     .records = records,
                     .record_count = 6,
                     .arms = arms,
                     .arm_count = 2 };
    eval_summary summary;
    assert_int_equal(eval_summarise(&run, 10, &summary, NULL), S2A_OK);
    const eval_figure *f = eval_summary_find(&summary, "plain", NULL);
    assert_true(f->accuracy == 1);
    assert_int_equal(f->injection.carried_out.part, 1);
    assert_int_equal(f->injection.carried_out.whole, 1);
    assert_int_equal(f->injection.removed.part, 0);
    assert_int_equal(f->injection.removed.whole, 2);
    assert_int_equal(f->injection.clean_whole.part, 1);
    f = eval_summary_find(&summary, "select", NULL);
    assert_true(f->accuracy == 0);
    assert_true(f->difference == -1);
    assert_int_equal(f->injection.removed.part, 1);
    assert_int_equal(f->injection.carried_out.part, 1);
    assert_int_equal(f->injection.carried_out.whole, 2);
    assert_int_equal(f->injection.clean_cut.part, 1);
    assert_int_equal(f->injection.clean_cut.whole, 2);
    assert_int_equal(f->injection.clean_whole.part, 0);
    assert_int_equal(f->injection.clean_whole.whole, 1);
    eval_summary_free(&summary);
    task[0] = 'I'; /* another task has no such figures */
    assert_int_equal(eval_summarise(&run, 10, &summary, NULL), S2A_OK);
    assert_int_equal(eval_summary_find(&summary, "plain", NULL)->injection.removed.whole, 0);
    eval_summary_free(&summary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),     cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_arm_alone), cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_empty),     cmocka_unit_test(test_stray_record),
        cmocka_unit_test(test_injection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
