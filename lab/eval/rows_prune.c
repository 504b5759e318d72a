/* Task prune: a context and a question apart, and which sentences of the context hold the answer.
 * Where a set gives the answer's place or words, a sentence is a unit of the context, as mode
 * select finds them. */
#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "core/segment.h"
#include "eval/rows.h"

#include <stdlib.h>
#include <string.h>

typedef struct passage {
    buf context;
    s2a_span *answers; /* of the context */
    size_t count, cap;
} passage;

static bool touches(const passage *p, size_t start, size_t end)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->answers[i].start < end && p->answers[i].end > start)
            return true;
    return false;
}

/* Each unit of the context becomes a piece; those that touch an answer are needed. x and oracle as
 * well. */
static s2a_status units_label(passage *p, const char *question, eval_item *item, s2a_error *err)
{
    segment_unit *units = NULL;
    size_t n = 0, len = p->context.len;
    const char *context = p->context.data;
    s2a_status status = segment_text(context, len, NULL, &units, &n, err);
    eval_piece *pieces = status == S2A_OK ? calloc(n + 1, sizeof *pieces) : NULL;
    if (status == S2A_OK && !pieces)
        status = error_nomem(err);
    buf x, oracle;
    buf_init(&x, LIMIT_INPUT_BYTES);
    buf_init(&oracle, LIMIT_INPUT_BYTES);
    for (size_t i = 0; i < n && status == S2A_OK; i++) {
        bool needed = touches(p, units[i].start, units[i].text_end);
        pieces[i] = (eval_piece){ units[i].start, units[i].text_end,
                                  needed ? EVAL_NEEDED : EVAL_DISTRACTOR };
        if (needed)
            buf_add(&oracle, context + units[i].start, units[i].end - units[i].start);
    }
    if (status == S2A_OK)
        status = rows_pieces(item, pieces, n, err);
    buf_add(&x, context, len);
    buf_adds(&x, "\n\n");
    item->question_start = x.len;
    buf_adds(&x, question);
    buf_addf(&oracle, "\n\n%s", question);
    item->x = buf_take(&x, NULL);
    item->oracle = buf_take(&oracle, NULL);
    if (status == S2A_OK && (!item->x || !item->oracle))
        status = error_nomem(err);
    buf_free(&x);
    buf_free(&oracle);
    free(pieces);
    free(units);
    return status;
}

static bool answer_add(passage *p, size_t start, size_t end)
{
    if (!array_reserve((void **)&p->answers, &p->cap, p->count + 1, sizeof *p->answers))
        return false;
    p->answers[p->count++] = (s2a_span){ start, end };
    return true;
}

/* ---- MultiSpanQA: tokens, and spans of them ------------------------------------------------- */

static const char *token_text(const char *token)
{
    static const char *const written[][2] = {
        { "``", "\"" }, { "''", "\"" }, { "-LRB-", "(" }, { "-RRB-", ")" }
    };
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++)
        if (!strcmp(token, written[i][0]))
            return written[i][1];
    return token;
}

/* Whether a space stands before a token: not before marks that close something or end it, nor after
 * those that open it. */
static bool space_before(const char *token, const char *before)
{
    static const char *const close[] = { ".", ",",  ";", ":",     "?",   "!",
                                         ")", "''", "'", "-RRB-", "n't", "%" };
    if (!before || !strcmp(before, "(") || !strcmp(before, "-LRB-") || !strcmp(before, "``") ||
        !strcmp(before, "$"))
        return false;
    for (size_t i = 0; i < sizeof close / sizeof close[0]; i++)
        if (!strcmp(token, close[i]))
            return false;
    return !(token[0] == '\'' && ascii_letter(token[1]));
}

/* The tokens joined; places[i], unless places is NULL, becomes where token i stands in out. */
static s2a_status tokens_join(eval_row_sink *sink, const json_t *tokens, const char *name, buf *out,
                              s2a_span *places, s2a_error *err)
{
    const char *before = NULL;
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const char *token = rows_string(json_array_get(tokens, i));
        if (!token)
            return rows_bad(sink, err, "holds a token that is no text", name);
        buf_adds(out, space_before(token, before) ? " " : "");
        size_t start = out->len;
        buf_adds(out, token_text(token));
        if (places)
            places[i] = (s2a_span){ start, out->len };
        before = token;
    }
    if (out->status != S2A_OK)
        return error_nomem(err);
    return out->len > 0 ? S2A_OK : rows_bad(sink, err, "is missing, or is an empty list", name);
}

/* Spans of tokens, the end not in them, become spans of the context. */
static s2a_status spans_take(eval_row_sink *sink, passage *p, const json_t *spans,
                             const s2a_span *places, size_t count, s2a_error *err)
{
    static const char name[] = "answer_token_spans";
    for (size_t i = 0; i < json_array_size(spans); i++) {
        const json_t *span = json_array_get(spans, i);
        json_int_t from = json_integer_value(json_array_get(span, 0)),
                   to = json_integer_value(json_array_get(span, 1));
        if (from < 0 || to <= from || (size_t)to > count)
            return rows_bad(sink, err, "holds a span that is not in the context", name);
        if (!answer_add(p, places[from].start, places[to - 1].end))
            return error_nomem(err);
    }
    return p->count > 0 ? S2A_OK : rows_bad(sink, err, "is missing, or is an empty list", name);
}

/* The texts of the answers; each is one. */
static s2a_status answers_set(const passage *p, eval_item *item, s2a_error *err)
{
    item->several = true;
    item->aliases = calloc(p->count + 1, sizeof *item->aliases);
    if (!item->aliases)
        return error_nomem(err);
    for (size_t i = 0; i < p->count; i++) {
        const s2a_span *a = &p->answers[i];
        if (!(item->aliases[i] = bytes_dup(p->context.data + a->start, a->end - a->start)))
            return error_nomem(err);
        item->alias_count++;
    }
    return S2A_OK;
}

static s2a_status spans_fill(eval_row_sink *sink, passage *p, const json_t *row, eval_item *item,
                             s2a_error *err)
{
    const json_t *tokens = json_object_get(row, "context_tokens");
    size_t n = json_array_size(tokens);
    s2a_span *places = calloc(n + 1, sizeof *places);
    buf question;
    buf_init(&question, LIMIT_INPUT_BYTES);
    s2a_status status = places
                            ? tokens_join(sink, tokens, "context_tokens", &p->context, places, err)
                            : error_nomem(err);
    if (status == S2A_OK)
        status = tokens_join(sink, json_object_get(row, "question_tokens"), "question_tokens",
                             &question, NULL, err);
    if (status == S2A_OK)
        status = spans_take(sink, p, json_object_get(row, "answer_token_spans"), places, n, err);
    buf_adds(&question, "?");
    if (status == S2A_OK)
        status =
            question.status == S2A_OK ? units_label(p, question.data, item, err) : error_nomem(err);
    if (status == S2A_OK)
        status = answers_set(p, item, err);
    if (status == S2A_OK)
        status = rows_name(item, row, item->x, "", err);
    if (status == S2A_OK && !rows_texts(item, "multispanqa", "", ""))
        status = error_nomem(err);
    buf_free(&question);
    free(places);
    return status;
}

/* ---- CMRC 2018: a passage, and the answer in the words of several
 * people ---------------------- */

/* Every place where one of the answers stands. */
static s2a_status places_take(passage *p, const char *answer, s2a_error *err)
{
    const char *context = p->context.data;
    for (const char *at = context; (at = strstr(at, answer)) != NULL; at++) {
        size_t start = (size_t)(at - context);
        if (!answer_add(p, start, start + strlen(answer)))
            return error_nomem(err);
    }
    return S2A_OK;
}

static s2a_status answers_find(eval_row_sink *sink, passage *p, const json_t *answers,
                               eval_item *item, s2a_error *err)
{
    size_t n = json_array_size(answers);
    if (n == 0)
        return rows_bad(sink, err, "is missing, or is an empty list", "answers");
    const char **texts = calloc(n, sizeof *texts);
    s2a_status status = texts ? S2A_OK : error_nomem(err);
    size_t written = 0; /* a date that a spreadsheet has made a number of is no text */
    for (size_t i = 0; i < n && status == S2A_OK; i++) {
        const json_t *one = json_array_get(answers, i);
        const char *text = json_is_object(one) ? rows_field(one, "text") : rows_string(one);
        if (text)
            status = places_take(p, texts[written++] = text, err);
    }
    if (status == S2A_OK && p->count == 0)
        status = rows_bad(sink, err, "none of them stands in the context", "answers");
    if (status == S2A_OK)
        status = rows_aliases(item, texts, written, err);
    free(texts);
    return status;
}

static s2a_status passage_fill(eval_row_sink *sink, passage *p, const json_t *row, eval_item *item,
                               s2a_error *err)
{
    const char *context = rows_field(row, "context"), *question = rows_field(row, "question");
    if (!context)
        return rows_bad(sink, err, "is missing", "context");
    if (!question)
        return rows_bad(sink, err, "is missing", "question");
    size_t len = strlen(context);
    context = rows_trim(context, &len);
    buf_add(&p->context, context, len);
    s2a_status status = p->context.status == S2A_OK ? S2A_OK : error_nomem(err);
    if (status == S2A_OK)
        status = answers_find(sink, p, json_object_get(row, "answers"), item, err);
    if (status == S2A_OK)
        status = units_label(p, question, item, err);
    if (status == S2A_OK)
        status = rows_name_as(item, json_object_get(row, "query_id"), item->x, "", err);
    if (status == S2A_OK && !rows_texts(item, "cmrc2018", "", ""))
        status = error_nomem(err);
    return status;
}

/* ---- which ------------------------------------------------------------------------------ */

s2a_status rows_prune(eval_row_sink *sink, const json_t *row, eval_item *item, s2a_error *err)
{
    if (json_object_get(row, "supporting_facts"))
        return rows_paragraphs(sink, row, "hotpotqa", item, err);
    passage p = { .count = 0 };
    buf_init(&p.context, LIMIT_INPUT_BYTES);
    s2a_status status = json_object_get(row, "context_tokens")
                            ? spans_fill(sink, &p, row, item, err)
                            : passage_fill(sink, &p, row, item, err);
    buf_free(&p.context);
    free(p.answers);
    return status;
}
