#include "gate.h"

#include <stddef.h>
#include <time.h>

#define LOOK_NS 20000000L

struct gate_waiter {
    gate_waiter *next;
};

bool gate_init(gate *g)
{
    pthread_condattr_t attributes;
    g->first = g->last = NULL;
    g->busy = false;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    /* The default clock is the wall's, and a step of it would stretch or cut a wait. */
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&g->changed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (ok && pthread_mutex_init(&g->lock, NULL) != 0) {
        pthread_cond_destroy(&g->changed);
        ok = false;
    }
    return ok;
}

void gate_destroy(gate *g)
{
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
}

static void unlink_waiter(gate *g, const gate_waiter *me)
{
    gate_waiter *before = NULL;
    for (gate_waiter *w = g->first; w != me; w = w->next)
        before = w;
    if (before)
        before->next = me->next;
    else
        g->first = me->next;
    if (g->last == me)
        g->last = before;
}

bool gate_enter(gate *g, bool (*give_up)(void *ctx), void *ctx)
{
    gate_waiter me = { NULL };
    pthread_mutex_lock(&g->lock);
    if (g->last)
        g->last->next = &me;
    else
        g->first = &me;
    g->last = &me;
    bool mine = false, gone = false;
    while (!mine && !gone) {
        pthread_mutex_unlock(&g->lock);
        gone = give_up(ctx);
        pthread_mutex_lock(&g->lock);
        mine = !gone && !g->busy && g->first == &me;
        if (mine || gone)
            break;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_NS;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        /* Woken by gate_leave or by the clock, the loop finds out by looking. */
        pthread_cond_timedwait(&g->changed, &g->lock, &until);
    }
    unlink_waiter(g, &me);
    if (mine)
        g->busy = true;
    else
        pthread_cond_broadcast(&g->changed); /* the next one may be first now */
    pthread_mutex_unlock(&g->lock);
    return mine;
}

void gate_leave(gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->busy = false;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}
