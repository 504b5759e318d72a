/* A mutex and a condition whose waits use the monotonic clock, so that a change of the wall clock
 * does not affect them. */
#ifndef S2A_CONDITION_H
#define S2A_CONDITION_H

#include <pthread.h>
#include <stdbool.h>

/* False if the system has no more mutexes or conditions; then there is nothing to destroy. */
bool condition_init(pthread_mutex_t *lock, pthread_cond_t *changed);
void condition_destroy(pthread_mutex_t *lock, pthread_cond_t *changed);

/* Waits for a signal, at most 20 ms; then callers check whether they are cancelled. Call it with
 * the lock held. */
void condition_wait(pthread_mutex_t *lock, pthread_cond_t *changed);

#endif
