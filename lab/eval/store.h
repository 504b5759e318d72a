/* The store of results: one SQLite file. Each record is committed as it arrives, so that a killed
 * run can continue. Steps (a model's output for a prompt) are stored under a hash of everything
 * that determines them, so that arms which share a step run it once. store.c is the only file that
 * includes sqlite3.h. All functions may be called from many threads. */
#ifndef S2A_EVAL_STORE_H
#define S2A_EVAL_STORE_H

#include "eval/record.h"

typedef struct eval_store eval_store;

/* Creates the file if it is missing. S2A_IO: not a database, another layout, locked by another
 * process for more than five seconds, or disk full; the message says which and what to do. */
s2a_status eval_store_open(const char *path, eval_store **out, s2a_error *err);
void eval_store_close(eval_store *store);

/* Finds or creates the run with the same task, model and prompt hashes, version, data, sampling and
 * method as *head, whose items and records are ignored. */
s2a_status eval_store_run(eval_store *store, const eval_run *head, const char *data_hash,
                          const char *method, int64_t *run, s2a_error *err);

/* Adds the items that the run does not have yet. */
s2a_status eval_store_add_items(eval_store *store, int64_t run, const eval_item *items,
                                size_t count, s2a_error *err);

/* *found: whether the record exists; *out is then filled. */
s2a_status eval_store_get(eval_store *store, int64_t run, const char *item, const char *arm,
                          uint32_t seed, eval_record *out, bool *found, s2a_error *err);
s2a_status eval_store_put(eval_store *store, int64_t run, const eval_record *record,
                          s2a_error *err);

/* A step by its key (a hash); *text is malloc'ed; NULL if there is none. */
s2a_status eval_store_step_get(eval_store *store, const char *key, char **text, s2a_error *err);
s2a_status eval_store_step_put(eval_store *store, const char *key, const char *text,
                               s2a_error *err);

/* All runs with their items and records, for the report. Arms are in the order of order[]; unknown
 * ones come last. *runs is malloc'ed. */
s2a_status eval_store_load(eval_store *store, const char *const *order, size_t order_count,
                           eval_run **runs, size_t *count, s2a_error *err);

#endif
