/* A mutex and a condition whose waits run on the monotonic clock: a step of the wall's would stretch
 * or cut them. */
#ifndef S2A_CONDITION_H
#define S2A_CONDITION_H

#include <pthread.h>
#include <stdbool.h>

/* False when the system has no more of them; there is then nothing to destroy. */
bool condition_init(pthread_mutex_t *lock, pthread_cond_t *changed);
void condition_destroy(pthread_mutex_t *lock, pthread_cond_t *changed);

/* Until it is signalled, or for 20 ms: time to see whether one was cancelled. The lock is held. */
void condition_wait(pthread_mutex_t *lock, pthread_cond_t *changed);

#endif
