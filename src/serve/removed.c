#include "serve/removed.h"

#include "base/sha256.h"
#include "serve/serve_limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    char id[REMOVED_ID_SIZE];
    char owner[SHA256_HEX_SIZE]; /* of the key; "" = none */
    char *text;                  /* NULL = empty */
    size_t len, after;           /* after: of the chain; NOWHERE = its end */
} entry;

#define NOWHERE SIZE_MAX

/* A ring: next is the oldest entry, which is replaced first. Each bucket of ids has a chain of
 * entries. */
struct removed_store {
    pthread_mutex_t lock;
    size_t count, next, bytes;
    size_t *chains; /* count of them */
    entry entries[];
};

/* The chain of an id, which is the beginning of a hash. An invalid id is in no chain. */
static size_t *chain_of(removed_store *store, const char *id)
{
    return &store->chains[strtoull(id, NULL, 16) % store->count];
}

removed_store *removed_new(size_t count)
{
    removed_store *store = calloc(1, sizeof *store + count * sizeof *store->entries);
    size_t *chains = malloc(count * sizeof *chains);
    if (!store || !chains || pthread_mutex_init(&store->lock, NULL) != 0) {
        free(chains);
        free(store);
        return NULL;
    }
    store->count = count;
    store->chains = chains;
    for (size_t i = 0; i < count; i++)
        chains[i] = NOWHERE;
    return store;
}

static void drop(removed_store *store, entry *e)
{
    if (!e->text)
        return;
    size_t *at = chain_of(store, e->id);
    while (&store->entries[*at] != e)
        at = &store->entries[*at].after;
    *at = e->after;
    store->bytes -= e->len;
    free(e->text);
    *e = (entry){ .text = NULL };
}

void removed_free(removed_store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->count; i++)
        drop(store, &store->entries[i]);
    pthread_mutex_destroy(&store->lock);
    free(store->chains);
    free(store);
}

bool removed_id(const char *text, size_t len, char id[REMOVED_ID_SIZE])
{
    char hex[SHA256_HEX_SIZE];
    if (sha256_bytes(text, len, hex, NULL) != S2A_OK)
        return false;
    memcpy(id, hex, REMOVED_ID_SIZE - 1);
    id[REMOVED_ID_SIZE - 1] = '\0';
    return true;
}

static bool owner_of(const char *key, char owner[SHA256_HEX_SIZE])
{
    *owner = '\0';
    return !key || sha256_bytes(key, strlen(key), owner, NULL) == S2A_OK;
}

/* Under the lock. */
static entry *find(removed_store *store, const char *owner, const char *id)
{
    for (size_t i = *chain_of(store, id); i != NOWHERE; i = store->entries[i].after) {
        entry *e = &store->entries[i];
        if (!strcmp(e->id, id) && !strcmp(e->owner, owner))
            return e;
    }
    return NULL;
}

void removed_put(removed_store *store, const char *owner, const char *text, size_t len)
{
    entry fresh = { .len = len };
    if (len > SERVE_REMOVED_BYTES || !removed_id(text, len, fresh.id) ||
        !owner_of(owner, fresh.owner))
        return;
    fresh.text = malloc(len + 1);
    if (!fresh.text)
        return;
    memcpy(fresh.text, text, len);
    fresh.text[len] = '\0';
    pthread_mutex_lock(&store->lock);
    if (find(store, fresh.owner, fresh.id)) {
        free(fresh.text);
    } else {
        size_t at = store->next;
        drop(store, &store->entries[at]);
        store->next = (at + 1) % store->count;
        for (size_t i = store->next; store->bytes + len > SERVE_REMOVED_BYTES;
             i = (i + 1) % store->count)
            drop(store, &store->entries[i]);
        size_t *chain = chain_of(store, fresh.id);
        fresh.after = *chain;
        *chain = at;
        store->entries[at] = fresh;
        store->bytes += len;
    }
    pthread_mutex_unlock(&store->lock);
}

char *removed_get(removed_store *store, const char *owner, const char *id, size_t *len)
{
    char of[SHA256_HEX_SIZE], *copy = NULL;
    *len = 0;
    if (!owner_of(owner, of))
        return NULL;
    pthread_mutex_lock(&store->lock);
    const entry *e = find(store, of, id);
    if (e)
        copy = malloc(e->len + 1);
    if (copy) {
        memcpy(copy, e->text, e->len + 1);
        *len = e->len;
    }
    pthread_mutex_unlock(&store->lock);
    return copy;
}
