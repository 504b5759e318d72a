/* Settings: the rows of option_table.h that have a key. A value comes from a flag, from the
 * environment (S2A_KEY) or from the configuration file, in this order of precedence. One thread. */
#ifndef S2A_CLI_SETTINGS_H
#define S2A_CLI_SETTINGS_H

#include "cli/option_table.h"

/* Where a value came from: a later one wins. */
typedef enum settings_source {
    SETTINGS_DEFAULT,
    SETTINGS_FILE,
    SETTINGS_ENVIRONMENT,
    SETTINGS_FLAG,
} settings_source;

typedef struct settings {
    char *model, *url, *prompts, *api_key, *select_model; /* owned; NULL = not given */
    const char *backend;                                  /* "llama", "http" or "script" */
    s2a_mode mode;
    s2a_preset preset;
    uint32_t threads, ctx, seed, max_tokens;
    uint32_t step1_cache; /* MiB; 0 = none */
    uint32_t kv_bits;
    int32_t gpu_layers;
    bool draft, kernels;
    double temperature, top_p;
    double timeout_s;                      /* 0 = the library's own limits */
    settings_source from[OPTION_ROWS_MAX]; /* of the row of each key */
} settings;

/* The defaults of the rows. */
void settings_init(settings *s);
void settings_free(settings *s);

/* Takes a value from text; where names its place in messages ("--top-p"). A value from a weaker
 * source than the current one is checked but not taken. S2A_ARGUMENT (also for an unknown key),
 * S2A_NOMEM. */
s2a_status settings_apply(settings *s, const char *key, const char *text, settings_source source,
                          const char *where, s2a_error *err);

/* The source of the current value; the key must exist. */
settings_source settings_source_of(const settings *s, const char *key);

/* All variables S2A_KEY that are set and not empty; other names that begin with S2A_ are
 * ignored. */
s2a_status settings_from_environment(settings *s, s2a_error *err);

/* $XDG_CONFIG_HOME/s2a/config.json, or ~/.config/s2a/config.json; a missing file is not an error.
 * Faults in it are S2A_ARGUMENT, with file, line and column. S2A_IO, S2A_NOMEM. */
s2a_status settings_from_file(settings *s, s2a_error *err);

/* The same on the text of a file. */
s2a_status settings_from_json(settings *s, const char *path, const char *text, size_t len,
                              s2a_error *err);

/* Call it after all sources are read: decides the backend and checks combinations. S2A_ARGUMENT. */
s2a_status settings_settle(settings *s, s2a_error *err);

/* After the flags: the environment, the file, and settings_settle. */
s2a_status settings_complete(settings *s, s2a_error *err);

/* Read a whole text as a decimal number; where and the range go into the message. above_low: the
 * lowest value itself is out of range. S2A_ARGUMENT. */
s2a_status settings_integer(const char *where, const char *text, int64_t low, int64_t high,
                            int64_t *out, s2a_error *err);
s2a_status settings_number(const char *where, const char *text, double low, bool above_low,
                           double high, double *out, s2a_error *err);

#endif
