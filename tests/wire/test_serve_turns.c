/* s2a serve and conversations: what the user said earlier is judged too, in mode select, and what others
 * said is not. */
#include "serve_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OPINION "I think Poe wrote it."
#define EARLIER OPINION " The poem is from 1855. Which poem is it?"
#define EARLIER_CUT "The poem is from 1855. Which poem is it?"
#define LAST "Thanks. Who wrote it?"
#define SYSTEM_SAYS "I think you are kind."
#define REPLY_SAYS "I think it is Leaves of Grass."
#define SYSTEM "{\"role\":\"system\",\"content\":\"" SYSTEM_SAYS "\"}"
#define REPLY "{\"role\":\"assistant\",\"content\":\"" REPLY_SAYS "\"}"
#define BODY(more, first) MODEL("s2a-tiny", more, first)
#define MODEL(name, more, first)                                                                  \
    "{\"model\":\"" name "\"," more "\"messages\":[" SYSTEM ",{\"role\":\"user\",\"content\":" first "}," REPLY ","   \
    USER(LAST) "]}"
/* One reading a message: the opinion, the sentence after it and the question; then "Thanks." and the question. */
#define READ_EARLIER "@score 5 -5\n@score 5 5\n@score 5 5 5\n"
#define READ_LAST "@score 5 5\n@score 5 5 5\n"
#define READINGS READ_EARLIER "%%\n" READ_LAST
#define ANSWER CLOSED("application/json") WHOLE("Whitman", TEN) "\n"

static void test_embedded(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        rig r = embedded(READINGS "%%\n@expect " LAST "\nWhitman.\n", NULL);
        answer a = client_post(r.port, CHAT, "",
                               stream ? BODY("\"stream\":true,", "\"" EARLIER "\"")
                                      : BODY("", "\"" EARLIER "\""));
        assert_int_equal(a.status, 200);
        bool done = false;
        json_t *root = stream ? events_of(&a, &done) : json_of(&a);
        const json_t *last = stream ? json_array_get(root, json_array_size(root) - 1) : root;
        assert_text(last, "s2a.mode", "select");
        assert_text(last, "s2a.fallback", NULL);
        assert_int_equal(json_array_size(at(last, "s2a.removed")), 1);
        assert_count(last, "s2a.removed.0.message", 1);
        assert_count(last, "s2a.removed.0.start", 0);
        assert_count(last, "s2a.removed.0.end", (int)strlen(OPINION));
        assert_text(last, "s2a.removed.0.text", OPINION);
        if (!stream) { /* x' is that of the last message */
            assert_text(last, "choices.0.message.reasoning_content", LAST);
            assert_text(last, "choices.0.message.content", "Whitman.");
        }
        json_decref(root);
        answer_free(&a);
        a = client_get(r.port, "/metrics", "");
        char counted[80];
        snprintf(counted, sizeof counted, "\ns2a_judged_bytes_total %zu\n", strlen(EARLIER) + strlen(LAST));
        assert_true(answer_has(&a, counted));
        snprintf(counted, sizeof counted, "\ns2a_removed_bytes_total %zu\n", strlen(OPINION));
        assert_true(answer_has(&a, counted));
        answer_free(&a);
        rig_stop(&r);
    }
}

/* Another engine judges: the server behind is asked once, for the answer. It gets less of the earlier message, and
 * all else as it came. Nobody names a mode. */
static void test_proxy(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } rows[] = {
        { "\"" EARLIER "\"", "\"" EARLIER_CUT "\"" },
        { "[{\"type\":\"text\",\"text\":\"" OPINION "\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:x\"}},"
          "{\"type\":\"text\",\"text\":\"" EARLIER_CUT "\"}]",
          "[{\"type\":\"text\",\"text\":\"" EARLIER_CUT "\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:x\"}}]" },
    };
    for (size_t i = 0; i < 2; i++) {
        rig r = proxy_judged(READINGS "\nno answer of its own\n", ANSWER, NULL);
        char body[1000], expected[1000];
        snprintf(body, sizeof body, BODY("", "%s"), rows[i].before);
        snprintf(expected, sizeof expected, MODEL("tiny", "", "%s"), rows[i].after);
        answer a = client_post(r.port, CHAT, "", body);
        assert_int_equal(a.status, 200);
        json_t *root = json_of(&a);
        assert_text(root, "s2a.mode", "select");
        assert_text(root, "s2a.fallback", NULL);
        assert_count(root, "s2a.removed.0.message", 1);
        assert_text(root, "s2a.removed.0.text", OPINION);
        assert_text(root, "choices.0.message.content", "Whitman");
        json_decref(root);
        answer_free(&a);
        fake_server_stop(r.up);
        assert_int_equal(fake_server_requests(r.up), 1);
        assert_string_equal(fake_server_body(r.up, 0), expected);
        rig_stop(&r);
    }
}

/* A message is judged by what was said before it, as it was said: by the system, the user and the assistant. What
 * comes later, and what tools say, is not shown. */
static void test_shown(void **state)
{
    (void)state;
#define SHOWN(first, second) READING("@expect-before " first "\n" READ_EARLIER, "@expect-before " second "\n" READ_LAST)
#define READING(first, second) "@expect I think Poe\n" first "%%\n@expect Thanks.\n" second
    static const struct {
        const char *judge;
        bool fits;
    } rows[] = {
        { SHOWN(SYSTEM_SAYS, SYSTEM_SAYS), true },
        { SHOWN(SYSTEM_SAYS, EARLIER), true },
        { SHOWN(SYSTEM_SAYS, REPLY_SAYS), true },
        { SHOWN(REPLY_SAYS, REPLY_SAYS), false }, /* said after it */
        { SHOWN(SYSTEM_SAYS, LAST), false },      /* itself */
        { SHOWN(SYSTEM_SAYS, "a tool said"), false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig r = proxy_judged(rows[i].judge, ANSWER, NULL);
        answer a = client_post(r.port, CHAT, "",
                               "{\"model\":\"s2a-tiny\",\"messages\":[" SYSTEM "," USER(EARLIER) "," REPLY
                               ",{\"role\":\"tool\",\"tool_call_id\":\"t\",\"content\":\"a tool said\"}," USER(LAST) "]}");
        assert_int_equal(a.status, 200);
        json_t *root = json_of(&a);
        assert_text(root, "s2a.fallback", rows[i].fits ? NULL : "step1_failed");
        assert_text(root, "s2a.removed.0.text", rows[i].fits ? OPINION : NULL);
        json_decref(root);
        answer_free(&a);
        rig_stop(&r);
    }
}

/* ---- a conversation that goes on ---------------------------------------------------------- */

/* Turn by turn: sentences of each kind, white space at the end, and parts. */
#define IN_PARTS                                                                                          \
    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"It rains. Who wrote it?\"}," \
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:x\"}},"                                        \
    "{\"type\":\"text\",\"text\":\" I like rain. \"}]}"
static const char *const said[] = {
    SYSTEM,
    "{\"role\":\"user\",\"content\":\"" OPINION " The poem is from 1855.\\n\\nWhich poem is it? \\n\"}",
    REPLY,
    IN_PARTS,
    "{\"role\":\"assistant\",\"content\":\"Whitman.\"}",
    "{\"role\":\"user\",\"content\":\"Thanks.  When did he die? \\n\"}",
    "{\"role\":\"assistant\",\"content\":\"In 1892.\"}",
    "{\"role\":\"user\",\"content\":\"I hate 1892. Where?\"}",
};
#define TURNS (sizeof said / sizeof said[0] / 2)
/* Of each of the user's messages. */
static const char readings[] = READ_EARLIER "%%\n@score -5 5\n@score 5 5 5\n@score -5 5\n%%\n"
                               "@score 5 5\n@score 5 5 5\n%%\n@score 5 -5\n@score 5 5 5\n";

/* Of the first messages so many are sent; so many pieces go. */
static void converse(const rig *r, size_t count, size_t gone)
{
    char body[3000] = "{\"model\":\"s2a-tiny\",\"messages\":[";
    for (size_t i = 0; i < count; i++)
        snprintf(body + strlen(body), sizeof body - strlen(body), "%s%s", i ? "," : "", said[i]);
    strcat(body, "]}");
    answer a = client_post(r->port, CHAT, "", body);
    assert_int_equal(a.status, 200);
    json_t *root = json_of(&a);
    assert_text(root, "s2a.mode", "select");
    assert_text(root, "s2a.fallback", NULL);
    assert_int_equal(json_array_size(at(root, "s2a.removed")), gone);
    json_decref(root);
    answer_free(&a);
}

/* What the server behind got; it ends. */
static char *upstream_got(rig *r, size_t index)
{
    fake_server_stop(r->up);
    assert_true(index < fake_server_requests(r->up));
    return strdup(fake_server_body(r->up, index));
}

static void assert_begins(const char *now, const char *before)
{
    size_t n = strlen(before) - strlen("]}");
    assert_string_equal(before + n, "]}");
    if (strncmp(before, now, n) != 0)
        print_error("before: %s\nnow:    %s\n", before, now);
    assert_memory_equal(before, now, n);
    assert_int_equal(now[n], ',');
}

/* What the server behind gets of a conversation begins as it did a turn ago, byte for byte, so that what it has
 * computed of it still serves; whether the judge remembers what it said or is a new process. */
static void test_beginning_stays(void **state)
{
    (void)state;
    static const size_t gone[TURNS] = { 1, 3, 3, 4 };
    for (int remembers = 0; remembers < 2; remembers++) {
        char *got[TURNS];
        rig r = { .url = NULL };
        for (size_t i = 0; i < TURNS; i++) {
            if (i == 0 || !remembers)
                r = proxy_judged(readings, ANSWER, NULL);
            converse(&r, 2 * i + 2, gone[i]);
            if (!remembers) {
                got[i] = upstream_got(&r, 0);
                rig_stop(&r);
            }
        }
        for (size_t i = 0; remembers && i < TURNS; i++)
            got[i] = upstream_got(&r, i);
        if (remembers)
            rig_stop(&r);
        for (size_t i = 1; i < TURNS; i++)
            assert_begins(got[i], got[i - 1]);
        static const char *const cut[] = { OPINION, "It rains.", "I like rain.", "I hate 1892." };
        for (size_t i = 0; i < 4; i++)
            assert_null(strstr(got[TURNS - 1], cut[i]));
        assert_non_null(strstr(got[TURNS - 1], "\"content\":\"Thanks.  When did he die? \\n\"}"));
        for (size_t i = 0; i < TURNS; i++)
            free(got[i]);
    }
}

/* Mode rewrite sees the last message alone; a step 1 that is not used changes none. */
static void test_untouched(void **state)
{
    (void)state;
    static const struct {
        const char *judge, *step1, *more, *fallback;
    } rows[] = {
        { NULL,
          CLOSED("application/json")
              WHOLE("Unbiased text context:\\\\n\\\\nQuestion/Query: Who wrote it?", TEN) "\n@next\n",
          "", NULL },
        { "@error backend broken\n@score 5 5\n", "", "", "step1_failed" },
        { NULL, "", "\"s2a\":{\"mode\":\"select\"},", "step1_failed" }, /* nothing judges */
        { READ_EARLIER "%%\n@error backend broken\n@score 5 5\n", "", "", "step1_failed" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *transcript = NULL, body[1000];
        assert_true(asprintf(&transcript, "%s%s", rows[i].step1, ANSWER) > 0);
        snprintf(body, sizeof body, BODY("%s", "\"" EARLIER "\""), rows[i].more);
        rig r = proxy_judged(rows[i].judge, transcript, NULL);
        answer a = client_post(r.port, CHAT, "", body);
        assert_int_equal(a.status, 200);
        json_t *root = json_of(&a);
        assert_text(root, "s2a.fallback", rows[i].fallback);
        const json_t *removed = at(root, "s2a.removed");
        assert_int_equal(json_array_size(removed), rows[i].fallback ? 0 : 1);
        for (size_t k = 0; k < json_array_size(removed); k++)
            assert_count(json_array_get(removed, k), "message", 3);
        json_decref(root);
        answer_free(&a);
        fake_server_stop(r.up);
        assert_int_equal(fake_server_requests(r.up), rows[i].fallback ? 1 : 2);
        const char *sent = fake_server_body(r.up, fake_server_requests(r.up) - 1);
        assert_non_null(strstr(sent, "\"content\":\"" EARLIER "\"}"));
        if (rows[i].fallback)
            assert_non_null(strstr(sent, "\"content\":\"" LAST "\"}"));
        rig_stop(&r);
        free(transcript);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedded),        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_shown),           cmocka_unit_test(test_beginning_stays),
        cmocka_unit_test(test_untouched),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("serve_turns", tests, NULL, NULL);
}
