/* Items, records and usage as JSON, for the store. */
#ifndef S2A_EVAL_JSON_H
#define S2A_EVAL_JSON_H

#include "eval/record.h"

#include <jansson.h>

/* A new reference, or NULL when out of memory. */
json_t *eval_item_json(const eval_item *item);
json_t *eval_record_json(const eval_record *record);
json_t *eval_usage_json(const s2a_usage *usage);
json_t *eval_spans_json(const s2a_span *spans, size_t count);

/* False when out of memory or if the value has another form; *out must then be freed. */
bool eval_item_from_json(const json_t *value, eval_item *out);
bool eval_record_from_json(const json_t *value, eval_record *out);
bool eval_usage_from_json(const json_t *value, s2a_usage *out);
/* *spans is malloc'ed. */
bool eval_spans_from_json(const json_t *value, s2a_span **spans, size_t *count);

#endif
