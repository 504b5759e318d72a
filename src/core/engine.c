#include "core/engine.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MEMO_NUMBERS ((size_t)1 << 18) /* 2 MiB */
#define STEP1_CACHE_BYTES ((uint64_t)64 << 20)

#define VERSION_TEXT_(a, b, c) #a "." #b "." #c
#define VERSION_TEXT(a, b, c) VERSION_TEXT_(a, b, c)

const char *s2a_version(void)
{
    return VERSION_TEXT(S2A_VERSION_MAJOR, S2A_VERSION_MINOR, S2A_VERSION_PATCH);
}

void s2a_engine_options_init(s2a_engine_options *options)
{
    *options = (s2a_engine_options){
        .size = sizeof *options,
        .backend = "llama",
        .gpu_layers = -1,
        .connect_timeout_ms = 10000,
        .idle_timeout_ms = 120000,
        .request_timeout_ms = 3600000,
        .max_retries = 3,
        .draft = true,
        .kv_bits = 16,
        .kernels = true,
    };
}

static const struct {
    const char *name;
    s2a_status (*open)(const s2a_engine_options *, const backend *, backend **, s2a_error *);
} backends[] = {
    { "llama", backend_llama_open },
    { "http", backend_http_open },
    { "script", backend_script_open },
};

static s2a_status backend_open(const s2a_engine_options *options, backend **out, s2a_error *err)
{
    const backend *judge = options->select_engine ? options->select_engine->backend : NULL;
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (options->backend && !strcmp(options->backend, backends[i].name))
            return backends[i].open(options, judge, out, err);
    return error_set(err, S2A_ARGUMENT, "unknown backend \"%.40s\"; use llama, http or script",
                     options->backend ? options->backend : "(null)");
}

/* The options and file data that a model's results depend on. */
static s2a_status identity_of(const s2a_engine_options *o, buf *out, s2a_error *err)
{
    struct stat st;
    buf_init(out, LIMIT_INPUT_BYTES);
    buf_addf(out, "%s %s %s %u %u", o->backend, o->url ? o->url : "", o->model ? o->model : "",
             o->ctx_tokens, o->kv_bits);
    if (o->model && stat(o->model, &st) == 0)
        buf_addf(out, " %lld %lld.%09ld", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                 st.st_mtim.tv_nsec);
    return out->status == S2A_OK ? S2A_OK : error_nomem(err);
}

static s2a_status backend_keep(const s2a_engine_options *o, backend **b, s2a_error *err)
{
    buf identity;
    backend *inner = *b;
    s2a_status status = identity_of(o, &identity, err);
    if (status == S2A_OK) {
        uint64_t bytes = o->step1_cache_bytes ? o->step1_cache_bytes : STEP1_CACHE_BYTES;
        status = backend_kept_open(inner, o->step1_cache_dir, identity.data, bytes, b, err);
    } else {
        inner->vtable->close(inner);
        *b = NULL;
    }
    buf_free(&identity);
    return status;
}

s2a_status s2a_engine_open(const s2a_engine_options *options, s2a_engine **out, s2a_error *err)
{
    *out = NULL;
    /* A caller compiled against an older header has a shorter struct: the other fields keep their
     * defaults. */
    s2a_engine_options full;
    s2a_engine_options_init(&full);
    if (options) {
        if (options->size == 0 || options->size > sizeof full)
            return error_set(err, S2A_ARGUMENT,
                             "options.size is %zu; call "
                             "s2a_engine_options_init first",
                             options->size);
        memcpy(&full, options, options->size);
        full.size = sizeof full;
    }
    s2a_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return error_nomem(err);
    s2a_status status = prompt_set_load(full.prompts_dir, &engine->prompts, err);
    if (status == S2A_OK)
        status = backend_open(&full, &engine->backend, err);
    if (status == S2A_OK && full.step1_cache_dir)
        status = backend_keep(&full, &engine->backend, err);
    if (status == S2A_OK)
        status = head_find(engine->backend, full.head, &engine->head, err);
    if (status == S2A_OK && !(engine->memo = memo_new(MEMO_NUMBERS)))
        status = error_nomem(err);
    engine->judge = full.select_engine;
    if (status == S2A_OK)
        *out = engine;
    else
        s2a_engine_close(engine);
    return status;
}

const s2a_engine *engine_judge(const s2a_engine *engine)
{
    return engine->judge ? engine->judge : engine;
}

bool s2a_engine_selects(const s2a_engine *engine)
{
    return engine_judge(engine)->head != NULL;
}

void s2a_engine_close(s2a_engine *engine)
{
    if (!engine)
        return;
    if (engine->backend)
        engine->backend->vtable->close(engine->backend);
    head_free(engine->head);
    memo_free(engine->memo);
    prompt_set_free(&engine->prompts);
    free(engine);
}

const char *s2a_engine_model(const s2a_engine *engine)
{
    return engine->backend->vtable->capabilities(engine->backend).model;
}

uint32_t s2a_engine_ctx_tokens(const s2a_engine *engine)
{
    return engine->backend->vtable->capabilities(engine->backend).ctx_tokens;
}
