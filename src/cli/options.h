/* What the commands were told, and the command line of `s2a ask` and `s2a attend`. One thread. */
#ifndef S2A_CLI_OPTIONS_H
#define S2A_CLI_OPTIONS_H

#include "cli/settings.h"

#define CONCURRENCY_MAX 256
#define OPTIONS_JUDGE "0.5b" /* judges before a server unless another model is named */

/* A text, or lines first to last of the prompt. */
typedef struct options_protect {
    const char *text;
    size_t first, last;
} options_protect;

typedef struct options {
    settings settings;
    bool answer; /* ask; false = attend */
    /* Where the prompt comes from: text or parts or messages, or lines with jsonl. All of these are
     * borrowed from argv. */
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

/* Of the other commands, which begin with what all have: settings, json, quiet, verbose, help. */
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

/* For a command that judges and never answers, once its settings are complete: one local model,
 * the one of --model, else the judge model, else "0.5b" where a server answers. The mode is the
 * default. S2A_NOMEM. */
s2a_status options_judge_only(options *o, s2a_error *err);

/* Reads argv, the environment and the configuration file. With help or version set nothing else was
 * looked at. S2A_ARGUMENT and all else that is wrong with how the tool was called; S2A_NOMEM.
 * options_free also after a failure. */
s2a_status options_read(options *o, bool answer, int argc, char **argv, s2a_error *err);
void options_free(options *o);

/* The same for `s2a chat`; options_free(&o->base) also after a failure. */
s2a_status chat_options_read(chat_options *o, int argc, char **argv, s2a_error *err);

#endif
