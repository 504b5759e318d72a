/* Labelled prompts: sentence by sentence, as data/labelled/README.md has them. */
#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "eval/rows.h"

#include <stdlib.h>
#include <string.h>

/* In the order of eval_label; "either" is disputed: not scored. */
static const char *const labels[EVAL_LABELS] = {
    [EVAL_NEEDED] = "needed",   [EVAL_MIXED] = "either", [EVAL_UNRELATED] = "unrelated",
    [EVAL_OPINION] = "opinion", [EVAL_ORDER] = "order",
};

static bool label_find(const char *name, eval_label *out)
{
    for (eval_label i = 0; name && i < EVAL_LABELS; i++)
        if (labels[i] && !strcmp(labels[i], name)) {
            *out = i;
            return true;
        }
    return false;
}

typedef struct labelled {
    buf x, oracle;
    eval_piece *pieces;
    size_t count;
} labelled;

/* Between a context and the question that is given apart stands one blank line, whatever white
 * space did. */
static void gap_close(buf *text)
{
    while (text->len > 0 && ascii_space(text->data[text->len - 1]))
        text->data[--text->len] = '\0';
    buf_adds(text, "\n\n");
}

/* A unit of the prompt; apart: of the question that is given apart, which is not scored. */
static s2a_status unit_take(eval_row_sink *sink, labelled *l, const json_t *unit, bool apart,
                            s2a_error *err)
{
    const char *text = rows_field(unit, "text");
    eval_label label = EVAL_MIXED;
    if (!text)
        return rows_bad(sink, err, "holds a unit without a text", "units");
    if (!label_find(json_string_value(json_object_get(unit, "label")), &label))
        return rows_bad(sink, err, "holds a label that is unknown", "units");
    size_t start = l->x.len, len = strlen(text);
    buf_add(&l->x, text, len);
    if (apart || !eval_label_distracts(label))
        buf_add(&l->oracle, text, len);
    const char *trimmed = rows_trim(text, &len);
    start += (size_t)(trimmed - text);
    if (!apart)
        l->pieces[l->count++] = (eval_piece){ start, start + len, label };
    return S2A_OK;
}

static s2a_status units_take(eval_row_sink *sink, labelled *l, const json_t *row, eval_item *item,
                             s2a_error *err)
{
    const json_t *units = json_object_get(row, "units"),
                 *of_context = json_object_get(row, "context_units");
    size_t n = json_array_size(units);
    json_int_t context = json_integer_value(of_context);
    if (n == 0)
        return rows_bad(sink, err, "is missing, or is an empty list", "units");
    if (of_context && !json_is_null(of_context) && (context < 1 || (size_t)context >= n))
        return rows_bad(sink, err, "leaves no question, or no context", "context_units");
    if (item->untrusted && context < 1)
        return rows_bad(sink, err, "is missing", "context_units");
    l->pieces = calloc(n, sizeof *l->pieces);
    if (!l->pieces)
        return error_nomem(err);
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < n && status == S2A_OK; i++) {
        if (context > 0 && i == (size_t)context) {
            gap_close(&l->x);
            gap_close(&l->oracle);
            item->question_start = l->x.len;
        }
        status = unit_take(sink, l, json_array_get(units, i), item->question_start > 0, err);
    }
    return status;
}

static s2a_status labelled_fill(eval_row_sink *sink, labelled *l, const json_t *row,
                                eval_item *item, s2a_error *err)
{
    const char *kind = rows_field(row, "kind"), *lang = rows_field(row, "lang");
    const char *preset = rows_field(row, "preset");
    if (!kind)
        return rows_bad(sink, err, "is missing", "kind");
    if (!lang)
        return rows_bad(sink, err, "is missing", "lang");
    item->untrusted = preset && !strcmp(preset, "untrusted");
    s2a_status status = units_take(sink, l, row, item, err);
    if (status == S2A_OK)
        status = rows_pieces(item, l->pieces, l->count, err);
    if (status != S2A_OK)
        return status;
    buf group, facet;
    buf_init(&group, LIMIT_INPUT_BYTES);
    buf_init(&facet, LIMIT_INPUT_BYTES);
    buf_add(&group, kind, strcspn(kind, "/"));
    buf_addf(&facet, "lang=%s", lang);
    item->x = buf_take(&l->x, NULL);
    item->oracle = buf_take(&l->oracle, NULL);
    item->group = buf_take(&group, NULL);
    item->facet = buf_take(&facet, NULL);
    buf_free(&group);
    buf_free(&facet);
    if (!item->x || !item->oracle || !item->group || !item->facet)
        return error_nomem(err);
    return rows_name(item, row, item->x, "", err);
}

s2a_status rows_labelled(eval_row_sink *sink, const json_t *row, eval_item *item, s2a_error *err)
{
    labelled l = { .count = 0 };
    buf_init(&l.x, LIMIT_INPUT_BYTES);
    buf_init(&l.oracle, LIMIT_INPUT_BYTES);
    buf_adds(&l.oracle, "");
    s2a_status status = labelled_fill(sink, &l, row, item, err);
    buf_free(&l.x);
    buf_free(&l.oracle);
    free(l.pieces);
    return status;
}
