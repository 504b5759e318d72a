/* POST /v1/rerank: documents and a query. The response has each document's score, and its text
 * without the sentences that the query does not need. All are judged together
 * (s2a_request_add_document). */
#include "serve/txn.h"

#include "base/error.h"
#include "serve/reply_internal.h"
#include "json/result_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text of a document: a string, or an object's text; its other members are not judged. */
static const json_t *text_of(const json_t *document)
{
    const json_t *text = json_is_object(document) ? json_object_get(document, "text") : document;
    return json_is_string(text) ? text : NULL;
}

/* ---- the request ------------------------------------------------------------------------ */

s2a_status rerank_check(const txn *t, s2a_error *err)
{
    const json_t *root = t->q.root, *documents = json_object_get(root, "documents");
    const json_t *top = json_object_get(root, "top_n");
    const json_t *give = json_object_get(root, "return_documents");
    if (!json_is_string(json_object_get(root, "query")))
        return error_set(err, S2A_INPUT, "query: must be a string");
    if (!json_is_array(documents) || json_array_size(documents) == 0)
        return error_set(err, S2A_INPUT, "documents: must be an array of at least one document");
    for (size_t i = 0; i < json_array_size(documents); i++)
        if (!text_of(json_array_get(documents, i)))
            return error_set(err, S2A_INPUT,
                             "documents[%zu]: must be a string, or an object with a text", i);
    if (top && !json_is_null(top) && (!json_is_integer(top) || json_integer_value(top) < 1))
        return error_set(err, S2A_INPUT, "top_n: must be an integer above 0");
    if (give && !json_is_null(give) && !json_is_boolean(give))
        return error_set(err, S2A_INPUT, "return_documents: must be true or false");
    if (t->q.ask.mode == S2A_MODE_REWRITE ||
        (t->q.ask.preset != S2A_PRESET_AUTO && t->q.ask.preset != S2A_PRESET_RELEVANCE))
        return error_set(err, S2A_INPUT,
                         "s2a: documents are judged in mode select by preset relevance; leave out "
                         "mode and preset");
    return S2A_OK;
}

static s2a_status request_fill(s2a_request *r, const txn *t, s2a_error *err)
{
    const chat_ask *ask = &t->q.ask;
    const json_t *query = json_object_get(t->q.root, "query");
    const json_t *documents = json_object_get(t->q.root, "documents");
    s2a_request_set_mode(r, S2A_MODE_SELECT);
    s2a_request_set_preset(r, S2A_PRESET_RELEVANCE);
    s2a_request_set_cancel(r, t->step1.cancel);
    s2a_status status =
        s2a_request_set_question(r, json_string_value(query), json_string_length(query), err);
    for (size_t i = 0; i < json_array_size(documents) && status == S2A_OK; i++) {
        const json_t *text = text_of(json_array_get(documents, i));
        status =
            s2a_request_add_document(r, json_string_value(text), json_string_length(text), err);
    }
    if (status == S2A_OK)
        status = serve_step1_protect(r, ask->protect, err);
    if (status == S2A_OK && !isnan(ask->threshold))
        status = s2a_request_set_threshold(r, ask->threshold, err);
    if (status == S2A_OK)
        status = s2a_request_set_keep(r, ask->keep, err);
    return status;
}

static s2a_status judge(txn *t, s2a_result **out, s2a_error *err)
{
    engine_ref *ref = NULL;
    s2a_request *r = s2a_request_new();
    s2a_status status = r ? request_fill(r, t, err) : error_nomem(err);
    if (status == S2A_OK)
        status = engines_get(t->s->engines, chat_model_name(&t->q), t->bearer, &ref, err);
    if (status == S2A_OK)
        status = s2a_attend(engines_engine(ref), r, out, err);
    engines_put(t->s->engines, ref);
    s2a_request_free(r);
    return status;
}

/* ---- the response ----------------------------------------------------------------------- */

static json_t *document_json(const txn *t, const s2a_document *d, size_t index)
{
    json_t *root = json_object();
    json_t *given = json_array_get(json_object_get(t->q.root, "documents"), index);
    tree_put(&root, "index", json_integer((json_int_t)index));
    tree_put(&root, "relevance_score", json_real(d->relevance));
    if (json_is_true(json_object_get(t->q.root, "return_documents")))
        tree_put(&root, "document",
                 json_is_object(given) ? json_incref(given) : json_pack("{s:O}", "text", given));
    tree_put(&root, "pruned_text", tree_text(d->pruned, d->pruned_len));
    tree_put(&root, "removed", result_spans(d->removed, d->removed_count, d->text));
    return root;
}

/* The most relevant first. */
static json_t *results_json(const txn *t, const s2a_result *result)
{
    json_int_t top = json_integer_value(json_object_get(t->q.root, "top_n"));
    size_t *order = NULL, count = s2a_result_document_count(result);
    size_t most = top > 0 && (size_t)top < count ? (size_t)top : count;
    json_t *list = result_documents_order(result, most, &order, &count) ? json_array() : NULL;
    for (size_t i = 0; list && i < count; i++) {
        s2a_document d = s2a_result_document(result, order[i]);
        tree_append(&list, document_json(t, &d, order[i]));
    }
    free(order);
    return list;
}

static void count(txn *t, const s2a_result *result)
{
    s2a_usage usage = s2a_result_usage(result, 1);
    metrics_step1 seen = { .ms = usage.ms,
                           .prompt_tokens = usage.prompt_tokens,
                           .completion_tokens = usage.completion_tokens,
                           .cached_tokens = usage.cached_tokens };
    for (size_t i = 0; i < s2a_result_document_count(result); i++) {
        s2a_document d = s2a_result_document(result, i);
        seen.judged_bytes += d.text_len;
        for (size_t k = 0; k < d.removed_count; k++)
            seen.removed_bytes += d.removed[k].end - d.removed[k].start;
    }
    metrics_attended(&t->s->metrics, &seen);
}

static void answer(txn *t, const s2a_result *result)
{
    s2a_usage usage = s2a_result_usage(result, 1);
    json_t *root = json_object();
    char id[sizeof t->reply.id];
    snprintf(id, sizeof id, "rerank-%s", t->id);
    tree_put(&root, "id", json_string(id));
    tree_put(&root, "object", json_string("list"));
    tree_put(&root, "model", json_string(t->s->up ? chat_model_name(&t->q) : t->s->o.model));
    tree_put(&root, "results", results_json(t, result));
    tree_put(&root, "usage",
             json_pack("{s:I, s:I}", "prompt_tokens", (json_int_t)usage.prompt_tokens,
                       "total_tokens",
                       (json_int_t)(usage.prompt_tokens + usage.completion_tokens)));
    txn_json(t, 200, root, NULL);
}

static int status_of(s2a_status status)
{
    return status == S2A_UNSUPPORTED                                              ? 501
           : status == S2A_TIMEOUT                                                ? 504
           : status == S2A_INPUT || status == S2A_ARGUMENT || status == S2A_LIMIT ? 400
                                                                                  : 502;
}

void rerank_run(txn *t)
{
    s2a_error err = { .status = S2A_OK };
    s2a_result *result = NULL;
    job_step_begin(t);
    s2a_status status = judge(t, &result, &err);
    job_step_end(t);
    if (status == S2A_OK && s2a_result_fallback(result) != S2A_FALLBACK_NONE)
        status = error_set(&err, S2A_BACKEND, "%s", s2a_result_fallback_detail(result));
    if (status == S2A_OK) {
        count(t, result);
        answer(t, result);
    } else if (status == S2A_CANCELLED && !atomic_load(&t->step1.late)) {
        http_call_end(t->call, false);
    } else if (status == S2A_CANCELLED) {
        txn_error(t, 504, "judging the documents took longer than step 1's budget", "budget");
    } else {
        txn_error(t, status_of(status), err.message, NULL);
    }
    s2a_result_free(result);
}
