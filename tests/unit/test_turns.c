/* Conversations in mode select: which of the user's earlier words go, what each message is judged
 * by, and what step 2 gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "cases.h"
#include "core/engine.h"
#include "core/turns.h"
#include "fake_reader.h"
#include "s2a.h"
#include "scripted.h"

/* ---- a backend that writes down what step 2 gets -------------------------------------------- */

typedef struct recorder {
    backend base;
    backend *inner;
    buf sent; /* of the last generation, as the cases write it */
    size_t readings, sentences;
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

static s2a_status record_read(backend *self, const backend_message *messages, size_t count,
                              const backend_piece *pieces, size_t piece_count,
                              const backend_head *head, const backend_params *params, double *told,
                              float *states, backend_usage *usage, s2a_error *err)
{
    recorder *r = (recorder *)self;
    r->readings++;
    for (size_t i = 0; i < piece_count; i++)
        r->sentences += pieces[i].wanted;
    return r->inner->vtable->read(r->inner, messages, count, pieces, piece_count, head, params,
                                  told, states, usage, err);
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

static const backend_vtable record_vtable = { .generate = record_generate,
                                              .read = record_read,
                                              .count_tokens = record_count,
                                              .capabilities = record_capabilities };

static void record(recorder *r, s2a_engine *engine)
{
    *r = (recorder){ .base = { &record_vtable }, .inner = engine->backend };
    buf_init(&r->sent, 1 << 20);
    engine->backend = &r->base;
}

static void record_end(recorder *r, s2a_engine *engine)
{
    engine->backend = r->inner;
    buf_free(&r->sent);
    s2a_engine_close(engine);
}

/* ---- cases -------------------------------------------------------------------------------- */

/* *readings, *sentences: what the scores are for. */
static s2a_engine *engine_of(const char *scores, size_t *readings, size_t *sentences)
{
    char records[4096] = "";
    size_t at = 0;
    *readings = scores ? 1 : 0;
    *sentences = 0;
    while (scores && *scores) {
        size_t n = strcspn(scores, "\n");
        bool next = n == 2 && !strncmp(scores, "%%", 2);
        at += (size_t)snprintf(records + at, sizeof records - at, "%s%.*s\n", next ? "" : "@score ",
                               (int)n, scores);
        *readings += next;
        *sentences += !next;
        scores += n + (scores[n] == '\n');
    }
    if (at == 0)
        strcpy(records, "@score 0\n@error internal nobody is to be asked");
    return scripted_engine(records);
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

static s2a_request *request_of(const test_case *c)
{
    s2a_request *request = conversation(case_text(c, "messages"));
    const char *text;
    s2a_preset preset = S2A_PRESET_AUTO;
    if ((text = case_text(c, "preset")))
        assert_true(s2a_preset_from_name(text, &preset));
    s2a_request_set_preset(request, preset);
    if ((text = case_text(c, "threshold")))
        assert_int_equal(s2a_request_set_threshold(request, atof(text), NULL), S2A_OK);
    if ((text = case_text(c, "keep")))
        assert_int_equal(s2a_request_set_keep(request, atof(text), NULL), S2A_OK);
    if ((text = case_text(c, "protect")))
        assert_int_equal(s2a_request_protect_text(request, text, strlen(text), NULL), S2A_OK);
    size_t first = 0, last = 0;
    if ((text = case_text(c, "lines"))) {
        assert_int_equal(sscanf(text, "%zu-%zu", &first, &last), 2);
        assert_int_equal(s2a_request_protect_lines(request, first, last, NULL), S2A_OK);
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
    size_t readings = 0, sentences = 0;
    s2a_engine *engine = engine_of(case_text(c, "scores"), &readings, &sentences);
    recorder r;
    record(&r, engine);
    s2a_request *request = request_of(c);
    s2a_result *result = NULL;
    s2a_error err;
    if (s2a_answer(engine, request, &result, &err) != S2A_OK)
        fail_msg("%s: %s", c->name, err.message);
    if (s2a_result_fallback(result) != S2A_FALLBACK_NONE)
        fail_msg("%s: %s", c->name, s2a_result_fallback_detail(result));
    if (r.readings != readings || r.sentences != sentences)
        fail_msg("%s: %zu readings, %zu sentences", c->name, r.readings, r.sentences);
    const char *sent = case_text(c, "sent");
    check_text(c, "sent", r.sent.data, sent ? sent : case_text(c, "messages"));
    buf said;
    buf_init(&said, 4096);
    for (size_t i = 0; i < s2a_result_unit_count(result); i++) {
        s2a_unit unit = s2a_result_unit(result, i);
        buf_addf(&said, "%s%c", i > 0 ? " " : "", unit.label[0] - (unit.has_score ? 0 : 'a' - 'A'));
    }
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
    assert_true(file.count >= 13);
    for (size_t i = 0; i < file.count; i++)
        check_case(&file.cases[i]);
    cases_free(&file);
}

/* ---- what each is judged by ---------------------------------------------------------------- */

#define TALK                                                                     \
    "system: Be kind.\nuser: It rained. Which poem?\nassistant: Poe.\ntool: 7\n" \
    "user: The poem is from 1855. Are you sure?\nassistant: I am.\nuser: Who wrote it?"

/* What was said before it, as it was said; the same for a message when it was the last one, and
 * later on. */
static void test_read(void **state)
{
    (void)state;
    static const char *const told =
        "system| You decide which sentences of a prompt are needed to answer it.\n\nThe "
        "assistant that will answer it was told: Be kind.\n";
    static const char *const rest[] = {
        "user| It rained. Which poem?\n"
        "-|The prompt again, sentence by sentence: |\n+|It rained.|\n+| Which poem?|",
        "user| It rained. Which poem?\nassistant| Poe.\n"
        "user| The poem is from 1855. Are you sure?\n"
        "-|The prompt again, sentence by sentence: |\n+|The poem is from 1855.|\n+| Are you sure?|",
        "user| The poem is from 1855. Are you sure?\nassistant| I am.\nuser| Who wrote it?\n"
        "-|The prompt again, sentence by sentence: |\n+|Who wrote it?|",
    };
    fake_reader f;
    fake_reader_init(&f, NULL, NULL);
    f.writes = true;
    s2a_engine engine = fake_reader_engine(&f, NULL);
    buf want;
    buf_init(&want, 1 << 20);
    for (size_t n = 1; n <= 3; n++) {
        static const char *const ends[] = { "Which poem?", "Are you sure?", "Who wrote it?" };
        size_t len = (size_t)(strstr(TALK, ends[n - 1]) - TALK) + strlen(ends[n - 1]);
        char *talk = strndup(TALK, len);
        s2a_request *request = conversation(talk);
        s2a_result *result = NULL;
        buf_reset(&f.seen);
        assert_int_equal(s2a_attend(&engine, request, &result, NULL), S2A_OK);
        buf_addf(&want, "%s%s%s", n > 1 ? "\n%%\n" : "", told, rest[n - 1]);
        assert_string_equal(f.seen.data, want.data);
        assert_string_equal(s2a_result_input(result, NULL) +
                                strlen(s2a_result_input(result, NULL)) - strlen(ends[n - 1]),
                            ends[n - 1]);
        assert_int_equal(s2a_result_usage(result, 1).cached_tokens, 3 * n);
        assert_true(s2a_result_usage(result, 1).ms > 0.4 * (double)n);
        s2a_result_free(result);
        s2a_request_free(request);
        free(talk);
    }
    buf_free(&want);
    fake_reader_free(&f);
}

/* Without a judgement the conversation goes on as it was; and so it does in mode rewrite. */
static void test_unjudged(void **state)
{
    (void)state;
    s2a_engine *engine =
        scripted_engine("@score -9\n@score 9 9 1\n%%\n@score 0\n@error timeout too late");
    recorder r;
    record(&r, engine);
    s2a_request *request = conversation(TALK);
    s2a_result *result = NULL;
    assert_int_equal(s2a_answer(engine, request, &result, NULL), S2A_OK);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_STEP1_FAILED);
    assert_int_equal(r.readings, 2); /* the first message's was there, the second's not */
    assert_string_equal(r.sent.data, TALK);
    assert_int_equal(s2a_result_turn_count(result), 0);
    s2a_result_free(result);
    s2a_request_set_mode(request, S2A_MODE_REWRITE);
    assert_int_equal(s2a_answer(engine, request, &result, NULL), S2A_OK);
    assert_int_equal(
        strncmp(r.sent.data, TALK, strlen("system: Be kind.\nuser: It rained. Which poem?")), 0);
    assert_int_equal(r.readings, 2);
    s2a_result_free(result);
    s2a_request_free(request);
    record_end(&r, engine);
}

/* ---- limits ------------------------------------------------------------------------------- */

/* Of a conversation that is longer than a prompt may be, the earlier messages from the first one
 * on. */
static void test_limit(void **state)
{
    (void)state;
    static const char last[] = "It rained. Who wrote it?";
    char *code = malloc(LIMIT_INPUT_BYTES);
    assert_non_null(code);
    memset(code, 'x', LIMIT_INPUT_BYTES);
    memcpy(code, "```\n", 4);
    size_t half = LIMIT_INPUT_BYTES / 2;
    for (size_t over = 0; over < 2; over++) {
        s2a_request *request = s2a_request_new();
        assert_int_equal(s2a_request_add_message(request, "user", code, half + over, NULL), S2A_OK);
        assert_int_equal(s2a_request_add_message(request, "assistant", code, half, NULL), S2A_OK);
        assert_int_equal(s2a_request_add_message(request, "user", code, half, NULL), S2A_OK);
        assert_int_equal(s2a_request_add_message(request, "user", "Hi!", 3, NULL),
                         S2A_OK); /* nor what comes after */
        assert_int_equal(s2a_request_add_message(request, "user", last, sizeof last - 1, NULL),
                         S2A_OK);
        segment_unit *units = NULL;
        turn prompt = { .text = last, .len = sizeof last - 1 };
        assert_int_equal(segment_text(last, prompt.len, NULL, &units, &prompt.count, NULL), S2A_OK);
        prompt.units = units;
        turns t;
        assert_int_equal(turns_gather(request, &prompt, &t, NULL), S2A_OK);
        assert_int_equal(t.earlier, 2 - over);
        assert_int_equal(t.count, t.earlier + 1);
        assert_int_equal(t.items[0].message, 0);
        assert_int_equal(t.items[t.earlier].message, 4);
        assert_int_equal(t.unit_count, t.earlier + prompt.count);
        for (size_t i = 0; i < t.count; i++)
            assert_int_equal(t.items[i].first, i);
        turns_free(&t);
        free(units);
        s2a_request_free(request);
    }
    free(code);
}

/* As many protected texts as a request may have, each of which stands in every unit. */
static void test_many_protected(void **state)
{
    (void)state;
    enum { UNITS = 1000 };
    char text[3 * UNITS + 1];
    for (size_t i = 0; i < UNITS; i++)
        memcpy(text + 3 * i, "B! ", 4);
    s2a_request *request = s2a_request_new();
    for (size_t i = 0; i < LIMIT_PROTECTED; i++)
        assert_int_equal(s2a_request_protect_text(request, "B", 1, NULL), S2A_OK);
    assert_int_equal(s2a_request_protect_text(request, "B", 1, NULL), S2A_LIMIT);
    assert_int_equal(s2a_request_protect_lines(request, 1, 1, NULL), S2A_LIMIT);
    assert_int_equal(s2a_request_set_text(request, text, sizeof text - 1, NULL), S2A_OK);
    segment_unit *units = NULL;
    turn prompt = { .text = text, .len = sizeof text - 1 };
    assert_int_equal(segment_text(text, prompt.len, NULL, &units, &prompt.count, NULL), S2A_OK);
    assert_int_equal(prompt.count, UNITS);
    prompt.units = units;
    turns t;
    assert_int_equal(turns_gather(request, &prompt, &t, NULL), S2A_OK);
    assert_int_equal(t.items[0].protect_count, UNITS);
    for (size_t i = 0; i < UNITS; i++)
        assert_true(t.items[0].protect[i].start == 3 * i && t.items[0].protect[i].end == 3 * i + 2);
    turns_free(&t);
    free(units);
    s2a_request_free(request);
}

/* As many messages as a request may have, in a context that holds little beside a message: what is
 * not shown takes no room, and nothing is cubic in their number. */
static void test_many(void **state)
{
    (void)state;
    fake_reader f;
    fake_reader_init(&f, NULL, NULL);
    f.can.read_tokens = 3000;
    s2a_engine engine = fake_reader_engine(&f, NULL);
    s2a_request *request = s2a_request_new();
    char text[700];
    for (size_t i = 0; i < LIMIT_MESSAGES; i++) {
        memset(text, 'x', sizeof text);
        memcpy(text, "Say so. X", 9);
        assert_int_equal(s2a_request_add_message(request,
                                                 i % 2 ? "user"
                                                 : i   ? "assistant"
                                                       : "system",
                                                 text, sizeof text, NULL),
                         S2A_OK);
    }
    s2a_result *result = NULL;
    s2a_error err;
    clock_t start = clock();
    if (s2a_attend(&engine, request, &result, &err) != S2A_OK)
        fail_msg("%s", err.message);
    assert_int_equal(f.calls, LIMIT_MESSAGES / 2);
    assert_int_equal(f.wanted, 2 * LIMIT_MESSAGES / 2);
    assert_true(clock() - start < 10 * CLOCKS_PER_SEC);
    s2a_result_free(result);
    s2a_request_free(request);
    fake_reader_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),    cmocka_unit_test(test_read),
        cmocka_unit_test(test_unjudged), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_many),     cmocka_unit_test(test_many_protected),
    };
    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
