/* A run and its figures as one JSON object, for `s2a eval TASK --json`;
 * docs/schema/eval.schema.json describes it. */
#ifndef S2A_EVAL_OUTPUT_H
#define S2A_EVAL_OUTPUT_H

#include "eval/data.h"
#include "eval/summary.h"

/* {"task", "arms": {arm: {"accuracy", "ci": [low, high], "n", ...}}, "groups", "items": [...]}.
 * data gives the counts of bad rows. A new reference; NULL when out of memory. */
json_t *eval_output_json(const eval_run *run, const eval_summary *summary, const eval_data *data);

#endif
