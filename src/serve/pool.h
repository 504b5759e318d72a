/* Worker threads with a queue that has an end. */
#ifndef S2A_SERVE_POOL_H
#define S2A_SERVE_POOL_H

#include "s2a.h"

#include <stdatomic.h>

typedef struct pool pool;
typedef void (*pool_fn)(void *job);

/* queued and working, which may be NULL, are kept up to date. NULL when no thread starts. */
pool *pool_start(size_t threads, size_t queue, pool_fn run, atomic_int *queued,
                 atomic_int *working);
/* False: the queue is full, or the pool is ending; the job stays the caller's. */
bool pool_submit(pool *p, void *job);
/* Runs what is queued, takes nothing more, and waits. */
void pool_stop(pool *p);

#endif
