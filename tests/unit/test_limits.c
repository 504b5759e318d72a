/* Limits, at them and one past them; buffers, errors, prompt files. Where each limit of
 * src/base/limits.h has its test; tests/cli/limits.sh reads this table:
 *     LIMIT_INPUT_BYTES            tests/unit/test_limits.c tests/unit/test_serve_parts.c
 *     LIMIT_MESSAGES               tests/unit/test_limits.c
 *     LIMIT_DOCUMENTS              tests/unit/test_limits.c
 *     LIMIT_STOPS                  tests/unit/test_limits.c
 *     LIMIT_STOP_BYTES             tests/unit/test_limits.c
 *     LIMIT_BIASES                 tests/unit/test_limits.c
 *     LIMIT_TOP_LOGPROBS           tests/unit/test_limits.c
 *     LIMIT_SCHEMA_VALUES          tests/unit/test_chat_fields.c
 *     LIMIT_SCHEMA_BYTES           tests/unit/test_chat_fields.c
 *     LIMIT_TOOLS_VALUES           tests/unit/test_chat_fields.c
 *     LIMIT_PATTERN_COST           tests/unit/test_chat_fields.c
 *     LIMIT_TOOL_NAME_BYTES        tests/unit/test_chat_fields.c
 *     LIMIT_PROTECTED              tests/unit/test_limits.c tests/wire/test_serve_time.c
 *     LIMIT_REQUEST_ID_BYTES       tests/unit/test_limits.c
 *     LIMIT_OUTPUT_BYTES           tests/unit/test_limits.c
 *     LIMIT_PROMPT_FILE_BYTES      tests/unit/test_limits.c
 *     LIMIT_SCRIPT_FILE_BYTES      tests/unit/test_limits.c
 *     LIMIT_HTTP_BODY_BYTES        tests/wire/cases/http-body-at-limit.txt
 *                                  tests/wire/cases/http-body-past-limit.txt
 *     LIMIT_SSE_LINE_BYTES         tests/unit/test_limits.c tests/wire/cases/http-line-limit.txt
 *     LIMIT_JSON_LINE_BYTES        tests/unit/test_limits.c tests/cli/jsonl.sh
 *     LIMIT_KEPT_KEY_BYTES         tests/unit/test_kept.c
 *     LIMIT_CHAT_HISTORY           tests/cli/chat.sh
 *     LIMIT_MCP_CALLS              tests/cli/mcp.sh
 *     LIMIT_JSON_DEPTH             tests/unit/test_serve_parts.c
 *     LIMIT_MANIFEST_BYTES         tests/unit/test_manifest.c
 *     LIMIT_MANIFEST_ITEMS         tests/unit/test_manifest.c
 *     LIMIT_HEAD_FILE_BYTES        tests/unit/test_head.c
 *     LIMIT_TEACHING_PROMPTS       tests/unit/test_teaching_set.c
 *     LIMIT_TEACHING_PIECES        tests/unit/test_teaching_set.c
 *     LIMIT_ALIGN_STEPS            tests/unit/test_align.c
 *     LIMIT_ALIGN_WORD_STEPS       tests/unit/test_align.c
 *     LIMIT_GUARD_BYTES            tests/unit/test_guard.c
 *     LIMIT_STEP1_GUESSED_TOKENS   tests/unit/test_limits.c
 *     LIMIT_STEP1_OVERHEAD_TOKENS  tests/unit/test_limits.c
 * and of one that is beside what it bounds:
 *     LIMIT_CONFIG_BYTES           tests/cli/settings.sh */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/sse.h"
#include "base/utf8.h"
#include "cli/files.h"
#include "core/engine.h"
#include "core/prompt.h"
#include "s2a.h"
#include "scripted.h"

static char *letters(size_t len)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'a', len);
    text[len] = '\0';
    return text;
}

static void test_buf(void **state)
{
    (void)state;
    buf b;
    buf_init(&b, 4);
    buf_add(&b, "abcd", 4);
    assert_int_equal(b.status, S2A_OK);
    buf_add(&b, "e", 1);
    assert_int_equal(b.status, S2A_LIMIT);
    assert_string_equal(b.data, "abcd");
    buf_add(&b, "", 0); /* stays failed */
    assert_int_equal(b.status, S2A_LIMIT);
    assert_null(buf_take(&b, NULL));
    buf_reset(&b);
    buf_addf(&b, "%d", 1234);
    assert_int_equal(b.status, S2A_OK);
    buf_addf(&b, "%d", 5);
    assert_int_equal(b.status, S2A_LIMIT);
    buf_free(&b);
    buf_init(&b, 10);
    size_t len = 9;
    char *empty = buf_take(&b, &len);
    assert_string_equal(empty, "");
    assert_int_equal(len, 0);
    free(empty);
    void *items = NULL;
    size_t cap = 0;
    assert_false(array_reserve(&items, &cap, 32, (size_t)-1 / 8));
    assert_null(items);
}

static void test_input_bytes(void **state)
{
    (void)state;
    char *text = letters(LIMIT_INPUT_BYTES + 1);
    s2a_request *request = s2a_request_new();
    s2a_error err;
    assert_int_equal(s2a_request_set_text(request, text, LIMIT_INPUT_BYTES, &err), S2A_OK);
    assert_int_equal(s2a_request_set_text(request, text, LIMIT_INPUT_BYTES + 1, &err), S2A_LIMIT);
    assert_int_equal(s2a_request_set_parts(request, text, LIMIT_INPUT_BYTES - 4, "ab", 2, &err),
                     S2A_OK);
    assert_int_equal(s2a_request_set_parts(request, text, LIMIT_INPUT_BYTES - 3, "ab", 2, &err),
                     S2A_LIMIT);
    assert_int_equal(s2a_request_set_text(request, NULL, 1, &err), S2A_ARGUMENT);
    s2a_request_free(request);
    free(text);
}

static void test_messages(void **state)
{
    (void)state;
    s2a_request *request = s2a_request_new();
    s2a_error err;
    for (size_t i = 0; i < LIMIT_MESSAGES; i++)
        assert_int_equal(s2a_request_add_message(request, "user", "a", 1, &err), S2A_OK);
    assert_int_equal(s2a_request_add_message(request, "user", "a", 1, &err), S2A_LIMIT);
    s2a_request_free(request);
}

static void test_documents(void **state)
{
    (void)state;
    char *text = letters(LIMIT_INPUT_BYTES);
    s2a_request *request = s2a_request_new();
    s2a_error err;
    assert_int_equal(s2a_request_set_question(request, "ab", 2, &err), S2A_OK);
    for (size_t i = 0; i < LIMIT_DOCUMENTS; i++)
        assert_int_equal(s2a_request_add_document(request, "a", 1, &err), S2A_OK);
    assert_int_equal(s2a_request_add_document(request, "a", 1, &err), S2A_LIMIT);
    assert_int_equal(s2a_request_set_question(request, "ab", 2, &err), S2A_OK);
    assert_int_equal(s2a_request_add_document(request, "", 0, &err), S2A_OK);
    assert_int_equal(s2a_request_add_document(request, "a", 1, &err), S2A_OK);
    /* a border of two bytes follows each document that has bytes */
    size_t left = LIMIT_INPUT_BYTES - 2 - 3 - 2;
    assert_int_equal(s2a_request_add_document(request, text, left + 1, &err), S2A_LIMIT);
    assert_non_null(strstr(err.message, "documents[2]: "));
    assert_int_equal(s2a_request_add_document(request, text, left, &err), S2A_OK);
    assert_int_equal(s2a_request_add_document(request, "", 0, &err), S2A_OK);
    assert_int_equal(s2a_request_add_document(request, "a", 1, &err), S2A_LIMIT);
    s2a_request_free(request);
    free(text);
}

static void test_protected(void **state)
{
    (void)state;
    s2a_request *request = s2a_request_new();
    s2a_error err;
    for (size_t i = 0; i < LIMIT_PROTECTED; i++)
        assert_int_equal(i % 2 ? s2a_request_protect_lines(request, 1, 1, &err)
                               : s2a_request_protect_text(request, "a", 1, &err),
                         S2A_OK);
    assert_int_equal(s2a_request_protect_text(request, "a", 1, &err), S2A_LIMIT);
    assert_int_equal(s2a_request_protect_lines(request, 1, 1, &err), S2A_LIMIT);
    s2a_request_free(request);
    char *text = letters(LIMIT_INPUT_BYTES + 1);
    request = s2a_request_new();
    assert_int_equal(s2a_request_protect_text(request, text, LIMIT_INPUT_BYTES, &err), S2A_OK);
    assert_int_equal(s2a_request_protect_text(request, text, LIMIT_INPUT_BYTES + 1, &err),
                     S2A_LIMIT);
    s2a_request_free(request);
    free(text);
}

static void test_request_id(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "a b", "a\r\nX: 1", "caf\xc3\xa9", "a\x7f" };
    char text[LIMIT_REQUEST_ID_BYTES + 2] = "";
    s2a_request *request = s2a_request_new();
    s2a_error err;
    memset(text, '~', LIMIT_REQUEST_ID_BYTES);
    assert_int_equal(s2a_request_set_id(request, text, &err), S2A_OK);
    text[LIMIT_REQUEST_ID_BYTES] = '!';
    assert_int_equal(s2a_request_set_id(request, text, &err), S2A_ARGUMENT);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(s2a_request_set_id(request, bad[i], &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_id(request, NULL, &err), S2A_OK);
    s2a_request_free(request);
}

static s2a_status load_prompt(const char *text, size_t len, s2a_error *err)
{
    char dir[] = "/tmp/s2a-prompts-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[64];
    snprintf(path, sizeof path, "%s/rewrite-opinion.txt", dir);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
    prompt_set set;
    s2a_status status = prompt_set_load(dir, &set, err);
    if (status == S2A_OK)
        assert_int_equal(set.len[PROMPT_REWRITE_OPINION],
                         len > 0 && text[len - 1] == '\n' ? len - 1 : len);
    prompt_set_free(&set);
    remove(path);
    rmdir(dir);
    return status;
}

static void test_prompt_files(void **state)
{
    (void)state;
    s2a_error err;
    char *text = letters(LIMIT_PROMPT_FILE_BYTES + 1);
    memcpy(text, "{{input}}", 9);
    assert_int_equal(load_prompt(text, LIMIT_PROMPT_FILE_BYTES, &err), S2A_OK);
    assert_int_equal(load_prompt(text, LIMIT_PROMPT_FILE_BYTES + 1, &err), S2A_LIMIT);
    free(text);
    assert_int_equal(load_prompt("Rewrite {{input}}\n", 18, &err), S2A_OK);
    assert_int_equal(load_prompt("Rewrite this", 12, &err), S2A_PROMPT);
    assert_non_null(strstr(err.message, "{{input}} is missing"));
    assert_int_equal(load_prompt("", 0, &err), S2A_PROMPT);
    assert_int_equal(load_prompt("{{input}} {{inputs}}", 20, &err), S2A_PROMPT);
    assert_int_equal(err.position, 10);
    assert_int_equal(load_prompt("{{input}} \xff", 11, &err), S2A_PROMPT);
    assert_int_equal(err.position, 10);
    char dir[] = "/tmp/s2a-prompts-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[64];
    snprintf(path, sizeof path, "%s/rewrite-opinion.txt", dir);
    assert_int_equal(mkdir(path, 0700), 0); /* a directory where a file should be */
    prompt_set set;
    assert_int_equal(prompt_set_load(dir, &set, &err), S2A_IO);
    rmdir(path);
    rmdir(dir);
    char *long_dir = letters(5000);
    assert_int_equal(prompt_set_load(long_dir, &set, &err), S2A_IO);
    free(long_dir);
}

static void check_render(const prompt_set *set, prompt_id id, prompt_values values,
                         const char *want)
{
    buf out;
    buf_init(&out, 1 << 20);
    prompt_render(set, id, &values, &out);
    buf_add(&out, "", 0);
    assert_string_equal(out.data, want);
    buf_free(&out);
}

static void test_render(void **state)
{
    (void)state;
    prompt_set set;
    assert_int_equal(prompt_set_load(NULL, &set, NULL), S2A_OK);
    prompt_values both = { .context = "C", .context_len = 1, .question = "Q", .question_len = 1 };
    check_render(&set, PROMPT_ANSWER_PLAIN, both, "Unbiased text context: C\n\nQuestion/Query: Q");
    prompt_values question = { .question = "Q", .question_len = 1 };
    check_render(&set, PROMPT_ANSWER_INSTRUCTED, question,
                 "Question/Query: Q\n\nAnswer in an unbiased way.");
    /* A placeholder inside a value is text. */
    prompt_values hostile = {
        .context = "{{question}}", .context_len = 12, .question = "Q", .question_len = 1
    };
    check_render(&set, PROMPT_ANSWER_PLAIN, hostile,
                 "Unbiased text context: {{question}}\n\nQuestion/Query: Q");
    prompt_values input = { .input = "X", .input_len = 1 };
    check_render(&set, PROMPT_NONE, input, "X");
    check_render(&set, PROMPT_INSTRUCTED_OPINION, input, "X\n\nAnswer in an unbiased way.");
    prompt_set_free(&set);
}

static void no_logprob(void *ctx, const s2a_logprob *token, const s2a_logprob *top, size_t count)
{
    (void)ctx, (void)token, (void)top, (void)count;
}

/* How an answer is sampled: at the ends of each range, and past them. */
static void test_sampling(void **state)
{
    (void)state;
    s2a_request *r = s2a_request_new();
    s2a_error err;
    char *text = letters(LIMIT_STOP_BYTES + 1);
    assert_non_null(r);
    assert_int_equal(s2a_request_set_min_p(r, 0, &err), S2A_OK);
    assert_int_equal(s2a_request_set_min_p(r, 1, &err), S2A_OK);
    assert_int_equal(s2a_request_set_min_p(r, 1.01, &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_min_p(r, -0.01, &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_min_p(r, strtod("nan", NULL), &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_penalties(r, -2, 2, &err), S2A_OK);
    assert_int_equal(s2a_request_set_penalties(r, 2.1, 0, &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_penalties(r, 0, -2.1, &err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_logprobs(r, LIMIT_TOP_LOGPROBS, no_logprob, NULL, &err),
                     S2A_OK);
    assert_int_equal(s2a_request_set_logprobs(r, LIMIT_TOP_LOGPROBS + 1, no_logprob, NULL, &err),
                     S2A_ARGUMENT);
    assert_int_equal(s2a_request_add_bias(r, 0, 100.5, &err), S2A_ARGUMENT);
    for (uint32_t i = 0; i <= LIMIT_BIASES; i++)
        assert_int_equal(s2a_request_add_bias(r, i, i % 2 ? 100 : -100, &err),
                         i < LIMIT_BIASES ? S2A_OK : S2A_LIMIT);
    assert_int_equal(s2a_request_add_stop(r, "", 0, &err), S2A_INPUT);
    assert_int_equal(s2a_request_add_stop(r, "\xff", 1, &err), S2A_INPUT);
    assert_int_equal(s2a_request_add_stop(r, text, LIMIT_STOP_BYTES + 1, &err), S2A_LIMIT);
    for (int run = 0; run < 2; run++) {
        for (int i = 0; i <= LIMIT_STOPS; i++)
            assert_int_equal(s2a_request_add_stop(r, text, LIMIT_STOP_BYTES, &err),
                             i < LIMIT_STOPS ? S2A_OK : S2A_LIMIT);
        s2a_request_clear_stops(r);
    }
    assert_int_equal(s2a_request_add_stop(r, "x", 1, &err), S2A_OK); /* freed with the request */
    s2a_request_free(r);
    free(text);
}

static void test_error_text(void **state)
{
    (void)state;
    s2a_error err;
    char *text = letters(2000);
    /* A cut message ends at a character, and stays one line. */
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', 2000);
        for (size_t i = 460 + shift; i + 3 < 2000; i += 3)
            memcpy(text + i, "\u4e2d", 3);
        text[5] = '\n';
        error_set(&err, S2A_IO, "%s", text);
        size_t len = strlen(err.message);
        assert_true(len < sizeof err.message && len > 400);
        assert_null(strchr(err.message, '\n'));
        assert_int_equal(utf8_cut(err.message, len), len);
        assert_true((len - 460 - shift) % 3 == 0);
    }
    free(text);
    assert_int_equal(error_set(NULL, S2A_IO, "x"), S2A_IO);
    assert_int_equal(error_set_at(NULL, S2A_IO, 3, "x"), S2A_IO);
    assert_int_equal(utf8_cut("abc", 2), 2);
    assert_int_equal(utf8_cut("a\u4e2d", 3), 1);
    assert_int_equal(utf8_cut("a\u4e2d", 4), 4);
}

/* A replay file may be as long as its limit, not longer. */
static void test_script_bytes(void **state)
{
    (void)state;
    char *text = letters(LIMIT_SCRIPT_FILE_BYTES + 1);
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.backend = "script";
    for (size_t extra = 0; extra < 2; extra++) {
        char *path = temporary_file(text, LIMIT_SCRIPT_FILE_BYTES + extra);
        s2a_engine *engine = NULL;
        options.model = path;
        s2a_error err;
        assert_int_equal(s2a_engine_open(&options, &engine, &err), extra ? S2A_LIMIT : S2A_OK);
        s2a_engine_close(engine);
        remove(path);
        free(path);
    }
    free(text);
}

/* ---- what a backend may write, and is asked for --------------------------------------------- */

/* What the engine's backend is made to say of itself, and what it was asked for. */
static struct {
    size_t writes, text_tokens, prompt_tokens;
    uint32_t ctx_tokens, max_tokens;
    bool counts, stopped;
} fake;

#define X "I think it was Poe. Who wrote it?"

static s2a_status fake_generate(backend *self, const backend_message *messages, size_t count,
                                const backend_params *params, const backend_draft *draft,
                                backend_token_fn on_token, void *ctx, backend_usage *usage,
                                s2a_error *err)
{
    (void)self, (void)messages, (void)count, (void)draft, (void)err;
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    fake.max_tokens = params->max_tokens;
    fake.stopped = false;
    char *piece = letters(1 << 20);
    for (size_t left = fake.writes; left > 0 && !fake.stopped;) {
        size_t n = left < 1 << 20 ? left : 1 << 20;
        piece[n] = '\0';
        fake.stopped = on_token(ctx, piece, n) != 0;
        left -= n;
    }
    free(piece);
    return S2A_OK;
}

static size_t fake_count_tokens(backend *self, const char *text, size_t len)
{
    (void)self, (void)text;
    return len == strlen(X) ? fake.text_tokens : fake.prompt_tokens;
}

static backend_capabilities fake_capabilities(const backend *self)
{
    (void)self;
    return (backend_capabilities){ .model = "fake",
                                   .ctx_tokens = fake.ctx_tokens,
                                   .counts_tokens = fake.counts };
}

static s2a_engine *fake_engine(void)
{
    static backend_vtable vtable;
    s2a_engine *engine = scripted_engine("x\n");
    vtable = *engine->backend->vtable;
    vtable.generate = fake_generate;
    vtable.count_tokens = fake_count_tokens;
    vtable.capabilities = fake_capabilities;
    engine->backend->vtable = &vtable;
    return engine;
}

/* Past the limit the backend is told to stop, and the text so far is the answer. */
static void test_output_bytes(void **state)
{
    (void)state;
    s2a_engine *engine = fake_engine();
    s2a_request *request = scripted_request(X);
    s2a_request_set_preset(request, S2A_PRESET_PLAIN);
    for (size_t extra = 0; extra < 2; extra++) {
        s2a_result *result = NULL;
        size_t len = 0;
        fake.writes = LIMIT_OUTPUT_BYTES + extra;
        assert_int_equal(s2a_answer(engine, request, &result, NULL), S2A_OK);
        s2a_result_answer(result, &len);
        assert_int_equal(len, LIMIT_OUTPUT_BYTES);
        assert_int_equal(fake.stopped, extra);
        assert_int_equal(s2a_result_answer_cut(result), extra);
        s2a_result_free(result);
    }
    s2a_request_free(request);
    s2a_engine_close(engine);
}

/* What step 1 is asked for, of a prompt with so many tokens; UINT32_MAX where it is refused. */
static uint32_t step1_tokens(s2a_engine *engine, size_t prompt_tokens)
{
    s2a_request *request = scripted_request(X);
    s2a_result *result = NULL;
    s2a_request_set_preset(request, S2A_PRESET_OPINION);
    fake.prompt_tokens = prompt_tokens;
    s2a_status status = s2a_attend(engine, request, &result, NULL);
    assert_true(status == S2A_OK || status == S2A_LIMIT);
    s2a_result_free(result);
    s2a_request_free(request);
    return status == S2A_OK ? fake.max_tokens : UINT32_MAX;
}

/* A copy of the text and LIMIT_STEP1_OVERHEAD_TOKENS must fit beside the prompt. Where tokens are a
 * guess, and the context is too, no bound is sent past LIMIT_STEP1_GUESSED_TOKENS. */
static void test_step1_tokens(void **state)
{
    (void)state;
    s2a_engine *engine = fake_engine();
    const uint32_t copy = 1000 + LIMIT_STEP1_OVERHEAD_TOKENS;
    fake.writes = 10;
    fake.text_tokens = 1000;
    fake.counts = true;
    fake.ctx_tokens = 2000;
    assert_int_equal(step1_tokens(engine, 2000 - copy), copy);
    assert_int_equal(step1_tokens(engine, 2000 - copy + 1), UINT32_MAX);
    fake.counts = false;
    fake.ctx_tokens = 0;
    assert_int_equal(step1_tokens(engine, LIMIT_STEP1_GUESSED_TOKENS - copy), copy);
    assert_int_equal(step1_tokens(engine, LIMIT_STEP1_GUESSED_TOKENS - copy + 1), 0);
    s2a_engine_close(engine);
}

/* ---- lines -------------------------------------------------------------------------------- */

static void test_sse_line(void **state)
{
    (void)state;
    char *text = letters(LIMIT_SSE_LINE_BYTES + 3);
    memcpy(text, "data: ", 6);
    for (size_t extra = 0; extra < 2; extra++) {
        const char *at = text;
        size_t len = LIMIT_SSE_LINE_BYTES + extra + 2;
        memcpy(text + len - 2, "\n\n", 2);
        sse_parser parser;
        sse_event event;
        sse_init(&parser, LIMIT_SSE_LINE_BYTES);
        assert_int_equal(sse_next(&parser, &at, &len, &event), extra ? SSE_LIMIT : SSE_EVENT);
        sse_free(&parser);
        text[LIMIT_SSE_LINE_BYTES + extra] = 'a';
    }
    free(text);
}

static void test_json_line(void **state)
{
    (void)state;
    char *text = letters(LIMIT_JSON_LINE_BYTES + 2);
    for (size_t extra = 0; extra < 2; extra++) {
        text[LIMIT_JSON_LINE_BYTES + extra] = '\n';
        char *path = temporary_file(text, LIMIT_JSON_LINE_BYTES + extra + 1);
        text[LIMIT_JSON_LINE_BYTES + extra] = 'a';
        int fd = open(path, O_RDONLY);
        files_lines lines;
        assert_true(fd >= 0 && files_lines_init(&lines, fd, LIMIT_JSON_LINE_BYTES));
        assert_int_equal(files_lines_next(&lines), extra ? FILES_TOO_LONG : FILES_LINE);
        assert_int_equal(files_lines_next(&lines), FILES_END);
        files_lines_free(&lines);
        close(fd);
        remove(path);
        free(path);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf),          cmocka_unit_test(test_input_bytes),
        cmocka_unit_test(test_messages),     cmocka_unit_test(test_request_id),
        cmocka_unit_test(test_documents),    cmocka_unit_test(test_protected),
        cmocka_unit_test(test_prompt_files), cmocka_unit_test(test_render),
        cmocka_unit_test(test_sampling),     cmocka_unit_test(test_error_text),
        cmocka_unit_test(test_script_bytes), cmocka_unit_test(test_output_bytes),
        cmocka_unit_test(test_step1_tokens), cmocka_unit_test(test_sse_line),
        cmocka_unit_test(test_json_line),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
