/* Which steps are being made: several items may come to the same step at once (the oracle's answer to
 * four variants of one prompt), and it is to be made once. All functions are thread-safe. */
#ifndef S2A_EVAL_CLAIMS_H
#define S2A_EVAL_CLAIMS_H

typedef struct claims claims;

/* NULL when memory is out. */
claims *claims_new(void);
/* Nobody may hold or wait for a claim. */
void claims_free(claims *c);

/* One thread's claim on a key; on its stack until it is given back. */
typedef struct claim {
    const char *key;
    struct claim *next;
} claim;

/* Waits until nobody else holds the key, which must live until claims_leave. */
void claims_enter(claims *c, claim *mine, const char *key);
void claims_leave(claims *c, claim *mine);

#endif
