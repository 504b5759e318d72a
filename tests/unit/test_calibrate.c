/* Borders from tables of made-up figures; the set of prompts that they are chosen on; the file that
 * keeps them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/calibration.h"
#include "cli/calibration_set.h"
#include "core/calibrate.h"
#include "core/clause.h"
#include "scripted.h"

/* ---- tables ------------------------------------------------------------------------------- */

#define PROMPTS 40

typedef struct table {
    calibrate_unit units[PROMPTS * 6];
    size_t count;
    uint32_t state;
} table;

/* From -1 to 1; the same on every machine. */
static double noise(table *t)
{
    t->state = t->state * 1664525u + 1013904223u;
    return (double)(t->state >> 8) / (double)(1 << 23) - 1;
}

static void add(table *t, size_t prompt, calibrate_kind kind, double relevance, double opinion)
{
    t->units[t->count++] = (calibrate_unit){ prompt, kind, 0, -relevance, -opinion };
}

/* Three needed units, two unrelated ones and an opinion in each prompt. needed, other: where the figures
 * lie; spread: how far around; level: what a prompt adds to all of its own, at most. */
static table made(double needed, double other, double spread, double level)
{
    table t = { .state = 7 };
    for (size_t p = 0; p < PROMPTS; p++) {
        double shift = level * noise(&t);
        for (int i = 0; i < 6; i++) {
            calibrate_kind kind = i < 3 ? CALIBRATE_NEEDED
                                        : i < 5 ? CALIBRATE_UNRELATED : CALIBRATE_OPINION;
            double relevance = (kind == CALIBRATE_UNRELATED ? other : needed) + shift + spread * noise(&t);
            double opinion = (kind == CALIBRATE_OPINION ? other : needed) + spread * noise(&t);
            add(&t, p, kind, relevance, opinion);
        }
    }
    return t;
}

static calibrate_result fitted(const table *t)
{
    calibrate_result r;
    s2a_error err;
    if (calibrate_fit(t->units, t->count, &r, &err) != S2A_OK)
        fail_msg("%s", err.message);
    return r;
}

static double share(const calibrate_counts *n, calibrate_kind kind)
{
    return (double)n->right[kind] / (double)n->all[kind];
}

/* Whatever the model's offset and scale, the border is found between the two kinds. */
static void test_recovers(void **state)
{
    (void)state;
    static const struct {
        double needed, other, spread;
    } models[] = { { 6, -2, 1.5 }, { -3, -9, 1 }, { 12, 4, 2 }, { 0.5, -0.5, 0.2 }, { 60, -60, 20 } };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        table t = made(models[i].needed, models[i].other, models[i].spread, 0);
        calibrate_result r = fitted(&t);
        double low = models[i].other + models[i].spread, high = models[i].needed - models[i].spread;
        double rise = fmin(r.borders.relevance_cap, r.borders.relevance_ratio * fmax(0, models[i].needed));
        assert_true(r.relevance && r.opinion);
        assert_true(r.relevance_auc == 1 && r.opinion_auc == 1);
        for (int kind = 0; kind < CALIBRATE_KINDS; kind++)
            assert_true(share(&r.chosen, (calibrate_kind)kind) == 1 &&
                        share(&r.held_out, (calibrate_kind)kind) == 1);
        if (!(r.borders.opinion_border > low && r.borders.opinion_border < high))
            fail_msg("%zu: opinion border %g", i, r.borders.opinion_border);
        if (!(r.borders.relevance_border + rise > low - models[i].spread &&
              r.borders.relevance_border + rise < high + models[i].spread))
            fail_msg("%zu: relevance border %g + %g", i, r.borders.relevance_border, rise);
    }
}

/* A level of each prompt's own, wider than the gap: only a border that rises with the top does it. */
static void test_rises_with_the_top(void **state)
{
    (void)state;
    table t = { .state = 1 };
    for (size_t p = 0; p < PROMPTS; p++) {
        double top = 2 + (double)(p % 10);
        for (int i = 0; i < 3; i++)
            add(&t, p, CALIBRATE_NEEDED, top * (1 - 0.1 * i), 9);
        for (int i = 0; i < 2; i++)
            add(&t, p, CALIBRATE_UNRELATED, top * 0.3 - 0.2 * i, 9);
        add(&t, p, CALIBRATE_OPINION, top, -9);
    }
    calibrate_result r = fitted(&t);
    assert_true(r.borders.relevance_ratio > 0 && r.borders.relevance_cap > 0);
    assert_true(share(&r.chosen, CALIBRATE_NEEDED) >= 0.99);
    assert_true(share(&r.chosen, CALIBRATE_UNRELATED) > 0.8);
}

/* Where the kinds overlap, unrelated units stay rather than needed ones go. */
static void test_harm_averse(void **state)
{
    (void)state;
    table t = made(2, -2, 3, 0);
    calibrate_result r = fitted(&t);
    assert_true(r.relevance_auc > CALIBRATE_LEAST_AUC && r.relevance_auc < 1);
    assert_true(share(&r.chosen, CALIBRATE_NEEDED) >= CALIBRATE_NEEDED_KEPT);
    assert_true(share(&r.held_out, CALIBRATE_NEEDED) >= 0.95);
    assert_true(share(&r.chosen, CALIBRATE_UNRELATED) < 1);
    assert_true(share(&r.chosen, CALIBRATE_UNRELATED) > 0.3);
}

static void test_does_not_separate(void **state)
{
    (void)state;
    table t = made(1, 0.8, 2, 0);
    calibrate_result r = fitted(&t);
    assert_true(r.relevance_auc < CALIBRATE_LEAST_AUC && r.opinion_auc < CALIBRATE_LEAST_AUC);
    assert_false(r.relevance || r.opinion);
    assert_true(r.borders.relevance_border == CALIBRATE_HARMLESS);
    assert_true(r.borders.opinion_border == CALIBRATE_HARMLESS);
    assert_true(share(&r.chosen, CALIBRATE_NEEDED) == 1 && r.chosen.right[CALIBRATE_UNRELATED] == 0);
    /* the other way round is worse than chance, and no better */
    table reversed = made(-4, 4, 1, 0);
    r = fitted(&reversed);
    assert_false(r.relevance || r.opinion);
    assert_true(share(&r.chosen, CALIBRATE_NEEDED) == 1);
}

/* One judgement may do where the other does not. */
static void test_one_of_two(void **state)
{
    (void)state;
    table t = made(4, -4, 1, 0);
    for (size_t i = 0; i < t.count; i++)
        t.units[i].unrelated = noise(&t);
    calibrate_result r = fitted(&t);
    assert_false(r.relevance);
    assert_true(r.opinion && r.borders.relevance_border == CALIBRATE_HARMLESS);
    assert_true(share(&r.chosen, CALIBRATE_OPINION) == 1 && share(&r.chosen, CALIBRATE_NEEDED) == 1);
}

static void test_same_again(void **state)
{
    (void)state;
    table t = made(3, -1, 2.5, 1);
    calibrate_result a = fitted(&t), b = fitted(&t);
    assert_memory_equal(&a.borders, &b.borders, sizeof a.borders);
    /* never all zero: that would be the default */
    assert_true(a.borders.relevance_border != 0 || a.borders.relevance_ratio != 0 ||
                a.borders.opinion_border != 0);
}

static void test_count_is_what_select_does(void **state)
{
    (void)state;
    const calibrate_unit units[] = {
        { 0, CALIBRATE_NEEDED, 0, -3, -3 },  { 0, CALIBRATE_UNRELATED, 0, 1, -3 },
        { 0, CALIBRATE_OPINION, 0, -3, 2 },  { 1, CALIBRATE_NEEDED, 0, 1, -3 },
        { 1, CALIBRATE_UNRELATED, 0, -9, -9 },
    };
    const s2a_calibration borders = { .relevance_border = 0, .opinion_border = 0.5 };
    calibrate_counts n;
    assert_int_equal(calibrate_count(units, 5, &borders, &n, NULL), S2A_OK);
    assert_int_equal(n.all[CALIBRATE_NEEDED], 2);
    assert_int_equal(n.right[CALIBRATE_NEEDED], 1);
    assert_int_equal(n.all[CALIBRATE_UNRELATED], 2);
    assert_int_equal(n.right[CALIBRATE_UNRELATED], 1);
    assert_int_equal(n.right[CALIBRATE_OPINION], 1);
}

static void test_bad_tables(void **state)
{
    (void)state;
    calibrate_result r;
    s2a_error err;
    calibrate_unit unit = { 0, CALIBRATE_UNRELATED, 0, 0, 0 };
    assert_int_equal(calibrate_fit(&unit, 1, &r, &err), S2A_INPUT);
    assert_string_equal(err.message, "calibration: no unit is needed");
    assert_int_equal(calibrate_fit(&unit, 0, &r, &err), S2A_INPUT);
    unit = (calibrate_unit){ 0, CALIBRATE_NEEDED, NAN, 0, 0 };
    assert_int_equal(calibrate_fit(&unit, 1, &r, &err), S2A_INPUT);
    /* of one kind alone there is nothing to tell apart */
    unit.needed = 1;
    assert_int_equal(calibrate_fit(&unit, 1, &r, &err), S2A_OK);
    assert_true(isnan(r.relevance_auc) && !r.relevance && !r.opinion);
    /* at the limit and past it */
    calibrate_unit *many = calloc(CALIBRATE_MAX_UNITS + 1, sizeof *many);
    assert_non_null(many);
    assert_int_equal(calibrate_fit(many, CALIBRATE_MAX_UNITS + 1, &r, &err), S2A_LIMIT);
    assert_int_equal(calibrate_fit(many, CALIBRATE_MAX_UNITS, &r, &err), S2A_OK);
    free(many);
}

/* ---- the prompts -------------------------------------------------------------------------- */

/* What the model is asked of the built-in prompts is what their labels are about: a unit for each
 * sentence, the question found, and nothing kept whatever is said of it. */
static void test_builtin_set(void **state)
{
    (void)state;
    calibration_set set;
    s2a_error err;
    if (calibration_set_read("set", calibration_builtin, calibration_builtin_len, &set, &err) != S2A_OK)
        fail_msg("%s", err.message);
    size_t kinds[4] = { 0 }, halves[2][4] = { { 0 } };
    s2a_engine *engine = scripted_engine("@score -1 -2 -3\n");
    assert_true(set.count >= 30);
    for (size_t p = 0; p < set.count; p++) {
        const calibration_prompt *prompt = &set.prompts[p];
        judged j;
        judged_options how = { .question_start = SIZE_MAX };
        assert_int_equal(judged_read(engine, prompt->text, prompt->len, &how, NULL, &j, &err), S2A_OK);
        if (j.count != prompt->piece_count)
            fail_msg("%s: %zu units, not %zu", prompt->text, j.count, prompt->piece_count);
        for (size_t i = 0; i < j.count; i++) {
            const calibration_piece *piece = &prompt->pieces[i];
            kinds[piece->kind]++;
            halves[p % 2][piece->kind]++;
            if (j.units[i].start != piece->start || j.units[i].text_end != piece->end ||
                j.said[i].question != (piece->kind == CALIBRATION_SET_QUESTION) || j.said[i].whole)
                fail_msg("%s: unit %zu", prompt->text, i);
        }
        judged_free(&j);
    }
    s2a_engine_close(engine);
    assert_true(kinds[0] >= 60 && kinds[1] >= 25 && kinds[2] >= 20);
    for (int kind = 0; kind < 4; kind++) /* the halves are alike */
        assert_true(halves[0][kind] * 3 >= halves[1][kind] * 2 && halves[1][kind] * 3 >= halves[0][kind] * 2);
    calibration_set_free(&set);
}

static void test_take(void **state)
{
    (void)state;
    static const char text[] = "{\"units\": [[\"needed\", \"One.\"], [\"unrelated\", \"Two.\"], "
                               "[\"question\", \"Three?\"]]}\n\n{\"units\": [[\"opinion\", \"A.\"]]}\n";
    calibration_set set;
    assert_int_equal(calibration_set_read("set", text, strlen(text), &set, NULL), S2A_OK);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.prompts[0].text, "One. Two. Three?");
    segment_unit units[] = { { .start = 0, .end = 5 }, { .start = 5, .end = 10 }, { .start = 10, .end = 16 } };
    select_unit said[] = { { .judged = true, .whole = true }, { .judged = true, .needed = -1, .unrelated = -2,
                           .opinion = -3 }, { .question = true } };
    judged j = { .units = units, .said = said, .count = 3 };
    calibrate_unit taken[3];
    size_t count = 0;
    calibration_set_take(&set, 0, &j, taken, &count);
    assert_int_equal(count, 1);
    assert_int_equal(taken[0].kind, CALIBRATE_UNRELATED);
    assert_true(taken[0].needed == -1 && taken[0].unrelated == -2 && taken[0].opinion == -3);
    calibration_set_free(&set);
}

static void expect_bad_set(const char *text, s2a_status status, const char *message)
{
    calibration_set set;
    s2a_error err;
    assert_int_equal(calibration_set_read("set", text, strlen(text), &set, &err), status);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" is not in \"%s\"", message, err.message);
    calibration_set_free(&set);
}

static void test_bad_set(void **state)
{
    (void)state;
    expect_bad_set("", S2A_INPUT, "set: it has no prompt");
    expect_bad_set("\n{", S2A_INPUT, "set: line 2");
    expect_bad_set("[]", S2A_INPUT, "set: line 1: it must be");
    expect_bad_set("{\"units\": []}", S2A_INPUT, "set: line 1: it must be");
    expect_bad_set("{\"units\": [[\"good\", \"One.\"]]}", S2A_INPUT, "a label is not");
    expect_bad_set("{\"units\": [[\"needed\"]]}", S2A_INPUT, "no sentence");
    expect_bad_set("{\"units\": [[\"needed\", 3]]}", S2A_INPUT, "no sentence");
    expect_bad_set("{\"units\": [[\"needed\", \" \"]]}", S2A_INPUT, "no sentence");
    buf b;
    buf_init(&b, 1 << 20);
    for (int past = 0; past < 2; past++) { /* at the limits and past them */
        calibration_set set;
        buf_reset(&b);
        buf_adds(&b, "{\"units\": [");
        for (size_t i = 0; i < CALIBRATION_SET_MAX_PIECES + (size_t)past; i++)
            buf_addf(&b, "%s[\"needed\", \"A.\"]", i ? "," : "");
        buf_adds(&b, "]}");
        assert_int_equal(calibration_set_read("set", b.data, b.len, &set, NULL), past ? S2A_LIMIT : S2A_OK);
        calibration_set_free(&set);
        buf_reset(&b);
        for (size_t i = 0; i < CALIBRATION_SET_MAX_PROMPTS + (size_t)past; i++)
            buf_adds(&b, "{\"units\": [[\"needed\", \"A.\"]]}\n");
        assert_int_equal(calibration_set_read("set", b.data, b.len, &set, NULL), past ? S2A_LIMIT : S2A_OK);
        calibration_set_free(&set);
    }
    buf_free(&b);
}

/* ---- the file ----------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void expect_damaged(const char *path, const char *text, const char *message)
{
    s2a_calibration c = { .relevance_cap = 77 };
    bool found = true;
    s2a_error err;
    write_text(path, text);
    assert_int_equal(calibration_load("a.gguf 5", &c, &found, &err), S2A_INPUT);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" is not in \"%s\"", message, err.message);
    assert_false(found);
    assert_true(c.relevance_cap == 77); /* what was there stays */
}

static void test_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/s2a-calibration-XXXXXX";
    assert_non_null(mkdtemp(dir));
    setenv("XDG_DATA_HOME", dir, 1);
    calibrate_result r = { .borders = { .relevance_border = -1.5, .relevance_ratio = 0.25, .relevance_cap = 2,
                                        .opinion_border = -0.125, .relevance_gap = 0.75 }, .relevance_auc = 0.9876, .opinion_auc = NAN };
    s2a_calibration c = { 0 };
    bool found = true;
    char *path = NULL, *where = NULL;
    assert_int_equal(calibration_load("a.gguf 5", &c, &found, NULL), S2A_OK);
    assert_false(found);
    c.of_labels = true; /* of the manifest's; those of the file are not */
    assert_int_equal(calibration_save("a.gguf 5", &r, &path, NULL), S2A_OK);
    assert_int_equal(calibration_path("a.gguf 5", &where, NULL), S2A_OK);
    assert_string_equal(path, where);
    assert_true(strstr(path, "/s2a/calibration/a.gguf-") != NULL);
    assert_int_equal(calibration_load("a.gguf 5", &c, &found, NULL), S2A_OK);
    assert_true(found && c.relevance_border == -1.5 && c.relevance_ratio == 0.25 && c.relevance_cap == 2 &&
                c.opinion_border == -0.125 && c.relevance_gap == 0.75 && !c.of_labels);
    assert_int_equal(calibration_load("a.gguf 6", &c, &found, NULL), S2A_OK);
    assert_false(found);

    expect_damaged(path, "", "run s2a calibrate again");
    expect_damaged(path, "{\"format\": 2}", "another version");
    expect_damaged(path, "{\"format\": 1, \"model\": \"b\"}", "another model");
    expect_damaged(path, "{\"format\": 1, \"model\": \"a.gguf 5\"}", "relevance_border is not a number");
    expect_damaged(path, "{\"format\":1,\"model\":\"a.gguf 5\",\"select\":{\"relevance_border\":1,"
                         "\"relevance_ratio\":1,\"relevance_cap\":1e7,\"opinion_border\":1}}",
                   "relevance_cap is not a number");
    /* at the limit and past it */
    s2a_error err;
    char *long_text = malloc(CALIBRATION_MAX_BYTES + 2);
    assert_non_null(long_text);
    memset(long_text, ' ', CALIBRATION_MAX_BYTES + 1);
    static const char whole[] = "{\"format\":1,\"model\":\"a.gguf 5\",\"select\":{\"relevance_border\":1,"
                                "\"relevance_ratio\":1,\"relevance_cap\":1e6,\"opinion_border\":-1e6}}";
    memcpy(long_text, whole, sizeof whole - 1);
    for (int past = 0; past < 2; past++) {
        long_text[CALIBRATION_MAX_BYTES + (size_t)past] = '\0';
        write_text(path, long_text);
        assert_int_equal(calibration_load("a.gguf 5", &c, &found, &err), past ? S2A_LIMIT : S2A_OK);
        assert_true(found == !past);
        long_text[CALIBRATION_MAX_BYTES] = ' ';
    }
    free(long_text);
    assert_true(c.opinion_border == -1e6);

    bool was = false;
    assert_int_equal(calibration_remove("a.gguf 5", &was, NULL), S2A_OK);
    assert_true(was);
    assert_int_equal(calibration_remove("a.gguf 5", &was, NULL), S2A_OK);
    assert_false(was);
    /* a directory in the file's place */
    assert_int_equal(mkdir(path, 0777), 0);
    free(where);
    assert_int_equal(calibration_save("a.gguf 5", &r, &where, &err), S2A_IO);
    assert_null(where);
    rmdir(path);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    free(path);
}

static void expect_key(const char *name, const char *url, const char *model, const char *want)
{
    char url_text[128];
    snprintf(url_text, sizeof url_text, "%s", url);
    settings set = { .backend = name, .url = url_text };
    char *key = NULL;
    assert_int_equal(calibration_key(&set, NULL, model, &key, NULL), S2A_OK);
    assert_string_equal(key, want);
    free(key);
}

static void test_keys(void **state)
{
    (void)state;
    expect_key("http", "http://h:1/v1", NULL, "http://h:1/v1");
    expect_key("http", "http://h:1/v1//", "m", "http://h:1/v1 m");
    expect_key("http", "https://me:secret@h/v1", "m", "https://h/v1 m");
    expect_key("http", "http://h/a@b", "m", "http://h/a@b m");
    settings set = { .backend = "llama" };
    char *key = NULL;
    assert_int_equal(calibration_key(&set, "/nowhere/a.gguf", NULL, &key, NULL), S2A_UNAVAILABLE);
    assert_null(key);
    setenv("XDG_DATA_HOME", "relative", 1);
    setenv("HOME", "/home/u", 1);
    assert_int_equal(calibration_path("k 1", &key, NULL), S2A_OK);
    assert_true(!strncmp(key, "/home/u/.local/share/s2a/calibration/k-", 39));
    free(key);
    unsetenv("HOME");
    assert_int_equal(calibration_path("k 1", &key, NULL), S2A_IO);
    bool found = true;
    s2a_calibration c;
    assert_int_equal(calibration_load("k 1", &c, &found, NULL), S2A_OK);
    assert_false(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovers),
        cmocka_unit_test(test_rises_with_the_top),
        cmocka_unit_test(test_harm_averse),
        cmocka_unit_test(test_does_not_separate),
        cmocka_unit_test(test_one_of_two),
        cmocka_unit_test(test_same_again),
        cmocka_unit_test(test_count_is_what_select_does),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_builtin_set),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_bad_set),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
