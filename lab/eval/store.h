/* Where results are kept: one SQLite file. A record is committed as it comes, so that a run that is
 * killed goes on where it was. Steps (what a model wrote for a prompt) are kept by the hash of all
 * that determines them, so that arms that share a step pay for it once. store.c is the only file
 * that includes sqlite3.h. All functions may be called from many threads. */
#ifndef S2A_EVAL_STORE_H
#define S2A_EVAL_STORE_H

#include "eval/record.h"

typedef struct eval_store eval_store;

/* Creates the file where it is missing. S2A_IO: not a database, of another layout, locked by another
 * process for more than five seconds, disk full; the message says which and what to do. */
s2a_status eval_store_open(const char *path, eval_store **out, s2a_error *err);
void eval_store_close(eval_store *store);

/* The run that has the same task, model and prompt hashes, version, data, sampling and method as
 * *head (whose items and records are not looked at); made where it is missing. */
s2a_status eval_store_run(eval_store *store, const eval_run *head, const char *data_hash,
                          const char *method, int64_t *run, s2a_error *err);

/* Adds the items that the run has not yet. */
s2a_status eval_store_add_items(eval_store *store, int64_t run, const eval_item *items,
                                size_t count, s2a_error *err);

/* *found says whether it is there; *out is then filled. */
s2a_status eval_store_get(eval_store *store, int64_t run, const char *item, const char *arm,
                          uint32_t seed, eval_record *out, bool *found, s2a_error *err);
s2a_status eval_store_put(eval_store *store, int64_t run, const eval_record *record, s2a_error *err);

/* A step by its key (a hash); *text is malloc'ed, NULL when it is not there. */
s2a_status eval_store_step_get(eval_store *store, const char *key, char **text, s2a_error *err);
s2a_status eval_store_step_put(eval_store *store, const char *key, const char *text, s2a_error *err);

/* All runs with their items and records, for the report. Arms are in the order of order[]; unknown
 * ones come last. *runs is malloc'ed. */
s2a_status eval_store_load(eval_store *store, const char *const *order, size_t order_count,
                           eval_run **runs, size_t *count, s2a_error *err);

#endif
