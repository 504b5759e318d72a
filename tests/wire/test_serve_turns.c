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
#define SYSTEM "{\"role\":\"system\",\"content\":\"I think you are kind.\"}"
#define REPLY "{\"role\":\"assistant\",\"content\":\"I think it is Leaves of Grass.\"}"
#define BODY(more, first) MODEL("s2a-tiny", more, first)
#define MODEL(name, more, first)                                                                  \
    "{\"model\":\"" name "\"," more "\"messages\":[" SYSTEM ",{\"role\":\"user\",\"content\":" first "}," REPLY ","   \
    USER(LAST) "]}"
/* Of the units that are judged: the opinion, the sentence after it, and "Thanks." */
#define SCORES "@score -5 -6 -0.1\n@score -0.1 -5 -6\n@score -0.1 -5 -6\n"

static void test_embedded(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        rig r = embedded(SCORES "\n%%\n@expect " LAST "\nWhitman.\n", NULL);
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

/* Step 2 gets less of the earlier message, and all else as it came. The judgement saw the user's words. */
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
        rig r = proxy(LOGPROBS("-8", "-0.1") LOGPROBS("-0.1", "-8") LOGPROBS("-0.1", "-8")
                          CLOSED("application/json") WHOLE("Whitman", TEN) "\n",
                      NULL);
        char body[1000], expected[1000];
        snprintf(body, sizeof body, BODY("\"s2a\":{\"mode\":\"select\"},", "%s"), rows[i].before);
        snprintf(expected, sizeof expected, MODEL("tiny", "", "%s"), rows[i].after);
        answer a = client_post(r.port, CHAT, "", body);
        assert_int_equal(a.status, 200);
        json_t *root = json_of(&a);
        assert_count(root, "s2a.removed.0.message", 1);
        assert_text(root, "s2a.removed.0.text", OPINION);
        json_decref(root);
        answer_free(&a);
        fake_server_stop(r.up);
        assert_int_equal(fake_server_requests(r.up), 4);
        for (size_t k = 0; k < 3; k++) {
            const char *judged = fake_server_body(r.up, k);
            assert_non_null(strstr(judged, OPINION));
            assert_non_null(strstr(judged, "Thanks."));
            assert_null(strstr(judged, "you are kind"));
            assert_null(strstr(judged, "Leaves of Grass"));
        }
        assert_string_equal(fake_server_body(r.up, 3), expected);
        rig_stop(&r);
    }
}

static s2a_engine *selector;

static void with_selector(serve_options *o)
{
    o->engine_options.select_engine = selector;
}

/* Another engine judges: the server behind, which gives no log-probabilities, is asked once, for the answer.
 * Nobody names a mode. */
static void test_selector(void **state)
{
    (void)state;
    char expected[1000];
    snprintf(expected, sizeof expected, MODEL("tiny", "", "\"" EARLIER_CUT "\""));
    selector = serve_test_engine(SCORES "\nno answer of its own\n");
    rig r = proxy(CLOSED("application/json") WHOLE("Whitman", TEN) "\n", with_selector);
    answer a = client_post(r.port, CHAT, "", BODY("", "\"" EARLIER "\""));
    assert_int_equal(a.status, 200);
    json_t *root = json_of(&a);
    assert_text(root, "s2a.mode", "select");
    assert_text(root, "s2a.fallback", NULL);
    assert_text(root, "s2a.removed.0.text", OPINION);
    assert_text(root, "choices.0.message.content", "Whitman");
    json_decref(root);
    answer_free(&a);
    fake_server_stop(r.up);
    assert_int_equal(fake_server_requests(r.up), 1);
    assert_string_equal(fake_server_body(r.up, 0), expected);
    rig_stop(&r);
    s2a_engine_close(selector);
}

/* Mode rewrite sees the last message alone; a step 1 that is not used changes none. */
static void test_untouched(void **state)
{
    (void)state;
    static const struct {
        const char *step1, *more, *fallback;
    } rows[] = {
        { CLOSED("application/json")
              WHOLE("Unbiased text context:\\\\n\\\\nQuestion/Query: Who wrote it?", TEN) "\n@next\n",
          "", NULL },
        { "HTTP/1.1 400 Bad\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n\n@next\n",
          "\"s2a\":{\"mode\":\"select\"},", "step1_failed" },
    };
    for (size_t i = 0; i < 2; i++) {
        char *transcript = NULL, body[1000];
        assert_true(asprintf(&transcript, "%s%s", rows[i].step1,
                             CLOSED("application/json") WHOLE("Whitman", TEN) "\n") > 0);
        snprintf(body, sizeof body, BODY("%s", "\"" EARLIER "\""), rows[i].more);
        rig r = proxy(transcript, NULL);
        answer a = client_post(r.port, CHAT, "", body);
        assert_int_equal(a.status, 200);
        json_t *root = json_of(&a);
        assert_text(root, "s2a.fallback", rows[i].fallback);
        const json_t *removed = at(root, "s2a.removed");
        for (size_t k = 0; k < json_array_size(removed); k++)
            assert_count(json_array_get(removed, k), "message", 3);
        json_decref(root);
        answer_free(&a);
        fake_server_stop(r.up);
        const char *sent = fake_server_body(r.up, fake_server_requests(r.up) - 1);
        assert_non_null(strstr(sent, "\"content\":\"" EARLIER "\"}"));
        rig_stop(&r);
        free(transcript);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedded),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_selector),
        cmocka_unit_test(test_untouched),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("serve_turns", tests, NULL, NULL);
}
