#include "eval/store.h"

#include "base/buf.h"
#include "base/error.h"
#include "eval/json.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_MS 5000
#define LAYOUT 1 /* user_version */

struct eval_store {
    sqlite3 *db;
    char *path;
    pthread_mutex_t lock;
};

static const char layout_sql[] =
    "CREATE TABLE runs(id INTEGER PRIMARY KEY, task TEXT NOT NULL, model TEXT NOT NULL,"
    " model_hash TEXT NOT NULL, prompts_hash TEXT NOT NULL, version TEXT NOT NULL,"
    " data_name TEXT NOT NULL, data_hash TEXT NOT NULL, temperature REAL NOT NULL,"
    " top_p REAL NOT NULL, max_tokens INTEGER NOT NULL, method TEXT NOT NULL,"
    " UNIQUE(task, model_hash, prompts_hash, version, data_hash, temperature, top_p, max_tokens,"
    " method));"
    "CREATE TABLE items(run INTEGER NOT NULL, id TEXT NOT NULL, seq INTEGER PRIMARY KEY,"
    " body TEXT NOT NULL, UNIQUE(run, id));"
    "CREATE TABLE records(run INTEGER NOT NULL, item TEXT NOT NULL, arm TEXT NOT NULL,"
    " seed INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY(run, item, arm, seed)) WITHOUT ROWID;"
    "CREATE TABLE steps(key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 1;";

/* ---- errors, statements ----------------------------------------------------------------- */

static s2a_status failed(const eval_store *s, int code, s2a_error *err)
{
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return error_nomem(err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, S2A_IO,
                         "store %s: locked by another process; wait for it to end, or name another "
                         "file with --store",
                         s->path);
    case SQLITE_FULL:
        return error_set(err, S2A_IO,
                         "store %s: the disk is full; what was stored is safe: free space and run "
                         "the same command again",
                         s->path);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return error_set(err, S2A_IO,
                         "store %s: not a results file of s2a eval; name another file "
                         "with --store",
                         s->path);
    default:
        return error_set(err, S2A_IO, "store %s: %s; check the file and its directory", s->path,
                         s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
    }
}

static s2a_status run_sql(const eval_store *s, const char *sql, s2a_error *err)
{
    int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? S2A_OK : failed(s, code, err);
}

static s2a_status prepare(const eval_store *s, const char *sql, sqlite3_stmt **out, s2a_error *err)
{
    int code = sqlite3_prepare_v2(s->db, sql, -1, out, NULL);
    return code == SQLITE_OK ? S2A_OK : failed(s, code, err);
}

static int bind_text(sqlite3_stmt *q, int at, const char *text)
{
    return sqlite3_bind_text(q, at, text, -1, SQLITE_TRANSIENT);
}

/* Runs a statement that gives no rows, and frees it. */
static s2a_status finish(const eval_store *s, sqlite3_stmt *q, s2a_error *err)
{
    int code = sqlite3_step(q);
    s2a_status status = code == SQLITE_DONE || code == SQLITE_ROW ? S2A_OK : failed(s, code, err);
    sqlite3_finalize(q);
    return status;
}

/* ---- opening ---------------------------------------------------------------------------- */

static s2a_status layout_check(eval_store *s, s2a_error *err)
{
    sqlite3_stmt *q = NULL;
    s2a_status status = prepare(s, "PRAGMA user_version", &q, err);
    if (status != S2A_OK)
        return status;
    int code = sqlite3_step(q);
    int version = code == SQLITE_ROW ? sqlite3_column_int(q, 0) : -1;
    sqlite3_finalize(q);
    if (code != SQLITE_ROW)
        return failed(s, code, err);
    if (version == LAYOUT)
        return S2A_OK;
    if (version != 0)
        return error_set(err, S2A_IO,
                         "store %s: of another version of s2a (layout %d, ours is %d); name a new "
                         "file with --store",
                         s->path, version, LAYOUT);
    /* Two processes may both find an empty file: the second one waits, then sees the layout. */
    status = run_sql(s, "BEGIN IMMEDIATE", err);
    if (status != S2A_OK)
        return status;
    if (sqlite3_exec(s->db, layout_sql, NULL, NULL, NULL) == SQLITE_OK)
        return run_sql(s, "COMMIT", err);
    code = sqlite3_errcode(s->db);
    status = failed(s, code, err);
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    if (code == SQLITE_ERROR && prepare(s, "SELECT 1 FROM runs", &q, NULL) == S2A_OK) {
        sqlite3_finalize(q);
        return S2A_OK;
    }
    return status;
}

s2a_status eval_store_open(const char *path, eval_store **out, s2a_error *err)
{
    *out = NULL;
    eval_store *s = calloc(1, sizeof *s);
    char *name = bytes_dup(path, strlen(path));
    if (!s || !name || pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        free(name);
        return error_nomem(err);
    }
    s->path = name;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, &s->db, flags, NULL);
    s2a_status status = code == SQLITE_OK ? S2A_OK : failed(s, code, err);
    if (status == S2A_OK) {
        sqlite3_busy_timeout(s->db, BUSY_MS);
        status = run_sql(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", err);
    }
    if (status == S2A_OK)
        status = layout_check(s, err);
    if (status != S2A_OK) {
        eval_store_close(s);
        return status;
    }
    *out = s;
    return S2A_OK;
}

void eval_store_close(eval_store *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

/* ---- runs and items --------------------------------------------------------------------- */

static void bind_run(sqlite3_stmt *q, const eval_run *h, const char *data_hash, const char *method)
{
    bind_text(q, 1, h->task);
    bind_text(q, 2, h->model_hash);
    bind_text(q, 3, h->prompts_hash);
    bind_text(q, 4, h->version);
    bind_text(q, 5, data_hash);
    sqlite3_bind_double(q, 6, h->temperature);
    sqlite3_bind_double(q, 7, h->top_p);
    sqlite3_bind_int64(q, 8, h->max_tokens);
    bind_text(q, 9, method);
}

static s2a_status run_find(eval_store *s, const eval_run *h, const char *data_hash,
                           const char *method, int64_t *run, s2a_error *err)
{
    sqlite3_stmt *q = NULL;
    s2a_status status = prepare(
        s,
        "SELECT id FROM runs WHERE task = ?1 AND model_hash = ?2 AND prompts_hash = ?3 AND"
        " version = ?4 AND data_hash = ?5 AND temperature = ?6 AND top_p = ?7 AND max_tokens = ?8"
        " AND method = ?9",
        &q, err);
    if (status != S2A_OK)
        return status;
    bind_run(q, h, data_hash, method);
    int code = sqlite3_step(q);
    if (code == SQLITE_ROW)
        *run = sqlite3_column_int64(q, 0);
    else if (code != SQLITE_DONE)
        status = failed(s, code, err);
    sqlite3_finalize(q);
    return status;
}

s2a_status eval_store_run(eval_store *s, const eval_run *h, const char *data_hash,
                          const char *method, int64_t *run, s2a_error *err)
{
    sqlite3_stmt *q = NULL;
    *run = 0;
    pthread_mutex_lock(&s->lock);
    s2a_status status = run_find(s, h, data_hash, method, run, err);
    if (status == S2A_OK && *run == 0) {
        status = prepare(s,
                         "INSERT OR IGNORE INTO runs(task, model_hash, prompts_hash, version,"
                         " data_hash, temperature, top_p, max_tokens, method, model, data_name)"
                         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                         &q, err);
        if (status == S2A_OK) {
            bind_run(q, h, data_hash, method);
            bind_text(q, 10, h->model);
            bind_text(q, 11, h->data_name);
            status = finish(s, q, err);
        }
        if (status == S2A_OK)
            status = run_find(s, h, data_hash, method, run, err);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* json is taken over. */
static s2a_status put_body(eval_store *s, sqlite3_stmt *q, int at, json_t *json, s2a_error *err)
{
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!body) {
        sqlite3_finalize(q);
        return error_nomem(err);
    }
    bind_text(q, at, body);
    free(body);
    return finish(s, q, err);
}

s2a_status eval_store_add_items(eval_store *s, int64_t run, const eval_item *items, size_t count,
                                s2a_error *err)
{
    pthread_mutex_lock(&s->lock);
    s2a_status status = run_sql(s, "BEGIN IMMEDIATE", err);
    bool begun = status == S2A_OK;
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        sqlite3_stmt *q = NULL;
        status =
            prepare(s, "INSERT OR IGNORE INTO items(run, id, body) VALUES(?1, ?2, ?3)", &q, err);
        if (status != S2A_OK)
            break;
        sqlite3_bind_int64(q, 1, run);
        bind_text(q, 2, items[i].id);
        status = put_body(s, q, 3, eval_item_json(&items[i]), err);
    }
    if (status == S2A_OK)
        status = run_sql(s, "COMMIT", err);
    if (status != S2A_OK && begun)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* ---- records and steps ------------------------------------------------------------------ */

s2a_status eval_store_get(eval_store *s, int64_t run, const char *item, const char *arm,
                          uint32_t seed, eval_record *out, bool *found, s2a_error *err)
{
    sqlite3_stmt *q = NULL;
    *found = false;
    pthread_mutex_lock(&s->lock);
    s2a_status status = prepare(
        s, "SELECT body FROM records WHERE run = ?1 AND item = ?2 AND arm = ?3 AND seed = ?4", &q,
        err);
    if (status == S2A_OK) {
        sqlite3_bind_int64(q, 1, run);
        bind_text(q, 2, item);
        bind_text(q, 3, arm);
        sqlite3_bind_int64(q, 4, seed);
        int code = sqlite3_step(q);
        if (code == SQLITE_ROW) {
            json_t *body = json_loads((const char *)sqlite3_column_text(q, 0), 0, NULL);
            *found = eval_record_from_json(body, out);
            json_decref(body);
            if (!*found) {
                eval_record_free(out);
                status = error_set(err, S2A_IO, "store %s: the record of %s, %s cannot be read",
                                   s->path, item, arm);
            }
        } else if (code != SQLITE_DONE) {
            status = failed(s, code, err);
        }
        sqlite3_finalize(q);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

s2a_status eval_store_put(eval_store *s, int64_t run, const eval_record *r, s2a_error *err)
{
    sqlite3_stmt *q = NULL;
    pthread_mutex_lock(&s->lock);
    s2a_status status = prepare(s,
                                "INSERT OR REPLACE INTO records(run, item, arm, seed, body)"
                                " VALUES(?1, ?2, ?3, ?4, ?5)",
                                &q, err);
    if (status == S2A_OK) {
        sqlite3_bind_int64(q, 1, run);
        bind_text(q, 2, r->item);
        bind_text(q, 3, r->arm);
        sqlite3_bind_int64(q, 4, r->seed);
        status = put_body(s, q, 5, eval_record_json(r), err);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

s2a_status eval_store_step_get(eval_store *s, const char *key, char **text, s2a_error *err)
{
    sqlite3_stmt *q = NULL;
    *text = NULL;
    pthread_mutex_lock(&s->lock);
    s2a_status status = prepare(s, "SELECT body FROM steps WHERE key = ?1", &q, err);
    if (status == S2A_OK) {
        bind_text(q, 1, key);
        int code = sqlite3_step(q);
        if (code == SQLITE_ROW) {
            *text = bytes_dup((const char *)sqlite3_column_text(q, 0),
                              (size_t)sqlite3_column_bytes(q, 0));
            if (!*text)
                status = error_nomem(err);
        } else if (code != SQLITE_DONE) {
            status = failed(s, code, err);
        }
        sqlite3_finalize(q);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

s2a_status eval_store_step_put(eval_store *s, const char *key, const char *text, s2a_error *err)
{
    sqlite3_stmt *q = NULL;
    pthread_mutex_lock(&s->lock);
    s2a_status status =
        prepare(s, "INSERT OR REPLACE INTO steps(key, body) VALUES(?1, ?2)", &q, err);
    if (status == S2A_OK) {
        bind_text(q, 1, key);
        bind_text(q, 2, text);
        status = finish(s, q, err);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* ---- loading ---------------------------------------------------------------------------- */

typedef struct loading {
    eval_store *s;
    const char *const *order;
    size_t order_count;
    s2a_error *err;
    json_t *index; /* of the run at hand: item id to number */
} loading;

static size_t arm_rank(const loading *l, const char *arm)
{
    size_t i = 0;
    while (i < l->order_count && strcmp(l->order[i], arm) != 0)
        i++;
    return i;
}

static char *column(sqlite3_stmt *q, int at)
{
    return bytes_dup((const char *)sqlite3_column_text(q, at), (size_t)sqlite3_column_bytes(q, at));
}

static s2a_status corrupt(const loading *l, const char *what)
{
    return error_set(l->err, S2A_IO, "store %s: %s cannot be read; the file is damaged", l->s->path,
                     what);
}

static s2a_status load_items(loading *l, int64_t id, eval_run *run)
{
    sqlite3_stmt *q = NULL;
    size_t cap = 0;
    s2a_status status =
        prepare(l->s, "SELECT body FROM items WHERE run = ?1 ORDER BY seq", &q, l->err);
    if (status != S2A_OK)
        return status;
    sqlite3_bind_int64(q, 1, id);
    int code;
    while (status == S2A_OK && (code = sqlite3_step(q)) != SQLITE_DONE) {
        if (code != SQLITE_ROW) {
            status = failed(l->s, code, l->err);
            break;
        }
        if (!array_reserve((void **)&run->items, &cap, run->item_count + 1, sizeof *run->items)) {
            status = error_nomem(l->err);
            break;
        }
        json_t *body = json_loads((const char *)sqlite3_column_text(q, 0), 0, NULL);
        eval_item *item = &run->items[run->item_count];
        if (!eval_item_from_json(body, item)) {
            eval_item_free(item);
            status = corrupt(l, "an item");
        } else {
            json_object_set_new(l->index, item->id, json_integer((json_int_t)run->item_count));
            run->item_count++;
        }
        json_decref(body);
    }
    sqlite3_finalize(q);
    return status;
}

static s2a_status arms_note(loading *l, eval_run *run, const char *arm)
{
    size_t at = 0;
    while (at < run->arm_count && strcmp(run->arms[at], arm) != 0)
        at++;
    if (at < run->arm_count)
        return S2A_OK;
    char **grown = realloc(run->arms, (run->arm_count + 1) * sizeof *grown);
    char *name = bytes_dup(arm, strlen(arm));
    if (grown)
        run->arms = grown;
    if (!grown || !name) {
        free(name);
        return error_nomem(l->err);
    }
    for (at = run->arm_count; at > 0 && arm_rank(l, run->arms[at - 1]) > arm_rank(l, arm); at--)
        run->arms[at] = run->arms[at - 1];
    run->arms[at] = name;
    run->arm_count++;
    return S2A_OK;
}

typedef struct record_key {
    json_int_t item;
    size_t arm;
    size_t at;
    uint32_t seed;
} record_key;

static int key_order(const void *a, const void *b)
{
    const record_key *p = a, *q = b;
    if (p->item != q->item)
        return p->item < q->item ? -1 : 1;
    if (p->arm != q->arm)
        return p->arm < q->arm ? -1 : 1;
    return p->seed < q->seed ? -1 : p->seed > q->seed;
}

static s2a_status records_sort(loading *l, eval_run *run)
{
    size_t n = run->record_count;
    record_key *keys = calloc(n + 1, sizeof *keys);
    eval_record *sorted = calloc(n + 1, sizeof *sorted);
    if (!keys || !sorted) {
        free(keys);
        free(sorted);
        return error_nomem(l->err);
    }
    for (size_t i = 0; i < n; i++) {
        const eval_record *r = &run->records[i];
        keys[i] = (record_key){ json_integer_value(json_object_get(l->index, r->item)),
                                arm_rank(l, r->arm), i, r->seed };
    }
    qsort(keys, n, sizeof *keys, key_order);
    for (size_t i = 0; i < n; i++)
        sorted[i] = run->records[keys[i].at];
    free(keys);
    free(run->records);
    run->records = sorted;
    return S2A_OK;
}

static s2a_status load_records(loading *l, int64_t id, eval_run *run)
{
    sqlite3_stmt *q = NULL;
    size_t cap = 0;
    s2a_status status = prepare(
        l->s, "SELECT body FROM records WHERE run = ?1 ORDER BY item, arm, seed", &q, l->err);
    if (status != S2A_OK)
        return status;
    sqlite3_bind_int64(q, 1, id);
    int code;
    while (status == S2A_OK && (code = sqlite3_step(q)) != SQLITE_DONE) {
        if (code != SQLITE_ROW) {
            status = failed(l->s, code, l->err);
            break;
        }
        if (!array_reserve((void **)&run->records, &cap, run->record_count + 1,
                           sizeof *run->records)) {
            status = error_nomem(l->err);
            break;
        }
        json_t *body = json_loads((const char *)sqlite3_column_text(q, 0), 0, NULL);
        eval_record *record = &run->records[run->record_count];
        if (!eval_record_from_json(body, record)) {
            eval_record_free(record);
            status = corrupt(l, "a record");
        } else if (json_object_get(l->index, record->item)) {
            run->record_count++;
            status = arms_note(l, run, record->arm);
        } else {
            eval_record_free(record);
        }
        json_decref(body);
    }
    sqlite3_finalize(q);
    return status == S2A_OK ? records_sort(l, run) : status;
}

static s2a_status load_run(loading *l, sqlite3_stmt *q, eval_run *run)
{
    int64_t id = sqlite3_column_int64(q, 0);
    run->task = column(q, 1);
    run->model = column(q, 2);
    run->model_hash = column(q, 3);
    run->prompts_hash = column(q, 4);
    run->version = column(q, 5);
    run->data_name = column(q, 6);
    run->temperature = sqlite3_column_double(q, 7);
    run->top_p = sqlite3_column_double(q, 8);
    run->max_tokens = (uint32_t)sqlite3_column_int64(q, 9);
    l->index = json_object();
    if (!run->task || !run->model || !run->model_hash || !run->prompts_hash || !run->version ||
        !run->data_name || !l->index)
        return error_nomem(l->err);
    s2a_status status = load_items(l, id, run);
    if (status == S2A_OK)
        status = load_records(l, id, run);
    json_decref(l->index);
    l->index = NULL;
    return status;
}

s2a_status eval_store_load(eval_store *s, const char *const *order, size_t order_count,
                           eval_run **runs, size_t *count, s2a_error *err)
{
    loading l = { .s = s, .order = order, .order_count = order_count, .err = err };
    sqlite3_stmt *q = NULL;
    size_t cap = 0;
    *runs = NULL;
    *count = 0;
    pthread_mutex_lock(&s->lock);
    s2a_status status = prepare(
        s,
        "SELECT id, task, model, model_hash, prompts_hash, version, data_name, temperature, top_p,"
        " max_tokens FROM runs WHERE id IN (SELECT run FROM records) ORDER BY id",
        &q, err);
    int code;
    while (status == S2A_OK && (code = sqlite3_step(q)) != SQLITE_DONE) {
        if (code != SQLITE_ROW) {
            status = failed(s, code, err);
        } else if (!array_reserve((void **)runs, &cap, *count + 1, sizeof **runs)) {
            status = error_nomem(err);
        } else {
            (*runs)[*count] = (eval_run){ 0 };
            status = load_run(&l, q, &(*runs)[(*count)++]);
        }
    }
    sqlite3_finalize(q);
    json_decref(l.index);
    pthread_mutex_unlock(&s->lock);
    if (status != S2A_OK) {
        for (size_t i = 0; i < *count; i++)
            eval_run_free(&(*runs)[i]);
        free(*runs);
        *runs = NULL;
        *count = 0;
    }
    return status;
}
