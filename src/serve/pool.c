#include "serve/pool.h"

#include "serve/serve_limits.h"

#include <pthread.h>
#include <stdlib.h>

struct pool {
    pool_fn run;
    pthread_mutex_t lock;
    pthread_cond_t more;
    void **jobs; /* a ring */
    size_t cap, first, count;
    pthread_t *threads;
    size_t thread_count;
    bool ending;
    atomic_int *queued, *working;
};

static void add(atomic_int *counter, int n)
{
    if (counter)
        atomic_fetch_add(counter, n);
}

static void *work(void *ctx)
{
    pool *p = ctx;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->count == 0 && !p->ending)
            pthread_cond_wait(&p->more, &p->lock);
        if (p->count == 0)
            break;
        void *job = p->jobs[p->first];
        p->first = (p->first + 1) % p->cap;
        p->count--;
        pthread_mutex_unlock(&p->lock);
        add(p->queued, -1);
        add(p->working, 1);
        p->run(job);
        add(p->working, -1);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

pool *pool_start(size_t threads, size_t queue, pool_fn run, atomic_int *queued, atomic_int *working)
{
    pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->run = run;
    p->queued = queued;
    p->working = working;
    p->cap = queue ? queue : 1;
    p->jobs = calloc(p->cap, sizeof *p->jobs);
    p->threads = calloc(threads, sizeof *p->threads);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SERVE_THREAD_STACK);
    while (p->jobs && p->threads && p->thread_count < threads &&
           pthread_create(&p->threads[p->thread_count], &attributes, work, p) == 0)
        p->thread_count++;
    pthread_attr_destroy(&attributes);
    if (p->thread_count < threads) {
        pool_stop(p);
        return NULL;
    }
    return p;
}

bool pool_submit(pool *p, void *job)
{
    pthread_mutex_lock(&p->lock);
    bool ok = p->count < p->cap && !p->ending;
    if (ok) {
        p->jobs[(p->first + p->count) % p->cap] = job;
        p->count++;
        add(p->queued, 1);
        pthread_cond_signal(&p->more);
    }
    pthread_mutex_unlock(&p->lock);
    return ok;
}

void pool_stop(pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p->jobs);
    free(p);
}
