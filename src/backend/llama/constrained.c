#include "backend/llama/constrained.h"

#include "backend/llama/chat_template.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool constrained_wanted(const backend_params *params)
{
    return params->chat_fields || params->message_fields;
}

/* ---- the prompt ----------------------------------------------------------------------------- */

/* Collects the texts of all special tokens, and the beginning of a placeholder. */
static s2a_status specials_read(constrained *k)
{
    const embedded *e = k->e;
    const chat_model *m = &e->chat;
    size_t cap = 0;
    char text[256] = CHAT_STAND_IN;
    int32_t vocab = llama_vocab_n_tokens(e->vocab);
    for (int32_t t = -1; t < vocab; t++) {
        if (t >= 0 && m->kind(m->ctx, t) == TOKEN_TEXT)
            continue;
        if (t >= 0)
            m->text(m->ctx, t, text, sizeof text);
        if (!*text)
            continue;
        if (!array_reserve((void **)&k->specials, &cap, k->special_count + 1, sizeof *k->specials))
            return S2A_NOMEM;
        char *copy = bytes_dup(text, strlen(text));
        if (!copy)
            return S2A_NOMEM;
        k->specials[k->special_count++] = (chat_piece){ copy, strlen(copy) };
    }
    return S2A_OK;
}

/* chat_model's render. */
static s2a_status render(void *ctx, const chat_turn *turns, size_t count, buf *out)
{
    constrained *k = ctx;
    backend_message *messages = calloc(count + 1, sizeof *messages);
    char *json = NULL, *prompt = NULL;
    s2a_status status = messages && count == k->fields.count ? S2A_OK : S2A_NOMEM;
    for (size_t i = 0; status == S2A_OK && i < count; i++)
        messages[i] =
            (backend_message){ turns[i].role, turns[i].content, strlen(turns[i].content) };
    if (status == S2A_OK && chat_fields_messages(&k->fields, messages, true, &json) != S2A_OK)
        status = S2A_NOMEM; /* chat_prompt's contents are UTF-8 */
    if (status == S2A_OK) {
        const common_ask ask = { .messages = json,
                                 .tools = k->hidden_tools,
                                 .choice = k->fields.choice,
                                 .parallel = k->fields.parallel };
        status = common_chat_render(k->e->templates, &ask, &prompt, k->err);
    }
    if (status == S2A_OK) {
        buf_add(out, prompt, strlen(prompt));
        status = out->status;
    }
    free(prompt);
    free(json);
    free(messages);
    return status;
}

/* e->chat's functions take the engine as ctx; these take a constrained and call them. */
static s2a_status tokenize(void *ctx, const char *text, size_t len, bool special, token_list *out)
{
    const constrained *k = ctx;
    return k->e->chat.tokenize(k->e->chat.ctx, text, len, special, out);
}

static token_kind kind(void *ctx, int32_t token)
{
    const constrained *k = ctx;
    return k->e->chat.kind(k->e->chat.ctx, token);
}

static void text(void *ctx, int32_t token, char *out, size_t size)
{
    const constrained *k = ctx;
    k->e->chat.text(k->e->chat.ctx, token, out, size);
}

static s2a_status templates_open(embedded *e, s2a_error *err)
{
    pthread_mutex_lock(&e->lock);
    s2a_status status = e->templates ? S2A_OK : common_chat_open(e->model, &e->templates, err);
    pthread_mutex_unlock(&e->lock);
    return status;
}

static s2a_status prompt_prepare(constrained *k, s2a_error *err)
{
    chat_fields *f = &k->fields;
    s2a_status status = templates_open(k->e, err);
    if (status != S2A_OK)
        return status;
    status = specials_read(k);
    if (status == S2A_OK)
        status = chat_fields_hide(f, k->specials, k->special_count);
    if (status == S2A_OK && f->tools) {
        k->tools = json_dumps(f->tools, JSON_COMPACT);
        k->hidden_tools = json_dumps(f->hidden_tools, JSON_COMPACT);
        status = k->tools && k->hidden_tools ? S2A_OK : S2A_NOMEM;
    }
    k->model = (chat_model){ .ctx = k,
                             .render = render,
                             .tokenize = tokenize,
                             .kind = kind,
                             .text = text,
                             .pieces = f->pieces,
                             .piece_count = f->piece_count,
                             .skips_empty = true,
                             .bos = k->e->chat.bos };
    return status == S2A_OK ? S2A_OK : error_nomem(err);
}

/* ---- the plan ------------------------------------------------------------------------------- */

static s2a_status stops_join(constrained *k, s2a_error *err)
{
    size_t more = 0;
    while (common_plan_stop(k->plan, more))
        more++;
    k->stops = calloc(k->params->stop_count + more + 1, sizeof *k->stops);
    if (!k->stops)
        return error_nomem(err);
    for (size_t i = 0; i < k->params->stop_count; i++)
        k->stops[k->stop_count++] = k->params->stops[i];
    for (size_t i = 0; i < more; i++) {
        const char *stop = common_plan_stop(k->plan, i);
        if (*stop)
            k->stops[k->stop_count++] = (stop_text){ stop, strlen(stop) };
    }
    return S2A_OK;
}

static s2a_status plan_make(constrained *k, const backend_message *messages, s2a_error *err)
{
    chat_fields *f = &k->fields;
    char *json = NULL;
    common_ask ask = {
        .schema = f->schema, .tools = k->tools, .choice = f->choice, .parallel = f->parallel
    };
    s2a_status status = k->reads ? chat_fields_messages(f, messages, false, &json) : S2A_OK;
    if (status != S2A_OK)
        return error_set(err, status, "messages: not UTF-8, or out of memory");
    ask.messages = json;
    status = common_plan_new(k->e->templates, k->e->model, &ask, k->params, k->e->ctx_tokens,
                             &k->plan, err);
    free(json);
    return status == S2A_OK ? stops_join(k, err) : status;
}

s2a_status constrained_open(constrained *k, embedded *e, const backend_message *messages,
                            size_t count, const backend_params *params, bool generates,
                            s2a_error *err)
{
    *k = (constrained){ .e = e, .params = params, .err = err };
    buf_init(&k->raw, LIMIT_OUTPUT_BYTES);
    chat_fields *f = &k->fields;
    s2a_status status =
        chat_fields_read(f, params->chat_fields, params->message_fields, count, err);
    if (status != S2A_OK)
        return status;
    k->templated = f->tools || f->any;
    k->reads = f->tools && strcmp(f->choice, "none") != 0;
    if (k->templated)
        status = prompt_prepare(k, err);
    /* Making the plan validates the schema and the tools. */
    bool checked = k->reads || f->schema;
    if (status == S2A_OK && checked)
        status = plan_make(k, messages, err);
    if (status == S2A_OK && !generates) {
        common_plan_free(k->plan);
        k->plan = NULL;
    }
    return status;
}

void constrained_close(constrained *k)
{
    common_plan_free(k->plan);
    for (size_t i = 0; i < k->special_count; i++)
        free(k->specials[i].text);
    free(k->specials);
    free(k->stops);
    free(k->tools);
    free(k->hidden_tools);
    buf_free(&k->raw);
    chat_fields_free(&k->fields);
}

/* ---- the answer ----------------------------------------------------------------------------- */

/* Passes the new part of the content to on_token. */
static int content_hand_on(constrained *k, const json_t *message)
{
    const json_t *content = json_object_get(message, "content");
    size_t len = json_string_length(content), from = k->sent;
    if (len <= from)
        return 0;
    k->sent = len;
    return k->on_token ? k->on_token(k->on_token_ctx, json_string_value(content) + from, len - from)
                       : 0;
}

/* Parses the text so far as a message; NULL with *status set on failure. */
static json_t *message_read(constrained *k, bool partial, s2a_status *status, s2a_error *err)
{
    char *json = NULL;
    *status =
        common_plan_read(k->plan, k->raw.data ? k->raw.data : "", k->raw.len, partial, &json, err);
    json_t *message = json ? json_loads(json, JSON_ALLOW_NUL, NULL) : NULL;
    free(json);
    if (*status == S2A_OK && !message)
        *status = error_nomem(err);
    return message;
}

int constrained_token(void *ctx, const char *piece, size_t len)
{
    constrained *k = ctx;
    buf_add(&k->raw, piece, len);
    s2a_status status = k->raw.status;
    json_t *message = status == S2A_OK ? message_read(k, true, &status, NULL) : NULL;
    int stop = message ? content_hand_on(k, message) : 0; /* constrained_end reports text that
                                                             cannot be parsed */
    json_decref(message);
    return stop;
}

/* Adds missing ids. Models do not name their calls, but clients send results with the call's id. */
static bool ids_add(json_t *calls)
{
    for (size_t i = 0; i < json_array_size(calls); i++) {
        json_t *one = json_array_get(calls, i);
        const char *id = json_string_value(json_object_get(one, "id"));
        uint64_t number[2] = { 0, i };
        if (id && *id)
            continue;
        if (getrandom(number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
            number[0] = (uint64_t)(uintptr_t)one;
        char name[48];
        snprintf(name, sizeof name, "call_%016llx%08llx", (unsigned long long)number[0],
                 (unsigned long long)(number[1] & 0xffffffff));
        if (json_object_set_new(one, "id", json_string(name)) != 0)
            return false;
    }
    return true;
}

s2a_status constrained_end(constrained *k, backend_usage *usage, s2a_error *err)
{
    s2a_status status = k->raw.status == S2A_OK ? S2A_OK : error_nomem(err);
    bool partial = usage->finish != BACKEND_FINISH_STOP;
    json_t *message = status == S2A_OK ? message_read(k, partial, &status, err) : NULL;
    if (!message)
        return status;
    json_t *calls = json_object_get(message, "tool_calls");
    if (usage->finish != BACKEND_FINISH_CALLER && content_hand_on(k, message))
        usage->finish = BACKEND_FINISH_CALLER;
    if (!partial && json_array_size(calls) > 0 && k->params->on_calls) {
        char *json = ids_add(calls) ? json_dumps(calls, JSON_COMPACT) : NULL;
        if (json)
            k->params->on_calls(k->params->on_calls_ctx, json, strlen(json));
        else
            status = error_nomem(err);
        free(json);
    }
    json_decref(message);
    return status;
}
