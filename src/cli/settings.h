/* Settings that may come from a flag, from the environment (S2A_NAME) or from the configuration
 * file, in this order of precedence. One table names them all. One thread. */
#ifndef S2A_CLI_SETTINGS_H
#define S2A_CLI_SETTINGS_H

#include "s2a.h"

/* Where a value came from: a later one wins. */
typedef enum settings_source {
    SETTINGS_DEFAULT,
    SETTINGS_FILE,
    SETTINGS_ENVIRONMENT,
    SETTINGS_FLAG,
} settings_source;

/* id, name (in the file; the flag has '-' for '_', the variable is S2A_NAME), kind, member, lowest,
 * highest. */
#define SETTINGS_MAP(X)                                         \
    X(MODEL, "model", TEXT, model, 0, 0)                        \
    X(BACKEND, "backend", BACKEND, backend, 0, 0)               \
    X(URL, "url", TEXT, url, 0, 0)                              \
    X(MODE, "mode", MODE, mode, 0, 0)                           \
    X(PRESET, "preset", PRESET, preset, 0, 0)                   \
    X(PROMPTS, "prompts", TEXT, prompts, 0, 0)                  \
    X(THREADS, "threads", COUNT, threads, 0, 1024)              \
    X(CTX, "ctx", COUNT, ctx, 0, 16777216)                      \
    X(GPU_LAYERS, "gpu_layers", SIGNED, gpu_layers, -1, 100000) \
    X(DRAFT, "draft", SWITCH, draft, 0, 0)                      \
    X(KERNELS, "kernels", SWITCH, kernels, 0, 0)                \
    X(SELECT_MODEL, "select_model", TEXT, select_model, 0, 0)   \
    X(KV_BITS, "kv_bits", COUNT, kv_bits, 8, 16)                \
    X(STEP1_CACHE, "step1_cache", COUNT, step1_cache, 0, 65536) \
    X(TEMPERATURE, "temperature", NUMBER, temperature, 0, 5)    \
    X(TOP_P, "top_p", SHARE, top_p, 0, 1)                       \
    X(SEED, "seed", COUNT, seed, 0, 4294967295)                 \
    X(MAX_TOKENS, "max_tokens", COUNT, max_tokens, 1, 16777216) \
    X(TIMEOUT, "timeout", SHARE, timeout_s, 0, 4000000)         \
    X(API_KEY, "api_key", TEXT, api_key, 0, 0)

typedef enum settings_id {
#define SETTINGS_ENUM(id, name, kind, member, low, high) SETTING_##id,
    SETTINGS_MAP(SETTINGS_ENUM)
#undef SETTINGS_ENUM
        SETTINGS_COUNT
} settings_id;

typedef struct settings {
    char *model, *url, *prompts, *api_key, *select_model; /* owned; NULL = not given */
    const char *backend;                   /* "llama", "http" or "script" */
    s2a_mode mode;
    s2a_preset preset;
    uint32_t threads, ctx, seed, max_tokens;
    uint32_t step1_cache; /* MiB; 0 = none */
    uint32_t kv_bits;
    int32_t gpu_layers;
    bool draft, kernels;
    double temperature, top_p;
    double timeout_s; /* 0 = the library's own limits */
    settings_source from[SETTINGS_COUNT];
} settings;

void settings_init(settings *s);
void settings_free(settings *s);

/* The setting that the name (as in the file) stands for; SETTINGS_COUNT when there is none. */
settings_id settings_find(const char *name);
/* A number in the configuration file; otherwise a string. */
bool settings_is_number(settings_id id);

/* Takes a value from text; where names its place in messages ("--top-p"). A value from a weaker
 * source than the present one is checked and not taken. S2A_ARGUMENT, S2A_NOMEM. */
s2a_status settings_apply(settings *s, settings_id id, const char *text, settings_source source,
                          const char *where, s2a_error *err);

/* The same for a flag: "--name", with '-' for '_'. */
s2a_status settings_apply_flag(settings *s, settings_id id, const char *text, s2a_error *err);

/* All variables S2A_NAME that are set and not empty; others that begin with S2A_ are let be. */
s2a_status settings_from_environment(settings *s, s2a_error *err);

/* $XDG_CONFIG_HOME/s2a/config.json, or ~/.config/s2a/config.json; no file is no error. Faults in it
 * are S2A_ARGUMENT, with file, line and column. S2A_IO, S2A_NOMEM. */
s2a_status settings_from_file(settings *s, s2a_error *err);

/* The same on the text of a file. */
s2a_status settings_from_json(settings *s, const char *path, const char *text, size_t len,
                              s2a_error *err);

/* Once all sources are read: which backend is meant, and what cannot go together. S2A_ARGUMENT. */
s2a_status settings_settle(settings *s, s2a_error *err);

/* After the flags: the environment, the file, and settings_settle. */
s2a_status settings_complete(settings *s, s2a_error *err);

/* Strict readings of a whole text, in decimal; where and the range go into the message.
 * above_low: the lowest value itself is out of range. S2A_ARGUMENT. */
s2a_status settings_integer(const char *where, const char *text, int64_t low, int64_t high,
                            int64_t *out, s2a_error *err);
s2a_status settings_number(const char *where, const char *text, double low, bool above_low,
                           double high, double *out, s2a_error *err);

#endif
