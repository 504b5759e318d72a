/* Mode select on the script backend: what is kept, what x' is made of, what stays whatever is said
 * of it, which mode a request gets. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "cases.h"
#include "core/select.h"
#include "s2a.h"
#include "scripted.h"

/* ---- cases -------------------------------------------------------------------------------- */

static size_t lines_of(const char *text)
{
    size_t n = text && *text ? 1 : 0;
    for (; text && *text; text++)
        n += *text == '\n';
    return n;
}

static s2a_engine *engine_of(const char *scores)
{
    char records[4096] = "";
    size_t at = 0;
    while (scores && *scores) {
        size_t n = strcspn(scores, "\n");
        at += (size_t)snprintf(records + at, sizeof records - at, "@score %.*s\n", (int)n, scores);
        scores += n + (scores[n] == '\n');
    }
    if (at == 0)
        strcpy(records, "@score 0\n@error internal nobody is to be asked");
    return scripted_engine(records);
}

static void protect(s2a_request *request, const test_case *c)
{
    for (const char *at = case_text(c, "protect"); at && *at;) {
        size_t n = strcspn(at, "\n"), escaped = case_get(c, "protect")->len;
        n = strspn(at, "\n") == escaped ? escaped : n; /* a text that is line ends */
        assert_int_equal(s2a_request_protect_text(request, at, n, NULL), S2A_OK);
        at += n + (at[n] == '\n');
    }
    for (const char *at = case_text(c, "lines"); at && *at;) {
        size_t first = 0, last = 0;
        assert_int_equal(sscanf(at, "%zu-%zu", &first, &last), 2);
        assert_int_equal(s2a_request_protect_lines(request, first, last, NULL), S2A_OK);
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
}

static s2a_request *request_of(const test_case *c)
{
    const case_field *x = case_get(c, "x"), *question = case_get(c, "question");
    const char *preset_name = case_text(c, "preset"), *number;
    s2a_request *request = s2a_request_new();
    s2a_preset preset = S2A_PRESET_AUTO;
    assert_non_null(request);
    s2a_status status = question ? s2a_request_set_parts(request, x->value, x->len, question->value,
                                                         question->len, NULL)
                                 : s2a_request_set_text(request, x->value, x->len, NULL);
    assert_int_equal(status, S2A_OK);
    if (preset_name)
        assert_true(s2a_preset_from_name(preset_name, &preset));
    s2a_request_set_preset(request, preset);
    if ((number = case_text(c, "threshold")))
        assert_int_equal(s2a_request_set_threshold(request, atof(number), NULL), S2A_OK);
    if ((number = case_text(c, "keep")))
        assert_int_equal(s2a_request_set_keep(request, atof(number), NULL), S2A_OK);
    protect(request, c);
    return request;
}

static void check_text(const test_case *c, const char *field, const char *got,
                       const char *otherwise)
{
    const char *want = case_text(c, field);
    if (!want)
        want = otherwise;
    if (!want != !got || (want && strcmp(want, got) != 0))
        fail_msg("%s: %s is \"%s\", not \"%s\"", c->name, field, got ? got : "(null)",
                 want ? want : "(null)");
}

static void labels_of(const s2a_result *result, char *said, size_t size, size_t *judged)
{
    *judged = 0;
    said[0] = '\0';
    for (size_t i = 0; i < s2a_result_unit_count(result); i++) {
        s2a_unit unit = s2a_result_unit(result, i);
        char letter = unit.label[0];
        if (!unit.has_score)
            letter = (char)(letter - 'a' + 'A');
        *judged += unit.has_score;
        size_t n = strlen(said);
        snprintf(said + n, size - n, "%s%c", i > 0 ? " " : "", letter);
    }
}

static void check_result(const test_case *c, const s2a_result *result)
{
    const char *x = s2a_result_input(result, NULL);
    size_t judged = 0;
    char said[4096];
    assert_int_equal(s2a_result_mode(result), S2A_MODE_SELECT);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_NONE);
    labels_of(result, said, sizeof said, &judged);
    check_text(c, "labels", said, NULL);
    if (judged != lines_of(case_text(c, "scores")))
        fail_msg("%s: %zu sentences were judged", c->name, judged);
    check_text(c, "rewritten", s2a_result_rewritten(result, NULL), x);
    check_text(c, "context", s2a_result_context(result, NULL), NULL);
    check_text(c, "question2", s2a_result_question(result, NULL), NULL);
    said[0] = '\0';
    for (size_t i = 0; i < s2a_result_removed_count(result); i++) {
        s2a_span span = s2a_result_removed(result, i);
        snprintf(said + strlen(said), sizeof said - strlen(said), "%s%.*s", i > 0 ? "\n" : "",
                 (int)(span.end - span.start), x + span.start);
    }
    check_text(c, "removed", said, "");
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/select.txt");
    assert_true(file.count >= 55);
    for (size_t i = 0; i < file.count; i++) {
        const test_case *c = &file.cases[i];
        s2a_engine *engine = engine_of(case_text(c, "scores"));
        s2a_request *request = request_of(c);
        s2a_result *result = NULL;
        s2a_error err;
        if (s2a_attend(engine, request, &result, &err) != S2A_OK)
            fail_msg("%s: %s", c->name, err.message);
        check_result(c, result);
        s2a_result_free(result);
        s2a_request_free(request);
        s2a_engine_close(engine);
    }
    cases_free(&file);
}

/* ---- what stands between marks ------------------------------------------------------------- */

/* What is said of each unit when all but the last are said to be unrelated. */
static void check_labels(const char *x, const char *want)
{
    size_t judged = 0;
    char said[256];
    s2a_engine *engine = scripted_engine("@score -9 9\n@score -9 9\n@score -9 9\n@score -9 9\n");
    s2a_request *request = scripted_request(x);
    s2a_result *result = NULL;
    s2a_error err;
    if (s2a_attend(engine, request, &result, &err) != S2A_OK)
        fail_msg("%s: %s", x, err.message);
    labels_of(result, said, sizeof said, &judged);
    if (strcmp(said, want) != 0)
        fail_msg("%s\nis %s, not %s", x, said, want);
    s2a_result_free(result);
    s2a_request_free(request);
    s2a_engine_close(engine);
}

/* A pair holds what is in it; half a pair does not, nor does the other half of another one. The
 * question in a last quotation is what is asked. */
static void test_pairs(void **state)
{
    (void)state;
    static const char *const pairs[][3] = {
        { "\"", "\"", "”" },
        { "“", "”", "\"" },
        { "„", "“", "«" },
        { "„", "”", "»" },
        { "«", "»", "”" },
        { "»", "«", "“" },
        { "‹", "›", "»" },
        { "「", "」", "』" },
        { "『", "』", "」" },
        { "`", "`", "'" },
        { "<a>", "</a>", "</b>" },
        { "<a b=\"c\">", "</a>", "<a/>" },
        { "<x_1-y>", "</x_1-y>", "</x_1>" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char x[256];
        const char *open = pairs[i][0], *close = pairs[i][1], *other = pairs[i][2];
        snprintf(x, sizeof x, "It rained. So: %sOne is here. Two is here.%s\n\n<Q>Oh. Is it?</Q>",
                 open, close);
        check_labels(x, "u N N N N N");
        snprintf(x, sizeof x, "It rained. So: %sOne is here. Two is here.%s\n\n<Q>Oh. Is it?</Q>",
                 open, other);
        check_labels(x, "u u u N N N");
    }
    /* one that closes itself opens nothing, and neither does one that goes on for more than 200
     * bytes */
    check_labels("It rained. <A /> One is here. Two is here.</A>\n\n<Q>Oh. Is it?</Q>",
                 "u u u u N N N");
    for (size_t n = 198; n <= 199; n++) {
        char x[512] = "It rained. <A ";
        memset(x + strlen(x), 'x', n);
        strcat(x, ">One is here. Two is here.</A>\n\n<Q>Oh. Is it?</Q>");
        check_labels(x, n == 198 ? "u N N N N N N" : "u u u u N N N");
    }
}

/* More than are followed: the first are given up, since they are likely to stay open. */
static void test_many_open(void **state)
{
    (void)state;
    for (size_t n = 31; n <= 33; n++) {
        char x[512] = "It rained. ";
        for (size_t i = 1; i < n; i++)
            strcat(x, "<A>");
        strcat(x, "So it is. <B>One is here. Two is here.</B>\n\n`Oh. Is it?`");
        check_labels(x, "u u N N N N N");
        x[0] = '\0'; /* the first of them is followed as long as no more than 32 are open */
        strcat(x, "It rained. <Q>One is here. ");
        for (size_t i = 1; i < n; i++)
            strcat(x, "<A>");
        strcat(x, "Two is here.</Q>\n\n`Oh. Is it?`");
        check_labels(x, n < 33 ? "u N N N N N" : "u u u u N N");
    }
}

/* A fence that does not begin its line, marks after emphasis, and a tag that closes in what is
 * taken for code. */
static void test_late_marks(void **state)
{
    (void)state;
    check_labels("It rained. Fix: ```c\nint x;\n\nOne is here. Two is here.\n``` Is it?",
                 "n N N N N"); /* the last line would open another: code to the end */
    check_labels("It rained. Fix **\"One is here. Two is here.\"** Do it.\n\n`Oh. Is it?`",
                 "u N N u N N");
    check_labels("It rained. <A>One is here. Two is here.\n\n    </A>\n\n`Oh. Is it?`",
                 "u N N N N N");
}

/* ---- finer units -------------------------------------------------------------------------- */

static void check_refined(const char *text, const char *want)
{
    size_t len = strlen(text), count = 0, at = 0;
    segment_unit *units = NULL;
    char said[256] = "";
    assert_int_equal(segment_text(text, len, NULL, &units, &count, NULL), S2A_OK);
    assert_int_equal(select_refine(S2A_PRESET_UNTRUSTED, text, &units, &count, NULL), S2A_OK);
    for (size_t i = 0; i < count; i++) {
        const segment_unit *u = &units[i];
        assert_int_equal(u->start, at);
        assert_true(u->start <= u->text_end && u->text_end <= u->end && u->start < u->end);
        assert_true(ascii_blank(text + u->text_end, u->end - u->text_end));
        assert_true(u->text_end == u->start || !ascii_space(text[u->text_end - 1]));
        assert_true(((unsigned char)text[u->start] & 0xc0) != 0x80); /* no character is cut */
        snprintf(said + strlen(said), sizeof said - strlen(said), "%s%zu+%zu", i > 0 ? " " : "",
                 u->text_end - u->start, u->end - u->text_end);
        at = u->end;
    }
    assert_int_equal(at, len);
    if (strcmp(said, want) != 0)
        fail_msg("%.60s: %s, not %s", text, said, want);
    free(units);
}

static char *filled(const char *before, const char *with, size_t times, const char *after)
{
    size_t n = strlen(with), at = strlen(before);
    char *text = malloc(at + n * times + strlen(after) + 1);
    assert_non_null(text);
    strcpy(text, before);
    for (size_t i = 0; i < times; i++, at += n)
        memcpy(text + at, with, n);
    strcpy(text + at, after);
    return text;
}

/* Text and white space behind it, of each piece. */
static void test_refine(void **state)
{
    (void)state;
    check_refined("Hi.\n```\nint x;\n\n\n  int y;\n```\n\nBye.", "3+1 3+1 6+3 8+1 3+2 4+0");
    check_refined("\n\n```\ncode\n```", "0+2 3+1 4+1 3+0");
    check_refined("    one\n    two \n\nthree", "7+1 7+3 5+0");
    check_refined("- one\n  and on\n- two", "14+1 5+0"); /* what is short is not cut */
    char *text = filled("", "a", 2000, "");
    check_refined(text, "2000+0");
    free(text);
    text = filled("", "a", 2001, "");
    check_refined(text, "2000+0 1+0");
    free(text);
    text = filled("", "abcdef ", 600, "end."); /* at a space: 4204 bytes in pieces of 2000 or less
                                                */
    check_refined(text, "1994+1 1994+1 214+0");
    free(text);
    text = filled("", "a", 999, " "); /* which is looked for in the second half of a piece */
    char *more = filled(text, "b", 1500, "");
    check_refined(more, "2000+0 500+0");
    free(more);
    free(text);
    text = filled("", "a", 1000, " ");
    more = filled(text, "b", 1500, "");
    check_refined(more, "1000+1 1500+0");
    free(more);
    free(text);
    text = filled("a", "é", 1000, ""); /* 2001 bytes, and the 2000th is inside a character */
    check_refined(text, "1999+0 2+0");
    free(text);
    text = filled("- ab\n  ", "a", 2000, "\n  b"); /* a list item: at its lines */
    check_refined(text, "4+1 2000+0 2+1 3+0");
    free(text);
}

/* Other presets judge a text as it is segmented. */
static void test_refine_others(void **state)
{
    (void)state;
    static const s2a_preset presets[] = { S2A_PRESET_AUTO, S2A_PRESET_OPINION,
                                          S2A_PRESET_RELEVANCE };
    static const char text[] = "Hi.\n```\nint x;\nint y;\n```\n";
    segment_unit *units = NULL;
    size_t count = 0;
    assert_int_equal(segment_text(text, sizeof text - 1, NULL, &units, &count, NULL), S2A_OK);
    for (size_t i = 0; i < 3; i++) {
        const segment_unit *was = units;
        assert_int_equal(select_refine(presets[i], text, &units, &count, NULL), S2A_OK);
        assert_true(units == was && count == 2);
    }
    free(units);
}

/* ---- what the model is asked, and what step 2 gets ------------------------------------------ */

static void test_asked(void **state)
{
    (void)state;
    s2a_engine *engine =
        scripted_engine("@expect I think it was Poe. The poem is from 1855. Who wrote it?\n"
                        "@score 6 -6\n@score 6 6\n@score 6 6 1\n%%\n"
                        "@expect The poem is from 1855. Who wrote it?\nWalt Whitman.");
    s2a_request *request =
        scripted_request("I think it was Poe. The poem is from 1855. Who wrote it?");
    s2a_result *result = NULL;
    s2a_error err;
    if (s2a_answer(engine, request, &result, &err) != S2A_OK)
        fail_msg("%s", err.message);
    assert_string_equal(s2a_result_answer(result, NULL), "Walt Whitman.");
    assert_string_equal(s2a_result_prompt(result, NULL), "The poem is from 1855. Who wrote it?");
    assert_true(s2a_result_unit(result, 0).score < -5 && s2a_result_unit(result, 1).score > 5);
    s2a_result_free(result);
    s2a_request_free(request);
    s2a_engine_close(engine);
}

/* The same prompt again costs no reading, and comes out the same; by another preset, the same
 * reading. */
static void test_again(void **state)
{
    (void)state;
    s2a_engine *engine =
        scripted_engine("@score 6 -6\n@score 6 6 1\n%%\n@error internal once is enough\n@score 0");
    s2a_request *request = scripted_request("I think it was Poe. Who wrote it?");
    for (int i = 0; i < 3; i++) {
        s2a_result *result = NULL;
        s2a_error err;
        s2a_request_set_preset(request, i < 2 ? S2A_PRESET_AUTO : S2A_PRESET_RELEVANCE);
        if (s2a_attend(engine, request, &result, &err) != S2A_OK)
            fail_msg("%d: %s", i, err.message);
        assert_string_equal(s2a_result_rewritten(result, NULL),
                            i < 2 ? "Who wrote it?" : "I think it was Poe. Who wrote it?");
        assert_int_equal(s2a_result_usage(result, 1).prompt_tokens > 0, i == 0);
        s2a_result_free(result);
    }
    s2a_request_free(request);
    s2a_engine_close(engine);
}

/* ---- the two thresholds ------------------------------------------------------------------- */

/* Units with these scores, up to a NaN; the first one is asked. */
static void decide(select_input *in, const double *scores, select_unit *units)
{
    static segment_unit segments[40];
    in->units = segments;
    in->question_start = SIZE_MAX;
    for (in->count = 0; !isnan(scores[in->count]); in->count++) {
        double score = scores[in->count];
        segments[in->count] = (segment_unit){ .start = in->count, .end = in->count + 1 };
        units[in->count] = (select_unit){ .judged = true, .odds = { score, 99, -1 } };
    }
    units[0].odds[2] = 1;
    assert_int_equal(select_decide(in, units, NULL), S2A_OK);
}

static void check_kept(const select_unit *units, const char *kept)
{
    for (size_t i = 0; kept[i]; i++)
        if (units[i].kept != (kept[i] == '+'))
            fail_msg("unit %zu of %s: kept %d", i, kept, units[i].kept);
}

/* The second threshold holds in a text with a score below the first, of a unit that may go. */
static void test_second_threshold(void **state)
{
    (void)state;
    const judge_head head = { .thresholds = { -2, -2, -2, -2 }, .second = { -1, -1, -2, -1 } };
    select_unit units[40];
    select_input in = { .head = &head, .text = "", .threshold = NAN };
    decide(&in, (double[]){ 5, -1.5, 4, NAN }, units);
    check_kept(units, "+++");
    assert_true(select_threshold(&in, units) == -2);
    decide(&in, (double[]){ 5, -1.5, 4, -2.5, -0.5, NAN }, units);
    check_kept(units, "+-+-+");
    assert_true(select_threshold(&in, units) == -1 && units[1].score < -1.4);
    decide(&in, (double[]){ -7, -1.5, NAN }, units); /* what is asked does not go */
    check_kept(units, "++");
    in.preset = S2A_PRESET_RELEVANCE; /* its second is the first */
    decide(&in, (double[]){ 5, -1.5, -2.5, NAN }, units);
    check_kept(units, "++-");
    in.preset = S2A_PRESET_AUTO;
    in.threshold = -2; /* the caller's own has no second */
    decide(&in, (double[]){ 5, -1.5, -2.5, NAN }, units);
    check_kept(units, "++-");
    in.threshold = NAN;
    in.keep = 0.99;
    assert_true(isnan(select_threshold(&in, units)));
}

/* One mistake in a long text is not a reason for more. */
static void test_second_threshold_long(void **state)
{
    (void)state;
    const judge_head head = { .thresholds = { -2, -2, -2, -2 }, .second = { -1, -1, -1, -1 } };
    select_unit units[40];
    for (size_t n = 17; n <= 18; n++) { /* with the asked one: 16 or 17 may go */
        double scores[40];
        select_input in = { .head = &head, .text = "", .threshold = NAN };
        for (size_t i = 0; i < n; i++)
            scores[i] = i == 1 ? -2.5 : i == 2 ? -1.5 : 3;
        scores[n] = NAN;
        decide(&in, scores, units);
        assert_true(!units[1].kept && units[2].kept == (n == 18));
    }
}

/* A judgement that fails does not keep the user from an answer. */
static void test_step1_failed(void **state)
{
    (void)state;
    s2a_engine *engine = scripted_engine("@score 0\n@error timeout too late\n%%\n"
                                         "@expect I think it was Poe. Who wrote it?\nWhitman.");
    s2a_request *request = scripted_request("I think it was Poe. Who wrote it?");
    s2a_result *result = NULL;
    assert_int_equal(s2a_answer(engine, request, &result, NULL), S2A_OK);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_STEP1_FAILED);
    assert_string_equal(s2a_result_answer(result, NULL), "Whitman.");
    s2a_result_free(result);
    assert_int_equal(s2a_attend(engine, request, &result, NULL), S2A_TIMEOUT);
    assert_null(result);
    s2a_request_free(request);
    s2a_engine_close(engine);
}

/* What is no number is nothing to cut by. */
static void test_no_number(void **state)
{
    (void)state;
    static const char *const scores[] = { "@score nan 5 5", "@score 5 inf 5", "@score 5 5 -inf" };
    for (size_t i = 0; i < 3; i++) {
        s2a_engine *engine = scripted_engine(scores[i]);
        s2a_request *request = scripted_request("It rained. Who wrote it?");
        s2a_result *result = NULL;
        s2a_error err;
        assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_BACKEND);
        assert_non_null(strstr(err.message, "non-finite hidden state"));
        s2a_request_free(request);
        s2a_engine_close(engine);
    }
}

/* ---- which mode --------------------------------------------------------------------------- */

static s2a_status mode_of(s2a_engine *engine, s2a_mode mode, s2a_preset preset, s2a_mode *out,
                          s2a_error *err)
{
    s2a_request *request = scripted_request("It rained. Who wrote it?");
    s2a_result *result = NULL;
    s2a_request_set_mode(request, mode);
    s2a_request_set_preset(request, preset);
    s2a_status status = s2a_attend(engine, request, &result, err);
    if (status == S2A_OK)
        *out = s2a_result_mode(result);
    s2a_result_free(result);
    s2a_request_free(request);
    return status;
}

/* It never falls back to another mode without a word. */
static void test_untrusted_mode(void **state)
{
    (void)state;
    s2a_engine *can = scripted_engine("@score 0 -1"), *cannot = scripted_engine("Question: Who?");
    s2a_mode mode = S2A_MODE_NONE;
    s2a_error err;
    const s2a_preset preset = S2A_PRESET_UNTRUSTED;
    assert_int_equal(mode_of(can, S2A_MODE_DEFAULT, preset, &mode, &err), S2A_OK);
    assert_int_equal(mode, S2A_MODE_SELECT);
    assert_int_equal(mode_of(can, S2A_MODE_SELECT, preset, &mode, &err), S2A_OK);
    assert_int_equal(mode_of(can, S2A_MODE_REWRITE, preset, &mode, &err), S2A_ARGUMENT);
    assert_non_null(strstr(err.message, "preset untrusted needs mode select"));
    assert_int_equal(mode_of(can, S2A_MODE_NONE, preset, &mode, &err), S2A_ARGUMENT);
    assert_int_equal(mode_of(can, (s2a_mode)99, preset, &mode, &err), S2A_ARGUMENT);
    assert_int_equal(mode_of(cannot, S2A_MODE_DEFAULT, preset, &mode, &err), S2A_UNSUPPORTED);
    assert_int_equal(mode_of(cannot, S2A_MODE_SELECT, preset, &mode, &err), S2A_UNSUPPORTED);
    s2a_request *request = scripted_request("It rained. Who wrote it?");
    s2a_result *result = NULL;
    s2a_request_set_preset(request, preset);
    assert_int_equal(s2a_request_set_keep(request, 0.5, NULL), S2A_OK);
    assert_int_equal(s2a_attend(can, request, &result, &err), S2A_ARGUMENT);
    assert_non_null(strstr(err.message, "leave --keep out"));
    s2a_request_free(request);
    s2a_engine_close(can);
    s2a_engine_close(cannot);
}

static void test_modes(void **state)
{
    (void)state;
    s2a_engine *can = scripted_engine("@score 0"), *cannot = scripted_engine("Question: Who?");
    s2a_mode mode = S2A_MODE_NONE;
    s2a_error err;
    for (int preset = S2A_PRESET_AUTO; preset <= S2A_PRESET_INSTRUCTED_MATH; preset++) {
        bool judges = preset <= S2A_PRESET_RELEVANCE,
             variant = !judges && preset < S2A_PRESET_PLAIN;
        s2a_mode want = judges ? S2A_MODE_SELECT : variant ? S2A_MODE_REWRITE : S2A_MODE_NONE;
        assert_int_equal(mode_of(can, S2A_MODE_DEFAULT, (s2a_preset)preset, &mode, &err), S2A_OK);
        assert_int_equal(mode, want);
        assert_int_equal(s2a_engine_mode(can, (s2a_preset)preset, S2A_MODE_DEFAULT), want);
        want = judges || variant ? S2A_MODE_REWRITE : S2A_MODE_NONE;
        assert_int_equal(mode_of(cannot, S2A_MODE_DEFAULT, (s2a_preset)preset, &mode, &err),
                         S2A_OK);
        assert_int_equal(mode, want);
        assert_int_equal(mode_of(can, S2A_MODE_REWRITE, (s2a_preset)preset, &mode, &err), S2A_OK);
        assert_int_equal(mode, want);
        if (!variant)
            continue;
        assert_int_equal(mode_of(can, S2A_MODE_SELECT, (s2a_preset)preset, &mode, &err),
                         S2A_ARGUMENT);
        assert_non_null(strstr(err.message, "is a variant of mode rewrite"));
    }
    assert_int_equal(s2a_engine_mode(can, S2A_PRESET_UNTRUSTED, S2A_MODE_DEFAULT), S2A_MODE_SELECT);
    assert_int_equal(s2a_engine_mode(can, (s2a_preset)99, S2A_MODE_DEFAULT), S2A_MODE_NONE);
    assert_int_equal(mode_of(cannot, S2A_MODE_SELECT, S2A_PRESET_AUTO, &mode, &err),
                     S2A_UNSUPPORTED);
    assert_non_null(strstr(err.message, "use mode rewrite"));
    assert_int_equal(mode_of(can, (s2a_mode)99, S2A_PRESET_AUTO, &mode, &err), S2A_ARGUMENT);
    assert_int_equal(mode_of(can, S2A_MODE_NONE, S2A_PRESET_AUTO, &mode, &err), S2A_ARGUMENT);
    s2a_engine_close(can);
    s2a_engine_close(cannot);
}

static void test_setters(void **state)
{
    (void)state;
    s2a_request *request = s2a_request_new();
    static const double bad_shares[] = { -0.1, 1.1, NAN, INFINITY };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(s2a_request_set_keep(request, bad_shares[i], NULL), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_keep(request, 1, NULL), S2A_OK);
    assert_int_equal(s2a_request_set_threshold(request, NAN, NULL), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_threshold(request, -INFINITY, NULL), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_threshold(request, -3.5, NULL), S2A_OK);
    s2a_request_free(request);
}

/* The judge may be another engine, whose model then says whether there is mode select. */
static void test_select_engine(void **state)
{
    (void)state;
    s2a_engine *judge = scripted_engine("@expect It rained.\n@score -6 6\n@score 6 6 1\n"),
               *answers = NULL;
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.select_engine = judge;
    answers = scripted_engine_with("@expect Who wrote it?\nPoe.\n", options);
    assert_true(s2a_engine_selects(answers) && s2a_engine_selects(judge));
    s2a_request *request = scripted_request("It rained. Who wrote it?");
    s2a_result *result = NULL;
    assert_int_equal(s2a_answer(answers, request, &result, NULL), S2A_OK);
    assert_int_equal(s2a_result_mode(result), S2A_MODE_SELECT);
    assert_string_equal(s2a_result_rewritten(result, NULL), "Who wrote it?");
    assert_string_equal(s2a_result_answer(result, NULL), "Poe.");
    s2a_result_free(result);
    s2a_request_free(request);
    s2a_engine_close(answers);
    s2a_engine_close(judge);
}

/* What the caller protects is not given to a mode that cannot keep it. */
static void test_protect_rewrite(void **state)
{
    (void)state;
    static const char *const records[] = { "Question/Query: Who?\n", "@score 6 6\n@score 6 6 1\n" };
    for (size_t i = 0; i < 2; i++) {
        s2a_engine *engine = scripted_engine(records[i]);
        s2a_request *request = scripted_request("It rained. Who wrote it?");
        s2a_result *result = NULL;
        s2a_error err;
        s2a_request_set_mode(request, i == 0 ? S2A_MODE_DEFAULT : S2A_MODE_REWRITE);
        assert_int_equal(s2a_request_protect_text(request, "rained", 6, NULL), S2A_OK);
        assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_UNSUPPORTED);
        assert_non_null(strstr(err.message, "protect: mode rewrite cannot keep a text"));
        assert_true(!strstr(err.message, "judge model") == (i == 1));
        s2a_request_set_preset(request, S2A_PRESET_SINGLE);
        s2a_request_set_mode(request, S2A_MODE_DEFAULT);
        assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_UNSUPPORTED);
        s2a_request_free(request);
        s2a_engine_close(engine);
    }
}

static double protected_seconds(size_t count)
{
    enum { BYTES = 256 << 10 };
    char *text = malloc(BYTES + 1);
    assert_non_null(text);
    for (size_t i = 0; i < BYTES; i++)
        text[i] = "a "[i % 2];
    text[BYTES] = '\0';
    s2a_engine *engine = scripted_engine("@score 6 6\n");
    s2a_request *request = scripted_request(text);
    s2a_result *result = NULL;
    s2a_error err;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(s2a_request_protect_text(request, "a", 1, &err), S2A_OK);
    clock_t start = clock();
    if (s2a_attend(engine, request, &result, &err) != S2A_OK)
        fail_msg("%s", err.message);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    s2a_result_free(result);
    s2a_request_free(request);
    s2a_engine_close(engine);
    free(text);
    return seconds;
}

/* A text that occurs everywhere is not looked for again in a unit that stays. */
static void test_protect_everywhere(void **state)
{
    (void)state;
    double one = protected_seconds(1), many = protected_seconds(1024);
    if (many > 20 * one + 0.05)
        fail_msg("1 protected text: %.3f s, 1024: %.3f s", one, many);
}

static void test_protect_setters(void **state)
{
    (void)state;
    s2a_request *request = s2a_request_new();
    s2a_error err;
    assert_int_equal(s2a_request_protect_text(request, "a", 1, &err), S2A_OK);
    assert_int_equal(s2a_request_protect_text(request, "", 0, &err), S2A_INPUT);
    assert_int_equal(s2a_request_protect_text(request, NULL, 1, &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_protect_text(request, "a\xff", 2, &err), S2A_INPUT);
    assert_int_equal(err.position, 1);
    assert_int_equal(s2a_request_protect_lines(request, 1, 1, &err), S2A_OK);
    assert_int_equal(s2a_request_protect_lines(request, 0, 1, &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_protect_lines(request, 3, 2, &err), S2A_ARGUMENT);
    assert_non_null(strstr(err.message, "lines 3 to 2"));
    s2a_request_free(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_many_open),
        cmocka_unit_test(test_refine),
        cmocka_unit_test(test_late_marks),
        cmocka_unit_test(test_refine_others),
        cmocka_unit_test(test_asked),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_second_threshold),
        cmocka_unit_test(test_second_threshold_long),
        cmocka_unit_test(test_step1_failed),
        cmocka_unit_test(test_no_number),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_setters),
        cmocka_unit_test(test_untrusted_mode),
        cmocka_unit_test(test_select_engine),
        cmocka_unit_test(test_protect_setters),
        cmocka_unit_test(test_protect_rewrite),
        cmocka_unit_test(test_protect_everywhere),
    };
    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
