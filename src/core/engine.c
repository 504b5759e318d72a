#include "core/engine.h"

#include "backend/kept.h"
#include "core/buf.h"
#include "core/error.h"
#include "core/limits.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
        .lens = true,
        .kernels = true,
    };
}

static const struct {
    const char *name;
    s2a_status (*open)(const s2a_engine_options *, backend **, s2a_error *);
} backends[] = {
    { "llama", backend_llama_open },
    { "http", backend_http_open },
    { "script", backend_script_open },
};

static s2a_status backend_open(const s2a_engine_options *options, backend **out, s2a_error *err)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (options->backend && !strcmp(options->backend, backends[i].name))
            return backends[i].open(options, out, err);
    return error_set(err, S2A_ARGUMENT, "unknown backend \"%.40s\"; use llama, http or script",
                     options->backend ? options->backend : "(null)");
}

/* What the results of a model depend on beyond its name. */
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

const engine_border engine_borders[ENGINE_BORDERS] = {
    { "relevance_border", offsetof(s2a_calibration, relevance_border), false },
    { "relevance_ratio", offsetof(s2a_calibration, relevance_ratio), false },
    { "relevance_cap", offsetof(s2a_calibration, relevance_cap), false },
    { "opinion_border", offsetof(s2a_calibration, opinion_border), false },
    { "relevance_gap", offsetof(s2a_calibration, relevance_gap), true },
};

double engine_border_get(const s2a_calibration *c, size_t i)
{
    return *(const double *)((const char *)c + engine_borders[i].offset);
}

void engine_border_set(s2a_calibration *c, size_t i, double value)
{
    *(double *)((char *)c + engine_borders[i].offset) = value;
}

bool engine_calibration_same(const s2a_calibration *a, const s2a_calibration *b)
{
    size_t i = 0;
    while (i < ENGINE_BORDERS && engine_border_get(a, i) == engine_border_get(b, i))
        i++;
    return i == ENGINE_BORDERS;
}

s2a_calibration engine_calibration(const s2a_calibration *given, const tuned_lens *l)
{
    /* Those of the default model. */
    static const s2a_calibration otherwise = { .relevance_border = -1, .relevance_ratio = 0.6,
                                               .relevance_cap = 5, .opinion_border = 1,
                                               .relevance_gap = 1 };
    static const s2a_calibration none = { 0 };
    bool nothing = engine_calibration_same(given, &none);
    bool of_lens = l && (nothing || given->of_labels) && !engine_calibration_same(&l->borders, &none);
    s2a_calibration used = of_lens ? l->borders : nothing ? otherwise : *given;
    memcpy(used.attention_heads, given->attention_heads, sizeof used.attention_heads);
    used.attention_head_count = given->attention_head_count;
    return used;
}

s2a_status s2a_engine_open(const s2a_engine_options *options, s2a_engine **out, s2a_error *err)
{
    *out = NULL;
    /* A caller compiled against an older header has a shorter struct: the rest is defaults. */
    s2a_engine_options full;
    s2a_engine_options_init(&full);
    if (options) {
        if (options->size == 0 || options->size > sizeof full)
            return error_set(err, S2A_ARGUMENT, "options.size is %zu; call "
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
        status = select_examples_build(&engine->prompts, S2A_PRESET_AUTO, &engine->examples, err);
    if (status == S2A_OK)
        status = select_examples_build(&engine->prompts, S2A_PRESET_UNTRUSTED,
                                       &engine->untrusted_examples, err);
    if (status == S2A_OK)
        status = backend_open(&full, &engine->backend, err);
    if (status == S2A_OK && full.step1_cache_dir)
        status = backend_keep(&full, &engine->backend, err);
    if (status != S2A_OK) {
        select_examples_free(&engine->examples);
        select_examples_free(&engine->untrusted_examples);
        prompt_set_free(&engine->prompts);
        free(engine);
        return status;
    }
    engine->lens = full.lens ? lens_find(engine->backend, &engine->prompts) : NULL;
    engine->calibration = engine_calibration(&full.calibration, engine->lens);
    engine->selector = full.select_engine;
    select_examples_count(&engine->examples, engine->backend);
    select_examples_count(&engine->untrusted_examples, engine->backend);
    *out = engine;
    return S2A_OK;
}

const s2a_engine *engine_selector(const s2a_engine *engine)
{
    return engine->selector ? engine->selector : engine;
}

bool engine_can_select(const s2a_engine *engine, bool *preferred)
{
    const backend *b = engine_selector(engine)->backend;
    backend_capabilities of = b->vtable->capabilities(b);
    bool can = b->vtable->score && of.can_score;
    *preferred = can && of.prefers_score;
    return can;
}

void s2a_engine_close(s2a_engine *engine)
{
    if (!engine)
        return;
    engine->backend->vtable->close(engine->backend);
    select_examples_free(&engine->examples);
    select_examples_free(&engine->untrusted_examples);
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
