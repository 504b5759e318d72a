/* Parts of a result as JSON, as the tool and the server write them. Functions return NULL when out
 * of memory; the caller owns the reference. */
#ifndef S2A_JSON_RESULT_PARTS_H
#define S2A_JSON_RESULT_PARTS_H

#include "s2a.h"

#include <jansson.h>
#include <stdbool.h>

/* {"start","end","text"} of a span of text. */
json_t *result_span(s2a_span span, const char *text);
/* A list of them. */
json_t *result_spans(const s2a_span *spans, size_t count, const char *text);
/* A list of {"start","end","kept","label","score"}. */
json_t *result_units(const s2a_unit *units, size_t count);
/* The units of the whole prompt; an empty list if result is NULL. */
json_t *result_all_units(const s2a_result *result);

/* The indexes of the result's `top` most relevant documents, equal ones in order; top 0: all
 * documents, in order. The caller frees *order, also on failure. False when out of memory. */
bool result_documents_order(const s2a_result *result, size_t top, size_t **order, size_t *count);

#endif
