/* Recent log-odds of texts, in memory: a client sends a conversation again with each new message,
 * and the scores of earlier messages do not change. Removes the least recently used first.
 * Thread-safe. */
#ifndef S2A_MEMO_H
#define S2A_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct memo memo;

/* 128 bits: two texts never share a key by chance. A caller that constructs such texts only harms
 * the scores of these texts. */
typedef struct memo_key {
    uint64_t a, b;
    uint64_t len;
} memo_key;

#define MEMO_KEY_START                                                  \
    {                                                                   \
        UINT64_C(14695981039346656037), UINT64_C(0x9e3779b97f4a7c15), 0 \
    }

/* Stores at most this many numbers in total. NULL when out of memory. */
memo *memo_new(size_t numbers);
void memo_free(memo *m);

void memo_key_add(memo_key *key, const void *data, size_t len);

/* True: out[count] has the values stored under the key. */
bool memo_get(memo *m, const memo_key *key, double *out, size_t count);
/* Stores nothing if memory or room is lacking. */
void memo_put(memo *m, const memo_key *key, const double *values, size_t count);

#endif
