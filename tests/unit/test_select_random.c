/* What must hold of mode select whatever the model says: thousands of random conversations, judged
 * by a hash of all that each reading is given. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "core/segment.h"
#include "fake_reader.h"
#include "s2a.h"

/* ---- random texts ------------------------------------------------------------------------- */

static uint32_t seed;

static uint32_t random_next(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static bool one_in(uint32_t n)
{
    return random_next() % n == 0;
}

static char *random_text(void)
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
        "\"Is it? ",
        "Yes.\" ",
        "| a | b |\n",
        "|---|---|\n",
        "他有三个。",
        "是吗？",
        "```\nint x;\n\nSing.\n```\n",
        "```\n",
        "# Title\n",
        "<doc>A thing. ",
        "Another.</doc> ",
        "* * *\n",
        "  1. First.\n",
        "Wow! ",
        "\r\n",
        "    indented\n",
        "«Oh. ",
        "Ah.» ",
        "caf\xc3\xa9 au lait, ",
        "- ```\n  code\n",
        "<|im_end|>",
        "Answer in JSON. ",
        "`a. b` ",
        "\t",
        "…",
        "5'6\" tall. ",
    };
    char text[4096] = "";
    do
        for (uint32_t n = 1 + random_next() % 14; n > 0; n--)
            strcat(text, parts[random_next() % (sizeof parts / sizeof parts[0])]);
    while (ascii_blank(text, strlen(text)));
    return strdup(text);
}

/* A stretch of the text, of whole characters. */
static char *random_stretch(const char *text)
{
    size_t len = strlen(text), from = random_next() % len, to = from + 1 + random_next() % 12;
    while (from > 0 && ((unsigned char)text[from] & 0xc0) == 0x80)
        from--;
    to = to < len ? to : len;
    while (to < len && ((unsigned char)text[to] & 0xc0) == 0x80)
        to++;
    return strndup(text + from, to - from);
}

/* ---- a judge ------------------------------------------------------------------------------- */

static void tell_hash(void *ctx, const backend_piece *piece, uint64_t given, double *told,
                      size_t rows)
{
    (void)ctx, (void)piece;
    for (size_t r = 0; r < rows; r++) {
        given = (given ^ given >> 33) * UINT64_C(0xff51afd7ed558ccd) + r;
        told[r] = (double)(given >> 40) / (double)(1 << 21) - (r == 2 ? 5 : 4); /* 16 million steps
                                                                                   of 8 */
    }
}

typedef struct asking {
    s2a_preset preset;
    double keep, threshold; /* 0 and NaN: none */
    char *protect[2];
} asking;

static asking random_asking(const char *text)
{
    static const s2a_preset presets[] = { S2A_PRESET_AUTO, S2A_PRESET_OPINION, S2A_PRESET_RELEVANCE,
                                          S2A_PRESET_UNTRUSTED };
    asking a = { .preset = presets[random_next() % 4], .threshold = NAN };
    if (one_in(4))
        a.threshold = (double)(random_next() % 9) - 4;
    if (one_in(4) && a.preset != S2A_PRESET_UNTRUSTED)
        a.keep = (double)(1 + random_next() % 10) / 10;
    for (size_t i = 0; i < 2; i++)
        a.protect[i] = one_in(2) ? random_stretch(text) : NULL;
    return a;
}

static void asking_free(asking *a)
{
    free(a->protect[0]);
    free(a->protect[1]);
}

static void ask(const asking *a, s2a_request *request)
{
    s2a_request_set_preset(request, a->preset);
    assert_int_equal(s2a_request_set_keep(request, a->keep, NULL), S2A_OK);
    if (!isnan(a->threshold))
        assert_int_equal(s2a_request_set_threshold(request, a->threshold, NULL), S2A_OK);
    for (size_t i = 0; i < 2; i++)
        if (a->protect[i])
            assert_int_equal(
                s2a_request_protect_text(request, a->protect[i], strlen(a->protect[i]), NULL),
                S2A_OK);
}

/* ---- what must hold ------------------------------------------------------------------------- */

/* All of y's bytes stand in x, in that order. */
static bool is_subsequence(const char *y, const char *x)
{
    for (; *x && *y; x++)
        y += *x == *y;
    return !*y;
}

static void letters_add(const char *from, size_t len, char *out)
{
    out += strlen(out);
    for (size_t i = 0; i < len; i++)
        if (!ascii_space(from[i]))
            *out++ = from[i];
    *out = '\0';
}

static void check_spans(const s2a_result *result, const char *x, size_t len, const char *kept)
{
    char rest[8192] = "";
    size_t at = 0, n = s2a_result_removed_count(result);
    for (size_t i = 0; i <= n; i++) {
        s2a_span span = i < n ? s2a_result_removed(result, i) : (s2a_span){ len, len };
        assert_true(span.start >= at && span.end <= len && (i == n || span.start < span.end));
        assert_true(i == 0 || i == n || span.start > at); /* two that touch are one */
        letters_add(x + at, span.start - at, rest);
        at = span.end;
    }
    assert_string_equal(rest, kept);
}

/* What is protected, asked or not judged stays; a kept unit is one that stands in x'. */
static void check_units(const s2a_result *result, const asking *a, const char *x, const char *y)
{
    char kept[8192] = "", letters[8192] = "";
    size_t at = 0, len = strlen(x), count = s2a_result_unit_count(result);
    bool any = false, asked = false, all = true;
    for (size_t i = 0; i < count; i++) {
        s2a_unit u = s2a_result_unit(result, i);
        assert_true(u.start == at && u.end > at);
        at = u.end;
        any |= u.kept;
        all &= u.kept;
        asked |= !strcmp(u.label, "question");
        assert_true(u.kept ||
                    (u.has_score && isfinite(u.score) && strcmp(u.label, "question") != 0));
        assert_true(u.kept == (strchr("qnd", u.label[0]) != NULL));
        if (u.kept)
            letters_add(x + u.start, u.end - u.start, kept);
        size_t text_end = u.end;
        while (text_end > u.start && ascii_space(x[text_end - 1]))
            text_end--;
        for (size_t k = 0; k < 2 && a->protect[k]; k++) {
            const char *found = x;
            size_t n = strlen(a->protect[k]);
            for (; (found = strstr(found, a->protect[k])) != NULL; found += n)
                assert_true(u.kept || (size_t)(found - x) >= text_end ||
                            (size_t)(found - x) + n <= u.start);
        }
    }
    assert_int_equal(at, len);
    assert_true(any);
    letters_add(y, strlen(y), letters);
    assert_string_equal(letters, kept);
    assert_true(is_subsequence(y, x));
    if (all)
        assert_string_equal(x, y);
    /* without anybody who asks nothing goes, unless it is told how much, or by whom; one that is
     * quoted asks */
    if (!asked && !strstr(x, "?") && !strstr(x, "？") && a->keep == 0 &&
        a->preset != S2A_PRESET_UNTRUSTED)
        assert_true(all);
    check_spans(result, x, len, kept);
}

/* Blocks that have a form of their own stand in x' as they were. */
static void check_blocks(const char *x, const char *y)
{
    segment_unit *units = NULL;
    size_t count = 0;
    assert_int_equal(segment_text(x, strlen(x), NULL, &units, &count, NULL), S2A_OK);
    for (size_t i = 0; i < count; i++) {
        segment_kind kind = units[i].kind;
        if (kind == SEGMENT_CODE || kind == SEGMENT_TABLE_ROW || kind == SEGMENT_HEADING)
            assert_non_null(
                memmem(y, strlen(y), x + units[i].start, units[i].text_end - units[i].start));
    }
    free(units);
}

static void check_result(const s2a_result *result, const asking *a)
{
    const char *x = s2a_result_input(result, NULL), *y = s2a_result_rewritten(result, NULL);
    assert_int_equal(s2a_result_mode(result), S2A_MODE_SELECT);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_NONE);
    assert_string_equal(s2a_result_prompt(result, NULL), y);
    check_units(result, a, x, y);
    const char *context = s2a_result_context(result, NULL),
               *question = s2a_result_question(result, NULL);
    if (question) { /* the two halves of x' */
        size_t n = strlen(context), tail = strlen(question), len = strlen(y);
        while (len > n + tail && ascii_space(y[len - 1]))
            len--;
        assert_true(len >= n + tail && !strncmp(y, context, n) &&
                    !strncmp(y + len - tail, question, tail));
        assert_true(ascii_blank(y + n, len - tail - n));
    }
    if (a->preset != S2A_PRESET_UNTRUSTED)
        check_blocks(x, y);
}

/* ---- conversations ------------------------------------------------------------------------- */

#define TURNS 5

typedef struct message {
    const char *role;
    char *text;
    char *kept; /* a user's: what was left of it when it was the last one */
} message;

static size_t random_conversation(message *out)
{
    static const char *const others[] = { "assistant", "tool", "system", "developer" };
    size_t n = 0, turns = 1 + random_next() % TURNS;
    if (one_in(3))
        out[n++] = (message){ "system", random_text(), NULL };
    for (size_t i = 0; i < turns; i++) {
        out[n++] =
            (message){ "user", one_in(12) && i + 1 < turns ? strdup(" \n") : random_text(), NULL };
        if (!one_in(6) && i + 1 < turns)
            out[n++] = (message){ others[one_in(4) ? random_next() % 4 : 0], random_text(), NULL };
    }
    return n;
}

/* What step 2 would get of each earlier message of the user is what it got when that was the last
 * one. */
static size_t check_turns(const s2a_result *result, const message *m, size_t last)
{
    size_t at = 0, n = s2a_result_turn_count(result);
    for (size_t i = 0; i < last; i++) {
        s2a_turn t = s2a_result_turn(result, at);
        bool changed = at < n && t.index == i;
        at += changed;
        if (changed) {
            assert_string_equal(t.input, m[i].text);
            assert_true(m[i].kept && t.removed_count > 0);
            assert_string_equal(t.rewritten, m[i].kept);
        } else if (m[i].kept) {
            assert_string_equal(m[i].kept, m[i].text);
        }
    }
    assert_int_equal(at, n);
    return n;
}

static void test_conversations(void **state)
{
    (void)state;
    size_t changed = 0, earlier = 0;
    seed = 5;
    for (int round = 0; round < 3000; round++) {
        message m[3 * TURNS];
        size_t count = random_conversation(m);
        fake_reader f;
        fake_reader_init(&f, tell_hash, NULL);
        f.can.read_tokens = one_in(2) ? 0 : 3600; /* the words of before take some 3,000 at most */
        memo *remembered = one_in(2) ? memo_new(1 << 12) : NULL;
        s2a_engine engine = fake_reader_engine(&f, remembered);
        asking a = random_asking(m[random_next() % count].text);
        for (size_t last = 0; last < count; last++) {
            if (strcmp(m[last].role, "user") != 0 ||
                ascii_blank(m[last].text, strlen(m[last].text)))
                continue;
            s2a_request *request = s2a_request_new();
            s2a_result *result = NULL;
            s2a_error err;
            for (size_t i = 0; i <= last; i++)
                assert_int_equal(
                    s2a_request_add_message(request, m[i].role, m[i].text, strlen(m[i].text), NULL),
                    S2A_OK);
            ask(&a, request);
            if (s2a_attend(&engine, request, &result, &err) != S2A_OK)
                fail_msg("round %d: %s", round, err.message);
            check_result(result, &a);
            earlier += check_turns(result, m, last);
            m[last].kept = strdup(s2a_result_rewritten(result, NULL));
            changed += strcmp(m[last].kept, m[last].text) != 0;
            s2a_result_free(result);
            s2a_request_free(request);
        }
        asking_free(&a);
        for (size_t i = 0; i < count; i++) {
            free(m[i].text);
            free(m[i].kept);
        }
        memo_free(remembered);
        fake_reader_free(&f);
    }
    print_message("%zu last and %zu earlier messages were cut\n", changed, earlier);
    assert_true(changed > 3000 && earlier > 3000);
}

/* ---- a question apart ------------------------------------------------------------------------ */

/* It ends x', as it was given, whatever stands before it. */
static void test_parts(void **state)
{
    (void)state;
    size_t changed = 0;
    seed = 6;
    for (int round = 0; round < 3000; round++) {
        char *context = random_text(), *question = random_text();
        fake_reader f;
        fake_reader_init(&f, tell_hash, NULL);
        f.can.read_tokens = one_in(2) ? 0 : 1200;
        s2a_engine engine = fake_reader_engine(&f, NULL);
        asking a = random_asking(one_in(2) ? context : question);
        s2a_request *request = s2a_request_new();
        s2a_result *result = NULL;
        s2a_error err;
        assert_int_equal(s2a_request_set_parts(request, context, strlen(context), question,
                                               strlen(question), NULL),
                         S2A_OK);
        ask(&a, request);
        if (s2a_attend(&engine, request, &result, &err) != S2A_OK)
            fail_msg("round %d: %s", round, err.message);
        check_result(result, &a);
        const char *y = s2a_result_rewritten(result, NULL),
                   *asked = s2a_result_question(result, NULL), *q = question;
        size_t len = strlen(question), n = strlen(y);
        while (ascii_space(question[len - 1]))
            len--;
        while (n > 0 && ascii_space(y[n - 1]))
            n--;
        for (; ascii_space(*q); q++)
            len--;
        assert_true(n >= len && !strncmp(y + n - len, q, len));
        assert_non_null(asked);
        assert_true(strstr(asked, "") && memmem(asked, strlen(asked), q, len));
        changed += strcmp(y, s2a_result_input(result, NULL)) != 0;
        s2a_result_free(result);
        s2a_request_free(request);
        asking_free(&a);
        fake_reader_free(&f);
        free(context);
        free(question);
    }
    print_message("%zu contexts were cut\n", changed);
    assert_true(changed > 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_conversations),
                                        cmocka_unit_test(test_parts) };
    return cmocka_run_group_tests_name("select_random", tests, NULL, NULL);
}
