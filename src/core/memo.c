#include "core/memo.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 256

typedef struct slot {
    memo_key key;
    double *values; /* NULL = empty */
    size_t count;
    uint64_t used;
} slot;

struct memo {
    pthread_mutex_t lock; /* protects all fields below */
    slot slots[SLOTS];
    size_t numbers, most;
    uint64_t clock;
};

memo *memo_new(size_t numbers)
{
    memo *m = calloc(1, sizeof *m);
    if (!m || pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m);
        return NULL;
    }
    m->most = numbers;
    return m;
}

void memo_free(memo *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        free(m->slots[i].values);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* Two independent hashes: FNV-1a, and multiply-and-rotate. */
void memo_key_add(memo_key *key, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++) {
        key->a = (key->a ^ bytes[i]) * UINT64_C(1099511628211);
        key->b = (key->b + bytes[i]) * UINT64_C(0xd6e8feb86659fd93);
        key->b ^= key->b >> 29;
    }
    key->len += len;
}

static bool same(const memo_key *a, const memo_key *b)
{
    return a->a == b->a && a->b == b->b && a->len == b->len;
}

bool memo_get(memo *m, const memo_key *key, double *out, size_t count)
{
    bool found = false;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < SLOTS && !found; i++) {
        slot *s = &m->slots[i];
        found = s->values && s->count == count && same(&s->key, key);
        if (found) {
            memcpy(out, s->values, count * sizeof *out);
            s->used = ++m->clock;
        }
    }
    pthread_mutex_unlock(&m->lock);
    return found;
}

static void drop(memo *m, slot *s)
{
    m->numbers -= s->count;
    free(s->values);
    *s = (slot){ .values = NULL };
}

/* Returns an empty slot with room for `count` numbers; removes the oldest entries for it. */
static slot *room(memo *m, size_t count)
{
    for (;;) {
        slot *empty = NULL, *oldest = NULL;
        for (size_t i = 0; i < SLOTS; i++) {
            slot *s = &m->slots[i];
            if (!s->values)
                empty = s;
            else if (!oldest || s->used < oldest->used)
                oldest = s;
        }
        if (empty && m->numbers + count <= m->most)
            return empty;
        if (!oldest)
            return NULL;
        drop(m, oldest);
    }
}

void memo_put(memo *m, const memo_key *key, const double *values, size_t count)
{
    double *copy = count > 0 && count <= m->most ? malloc(count * sizeof *copy) : NULL;
    if (!copy)
        return;
    memcpy(copy, values, count * sizeof *copy);
    pthread_mutex_lock(&m->lock);
    slot *s = room(m, count);
    if (s) {
        *s = (slot){ .key = *key, .values = copy, .count = count, .used = ++m->clock };
        m->numbers += count;
        copy = NULL;
    }
    pthread_mutex_unlock(&m->lock);
    free(copy);
}
