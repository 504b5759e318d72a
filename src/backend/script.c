/* A backend that replays a text file, for tests, demos without a model and bug reports.
 *
 * The file contains records separated by lines that are exactly "%%". Each generation takes the
 * next record; after the last the first follows. A record's leading lines may be directives:
 *     @length                 the generation ends as if max_tokens had been reached
 *     @sleep MS               wait before the first character (cancel and timeout work)
 *     @error STATUS MESSAGE   fail with a status of s2a.h, by its name without S2A_, lower case
 *     @expect TEXT            fail with S2A_BACKEND unless the last message contains TEXT
 *     @expect-before TEXT     the same for the earlier messages, the system's too: one must do
 *     @calls JSON             the answer calls tools: a list as in OpenAI's tool_calls
 *     @expect-fields TEXT     fail with S2A_BACKEND unless chat_fields or the fields of a message
 *                             contain TEXT
 *     @score A B C ...        the next wanted piece's log-odds, in the order of the head's rows
 *                             (core/head.h); missing ones are LEFT_OUT. More pieces than such
 *                             lines start over with the first.
 *
 * The record's last newline is not part of its text. Tokens are words. A mutex guards the position;
 * everything else is immutable. */
#include "backend/backend.h"
#include "base/ascii.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/infile.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct record {
    const char *text, *expect, *before, *error_text, *calls, *fields;
    size_t len, expect_len, before_len, error_len, calls_len, fields_len;
    s2a_status error;
    bool length;
    double sleep_ms;
    const char *scores; /* the first @score line */
    size_t score_lines;
} record;

typedef struct script {
    backend base;
    char *model;
    char *data;
    size_t len;
    record *records;
    size_t count, cap;
    bool scores; /* some record has @score */
    uint32_t timeout_ms, ctx_tokens;
    pthread_mutex_t lock;
    size_t next;
} script;

/* Reads the file; S2A_IO becomes S2A_MODEL. */
static s2a_status script_read(const char *path, script *s, s2a_error *err)
{
    s2a_error fault = { .status = S2A_OK };
    s2a_status status =
        infile_read(path, LIMIT_SCRIPT_FILE_BYTES, "name a replay file", &s->data, &s->len, &fault);
    if (status == S2A_IO)
        status = S2A_MODEL;
    return status == S2A_OK ? S2A_OK : error_set(err, status, "%s", fault.message);
}

static s2a_status status_by_name(const char *name, size_t len)
{
    for (int i = 0; i <= S2A_INTERNAL; i++) {
        const char *full = s2a_status_name((s2a_status)i) + 4; /* past "S2A_" */
        size_t k = 0;
        while (k < len && full[k] && ascii_lower(full[k]) == ascii_lower(name[k]))
            k++;
        if (k == len && !full[k])
            return (s2a_status)i;
    }
    return S2A_BACKEND;
}

/* True when the line [at, end) is a directive; r is filled from it. */
static bool directive(const char *at, const char *end, record *r)
{
    size_t len = (size_t)(end - at), n = 0;
    if (len == 7 && !memcmp(at, "@length", 7)) {
        r->length = true;
    } else if ((n = ascii_prefix(at, len, "@sleep ")) > 0) {
        while (n < len && ascii_space(at[n])) /* strtod would continue into the next line */
            n++;
        r->sleep_ms = n < len ? strtod(at + n, NULL) : 0;
    } else if ((n = ascii_prefix(at, len, "@expect ")) > 0) {
        r->expect = at + n;
        r->expect_len = len - n;
    } else if ((n = ascii_prefix(at, len, "@expect-before ")) > 0) {
        r->before = at + n;
        r->before_len = len - n;
    } else if ((n = ascii_prefix(at, len, "@calls ")) > 0) {
        r->calls = at + n;
        r->calls_len = len - n;
    } else if ((n = ascii_prefix(at, len, "@expect-fields ")) > 0) {
        r->fields = at + n;
        r->fields_len = len - n;
    } else if (ascii_prefix(at, len, "@score ") > 0) {
        r->scores = r->scores ? r->scores : at;
        r->score_lines++;
    } else if ((n = ascii_prefix(at, len, "@error ")) > 0) {
        const char *space = memchr(at + n, ' ', len - n);
        const char *name_end = space ? space : end;
        r->error = status_by_name(at + n, (size_t)(name_end - (at + n)));
        r->error_text = space ? space + 1 : end;
        r->error_len = (size_t)(end - r->error_text);
    } else {
        return false;
    }
    return true;
}

static bool script_record(script *s, const char *from, const char *to)
{
    void *items = s->records;
    if (!array_reserve(&items, &s->cap, s->count + 1, sizeof *s->records))
        return false;
    s->records = items;
    record r = { .error = S2A_OK };
    while (from < to) {
        const char *newline = memchr(from, '\n', (size_t)(to - from));
        const char *end = newline ? newline : to;
        if (!directive(from, end, &r))
            break;
        from = newline ? newline + 1 : to;
    }
    if (to > from && to[-1] == '\n')
        to--;
    r.text = from;
    r.len = (size_t)(to - from);
    s->scores |= r.score_lines > 0;
    s->records[s->count++] = r;
    return true;
}

static s2a_status script_split(script *s, const char *path, s2a_error *err)
{
    const char *end = s->data + s->len, *record_start = s->data;
    for (const char *line = s->data; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *line_end = newline ? newline : end;
        if (line_end - line == 2 && !memcmp(line, "%%", 2)) {
            if (!script_record(s, record_start, line))
                return error_nomem(err);
            record_start = newline ? newline + 1 : end;
        }
        line = newline ? newline + 1 : end;
    }
    if (record_start < end && !script_record(s, record_start, end))
        return error_nomem(err);
    if (s->count == 0)
        return error_set(err, S2A_MODEL,
                         "%s: contains no record; write the model's answers into it", path);
    return S2A_OK;
}

static void script_close(backend *self)
{
    script *s = (script *)self;
    pthread_mutex_destroy(&s->lock);
    free(s->records);
    free(s->data);
    free(s->model);
    free(s);
}

static size_t count_words(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += !ascii_space(text[i]) && (i == 0 || ascii_space(text[i - 1]));
    return count;
}

static s2a_status script_wait(const script *s, const record *r, const backend_params *params,
                              double start, s2a_error *err)
{
    double until = start + r->sleep_ms;
    for (;;) {
        double now = clock_ms();
        if (cancel_fired(params->cancel))
            return error_set(err, S2A_CANCELLED, "cancelled");
        if (now - start > (double)s->timeout_ms)
            return error_set(err, S2A_TIMEOUT, "script: no answer within %u ms", s->timeout_ms);
        if (!(now < until)) /* also for NaN */
            return S2A_OK;
        struct timespec pause = { 0, 2000000 };
        nanosleep(&pause, NULL);
    }
}

/* The end of the word that starts at i; white space before the word is part of it. */
static size_t token_end(const char *text, size_t len, size_t i)
{
    while (i < len && ascii_space(text[i]))
        i++;
    while (i < len && !ascii_space(text[i]))
        i++;
    return i;
}

/* Whether a message contains the text; true if it is NULL. */
static bool contained(const backend_message *messages, size_t count, const char *text, size_t len)
{
    bool found = !text;
    for (size_t i = 0; i < count && !found; i++)
        found = memmem(messages[i].content, messages[i].len, text, len) != NULL;
    return found;
}

/* Whether the JSON fields of the request or of a message contain r->fields; true if it is NULL. */
static bool in_fields(const record *r, size_t count, const backend_params *params)
{
    const char *json = params->chat_fields;
    bool found = !r->fields || (json && memmem(json, strlen(json), r->fields, r->fields_len));
    for (size_t i = 0; params->message_fields && i < count && !found; i++) {
        json = params->message_fields[i];
        found = json && memmem(json, strlen(json), r->fields, r->fields_len);
    }
    return found;
}

/* Takes the next record, and waits, checks and fails as its directives say. */
static s2a_status record_take(script *s, const backend_message *messages, size_t count,
                              const backend_params *params, backend_usage *usage,
                              const record **out, double start, s2a_error *err)
{
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    pthread_mutex_lock(&s->lock);
    const record *r = *out = &s->records[s->next];
    s->next = (s->next + 1) % s->count;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < count; i++)
        usage->tokens.prompt_tokens += count_words(messages[i].content, messages[i].len);
    s2a_status status = script_wait(s, r, params, start, err);
    if (status != S2A_OK)
        return status;
    size_t before = count > 0 ? count - 1 : 0;
    if (!contained(messages + before, count - before, r->expect, r->expect_len))
        return error_set(err, S2A_BACKEND, "script: the prompt does not contain \"%.*s\"",
                         (int)r->expect_len, r->expect);
    if (!contained(messages, before, r->before, r->before_len))
        return error_set(err, S2A_BACKEND, "script: no message before the prompt contains \"%.*s\"",
                         (int)r->before_len, r->before);
    if (params->chat_fields && !r->calls && !r->fields)
        return error_set(err, S2A_UNSUPPORTED,
                         "script: tools and response_format need a record with @calls or "
                         "@expect-fields");
    if (!in_fields(r, count, params))
        return error_set(err, S2A_BACKEND, "script: no fields contain \"%.*s\"", (int)r->fields_len,
                         r->fields);
    if (r->error != S2A_OK)
        return error_set(err, r->error, "script: %.*s", (int)r->error_len, r->error_text);
    return S2A_OK;
}

/* Passes a word on, except a part that may begin a stop. False ends the answer. */
static bool word_give(const backend_params *params, stop_scan *scan, const char *word, size_t len,
                      bool last, backend_token_fn on_token, void *ctx, backend_usage *usage,
                      s2a_status *status)
{
    buf out;
    buf_init(&out, LIMIT_OUTPUT_BYTES);
    size_t stop = last ? stop_scan_end(scan, &out) : stop_scan_add(scan, word, len, &out);
    /* A script has no alternatives: each word's probability is 1. */
    const s2a_logprob certain = { word, len, 0 };
    if (params->on_logprob && !last && stop == STOP_NONE)
        params->on_logprob(params->on_logprob_ctx, &certain, &certain, params->top_logprobs > 0);
    usage->stop = stop == STOP_NONE ? 0 : stop + 1;
    *status = out.status;
    bool enough =
        out.status == S2A_OK && out.len > 0 && on_token && on_token(ctx, out.data, out.len);
    if (enough)
        usage->finish = BACKEND_FINISH_CALLER;
    buf_free(&out);
    return *status == S2A_OK && !enough && stop == STOP_NONE;
}

/* Passes the words of a record on. */
static s2a_status words_give(const record *r, const backend_params *params, stop_scan *scan,
                             backend_token_fn on_token, void *ctx, backend_usage *usage,
                             s2a_error *err)
{
    s2a_status status = S2A_OK;
    bool more = true;
    for (size_t i = 0; i < r->len && more;) {
        if (params->max_tokens > 0 && usage->tokens.completion_tokens >= params->max_tokens) {
            usage->finish = BACKEND_FINISH_LENGTH;
            break;
        }
        if (cancel_fired(params->cancel))
            return error_set(err, S2A_CANCELLED, "cancelled");
        size_t end = token_end(r->text, r->len, i);
        usage->tokens.completion_tokens++;
        more = word_give(params, scan, r->text + i, end - i, false, on_token, ctx, usage, &status);
        i = end;
    }
    if (more)
        word_give(params, scan, "", 0, true, on_token, ctx, usage, &status);
    return status == S2A_OK ? S2A_OK : error_nomem(err);
}

static s2a_status script_generate(backend *self, const backend_message *messages, size_t count,
                                  const backend_params *params, const backend_draft *draft,
                                  backend_token_fn on_token, void *on_token_ctx,
                                  backend_usage *usage, s2a_error *err)
{
    (void)draft;
    script *s = (script *)self;
    double start = clock_ms();
    const record *r = NULL;
    s2a_status status = record_take(s, messages, count, params, usage, &r, start, err);
    if (status != S2A_OK)
        return status;
    stop_scan scan = { .stops = params->stops, .count = params->stop_count };
    status = words_give(r, params, &scan, on_token, on_token_ctx, usage, err);
    stop_scan_free(&scan);
    if (status == S2A_OK && r->calls && params->on_calls)
        params->on_calls(params->on_calls_ctx, r->calls, r->calls_len);
    if (r->length && usage->stop == 0)
        usage->finish = BACKEND_FINISH_LENGTH;
    usage->tokens.ms = clock_ms() - start;
    return status;
}

#define LEFT_OUT (-9.0) /* the log-odds of a row without a number */

/* The numbers of one @score line. Returns the line after it. */
static const char *score_line(const char *line, const char *end, size_t row_count, double *row)
{
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    const char *stop = newline ? newline : end;
    const char *at = line + strlen("@score ");
    for (size_t k = 0; k < row_count; k++) {
        char *after = NULL;
        while (at < stop && ascii_space(*at)) /* strtod would continue into the next line */
            at++;
        row[k] = at < stop ? strtod(at, &after) : LEFT_OUT;
        at = after ? after : at;
    }
    return newline ? newline + 1 : end;
}

static s2a_status script_tell(backend *self, const backend_message *messages, size_t count,
                              const backend_piece *pieces, size_t piece_count,
                              const backend_head *head, const backend_params *params, double *told,
                              float *states, backend_usage *usage, s2a_error *err)
{
    script *s = (script *)self;
    double start = clock_ms();
    const record *r = NULL;
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    if (states)
        return error_set(err, S2A_UNSUPPORTED, "script: has no hidden states; use a model file");
    s2a_status status = record_take(s, messages, count, params, usage, &r, start, err);
    if (status == S2A_OK && r->score_lines == 0)
        status = error_set(err, S2A_BACKEND, "script: the record has no @score line");
    if (status != S2A_OK)
        return status;
    const char *line = r->scores;
    size_t left = r->score_lines;
    for (size_t i = 0; i < piece_count; i++) {
        if (!pieces[i].wanted)
            continue;
        if (left == 0) {
            line = r->scores;
            left = r->score_lines;
        }
        while (ascii_prefix(line, (size_t)(r->text - line), "@score ") == 0)
            line = (const char *)memchr(line, '\n', (size_t)(r->text - line)) + 1;
        line = score_line(line, r->text, head->row_count, told);
        told += head->row_count;
        left--;
    }
    usage->tokens.ms = clock_ms() - start;
    return S2A_OK;
}

static size_t script_count_tokens(backend *self, const char *text, size_t len)
{
    (void)self;
    return count_words(text, len);
}

static s2a_status script_count_prompt(backend *self, const backend_message *messages, size_t count,
                                      const backend_params *params, size_t *tokens, s2a_error *err)
{
    (void)self;
    (void)params;
    (void)err;
    *tokens = 0;
    for (size_t i = 0; i < count; i++)
        *tokens += count_words(messages[i].content, messages[i].len);
    return S2A_OK;
}

static backend_capabilities script_capabilities(const backend *self)
{
    const script *s = (const script *)self;
    return (backend_capabilities){
        .model = s->model, .ctx_tokens = s->ctx_tokens, .counts_tokens = true, .can_read = s->scores
    };
}

static const backend_vtable script_vtable = {
    .generate = script_generate,
    .read = script_tell,
    .count_tokens = script_count_tokens,
    .count_prompt = script_count_prompt,
    .capabilities = script_capabilities,
    .close = script_close,
};

s2a_status backend_script_open(const s2a_engine_options *options, const backend *judge,
                               backend **out, s2a_error *err)
{
    (void)judge;
    if (!options->model)
        return error_set(err, S2A_ARGUMENT, "backend script: no file; give its path as the model");
    script *s = calloc(1, sizeof *s);
    if (!s)
        return error_nomem(err);
    s->base.vtable = &script_vtable;
    s->timeout_ms = options->request_timeout_ms;
    s->ctx_tokens = options->ctx_tokens;
    pthread_mutex_init(&s->lock, NULL);
    const char *slash = strrchr(options->model, '/');
    const char *name = slash ? slash + 1 : options->model;
    s->model = bytes_dup(name, strlen(name));
    s2a_status status = s->model ? script_read(options->model, s, err) : error_nomem(err);
    if (status == S2A_OK) {
        size_t valid = utf8_valid_prefix(s->data, s->len);
        if (valid < s->len)
            status = error_set_at(err, S2A_MODEL, valid, "%s: invalid UTF-8 at byte %zu",
                                  options->model, valid);
    }
    if (status == S2A_OK)
        status = script_split(s, options->model, err);
    if (status != S2A_OK) {
        script_close(&s->base);
        return status;
    }
    *out = &s->base;
    return S2A_OK;
}
