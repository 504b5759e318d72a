/* The options of the commands, one row each. The rows define how a command line, the environment
 * and the configuration file are read (args.c, settings.c), and --help (help.c). scripts/options.py
 * makes the completions, the manual's lists and the configuration file's schema from them. */
#ifndef S2A_CLI_OPTION_TABLE_H
#define S2A_CLI_OPTION_TABLE_H

#include "s2a.h"

enum {
    OPTION_ROWS_MAX = 128, /* of one table, and of one command */
    OPTION_LIST_MAX = 16,

    /* Commands; a row names those that have the option. */
    IN_ASK = 1,
    IN_ATTEND = 2,
    IN_SERVE = 4,
    IN_PULL = 8,
    IN_MODELS = 16,
    IN_CALIBRATE = 32,
    IN_EVAL = 64,
    IN_BENCH = 128,
    IN_CHAT = 256,
    IN_PRUNE = 512,
    IN_MCP = 1024,
};

typedef enum option_kind {
    OPTION_FLAG,    /* bool; takes no value */
    OPTION_LEVEL,   /* int: how often it was given, at most twice; takes no value */
    OPTION_TEXT,    /* const char *, borrowed */
    OPTION_NAME,    /* the same; empty is an error */
    OPTION_ONCE,    /* the same as OPTION_TEXT; to give it twice is an error */
    OPTION_CHOICE,  /* the same; one of choices */
    OPTION_SWITCH,  /* bool: on or off */
    OPTION_INTEGER, /* an integer of 2, 4 or 8 bytes */
    OPTION_REAL,    /* double */
    OPTION_LIST,    /* option_numbers: integers between commas, none twice */
    OPTION_OWN,     /* take reads it */
} option_kind;

typedef struct option_numbers {
    uint32_t values[OPTION_LIST_MAX];
    size_t count;
} option_numbers;

typedef struct option_row {
    const char *name;    /* without "--"; rows share a name if commands differ in it */
    char letter;         /* 0 = none */
    unsigned in;         /* sum of IN_...; 0 = not an option, only a setting of the file */
    const char *section; /* its heading in --help */
    const char *hint;    /* the placeholder of the value; NULL = the choices */
    option_kind kind;
    /* The value's place: in settings if there is a key, otherwise in the command's structure, which
     * begins with an options. */
    size_t at, size;
    /* Reads a value of OPTION_OWN into *at. where: "--name". */
    s2a_status (*take)(void *at, const char *where, const char *text, s2a_error *err);
    double low, high;     /* of numbers */
    bool above;           /* low itself is out of range */
    bool many;            /* may be repeated */
    const char *choices;  /* "a|b|c" */
    const char *fallback; /* the default, which is applied first */
    const char *key;      /* in the configuration file; the variable is then S2A_KEY */
    const char *env;      /* the variable of a row without a key: OPTION_TEXT */
    const char *help; /* no full stop; choices and the default are added. NULL: it is not listed */
    const char *more; /* sentences that the manual adds */
} option_row;

/* Initialisers of the value's kind and place. */
#define OPTION_IN(kind_, type, member) \
    .kind = OPTION_##kind_, .at = offsetof(type, member), .size = sizeof((type *)0)->member
#define OPTION_SETTING(key_, kind_, member) .key = key_, OPTION_IN(kind_, settings, member)

/* The rows of s2a; the laboratory's commands share some of them. */
extern const option_row option_rows[];
extern const size_t option_row_count;

typedef struct option_command {
    const char *name;
    unsigned bit;
    const char *argument; /* its words: "TEXT", "MODEL", "MODEL|FILE", choices; NULL = none */
    const char *summary;  /* a line */
    const char *usage, *about, *end; /* --help: before the options and after them; end may be "" */
    const option_row *rows;          /* its own rows, listed before the common ones */
    size_t row_count;
} option_command;

/* The command's rows, its own ones first; returns their count. */
size_t option_list(const option_command *command, const option_row *out[OPTION_ROWS_MAX]);
/* The first row of the key whose name is the key, too; NULL if there is none. */
const option_row *option_of_key(const char *key);
/* "S2A_KEY", or env, or "". */
void option_variable(const option_row *row, char out[64]);
/* The index of the text among the choices; -1 if it is not one of them. */
int option_choice(const char *choices, const char *text);

/* Readers of OPTION_OWN. */
s2a_status settings_take_backend(void *at, const char *where, const char *text, s2a_error *err);
s2a_status settings_take_mode(void *at, const char *where, const char *text, s2a_error *err);
s2a_status settings_take_preset(void *at, const char *where, const char *text, s2a_error *err);
s2a_status options_take_context(void *at, const char *where, const char *text, s2a_error *err);
s2a_status options_take_protect(void *at, const char *where, const char *text, s2a_error *err);
s2a_status options_take_lines(void *at, const char *where, const char *text, s2a_error *err);
s2a_status serve_take_prefix(void *at, const char *where, const char *text, s2a_error *err);
s2a_status serve_take_show(void *at, const char *where, const char *text, s2a_error *err);
s2a_status serve_take_host(void *at, const char *where, const char *text, s2a_error *err);
s2a_status serve_take_origin(void *at, const char *where, const char *text, s2a_error *err);

#endif
