/* Task ordinary: what people write when there is nothing to take away. */
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "eval/instructions.h"
#include "eval/rows.h"

#include <stdlib.h>
#include <string.h>

/* Which published set the row is of. Its id goes by another name in each. */
static const struct {
    const char *has, *group, *id;
} sets[] = {
    { "instruction_id_list", "ifeval", "key" },
    { "cluster", "arena-hard", "uid" },
    { "word_list", "notinject", "id" },
    { "prompt", "prompts", "id" },
};

/* IFEval's arguments without those that are null, which some copies have for all instructions. */
static json_t *arguments_copy(const json_t *kwargs)
{
    json_t *out = json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)kwargs, name,
                        value) if (!json_is_null(value) && json_object_set(out, name, value) != 0)
    {
        json_decref(out);
        return NULL;
    }
    return out;
}

/* An instruction goes to the checks, or is counted as left out. */
static s2a_status check_take(eval_item *item, json_t *checks, const char *id, const json_t *kwargs,
                             s2a_error *err)
{
    bool known = false;
    s2a_status status = instruction_known(id, kwargs, &known, err);
    if (status != S2A_OK)
        return status;
    item->check_count += known;
    item->checks_left_out += !known;
    if (known && json_array_append_new(checks, json_pack("{s:s,s:o}", "id", id, "kwargs",
                                                         arguments_copy(kwargs))) != 0)
        return error_nomem(err);
    return S2A_OK;
}

static s2a_status checks_take(eval_row_sink *sink, const json_t *row, eval_item *item,
                              s2a_error *err)
{
    const json_t *ids = json_object_get(row, "instruction_id_list"),
                 *kwargs = json_object_get(row, "kwargs");
    size_t n = json_array_size(ids);
    if (!ids)
        return S2A_OK;
    if (!json_is_array(ids) || (kwargs && json_array_size(kwargs) != n))
        return rows_bad(sink, err, "are not as many as the instructions", "kwargs");
    json_t *checks = json_array();
    s2a_status status = checks ? S2A_OK : error_nomem(err);
    for (size_t i = 0; i < n && status == S2A_OK; i++) {
        const char *id = rows_string(json_array_get(ids, i));
        status =
            id ? check_take(item, checks, id, json_array_get(kwargs, i), err)
               : rows_bad(sink, err, "holds an instruction that is no text", "instruction_id_list");
    }
    if (status == S2A_OK && item->check_count > 0 &&
        !(item->checks = json_dumps(checks, JSON_COMPACT)))
        status = error_nomem(err);
    json_decref(checks);
    return status;
}

/* All that is in the prompt is needed. */
static s2a_status whole_set(eval_item *item, s2a_error *err)
{
    eval_piece whole = { 0, strlen(item->x), EVAL_NEEDED };
    free(item->pieces);
    item->pieces = NULL;
    return rows_pieces(item, &whole, 1, err);
}

/* A labelled prompt is one of these where nothing in it is labelled as not needed. Documents are
 * not: of them only orders are labelled. */
static s2a_status labelled_take(eval_row_sink *sink, const json_t *row, eval_item *item,
                                s2a_error *err)
{
    s2a_status status = rows_labelled(sink, row, item, err);
    if (status != S2A_OK)
        return status;
    for (size_t i = 0; i < item->piece_count; i++)
        sink->other |= eval_label_distracts(item->pieces[i].label);
    sink->other |= item->untrusted;
    free(item->group);
    item->group = rows_copy("labelled");
    return item->group ? whole_set(item, err) : error_nomem(err);
}

s2a_status rows_ordinary(eval_row_sink *sink, const json_t *row, eval_item *item, s2a_error *err)
{
    if (json_object_get(row, "units"))
        return labelled_take(sink, row, item, err);
    const char *prompt = rows_field(row, "prompt");
    size_t set = 0;
    if (!prompt)
        return rows_bad(sink, err, "is missing", "prompt");
    while (!json_object_get(row, sets[set].has)) /* there is a prompt */
        set++;
    s2a_status status = checks_take(sink, row, item, err);
    if (status == S2A_OK)
        status = rows_name_as(item, json_object_get(row, sets[set].id), prompt, "", err);
    if (status == S2A_OK && !rows_texts(item, sets[set].group, prompt, prompt))
        status = error_nomem(err);
    return status == S2A_OK ? whole_set(item, err) : status;
}
