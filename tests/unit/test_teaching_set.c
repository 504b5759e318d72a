/* Labelled prompts: what a line holds, each way in which it is malformed, what a stretch of a
 * prompt is; and those that the tool brings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fnv.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "teach/teaching_set.h"

static teaching_set set_of(const char *text)
{
    teaching_set set;
    s2a_error err;
    if (teaching_set_read("f", text, strlen(text), &set, &err) != S2A_OK)
        fail_msg("%s", err.message);
    return set;
}

/* ---- reading ------------------------------------------------------------------------------ */

static void test_good(void **state)
{
    (void)state;
    teaching_set set = set_of(
        "{\"kind\":\"mail/reply\",\"units\":[{\"text\":\"Reply. "
        "\",\"label\":\"needed\",\"asked\":true},"
        "{\"text\":\"caf\\u00e9\\n\",\"label\":\"opinion\",\"asked\":false},{\"text\":\"x\","
        "\"label\":\"either\"}]}\n"
        "\n"
        "{\"kind\":\"mail\",\"preset\":\"untrusted\",\"context_units\":2,\"more\":1,\"units\":["
        "{\"text\":\"a\",\"label\":\"order\"},{\"text\":\"b\",\"label\":\"unrelated\"},{\"text\":"
        "\"c\",\"label\":\"needed\"}]}\n"
        "{\"kind\":\"other\",\"preset\":\"auto\",\"context_units\":1,\"units\":["
        "{\"text\":\"a\",\"label\":\"needed\"},{\"text\":\"b\",\"label\":\"needed\"}]}");
    assert_int_equal(set.count, 3);
    const teaching_prompt *p = &set.prompts[0];
    assert_string_equal(p->text, "Reply. caf\xc3\xa9\nx");
    assert_true(p->len == strlen(p->text) && !p->untrusted && p->context_len == 0 &&
                p->piece_count == 3);
    static const teaching_piece want[] = { { 0, 7, TEACH_NEEDED, true },
                                           { 7, 13, TEACH_OPINION, false },
                                           { 13, 14, TEACH_EITHER, false } };
    for (size_t i = 0; i < 3; i++)
        assert_true(p->pieces[i].start == want[i].start && p->pieces[i].end == want[i].end &&
                    p->pieces[i].label == want[i].label && p->pieces[i].asked == want[i].asked);
    p = &set.prompts[1];
    assert_true(p->untrusted && p->context_len == 2 && p->pieces[0].label == TEACH_ORDER &&
                p->pieces[1].label == TEACH_UNRELATED);
    assert_int_equal(p->kind, set.prompts[0].kind); /* alike up to the stroke */
    assert_true(p->kind != set.prompts[2].kind);
    assert_true(!set.prompts[2].untrusted && set.prompts[2].context_len == 1);
    teaching_set_free(&set);
    assert_int_equal(set.count, 0);
    teaching_set_free(&set);
}

#define UNIT "{\"text\":\"a\",\"label\":\"needed\"}"
#define LINE "{\"kind\":\"k\",\"units\":[" UNIT "," UNIT "]}"

/* A good line, one that is blank, then the bad one: the message says which, and what. */
static void test_broken(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } broken[] = {
        { "x", "not a JSON object" },
        { "[]", "not a JSON object" },
        { "{\"kind\":\"k\",\"units\":[" UNIT "]", "not a JSON object" },
        { LINE " " LINE, "not a JSON object" },
        { " ", "not a JSON object" },
        { "\r", "not a JSON object" },
        { "{\"kind\":\"k\",\"kind\":\"k\",\"units\":[" UNIT "]}", "not a JSON object" },
        { "{\"kind\":\"\xff\",\"units\":[" UNIT "]}", "not a JSON object" },
        { "{}", "no \"kind\"" },
        { "{\"units\":[" UNIT "]}", "no \"kind\"" },
        { "{\"kind\":1,\"units\":[" UNIT "]}", "no \"kind\"" },
        { "{\"kind\":\"k\"}", "\"units\" is not a list" },
        { "{\"kind\":\"k\",\"units\":{}}", "\"units\" is not a list" },
        { "{\"kind\":\"k\",\"units\":[]}", "\"units\" is not a list, is empty" },
        { "{\"kind\":\"k\",\"units\":[1]}", "a unit has no text" },
        { "{\"kind\":\"k\",\"units\":[{\"label\":\"needed\"}]}", "a unit has no text" },
        { "{\"kind\":\"k\",\"units\":[{\"text\":\"\",\"label\":\"needed\"}]}",
          "a unit has no text" },
        { "{\"kind\":\"k\",\"units\":[{\"text\":1,\"label\":\"needed\"}]}", "a unit has no text" },
        { "{\"kind\":\"k\",\"units\":[{\"text\":\"a\"}]}", "or an unknown label" },
        { "{\"kind\":\"k\",\"units\":[{\"text\":\"a\",\"label\":\"Needed\"}]}",
          "or an unknown label" },
        { "{\"kind\":\"k\",\"units\":[{\"text\":\"a\",\"label\":0}]}", "or an unknown label" },
        { "{\"kind\":\"k\",\"units\":[" UNIT ",{\"text\":\"a\",\"label\":\"\"}]}",
          "or an unknown label" },
        { "{\"kind\":\"k\",\"context_units\":-1,\"units\":[" UNIT "]}",
          "\"context_units\" leaves no question" },
        { "{\"kind\":\"k\",\"context_units\":1,\"units\":[" UNIT "]}",
          "\"context_units\" leaves no question" },
        { "{\"kind\":\"k\",\"context_units\":3,\"units\":[" UNIT "," UNIT "]}",
          "\"context_units\" leaves no question" },
        { "{\"kind\":\"k\",\"preset\":\"untrusted\",\"units\":[" UNIT "," UNIT "]}",
          "or no context" },
        { "{\"kind\":\"k\",\"preset\":\"untrusted\",\"context_units\":0,\"units\":[" UNIT "]}",
          "or no context" },
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char text[1024];
        teaching_set set;
        s2a_error err;
        int n = snprintf(text, sizeof text, "%s\n\n%s\n%s", LINE, broken[i].line, LINE);
        assert_int_equal(teaching_set_read("the file", text, (size_t)n, &set, &err), S2A_INPUT);
        if (!strstr(err.message, broken[i].says) ||
            strncmp(err.message, "the file, line 3: ", 18) != 0)
            fail_msg("%s: %s", broken[i].line, err.message);
        teaching_set_free(&set);
        /* and alone, without a line end */
        assert_int_equal(teaching_set_read("f", broken[i].line, strlen(broken[i].line), &set, &err),
                         S2A_INPUT);
        teaching_set_free(&set);
    }
    static const char *const nothing[] = { "", "\n", "\n\n\n" };
    for (size_t i = 0; i < 3; i++) {
        teaching_set set;
        s2a_error err;
        assert_int_equal(teaching_set_read("f", nothing[i], strlen(nothing[i]), &set, &err),
                         S2A_INPUT);
        assert_string_equal(err.message, "f: it has no prompts");
        teaching_set_free(&set);
    }
}

/* Each number of pieces and of prompts at its limit, and past it. */
static void test_limits(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        buf text;
        teaching_set set;
        s2a_error err;
        buf_init(&text, 4 << 20);
        buf_adds(&text, "{\"kind\":\"k\",\"units\":[" UNIT);
        for (size_t i = 1; i < LIMIT_TEACHING_PIECES + over; i++)
            buf_adds(&text, "," UNIT);
        buf_adds(&text, "]}");
        assert_int_equal(teaching_set_read("f", text.data, text.len, &set, &err),
                         over ? S2A_INPUT : S2A_OK);
        assert_true(!over || strstr(err.message, "too long"));
        teaching_set_free(&set);
        buf_reset(&text);
        for (size_t i = 0; i < LIMIT_TEACHING_PROMPTS + over; i++)
            buf_adds(&text, "{\"kind\":\"k\",\"units\":[" UNIT "]}\n");
        assert_int_equal(teaching_set_read("f", text.data, text.len, &set, &err),
                         over ? S2A_LIMIT : S2A_OK);
        assert_true(over || set.count == LIMIT_TEACHING_PROMPTS);
        teaching_set_free(&set);
        buf_free(&text);
    }
}

/* ---- an order of its own
 * ---------------------------------------------------------------------- */

static void test_shuffle(void **state)
{
    (void)state;
    buf text;
    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < 200; i++)
        buf_addf(&text, "{\"kind\":\"k%zu\",\"units\":[{\"text\":\"%zu\",\"label\":\"needed\"}]}\n",
                 i, i);
    teaching_set a = set_of(text.data), b = set_of(text.data), c = set_of(text.data);
    teaching_set_shuffle(&a, 3);
    teaching_set_shuffle(&b, 3);
    teaching_set_shuffle(&c, 4);
    size_t seen[200] = { 0 }, moved = 0, differ = 0;
    for (size_t i = 0; i < 200; i++) {
        assert_string_equal(a.prompts[i].text, b.prompts[i].text);
        size_t is = (size_t)atoi(a.prompts[i].text);
        char kind[16];
        snprintf(kind, sizeof kind, "k%zu", is);
        assert_int_equal(a.prompts[i].kind,
                         (unsigned)fnv_add(FNV_START, kind, strlen(kind))); /* goes
                                                                               along
                                                                             */
        seen[is]++;
        moved += is != i;
        differ += strcmp(a.prompts[i].text, c.prompts[i].text) != 0;
    }
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 150 && differ > 150);
    teaching_set_free(&a);
    teaching_set_free(&b);
    teaching_set_free(&c);
    buf_free(&text);
}

/* ---- what a stretch is
 * ------------------------------------------------------------------------ */

static void test_label(void **state)
{
    (void)state;
    /*             0         8         16        24        32 */
    teaching_piece pieces[] = { { 0, 8, TEACH_NEEDED, false },
                                { 8, 16, TEACH_OPINION, true },
                                { 16, 24, TEACH_NEEDED, true },
                                { 24, 32, TEACH_EITHER, false } };
    teaching_prompt p = { .pieces = pieces, .piece_count = 4, .len = 32 };
    static const struct {
        size_t start, end;
        teaching_label label;
        bool asked;
    } rows[] = {
        { 0, 8, TEACH_NEEDED, false },
        { 3, 4, TEACH_NEEDED, false },
        { 8, 16, TEACH_OPINION, true },
        { 6, 14, TEACH_OPINION, true }, /* three quarters */
        { 5, 14, TEACH_EITHER, true },  /* less */
        { 2, 10, TEACH_NEEDED, false },
        { 4, 12, TEACH_EITHER, false }, /* half is no more than half */
        { 0, 24, TEACH_EITHER, true },
        { 24, 32, TEACH_EITHER, false },
        { 18, 26, TEACH_NEEDED, true },
        { 20, 28, TEACH_EITHER, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool asked = !rows[i].asked;
        teaching_label label = teaching_label_of(&p, rows[i].start, rows[i].end, &asked);
        if (label != rows[i].label || asked != rows[i].asked)
            fail_msg("%zu to %zu: %d, %d", rows[i].start, rows[i].end, (int)label, (int)asked);
    }
}

/* ---- ours --------------------------------------------------------------------------------- */

/* Whole UTF-8 texts of several kinds, with all that a head is taught; both a kind's fold and all
 * others have each. */
static void test_builtin(void **state)
{
    (void)state;
    teaching_set set;
    s2a_error err;
    if (teaching_set_read("data/labelled", labelled_builtin, labelled_builtin_len, &set, &err) !=
        S2A_OK)
        fail_msg("%s", err.message);
    size_t labels[TEACH_EITHER + 1] = { 0 }, asked = 0, documents = 0, fold[5] = { 0 };
    for (size_t i = 0; i < set.count; i++) {
        const teaching_prompt *p = &set.prompts[i];
        assert_int_equal(utf8_valid_prefix(p->text, p->len), p->len);
        assert_true(p->piece_count > 0 && p->pieces[p->piece_count - 1].end == p->len);
        documents += p->untrusted;
        fold[p->kind % 5]++;
        for (size_t k = 0; k < p->piece_count; k++) {
            labels[p->pieces[k].label]++;
            asked += p->pieces[k].asked;
        }
    }
    assert_true(set.count > 1000 && documents > 100 && asked > 500);
    for (size_t i = TEACH_NEEDED; i < TEACH_EITHER; i++)
        assert_true(labels[i] > 100);
    for (size_t i = 0; i < 5; i++)
        assert_true(fold[i] > 30);
    teaching_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_broken),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_shuffle),
        cmocka_unit_test(test_label),  cmocka_unit_test(test_builtin),
    };
    return cmocka_run_group_tests_name("teaching_set", tests, NULL, NULL);
}
