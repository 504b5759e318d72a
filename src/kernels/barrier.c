/* The threads of a decode wait for each other here, after nearly every one of its thousand
 * operations. ggml's barrier spins until all have arrived. If another process takes one thread's
 * processor, the others spin through their time slices, and that thread cannot run: on two busy
 * processors a decode takes a hundred times as long. Our barrier spins for a while, then sleeps,
 * and so leaves the processor to that thread.
 *
 * The spinning time is learned. A wait that ends while spinning makes the next ones longer, up to
 * half a millisecond: chunks of a large product may end that far apart. Other waits halve it. */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/kernels.h"

#define SPINS_MAX 16384 /* about half a millisecond */
#define SPINS_MIN 64
#define SPINS_MORE 64 /* added after a wait that ended while spinning */

/* The beginning of ggml's struct, in ggml-cpu.c. */
struct ggml_threadpool {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct ggml_cgraph *cgraph;
    struct ggml_cplan *cplan;
    atomic_int n_graph; /* in the lower half: threads of this decode */
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_int passed;
};
#define THREADS_MASK 0xffff

static atomic_int sleepers; /* sleeping threads of all pools */
static atomic_int patience = SPINS_MAX;

static void sleep_while(atomic_int *value, int is)
{
    syscall(SYS_futex, value, FUTEX_WAIT_PRIVATE, is, NULL, NULL, 0);
}

static void wake_all(atomic_int *value)
{
    syscall(SYS_futex, value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static bool spin_while(atomic_int *value, int is)
{
    int spins = atomic_load_explicit(&patience, memory_order_relaxed);
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(value, memory_order_acquire) != is) {
            if (spins < SPINS_MAX)
                atomic_store_explicit(&patience, spins + SPINS_MORE, memory_order_relaxed);
            return true;
        }
        __builtin_ia32_pause();
    }
    atomic_store_explicit(&patience, spins / 2 > SPINS_MIN ? spins / 2 : SPINS_MIN,
                          memory_order_relaxed);
    return false;
}

/* A sleeper counts itself before the kernel checks the value. The last thread changes the value
 * before it checks the count. So one of the two sees the other. */
void ggml_barrier(struct ggml_threadpool *pool)
{
    int threads = atomic_load_explicit(&pool->n_graph, memory_order_relaxed) & THREADS_MASK;
    if (threads == 1)
        return;
    int passed = atomic_load_explicit(&pool->passed, memory_order_relaxed);
    if (atomic_fetch_add(&pool->arrived, 1) == threads - 1) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        atomic_fetch_add(&pool->passed, 1);
        if (atomic_load(&sleepers) > 0)
            wake_all(&pool->passed);
        return;
    }
    if (!spin_while(&pool->passed, passed)) {
        atomic_fetch_add(&sleepers, 1);
        while (atomic_load(&pool->passed) == passed)
            sleep_while(&pool->passed, passed);
        atomic_fetch_sub(&sleepers, 1);
    }
}
