/* Locks for running steps, by key: several items may need the same step at once (the oracle's
 * answer to four variants of one prompt), and it should run once. All functions are thread-safe. */
#ifndef S2A_EVAL_CLAIMS_H
#define S2A_EVAL_CLAIMS_H

typedef struct claims claims;

/* NULL when out of memory. */
claims *claims_new(void);
/* No thread may hold or wait for a claim. */
void claims_free(claims *c);

/* One thread's claim on a key, on its stack until claims_leave. */
typedef struct claim {
    const char *key;
    struct claim *next;
} claim;

/* Waits until no other thread holds the key. The key must live until claims_leave. */
void claims_enter(claims *c, claim *mine, const char *key);
void claims_leave(claims *c, claim *mine);

#endif
