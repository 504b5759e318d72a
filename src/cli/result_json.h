/* Results and errors as JSON: docs/schema/result.schema.json. */
#ifndef S2A_CLI_RESULT_JSON_H
#define S2A_CLI_RESULT_JSON_H

#include "cli/term.h"
#include "s2a.h"

#include <jansson.h>

/* A result. id NULL: null. plain is the answer without S2A; NULL if there is none. The caller has
 * the reference; NULL when out of memory. */
json_t *result_json(const s2a_result *result, const json_t *id, const s2a_result *plain);

/* The documents of a result, the top most relevant ones first; top 0: all, in their order:
 * [{"index","relevance_score","pruned_text","removed","units"}, ...]. As above. */
json_t *result_json_documents(const s2a_result *result, size_t top);
/* The removed spans of the prompt; tokens and time of a step. As above. */
json_t *result_json_removed(const s2a_result *result);
json_t *result_json_usage(const s2a_result *result, int step);

/* {"id":...,"line":N,"error":{"status":"input","message":...}} */
json_t *result_json_error(const json_t *id, uint64_t line, const s2a_error *err);

/* Writes the value and a newline to stdout and flushes it. Takes ownership of the reference.
 * S2A_NOMEM (also if value is NULL), S2A_IO (see the error of stdout). */
s2a_status result_json_write(const term *t, json_t *value, bool indent);

#endif
