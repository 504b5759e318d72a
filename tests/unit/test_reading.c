/* What the judge is given to read: byte for byte, in one piece and in windows; that each sentence
 * is read once; what is remembered of it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"
#include "core/reading.h"
#include "core/select.h"
#include "core/window.h"
#include "fake_reader.h"

#define AGAIN_SYSTEM "You decide which sentences of a prompt are needed to answer it."
#define APART_SYSTEM "You decide which sentences of a text are needed to answer a question."

/* ---- a text that is judged ------------------------------------------------------------------ */

typedef struct setting {
    fake_reader f;
    select_input in;
    segment_unit *units;
    select_unit *out;
    char *text;
    s2a_usage usage;
    s2a_error err;
} setting;

/* question may be NULL. */
static setting *begin(const char *text, const char *question, s2a_preset preset)
{
    setting *s = calloc(1, sizeof *s);
    assert_non_null(s);
    fake_reader_init(&s->f, NULL, s);
    size_t n = strlen(text) + (question ? strlen(question) + 2 : 0), count = 0;
    s->text = malloc(n + 1);
    assert_non_null(s->text);
    snprintf(s->text, n + 1, "%s%s%s", text, question ? "\n\n" : "", question ? question : "");
    size_t at = question ? strlen(text) + 2 : SIZE_MAX;
    assert_int_equal(segment_apart(s->text, n, question ? at : 0, NULL, &s->units, &count, NULL),
                     S2A_OK);
    assert_int_equal(select_refine(preset, s->text, &s->units, &count, NULL), S2A_OK);
    s->in = (select_input){ .backend = &s->f.base,
                            .head = &s->f.head,
                            .text = s->text,
                            .units = s->units,
                            .count = count,
                            .question_start = at,
                            .preset = preset,
                            .threshold = NAN };
    s->out = calloc(count + 1, sizeof *s->out);
    assert_non_null(s->out);
    return s;
}

static void judge(setting *s)
{
    if (select_judge(&s->in, s->out, &s->usage, &s->err) != S2A_OK)
        fail_msg("%s", s->err.message);
}

static void end(setting *s)
{
    fake_reader_free(&s->f);
    free(s->out);
    free(s->units);
    free(s->text);
    free(s);
}

/* ---- cases -------------------------------------------------------------------------------- */

static size_t role_at(const char *line, const char **role)
{
    static const char *const roles[] = { "system", "developer", "user", "assistant", "tool" };
    for (size_t i = 0; i < 5; i++) {
        size_t n = strlen(roles[i]);
        if (!strncmp(line, roles[i], n) && line[n] == ':' && line[n + 1] == ' ') {
            *role = roles[i];
            return n + 2;
        }
    }
    return 0;
}

static size_t before_read(const char *text, backend_message *out)
{
    size_t count = 0;
    while (text && *text) {
        const char *role = NULL, *end = text;
        size_t n = role_at(text, &role), len = strcspn(text, "\n");
        assert_true(n > 0 || count > 0);
        end += len;
        if (n > 0)
            out[count++] = (backend_message){ role, text + n, len - n };
        else
            out[count - 1].len += len + 1;
        text = *end ? end + 1 : end;
    }
    return count;
}

static void check_case(const test_case *c)
{
    const char *preset_name = case_text(c, "preset"), *keep = case_text(c, "keep"),
               *given = case_text(c, "given");
    backend_message before[16];
    s2a_preset preset = S2A_PRESET_AUTO;
    s2a_span protect = { 0 };
    if (preset_name)
        assert_true(s2a_preset_from_name(preset_name, &preset));
    setting *s = begin(case_text(c, "x"), case_text(c, "question"), preset);
    s->f.writes = true;
    s->in.keep = keep ? atof(keep) : 0;
    s->in.before = before;
    s->in.before_count = before_read(case_text(c, "before"), before);
    if (case_text(c, "protect")) {
        assert_int_equal(sscanf(case_text(c, "protect"), "%zu-%zu", &protect.start, &protect.end),
                         2);
        s->in.protect = &protect;
        s->in.protect_count = 1;
    }
    judge(s);
    if (strcmp(s->f.seen.data ? s->f.seen.data : "", given ? given : "") != 0)
        fail_msg("%s: it was given\n%s\nnot\n%s", c->name, s->f.seen.data, given);
    assert_int_equal(s->f.calls, given != NULL);
    assert_int_equal(s->usage.cached_tokens, given ? 3 : 0);
    end(s);
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/reading.txt");
    assert_true(file.count >= 13);
    for (size_t i = 0; i < file.count; i++)
        check_case(&file.cases[i]);
    cases_free(&file);
}

/* Spans of what is protected may overlap: the first one reaches as far as it does. */
static void test_protected(void **state)
{
    (void)state;
    static const s2a_span spans[] = { { 1, 25 }, { 2, 3 }, { 4, 5 }, { 39, 40 }, { 500, 600 } };
    static const bool whole[] = { true, true, true, false, false };
    setting *s = begin("One is it. Two is it. Six is it. Ten is it. Who?", NULL, S2A_PRESET_AUTO);
    s->in.protect = spans;
    s->in.protect_count = 3;
    select_mark(&s->in, s->out);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(s->out[i].whole, whole[i]);
    s->in.protect_count = 5;
    select_mark(&s->in, s->out);
    assert_true(s->out[3].whole && !s->out[4].whole);
    end(s);
}

/* ---- long messages before ------------------------------------------------------------------- */

/* Of a message that is longer the system's beginning and the others' end, cut where a character
 * begins. */
static void test_long_before(void **state)
{
    (void)state;
    static const char *const shown[] = { "600", "601", "602" };
    for (size_t shift = 0; shift < 3; shift++) {
        char text[2000], want[4000], part[700];
        size_t len = 0;
        while (len < 599 + shift)
            text[len++] = 'a';
        memcpy(text + len, "\xe4\xb8\xad", 3); /* of three bytes; the system's 600th is before, in
                                                  or behind it */
        memset(text + len + 3, 'b', 900);
        setting *s = begin("Who?", NULL, S2A_PRESET_AUTO);
        backend_message before[] = { { "system", text, len + 3 + 900 } };
        s->f.writes = true;
        s->in.before = before;
        s->in.before_count = 1;
        judge(s);
        size_t cut = shift == 0 ? 599 : 600; /* shift 1 and 2: only letters before it */
        memcpy(part, text, cut);
        part[cut] = '\0';
        snprintf(want, sizeof want,
                 "system| " AGAIN_SYSTEM
                 "\n\nThe assistant that will answer it was told: %s\nuser| Who?\n"
                 "-|The prompt again, sentence by sentence: |\n+|Who?|",
                 part);
        if (strcmp(s->f.seen.data, want) != 0)
            fail_msg("%s: %s", shown[shift], s->f.seen.data);
        end(s);
    }
    for (size_t shift = 0; shift < 3; shift++) {
        char text[2000], want[4000];
        memset(text, 'a', 900);
        memcpy(text + 900, "\xe4\xb8\xad", 3);
        size_t rest = 600 - 1 - shift, len = 903 + rest; /* 600 from the end is its last, middle or
                                                            first byte */
        memset(text + 903, 'b', rest);
        setting *s = begin("Who?", NULL, S2A_PRESET_AUTO);
        backend_message before[] = { { "user", text, len } };
        s->f.writes = true;
        s->in.before = before;
        s->in.before_count = 1;
        judge(s);
        snprintf(want, sizeof want,
                 "system| " AGAIN_SYSTEM "\nuser| %.*s\nuser| Who?\n"
                 "-|The prompt again, sentence by sentence: |\n+|Who?|",
                 (int)(3 + rest), text + 900);
        assert_string_equal(s->f.seen.data, want);
        end(s);
    }
}

/* ---- windows ------------------------------------------------------------------------------ */

#define UNIT "Sentence number %03zu stands here. " /* 33 bytes, 5 words */
#define UNIT_BYTES 33
#define UNITS 60

static char *numbered(void)
{
    static char text[UNITS * UNIT_BYTES + 1];
    for (size_t i = 0; i < UNITS; i++)
        snprintf(text + i * UNIT_BYTES, sizeof text - i * UNIT_BYTES, UNIT, i);
    text[UNITS * UNIT_BYTES - 1] = '\0';
    return text;
}

static void add(buf *out, const char *text, size_t from, size_t to)
{
    buf_add(out, text + from, to - from);
}

/* The windows that window.h makes of the units. */
static size_t windows_of(size_t most, window **out)
{
    size_t cost[UNITS], n = 0, margin = most / 4 < 40 ? most / 4 : 40;
    for (size_t i = 0; i < UNITS; i++)
        cost[i] = 5;
    assert_int_equal(window_split(cost, UNITS, most, margin, out, &n, NULL), S2A_OK);
    return n;
}

/* Around its part each window shows how the text begins, and how it ends. */
static void test_windows_again(void **state)
{
    (void)state;
    const char *text = numbered();
    size_t len = strlen(text);
    for (size_t most = 20; most <= 290; most += 27) {
        window *w = NULL;
        size_t n = windows_of(most, &w);
        assert_true(n > 1);
        setting *s = begin(text, NULL, S2A_PRESET_AUTO);
        buf want;
        buf_init(&want, 1 << 20);
        for (size_t i = 0; i < n; i++) {
            size_t from = w[i].first * UNIT_BYTES, to = w[i].last * UNIT_BYTES,
                   rest = len > to ? len - to : 0;
            to = to < len ? to : len;
            buf_addf(&want, "%ssystem| " AGAIN_SYSTEM "\nuser| ", i > 0 ? "\n%%\n" : "");
            if (from > 0) {
                add(&want, text, 0, from < 160 ? from : 160);
                buf_adds(&want, "\n[...]\n");
            }
            add(&want, text, from, to);
            if (rest > 0) {
                buf_adds(&want, "\n[...]\n");
                add(&want, text, len - (rest < 400 ? rest : 400), len);
            }
            buf_adds(&want, "\n-|The prompt again, sentence by sentence: |");
            for (size_t u = w[i].from; u < w[i].to; u++)
                buf_addf(&want, "\n+|%s%.*s|", u > w[i].from ? " " : "", UNIT_BYTES - 1,
                         text + u * UNIT_BYTES);
        }
        s->f.writes = true;
        s->in.window_tokens = most;
        judge(s);
        assert_string_equal(s->f.seen.data, want.data);
        assert_int_equal(s->f.calls, n);
        assert_int_equal(s->usage.cached_tokens, 3 * n);
        buf_free(&want);
        free(w);
        end(s);
    }
}

/* In the form apart each window is read behind the question, and nothing around it. */
static void test_windows_apart(void **state)
{
    (void)state;
    const char *text = numbered();
    static const s2a_preset presets[] = { S2A_PRESET_RELEVANCE, S2A_PRESET_UNTRUSTED };
    for (size_t p = 0; p < 2; p++) {
        window *w = NULL;
        size_t n = windows_of(101, &w);
        setting *s = begin(text, "Who? Me?", presets[p]);
        buf want;
        buf_init(&want, 1 << 20);
        for (size_t i = 0; i < n; i++) {
            buf_addf(&want,
                     "%ssystem| " APART_SYSTEM
                     "\nuser| Who? Me?\n-|The text, sentence by sentence: |",
                     i > 0 ? "\n%%\n" : "");
            for (size_t u = w[i].from; u < w[i].to; u++)
                buf_addf(&want, "\n+|%s%.*s|", u > w[i].from ? " " : "", UNIT_BYTES - 1,
                         text + u * UNIT_BYTES);
        }
        s->f.writes = true;
        s->in.window_tokens = 101;
        judge(s);
        assert_string_equal(s->f.seen.data, want.data);
        assert_int_equal(s->f.calls, n);
        buf_free(&want);
        free(w);
        end(s);
    }
}

/* A question given apart belongs to the end of the text, and to the last window. */
static void test_windows_question(void **state)
{
    (void)state;
    const char *text = numbered();
    setting *s = begin(text, "Who? Me?", S2A_PRESET_AUTO);
    s->f.writes = true;
    s->in.window_tokens = 200;
    judge(s);
    assert_int_equal(s->f.calls, 3);
    const char *at = s->f.seen.data;
    for (size_t i = 0; i < 3; i++) {
        const char *said = strstr(at, "\n-|");
        assert_non_null(said);
        assert_memory_equal(said - strlen("here.\n\nWho? Me?"), "here.\n\nWho? Me?", 15);
        assert_true((strstr(at, "\n[...]\n") < said) == true); /* something is left out of each */
        at = said + 1;
    }
    assert_null(strstr(strstr(s->f.seen.data, "+|"), "+| Who?"));
    end(s);
}

/* A question that cannot fit even with the longest tokens is not tokenised: its one word is no
 * token less. */
static void test_long_question(void **state)
{
    (void)state;
    enum { LIMIT = 2048 };
    for (size_t extra = 0; extra <= 16; extra += 16) {
        char *question = calloc(1, 16 * LIMIT + extra + 1);
        assert_non_null(question);
        memset(question, 'a', 16 * LIMIT + extra);
        setting *s = begin("It rained. It poured.", question, S2A_PRESET_UNTRUSTED);
        s->f.can.counts_tokens = true;
        s->f.can.read_tokens = LIMIT;
        assert_int_equal(select_judge(&s->in, s->out, &s->usage, &s->err),
                         extra ? S2A_LIMIT : S2A_OK);
        assert_int_equal(s->f.calls, extra ? 0 : 1);
        assert_true(!extra || strstr(s->err.message, "shorten the question"));
        end(s);
        free(question);
    }
}

/* ---- each sentence once --------------------------------------------------------------------- */

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Of what a setting's readings were given. */
typedef struct looked {
    const setting *s;
    size_t at;   /* the next unit that is to be judged */
    size_t read; /* bytes of the text before which all was given */
} looked;

static looked look;

/* What is longer than a window is not. */
static bool is_judged(const setting *s, size_t i)
{
    const segment_unit *u = &s->units[i];
    size_t tokens = s->f.base.vtable->count_tokens(NULL, s->text + u->start, u->end - u->start);
    return !s->out[i].question && !s->out[i].whole && tokens <= s->in.window_tokens;
}

/* Pieces are the text's own bytes, in a row; what is wanted is the next unit that is to be judged,
 * and all of it. */
static void look_at(void *ctx, const backend_message *messages, size_t count,
                    const backend_piece *pieces, size_t piece_count)
{
    const setting *s = ctx;
    (void)messages;
    assert_true(count >= 2 && piece_count >= 2 && !pieces[0].wanted &&
                pieces[piece_count - 1].wanted);
    const char *at = pieces[1].text;
    assert_true(at >= s->text + look.read && look.s == s);
    for (size_t i = 1; i < piece_count; i++) {
        assert_true(pieces[i].len > 0 && pieces[i].text == at);
        at += pieces[i].len;
        if (!pieces[i].wanted)
            continue;
        while (!is_judged(s, look.at))
            look.at++;
        assert_int_equal((size_t)(at - s->text), s->units[look.at].text_end);
        assert_true(pieces[i].text <= s->text + s->units[look.at].start);
        look.at++;
    }
    look.read = (size_t)(at - s->text);
}

static void tell_unit(void *ctx, const backend_piece *piece, uint64_t given, double *told,
                      size_t rows)
{
    (void)given;
    const setting *s = ctx;
    for (size_t r = 0; r < rows; r++)
        told[r] = (double)(piece->text + piece->len - s->text) + (double)r / 8;
}

static char *random_text(uint32_t *seed)
{
    static const char *const parts[] = {
        "Ann has 3.5 kg of tea. ",
        "Why? ",
        "I guess it is 7. ",
        "\n\n",
        "- item one\n",
        "Who pays?\n",
        "No. ",
        "He said: “So. ",
        "It is.” ",
        "| a | b |\n",
        "他有三个。",
        "```\nint x;\nint y;\n```\n",
        "# Title\n",
        "<doc>A. ",
        "B.</doc> ",
        "* * *\n",
        "  1. First.\n",
        "Wow! ",
    };
    static char text[8192];
    text[0] = '\0';
    for (uint32_t n = 1 + random_next(seed) % 60; n > 0; n--)
        strcat(text, parts[random_next(seed) % (sizeof parts / sizeof parts[0])]);
    return text;
}

static void test_once(void **state)
{
    (void)state;
    static const s2a_preset presets[] = { S2A_PRESET_AUTO, S2A_PRESET_OPINION, S2A_PRESET_RELEVANCE,
                                          S2A_PRESET_UNTRUSTED };
    uint32_t seed = 11;
    size_t judged = 0, calls = 0;
    for (int round = 0; round < 2000; round++) {
        const char *text = random_text(&seed), *question = round % 3 ? NULL : "Who is it? Say so.";
        setting *s = begin(text, question, presets[random_next(&seed) % 4]);
        s->f.look = look_at;
        s->f.tell = tell_unit;
        s->in.window_tokens = 8 + random_next(&seed) % 60;
        look = (looked){ .s = s };
        judge(s);
        while (look.at < s->in.count && !is_judged(s, look.at))
            look.at++;
        if (look.at < s->in.count)
            fail_msg("unit %zu of\n%s\nwas not read", look.at, s->text);
        for (size_t i = 0; i < s->in.count; i++) {
            assert_int_equal(s->out[i].judged, is_judged(s, i));
            judged += s->out[i].judged;
            for (size_t r = 0; r < head_row_count(select_form(&s->in)) && s->out[i].judged; r++)
                assert_true(s->out[i].odds[r] == (double)s->units[i].text_end + (double)r / 8);
        }
        calls += s->f.calls;
        end(s);
    }
    assert_true(judged > 20000 && calls > 3000);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* What was read is not read again, whatever is made of it; what differs in anything is. */
static void test_memo(void **state)
{
    (void)state;
    setting *s = begin(numbered(), "Who?", S2A_PRESET_AUTO);
    memo *m = memo_new(1 << 16);
    backend_message before[] = { { "user", "One.", 4 } };
    s->f.tell = tell_unit;
    s->in.memo = m;
    s->in.window_tokens = 200;
    judge(s);
    size_t calls = s->f.calls;
    assert_int_equal(calls, 3);
    assert_true(s->usage.prompt_tokens > 300);
    select_unit first = s->out[7];
    s->in.threshold = 3;
    s->in.preset = S2A_PRESET_OPINION;
    memset(s->out, 0, s->in.count * sizeof *s->out);
    judge(s);
    assert_int_equal(s->f.calls, calls);
    assert_int_equal(s->usage.prompt_tokens, 0);
    assert_memory_equal(s->out[7].odds, first.odds, sizeof first.odds);
    s->in.before = before; /* another conversation */
    s->in.before_count = 1;
    judge(s);
    assert_int_equal(s->f.calls, calls += 3);
    before[0].role = "assistant";
    judge(s);
    assert_int_equal(s->f.calls, calls += 3);
    s->f.head.id = 7; /* another head */
    judge(s);
    assert_int_equal(s->f.calls, calls += 3);
    s->in.preset = S2A_PRESET_RELEVANCE; /* read apart */
    judge(s);
    assert_int_equal(s->f.calls, calls += 3);
    s2a_span protect = { 40, 41 }; /* one sentence less, in the first window */
    s->in.protect = &protect;
    s->in.protect_count = 1;
    judge(s);
    assert_int_equal(s->f.calls, calls += 1);
    protect.start += UNIT_BYTES; /* another one instead */
    protect.end += UNIT_BYTES;
    judge(s);
    assert_int_equal(s->f.calls, calls += 1);
    judge(s);
    assert_int_equal(s->f.calls, calls);
    memo_free(m);
    end(s);
}

/* A reading that failed is not remembered. */
static void test_memo_failed(void **state)
{
    (void)state;
    setting *s = begin("It rained. Who?", NULL, S2A_PRESET_AUTO);
    memo *m = memo_new(1 << 16);
    s->in.memo = m;
    s->f.fail_at = 1;
    assert_int_equal(select_judge(&s->in, s->out, &s->usage, &s->err), S2A_BACKEND);
    judge(s);
    assert_int_equal(s->f.calls, 2);
    judge(s);
    assert_int_equal(s->f.calls, 2);
    memo_free(m);
    end(s);
}

/* ---- states ------------------------------------------------------------------------------- */

/* Of each sentence that is judged, or of all; [unit][layer][last, mean][width]. */
static void test_states(void **state)
{
    (void)state;
    static const uint32_t layers[] = { 3, 5 };
    for (int marked = 0; marked < 2; marked++) {
        setting *s = begin("It rained.\n# Two\nIt snowed.", "Who?", S2A_PRESET_AUTO);
        float *states = NULL;
        size_t count = 0;
        s->f.can.hidden_width = 3;
        s->f.writes = true;
        select_mark(&s->in, s->out);
        assert_int_equal(reading_states(&s->in, marked ? s->out : NULL, layers, 2, &states, &count,
                                        &s->usage, NULL),
                         S2A_OK);
        assert_string_equal(
            s->f.seen.data,
            marked ? "system| " AGAIN_SYSTEM "\nuser| It rained.\n# Two\nIt snowed.\n\nWho?\n"
                     "-|The prompt again, sentence by sentence: |\n+|It rained.|\n-|\n# Two|\n"
                     "+|\nIt snowed.|"
                   : "system| " AGAIN_SYSTEM "\nuser| It rained.\n# Two\nIt snowed.\n\nWho?\n"
                     "-|The prompt again, sentence by sentence: |\n+|It rained.|\n+|\n# Two|\n"
                     "+|\nIt snowed.|");
        assert_int_equal(count, marked ? 2 : 3);
        assert_int_equal(s->usage.cached_tokens, 3);
        for (size_t u = 0; u < count; u++)
            for (size_t k = 0; k < 4; k++)
                assert_true(states[(u * 4 + k) * 3] ==
                            (float)(100 * (marked ? 2 * u + 1 : u + 1) + k));
        free(states);
        s->f.fail_at = 2;
        assert_int_equal(
            reading_states(&s->in, s->out, layers, 2, &states, &count, &s->usage, &s->err),
            S2A_BACKEND);
        assert_null(states);
        end(s);
    }
}

static void test_no_states(void **state)
{
    (void)state;
    static const uint32_t layer = 3;
    float *states = NULL;
    size_t count = 9;
    setting *s = begin("# One", NULL, S2A_PRESET_AUTO);
    select_mark(&s->in, s->out);
    assert_int_equal(reading_states(&s->in, s->out, &layer, 1, &states, &count, &s->usage, &s->err),
                     S2A_OK);
    assert_true(count == 0 && s->f.calls == 0);
    free(states);
    s->in.count = 0;
    assert_int_equal(reading_states(&s->in, s->out, &layer, 1, &states, &count, &s->usage, &s->err),
                     S2A_INPUT);
    assert_non_null(strstr(s->err.message, "no units"));
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_question),
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_protected),
        cmocka_unit_test(test_long_before),
        cmocka_unit_test(test_windows_again),
        cmocka_unit_test(test_windows_apart),
        cmocka_unit_test(test_windows_question),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_memo),
        cmocka_unit_test(test_memo_failed),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_no_states),
    };
    return cmocka_run_group_tests_name("reading", tests, NULL, NULL);
}
