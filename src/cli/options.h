/* The options of the commands, and the command line of `s2a ask` and `s2a attend`. One thread. */
#ifndef S2A_CLI_OPTIONS_H
#define S2A_CLI_OPTIONS_H

#include "cli/settings.h"

#define CONCURRENCY_MAX 256
#define OPTIONS_JUDGE "0.5b" /* the judge model with a server, unless another is named */

/* A text, or lines first to last of the prompt. */
typedef struct options_protect {
    const char *text;
    size_t first, last;
} options_protect;

typedef struct options {
    settings settings;
    bool answer; /* ask; false = attend */
    /* The prompt's source: text, parts or messages, or lines with jsonl. All are borrowed from
     * argv. */
    const char *text; /* "-" = standard input; NULL with the other forms */
    const char **contexts;
    size_t context_count;
    const char *question, *messages;
    const char *resume;
    uint32_t concurrency;      /* with jsonl: requests at a time; 0 = not given */
    double threshold, keep;    /* of mode select; NaN and 0 = not given */
    options_protect *protects; /* has room for all of argv */
    size_t protect_count;
    bool json, jsonl, explain, compare, strict, no_color, quiet;
    int verbose; /* 0, 1, 2 */
    bool help, version;
} options;

/* The other commands' options begin with the common ones: settings, json, quiet, verbose, help. */
typedef struct pull_options {
    options base;
    const char *name;   /* NULL = the default model */
    const char *source; /* "url", "wheels" or "any" */
    bool verify, force;
} pull_options;

typedef struct calibrate_options {
    options base;
    bool show, reset;
    const char *out;
} calibrate_options;

typedef struct chat_options {
    options base;
    const char *system; /* NULL = no system message */
    bool no_history;
} chat_options;
typedef struct prune_options {
    options base;
    uint32_t top;       /* 0 = all, in their order */
    char *const *files; /* of argv */
    size_t file_count;
} prune_options;

/* For commands that judge and never answer; call it after settings_complete. Chooses one local
 * model: that of --model, else the judge model, else "0.5b" if a server would answer. Sets the
 * default mode. S2A_NOMEM. */
s2a_status options_judge_only(options *o, s2a_error *err);

/* Reads argv, the environment and the configuration file. With help or version set nothing else is
 * checked. S2A_ARGUMENT, S2A_IO and S2A_LIMIT (the file), S2A_NOMEM. Call options_free also after a
 * failure. */
s2a_status options_read(options *o, bool answer, int argc, char **argv, s2a_error *err);
void options_free(options *o);

/* The same for `s2a chat`; call options_free(&o->base) also after a failure. */
s2a_status chat_options_read(chat_options *o, int argc, char **argv, s2a_error *err);

#endif
