#include "serve/engines.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/sha256.h"
#include "serve/serve_limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct engine_ref {
    char *model;
    char key[SHA256_HEX_SIZE]; /* "" = none */
    s2a_engine *engine;
    size_t users;
    bool listed; /* false: it is closed when its last user returns it */
    uint64_t used;
};

struct engines {
    s2a_engine_options options;
    engine_ref fixed;
    pthread_mutex_t lock;
    engine_ref *list[SERVE_ENGINES];
    size_t count;
    uint64_t clock;
};

engines *engines_new(const s2a_engine_options *options, s2a_engine *fixed)
{
    engines *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->options = *options;
    e->fixed.engine = fixed;
    pthread_mutex_init(&e->lock, NULL);
    return e;
}

static void ref_free(engine_ref *ref)
{
    s2a_engine_close(ref->engine);
    free(ref->model);
    free(ref);
}

void engines_free(engines *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->count; i++)
        ref_free(e->list[i]);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

s2a_engine *engines_engine(const engine_ref *ref)
{
    return ref->engine;
}

/* With the lock held. */
static engine_ref *find(engines *e, const char *model, const char *key)
{
    for (size_t i = 0; i < e->count; i++) {
        engine_ref *ref = e->list[i];
        if (!strcmp(ref->model, model) && !strcmp(ref->key, key)) {
            ref->users++;
            ref->used = ++e->clock;
            return ref;
        }
    }
    return NULL;
}

/* With the lock held: takes the least recently used one off the list. Returns it if it has no user,
 * else NULL. */
static engine_ref *evict(engines *e)
{
    size_t oldest = 0;
    for (size_t i = 1; i < e->count; i++)
        if (e->list[i]->used < e->list[oldest]->used)
            oldest = i;
    engine_ref *ref = e->list[oldest];
    e->list[oldest] = e->list[--e->count];
    ref->listed = false;
    return ref->users == 0 ? ref : NULL;
}

static s2a_status open_ref(engines *e, const char *model, const char *bearer, const char *key,
                           engine_ref **out, s2a_error *err)
{
    engine_ref *ref = calloc(1, sizeof *ref);
    s2a_engine_options options = e->options;
    options.model = *model ? model : NULL;
    options.api_key = bearer;
    if (!ref || !(ref->model = strdup(model))) {
        free(ref);
        return error_nomem(err);
    }
    memcpy(ref->key, key, sizeof ref->key);
    ref->users = 1;
    s2a_status status = s2a_engine_open(&options, &ref->engine, err);
    if (status != S2A_OK) {
        ref_free(ref);
        return status;
    }
    *out = ref;
    return S2A_OK;
}

/* Two threads may have opened the same engine at once: the first one is cached and used by both,
 * the other one is closed. */
static engine_ref *keep(engines *e, engine_ref *ref)
{
    pthread_mutex_lock(&e->lock);
    engine_ref *other = find(e, ref->model, ref->key), *gone = NULL;
    if (!other) {
        if (e->count == SERVE_ENGINES)
            gone = evict(e);
        ref->listed = true;
        ref->used = ++e->clock;
        e->list[e->count++] = ref;
    }
    pthread_mutex_unlock(&e->lock);
    if (gone)
        ref_free(gone);
    if (other)
        ref_free(ref);
    return other ? other : ref;
}

s2a_status engines_get(engines *e, const char *model, const char *bearer, engine_ref **out,
                       s2a_error *err)
{
    *out = &e->fixed;
    if (e->fixed.engine)
        return S2A_OK;
    *out = NULL;
    char key[SHA256_HEX_SIZE] = "";
    model = model ? model : "";
    s2a_status status = bearer ? sha256_bytes(bearer, strlen(bearer), key, err) : S2A_OK;
    if (status != S2A_OK)
        return status;
    pthread_mutex_lock(&e->lock);
    engine_ref *ref = find(e, model, key);
    pthread_mutex_unlock(&e->lock);
    if (!ref) {
        status = open_ref(e, model, bearer, key, &ref, err);
        if (status == S2A_OK)
            ref = keep(e, ref);
    }
    *out = ref;
    return status;
}

void engines_put(engines *e, engine_ref *ref)
{
    if (!ref || ref == &e->fixed)
        return;
    pthread_mutex_lock(&e->lock);
    bool last = --ref->users == 0 && !ref->listed;
    pthread_mutex_unlock(&e->lock);
    if (last)
        ref_free(ref);
}
