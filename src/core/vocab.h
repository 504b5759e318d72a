/* A set of words (any bytes), each with a number: 0, 1, 2 ... in the order of their addition. */
#ifndef S2A_VOCAB_H
#define S2A_VOCAB_H

#include "base/buf.h"

/* The hash spares a look at the word, which millions of words have far away in memory. */
typedef struct vocab_slot {
    uint32_t hash, number; /* number: id + 1, 0 = free */
} vocab_slot;

typedef struct vocab {
    buf keys;          /* every distinct word */
    s2a_span *entries; /* id -> key */
    size_t count, cap;
    vocab_slot *table; /* open addressing */
    size_t table_size;
    uint64_t seed; /* of the hash, so that no text can make all its words collide */
} vocab;

/* False when out of memory. Always call vocab_free. For one thread. */
bool vocab_init(vocab *v);
void vocab_free(vocab *v);

/* The number of a word, which is added when it is new. False when out of memory. */
bool vocab_id(vocab *v, const char *word, size_t len, uint32_t *id);
bool vocab_has(const vocab *v, const char *word, size_t len);

#endif
