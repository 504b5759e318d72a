/* Allocation failures in the pure parts of serve, as in test_oom.c: the n-th allocation fails, for
 * every n. Each is said, and leaves nothing behind. Where bodies are read those of jansson fail
 * too; not where events are written: json_dumps of 2.14 then leaves out what it had no room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "serve/chat.h"
#include "serve/keys.h"
#include "serve/sse_filter.h"

/* Runs it with the first, the second ... allocation failing until none does; it returns whether all
 * went well, which must be so exactly where none has failed. */
static void sweep(bool (*run)(void), bool jansson)
{
    if (jansson)
        json_set_alloc_funcs(__wrap_malloc, free);
    long n = 1;
    for (bool more = true; more; n++) {
        assert_true(n < 100000);
        failed = false;
        fail_at = n;
        bool ok = run();
        more = failed;
        fail_at = 0;
        if (ok != !failed)
            print_error("allocation %ld\n", n);
        assert_int_equal(ok, !failed);
    }
    assert_true(n > 5);
    json_set_alloc_funcs(__real_malloc, free);
}

static bool run_chat(void)
{
    static const char body[] =
        "{\"model\":\"s2a-m\",\"s2a\":{\"untrusted\":true,\"mode\":\"select\",\"protect\":[\"a\"]},"
        "\"x\":[1,2.5,null],"
        "\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
        "\"e\"},{\"role\":\"tool\",\"content\":\"t\"},{\"role\":\"user\",\"content\":[{\"type\":"
        "\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"d\",\"untrusted\":true},{\"type\":"
        "\"text\","
        "\"text\":\"b\"}]}]}";
    chat_ask ask = { .mode = S2A_MODE_DEFAULT };
    chat_request q;
    s2a_error err;
    s2a_status status =
        chat_parse(body, sizeof body - 1, CHAT_API_CHAT, "s2a-", NULL, &ask, NULL, &q, &err);
    bool ok = status == S2A_OK;
    assert_true(ok || status == S2A_NOMEM || failed);
    for (size_t i = 0; ok && i < q.target_count; i++)
        ok = chat_put(&q, &q.targets[i], "put", 3);
    for (size_t i = 0; ok && i < q.turn_count; i++)
        ok = chat_put(&q, &q.turns[i], "put", 3);
    size_t len = 0;
    char *text = ok ? chat_dump(&q, &len) : NULL;
    ok = text != NULL;
    free(text);
    chat_free(&q);
    return ok;
}

static json_t *object(void *ctx)
{
    (void)ctx;
    return json_pack("{s:i}", "x", 1);
}

static bool run_filter(void)
{
    static const char stream[] =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";
    reply r = { .id = "i", .model = "m", .api = CHAT_API_CHAT };
    s2a_usage step1 = { .prompt_tokens = 1, .completion_tokens = 1, .cached_tokens = 1 };
    sse_filter f;
    buf out;
    buf_init(&out, 1 << 20);
    sse_filter_init(&f, &r, &step1, object, NULL);
    s2a_status status = sse_filter_feed(&f, stream, sizeof stream - 1, &out);
    if (status == S2A_OK)
        status = sse_filter_end(&f, &out);
    sse_filter_free(&f);
    bool ok = status == S2A_OK && strstr(out.data, "\"s2a\":{\"x\":1}") != NULL;
    buf_free(&out);
    return ok;
}

static bool run_reply(void)
{
    s2a_usage u = { .prompt_tokens = 1 };
    step1_outcome s1 = { .mode = S2A_MODE_SELECT, .fallback = "budget", .detail = "d" };
    chat_request q = { .ask.explain = true };
    static const char call[] = "[{\"id\":\"c\",\"type\":\"function\",\"function\":"
                               "{\"name\":\"f\",\"arguments\":\"{}\"}}]";
    const s2a_logprob token = { "y", 1, -1 };
    buf out;
    buf_init(&out, 1 << 20);
    bool ok = true;
    for (int api = CHAT_API_CHAT; api <= CHAT_API_MESSAGES; api++) {
        reply r = { .id = "i", .model = "m", .api = (chat_api)api };
        json_t *calls = ok ? json_loads(call, 0, NULL) : NULL;
        reply_choice c = { .text = "y", .len = 1, .calls = calls };
        reply_probs probs = { .api = (chat_api)api };
        reply_probs_add(&probs, &token, &token, 1);
        c.logprobs = reply_probs_take(&probs);
        ok = ok && calls && c.logprobs;
        reply_answer a = { .choices = &c,
                           .count = 1,
                           .show = CHAT_SHOW_THINK,
                           .shown = "x",
                           .shown_len = 1,
                           .step1 = &u,
                           .step2 = &u,
                           .include_usage = true };
        a.s2a = reply_s2a(&s1, &q, 1, &u);
        ok = ok && a.s2a && reply_event(&out, reply_error(&r, 400, "m", "c"));
        ok = ok && reply_event(&out, reply_error_event(&r, 400, "m", "c"));
        ok = ok && reply_event(&out, reply_whole(&r, &a)) && reply_begin(&r, NULL, &out);
        ok = ok && reply_text(&r, "y", 1, c.logprobs, &out) && reply_choice_end(&r, &c, &out) &&
             reply_end(&r, &a, &out);
        json_decref(a.s2a);
        json_decref(c.logprobs);
        json_decref(calls);
    }
    reply r = { .id = "i", .model = "m", .api = CHAT_API_CHAT };
    bool shown = true;
    json_t *delta = ok ? reply_delta_shown(CHAT_SHOW_BOTH, "x", 1, &shown) : NULL;
    ok = ok && shown && reply_event(&out, reply_chunk(&r, delta, NULL, NULL));
    buf_free(&out);
    return ok;
}

static bool run_keys(void)
{
    static const char text[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
                               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1\n";
    keys *k = NULL;
    s2a_error err;
    s2a_status status = keys_parse("f", text, sizeof text - 1, &k, &err);
    assert_true(status == S2A_OK || status == S2A_NOMEM);
    assert_int_equal(k != NULL, status == S2A_OK);
    keys_free(k);
    return status == S2A_OK;
}

static void test_chat(void **state)
{
    (void)state;
    sweep(run_chat, true);
}

static void test_filter(void **state)
{
    (void)state;
    sweep(run_filter, false);
}

static void test_reply(void **state)
{
    (void)state;
    sweep(run_reply, false);
}

static void test_keys(void **state)
{
    (void)state;
    failed = false;
    for (fail_at = 1; fail_at < 3;) {
        long n = fail_at;
        run_keys();
        fail_at = n + 1;
    }
    fail_at = 0;
    assert_true(run_keys());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests_name("oom_serve", tests, NULL, NULL);
}
