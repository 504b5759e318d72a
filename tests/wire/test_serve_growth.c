/* The work of s2a serve grows with a request, whatever it is made of: CPU time of this process,
 * in which server, client and upstream run, for a body and for one with four times as many pieces.
 * As in unit/test_growth.c, a quadratic walk takes sixteen times as long, and what grew too fast is
 * measured again before it counts. */
#include "serve_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { TIMES = 4, TRIES = 4, BOUND = 11 };
#define FLOOR_SECONDS 0.02

/* head, count pieces joined by between, tail. "%" in a piece is its number. */
typedef struct body {
    const char *path, *head, *piece, *between, *tail;
    size_t count;
    const char *has; /* what the body of the answer, which has status 200, has */
} body;

/* malloc'ed */
static char *body_text(const body *b, size_t count)
{
    size_t size = strlen(b->head) + strlen(b->tail) + 1;
    size += count * (strlen(b->piece) + strlen(b->between) + 20);
    char *text = malloc(size);
    assert_non_null(text);
    size_t len = (size_t)sprintf(text, "%s", b->head);
    const char *mark = strchr(b->piece, '%');
    for (size_t i = 0; i < count; i++) {
        const char *between = i ? b->between : "";
        if (mark)
            len += (size_t)sprintf(text + len, "%s%.*s%zu%s", between, (int)(mark - b->piece),
                                   b->piece, i, mark + 1);
        else
            len += (size_t)sprintf(text + len, "%s%s", between, b->piece);
    }
    sprintf(text + len, "%s", b->tail);
    return text;
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* CPU time until the answer is there. */
static double ask(int port, const body *b, const char *text)
{
    double start = cpu_seconds();
    answer a = client_post(port, b->path, "", text);
    double took = cpu_seconds() - start;
    if (a.status != 200 || !answer_has(&a, b->has))
        fail_msg("%s, piece %s: status %d, %.300s", b->path, b->piece, a.status,
                 a.body ? a.body : "");
    answer_free(&a);
    return took;
}

static double ask_body(const body *b, size_t count, int port)
{
    char *text = body_text(b, count);
    double took = ask(port, b, text);
    free(text);
    return took;
}

static bool grows_too_fast(const body *b, double (*measure)(const body *, size_t, int), int port)
{
    double less = 0, more = 0;
    for (int i = 0; i < TRIES; i++) {
        less = measure(b, b->count, port);
        more = measure(b, b->count * TIMES, port);
        if (more <= BOUND * (less > FLOOR_SECONDS ? less : FLOOR_SECONDS))
            return false;
    }
    print_error("%s, piece %s: %.0f ms, four times as many %.0f ms\n", b->path, b->piece,
                less * 1e3, more * 1e3);
    return true;
}

static void check(const body *bodies, size_t count, double (*measure)(const body *, size_t, int),
                  int port)
{
    size_t failed = 0;
    for (size_t i = 0; i < count; i++)
        failed += grows_too_fast(&bodies[i], measure, port);
    assert_int_equal(failed, 0);
}
#define CHECK_ALL(bodies, measure, port) \
    check(bodies, sizeof(bodies) / sizeof *(bodies), measure, port)

/* ---- bodies ------------------------------------------------------------------------------- */

#define GUARDRAIL "/beta/litellm_basic_guardrail_api"
#define RESPONSES "/v1/responses"
#define MESSAGES "/v1/messages"
#define ONE "{\"model\":\"s2a-tiny\",\"messages\":[{\"role\":\"user\",\"content\":"

/* Units go and stay by turns, so that there are many removed ones. */
static const char judge[] = "@score 9 -1\n@score 9 9\n";

static void remembers(serve_options *o)
{
    o->keep_removed = 1000;
}

/* What is judged, and what is beside it. */
static void test_judged(void **state)
{
    (void)state;
    static const body bodies[] = {
        { CHAT, ONE "\"", "I hate fog %. The mill is old. ", "", "Who built it?\"}]}", 2000,
          "\"s2a\"" },
        { CHAT,
          "{\"s2a\":{\"marker\":true},"
          "\"model\":\"tiny\",\"messages\":["
          "{\"role\":\"user\",\"content\":\"",
          "I hate fog %. The mill is old. ", "", "Who built it?\"}]}", 2000, "\"s2a\"" },
        { CHAT, ONE "[", "{\"type\":\"text\",\"text\":\"I hate fog %. It is old.\"}", ",",
          ",{\"type\":\"text\",\"text\":\"Who built it?\"}]}]}", 2000, "\"s2a\"" },
        { CHAT, ONE "\"", "a\\n", "", "Who built it?\"}]}", 15000, "\"s2a\"" },
        { CHAT, ONE "\"", "\\u00e9\\ud83d\\ude00. ", "", "Who built it?\"}]}", 4000, "\"s2a\"" },
        { CHAT, ONE "\"", "\\ud83d ", "", "Who built it?\"}]}", 10000, "\"s2a\"" },
        { CHAT, "{\"metadata\":[", "12345678901234567890%", ",",
          "],\"model\":\"s2a-tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"Who?\"}]}",
          20000, "\"s2a\"" },
        { CHAT, "{\"metadata\":[", "1e99%", ",",
          "],\"model\":\"s2a-tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"Who?\"}]}",
          20000, "\"s2a\"" },
        { CHAT, "{\"metadata\":{", "\"k%\":1", ",",
          "},\"model\":\"s2a-tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"Who?\"}]}",
          20000, "\"s2a\"" },
        { CHAT, "{\"model\":\"s2a-tiny\",\"messages\":[",
          "{\"role\":\"user\",\"content\":\"I hate fog %. Who?\"}", ",", "]}", 1000, "\"s2a\"" },
        { CHAT, "{\"model\":\"s2a-tiny\",\"messages\":[",
          "{\"role\":\"assistant\",\"content\":\"Fog %.\"}", ",",
          ",{\"role\":\"user\",\"content\":\"I hate fog. Who?\"}]}", 8000, "\"s2a\"" },
        { RESPONSES, "{\"model\":\"s2a-tiny\",\"input\":[",
          "{\"type\":\"reasoning\",\"id\":\"r%\",\"summary\":[]}", ",",
          ",{\"role\":\"user\",\"content\":\"I hate fog. Who?\"}]}", 8000, "\"s2a\"" },
        { MESSAGES,
          "{\"model\":\"s2a-tiny\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":[",
          "{\"type\":\"text\",\"text\":\"I hate fog %. It is "
          "old.\",\"cache_control\":{\"type\":\"ephemeral\"}}",
          ",", ",{\"type\":\"text\",\"text\":\"Who built it?\"}]}]}", 2000, "\"s2a\"" },
        { "/v1/rerank", "{\"model\":\"s2a-tiny\",\"query\":\"Who?\",\"documents\":[",
          "\"It % is old. Ann built it.\"", ",", "]}", 250, "pruned_text" },
        { GUARDRAIL, "{\"input_type\":\"request\",\"texts\":[", "\"I hate fog %.\"", ",",
          ",\"Who built it?\"]}", 10000, "\"action\"" },
        { GUARDRAIL, "{\"input_type\":\"request\",\"texts\":[", "\"I hate fog.\"", ",",
          ",\"Who built it?\"]}", 10000, "\"action\"" },
        { GUARDRAIL,
          "{\"input_type\":\"request\",\"texts\":[\"I hate fog "
          "0.\"],\"structured_messages\":[{\"role\":\"user\",\"content\":[",
          "{\"type\":\"text\",\"text\":\"I hate fog %. It is old.\"}", ",", "]}]}", 2000,
          "\"action\"" },
    };
    rig r = proxy_judged(judge, "@json {\"object\":\"up\"}\n", remembers);
    CHECK_ALL(bodies, ask_body, r.port);
    rig_stop(&r);
}

/* What does not ask for S2A is passed on, JSON or not. */
static void test_passed(void **state)
{
    (void)state;
    static const body bodies[] = {
        { CHAT, "{\"model\":\"tiny\",\"messages\":[", "{\"role\":\"user\",\"content\":\"a %\"}",
          ",", "]}", 20000, "up" },
        { CHAT, "{\"model\":\"tiny\",\"messages\":[\"", "\\u0061", "", "\"]}", 100000, "up" },
        { CHAT, "{\"model\":\"tiny\",", "\"model\":\"a%\"", ",", "}", 20000, "up" },
        { CHAT, "", "[", "", "", 100000, "up" },
        { CHAT, "", "1,", "", "", 100000, "up" },
        { CHAT, "", "\\", "", "", 100000, "up" },
        { CHAT, "", "\"", "", "", 100000, "up" },
        { CHAT, "", " ", "", "", 100000, "up" },
    };
    rig r = proxy("@json {\"object\":\"up\"}\n", NULL);
    CHECK_ALL(bodies, ask_body, r.port);
    rig_stop(&r);
}

/* ---- answers: the pieces are upstream's ---------------------------------------------------- */

#define EVENTS CLOSED("text/event-stream")
#define CHOICE "{\"choices\":[{\"index\":0,"
#define DELTA "data: " CHOICE "\"delta\":{\"content\":\""
#define DONE "\\n\\ndata: [DONE]\\n\\n"
#define EVENT(name, rest) "event: " name "\\ndata: {\"type\":\"" name "\"," rest "}\\n\\n"

/* A server whose upstream answers with so many pieces. */
static rig answers(const body *b, size_t count)
{
    char transcript[2000];
    snprintf(transcript, sizeof transcript, "%s\n@repeat %zu %s\n%s\n", b->head, count, b->piece,
             b->tail);
    return proxy_judged(judge, transcript, NULL);
}

static double ask_upstream(const body *b, size_t count, int unused)
{
    (void)unused;
    char text[200];
    snprintf(text, sizeof text,
             "{\"model\":\"s2a-tiny\",\"stream\":true,\"max_tokens\":9,\"%s\":[{\"role\":\"user\","
             "\"content\":\"I hate fog. Who?\"}]}",
             strcmp(b->path, RESPONSES) ? "messages" : "input");
    rig r = answers(b, count);
    double took = ask(r.port, b, text);
    rig_stop(&r);
    return took;
}

static void test_answers(void **state)
{
    (void)state;
    static const body bodies[] = {
        { CHAT, EVENTS, DELTA "a\"}}]}\\n\\n", "", DONE, 5000, "[DONE]" },
        { CHAT, EVENTS DELTA, "\\\\n", "", "\"}}]}" DONE, 20000, "[DONE]" },
        { CHAT, EVENTS "@split 1\n" DELTA, "a", "", "\"}}]}" DONE, 3000, "[DONE]" },
        { CHAT, EVENTS, ": comment\\n", "", DONE, 10000, "[DONE]" },
        { CHAT, EVENTS, "data: \\n", "", DONE, 10000, "[DONE]" },
        { CHAT, EVENTS, "\\r\\n", "", DONE, 10000, "[DONE]" },
        { RESPONSES, EVENTS, EVENT("response.output_text.delta", "\"delta\":\"a\""), "",
          EVENT("response.completed", "\"response\":{\"id\":\"r\",\"usage\":{}}"), 5000,
          "\"s2a\"" },
        { MESSAGES, EVENTS, EVENT("content_block_delta", "\"index\":0,\"delta\":{\"text\":\"a\"}"),
          "", EVENT("message_delta", "\"usage\":{}") EVENT("message_stop", "\"x\":1"), 5000,
          "\"s2a\"" },
        { CHAT, CLOSED("application/json") CHOICE "\"message\":{\"content\":\"",
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", "\"}}]}", 10000, "\"s2a\"" },
        { CHAT, CLOSED("application/json") "{\"choices\":[", "{\"index\":1},", "",
          "{\"index\":0,\"message\":{\"content\":\"\"}}]}", 10000, "\"s2a\"" },
    };
    CHECK_ALL(bodies, ask_upstream, 0);
}

/* A list of models in which each gets a second name. */
static double ask_models(const body *b, size_t count, int unused)
{
    (void)unused;
    rig r = answers(b, count);
    double start = cpu_seconds();
    answer a = client_get(r.port, b->path, "");
    double took = cpu_seconds() - start;
    if (a.status != 200 || !answer_has(&a, b->has))
        fail_msg("%s: status %d", b->path, a.status);
    answer_free(&a);
    rig_stop(&r);
    return took;
}

static void test_models(void **state)
{
    (void)state;
    static const body bodies[] = {
        { "/v1/models", CLOSED("application/json") "{\"data\":[", "{\"id\":\"\"},", "",
          "{\"id\":\"z\"}]}", 80000, "\"s2a-z\"" },
    };
    CHECK_ALL(bodies, ask_models, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judged),
        cmocka_unit_test(test_passed),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_models),
    };
    return cmocka_run_group_tests_name("serve growth", tests, NULL, NULL);
}
