#include "cli/args.h"

#include "base/error.h"
#include "base/utf8.h"
#include "cli/getopt_exact.h"
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one value -------------------------------------------------------------------------- */

static s2a_status take_choice(const option_row *row, const char *where, const char *text,
                              s2a_error *err)
{
    char list[200], *end = list;
    int i = option_choice(row->choices, text);
    if (i >= 0)
        return S2A_OK;
    for (const char *p = row->choices; *p && end < list + sizeof list - 8; p++) {
        if (*p != '|')
            *end++ = *p;
        else
            end += sprintf(end, "%s", strchr(p + 1, '|') ? ", " : " or ");
    }
    *end = '\0';
    return error_set(err, S2A_ARGUMENT, "%s: \"%.*s\"; use %s", where, (int)utf8_cut(text, 40),
                     text, list);
}

static s2a_status take_text(const option_row *row, const char **at, const char *where,
                            const char *text, s2a_error *err)
{
    if (row->kind == OPTION_NAME && !*text)
        return error_set(err, S2A_ARGUMENT, "%s: it is empty; give a value", where);
    if (row->kind == OPTION_ONCE && *at)
        return error_set(err, S2A_ARGUMENT, "%s: given twice; give it once", where);
    s2a_status status = row->kind == OPTION_CHOICE ? take_choice(row, where, text, err) : S2A_OK;
    if (status == S2A_OK)
        *at = text;
    return status;
}

static s2a_status take_switch(bool *at, const char *where, const char *text, s2a_error *err)
{
    *at = !strcmp(text, "on");
    if (!*at && strcmp(text, "off") != 0)
        return error_set(err, S2A_ARGUMENT, "%s: \"%.*s\" is neither on nor off", where,
                         (int)utf8_cut(text, 40), text);
    return S2A_OK;
}

static s2a_status take_integer(const option_row *row, void *at, const char *where, const char *text,
                               s2a_error *err)
{
    int64_t value = 0;
    s2a_status status =
        settings_integer(where, text, (int64_t)row->low, (int64_t)row->high, &value, err);
    if (status != S2A_OK)
        return status;
    uint16_t two = (uint16_t)value;
    uint32_t four = (uint32_t)value;
    const void *from = row->size == 2 ? (void *)&two : row->size == 4 ? (void *)&four : &value;
    memcpy(at, from, row->size);
    return S2A_OK;
}

static s2a_status take_list(const option_row *row, option_numbers *list, const char *where,
                            const char *text, s2a_error *err)
{
    list->count = 0;
    while (*text) {
        char part[24];
        int64_t value = 0;
        size_t n = strcspn(text, ",");
        snprintf(part, sizeof part, "%.*s", (int)(n < sizeof part ? n : sizeof part - 1), text);
        s2a_status status =
            settings_integer(where, part, (int64_t)row->low, (int64_t)row->high, &value, err);
        if (status != S2A_OK)
            return status;
        for (size_t i = 0; i < list->count; i++)
            if (list->values[i] == value)
                return error_set(err, S2A_ARGUMENT, "%s: %s is given twice", where, part);
        if (list->count == OPTION_LIST_MAX)
            return error_set(err, S2A_ARGUMENT, "%s: more than %d values", where, OPTION_LIST_MAX);
        list->values[list->count++] = (uint32_t)value;
        text += n + (text[n] == ',');
    }
    return list->count > 0 ? S2A_OK : error_set(err, S2A_ARGUMENT, "%s: it is empty", where);
}

s2a_status args_take(const option_row *row, void *base, const char *where, const char *text,
                     s2a_error *err)
{
    void *at = (char *)base + row->at;
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)at = true;
        return S2A_OK;
    case OPTION_LEVEL:
        *(int *)at += *(int *)at < 2;
        return S2A_OK;
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_ONCE:
    case OPTION_CHOICE:
        return take_text(row, at, where, text, err);
    case OPTION_SWITCH:
        return take_switch(at, where, text, err);
    case OPTION_INTEGER:
        return take_integer(row, at, where, text, err);
    case OPTION_REAL:
        return settings_number(where, text, row->low, row->above, row->high, at, err);
    case OPTION_LIST:
        return take_list(row, at, where, text, err);
    case OPTION_OWN:
        return row->take(at, where, text, err);
    }
    return error_set(err, S2A_INTERNAL, "%s: an option of no kind", where);
}

/* ---- a command line --------------------------------------------------------------------- */

enum { LONG_BASE = 256 }; /* getopt's code of a long option: this plus its number */

typedef struct reader {
    const option_command *command;
    options *o; /* the beginning of *into */
    const option_row *rows[OPTION_ROWS_MAX];
    size_t count;
    struct option longs[OPTION_ROWS_MAX + 1];
    char shorts[32];
    s2a_error *err;
} reader;

static bool has_value(const option_row *row)
{
    return row->kind != OPTION_FLAG && row->kind != OPTION_LEVEL;
}

static void reader_init(reader *r, const option_command *command, void *into, s2a_error *err)
{
    *r = (reader){ .command = command, .o = into, .err = err };
    r->count = option_list(command, r->rows);
    size_t n = 0;
    r->shorts[n++] = ':'; /* getopt then returns ':' for a missing argument */
    for (size_t i = 0; i < r->count; i++) {
        bool value = has_value(r->rows[i]);
        r->longs[i] = (struct option){ r->rows[i]->name, value ? required_argument : no_argument,
                                       NULL, LONG_BASE + (int)i };
        if (!r->rows[i]->letter || n + 2 >= sizeof r->shorts)
            continue;
        r->shorts[n++] = r->rows[i]->letter;
        if (value)
            r->shorts[n++] = ':';
    }
}

static s2a_status row_take(reader *r, const option_row *row, const char *text,
                           settings_source source)
{
    char where[40];
    snprintf(where, sizeof where, "--%s", row->name);
    return row->key ? settings_apply(&r->o->settings, row->key, text, source, where, r->err)
                    : args_take(row, r->o, where, text, r->err);
}

static s2a_status defaults_take(reader *r)
{
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < r->count && status == S2A_OK; i++)
        if (r->rows[i]->fallback)
            status = row_take(r, r->rows[i], r->rows[i]->fallback, SETTINGS_DEFAULT);
    return status;
}

/* Only for rows without a key; settings_from_environment reads the others. */
static void environment_take(reader *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const option_row *row = r->rows[i];
        const char *text = row->env ? getenv(row->env) : NULL,
                   **at = (void *)((char *)r->o + row->at);
        if (text && *text && !*at)
            *at = text;
    }
}

/* The word of the command line that getopt_long refused. */
static const char *word_at_fault(const reader *r, char **argv)
{
    const char *behind = argv[optind - 1];
    size_t n = strlen(behind);
    /* 0 is a long option; a byte of a character beyond ASCII is negative. */
    bool is_short = optopt != 0 && optopt < LONG_BASE && !strchr(r->shorts, optopt);
    if (is_short && !(behind[0] == '-' && n > 1 && behind[n - 1] == (char)optopt))
        return argv[optind]; /* optind is still at the cluster of short options */
    return behind;
}

/* The message leaves out text after a '=': it may be a key. */
static s2a_status option_wrong(const reader *r, int code, const char *word)
{
    char given[64];
    const char *command = r->command->name;
    size_t n = utf8_cut(word, sizeof given - 1);
    memcpy(given, word, n);
    given[n] = '\0';
    given[strcspn(given, "=")] = '\0';
    if (code == ':')
        return error_set(r->err, S2A_ARGUMENT, "%s: its value is missing; see s2a %s --help", given,
                         command);
    if (!strncmp(given, "--api-key", 9) || !strncmp(given, "--api_key", 9))
        return error_set(
            r->err, S2A_ARGUMENT, "%s: no such option; put %s the environment, S2A_API_KEY", given,
            r->command->bit == IN_SERVE
                ? "the keys of clients into a file for --api-keys, and that of upstream into"
                : "the key into");
    if (optopt >= LONG_BASE || (optopt > 0 && strchr(r->shorts, optopt)))
        return error_set(r->err, S2A_ARGUMENT, "%s: takes no value; leave it out", given);
    return error_set(
        r->err, S2A_ARGUMENT, "%s: no such option; see s2a %s --help%s", given, command,
        r->command->bit & (IN_ASK | IN_ATTEND) ? ", and write -- before a text that begins with -"
                                               : "");
}

static const option_row *row_of(const reader *r, int code)
{
    if (code >= LONG_BASE)
        return r->rows[code - LONG_BASE];
    size_t i = 0;
    while (i + 1 < r->count && r->rows[i]->letter != code)
        i++;
    return r->rows[i];
}

s2a_status args_read(const option_command *command, void *into, int argc, char **argv,
                     s2a_error *err)
{
    reader r;
    reader_init(&r, command, into, err);
    settings_init(&r.o->settings);
    s2a_status status = defaults_take(&r);
    opterr = 0;
    optind = 1;
    while (status == S2A_OK && !r.o->help && !r.o->version) {
        int code = getopt_exact(argc, argv, r.shorts, r.longs);
        if (code == -1)
            break;
        status = code == '?' || code == ':' ? option_wrong(&r, code, word_at_fault(&r, argv))
                                            : row_take(&r, row_of(&r, code), optarg, SETTINGS_FLAG);
    }
    environment_take(&r);
    return status;
}
