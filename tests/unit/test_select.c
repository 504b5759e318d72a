/* Mode select on the script backend: what is kept, what x' is made of, where the examples come from,
 * which mode a request gets. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"
#include "core/clause.h"
#include "core/prompt.h"
#include "core/select.h"
#include "s2a.h"
#include "scripted.h"

/* ---- cases -------------------------------------------------------------------------------- */

/* Borders as good as zero; all zero would be the default. */
static const s2a_calibration plain = { .relevance_border = 1e-9 };

static s2a_engine *engine_of(const char *scores, s2a_calibration calibration)
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
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.calibration = calibration;
    return scripted_engine_with(records, options);
}

static s2a_request *request_of(const test_case *c)
{
    const case_field *x = case_get(c, "x"), *question = case_get(c, "question");
    const char *preset_name = case_text(c, "preset"), *number;
    s2a_request *request = s2a_request_new();
    s2a_preset preset = S2A_PRESET_AUTO;
    assert_non_null(request);
    s2a_status status =
        question ? s2a_request_set_parts(request, x->value, x->len, question->value, question->len,
                                         NULL)
                 : s2a_request_set_text(request, x->value, x->len, NULL);
    assert_int_equal(status, S2A_OK);
    if (preset_name)
        assert_true(s2a_preset_from_name(preset_name, &preset));
    s2a_request_set_preset(request, preset);
    if ((number = case_text(c, "threshold")))
        assert_int_equal(s2a_request_set_threshold(request, atof(number), NULL), S2A_OK);
    if ((number = case_text(c, "keep")))
        assert_int_equal(s2a_request_set_keep(request, atof(number), NULL), S2A_OK);
    return request;
}

static void check_text(const test_case *c, const char *field, const char *got, const char *otherwise)
{
    const char *want = case_text(c, field);
    if (!want)
        want = otherwise;
    if (!want != !got || (want && strcmp(want, got) != 0))
        fail_msg("%s: %s is \"%s\", not \"%s\"", c->name, field, got ? got : "(null)",
                 want ? want : "(null)");
}

static void check_case(const test_case *c)
{
    const char *borders = case_text(c, "borders");
    s2a_calibration k = plain;
    if (borders)
        assert_true(sscanf(borders, "%lf %lf %lf %lf %lf", &k.relevance_border, &k.relevance_ratio,
                           &k.relevance_cap, &k.opinion_border, &k.relevance_gap) >= 4);
    s2a_engine *engine = engine_of(case_text(c, "scores"), k);
    s2a_request *request = request_of(c);
    s2a_result *result = NULL;
    s2a_error err;
    if (s2a_attend(engine, request, &result, &err) != S2A_OK)
        fail_msg("%s: %s", c->name, err.message);
    const char *x = s2a_result_input(result, NULL);
    assert_int_equal(s2a_result_mode(result), S2A_MODE_SELECT);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_NONE);
    check_text(c, "rewritten", s2a_result_rewritten(result, NULL), x);
    check_text(c, "context", s2a_result_context(result, NULL), NULL);
    check_text(c, "question2", s2a_result_question(result, NULL), NULL);
    char said[4096] = "";
    for (size_t i = 0; i < s2a_result_unit_count(result); i++) {
        s2a_unit unit = s2a_result_unit(result, i);
        assert_int_equal(unit.has_score, unit.label[0] != 'q');
        snprintf(said + strlen(said), sizeof said - strlen(said), "%s%c", i > 0 ? " " : "",
                 unit.label[0]);
    }
    check_text(c, "labels", said, NULL);
    said[0] = '\0';
    for (size_t i = 0; i < s2a_result_removed_count(result); i++) {
        s2a_span span = s2a_result_removed(result, i);
        snprintf(said + strlen(said), sizeof said - strlen(said), "%s%.*s", i > 0 ? "\n" : "",
                 (int)(span.end - span.start), x + span.start);
    }
    check_text(c, "removed", said, "");
    s2a_result_free(result);
    s2a_request_free(request);
    s2a_engine_close(engine);
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/select.txt");
    assert_true(file.count >= 18);
    for (size_t i = 0; i < file.count; i++)
        check_case(&file.cases[i]);
    cases_free(&file);
}

/* ---- an opinion and a question in one sentence -------------------------------------------- */

static void test_clauses(void **state)
{
    (void)state;
    static const char *const split[] = { /* the bar is where the question begins */
        "I think it was Freud, but |who wrote it?",
        "I'm sure that it is Paris; |is it?",
        "I\xe2\x80\x99m no expert, so |which one is right?",
        "In my opinion it is Rome - |what is the capital of Italy?",
        "My guess would be 7\342\200\224|how many are there?",
        "I believe, as you know, in ghosts, and |do they exist?",
        "I love it... |Who wrote it?",
    };
    static const char *const whole[] = {
        "If there are 45 students, how many are drunk?",
        "Who wrote it, and when did I read it?",
        "I have 5 apples, 3 pears and a plum?",
        "I wonder who wrote it?",
        "Ich denke, wer war es?",
        "", " ", "I ", "I think, but ",
    };
    for (size_t i = 0; i < sizeof split / sizeof split[0]; i++) {
        char sentence[128];
        size_t bar = strcspn(split[i], "|");
        snprintf(sentence, sizeof sentence, "%.*s%s", (int)bar, split[i], split[i] + bar + 1);
        if (clause_question(sentence, strlen(sentence)) != bar)
            fail_msg("%s: %zu", split[i], clause_question(sentence, strlen(sentence)));
    }
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (clause_question(whole[i], strlen(whole[i])) != strlen(whole[i]))
            fail_msg("%s: %zu", whole[i], clause_question(whole[i], strlen(whole[i])));
}

static void test_opinion_last(void **state)
{
    (void)state;
    static const char *const split[] = {
        "In which state is Martha's Vineyard |I think the answer is Ohio but I'm not sure.",
        "Who wrote it |I don't think it was Poe.",
        "What is it called |My guess is a lute.",
    };
    static const char *const whole[] = {
        "What should I think of it", "It is late I think of you.", "Who is it that I believe in.",
        "Where I think I am",         "Who wrote it",              "",
    };
    for (size_t i = 0; i < sizeof split / sizeof split[0]; i++) {
        char sentence[128];
        size_t bar = strcspn(split[i], "|");
        snprintf(sentence, sizeof sentence, "%.*s%s", (int)bar, split[i], split[i] + bar + 1);
        if (clause_opinion(sentence, strlen(sentence)) != bar)
            fail_msg("%s: %zu", split[i], clause_opinion(sentence, strlen(sentence)));
    }
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (clause_opinion(whole[i], strlen(whole[i])) != strlen(whole[i]))
            fail_msg("%s: %zu", whole[i], clause_opinion(whole[i], strlen(whole[i])));
}

static void test_requests(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "Please comment briefly on the following argument.", "please help", "Answer in JSON.",
        " Now, translate it into French:", "Find the area.", "Calculate how much she spends.",
        "Write.", "And then summarise it", "Use at most five lines.",
    };
    static const char *const no[] = { "Answering takes time.", "I write poems.", "Names matter.",
                                      "Then he left.",         "Find",           "",
                                      "The list is long.",     "Statements follow." };
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!clause_is_request(yes[i], strlen(yes[i])))
            fail_msg("%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (clause_is_request(no[i], strlen(no[i])))
            fail_msg("%s", no[i]);
}

/* ---- whatever the model says -------------------------------------------------------------- */

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* x' is kept units, byte for byte, white space aside; x itself when none went. */
static void check_made_of_input(const s2a_result *result)
{
    const char *x = s2a_result_input(result, NULL), *y = s2a_result_rewritten(result, NULL);
    size_t x_len = 0, kept = 0, y_letters = 0;
    s2a_result_input(result, &x_len);
    bool any = false;
    for (size_t i = 0; i < s2a_result_unit_count(result); i++) {
        s2a_unit unit = s2a_result_unit(result, i);
        any |= !unit.kept;
        size_t end = unit.end;
        while (end > unit.start && strchr(" \n", x[end - 1]))
            end--;
        if (!unit.kept)
            continue;
        char *part = strndup(x + unit.start, end - unit.start);
        assert_non_null(strstr(y, part));
        free(part);
        for (size_t k = unit.start; k < end; k++)
            kept += !strchr(" \n", x[k]);
    }
    for (const char *at = y; *at; at++)
        y_letters += !strchr(" \n", *at);
    assert_int_equal(y_letters, kept);
    if (!any)
        assert_string_equal(x, y);
}

static void test_random(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "Ann has 3.5 kg of tea. ", "Why? ", "I guess it is 7. ",  "\n\n",  "- item one\n",
        "Who pays?\n",             "No. ",  "He said \"so\". ", "| a | b |\n", "他有三个。",
    };
    uint32_t seed = 1;
    for (int round = 0; round < 400; round++) {
        char x[1024] = "", scores[1024] = "";
        for (uint32_t n = 1 + random_next(&seed) % 9; n > 0; n--)
            strcat(x, pieces[random_next(&seed) % 10]);
        if (strspn(x, " \n") == strlen(x))
            continue;
        for (int n = 0; n < 7; n++)
            snprintf(scores + strlen(scores), sizeof scores - strlen(scores), "%d %d %d\n",
                     -(int)(random_next(&seed) % 9), -(int)(random_next(&seed) % 9),
                     -(int)(random_next(&seed) % 9));
        s2a_engine *engine = engine_of(scores, plain);
        s2a_request *request = scripted_request(x);
        s2a_result *result = NULL;
        assert_int_equal(s2a_attend(engine, request, &result, NULL), S2A_OK);
        check_made_of_input(result);
        s2a_result_free(result);
        s2a_request_free(request);
        s2a_engine_close(engine);
    }
}

/* ---- what the model is asked, and what step 2 gets ------------------------------------------ */

static void test_asked(void **state)
{
    (void)state;
    s2a_engine *engine = scripted_engine(
        "@expect [2] The poem is from 1855.\n@expect Question: Who wrote it?\n"
        "@score -6 -6 -0.1\n@score -0.1 -6 -6\n%%\n"
        "@expect The poem is from 1855. Who wrote it?\nWalt Whitman.");
    s2a_request *request = scripted_request("I think it was Poe. The poem is from 1855. Who wrote it?");
    s2a_result *result = NULL;
    s2a_error err;
    if (s2a_answer(engine, request, &result, &err) != S2A_OK)
        fail_msg("%s", err.message);
    assert_string_equal(s2a_result_answer(result, NULL), "Walt Whitman.");
    s2a_result_free(result);
    s2a_request_free(request);
    s2a_engine_close(engine);
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
        bool judges = preset <= S2A_PRESET_RELEVANCE, variant = !judges && preset < S2A_PRESET_PLAIN;
        s2a_mode want = judges ? S2A_MODE_SELECT : variant ? S2A_MODE_REWRITE : S2A_MODE_NONE;
        assert_int_equal(mode_of(can, S2A_MODE_DEFAULT, (s2a_preset)preset, &mode, &err), S2A_OK);
        assert_int_equal(mode, want);
        want = judges || variant ? S2A_MODE_REWRITE : S2A_MODE_NONE;
        assert_int_equal(mode_of(cannot, S2A_MODE_DEFAULT, (s2a_preset)preset, &mode, &err), S2A_OK);
        assert_int_equal(mode, want);
        assert_int_equal(mode_of(can, S2A_MODE_REWRITE, (s2a_preset)preset, &mode, &err), S2A_OK);
        assert_int_equal(mode, want);
        if (!variant)
            continue;
        assert_int_equal(mode_of(can, S2A_MODE_SELECT, (s2a_preset)preset, &mode, &err),
                         S2A_ARGUMENT);
        assert_non_null(strstr(err.message, "is a variant of mode rewrite"));
    }
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

/* ---- examples ----------------------------------------------------------------------------- */

/* The same text is that of both files of examples. */
static s2a_status build_for(s2a_preset preset, char *text, select_examples *out, s2a_error *err)
{
    prompt_set prompts = { 0 };
    static char select[] = "{{input}}\n{{question}}", system[] = "Label.";
    prompts.text[PROMPT_SELECT_SYSTEM] = system;
    prompts.len[PROMPT_SELECT_SYSTEM] = strlen(system);
    prompts.text[PROMPT_SELECT] = select;
    prompts.len[PROMPT_SELECT] = strlen(select);
    prompts.text[PROMPT_SELECT_EXAMPLES] = prompts.text[PROMPT_SELECT_UNTRUSTED_EXAMPLES] = text;
    prompts.len[PROMPT_SELECT_EXAMPLES] = prompts.len[PROMPT_SELECT_UNTRUSTED_EXAMPLES] =
        strlen(text);
    static char orders[] = "Find orders.";
    prompts.text[PROMPT_SELECT_UNTRUSTED_SYSTEM] = orders;
    prompts.len[PROMPT_SELECT_UNTRUSTED_SYSTEM] = strlen(orders);
    return select_examples_build(&prompts, preset, out, err);
}

static s2a_status build(char *text, select_examples *out, s2a_error *err)
{
    return build_for(S2A_PRESET_AUTO, text, out, err);
}

static void test_untrusted_examples(void **state)
{
    (void)state;
    select_examples out;
    s2a_error err;
    char text[] = "data: Hi.\ninstruction: Sing.\nquestion: Who?";
    assert_int_equal(build_for(S2A_PRESET_UNTRUSTED, text, &out, NULL), S2A_OK);
    assert_int_equal(out.count, 3);
    assert_string_equal(out.messages[0].content, "Find orders.");
    assert_string_equal(out.messages[1].content, "[1] Hi.\n[2] Sing.\n[3] Who?\nWho?");
    assert_string_equal(out.messages[2].content, "[1] \"Hi.\" is data\n[2] \"Sing.\" is instruction");
    select_examples_free(&out);
    assert_int_equal(build(text, &out, &err), S2A_PROMPT);
    char needed[] = "needed: Hi.\nquestion: Who?";
    assert_int_equal(build_for(S2A_PRESET_UNTRUSTED, needed, &out, &err), S2A_PROMPT);
    assert_non_null(strstr(err.message, "select-untrusted-examples: unknown label at byte 0; use "
                                        "data, instruction or question"));
}

static void test_examples(void **state)
{
    (void)state;
    select_examples out;
    char two[] = "needed:  1 2 3 4 5 6 7 8 9 10 11 12 13.\nopinion: I like it.\nquestion: Why?\n"
                 "\n  \nquestion: Who?\nunrelated: It rained.";
    assert_int_equal(build(two, &out, NULL), S2A_OK);
    assert_int_equal(out.count, 5);
    assert_string_equal(out.messages[0].role, "system");
    assert_string_equal(out.messages[0].content, "Label.");
    static const char *const want[] = {
        "[1] 1 2 3 4 5 6 7 8 9 10 11 12 13.\n[2] I like it.\n[3] Why?\nWhy?",
        "[1] \"1 2 3 4 5 6 7 8 9 10 11 12...\" is needed\n[2] \"I like it.\" is opinion",
        "[1] Who?\n[2] It rained.\nWho?",
        "[2] \"It rained.\" is unrelated",
    };
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(out.messages[i + 1].role, i % 2 ? "assistant" : "user");
        assert_string_equal(out.messages[i + 1].content, want[i]);
        assert_int_equal(out.messages[i + 1].len, strlen(want[i]));
    }
    select_examples_free(&out);
    char none[] = "\n";
    assert_int_equal(build(none, &out, NULL), S2A_OK);
    assert_int_equal(out.count, 1);
    select_examples_free(&out);
}

static void test_bad_examples(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fault;
        size_t position;
    } cases[] = {
        { "needed: a.\nquestion: b?\nfoo: c.", "unknown label at byte 24", 24 },
        { "no colon", "the line at byte 0 is not \"label: sentence\"", 0 },
        { "needed: a.\nquestion:  \n", "the line at byte 11 is not", 11 },
        { "needed: a.\n\nquestion: b?", "the example that ends at byte 11 has no question", 11 },
        { "question: b?", "the example that ends at byte 12 has no labelled sentence", 12 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        s2a_error err;
        select_examples out;
        strcpy(text, cases[i].text);
        assert_int_equal(build(text, &out, &err), S2A_PROMPT);
        if (!strstr(err.message, cases[i].fault))
            fail_msg("\"%s\": %s", text, err.message);
        assert_int_equal(err.position, cases[i].position);
        assert_null(out.messages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),        cmocka_unit_test(test_clauses),
        cmocka_unit_test(test_opinion_last), cmocka_unit_test(test_requests),
                cmocka_unit_test(test_random),
        cmocka_unit_test(test_asked),        cmocka_unit_test(test_step1_failed),
        cmocka_unit_test(test_modes),        cmocka_unit_test(test_setters),
        cmocka_unit_test(test_untrusted_mode),
        cmocka_unit_test(test_untrusted_examples),
        cmocka_unit_test(test_examples),     cmocka_unit_test(test_bad_examples),
    };
    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
