/* A door for one at a time, in the order of arrival, that nobody has to wait at for ever. */
#ifndef S2A_GATE_H
#define S2A_GATE_H

#include <pthread.h>
#include <stdbool.h>

typedef struct gate_waiter gate_waiter;

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    gate_waiter *first, *last; /* who waits, in order; they stand on their threads' stacks */
    bool busy;
} gate;

/* False when the system has no more mutexes; there is then nothing to destroy. */
bool gate_init(gate *g);
void gate_destroy(gate *g);

/* Returns true when it is the caller's turn; gate_leave ends it. give_up is asked on arrival and
 * every 20 ms, without any lock; once it says true gate_enter returns false, and there is nothing
 * to leave. */
bool gate_enter(gate *g, bool (*give_up)(void *ctx), void *ctx);
void gate_leave(gate *g);

#endif
