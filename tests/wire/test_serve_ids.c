/* s2a serve: one id for one answer, and one for all that is done for a request. */
#include "serve_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the id of an answer ------------------------------------------------------------------ */

#define PIECE(choice)                                                                             \
    "@chunk data: {\"id\":\"up\",\"created\":5,\"model\":\"up-1\",\"choices\":[{\"index\":0," choice "}]}\\n\\n\n"
#define USAGE "@chunk data: {\"id\":\"up\",\"created\":5,\"model\":\"up-1\",\"choices\":[],\"usage\":" TEN "}\\n\\n\n"
#define DONE "@chunk data: [DONE]\\n\\n\n@chunk\n"
#define ANSWER CLOSED("application/json") WHOLE("Whitman", TEN) "\n"

/* Step 1 speaks before the server does: all chunks have the name that it gave, and one the role. */
static void test_stream(void **state)
{
    (void)state;
    static const char transcript[] =
        STEP1 STREAM PIECE("\"delta\":{\"role\":\"assistant\",\"content\":\"\"}")
            PIECE("\"delta\":{\"role\":\"assistant\",\"content\":\"Whit\"}")
                PIECE("\"delta\":{\"content\":\"man\"}") PIECE("\"delta\":{},\"finish_reason\":\"stop\"")
                    USAGE DONE;
    static const char *const shows[] = { "reasoning_content", "none", "think" };
    for (size_t i = 0; i < 3; i++) {
        rig r = proxy(transcript, NULL);
        char body[400];
        snprintf(body, sizeof body,
                 ASK("\"stream\":true,\"stream_options\":{\"include_usage\":true},\"s2a\":{\"show\":\"%s\"},"),
                 shows[i]);
        answer a = client_post(r.port, CHAT, "X-Request-Id: i1\r\n", body);
        bool done;
        json_t *events = events_of(&a, &done);
        assert_true(done);
        size_t count = json_array_size(events), roles = 0;
        assert_int_equal(count, i == 1 ? 6 : 7);
        json_int_t created = json_integer_value(at(events, "0.created"));
        assert_true(created > 1600000000);
        for (size_t k = 0; k < count; k++) {
            const json_t *chunk = json_array_get(events, k);
            assert_text(chunk, "id", "chatcmpl-i1");
            assert_text(chunk, "model", "tiny");
            assert_true(json_integer_value(at(chunk, "created")) == created);
            roles += at(chunk, "choices.0.delta.role") != NULL;
        }
        assert_int_equal(roles, 1);
        assert_text(events, "0.choices.0.delta.role", "assistant");
        json_decref(events);
        answer_free(&a);
        rig_stop(&r);
    }
}

/* A text completion has neither a role nor, unless x' is shown, a chunk before the server's. */
static void test_completion_stream(void **state)
{
    (void)state;
    static const char transcript[] =
        STEP1 STREAM PIECE("\"text\":\"Whit\"") PIECE("\"text\":\"man\",\"finish_reason\":\"stop\"") DONE;
    for (int think = 0; think < 2; think++) {
        rig r = proxy(transcript, NULL);
        answer a = client_post(r.port, "/v1/completions", "X-Request-Id: i1\r\n",
                               think ? "{\"model\":\"s2a-tiny\",\"stream\":true,\"s2a\":{\"show\":\"think\"},"
                                       "\"prompt\":\"" X "\"}"
                                     : "{\"model\":\"s2a-tiny\",\"stream\":true,\"prompt\":\"" X "\"}");
        bool done;
        json_t *events = events_of(&a, &done);
        assert_true(done);
        assert_int_equal(json_array_size(events), think ? 3 : 2);
        for (size_t k = 0; k < json_array_size(events); k++) {
            assert_text(json_array_get(events, k), "id", "cmpl-i1");
            assert_text(json_array_get(events, k), "model", "tiny");
        }
        json_decref(events);
        answer_free(&a);
        rig_stop(&r);
    }
}

/* A piece that is no JSON is not ours to mend; what comes after it is renamed as before. Each reaches
 * the client before the next one is sent. */
static void test_stream_odd_piece(void **state)
{
    (void)state;
    rig r = proxy(STEP1 STREAM "@chunk data: {\"id\":\"up\",\"n\":NaN}\\n\\n\n@sleep 700\n"
                      PIECE("\"delta\":{\"content\":\"b\"}") "@sleep 700\n"
                      PIECE("\"delta\":{},\"finish_reason\":\"stop\"") DONE,
                  NULL);
    char *data = NULL;
    size_t len = 0;
    int s = ask_open(&r, ASK("\"stream\":true,"));
    assert_true(client_read(s, &data, &len, "data: {\"id\":\"up\",\"n\":NaN}\n\n", 3000));
    assert_null(strstr(data, "\"content\":\"b\""));
    assert_true(client_read(s, &data, &len, "\"content\":\"b\"", 3000));
    assert_null(strstr(data, "\"stop\""));
    assert_true(client_read(s, &data, &len, "data: [DONE]\n\n", 3000));
    assert_null(strstr(data, "up-1"));
    free(data);
    close(s);
    rig_stop(&r);
}

/* ---- the id of a request ------------------------------------------------------------------ */

static char log_path[64];

static void log_to_file(serve_options *o)
{
    o->access_log = log_path;
}

/* The first line of the log, which comes a moment after the answer. */
static json_t *logged(void)
{
    json_t *line = NULL;
    for (int i = 0; i < 200 && !line; i++) {
        usleep(5000);
        line = json_load_file(log_path, JSON_DISABLE_EOF_CHECK, NULL);
    }
    assert_non_null(line);
    return line;
}

/* Both steps, however they are made, the answer and the log have the id of the client's request. */
static void test_request(void **state)
{
    (void)state;
    static const struct {
        const char *judge, *transcript, *field, *body;
        size_t requests;
    } rows[] = {
        { NULL, STEP1 ANSWER, "X-Request-Id: mine-1\r\n", ASK(""), 2 },
        { NULL, STEP1 STREAM PIECE("\"delta\":{},\"finish_reason\":\"stop\"") DONE,
          "X-Request-Id: mine-1\r\n", ASK("\"stream\":true,"), 2 },
        { "@score 5 -5\n@score 5 5 5\n", ANSWER, "X-Request-Id: mine-1\r\n", ASK(""), 1 },
        { NULL, STEP1 ANSWER, "", ASK(""), 2 },
        { NULL, STEP1 ANSWER, "X-Request-Id: no id\r\n", ASK(""), 2 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        strcpy(log_path, "/tmp/s2a-log-XXXXXX");
        close(mkstemp(log_path));
        rig r = proxy_judged(rows[i].judge, rows[i].transcript, log_to_file);
        answer a = client_post(r.port, CHAT, rows[i].field, rows[i].body);
        assert_int_equal(a.status, 200);
        char *id = answer_field(&a, "X-Request-Id");
        assert_non_null(id);
        if (i < 3)
            assert_string_equal(id, "mine-1");
        else
            assert_memory_equal(id, "s2a-", 4);
        answer_free(&a);
        json_t *line = logged();
        assert_text(line, "id", id);
        assert_text(line, "fallback", NULL);
        assert_text(line, "mode", rows[i].judge ? "select" : "rewrite");
        json_decref(line);
        fake_server_stop(r.up);
        char field[200];
        snprintf(field, sizeof field, "\r\nX-Request-Id: %s\r\n", id);
        assert_int_equal(fake_server_requests(r.up), rows[i].requests);
        for (size_t k = 0; k < rows[i].requests; k++)
            assert_non_null(strstr(fake_server_request(r.up, k), field));
        free(id);
        unlink(log_path);
        rig_stop(&r);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_completion_stream),
        cmocka_unit_test(test_stream_odd_piece),
        cmocka_unit_test(test_request),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("serve_ids", tests, NULL, NULL);
}
