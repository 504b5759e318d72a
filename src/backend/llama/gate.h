/* A fair mutex: threads enter in order of arrival, and a waiting thread can give up. */
#ifndef S2A_GATE_H
#define S2A_GATE_H

#include <pthread.h>
#include <stdbool.h>

typedef struct gate_waiter gate_waiter;

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    gate_waiter *first, *last; /* waiting threads, in order; each is on its thread's stack */
    bool busy;
} gate;

/* False if the system has no more mutexes; then there is nothing to destroy. */
bool gate_init(gate *g);
void gate_destroy(gate *g);

/* Waits for the caller's turn and returns true; the caller then calls gate_leave. give_up is called
 * on arrival and every 20 ms, without a lock; when it returns true, gate_enter returns false, and
 * gate_leave must not be called. */
bool gate_enter(gate *g, bool (*give_up)(void *ctx), void *ctx);
void gate_leave(gate *g);

#endif
