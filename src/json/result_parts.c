#include "json/result_parts.h"

#include "base/ranked.h"
#include "json/tree.h"

#include <math.h>
#include <stdlib.h>

json_t *result_span(s2a_span span, const char *text)
{
    return json_pack("{s:I, s:I, s:o}", "start", (json_int_t)span.start, "end",
                     (json_int_t)span.end, "text",
                     tree_text(text + span.start, span.end - span.start));
}

json_t *result_spans(const s2a_span *spans, size_t count, const char *text)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        tree_append(&list, result_span(spans[i], text));
    return list;
}

static json_t *unit_json(s2a_unit u)
{
    bool scored = u.has_score && isfinite(u.score);
    return json_pack("{s:I, s:I, s:b, s:o, s:o}", "start", (json_int_t)u.start, "end",
                     (json_int_t)u.end, "kept", u.kept, "label", tree_name(u.label), "score",
                     scored ? json_real(u.score) : json_null());
}

json_t *result_units(const s2a_unit *units, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        tree_append(&list, unit_json(units[i]));
    return list;
}

json_t *result_all_units(const s2a_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; result && i < s2a_result_unit_count(result); i++)
        tree_append(&list, unit_json(s2a_result_unit(result, i)));
    return list;
}

/* ---- documents -------------------------------------------------------------------------- */

bool result_documents_order(const s2a_result *result, size_t top, size_t **order, size_t *count)
{
    size_t n = s2a_result_document_count(result);
    ranked *all = calloc(n + 1, sizeof *all);
    *order = calloc(n + 1, sizeof **order);
    *count = top > 0 && top < n ? top : n;
    bool ok = all && *order;
    for (size_t i = 0; i < n && ok; i++)
        all[i] = (ranked){ s2a_result_document(result, i).relevance, i };
    if (ok && top > 0)
        qsort(all, n, sizeof *all, ranked_compare);
    for (size_t i = 0; i < n && ok; i++)
        (*order)[i] = all[i].index;
    free(all);
    return ok;
}
