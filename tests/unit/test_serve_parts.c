/* The pure parts of serve: bodies, fields, keys, the filter of streams, metrics. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "cases.h"
#include "cpu_fire.h"
#include "serve/chat.h"
#include "serve/headers.h"
#include "serve/keys.h"
#include "serve/metrics.h"
#include "serve/origin.h"
#include "serve/sse_filter.h"
#include "serve/target.h"

static const chat_ask defaults = { .mode = S2A_MODE_DEFAULT,
                                   .preset = S2A_PRESET_AUTO,
                                   .show = CHAT_SHOW_REASONING_CONTENT,
                                   .threshold = NAN };

static s2a_status parse(const char *body, const char *header, chat_request *q)
{
    s2a_error err = { .status = S2A_OK };
    s2a_status status =
        chat_parse(body, strlen(body), CHAT_API_CHAT, "s2a-", header, &defaults, NULL, q, &err);
    if (status != S2A_OK)
        assert_true(err.message[0]);
    return status;
}

static void assert_dump(const chat_request *q, const char *text)
{
    size_t len = 0;
    char *dump = chat_dump(q, &len);
    assert_non_null(dump);
    assert_string_equal(dump, text);
    assert_int_equal(len, strlen(text));
    free(dump);
}

#define M(content) "\"messages\":[{\"role\":\"user\",\"content\":" content "}]"

static void test_asked(void **state)
{
    (void)state;
    static const struct {
        const char *body, *header;
        bool may, wanted;
        const char *left;
    } rows[] = {
        { "{\"model\":\"m\"," M("\"x\"") "}", NULL, false, false,
          "{\"model\":\"m\"," M("\"x\"") "}" },
        { "{\"model\":\"s2a-m\"," M("\"x\"") "}", NULL, true, true,
          "{\"model\":\"m\"," M("\"x\"") "}" },
        { "{\"model\":\"s2a-m\"," M("\"x\"") "}", "off", true, false,
          "{\"model\":\"m\"," M("\"x\"") "}" },
        { "{\"model\":\"m\"," M("\"x\"") "}", "opinion", true, true,
          "{\"model\":\"m\"," M("\"x\"") "}" },
        { "{\"s2a\":{},\"model\":\"m\"," M("\"x\"") "}", NULL, true, true,
          "{\"model\":\"m\"," M("\"x\"") "}" },
        { "{\"s2a\":{},\"model\":\"m\"," M("\"x\"") "}", "off", true, false,
          "{\"model\":\"m\"," M("\"x\"") "}" },
        /* exact: the prefix is a beginning, not a part, and letter case counts */
        { "{\"model\":\"xs2a-m\"," M("\"x\"") "}", NULL, true, false,
          "{\"model\":\"xs2a-m\"," M("\"x\"") "}" },
        { "{\"model\":\"S2A-m\"," M("\"x\"") "}", NULL, false, false,
          "{\"model\":\"S2A-m\"," M("\"x\"") "}" },
        { "{\"model\":\"s2a-s2a-m\"," M("\"x\"") "}", NULL, true, true,
          "{\"model\":\"s2a-m\"," M("\"x\"") "}" },
        { "{\"model\":\"\\u0073\\u0032a-m\"," M("\"x\"") "}", NULL, true, true,
          "{\"model\":\"m\"," M("\"x\"") "}" },
        { "{\"\\u00732a\":{},\"model\":\"m\"," M("\"x\"") "}", NULL, true, true,
          "{\"model\":\"m\"," M("\"x\"") "}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        chat_request q;
        assert_int_equal(chat_may_ask(rows[i].body, strlen(rows[i].body), "s2a-", rows[i].header),
                         rows[i].may);
        assert_int_equal(parse(rows[i].body, rows[i].header, &q), S2A_OK);
        assert_int_equal(q.wanted, rows[i].wanted);
        assert_dump(&q, rows[i].left);
        chat_free(&q);
    }
}

/* Only an escape that could spell the prefix or "s2a" has a body read; another coding always. */
static void test_may_ask(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t len;
        bool may;
    } rows[] = {
#define ROW(text, may) { text, sizeof text - 1, may }
        ROW("{\"a\":\"caf\\u00e9\"}", false),
        ROW("{\"a\":\"\\u003cb\\u003e\\u0026\\u0027\"}", false),
        ROW("{\"a\":\"\\u0000\\u001b\\u2019\\u0065\"}", false),
        ROW("\\u00", false),
        ROW("\\u007", false),
        ROW("{\"a\":\"\\u0073\"}", true),
        ROW("{\"a\":\"\\u0032\"}", true),
        ROW("{\"a\":\"\\u0061\"}", true),
        ROW("{\"a\":\"\\u002D\"}", true),
        ROW("", false),
        ROW("{", false),
        ROW("{\0\"\0s\0", true),
        ROW("\0{\0\"", true),
        ROW("\xff\xfe{\0", true),
        ROW("\xfe\xff\0{", true),
        ROW("{\"a\":\"\0\"}", false),
        ROW("{\0\0\0", true),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (chat_may_ask(rows[i].body, rows[i].len, "s2a-", NULL) != rows[i].may)
            print_error("%s\n", rows[i].body);
        assert_int_equal(chat_may_ask(rows[i].body, rows[i].len, "s2a-", NULL), rows[i].may);
    }
}

/* What may be in a body besides what is ours comes back as it came, in its digits and escapes. */
static void test_kept_values(void **state)
{
    (void)state;
    static const char *const values[] = {
        "18446744073709551615",
        "-9223372036854775809",
        "9223372036854775807",
        "1e999",
        "-1E+9999",
        "[123456789012345678901234567890,1.5e400]",
        "\"\\ud83d\"",
        "\"a\\udc00\\ud800b\"",
        "{\"\\u0000\":1,\"\\ud83d\":2}",
        "\"\\u0000\"",
        "\"1e999 \\\"99999999999999999999\"",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (int half = 0; half < 2; half++) {
            char body[400], left[400];
            chat_request q;
            const char *more = half ? ",\"z\":\"\\udfff\"" : "";
            snprintf(body, sizeof body, "{\"model\":\"s2a-m\",\"x\":%s," M("\"x\"") "%s}",
                     values[i], more);
            snprintf(left, sizeof left, "{\"model\":\"m\",\"x\":%s," M("\"y\"") "%s}", values[i],
                     more);
            assert_int_equal(parse(body, NULL, &q), S2A_OK);
            assert_true(q.wanted);
            assert_true(chat_put(&q, &q.targets[0], "y", 1));
            assert_dump(&q, left);
            chat_free(&q);
        }
    /* in a text that is judged, half a pair is a character; what a model writes is no number */
    chat_request q;
    assert_int_equal(parse("{\"model\":\"s2a-m\"," M("\"a \\ud83d\"") "}", NULL, &q), S2A_OK);
    assert_string_equal(q.targets[0].text, "a \xf4\x8f\xa0\xbd");
    assert_true(chat_put(&q, &q.targets[0],
                         "\xf4\x8f\x9f\xbe"
                         "12",
                         6));
    assert_dump(&q, "{\"model\":\"m\"," M("\"12\"") "}");
    assert_true(chat_put(&q, &q.targets[0],
                         "\"\xf4\x8f\x9f\xbe"
                         "12\"\xf4\x8f\xa0\xbd",
                         12));
    assert_dump(&q, "{\"model\":\"m\"," M("\"\\\"12\\\"\\ud83d\"") "}");
    chat_free(&q);
}

/* The table of JSONTestSuite, each text as a value of a body that asks. */
static void test_json_table(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/json.txt");
    size_t read = 0;
    for (size_t i = 0; i < file.count; i++) {
        const char *name = file.cases[i].name;
        const case_field *text = case_get(&file.cases[i], "text");
        buf body;
        chat_request q;
        s2a_error err = { .status = S2A_OK };
        buf_init(&body, 1 << 20);
        buf_adds(&body, "{\"model\":\"s2a-m\"," M("\"x\"") ",\"x\":");
        buf_add(&body, text->value, text->len);
        buf_adds(&body, "}");
        s2a_status status =
            chat_parse(body.data, body.len, CHAT_API_CHAT, "s2a-", NULL, &defaults, NULL, &q, &err);
        bool good = name[0] == 'y'   ? status == S2A_OK
                    : name[0] == 'n' ? status != S2A_OK
                                     : status == S2A_OK || err.message[0];
        if (!good)
            print_error("%s: %d %s\n", name, status, err.message);
        assert_true(good);
        if (status == S2A_OK) {
            size_t len = 0, again_len = 0;
            char *dump = chat_dump(&q, &len), *again = NULL;
            chat_request r;
            assert_true(q.wanted);
            assert_int_equal(
                chat_parse(dump, len, CHAT_API_CHAT, "s2a-", "auto", &defaults, NULL, &r, &err),
                S2A_OK);
            again = chat_dump(&r, &again_len);
            assert_string_equal(again, dump);
            free(again);
            free(dump);
            chat_free(&r);
            read++;
        }
        chat_free(&q);
        buf_free(&body);
    }
    assert_true(read >= 100); /* 95 of y_, and what is kept of i_ */
    cases_free(&file);
}

/* A body that takes long to read and to write, each with a cancel handle that fires meanwhile: what
 * is left takes a small part of what the whole takes, and nothing comes of it. */
static void test_cancelled_body(void **state)
{
    (void)state;
    enum { HALVES_COUNT = 2 << 20, FIRE_MICROSECONDS = 10000, SHARE = 4 };
    s2a_cancel *cancel = s2a_cancel_new();
    s2a_error err = { .status = S2A_OK };
    chat_request q;
    buf body;
    size_t len = 0;
    buf_init(&body, LIMIT_NONE);
    buf_adds(&body, "{\"model\":\"s2a-m\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (size_t i = 0; i < HALVES_COUNT; i++)
        buf_adds(&body, "\\ud83d");
    buf_adds(&body, "\"}]}");

    double reading = cpu_seconds();
    assert_int_equal(parse(body.data, NULL, &q), S2A_OK);
    reading = cpu_seconds() - reading;
    double writing = cpu_seconds();
    char *dump = chat_dump(&q, &len);
    writing = cpu_seconds() - writing;
    assert_non_null(dump);
    free(dump);

    q.cancel = cancel;
    cpu_fire_begin(cancel, FIRE_MICROSECONDS);
    assert_null(chat_dump(&q, &len));
    double took = cpu_fire_end();
    assert_true(took > 0 && took < writing / SHARE);
    chat_free(&q);

    s2a_cancel_reset(cancel);
    cpu_fire_begin(cancel, FIRE_MICROSECONDS);
    assert_int_equal(
        chat_parse(body.data, body.len, CHAT_API_CHAT, "s2a-", NULL, &defaults, cancel, &q, &err),
        S2A_CANCELLED);
    took = cpu_fire_end();
    assert_true(took > 0 && took < reading / SHARE);
    chat_free(&q);
    buf_free(&body);
    s2a_cancel_free(cancel);
}

static void test_how(void **state)
{
    (void)state;
    static const struct {
        const char *object;
        s2a_mode mode;
        s2a_preset preset;
    } rows[] = {
        { "{}", S2A_MODE_DEFAULT, S2A_PRESET_AUTO },
        { "{\"mode\":\"select\"}", S2A_MODE_SELECT, S2A_PRESET_AUTO },
        { "{\"effort\":\"low\"}", S2A_MODE_SELECT, S2A_PRESET_AUTO },
        { "{\"effort\":\"medium\"}", S2A_MODE_DEFAULT, S2A_PRESET_AUTO },
        { "{\"effort\":\"high\"}", S2A_MODE_REWRITE, S2A_PRESET_AUTO },
        { "{\"effort\":\"none\"}", S2A_MODE_DEFAULT, S2A_PRESET_PLAIN },
        { "{\"mode\":\"select\",\"effort\":\"high\"}", S2A_MODE_SELECT, S2A_PRESET_AUTO },
        { "{\"preset\":\"single\",\"effort\":\"high\"}", S2A_MODE_REWRITE, S2A_PRESET_SINGLE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[300];
        chat_request q;
        snprintf(body, sizeof body, "{\"s2a\":%s," M("\"x\"") "}", rows[i].object);
        assert_int_equal(parse(body, NULL, &q), S2A_OK);
        assert_int_equal(q.ask.mode, rows[i].mode);
        assert_int_equal(q.ask.preset, rows[i].preset);
        chat_free(&q);
    }
    chat_request q;
    assert_int_equal(
        parse("{\"s2a\":{\"threshold\":-1.5,\"keep\":0.5,\"show\":\"none\",\"explain\":true,"
              "\"untrusted\":true}," M("\"x\"") "}",
              "relevance", &q),
        S2A_OK);
    assert_true(q.ask.threshold < -1.4 && q.ask.keep > 0.4 && q.ask.explain && q.ask.untrusted);
    assert_int_equal(q.ask.show, CHAT_SHOW_NONE);
    assert_int_equal(q.ask.preset, S2A_PRESET_RELEVANCE);
    chat_free(&q);
    assert_int_equal(parse("{\"s2a\":{}," M("\"x\"") "}", NULL, &q), S2A_OK);
    assert_true(isnan(q.ask.threshold) && q.ask.keep == 0 && !q.ask.protect);
    chat_free(&q);
}

/* What shall stay is as many texts as a request may protect, and none of them is empty. */
static void test_protect(void **state)
{
    (void)state;
    static const char *const bad[] = { "\"a\"", "{}", "[1]", "[\"\"]", "[\"a\",null]", "null" };
    char body[20 + 4 * (LIMIT_PROTECTED + 1) + 100];
    chat_request q;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(body, sizeof body, "{\"s2a\":{\"protect\":%s}," M("\"x\"") "}", bad[i]);
        assert_int_equal(parse(body, NULL, &q), S2A_INPUT);
        chat_free(&q);
    }
    assert_int_equal(
        parse("{\"s2a\":{\"protect\":[\"a b\",\"\\u00e9\"]}," M("\"x\"") "}", NULL, &q), S2A_OK);
    assert_int_equal(json_array_size(q.ask.protect), 2);
    assert_string_equal(json_string_value(json_array_get(q.ask.protect, 1)), "\xc3\xa9");
    assert_dump(&q, "{" M("\"x\"") "}"); /* the server behind us knows nothing of it */
    chat_free(&q);
    for (size_t extra = 0; extra < 2; extra++) {
        size_t at = (size_t)sprintf(body, "{\"s2a\":{\"protect\":[\"a\"");
        for (size_t i = 1; i < LIMIT_PROTECTED + extra; i++, at += 4)
            memcpy(body + at, ",\"a\"", 5);
        strcpy(body + at, "]}," M("\"x\"") "}");
        assert_int_equal(parse(body, NULL, &q), extra ? S2A_INPUT : S2A_OK);
        chat_free(&q);
    }
}

/* Preset untrusted looks at tool results too, unless it is told not to. */
static void test_untrusted_preset(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        bool untrusted, good;
    } rows[] = {
        { "\"preset\":\"untrusted\"", true, true },
        { "\"untrusted\":false,\"preset\":\"untrusted\"", false, true },
        { "\"preset\":\"untrusted\",\"mode\":\"select\"", true, true },
        { "\"preset\":\"opinion\"", false, true },
        { "\"preset\":\"untrusted\",\"mode\":\"rewrite\"", true, false },
        { "\"preset\":\"untrusted\",\"effort\":\"high\"", true, false },
        { "\"preset\":\"untrusted\",\"keep\":0.5", true, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[300];
        chat_request q;
        snprintf(body, sizeof body, "{\"s2a\":{%s}," M("\"x\"") "}", rows[i].members);
        assert_int_equal(parse(body, NULL, &q), rows[i].good ? S2A_OK : S2A_INPUT);
        assert_int_equal(q.ask.untrusted, rows[i].untrusted);
        chat_free(&q);
    }
    chat_request q;
    assert_int_equal(parse("{" M("\"x\"") "}", "untrusted", &q), S2A_OK);
    assert_true(q.ask.untrusted && q.ask.preset == S2A_PRESET_UNTRUSTED);
    chat_free(&q);
}

static void test_wrong(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "x",
        "[]",
        "{\"s2a\":null," M("\"x\"") "}",
        "{\"s2a\":{\"keep\":2}," M("\"x\"") "}",
        "{\"s2a\":{\"keep\":\"1\"}," M("\"x\"") "}",
        "{\"s2a\":{\"mode\":1}," M("\"x\"") "}",
        "{\"s2a\":{\"mode\":\"none\"}," M("\"x\"") "}",
        "{\"s2a\":{}}",
        "{\"s2a\":{},\"messages\":[1]}",
        "{\"s2a\":{},\"messages\":{}}",
        "{\"a\":\"\xff\"}",
        "{\"a\":NaN}",
        "\xef\xbb\xbf{}",
        "{} x",
        "{\"a\":\"\xed\xa0\xbd\"}",
        "{\"a\":\"\\ud83d\",\"b\":\"\xf4\x8f\xbf\xbf\"}",
        "{\"a\":1e999,\"b\":\"\\udbff\\udfff\"}",
        "{99999999999999999999999:1}",
        "{\"a\":-}",
        "{\"a\":01e999}",
        "{\"a\":1e999x}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        chat_request q;
        assert_int_equal(parse(bodies[i], NULL, &q), S2A_INPUT);
        chat_free(&q);
    }
}

static void test_targets(void **state)
{
    (void)state;
    static const char body[] =
        "{\"model\":\"s2a-m\",\"s2a\":{\"untrusted\":true},\"messages\":["
        "{\"role\":\"system\",\"content\":\"sys\"},{\"role\":\"user\",\"content\":\"early\"},"
        "{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"t1\"},{\"type\":\"text\","
        "\"text\":\"t2\"}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"k\":1},{\"type\":\"text\","
        "\"text\":\"a\"},"
        "{\"type\":\"text\",\"text\":\"doc\",\"untrusted\":true},{\"type\":\"text\",\"text\":\"b\"}"
        "]},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]},{\"role\":\"tool\","
        "\"content\":\"t3\"}]}";
    chat_request q;
    assert_int_equal(parse(body, NULL, &q), S2A_OK);
    static const struct {
        const char *text;
        size_t index;
        bool context;
    } rows[] = {
        { "t1\nt2", 2, true }, { "doc", 3, true }, { "t3", 5, true }, { "a\nb", 3, false }
    };
    assert_int_equal(q.target_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(q.targets[i].text, rows[i].text);
        assert_int_equal(q.targets[i].message.index, rows[i].index);
        assert_int_equal(q.targets[i].context, rows[i].context);
        char put[10];
        snprintf(put, sizeof put, "<%zu>", i);
        assert_true(chat_put(&q, &q.targets[i], put, 3));
    }
    assert_dump(
        &q, "{\"model\":\"m\",\"messages\":["
            "{\"role\":\"system\",\"content\":\"sys\"},{\"role\":\"user\",\"content\":\"early\"},"
            "{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"<0>\"}]},"
            "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"k\":1},{\"type\":\"text\","
            "\"text\":\"<3>\"},{\"type\":\"text\",\"text\":\"<1>\"}]},{\"role\":\"assistant\","
            "\"content\":null,\"tool_calls\":[]},{\"role\":\"tool\",\"content\":\"<2>\"}]}");
    chat_free(&q);
}

static void test_target_limit(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        buf body;
        buf_init(&body, 1 << 20);
        buf_adds(&body, "{\"s2a\":{\"untrusted\":true},\"messages\":[");
        for (size_t i = 0; i + 1 < SERVE_TARGETS + extra; i++)
            buf_adds(&body, "{\"role\":\"tool\",\"content\":\"x\"},");
        buf_adds(&body, "{\"role\":\"user\",\"content\":\"x\"}]}");
        chat_request q;
        assert_int_equal(parse(body.data, NULL, &q), extra ? S2A_INPUT : S2A_OK);
        chat_free(&q);
        buf_free(&body);
    }
}

/* What was said before the last message, by whom; not what tools and marked parts say, and nothing
 * without text. */
static void test_turns(void **state)
{
    (void)state;
    static const char body[] =
        "{\"s2a\":{\"untrusted\":true},\"messages\":[{\"role\":\"user\",\"content\":\"u0\"},"
        "{\"role\":\"assistant\",\"content\":\"a1\"},{\"role\":\"user\",\"content\":\" \\n\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"u3\"},{\"type\":\"image_"
        "url\"},{\"type\":"
        "\"text\",\"text\":\"doc\",\"untrusted\":true},{\"type\":\"text\",\"text\":\"more\"}]},{"
        "\"role\":\"user\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]},{\"role\":\"system\","
        "\"content\":\"s6\"},"
        "{\"role\":\"tool\",\"content\":\"t7\"},{\"role\":\"developer\",\"content\":\"d8\"},"
        "{\"role\":\"user\",\"content\":\"u9\"},{\"role\":\"assistant\",\"content\":\"a10\"}]}";
    static const struct {
        const char *text;
        size_t index;
    } rows[] = { { "u0", 0 }, { "a1", 1 }, { "u3\nmore", 3 }, { "s6", 6 }, { "d8", 8 } };
    chat_request q;
    assert_int_equal(parse(body, NULL, &q), S2A_OK);
    assert_int_equal(q.turn_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(q.turns[i].text, rows[i].text);
        assert_int_equal(q.turns[i].message.index, rows[i].index);
    }
    assert_string_equal(q.targets[q.target_count - 1].text, "u9");
    assert_true(chat_put(&q, &q.turns[0], "<0>", 3));
    assert_true(chat_put(&q, &q.turns[2], "<1>", 3));
    size_t len = 0;
    char *text = chat_dump(&q, &len);
    assert_non_null(strstr(
        text,
        "[{\"role\":\"user\",\"content\":\"<0>\"},{\"role\":\"assistant\",\"content\":\"a1\"}"));
    assert_non_null(strstr(
        text, "[{\"type\":\"text\",\"text\":\"<1>\"},{\"type\":\"image_url\"},{\"type\":\"text\","
              "\"text\":\"doc\"}]"));
    free(text);
    chat_free(&q);
    assert_int_equal(
        parse(
            "{\"s2a\":{},\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"user\"}]}",
            NULL, &q),
        S2A_OK);
    /* The last one has no text: what was asked before it still is. */
    assert_int_equal(q.target_count, 1);
    assert_int_equal(q.turn_count, 0);
    assert_string_equal(q.targets[0].text, "x");
    chat_free(&q);
}

static void test_turn_limits(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        buf body;
        buf_init(&body, 1 << 20);
        buf_adds(&body, "{\"s2a\":{},\"messages\":[");
        for (size_t i = 0; i < SERVE_TURNS + extra; i++)
            buf_adds(&body, "{\"role\":\"user\",\"content\":\"x\"},");
        buf_adds(&body, "{\"role\":\"user\",\"content\":\"x\"}]}");
        chat_request q;
        assert_int_equal(parse(body.data, NULL, &q), S2A_OK);
        assert_int_equal(q.turn_count, SERVE_TURNS);
        assert_int_equal(q.turns[0].message.index, extra);
        chat_free(&q);
        buf_free(&body);
    }
    /* what is too long, and all before it, is left out */
    char *text = calloc(1, LIMIT_INPUT_BYTES + 400);
    for (size_t extra = 0; extra < 2; extra++) {
        size_t at = (size_t)sprintf(
            text, "{\"s2a\":{},\"messages\":[{\"role\":\"user\",\"content\":\"old\"},"
                  "{\"role\":\"user\",\"content\":\"");
        memset(text + at, 'x', LIMIT_INPUT_BYTES + extra);
        strcpy(
            text + at + LIMIT_INPUT_BYTES + extra,
            "\"},{\"role\":\"user\",\"content\":\"new\"},{\"role\":\"user\",\"content\":\"x\"}]}");
        chat_request q;
        assert_int_equal(parse(text, NULL, &q), S2A_OK);
        assert_int_equal(q.turn_count, extra ? 1 : 3);
        assert_string_equal(q.turns[q.turn_count - 1].text, "new");
        chat_free(&q);
    }
    free(text);
}

static void test_shape(void **state)
{
    (void)state;
    char text[600] = "";
    s2a_error err;
    memset(text, '[', LIMIT_JSON_DEPTH);
    assert_int_equal(chat_shape(text, strlen(text), SERVE_JSON_VALUES, &err), S2A_OK);
    strcat(text, "{");
    assert_int_equal(chat_shape(text, strlen(text), SERVE_JSON_VALUES, &err), S2A_LIMIT);
    char quoted[600] = "\"\\\"";
    memset(quoted + 3, '[', 400);
    assert_int_equal(chat_shape(quoted, strlen(quoted), SERVE_JSON_VALUES, &err), S2A_OK);
    assert_int_equal(chat_shape("\"\\", 2, 0, &err), S2A_OK);
    char *commas = malloc(SERVE_JSON_VALUES + 1);
    memset(commas, ',', SERVE_JSON_VALUES + 1);
    assert_int_equal(chat_shape(commas, SERVE_JSON_VALUES, SERVE_JSON_VALUES, &err), S2A_OK);
    assert_int_equal(chat_shape(commas, SERVE_JSON_VALUES + 1, SERVE_JSON_VALUES, &err), S2A_LIMIT);
    free(commas);
    /* An empty array costs more than what a comma stands for. */
    assert_int_equal(chat_shape("[[],{}]", 7, 4, &err), S2A_OK);
    assert_int_equal(chat_shape("[[],{}]", 7, 3, &err), S2A_LIMIT);
    json_t *answer = chat_answer_parse("[1]", 3);
    assert_int_equal(json_array_size(answer), 1);
    json_decref(answer);
    size_t len = 2 * (size_t)SERVE_ANSWER_VALUES + 4; /* [1,1,...]: a value too many */
    char *arrays = malloc(len);
    memset(arrays, ' ', len);
    arrays[0] = '[';
    for (size_t i = 1; i + 2 < len; i += 2)
        memcpy(arrays + i, i > 1 ? ",1" : " 1", 2);
    arrays[len - 1] = ']';
    assert_int_equal(chat_shape(arrays, len, SERVE_ANSWER_VALUES + 1, &err), S2A_OK);
    assert_null(chat_answer_parse(arrays, len));
    free(arrays);
}

/* ---- fields ----------------------------------------------------------------------------- */

static void test_headers(void **state)
{
    (void)state;
    const http_field fields[] = {
        { (char *)"Host", (char *)"h" },
        { (char *)"connection", (char *)"close, X-A ,x-b" },
        { (char *)"X-A", (char *)"1" },
        { (char *)"X-B", (char *)"2" },
        { (char *)"X-C", (char *)"3" },
        { (char *)"Authorization", (char *)"Bearer k" },
        { (char *)"Content-Length", (char *)"3" },
        { (char *)"transfer-encoding", (char *)"chunked" },
        { (char *)"X-S2A", (char *)"off" },
        { (char *)"Cookie", (char *)"c" },
        { (char *)"TE", (char *)"trailers" },
        { (char *)"Upgrade", (char *)"h2c" },
        { (char *)"Expect", (char *)"100-continue" },
    };
    http_field out[20];
    assert_int_equal(headers_forward(fields, 13, true, out, 20), 3);
    assert_string_equal(out[0].name, "X-C");
    assert_string_equal(out[1].name, "Authorization");
    assert_string_equal(out[2].name, "Cookie");
    assert_int_equal(headers_forward(fields, 13, false, out, 20), 2);
    assert_int_equal(headers_forward(fields, 13, false, out, 1), 1);
    assert_int_equal(headers_back(fields, 13, out, 20), 6); /* Host and the like mean nothing there
                                                             */
}

static void test_ids(void **state)
{
    (void)state;
    char id[HEADERS_ID_SIZE], other[HEADERS_ID_SIZE], longest[HEADERS_ID_SIZE + 1];
    memset(longest, 'x', sizeof longest);
    longest[SERVE_ID_BYTES] = '\0';
    headers_request_id(longest, id);
    assert_string_equal(id, longest);
    longest[SERVE_ID_BYTES] = 'x';
    longest[SERVE_ID_BYTES + 1] = '\0';
    headers_request_id(longest, id);
    assert_memory_equal(id, "s2a-", 4);
    static const char *const bad[] = {
        NULL, "", "a b", "a\r\nX: 1", "a\"b", "caf\xc3\xa9", "a\x7f"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        headers_request_id(bad[i], id);
        headers_request_id(bad[i], other);
        assert_int_equal(strlen(id), 28);
        assert_string_not_equal(id, other);
    }
    assert_null(headers_bearer(NULL));
    assert_null(headers_bearer("Basic x"));
    assert_string_equal(headers_bearer("bearer  x"), "x");
}

/* ---- where it goes, and who asks -------------------------------------------------------- */

static void test_target(void **state)
{
    (void)state;
    static const struct {
        const char *given, *normal; /* NULL: refused */
    } rows[] = {
        { "/", "/" },
        { "/v1/x?y=../z&%2e", "/v1/x?y=../z&%2e" },
        { "/?", "/?" },
        { "/v1/../../other", "/other" },
        { "/../admin", "/admin" },
        { "/..", "/" },
        { "/.", "/" },
        { "/v1/%2e%2e/%2E./admin", "/admin" },
        { "/a/.%2e/b", "/b" },
        { "/a/b/..", "/a/" },
        { "/a/b/.", "/a/b/" },
        { "/a/./b/../c", "/a/c" },
        { "/a//../b", "/a/b" },
        { "//", "//" },
        { "/v1/%63hat/completions", "/v1/chat/completions" },
        { "/..?..", "/?.." },
        { "/v1/models/org%2Fname%20x", "/v1/models/org%2Fname%20x" },
        { "/%zz%2", "/%zz%2" },
        { "/...", "/..." },
        { "/a..b/..c", "/a..b/..c" },
        { "/x/%7euser%41", "/x/~userA" },
        { "/v1/..%2f..%2fadmin", NULL },
        { "/v1/%2e%2e%2Fadmin", NULL },
        { "/v1/x%2f..", NULL },
        { "/v1/..\\admin", NULL },
        { "/v1/..%5Cadmin", NULL },
        { "/v1/..;a=b/admin", NULL },
        { "/v1/%252e%252e/admin", NULL },
        { "/v1/%25252e%25252e/x", NULL },
        { "/v1/..%00/x", NULL },
        { "/a%252525252525", NULL },
        { "/v1/%2e%2e%3b/x", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *out = NULL;
        s2a_error err = { .status = S2A_OK };
        s2a_status status = target_normalise(rows[i].given, &out, &err);
        if ((status == S2A_OK) != (rows[i].normal != NULL) || (out && strcmp(out, rows[i].normal)))
            print_error("%s: %s\n", rows[i].given, out ? out : err.message);
        assert_int_equal(status, rows[i].normal ? S2A_OK : S2A_INPUT);
        if (rows[i].normal)
            assert_string_equal(out, rows[i].normal);
        free(out);
    }
}

static void test_hosts(void **state)
{
    (void)state;
    static const char *const names[] = { "llm.example", "other.example:81" };
    const origin_list allowed = { names, 2 };
    static const char *const ours[] = {
        "localhost",   "LocalHost:8080",   "a.localhost",
        "localhost.",  "127.0.0.1",        "127.0.0.1:8080",
        "[::1]",       "[::1]:80",         "192.0.2.7:1",
        "llm.example", "LLM.example:8443", "other.example:81",
    };
    static const char *const theirs[] = {
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "xlocalhost",
        "127.0.0.1.evil",
        "llm.example.evil",
        "other.example",
        "other.example:82",
        "",
        ":80",
        "[::1",
        "[x]",
        "1.2.3",
        "localhost:80:90",
        "localhost,evil",
    };
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        assert_true(origin_host_is_ours(ours[i], &allowed));
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++) {
        if (origin_host_is_ours(theirs[i], &allowed))
            print_error("%s\n", theirs[i]);
        assert_false(origin_host_is_ours(theirs[i], &allowed));
    }
    assert_true(origin_host_is_ours(NULL, &allowed));
    assert_true(origin_is_own("http://127.0.0.1:80", "127.0.0.1:80"));
    assert_false(origin_is_own("http://127.0.0.1:81", "127.0.0.1:80"));
    assert_false(origin_is_own("null", "127.0.0.1:80"));
    assert_false(origin_is_own("chrome-extension://h", "h"));
    assert_false(origin_is_own("http://", NULL));
    static const char *const types[] = { "application/json", "Application/JSON ; charset=utf-8",
                                         "application/json;x", "application/json\t" };
    static const char *const other[] = {
        "text/plain",         "application/jsonx",           "",
        "application/json x", "text/plain;application/json", "application/json x; y"
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        assert_true(origin_type_is(types[i], "application/json"));
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        assert_false(origin_type_is(other[i], "application/json"));
    assert_false(origin_type_is(NULL, "application/json"));
    static const char *const loopback[] = { NULL, "127.0.0.1", "127.8.0.1", "::1", "localhost" };
    for (size_t i = 0; i < 5; i++)
        assert_true(origin_is_loopback(loopback[i]));
    assert_false(origin_is_loopback("0.0.0.0"));
    assert_false(origin_is_loopback("::"));
    assert_true(origin_is_valid("http://a:1") && origin_is_valid("null") &&
                origin_is_valid("x://[::1]"));
    assert_false(origin_is_valid("http://a/") || origin_is_valid("a") ||
                 origin_is_valid("http://"));
    assert_false(origin_is_valid("*") || origin_host_is_valid("a/b") || origin_host_is_valid(""));
}

/* ---- keys ------------------------------------------------------------------------------- */

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_keys(void **state)
{
    (void)state;
    keys *k = NULL;
    s2a_error err;
    static const char text[] = "# two\n\n  " ABC "  name\r\n"
                               "248D6A61D20638B8E5C026930C3E6039A33CE45964FF2167F6ECEDD419DB06C1";
    assert_int_equal(keys_parse("f", text, sizeof text - 1, &k, &err), S2A_OK);
    assert_int_equal(keys_count(k), 2);
    assert_true(keys_allow(k, "abc"));
    assert_true(keys_allow(k, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"));
    assert_false(keys_allow(k, ""));
    assert_false(keys_allow(k, "abcd"));
    assert_false(keys_allow(k, ABC));
    assert_false(keys_allow(k, NULL));
    keys_free(k);
    static const char *const bad[] = {
        "",
        "# none\n",
        "abc\n",
        ABC "0\n",
        ABC ":x\n",
        ABC "\nE3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855 name\n",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  -\n",
        ABC "\nx\n"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(keys_parse("f", bad[i], strlen(bad[i]), &k, &err), S2A_ARGUMENT);
        assert_null(k);
    }
    assert_non_null(strstr(err.message, "f:2:"));
    for (size_t extra = 0; extra < 2; extra++) {
        buf many;
        buf_init(&many, 1 << 20);
        for (size_t i = 0; i < SERVE_KEYS + extra; i++)
            buf_adds(&many, ABC "\n");
        assert_int_equal(keys_parse("f", many.data, many.len, &k, &err),
                         extra ? S2A_LIMIT : S2A_OK);
        keys_free(k);
        buf_free(&many);
    }
}

/* ---- streams ---------------------------------------------------------------------------- */

static json_t *object(void *ctx)
{
    ++*(int *)ctx;
    return json_pack("{s:i}", "ours", 1);
}

#define CHUNK(rest) "data: {\"choices\":[{\"index\":0," rest "}]}\n\n"
#define STOP CHUNK("\"delta\":{},\"finish_reason\":\"stop\"")

static void filter(const char *in, size_t piece, buf *out, s2a_status *status, int *asked)
{
    reply r = { .id = "i", .model = "m", .created = 1, .api = CHAT_API_CHAT };
    s2a_usage step1 = { .prompt_tokens = 10, .completion_tokens = 5, .cached_tokens = 2 };
    sse_filter f;
    buf_init(out, 1 << 20);
    *asked = 0;
    sse_filter_init(&f, &r, &step1, object, asked);
    *status = S2A_OK;
    size_t len = strlen(in);
    for (size_t at = 0; at < len && *status == S2A_OK; at += piece)
        *status = sse_filter_feed(&f, in + at, piece < len - at ? piece : len - at, out);
    if (*status == S2A_OK)
        *status = sse_filter_end(&f, out);
    buf_add(out, "", 0);
    sse_filter_free(&f);
}

static void test_filter(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
        s2a_status status;
    } rows[] = {
        { CHUNK("\"delta\":{\"content\":\"a\"},\"x\":0.50") STOP "data: [DONE]\n\n",
          CHUNK("\"delta\":{\"content\":\"a\"},\"x\":0.5") "data: "
                                                           "{\"choices\":[{\"index\":0,\"delta\":{}"
                                                           ",\"finish_reason\":\"stop\"}],\"s2a\":{"
                                                           "\"ours\":1}}"
                                                           "\n\ndata: [DONE]\n\n",
          S2A_OK },
        { STOP "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
               "\"total_tokens\":3}}\n\ndata: [DONE]\n\n",
          STOP "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,"
               "\"total_tokens\":18,\"prompt_tokens_details\":{\"cached_tokens\":2},"
               "\"completion_tokens_details\":{\"reasoning_tokens\":5}},\"s2a\":{\"ours\":1}}\n\n"
               "data: [DONE]\n\n",
          S2A_OK },
        /* comments go, other events stay, and a stream may end without [DONE] */
        { ": hello\n\nevent: x\ndata: 1\ndata: 2\n\n" STOP,
          "event: x\ndata: 1\ndata: 2\n\n"
          "data: "
          "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"s2a\":{\"ours\":"
          "1}}"
          "\n\ndata: [DONE]\n\n",
          S2A_OK },
        { CHUNK("\"delta\":{\"content\":\"a\"}"), CHUNK("\"delta\":{\"content\":\"a\"}"),
          S2A_BACKEND },
        { "", "", S2A_BACKEND },
        { "data: {\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]\n\n",
          "data: {\"error\":{\"message\":\"x\"}}\n\n", S2A_OK },
        { "{\"error\":\"x\"}", "data: {\"error\":\"x\"}\n\n", S2A_OK },
        { "<html>", "", S2A_BACKEND },
        { STOP "data: [DONE]\n\ndata: more\n\n",
          "data: "
          "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"s2a\":{\"ours\":"
          "1}}"
          "\n\ndata: [DONE]\n\n",
          S2A_OK },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t piece = 1; piece < 200; piece += 33) {
            buf out;
            s2a_status status;
            int asked;
            filter(rows[i].in, piece, &out, &status, &asked);
            if (strcmp(out.data, rows[i].out) != 0)
                print_error("row %zu\n", i);
            assert_string_equal(out.data, rows[i].out);
            assert_int_equal(status, rows[i].status);
            assert_int_equal(asked, strstr(rows[i].out, "ours") != NULL);
            buf_free(&out);
        }
}

/* Every chunk is called what those before it were called, and only they had the role. */
static void test_filter_names(void **state)
{
    (void)state;
    static const char odd[] = "data: {\"id\":\"up\",\"choices\":[{\"logprob\":NaN}]}\n\n"
                              "data: [1,\"id\"]\n\ndata: cut off {\"id\":\n\n";
    static const char error[] = "data: {\"id\":\"up\",\"error\":{\"message\":\"x\"}}\n\n";
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "data: "
          "{\"id\":\"up\",\"object\":\"o\",\"created\":7,\"model\":\"tiny\",\"choices\":[{"
          "\"index\":0,"
          "\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}}],\"more\":1}\n\n",
          "data: "
          "{\"id\":\"i\",\"object\":\"o\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,"
          "\"delta\":{\"content\":\"a\"}}],\"more\":1}\n\n" },
        { "data: "
          "{\"model\":null,\"choices\":[{\"delta\":{\"role\":\"assistant\"}},{\"index\":1,"
          "\"delta\":{\"role\":"
          "\"assistant\"}}]}\n\n",
          "data: "
          "{\"model\":\"m\",\"choices\":[{\"delta\":{}},{\"index\":1,\"delta\":{\"role\":"
          "\"assistant\"}}]}"
          "\n\n" },
        { "event: x\ndata: {\"id\":\ndata: \"up\"}\n\n", "event: x\ndata: {\"id\":\"i\"}\n\n" },
        { odd, odd },
        { error, error },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf out;
        s2a_status status;
        int asked;
        filter(rows[i].in, 1 + i, &out, &status, &asked);
        assert_string_equal(out.data, rows[i].out);
        buf_free(&out);
    }
}

static void test_filter_no_last_chunk(void **state)
{
    (void)state;
    buf out;
    s2a_status status;
    int asked;
    filter("data: [DONE]\n\n", 100, &out, &status, &asked);
    assert_int_equal(status, S2A_OK);
    assert_non_null(strstr(out.data, "\"choices\":[{\"index\":0,\"delta\":{},"));
    assert_non_null(strstr(out.data, "\"s2a\":{\"ours\":1}}\n\ndata: [DONE]\n\n"));
    buf_free(&out);
}

/* ---- models, metrics -------------------------------------------------------------------- */

static void test_models(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "{\"data\":[]}", "{\"data\":[]}" },
        { "{\"data\":[{\"id\":\"a\",\"k\":{}}]}",
          "{\"data\":[{\"id\":\"a\",\"k\":{}},{\"id\":\"s2a-a\",\"k\":{}}]}" },
        { "{\"data\":[{\"id\":1}]}", NULL },
        { "{\"data\":{}}", NULL },
        { "[]", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *root = json_loads(rows[i].in, 0, NULL);
        bool ok = reply_models_double(root, "s2a-");
        assert_int_equal(ok, rows[i].out != NULL);
        if (ok) {
            char *text = json_dumps(root, JSON_COMPACT);
            assert_string_equal(text, rows[i].out);
            free(text);
        }
        json_decref(root);
    }
}

static void test_metrics(void **state)
{
    (void)state;
    metrics *m = malloc(sizeof *m);
    metrics_init(m);
    metrics_request(m, METRICS_CHAT, 200, 3, 2);
    metrics_request(m, METRICS_CHAT, 200, 70000, -1);
    metrics_request(m, METRICS_OTHER, 12345, 1, 1);
    static const metrics_step1 seen[] = {
        { .ms = 5,
          .judged_bytes = 150,
          .removed_bytes = 50,
          .prompt_tokens = 30,
          .cached_tokens = 10 },
        { .ms = 5, .judged_bytes = 50, .removed_bytes = 9, .fallback = "budget" },
        { .ms = 5, .fallback = "of no name" },
        { .ms = 5, .fallback = "step1_failed", .cancelled = true },
    };
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
        metrics_attended(m, &seen[i]);
    buf out;
    buf_init(&out, 1 << 20);
    metrics_gauges g = { 3, 2, true, 5 };
    metrics_write(m, &g, &out);
    assert_int_equal(out.status, S2A_OK);
    static const char *const lines[] = {
        "\ns2a_requests_total{route=\"chat_completions\",status=\"200\"} 2\n",
        "\ns2a_requests_total{route=\"other\",status=\"0\"} 1\n",
        "\ns2a_request_seconds_bucket{le=\"0.0025\"} 1\n",
        "\ns2a_request_seconds_bucket{le=\"0.005\"} 2\n",
        "\ns2a_request_seconds_bucket{le=\"+Inf\"} 3\n",
        "\ns2a_request_seconds_count 3\n",
        "\ns2a_first_byte_seconds_count 2\n",
        "\ns2a_fallbacks_total{reason=\"budget\"} 1\n",
        "\ns2a_fallbacks_total{reason=\"other\"} 1\n",
        "\ns2a_fallbacks_total{reason=\"new_code\"} 0\n",
        "\ns2a_removed_share 0.250000\n",
        "\ns2a_saved_tokens_estimated_total 12\n",
        "\ns2a_log_dropped_total 5\n",
        "\ns2a_connections 3\n",
        "\ns2a_draining 1\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (!strstr(out.data, lines[i]))
            print_error("%s", lines[i]);
        assert_non_null(strstr(out.data, lines[i]));
    }
    assert_null(strstr(out.data, "s2a_upstream_up")); /* not known yet */
    buf_free(&out);
    buf_init(&out, 1 << 20);
    metrics_effect(m, &out);
    assert_string_equal(out.data,
                        "{\"minutes\":60,\"requests\":4,\"judged_bytes\":200,\"removed_bytes\":50,"
                        "\"removed_share\":0.2500,\"saved_tokens_estimated\":12,"
                        "\"spent_tokens\":20,\"fallbacks\":{\"budget\":1,\"other\":1}}");
    buf_free(&out);
    for (size_t i = 0; i < METRICS_MINUTES; i++) /* an hour later */
        m->minutes[i].minute -= METRICS_MINUTES;
    buf_init(&out, 1 << 20);
    metrics_effect(m, &out);
    assert_non_null(strstr(out.data, "\"requests\":0"));
    buf_free(&out);
    metrics_free(m);
    free(m);
}

static void test_trace(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool ok;
    } rows[] = {
        { "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true },
        { "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true },
        { "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x", false },
        { "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false },
        { "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false },
        { "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01", false },
        { "", false },
        { NULL, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_ptr_equal(headers_trace(rows[i].value), rows[i].ok ? rows[i].value : NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_may_ask),
        cmocka_unit_test(test_kept_values),
        cmocka_unit_test(test_json_table),
        cmocka_unit_test(test_cancelled_body),
        cmocka_unit_test(test_asked),
        cmocka_unit_test(test_how),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_untrusted_preset),
        cmocka_unit_test(test_protect),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_target_limit),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_turn_limits),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_target),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_filter_names),
        cmocka_unit_test(test_filter_no_last_chunk),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests_name("serve_parts", tests, NULL, NULL);
}
