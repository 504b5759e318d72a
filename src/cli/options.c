#include "cli/options.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/utf8.h"
#include "cli/args.h"
#include "cli/help.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct parse {
    options *o;
    const char *command;
    s2a_error *err;
} parse;

s2a_status options_take_context(void *at, const char *where, const char *text, s2a_error *err)
{
    options *o = at;
    (void)where, (void)err;
    o->contexts[o->context_count++] = text; /* has room for all of argv */
    return S2A_OK;
}

s2a_status options_take_protect(void *at, const char *where, const char *text, s2a_error *err)
{
    options *o = at;
    o->protects[o->protect_count++] = (options_protect){ .text = text };
    return *text ? S2A_OK : error_set(err, S2A_ARGUMENT, "%s: the text is empty", where);
}

/* A-B, or A alone. */
s2a_status options_take_lines(void *at, const char *where, const char *value, s2a_error *err)
{
    options *o = at;
    int64_t first = 0, last = 0;
    char text[64];
    size_t n = strcspn(value, "-");
    snprintf(text, sizeof text, "%.*s", (int)(n < sizeof text ? n : sizeof text - 1), value);
    s2a_status status = settings_integer(where, text, 1, 1 << 30, &first, err);
    last = first;
    if (status == S2A_OK && value[n])
        status = settings_integer(where, value + n + 1, 1, 1 << 30, &last, err);
    if (status == S2A_OK && last < first)
        status = error_set(err, S2A_ARGUMENT, "%s: %s: give the first line first", where, value);
    o->protects[o->protect_count++] =
        (options_protect){ .first = (size_t)first, .last = (size_t)last };
    return status;
}

/* ---- combinations ----------------------------------------------------------------------- */

static s2a_status text_take(parse *p, int argc, char **argv)
{
    options *o = p->o;
    if (optind >= argc)
        return S2A_OK;
    if (o->context_count > 0 || o->question)
        return error_set(p->err, S2A_ARGUMENT,
                         "\"%.*s\": one text too many with --context; put the question into "
                         "--question and each file into a separate --context",
                         (int)utf8_cut(argv[optind], 40), argv[optind]);
    if (argc - optind > 1)
        return error_set(p->err, S2A_ARGUMENT,
                         "%d texts were given; put the prompt in quotes: s2a %s \"%.*s %.*s...\"",
                         argc - optind, p->command, (int)utf8_cut(argv[optind], 40), argv[optind],
                         (int)utf8_cut(argv[optind + 1], 40), argv[optind + 1]);
    o->text = argv[optind];
    if (o->jsonl && !strcmp(o->text, "-"))
        o->text = NULL;
    return S2A_OK;
}

static s2a_status input_check(parse *p)
{
    options *o = p->o;
    size_t standard = 0;
    for (size_t i = 0; i < o->context_count; i++)
        standard += !strcmp(o->contexts[i], "-");
    if (standard > 1)
        return error_set(p->err, S2A_ARGUMENT,
                         "--context -: given twice; standard input can be read once");
    if (o->question && o->context_count == 0)
        return error_set(p->err, S2A_ARGUMENT,
                         "--question: no context; add --context FILE (- is standard input), or "
                         "give the question as the text");
    if (o->context_count > 0 && !o->question)
        return error_set(p->err, S2A_ARGUMENT, "--context: no question; add --question TEXT");
    int forms = (o->text != NULL) + (o->context_count > 0) + (o->messages != NULL);
    if (o->jsonl && forms > 0)
        return error_set(p->err, S2A_ARGUMENT,
                         "--jsonl: requests come from standard input; leave the other text out");
    if (forms > 1)
        return error_set(p->err, S2A_ARGUMENT,
                         "two prompts; give a text, --context with --question, or --messages");
    if (forms == 1 || o->jsonl)
        return S2A_OK;
    if (isatty(STDIN_FILENO) == 1)
        return error_set(p->err, S2A_ARGUMENT,
                         "no text; give one, as in s2a %s \"...\", or pipe one in (see s2a %s "
                         "--help)",
                         p->command, p->command);
    o->text = "-";
    return S2A_OK;
}

static s2a_status step1_check(const options *o, s2a_error *err)
{
    bool threshold = !isnan(o->threshold);
    if (threshold && o->keep > 0)
        return error_set(err, S2A_ARGUMENT, "--threshold and --keep: give one of them");
    if ((threshold || o->keep > 0 || o->protect_count > 0) && o->settings.mode == S2A_MODE_REWRITE)
        return error_set(err, S2A_ARGUMENT, "%s: it belongs to mode select; leave it out",
                         threshold     ? "--threshold"
                         : o->keep > 0 ? "--keep"
                                       : "--protect");
    return S2A_OK;
}

static s2a_status output_check(parse *p)
{
    const options *o = p->o;
    if (o->json && o->jsonl)
        return error_set(p->err, S2A_ARGUMENT, "--json and --jsonl: give one of them");
    if (o->explain && (o->json || o->jsonl))
        return error_set(p->err, S2A_ARGUMENT,
                         "--explain and %s: give one of them; the JSON contains the same",
                         o->json ? "--json" : "--jsonl");
    if (o->resume && !o->jsonl)
        return error_set(p->err, S2A_ARGUMENT, "--resume: it needs --jsonl; add that");
    if (o->concurrency > 0 && !o->jsonl)
        return error_set(p->err, S2A_ARGUMENT, "--concurrency: it needs --jsonl; add that");
    if (o->compare && !o->answer)
        return error_set(p->err, S2A_ARGUMENT,
                         "--compare: attend gives no answer to compare; use s2a ask");
    return step1_check(o, p->err);
}

/* Allocates the lists of options that may be repeated. */
static s2a_status lists_make(options *o, int argc, s2a_error *err)
{
    o->contexts = calloc((size_t)argc + 1, sizeof *o->contexts);
    o->protects = calloc((size_t)argc + 1, sizeof *o->protects);
    return o->contexts && o->protects ? S2A_OK : error_nomem(err);
}

s2a_status options_read(options *o, bool answer, int argc, char **argv, s2a_error *err)
{
    *o = (options){ .answer = answer, .threshold = NAN };
    const option_command *command = answer ? &command_ask : &command_attend;
    parse p = { .o = o, .command = command->name, .err = err };
    s2a_status status = lists_make(o, argc, err);
    if (status == S2A_OK)
        status = args_read(command, o, argc, argv, err);
    if (status != S2A_OK || o->help || o->version)
        return status;
    status = settings_complete(&o->settings, err);
    if (status == S2A_OK)
        status = text_take(&p, argc, argv);
    if (status == S2A_OK)
        status = output_check(&p);
    if (status == S2A_OK)
        status = input_check(&p);
    return status;
}

s2a_status chat_options_read(chat_options *o, int argc, char **argv, s2a_error *err)
{
    *o = (chat_options){ .base = { .answer = true, .threshold = NAN } };
    s2a_status status = lists_make(&o->base, argc, err);
    if (status == S2A_OK)
        status = args_read(&command_chat, o, argc, argv, err);
    if (status != S2A_OK || o->base.help || o->base.version)
        return status;
    status = settings_complete(&o->base.settings, err);
    if (status == S2A_OK)
        status = step1_check(&o->base, err);
    if (status == S2A_OK && o->base.settings.preset == S2A_PRESET_UNTRUSTED)
        status = error_set(err, S2A_ARGUMENT,
                           "--preset untrusted: it judges a separate context, and a conversation "
                           "has none; use s2a ask --context FILE --question TEXT");
    if (status == S2A_OK && optind < argc)
        status =
            error_set(err, S2A_ARGUMENT,
                      "\"%.*s\": s2a chat takes no text; write it at the prompt, or use s2a ask",
                      (int)utf8_cut(argv[optind], 40), argv[optind]);
    return status;
}

s2a_status options_judge_only(options *o, s2a_error *err)
{
    settings *s = &o->settings;
    bool http = !strcmp(s->backend, "http");
    const char *judge = s->select_model && strcmp(s->select_model, "none") != 0 ? s->select_model
                        : http                                                  ? OPTIONS_JUDGE
                                                                                : NULL;
    s->mode = S2A_MODE_DEFAULT;
    if (!strcmp(s->backend, "script") || settings_source_of(s, "model") == SETTINGS_FLAG)
        judge = NULL;
    if (http)
        s->backend = "llama";
    char *copy = judge ? bytes_dup(judge, strlen(judge)) : NULL;
    if (judge && !copy)
        return error_nomem(err);
    if (judge) {
        free(s->model);
        s->model = copy;
    }
    free(s->select_model);
    s->select_model = NULL;
    return S2A_OK;
}

void options_free(options *o)
{
    settings_free(&o->settings);
    free(o->contexts);
    free(o->protects);
    o->contexts = NULL;
    o->protects = NULL;
}
