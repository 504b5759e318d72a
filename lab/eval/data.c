#include "eval/data.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DATA_BYTES ((size_t)1 << 30)
#define LIMIT_SAID_ROWS 20
/* What a row's prompt has beside the row's own text is short: it stays within LIMIT_INPUT_BYTES. */
#define LIMIT_ROW_BYTES (LIMIT_INPUT_BYTES - ((size_t)64 << 10))

/* The samples of data/samples, compiled in. */
#define SAMPLE(name)                   \
    extern const char sample_##name[]; \
    extern const size_t sample_##name##_len;
SAMPLE(qa)
SAMPLE(argument)
SAMPLE(math)
SAMPLE(math_hard)
SAMPLE(rag)
SAMPLE(clean)
SAMPLE(injection)
SAMPLE(ordinary)
SAMPLE(prune)
SAMPLE(labelled)
#undef SAMPLE

#define ARMS "plain,oracle,instructed,rewrite"

static const struct {
    const char *name, *sample;
    const size_t *len;
    const char *arms;
    s2a_preset preset;
    bool answers;
} tasks[EVAL_TASK_COUNT] = {
    [EVAL_QA] = { "qa", sample_qa, &sample_qa_len, ARMS, S2A_PRESET_AUTO, true },
    [EVAL_ARGUMENT] = { "argument", sample_argument, &sample_argument_len, ARMS, S2A_PRESET_AUTO,
                        true },
    [EVAL_MATH] = { "math", sample_math, &sample_math_len, ARMS, S2A_PRESET_AUTO, true },
    [EVAL_MATH_HARD] = { "math-hard", sample_math_hard, &sample_math_hard_len, ARMS,
                         S2A_PRESET_AUTO, true },
    [EVAL_RAG] = { "rag", sample_rag, &sample_rag_len, ARMS, S2A_PRESET_AUTO, true },
    [EVAL_CLEAN] = { "clean", sample_clean, &sample_clean_len, ARMS, S2A_PRESET_AUTO, true },
    [EVAL_INJECTION] = { "injection", sample_injection, &sample_injection_len, ARMS,
                         S2A_PRESET_UNTRUSTED, true },
    [EVAL_ORDINARY] = { "ordinary", sample_ordinary, &sample_ordinary_len, "plain,select",
                        S2A_PRESET_AUTO, true },
    [EVAL_PRUNE] = { "prune", sample_prune, &sample_prune_len, "select,select-50,select-20",
                     S2A_PRESET_RELEVANCE, false },
    [EVAL_LABELLED] = { "labelled", sample_labelled, &sample_labelled_len, "select",
                        S2A_PRESET_AUTO, false },
};

const char *eval_task_name(eval_task task)
{
    return tasks[task].name;
}

const char *eval_task_arms(eval_task task)
{
    return tasks[task].arms;
}

s2a_preset eval_task_preset(eval_task task)
{
    return tasks[task].preset;
}

bool eval_task_answers(eval_task task)
{
    return tasks[task].answers;
}

bool eval_task_from_name(const char *name, eval_task *out)
{
    for (size_t i = 0; i < EVAL_TASK_COUNT; i++)
        if (!strcmp(tasks[i].name, name)) {
            *out = (eval_task)i;
            return true;
        }
    return false;
}

s2a_status eval_data_add(eval_data *data, eval_item *item, s2a_error *err)
{
    if (!array_reserve((void **)&data->items, &data->cap, data->count + 1, sizeof *data->items))
        return error_nomem(err);
    data->items[data->count++] = *item;
    *item = (eval_item){ 0 };
    return S2A_OK;
}

void eval_data_free(eval_data *data)
{
    for (size_t i = 0; i < data->count; i++)
        eval_item_free(&data->items[i]);
    free(data->items);
    *data = (eval_data){ 0 };
}

/* ---- rows ------------------------------------------------------------------------------- */

typedef struct reading {
    const eval_data_options *options;
    eval_data *data;
    json_t *ids;    /* an object whose keys are the ids so far */
    char where[64]; /* the row at hand: its line, and its place in an array */
    s2a_error *err;
} reading;

static void items_drop(eval_data *data, size_t from)
{
    while (data->count > from)
        eval_item_free(&data->items[--data->count]);
}

/* A bad row: told, and an error only when bad rows are refused. */
static s2a_status row_bad(reading *r, const char *why)
{
    const eval_data_options *o = r->options;
    r->data->bad_rows++;
    if (o->refuse)
        return error_set(r->err, S2A_INPUT,
                         "%s: %s: %s; mend the row, or leave --bad-rows refuse out", r->data->name,
                         r->where, why);
    if (o->say && r->data->bad_rows <= LIMIT_SAID_ROWS) {
        char text[400];
        snprintf(text, sizeof text, "%s: %s: %s; the row is left out", r->data->name, r->where,
                 why);
        o->say(o->say_ctx, text);
    }
    return S2A_OK;
}

static s2a_status row_take(reading *r, const json_t *row)
{
    eval_data *data = r->data;
    eval_row_sink sink = { .options = r->options, .data = data };
    size_t before = data->count;
    s2a_error row_err;
    s2a_status status = eval_row_read(&sink, row, &row_err);
    if (status == S2A_INPUT) {
        items_drop(data, before);
        return row_bad(r, sink.fault ? sink.fault : row_err.message);
    }
    if (status != S2A_OK) {
        *r->err = row_err;
        return status;
    }
    if (sink.last_may_repeat && data->count > before + 1 &&
        json_object_get(r->ids, data->items[data->count - 1].id))
        items_drop(data, data->count - 1);
    for (size_t i = before; i < data->count; i++) {
        if (json_object_get(r->ids, data->items[i].id)) {
            char why[128];
            snprintf(why, sizeof why, "its id \"%.60s\" was there before", data->items[i].id);
            items_drop(data, before);
            data->other_rows += sink.may_repeat;
            return sink.may_repeat ? S2A_OK : row_bad(r, why);
        }
    }
    data->other_rows += sink.other;
    for (size_t i = before; i < data->count; i++)
        if (json_object_set_new(r->ids, data->items[i].id, json_true()) != 0)
            return error_nomem(r->err);
    return S2A_OK;
}

static s2a_status row_parse(reading *r, const char *text, size_t len)
{
    char why[240];
    r->data->rows++;
    if (len > LIMIT_ROW_BYTES) {
        snprintf(why, sizeof why, "longer than %zu bytes", LIMIT_ROW_BYTES);
        return row_bad(r, why);
    }
    json_error_t fault;
    json_t *row = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
    if (!row) {
        snprintf(why, sizeof why, "not valid JSON: %s, at its byte %d", fault.text, fault.position);
        return row_bad(r, why);
    }
    s2a_status status = row_take(r, row);
    json_decref(row);
    return status;
}

static s2a_status lines_read(reading *r, const char *text, size_t len)
{
    s2a_status status = S2A_OK;
    size_t line = 0;
    for (size_t at = 0; at < len && status == S2A_OK;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len;
        snprintf(r->where, sizeof r->where, "line %zu", ++line);
        if (!ascii_blank(text + at, end - at))
            status = row_parse(r, text + at, end - at);
        at = end + 1;
    }
    return status;
}

/* Where the array's element that begins at text[at] ends: at the ',' or bracket after it, or len.
 * Only strings and brackets are looked at. */
static size_t element_end(const char *text, size_t at, size_t len)
{
    size_t depth = 0;
    bool quoted = false;
    for (; at < len; at++) {
        char c = text[at];
        if (quoted) {
            if (c == '\\')
                at++;
            else
                quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (c == ']' || c == '}') {
            if (depth-- == 0)
                return at;
        } else if (c == ',' && depth == 0) {
            return at;
        }
    }
    return len;
}

static size_t spaces_skip(const char *text, size_t at, size_t len, size_t *line)
{
    for (; at < len && ascii_space(text[at]); at++)
        *line += text[at] == '\n';
    return at;
}

/* text[at] is the '['. Each element is parsed for itself, so that one bad row is one bad row. */
static s2a_status array_read(reading *r, const char *text, size_t at, size_t len, size_t line)
{
    static const char no_end[] = "the array does not end there; is the file whole?";
    size_t n = 0;
    bool more = true;
    at = spaces_skip(text, at + 1, len, &line);
    if (at < len && text[at] == ']') {
        more = false;
        at++;
    }
    while (more) {
        at = spaces_skip(text, at, len, &line);
        size_t end = element_end(text, at, len);
        if (end == len || text[end] == '}')
            return error_set_at(r->err, S2A_INPUT, end, "%s: line %zu, element %zu: %s",
                                r->data->name, line, n + 1, no_end);
        snprintf(r->where, sizeof r->where, "line %zu, element %zu", line, ++n);
        s2a_status status = row_parse(r, text + at, end - at);
        if (status != S2A_OK)
            return status;
        for (; at < end; at++)
            line += text[at] == '\n';
        more = text[end] == ',';
        at = end + 1;
    }
    if (ascii_blank(text + at, len - at))
        return S2A_OK;
    at = spaces_skip(text, at, len, &line);
    return error_set_at(r->err, S2A_INPUT, at,
                        "%s: line %zu: text after the end of the array; it must "
                        "be JSON lines or one JSON array",
                        r->data->name, line);
}

/* ---- the subset ------------------------------------------------------------------------- */

typedef struct ranked {
    char rank[17];
    const char *id;
    size_t index;
} ranked;

static int rank_order(const void *a, const void *b)
{
    const ranked *p = a, *q = b;
    int order = strcmp(p->rank, q->rank);
    return order ? order : strcmp(p->id, q->id);
}

/* Keeps the first limit items in the order of a hash of their clean prompt, so that the items of
 * one question stay together, and of their ids; then in the order of the file again. */
static s2a_status limit_apply(eval_data *data, size_t limit, s2a_error *err)
{
    if (limit == 0 || data->count <= limit)
        return S2A_OK;
    ranked *order = calloc(data->count, sizeof *order);
    bool *keep = calloc(data->count, sizeof *keep);
    s2a_status status = order && keep ? S2A_OK : error_nomem(err);
    for (size_t i = 0; i < data->count && status == S2A_OK; i++) {
        char hex[SHA256_HEX_SIZE];
        const char *text = data->items[i].oracle;
        status = sha256_bytes(text, strlen(text), hex, err);
        if (status == S2A_OK)
            snprintf(order[i].rank, sizeof order[i].rank, "%.16s", hex + 16);
        order[i].id = data->items[i].id;
        order[i].index = i;
    }
    if (status == S2A_OK) {
        qsort(order, data->count, sizeof *order, rank_order);
        for (size_t i = 0; i < limit; i++)
            keep[order[i].index] = true;
        size_t n = 0;
        for (size_t i = 0; i < data->count; i++) {
            if (keep[i])
                data->items[n++] = data->items[i];
            else
                eval_item_free(&data->items[i]);
        }
        data->count = n;
    }
    free(order);
    free(keep);
    return status;
}

/* ---- files ------------------------------------------------------------------------------ */

static s2a_status file_read(const char *path, char **text, size_t *len, s2a_error *err)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(err, S2A_IO, "--data %s: %s; name a data file", path, strerror(errno));
    buf all;
    buf_init(&all, LIMIT_DATA_BYTES);
    char *chunk = malloc((size_t)1 << 16);
    size_t n = 0;
    errno = 0;
    while (chunk && all.status == S2A_OK && (n = fread(chunk, 1, (size_t)1 << 16, file)) > 0)
        buf_add(&all, chunk, n);
    int reason = ferror(file) ? errno : 0;
    fclose(file);
    s2a_status status = chunk ? all.status : S2A_NOMEM;
    free(chunk);
    if (status == S2A_OK && reason)
        status = S2A_IO;
    *text = status == S2A_OK ? buf_take(&all, len) : NULL;
    buf_free(&all);
    if (status == S2A_IO)
        return error_set(err, S2A_IO, "--data %s: %s; check the file", path, strerror(reason));
    if (status == S2A_LIMIT)
        return error_set(err, S2A_LIMIT, "--data %s: larger than %zu bytes; split it", path,
                         LIMIT_DATA_BYTES);
    return *text ? S2A_OK : error_nomem(err);
}

static s2a_status text_read(reading *r, const char *text, size_t len)
{
    eval_data *data = r->data;
    s2a_status status = sha256_bytes(text, len, data->hash, r->err);
    if (status != S2A_OK)
        return status;
    size_t at = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
    size_t line = 1, first = spaces_skip(text, at, len, &line);
    status = first < len && text[first] == '[' ? array_read(r, text, first, len, line)
                                               : lines_read(r, text + at, len - at);
    if (status == S2A_OK && data->count == 0)
        status =
            error_set(r->err, S2A_INPUT,
                      "%s: no row of task %s in it (%zu rows, %zu bad); see docs/eval.md for the "
                      "layouts",
                      data->name, eval_task_name(r->options->task), data->rows, data->bad_rows);
    return status == S2A_OK ? limit_apply(data, r->options->limit, r->err) : status;
}

s2a_status eval_data_read(const eval_data_options *options, eval_data *out, s2a_error *err)
{
    *out = (eval_data){ 0 };
    reading r = { .options = options, .data = out, .ids = json_object(), .err = err };
    if (!r.ids)
        return error_nomem(err);
    s2a_status status = S2A_OK;
    if (options->path) {
        const char *slash = strrchr(options->path, '/');
        const char *name = slash && slash[1] ? slash + 1 : options->path;
        snprintf(out->name, sizeof out->name, "%.*s", (int)utf8_cut(name, sizeof out->name - 1),
                 name);
        char *text = NULL;
        size_t len = 0;
        status = file_read(options->path, &text, &len, err);
        if (status == S2A_OK)
            status = text_read(&r, text, len);
        free(text);
    } else {
        snprintf(out->name, sizeof out->name, "built-in sample");
        status = text_read(&r, tasks[options->task].sample, *tasks[options->task].len);
    }
    json_decref(r.ids);
    return status;
}
