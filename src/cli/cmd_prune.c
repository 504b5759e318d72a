/* s2a prune: prunes documents to a question: from files, or with --jsonl many such requests. */
#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/help.h"
#include "cli/input.h"
#include "cli/result_json.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "json/result_parts.h"
#include "json/tree.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- options ---------------------------------------------------------------------------- */

static s2a_status files_take(prune_options *o, int argc, char **argv, s2a_error *err)
{
    static char *const standard_input[] = { (char *)"-", NULL };
    size_t standard = 0;
    o->files = argv + optind;
    o->file_count = (size_t)(argc - optind);
    for (size_t i = 0; i < o->file_count; i++)
        standard += !strcmp(o->files[i], "-");
    if (o->base.jsonl && (o->base.question || o->file_count > standard))
        return error_set(err, S2A_ARGUMENT,
                         "--jsonl: requests come from standard input; leave --question and files "
                         "out");
    if (standard > 1)
        return error_set(err, S2A_ARGUMENT, "-: given twice; standard input can be read once");
    if (o->base.jsonl)
        return S2A_OK;
    if (!o->base.question)
        return error_set(err, S2A_ARGUMENT, "no question; give --question TEXT");
    if (ascii_blank(o->base.question, strlen(o->base.question)))
        return error_set(err, S2A_ARGUMENT, "--question: it is empty; write the question");
    if (o->file_count > 0)
        return S2A_OK;
    if (isatty(STDIN_FILENO) == 1)
        return error_set(err, S2A_ARGUMENT,
                         "no documents; name files, or pipe one in (see s2a prune --help)");
    o->files = standard_input;
    o->file_count = 1;
    return S2A_OK;
}

static s2a_status options_take(prune_options *o, int argc, char **argv, s2a_error *err)
{
    options *base = &o->base;
    base->protects = calloc((size_t)argc + 1, sizeof *base->protects);
    if (!base->protects)
        return error_nomem(err);
    s2a_status status = args_read(&command_prune, o, argc, argv, err);
    if (status != S2A_OK || base->help || base->version)
        return status;
    status = settings_complete(&base->settings, err);
    if (status == S2A_OK)
        status = options_judge_only(base, err);
    if (status == S2A_OK)
        status = files_take(o, argc, argv, err);
    if (status == S2A_OK && base->json && base->jsonl)
        return error_set(err, S2A_ARGUMENT, "--json and --jsonl: give one of them");
    if (status == S2A_OK && (base->resume || base->concurrency > 0) && !base->jsonl)
        return error_set(err, S2A_ARGUMENT, "%s: it needs --jsonl; add that",
                         base->resume ? "--resume" : "--concurrency");
    if (status == S2A_OK && !isnan(base->threshold) && base->keep > 0)
        return error_set(err, S2A_ARGUMENT, "--threshold and --keep: give one of them");
    return status;
}

/* ---- a request -------------------------------------------------------------------------- */

static s2a_status documents_judge(session *s, s2a_result **result, s2a_error *err)
{
    progress_start(&s->progress, s->label ? s->label : "reading the documents");
    s2a_request_set_preset(s->request, S2A_PRESET_RELEVANCE);
    s2a_status status = s2a_attend(s->engine, s->request, result, err);
    progress_clear(&s->progress);
    return status;
}

/* Sets each document's file, or its metadata if files is NULL; a document may have no metadata.
 * When out of memory, frees documents and returns NULL. */
static json_t *documents_name(json_t *documents, char *const *files, json_t *const *metadata)
{
    for (size_t i = 0; i < json_array_size(documents); i++) {
        json_t *d = json_array_get(documents, i);
        size_t index = (size_t)json_integer_value(json_object_get(d, "index"));
        int failed = 0;
        if (files)
            failed = json_object_set_new(d, "file", tree_name(files[index]));
        else if (metadata[index])
            failed = json_object_set(d, "metadata", metadata[index]);
        if (failed) {
            json_decref(documents);
            return NULL;
        }
    }
    return documents;
}

/* id NULL = none. Takes ownership of documents; NULL when out of memory. */
static json_t *prune_json(const s2a_result *result, const json_t *id, const char *question,
                          size_t question_len, json_t *documents)
{
    double threshold = s2a_result_threshold(result);
    json_t *o = json_object();
    bool ok = o && documents && (!id || json_object_set_new(o, "id", json_deep_copy(id)) == 0);
    if (!ok) {
        json_decref(o);
        json_decref(documents);
        return NULL;
    }
    json_t *rest =
        json_pack("{s:o, s:o, s:o, s:o, s:o}", "question", json_stringn(question, question_len),
                  "model", tree_name(s2a_result_model(result)), "threshold",
                  isnan(threshold) ? json_null() : json_real(threshold), "documents", documents,
                  "usage", result_json_usage(result, 1));
    ok = rest && json_object_update(o, rest) == 0;
    json_decref(rest);
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

/* ---- files ------------------------------------------------------------------------------ */

static s2a_status file_add(const char *path, s2a_request *request, s2a_error *err)
{
    buf text;
    s2a_error fault = { .status = S2A_OK };
    buf_init(&text, LIMIT_INPUT_BYTES);
    s2a_status status = input_add_file(path, &text, err);
    buf_add(&text, "", 0);
    if (status == S2A_OK && text.status != S2A_OK)
        status = error_nomem(err);
    if (status == S2A_OK)
        status = s2a_request_add_document(request, text.data, text.len, &fault);
    if (fault.status != S2A_OK)
        error_set(err, status, "%s: %s", files_name(path), fault.message);
    buf_free(&text);
    return status;
}

/* Prints the documents as head(1) does: if there are several, each one after a line with its
 * name. */
static bool print_documents(const term *t, const s2a_result *result, const prune_options *o)
{
    size_t *order = NULL, count = 0;
    bool ok = result_documents_order(result, o->top, &order, &count);
    for (size_t i = 0; ok && i < count; i++) {
        s2a_document d = s2a_result_document(result, order[i]);
        const char *name = files_name(o->files[order[i]]);
        if (o->file_count > 1) {
            fputs(i > 0 ? "\n==> " : "==> ", stdout);
            term_write(t, name, strlen(name));
            fputs(" <==\n", stdout);
        }
        term_write(t, d.pruned, d.pruned_len);
        if (d.pruned_len > 0 && d.pruned[d.pruned_len - 1] != '\n')
            fputc('\n', stdout);
    }
    free(order);
    fflush(stdout);
    term_ok();
    return ok;
}

static s2a_status files_judge(session *s, const prune_options *o, s2a_error *err)
{
    s2a_result *result = NULL;
    s2a_status status = documents_judge(s, &result, err);
    bool ok = true;
    if (status == S2A_OK && o->base.json) {
        json_t *documents = result_json_documents(result, o->top);
        documents = documents ? documents_name(documents, o->files, NULL) : NULL;
        const char *question = o->base.question;
        ok = result_json_write(&s->term,
                               prune_json(result, NULL, question, strlen(question), documents),
                               true) != S2A_NOMEM;
    } else if (status == S2A_OK) {
        ok = print_documents(&s->term, result, o);
    }
    s2a_result_free(result);
    return ok ? status : error_nomem(err);
}

static int files_run(session *s, const prune_options *o)
{
    s2a_error err = { .status = S2A_OK };
    const char *question = o->base.question;
    s2a_status status = s2a_request_set_question(s->request, question, strlen(question), &err);
    for (size_t i = 0; i < o->file_count && status == S2A_OK; i++)
        status = file_add(o->files[i], s->request, &err);
    if (status != S2A_OK) {
        term_say("%s", err.message);
        return EXIT_FAILED;
    }
    int code = session_open(s);
    if (code != EXIT_DONE)
        return code;
    status = files_judge(s, o, &err);
    if (status == S2A_CANCELLED)
        return signals_caught() ? 128 + signals_caught() : EXIT_FAILED;
    if (status == S2A_OK)
        return EXIT_DONE;
    term_say("%s", err.message);
    return session_exit(status);
}

/* ---- lines ------------------------------------------------------------------------------ */

/* Adds a document: a text, or an object with a text. *metadata gets the object's other members. */
static s2a_status document_take(const json_t *document, size_t index, s2a_request *request,
                                json_t **metadata, s2a_error *err)
{
    const json_t *text = json_is_object(document) ? json_object_get(document, "text") : document;
    if (!json_is_string(text))
        return error_set(err, S2A_INPUT,
                         "documents[%zu]: must be a string, or an object with a text", index);
    if (json_is_object(document)) {
        *metadata = json_copy((json_t *)document);
        if (!*metadata)
            return error_nomem(err);
        json_object_del(*metadata, "text");
    }
    return s2a_request_add_document(request, json_string_value(text), json_string_length(text),
                                    err);
}

/* metadata has room for all documents. */
static s2a_status line_take(const json_t *line, s2a_request *request, json_t **metadata,
                            s2a_error *err)
{
    const json_t *question = json_object_get(line, "question"),
                 *documents = json_object_get(line, "documents");
    if (!json_is_object(line))
        return error_set(err, S2A_INPUT, "the line must be a JSON object");
    if (!json_is_string(question) || !json_is_array(documents))
        return error_set(err, S2A_INPUT,
                         "question and documents must both be given, a string and an array");
    s2a_status status = s2a_request_set_question(request, json_string_value(question),
                                                 json_string_length(question), err);
    for (size_t i = 0; i < json_array_size(documents) && status == S2A_OK; i++)
        status = document_take(json_array_get(documents, i), i, request, &metadata[i], err);
    return status;
}

static s2a_status line_answer(session *s, const json_t *line, const json_t *id, json_t **out,
                              s2a_error *err)
{
    const prune_options *o = (const prune_options *)s->o; /* s->o points to its first member */
    const json_t *question = json_object_get(line, "question");
    size_t count = json_array_size(json_object_get(line, "documents"));
    json_t **metadata = calloc(count + 1, sizeof *metadata);
    s2a_result *result = NULL;
    s2a_status status = metadata ? line_take(line, s->request, metadata, err) : error_nomem(err);
    if (status == S2A_OK)
        status = documents_judge(s, &result, err);
    if (status == S2A_OK) {
        json_t *documents = result_json_documents(result, o->top);
        documents = documents ? documents_name(documents, NULL, metadata) : NULL;
        json_t *none = id ? NULL : json_null();
        *out = prune_json(result, id ? id : none, json_string_value(question),
                          json_string_length(question), documents);
        if (!*out)
            status = error_nomem(err);
    }
    for (size_t i = 0; metadata && i < count; i++)
        json_decref(metadata[i]);
    free(metadata);
    s2a_result_free(result);
    return status;
}

/* ---- the command ------------------------------------------------------------------------ */

int cmd_prune(int argc, char **argv)
{
    prune_options o = { .base = { .threshold = NAN } };
    s2a_error err = { .status = S2A_OK };
    s2a_status status = options_take(&o, argc, argv, &err);
    session s = { .o = &o.base, .line_answer = line_answer };
    term_init(&s.term, true, o.base.quiet);
    progress_init(&s.progress, &s.term);
    int code;
    bool goes_on = session_goes_on(&command_prune, &o.base, status, &err, &code);
    if (goes_on)
        code = !session_begin(&s) ? EXIT_FAILED : o.base.jsonl ? jsonl_run(&s) : files_run(&s, &o);
    session_end(&s);
    options_free(&o.base);
    return code;
}
