#include "live.h"

#include "base/utf8.h"
#include "core/engine.h"
#include "llama_inspect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

const char *live_model(void)
{
    const char *path = getenv("S2A_TEST_MODEL");
    return path && *path ? path : NULL;
}

s2a_engine_options live_options(uint32_t ctx_tokens)
{
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.model = live_model();
    options.ctx_tokens = ctx_tokens;
    options.threads = 1;
    options.gpu_layers = 0;
    options.head = "tests/live/smollm2-135m.head"; /* of numbers that mean nothing: make_head.py */
    return options;
}

s2a_engine *live_engine_with(const s2a_engine_options *options)
{
    s2a_engine *engine = NULL;
    s2a_error err;
    if (s2a_engine_open(options, &engine, &err) != S2A_OK)
        fail_msg("engine: %s", err.message);
    return engine;
}

s2a_engine *live_engine(uint32_t ctx_tokens)
{
    s2a_engine_options options = live_options(ctx_tokens);
    return live_engine_with(&options);
}

backend *live_backend(const s2a_engine *engine)
{
    assert_non_null(engine);
    return engine->backend;
}

/* ---- conversations -------------------------------------------------------------------------- */

static const char *const words[] = {
    "stone", "river", "glass", "horse", "table", "lemon", "tiger",
    "chair", "paper", "mouse", "house", "sugar", "train", "cloud"
};
#define WORDS (sizeof words / sizeof words[0])

/* Each with the parts of its sentence before and after the word. */
static const char *const sentences[][2] = {
    { "I like the ", " very much." },
    { "My word for today is ", "." },
    { "We saw a ", " on Monday." },
    { "Please bring the ", " home." },
    { "There is a ", " in the garden." },
    { "She drew a ", " on the wall." },
    { "He wants a new ", " for his birthday." },
    { "The old ", " was lost at sea." },
};

static void talk_add(live_talk *talk, size_t *used, const char *role, const char *content)
{
    size_t len = strlen(content);
    char *at = talk->text + *used;
    memcpy(at, content, len + 1);
    *used += len + 1;
    talk->messages[talk->count++] = (backend_message){ role, at, len };
}

static void talk_make(live_talk *talk, size_t index, size_t last)
{
    size_t which = index % 8, turn = index / 8, used = 0;
    *talk = (live_talk){ .count = 0 };
    for (size_t i = 0; i < 5; i++) {
        const char *word = words[(which * 5 + (i < 4 ? i : last) * 3 + turn * 4) % WORDS];
        snprintf(talk->want, sizeof talk->want, "%s%s%s", sentences[which][0], word,
                 sentences[which][1]);
        talk_add(talk, &used, "user", word);
        if (i < 4)
            talk_add(talk, &used, "assistant", talk->want);
    }
}

void live_talk_make(live_talk *talk, size_t index)
{
    talk_make(talk, index, 4);
}

void live_talk_make_other(live_talk *talk, size_t index)
{
    talk_make(talk, index, 5);
}

/* ---- generations ---------------------------------------------------------------------------- */

static int on_token(void *ctx, const char *text, size_t len)
{
    live_run *run = ctx;
    if (len == 0 || utf8_valid_prefix(text, len) != len)
        run->torn = true;
    if (len >= sizeof run->text - run->len)
        return 1;
    memcpy(run->text + run->len, text, len);
    run->len += len;
    run->text[run->len] = '\0';
    run->pieces++;
    return run->hook ? run->hook(run) : 0;
}

void live_generate(backend *b, const backend_message *messages, size_t count, live_run *run)
{
    backend_params params = { .temperature = run->temperature,
                              .top_p = 1.0,
                              .seed = run->seed,
                              .max_tokens = run->max_tokens,
                              .cancel = run->cancel };
    run->err = (s2a_error){ .status = S2A_OK };
    run->pieces = run->len = 0;
    run->torn = false;
    run->text[0] = '\0';
    run->status = b->vtable->generate(b, messages, count, &params, run->copied, on_token, run,
                                      &run->usage, &run->err);
}

void live_generate_text(backend *b, const char *text, size_t len, live_run *run)
{
    backend_message message = { "user", text, len };
    live_generate(b, &message, 1, run);
}

void live_sleep_ms(unsigned ms)
{
    struct timespec left = { ms / 1000, (long)(ms % 1000) * 1000000 };
    while (nanosleep(&left, &left) != 0)
        ;
}

/* ---- the public header ---------------------------------------------------------------------- */

static void check_spans(const s2a_result *result, size_t count,
                        s2a_span (*get)(const s2a_result *, size_t), size_t len)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        s2a_span span = get(result, i);
        assert_true(span.start >= at && span.start < span.end && span.end <= len);
        at = span.end + 1; /* they do not touch */
    }
}

void live_check_talk(backend *b, size_t index, live_run *run)
{
    live_talk talk;
    live_talk_make(&talk, index);
    *run = (live_run){ .max_tokens = 0 };
    live_generate(b, talk.messages, talk.count, run);
    if (run->status != S2A_OK)
        fail_msg("generate: %s", run->err.message);
    assert_false(run->torn);
    assert_true(run->usage.tokens.ms > 0);
    assert_true(llama_inspect_slots_agree(b));
    assert_string_equal(run->text, talk.want);
    assert_int_equal(run->usage.finish, BACKEND_FINISH_STOP);
}

void live_check_result(const s2a_result *result)
{
    size_t x_len = 0, y_len = 0, at = 0;
    assert_non_null(s2a_result_input(result, &x_len));
    assert_non_null(s2a_result_rewritten(result, &y_len));
    for (size_t i = 0; i < s2a_result_unit_count(result); i++) {
        s2a_unit unit = s2a_result_unit(result, i);
        assert_int_equal(unit.start, at);
        assert_true(unit.end > unit.start);
        at = unit.end;
    }
    assert_int_equal(at, x_len);
    check_spans(result, s2a_result_removed_count(result), s2a_result_removed, x_len);
    check_spans(result, s2a_result_added_count(result), s2a_result_added, y_len);
}

s2a_request *live_request(const backend_message *messages, size_t count, uint32_t max_tokens)
{
    s2a_request *request = s2a_request_new();
    s2a_error err;
    assert_non_null(request);
    for (size_t i = 0; i < count; i++)
        if (s2a_request_add_message(request, messages[i].role, messages[i].content, messages[i].len,
                                    &err) != S2A_OK)
            fail_msg("message %zu: %s", i, err.message);
    assert_int_equal(s2a_request_set_sampling(request, 0, 1, 0, &err), S2A_OK);
    s2a_request_set_max_tokens(request, max_tokens);
    return request;
}
