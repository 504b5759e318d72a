/* What was said of texts lately, in memory: a conversation is sent again with every turn, and what
 * its earlier messages say of themselves does not change. The oldest use goes
 * first. Thread-safe. */
#ifndef S2A_MEMO_H
#define S2A_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct memo memo;

/* 128 bits: no two texts of a life time share one by chance. Whoever chooses texts so that they do
 * harms the judgement of texts of their own choosing. */
typedef struct memo_key {
    uint64_t a, b;
    uint64_t len;
} memo_key;

#define MEMO_KEY_START                                                  \
    {                                                                   \
        UINT64_C(14695981039346656037), UINT64_C(0x9e3779b97f4a7c15), 0 \
    }

/* Of at most so many numbers in all; NULL when out of memory. */
memo *memo_new(size_t numbers);
void memo_free(memo *m);

void memo_key_add(memo_key *key, const void *data, size_t len);

/* True: out[count] is what was kept under the key. */
bool memo_get(memo *m, const memo_key *key, double *out, size_t count);
/* Does nothing when it cannot. */
void memo_put(memo *m, const memo_key *key, const double *values, size_t count);

#endif
