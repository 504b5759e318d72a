#include "core/vocab.h"

#include "base/fnv.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define START_SIZE ((size_t)64)

bool vocab_init(vocab *v)
{
    *v = (vocab){ .table_size = START_SIZE };
    buf_init(&v->keys, LIMIT_NONE);
    v->table = calloc(v->table_size, sizeof *v->table);
    /* Addresses differ from run to run; numbers do not depend on the hash. */
    v->seed = (uint64_t)(uintptr_t)v->table * 0x9e3779b97f4a7c15u;
    return v->table != NULL;
}

void vocab_free(vocab *v)
{
    buf_free(&v->keys);
    free(v->entries);
    free(v->table);
    *v = (vocab){ 0 };
}

static uint32_t hash_of(const vocab *v, const char *word, size_t len)
{
    uint64_t h = fnv_add(FNV_START ^ v->seed, word, len);
    return (uint32_t)(h ^ (h >> 32));
}

static size_t next_to(const vocab *v, size_t at)
{
    return (at + 1) & (v->table_size - 1);
}

/* Where the word is in the table, or the free place where it belongs. */
static size_t place_of(const vocab *v, uint32_t hash, const char *word, size_t len)
{
    size_t at = hash & (v->table_size - 1);
    for (; v->table[at].number; at = next_to(v, at)) {
        if (v->table[at].hash != hash)
            continue;
        s2a_span entry = v->entries[v->table[at].number - 1];
        if (entry.end - entry.start == len &&
            (len == 0 || !memcmp(v->keys.data + entry.start, word, len)))
            break;
    }
    return at;
}

static bool grow(vocab *v)
{
    vocab_slot *old = v->table, *larger = calloc(v->table_size * 2, sizeof *larger);
    size_t old_size = v->table_size;
    if (!larger)
        return false;
    v->table = larger;
    v->table_size *= 2;
    for (size_t i = 0; i < old_size; i++) {
        if (!old[i].number)
            continue;
        size_t at = old[i].hash & (v->table_size - 1);
        while (larger[at].number)
            at = next_to(v, at);
        larger[at] = old[i];
    }
    free(old);
    return true;
}

bool vocab_id(vocab *v, const char *word, size_t len, uint32_t *id)
{
    uint32_t hash = hash_of(v, word, len);
    size_t at = place_of(v, hash, word, len);
    if (v->table[at].number) {
        *id = v->table[at].number - 1;
        return true;
    }
    void *entries = v->entries;
    if (!array_reserve(&entries, &v->cap, v->count + 1, sizeof *v->entries))
        return false;
    v->entries = entries;
    size_t start = v->keys.len;
    buf_add(&v->keys, word, len);
    if (v->keys.status != S2A_OK)
        return false;
    v->entries[v->count] = (s2a_span){ start, v->keys.len };
    *id = (uint32_t)v->count++;
    v->table[at] = (vocab_slot){ hash, *id + 1 };
    return v->count * 2 <= v->table_size || grow(v);
}

bool vocab_has(const vocab *v, const char *word, size_t len)
{
    return v->table[place_of(v, hash_of(v, word, len), word, len)].number != 0;
}
