/* s2a mcp: a server of the Model Context Protocol (modelcontextprotocol.io) on standard input and
 * output. Messages are JSON-RPC 2.0, one a line. The main thread reads messages and answers those
 * that need no model. Tool calls, and arrays of messages, wait for one thread that runs the
 * model. */
#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/help.h"
#include "cli/input.h"
#include "cli/result_json.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "json/tree.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RPC_PARSE = -32700,
    RPC_REQUEST = -32600,
    RPC_METHOD = -32601,
    RPC_PARAMS = -32602,
    RPC_INTERNAL = -32603,
    RPC_BUSY = -32000,
};

typedef struct mcp {
    session *s;
    pthread_t worker;

    pthread_mutex_t writing; /* guards: */
    s2a_status output;       /* of standard output */

    pthread_mutex_t lock; /* guards: */
    pthread_cond_t more;
    json_t *waiting[LIMIT_MCP_CALLS]; /* a ring of messages, or arrays of them */
    size_t first, count;
    bool ended;      /* no more messages will come */
    json_t *running; /* the id of the call that the model works on; NULL = none */
} mcp;

/* ---- messages --------------------------------------------------------------------------- */

/* Takes ownership of result. NULL when out of memory. */
static json_t *response(const json_t *id, json_t *result)
{
    return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
}

static json_t *failure(const json_t *id, int code, const char *message)
{
    json_t *null = id ? NULL : json_null();
    return json_pack("{s:s, s:O, s:{s:i, s:o}}", "jsonrpc", "2.0", "id", id ? id : null, "error",
                     "code", code, "message", tree_name(message));
}

/* Takes ownership of message. If out of memory the message is lost, and the server ends. */
static void reply(mcp *m, json_t *message)
{
    pthread_mutex_lock(&m->writing);
    if (m->output == S2A_OK)
        m->output = result_json_write(&m->s->term, message, false);
    else
        json_decref(message);
    pthread_mutex_unlock(&m->writing);
}

static bool sends(mcp *m)
{
    pthread_mutex_lock(&m->writing);
    bool ok = m->output == S2A_OK;
    pthread_mutex_unlock(&m->writing);
    return ok;
}

/* ---- tools ------------------------------------------------------------------------------ */

/* Parts of tools_text. */
#define SPANS                                                             \
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{" \
    "\"start\":{\"type\":\"integer\"},\"end\":{\"type\":\"integer\"},"    \
    "\"text\":{\"type\":\"string\"}},\"required\":[\"start\",\"end\",\"text\"]}}"
#define ANNOTATIONS "{\"readOnlyHint\":true,\"idempotentHint\":true,\"openWorldHint\":false}"

static const char tools_text[] =
    "[{\"name\":\"filter_context\",\"title\":\"Prune documents to a question\",\"description\":"
    "\"Prunes each document to the sentences that the question needs, in the document's own words, "
    "and scores how relevant each document is. Use it on retrieved texts, pages or notes before "
    "you read them. A document of which nothing is needed becomes empty.\","
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{"
    "\"question\":{\"type\":\"string\",\"description\":\"What is asked of the documents\"},"
    "\"documents\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"string\"},"
    "\"description\":\"The texts, in any order\"}},\"required\":[\"question\",\"documents\"]},"
    "\"outputSchema\":{\"type\":\"object\",\"properties\":{\"documents\":{\"type\":\"array\","
    "\"items\":{\"type\":\"object\",\"properties\":{\"index\":{\"type\":\"integer\"},"
    "\"relevance_score\":{\"type\":\"number\"},\"pruned_text\":{\"type\":\"string\"},"
    "\"removed\":" SPANS "},"
    "\"required\":[\"index\",\"relevance_score\",\"pruned_text\",\"removed\"]}},"
    "\"usage\":{\"type\":\"object\"}},\"required\":[\"documents\",\"usage\"]},"
    "\"annotations\":" ANNOTATIONS "},"
    "{\"name\":\"filter_prompt\",\"title\":\"Remove what should not count from a prompt\","
    "\"description\":\"Removes from a prompt the opinions and irrelevant sentences that would bias "
    "its answer, and returns the rest (System 2 Attention).\","
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\","
    "\"description\":\"The prompt, with its question\"}},\"required\":[\"text\"]},"
    "\"outputSchema\":{\"type\":\"object\",\"properties\":{\"rewritten\":{\"type\":\"string\"},"
    "\"removed\":" SPANS ",\"mode\":{\"type\":\"string\"},"
    "\"fallback\":{\"type\":[\"string\",\"null\"]},\"usage\":{\"type\":\"object\"}},"
    "\"required\":[\"rewritten\",\"removed\",\"mode\",\"fallback\",\"usage\"]},"
    "\"annotations\":" ANNOTATIONS "}]";

/* Adds a block of text, except an empty one, which some clients refuse. */
static bool block_add(json_t *content, const char *text, size_t len)
{
    return len == 0 ||
           json_array_append_new(content, json_pack("{s:s, s:o}", "type", "text", "text",
                                                    json_stringn(text, len))) == 0;
}

/* A tool's output as a call's result; takes ownership of both. NULL when out of memory. */
static json_t *found(json_t *content, json_t *structured)
{
    return json_pack("{s:o, s:o, s:b}", "content", content, "structuredContent", structured,
                     "isError", 0);
}

/* What is wrong with a call, for the model that made it: clients do not show models the errors of
 * JSON-RPC (SEP-1303 of the protocol). */
static json_t *refused(const char *message)
{
    return json_pack("{s:[{s:s, s:o}], s:b}", "content", "type", "text", "text", tree_name(message),
                     "isError", 1);
}

static json_t *context_result(const s2a_result *result)
{
    json_t *content = json_array(), *documents = result_json_documents(result, 0);
    bool ok = content && documents;
    for (size_t i = 0; ok && i < s2a_result_document_count(result); i++) {
        s2a_document d = s2a_result_document(result, i);
        json_object_del(json_array_get(documents, i), "units");
        ok = block_add(content, d.pruned, d.pruned_len);
    }
    if (ok)
        return found(content, json_pack("{s:o, s:o}", "documents", documents, "usage",
                                        result_json_usage(result, 1)));
    json_decref(content);
    json_decref(documents);
    return NULL;
}

static json_t *prompt_result(const s2a_result *result)
{
    size_t len = 0;
    const char *text = s2a_result_rewritten(result, &len);
    s2a_fallback fallback = s2a_result_fallback(result);
    json_t *content = json_array();
    if (!content || !block_add(content, text, len)) {
        json_decref(content);
        return NULL;
    }
    return found(content,
                 json_pack("{s:o, s:o, s:s, s:o, s:o}", "rewritten", json_stringn(text, len),
                           "removed", result_json_removed(result), "mode",
                           s2a_mode_name(s2a_result_mode(result)), "fallback",
                           fallback == S2A_FALLBACK_NONE ? json_null()
                                                         : json_string(s2a_fallback_name(fallback)),
                           "usage", result_json_usage(result, 1)));
}

static s2a_status context_take(const json_t *arguments, s2a_request *request, s2a_error *err)
{
    const json_t *question = json_object_get(arguments, "question"),
                 *documents = json_object_get(arguments, "documents");
    s2a_status status = s2a_request_set_question(request, json_string_value(question),
                                                 json_string_length(question), err);
    for (size_t i = 0; i < json_array_size(documents) && status == S2A_OK; i++) {
        const json_t *text = json_array_get(documents, i);
        status = s2a_request_add_document(request, json_string_value(text),
                                          json_string_length(text), err);
    }
    s2a_request_set_preset(request, S2A_PRESET_RELEVANCE);
    s2a_request_set_mode(request, S2A_MODE_DEFAULT);
    return status;
}

static s2a_status prompt_take(const session *s, const json_t *arguments, s2a_error *err)
{
    const json_t *text = json_object_get(arguments, "text");
    s2a_request_set_preset(s->request, s->o->settings.preset);
    s2a_request_set_mode(s->request, s->o->settings.mode);
    return s2a_request_set_text(s->request, json_string_value(text), json_string_length(text), err);
}

/* The fault of the arguments; NULL = none. */
static const char *context_fault(const json_t *arguments)
{
    const json_t *documents = json_object_get(arguments, "documents");
    if (!json_is_string(json_object_get(arguments, "question")))
        return "filter_context: question must be a string";
    for (size_t i = 0; i < json_array_size(documents); i++)
        if (!json_is_string(json_array_get(documents, i)))
            return "filter_context: documents must be strings";
    return json_array_size(documents) > 0 ? NULL
                                          : "filter_context: documents must be an array of "
                                            "strings that is not empty";
}

static const char *prompt_fault(const json_t *arguments)
{
    return json_is_string(json_object_get(arguments, "text"))
               ? NULL
               : "filter_prompt: text must be a string";
}

/* ---- a call ----------------------------------------------------------------------------- */

/* NULL: the call was cancelled, and is not answered. */
static json_t *call_run(const mcp *m, const json_t *id, const json_t *arguments, bool context)
{
    s2a_error err = { .status = S2A_OK };
    s2a_result *result = NULL;
    json_t *out = NULL;
    s2a_status status =
        context ? context_take(arguments, m->s->request, &err) : prompt_take(m->s, arguments, &err);
    if (status == S2A_OK)
        status = s2a_attend(m->s->engine, m->s->request, &result, &err);
    if (status == S2A_OK)
        out = context ? context_result(result) : prompt_result(result);
    else if (status != S2A_CANCELLED)
        out = refused(err.message);
    s2a_result_free(result);
    if (status == S2A_CANCELLED)
        return NULL;
    return out ? response(id, out) : failure(id, RPC_INTERNAL, "out of memory");
}

static json_t *call(const mcp *m, const json_t *id, const json_t *params)
{
    const char *name = json_string_value(json_object_get(params, "name"));
    const json_t *arguments = json_object_get(params, "arguments");
    bool context = name && !strcmp(name, "filter_context");
    char message[96];
    if (!context && (!name || strcmp(name, "filter_prompt") != 0)) {
        name = name ? name : "params.name must be a string";
        snprintf(message, sizeof message, "unknown tool: %.*s", (int)utf8_cut(name, 60), name);
        return failure(id, RPC_PARAMS, message);
    }
    const char *fault = context ? context_fault(arguments) : prompt_fault(arguments);
    return fault ? response(id, refused(fault)) : call_run(m, id, arguments, context);
}

/* ---- other methods ---------------------------------------------------------------------- */

static json_t *initialize(const json_t *id, const json_t *params)
{
    static const char *const versions[] = { "2024-11-05", "2025-03-26", "2025-06-18",
                                            "2025-11-25" };
    enum { COUNT = sizeof versions / sizeof versions[0] };
    const char *asked = json_string_value(json_object_get(params, "protocolVersion"));
    const char *version = versions[COUNT - 1];
    for (size_t i = 0; asked && i < COUNT; i++)
        if (!strcmp(asked, versions[i]))
            version = versions[i];
    return response(id, json_pack("{s:s, s:{s:{}}, s:{s:s, s:s, s:s}}", "protocolVersion", version,
                                  "capabilities", "tools", "serverInfo", "name", "s2a", "title",
                                  "System 2 Attention", "version", s2a_version()));
}

/* Whether the waiting message is the call with that id. */
static bool is_call(const json_t *message, const json_t *id)
{
    const json_t *own = json_object_get(message, "id");
    return own && json_equal(own, id);
}

/* Removes the call if it is waiting; cancels it if it is running. */
static void cancel(mcp *m, const json_t *params)
{
    const json_t *id = json_object_get(params, "requestId");
    if (!id)
        return;
    pthread_mutex_lock(&m->lock);
    if (m->running && json_equal(m->running, id))
        s2a_cancel_fire(m->s->cancel);
    for (size_t i = 0; i < m->count; i++) {
        json_t **waiting = &m->waiting[(m->first + i) % LIMIT_MCP_CALLS];
        if (is_call(*waiting, id)) {
            json_decref(*waiting);
            *waiting = NULL;
        }
    }
    pthread_mutex_unlock(&m->lock);
}

static json_t *request_answer(mcp *m, const json_t *id, const char *method, const json_t *params)
{
    json_error_t fault;
    if (!strcmp(method, "tools/call"))
        return call(m, id, params);
    if (!strcmp(method, "initialize"))
        return initialize(id, params);
    if (!strcmp(method, "ping"))
        return response(id, json_object());
    if (!strcmp(method, "tools/list"))
        return response(id, json_pack("{s:o}", "tools", json_loads(tools_text, 0, &fault)));
    char message[96];
    snprintf(message, sizeof message, "unknown method: %.*s", (int)utf8_cut(method, 60), method);
    return failure(id, RPC_METHOD, message);
}

/* The response; NULL = the message gets none. */
static json_t *answer(mcp *m, const json_t *message)
{
    const json_t *id = json_object_get(message, "id");
    const char *method = json_string_value(json_object_get(message, "method"));
    const json_t *params = json_object_get(message, "params");
    bool known = json_is_string(id) || json_is_integer(id);
    const char *version = json_string_value(json_object_get(message, "jsonrpc"));
    if (!method && known &&
        (json_object_get(message, "result") || json_object_get(message, "error")))
        return NULL; /* a response, but we send no requests */
    if (!version || strcmp(version, "2.0") != 0 || !method || (id && !known))
        return failure(known ? id : NULL, RPC_REQUEST,
                       "not a request: give jsonrpc \"2.0\", a method, and an id that is a string "
                       "or a whole number");
    if (id)
        return request_answer(m, id, method, params);
    if (!strcmp(method, "notifications/cancelled"))
        cancel(m, params);
    return NULL;
}

/* ---- the model's thread ----------------------------------------------------------------- */

/* From here on a cancel notification or a signal ends the call. Needs the lock. */
static void run_begin(mcp *m, const json_t *message)
{
    m->running = json_incref(json_object_get(message, "id"));
    s2a_cancel_reset(m->s->cancel);
    if (signals_caught()) /* it may have come before the reset */
        s2a_cancel_fire(m->s->cancel);
}

static void run_end(mcp *m)
{
    json_decref(m->running);
    m->running = NULL;
}

static json_t *answer_all(mcp *m, const json_t *batch)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(batch) && !signals_caught(); i++) {
        const json_t *message = json_array_get(batch, i);
        pthread_mutex_lock(&m->lock);
        run_begin(m, message);
        pthread_mutex_unlock(&m->lock);
        json_t *one = answer(m, message);
        if (one)
            json_array_append_new(out, one);
        pthread_mutex_lock(&m->lock);
        run_end(m);
        pthread_mutex_unlock(&m->lock);
    }
    if (json_array_size(out) > 0)
        return out;
    json_decref(out);
    return NULL;
}

static void *work(void *ctx)
{
    mcp *m = ctx;
    pthread_mutex_lock(&m->lock);
    while (m->count > 0 || !m->ended) {
        if (m->count == 0) {
            pthread_cond_wait(&m->more, &m->lock);
            continue;
        }
        json_t *message = m->waiting[m->first];
        m->first = (m->first + 1) % LIMIT_MCP_CALLS;
        m->count--;
        bool batch = json_is_array(message);
        if (!batch)
            run_begin(m, message);
        pthread_mutex_unlock(&m->lock);
        json_t *out = NULL;
        if (message && !signals_caught() && sends(m))
            out = batch ? answer_all(m, message) : answer(m, message);
        if (out)
            reply(m, out);
        json_decref(message);
        pthread_mutex_lock(&m->lock);
        if (!batch)
            run_end(m);
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* Takes ownership of message. */
static void hand_over(mcp *m, json_t *message)
{
    pthread_mutex_lock(&m->lock);
    bool room = m->count < LIMIT_MCP_CALLS;
    if (room)
        m->waiting[(m->first + m->count++) % LIMIT_MCP_CALLS] = message;
    pthread_cond_signal(&m->more);
    pthread_mutex_unlock(&m->lock);
    if (room)
        return;
    reply(m, failure(json_object_get(message, "id"), RPC_BUSY,
                     "too many calls are waiting; send them later"));
    json_decref(message);
}

/* ---- reading ---------------------------------------------------------------------------- */

static bool needs_model(const json_t *message)
{
    const char *method = json_string_value(json_object_get(message, "method"));
    return json_array_size(message) > 0 ||
           (method && !strcmp(method, "tools/call") && json_object_get(message, "id"));
}

static void line_take(mcp *m, const char *text, size_t len)
{
    s2a_error err = { .status = S2A_OK };
    json_t *message = input_parse_json("the message", text, len, &err);
    if (!message) {
        reply(m, failure(NULL, RPC_PARSE, err.message));
    } else if (needs_model(message)) {
        hand_over(m, message);
    } else {
        json_t *out = answer(m, message);
        if (out)
            reply(m, out);
        json_decref(message);
    }
}

static files_line lines_read(mcp *m)
{
    files_lines in;
    files_line kind = FILES_FAILED;
    if (!files_lines_init(&in, STDIN_FILENO, LIMIT_JSON_LINE_BYTES))
        errno = ENOMEM;
    else
        do {
            kind = files_lines_next(&in);
            if (kind == FILES_TOO_LONG)
                reply(m, failure(NULL, RPC_PARSE, "the message is too long; send less at a time"));
            else if (kind == FILES_LINE && !ascii_blank(in.line.data, in.line.len))
                line_take(m, in.line.data, in.line.len);
        } while ((kind == FILES_LINE || kind == FILES_TOO_LONG) && sends(m));
    int reason = errno;
    files_lines_free(&in);
    errno = reason;
    return kind;
}

static int serve(session *s)
{
    int code = session_open(s);
    if (code != EXIT_DONE)
        return code;
    s->progress.on = false; /* from here on only errors are printed */
    mcp m = { .s = s,
              .writing = PTHREAD_MUTEX_INITIALIZER,
              .lock = PTHREAD_MUTEX_INITIALIZER,
              .more = PTHREAD_COND_INITIALIZER };
    int failed = pthread_create(&m.worker, NULL, work, &m);
    if (failed) {
        term_say("%s", strerror(failed));
        return EXIT_FAILED;
    }
    files_line end = lines_read(&m);
    int reason = errno;
    pthread_mutex_lock(&m.lock);
    m.ended = true;
    pthread_cond_signal(&m.more);
    pthread_mutex_unlock(&m.lock);
    pthread_join(m.worker, NULL);
    if (signals_caught())
        return 128 + signals_caught();
    if (end == FILES_FAILED)
        term_say("standard input: %s", strerror(reason));
    if (m.output == S2A_NOMEM)
        term_say("out of memory");
    return end == FILES_FAILED || m.output != S2A_OK ? EXIT_FAILED : EXIT_DONE;
}

/* ---- the command ------------------------------------------------------------------------ */

static s2a_status options_take(options *o, int argc, char **argv, s2a_error *err)
{
    s2a_status status = args_read(&command_mcp, o, argc, argv, err);
    if (status != S2A_OK || o->help || o->version)
        return status;
    status = settings_complete(&o->settings, err);
    s2a_mode mode = o->settings.mode;
    if (status == S2A_OK)
        status = options_judge_only(o, err);
    o->settings.mode = mode; /* for filter_prompt */
    if (status == S2A_OK && optind < argc)
        return error_set(err, S2A_ARGUMENT, "mcp: \"%.40s\": it takes no words; leave it out",
                         argv[optind]);
    return status;
}

int cmd_mcp(int argc, char **argv)
{
    options o = { .threshold = NAN };
    s2a_error err = { .status = S2A_OK };
    s2a_status status = options_take(&o, argc, argv, &err);
    session s = { .o = &o };
    term_init(&s.term, true, o.quiet);
    progress_init(&s.progress, &s.term);
    int code;
    bool goes_on = session_goes_on(&command_mcp, &o, status, &err, &code);
    if (goes_on)
        code = session_begin(&s) ? serve(&s) : EXIT_FAILED;
    session_end(&s);
    options_free(&o);
    return code;
}
