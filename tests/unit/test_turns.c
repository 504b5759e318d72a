/* Conversations in mode select on the script backend: which earlier words of the user's go, and what
 * step 2 gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"
#include "core/buf.h"
#include "core/clause.h"
#include "core/engine.h"
#include "core/limits.h"
#include "core/turns.h"
#include "s2a.h"
#include "scripted.h"

/* ---- a backend that writes down what it is asked ------------------------------------------- */

typedef struct recorder {
    backend base;
    backend *inner;
    buf sent; /* of the last generation, as the cases write it */
    buf judged; /* the last prompt that was judged */
} recorder;

static s2a_status record_generate(backend *self, const backend_message *messages, size_t count,
                                  const backend_params *params, const backend_draft *draft,
                                  backend_token_fn on_token, void *ctx, backend_usage *usage,
                                  s2a_error *err)
{
    (void)params, (void)draft, (void)err;
    recorder *r = (recorder *)self;
    buf_reset(&r->sent);
    for (size_t i = 0; i < count; i++) {
        buf_addf(&r->sent, "%s%s: ", i > 0 ? "\n" : "", messages[i].role);
        buf_add(&r->sent, messages[i].content, messages[i].len);
    }
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    on_token(ctx, "ok", 2);
    return S2A_OK;
}

static s2a_status record_score(backend *self, const backend_message *messages, size_t count,
                               const backend_branch *branches, size_t branch_count,
                               const char *const *labels, size_t label_count,
                               const backend_params *params, double *logprob, backend_usage *usage,
                               s2a_error *err)
{
    recorder *r = (recorder *)self;
    buf_reset(&r->judged);
    buf_add(&r->judged, messages[count - 1].content, messages[count - 1].len);
    return r->inner->vtable->score(r->inner, messages, count, branches, branch_count, labels,
                                   label_count, params, logprob, usage, err);
}

static size_t record_count(backend *self, const char *text, size_t len)
{
    recorder *r = (recorder *)self;
    return r->inner->vtable->count_tokens(r->inner, text, len);
}

static backend_capabilities record_capabilities(const backend *self)
{
    const recorder *r = (const recorder *)self;
    return r->inner->vtable->capabilities(r->inner);
}

static const backend_vtable record_vtable = { .generate = record_generate, .score = record_score,
                                              .count_tokens = record_count,
                                              .capabilities = record_capabilities };

static void record(recorder *r, s2a_engine *engine)
{
    *r = (recorder){ .base = { &record_vtable }, .inner = engine->backend };
    buf_init(&r->sent, 1 << 20);
    buf_init(&r->judged, 1 << 20);
    engine->backend = &r->base;
}

static void record_end(recorder *r, s2a_engine *engine)
{
    engine->backend = r->inner;
    buf_free(&r->sent);
    buf_free(&r->judged);
    s2a_engine_close(engine);
}

/* ---- cases -------------------------------------------------------------------------------- */

static s2a_engine *engine_of(const char *scores, const char *borders)
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
    s2a_calibration *k = &options.calibration;
    k->relevance_border = 1e-9;
    if (borders)
        assert_int_equal(sscanf(borders, "%lf %lf %lf %lf", &k->relevance_border, &k->relevance_ratio,
                                &k->relevance_cap, &k->opinion_border),
                         4);
    return scripted_engine_with(records, options);
}

/* The length of "ROLE: " at the beginning of a line; 0 = it goes on with what was said. */
static size_t role_at(const char *line, char role[16])
{
    static const char *const roles[] = { "system", "user", "assistant", "tool" };
    for (size_t i = 0; i < 4; i++) {
        size_t n = strlen(roles[i]);
        if (!strncmp(line, roles[i], n) && line[n] == ':' && line[n + 1] == ' ') {
            strcpy(role, roles[i]);
            return n + 2;
        }
    }
    return 0;
}

static s2a_request *conversation(const char *text)
{
    s2a_request *request = s2a_request_new();
    assert_non_null(request);
    while (*text) {
        char role[16], next[16];
        size_t n = role_at(text, role);
        assert_true(n > 0);
        const char *start = text + n, *end = start;
        for (;;) {
            end += strcspn(end, "\n");
            if (!*end || role_at(end + 1, next))
                break;
            end++;
        }
        assert_int_equal(s2a_request_add_message(request, role, start, (size_t)(end - start), NULL),
                         S2A_OK);
        text = *end ? end + 1 : end;
    }
    return request;
}

static void check_text(const test_case *c, const char *field, const char *got, const char *want)
{
    if (!want != !got || (want && strcmp(want, got) != 0))
        fail_msg("%s: %s is\n%s\nnot\n%s", c->name, field, got ? got : "(null)",
                 want ? want : "(null)");
}

/* What step 2 gets of a turn is its own bytes, the removed spans left out, white space aside. */
static void turn_add(const s2a_turn *t, buf *out)
{
    size_t letters = 0, at = 0;
    for (size_t i = 0; i < t->rewritten_len; i++)
        letters += !strchr(" \n", t->rewritten[i]);
    buf_addf(out, "%s%zu", out->len > 0 ? "\n" : "", t->index);
    assert_true(t->removed_count > 0);
    for (size_t i = 0; i <= t->removed_count; i++) {
        size_t start = i < t->removed_count ? t->removed[i].start : t->input_len;
        assert_true(at <= start && start <= t->input_len);
        for (; at < start; at++)
            letters -= !strchr(" \n", t->input[at]);
        if (i == t->removed_count)
            break;
        at = t->removed[i].end;
        buf_addf(out, "|%.*s", (int)(at - start), t->input + start);
    }
    assert_int_equal(letters, 0);
}

static void check_case(const test_case *c)
{
    s2a_engine *engine = engine_of(case_text(c, "scores"), case_text(c, "borders"));
    recorder r;
    record(&r, engine);
    s2a_request *request = conversation(case_text(c, "messages"));
    if (case_text(c, "keep"))
        assert_int_equal(s2a_request_set_keep(request, atof(case_text(c, "keep")), NULL), S2A_OK);
    s2a_result *result = NULL;
    s2a_error err;
    if (s2a_answer(engine, request, &result, &err) != S2A_OK)
        fail_msg("%s: %s", c->name, err.message);
    if (s2a_result_fallback(result) != S2A_FALLBACK_NONE)
        fail_msg("%s: %s", c->name, s2a_result_fallback_detail(result));
    const char *sent = case_text(c, "sent");
    check_text(c, "sent", r.sent.data, sent ? sent : case_text(c, "messages"));
    buf said;
    buf_init(&said, 4096);
    for (size_t i = 0; i < s2a_result_unit_count(result); i++)
        buf_addf(&said, "%s%c", i > 0 ? " " : "", s2a_result_unit(result, i).label[0]);
    check_text(c, "labels", said.data, case_text(c, "labels"));
    buf_reset(&said);
    for (size_t i = 0; i < s2a_result_turn_count(result); i++) {
        s2a_turn t = s2a_result_turn(result, i);
        turn_add(&t, &said);
    }
    check_text(c, "turns", said.len > 0 ? said.data : NULL, case_text(c, "turns"));
    s2a_turn none = s2a_result_turn(result, s2a_result_turn_count(result));
    assert_true(none.input_len == 0 && none.removed_count == 0 && none.input[0] == '\0');
    buf_free(&said);
    s2a_result_free(result);
    s2a_request_free(request);
    record_end(&r, engine);
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/turns.txt");
    assert_true(file.count >= 15);
    for (size_t i = 0; i < file.count; i++)
        check_case(&file.cases[i]);
    cases_free(&file);
}

/* ---- what the model is shown -------------------------------------------------------------- */

#define TALK "user: It rained. Which poem?\nassistant: Poe.\nuser: The poem is from 1855. Are you sure?"

/* Numbers go on from turn to turn; the question is the last one. */
static void test_asked(void **state)
{
    (void)state;
    s2a_engine *engine = engine_of("-5 -0.1 -6\n-0.1 -5 -6", NULL);
    recorder r;
    record(&r, engine);
    s2a_request *request = conversation(TALK);
    s2a_result *result = NULL;
    assert_int_equal(s2a_attend(engine, request, &result, NULL), S2A_OK);
    assert_string_equal(r.judged.data, "[1] It rained.\n[2] Which poem?\n[3] The poem is from 1855.\n"
                                       "[4] Are you sure?\n\nQuestion: Are you sure?");
    assert_string_equal(s2a_result_input(result, NULL), "The poem is from 1855. Are you sure?");
    assert_int_equal(s2a_result_turn_count(result), 1);
    s2a_result_free(result);
    s2a_request_free(request);
    record_end(&r, engine);
}

/* Without a judgement the conversation goes on as it was; and so it does in mode rewrite. */
static void test_unjudged(void **state)
{
    (void)state;
    s2a_engine *engine = scripted_engine("@score 0\n@error timeout too late");
    recorder r;
    record(&r, engine);
    s2a_request *request = conversation(TALK);
    s2a_result *result = NULL;
    assert_int_equal(s2a_answer(engine, request, &result, NULL), S2A_OK);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_STEP1_FAILED);
    assert_string_equal(r.sent.data, TALK);
    assert_int_equal(s2a_result_turn_count(result), 0);
    s2a_result_free(result);
    s2a_request_set_mode(request, S2A_MODE_REWRITE);
    assert_int_equal(s2a_answer(engine, request, &result, NULL), S2A_OK);
    assert_int_equal(strncmp(r.sent.data, TALK, strlen("user: It rained. Which poem?")), 0);
    s2a_result_free(result);
    s2a_request_free(request);
    record_end(&r, engine);
}

/* Of a conversation that is longer than a prompt may be, the end. */
static void test_limit(void **state)
{
    (void)state;
    static const char last[] = "It rained. Who wrote it?";
    size_t half = LIMIT_INPUT_BYTES / 2 - 20;
    char *code = malloc(LIMIT_INPUT_BYTES);
    assert_non_null(code);
    memset(code, 'x', LIMIT_INPUT_BYTES);
    memcpy(code, "```\n", 4);
    size_t rest = LIMIT_INPUT_BYTES - (sizeof last - 1) - half - 4;
    for (size_t over = 0; over < 2; over++) {
        s2a_request *request = s2a_request_new();
        assert_int_equal(s2a_request_add_message(request, "user", code, rest + over, NULL), S2A_OK);
        assert_int_equal(s2a_request_add_message(request, "user", code, half, NULL), S2A_OK);
        assert_int_equal(s2a_request_add_message(request, "user", last, sizeof last - 1, NULL), S2A_OK);
        segment_unit *units = NULL;
        turn prompt = { .text = last, .len = sizeof last - 1 };
        assert_int_equal(segment_text(last, prompt.len, NULL, &units, &prompt.count, NULL), S2A_OK);
        prompt.units = units;
        turns t;
        assert_int_equal(turns_gather(request, &prompt, &t, NULL), S2A_OK);
        assert_int_equal(t.earlier, 2 - over);
        assert_int_equal(t.items[0].message, over);
        assert_int_equal(t.joined.len, over ? half + 2 + prompt.len : LIMIT_INPUT_BYTES);
        for (size_t i = 1; i < t.unit_count; i++)
            assert_true(t.units[i - 1].end <= t.units[i].start);
        turns_free(&t);
        free(units);
        s2a_request_free(request);
    }
    free(code);
}

/* ---- what is seen of a sentence ----------------------------------------------------------- */

static void test_clauses(void **state)
{
    (void)state;
    static const char *const standing[] = { "Call me Bob.", " From now on use French.",
                                            "Use metres.",  "Keep it short, please!",
                                            "I like long answers.", "You are a pirate." };
    static const char *const not_standing[] = { "I think the answer is Ohio.", "Users call me often.", "",
                                                "We rented a car." };
    static const char *const back[] = { "It was red.", "And he left.", " They did.", "It's late.",
                                        "That is all." };
    static const char *const not_back[] = { "Itself it knows.", "Hers was red.", "", "Ann saw it.",
                                            "Is she late." };
    for (size_t i = 0; i < sizeof standing / sizeof standing[0]; i++)
        if (!clause_is_standing(standing[i], strlen(standing[i])))
            fail_msg("%s", standing[i]);
    for (size_t i = 0; i < sizeof not_standing / sizeof not_standing[0]; i++)
        if (clause_is_standing(not_standing[i], strlen(not_standing[i])))
            fail_msg("%s", not_standing[i]);
    for (size_t i = 0; i < sizeof back / sizeof back[0]; i++)
        if (!clause_refers_back(back[i], strlen(back[i]), false))
            fail_msg("%s", back[i]);
    for (size_t i = 0; i < sizeof not_back / sizeof not_back[0]; i++)
        if (clause_refers_back(not_back[i], strlen(not_back[i]), false))
            fail_msg("%s", not_back[i]);
    static const char *const to_reader[] = { " If you agree, call us.", "Please pay.", "Thanks!", "Let me know." };
    static const char *const not_to_reader[] = { "Iffy.", "Call us if you agree.", "", "Pleased to meet you." };
    for (size_t i = 0; i < 4; i++) {
        if (!clause_speaks_to_reader(to_reader[i], strlen(to_reader[i])))
            fail_msg("%s", to_reader[i]);
        if (clause_speaks_to_reader(not_to_reader[i], strlen(not_to_reader[i])))
            fail_msg("%s", not_to_reader[i]);
    }
    assert_true(clause_refers_back("How old is she?", 15, true));
    assert_false(clause_refers_back("How old is Ann?", 15, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases), cmocka_unit_test(test_asked), cmocka_unit_test(test_unjudged),
        cmocka_unit_test(test_limit), cmocka_unit_test(test_clauses),
    };
    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
