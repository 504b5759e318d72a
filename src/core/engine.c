#include "core/engine.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

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

/* The default is that of the default model. */
static s2a_calibration calibration_or_default(const s2a_calibration *given)
{
    static const s2a_calibration otherwise = { .relevance_border = -1, .relevance_ratio = 0.6,
                                               .relevance_cap = 5, .opinion_border = 1 };
    bool any = given->relevance_border != 0 || given->relevance_ratio != 0 ||
               given->relevance_cap != 0 || given->opinion_border != 0;
    return any ? *given : otherwise;
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
        status = select_examples_build(&engine->prompts, &engine->examples, err);
    if (status == S2A_OK)
        status = backend_open(&full, &engine->backend, err);
    engine->calibration = calibration_or_default(&full.calibration);
    if (status != S2A_OK) {
        select_examples_free(&engine->examples);
        prompt_set_free(&engine->prompts);
        free(engine);
        return status;
    }
    select_examples_count(&engine->examples, engine->backend);
    *out = engine;
    return S2A_OK;
}

void s2a_engine_close(s2a_engine *engine)
{
    if (!engine)
        return;
    engine->backend->vtable->close(engine->backend);
    select_examples_free(&engine->examples);
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
