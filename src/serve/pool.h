/* Worker threads with a bounded queue. */
#ifndef S2A_SERVE_POOL_H
#define S2A_SERVE_POOL_H

#include "s2a.h"

#include <stdatomic.h>

typedef struct pool pool;
typedef void (*pool_fn)(void *job);

/* Keeps *queued and *working up to date; both may be NULL. NULL if no thread could be started. */
pool *pool_start(size_t threads, size_t queue, pool_fn run, atomic_int *queued,
                 atomic_int *working);
/* False if the queue is full or the pool is stopping; the job stays the caller's. */
bool pool_submit(pool *p, void *job);
/* Runs the queued jobs, accepts no more, and waits for the threads. */
void pool_stop(pool *p);

#endif
