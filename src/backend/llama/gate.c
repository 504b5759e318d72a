#include "gate.h"

#include "condition.h"

#include <stddef.h>

struct gate_waiter {
    gate_waiter *next;
};

bool gate_init(gate *g)
{
    g->first = g->last = NULL;
    g->busy = false;
    return condition_init(&g->lock, &g->changed);
}

void gate_destroy(gate *g)
{
    condition_destroy(&g->lock, &g->changed);
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
        /* After a wake-up, by gate_leave or by the clock, the loop checks again. */
        condition_wait(&g->lock, &g->changed);
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
