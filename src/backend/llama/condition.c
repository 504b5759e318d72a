#include "condition.h"

#include <time.h>

#define LOOK_NS 20000000L

bool condition_init(pthread_mutex_t *lock, pthread_cond_t *changed)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(changed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (ok && pthread_mutex_init(lock, NULL) != 0) {
        pthread_cond_destroy(changed);
        ok = false;
    }
    return ok;
}

void condition_destroy(pthread_mutex_t *lock, pthread_cond_t *changed)
{
    pthread_mutex_destroy(lock);
    pthread_cond_destroy(changed);
}

void condition_wait(pthread_mutex_t *lock, pthread_cond_t *changed)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_NS;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(changed, lock, &until);
}
