#include "eval/claims.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct claims {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    claim *first; /* in no order */
};

claims *claims_new(void)
{
    claims *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    if (pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c);
        return NULL;
    }
    if (pthread_cond_init(&c->changed, NULL) != 0) {
        pthread_mutex_destroy(&c->lock);
        free(c);
        return NULL;
    }
    return c;
}

void claims_free(claims *c)
{
    if (!c)
        return;
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static bool held(const claims *c, const char *key)
{
    for (const claim *at = c->first; at; at = at->next)
        if (!strcmp(at->key, key))
            return true;
    return false;
}

void claims_enter(claims *c, claim *mine, const char *key)
{
    pthread_mutex_lock(&c->lock);
    while (held(c, key))
        pthread_cond_wait(&c->changed, &c->lock);
    *mine = (claim){ .key = key, .next = c->first };
    c->first = mine;
    pthread_mutex_unlock(&c->lock);
}

void claims_leave(claims *c, claim *mine)
{
    pthread_mutex_lock(&c->lock);
    claim **at = &c->first;
    while (*at != mine)
        at = &(*at)->next;
    *at = mine->next;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}
