#include "cli/options.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/utf8.h"
#include "cli/getopt_exact.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* Settings come first, as SETTING_BASE + settings_id. */
    SETTING_BASE = 256,
    OPTION_CONTEXT = SETTING_BASE + SETTINGS_COUNT,
    OPTION_QUESTION,
    OPTION_MESSAGES,
    OPTION_THRESHOLD,
    OPTION_KEEP,
    OPTION_PROTECT,
    OPTION_PROTECT_LINES,
    OPTION_JSON,
    OPTION_JSONL,
    OPTION_RESUME,
    OPTION_STRICT,
    OPTION_EXPLAIN,
    OPTION_COMPARE,
    OPTION_CONCURRENCY,
    OPTION_NO_COLOR,
};

/* There is no --api-key on purpose: everyone on the machine can read a command line. */
static const struct option longs[] = {
    { "model", required_argument, NULL, SETTING_BASE + SETTING_MODEL },
    { "backend", required_argument, NULL, SETTING_BASE + SETTING_BACKEND },
    { "url", required_argument, NULL, SETTING_BASE + SETTING_URL },
    { "mode", required_argument, NULL, SETTING_BASE + SETTING_MODE },
    { "preset", required_argument, NULL, SETTING_BASE + SETTING_PRESET },
    { "prompts", required_argument, NULL, SETTING_BASE + SETTING_PROMPTS },
    { "threads", required_argument, NULL, SETTING_BASE + SETTING_THREADS },
    { "ctx", required_argument, NULL, SETTING_BASE + SETTING_CTX },
    { "gpu-layers", required_argument, NULL, SETTING_BASE + SETTING_GPU_LAYERS },
    { "step1-cache", required_argument, NULL, SETTING_BASE + SETTING_STEP1_CACHE },
    { "draft", required_argument, NULL, SETTING_BASE + SETTING_DRAFT },
    { "select-model", required_argument, NULL, SETTING_BASE + SETTING_SELECT_MODEL },
    { "kernels", required_argument, NULL, SETTING_BASE + SETTING_KERNELS },
    { "kv-bits", required_argument, NULL, SETTING_BASE + SETTING_KV_BITS },
    { "temperature", required_argument, NULL, SETTING_BASE + SETTING_TEMPERATURE },
    { "top-p", required_argument, NULL, SETTING_BASE + SETTING_TOP_P },
    { "seed", required_argument, NULL, SETTING_BASE + SETTING_SEED },
    { "max-tokens", required_argument, NULL, SETTING_BASE + SETTING_MAX_TOKENS },
    { "timeout", required_argument, NULL, SETTING_BASE + SETTING_TIMEOUT },
    { "context", required_argument, NULL, OPTION_CONTEXT },
    { "question", required_argument, NULL, OPTION_QUESTION },
    { "messages", required_argument, NULL, OPTION_MESSAGES },
    { "threshold", required_argument, NULL, OPTION_THRESHOLD },
    { "keep", required_argument, NULL, OPTION_KEEP },
    { "protect", required_argument, NULL, OPTION_PROTECT },
    { "protect-lines", required_argument, NULL, OPTION_PROTECT_LINES },
    { "json", no_argument, NULL, OPTION_JSON },
    { "jsonl", no_argument, NULL, OPTION_JSONL },
    { "resume", required_argument, NULL, OPTION_RESUME },
    { "concurrency", required_argument, NULL, OPTION_CONCURRENCY },
    { "strict", no_argument, NULL, OPTION_STRICT },
    { "explain", no_argument, NULL, OPTION_EXPLAIN },
    { "compare", no_argument, NULL, OPTION_COMPARE },
    { "no-color", no_argument, NULL, OPTION_NO_COLOR },
    { "quiet", no_argument, NULL, 'q' },
    { "verbose", no_argument, NULL, 'v' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

static const char shorts[] = ":m:qvhV"; /* ':' first: a missing argument is told from the rest */

typedef struct parse {
    options *o;
    const char *command;
    s2a_error *err;
} parse;

static s2a_status setting_flag(parse *p, settings_id id, const char *text)
{
    return settings_apply_flag(&p->o->settings, id, text, p->err);
}

static s2a_status once(parse *p, const char *flag, const char **slot, const char *value)
{
    if (*slot)
        return error_set(p->err, S2A_ARGUMENT, "%s: given twice; give it once", flag);
    *slot = value;
    return S2A_OK;
}

/* A-B, or A alone. */
static s2a_status lines_read(parse *p, const char *value, options_protect *out)
{
    int64_t first = 0, last = 0;
    char text[64];
    size_t n = strcspn(value, "-");
    snprintf(text, sizeof text, "%.*s", (int)(n < sizeof text ? n : sizeof text - 1), value);
    s2a_status status = settings_integer("--protect-lines", text, 1, 1 << 30, &first, p->err);
    last = first;
    if (status == S2A_OK && value[n])
        status = settings_integer("--protect-lines", value + n + 1, 1, 1 << 30, &last, p->err);
    if (status == S2A_OK && last < first)
        status = error_set(p->err, S2A_ARGUMENT, "--protect-lines: %s: give the first line first", value);
    *out = (options_protect){ .first = (size_t)first, .last = (size_t)last };
    return status;
}

static s2a_status option_with_value(parse *p, int code, const char *value)
{
    options *o = p->o;
    int64_t count = 0;
    s2a_status status = S2A_OK;
    switch (code) {
    case OPTION_CONCURRENCY:
        status = settings_integer("--concurrency", value, 1, CONCURRENCY_MAX, &count, p->err);
        o->concurrency = (uint32_t)count;
        return status;
    case OPTION_CONTEXT:
        o->contexts[o->context_count++] = value; /* has room for all of argv */
        return S2A_OK;
    case OPTION_QUESTION:
        return once(p, "--question", &o->question, value);
    case OPTION_MESSAGES:
        return once(p, "--messages", &o->messages, value);
    case OPTION_RESUME:
        return once(p, "--resume", &o->resume, value);
    case OPTION_THRESHOLD:
        return settings_number("--threshold", value, -1e6, false, 1e6, &o->threshold, p->err);
    case OPTION_KEEP:
        return settings_number("--keep", value, 0, true, 1, &o->keep, p->err);
    case OPTION_PROTECT:
        o->protects[o->protect_count++] = (options_protect){ .text = value };
        return *value ? S2A_OK : error_set(p->err, S2A_ARGUMENT, "--protect: the text is empty");
    case OPTION_PROTECT_LINES:
        return lines_read(p, value, &o->protects[o->protect_count++]);
    default:
        return setting_flag(p, (settings_id)(code - SETTING_BASE), value);
    }
}

static s2a_status option_bare(parse *p, int code)
{
    options *o = p->o;
    switch (code) {
    case OPTION_JSON:
        o->json = true;
        break;
    case OPTION_JSONL:
        o->jsonl = true;
        break;
    case OPTION_STRICT:
        o->strict = true;
        break;
    case OPTION_EXPLAIN:
        o->explain = true;
        break;
    case OPTION_COMPARE:
        o->compare = true;
        break;
    case OPTION_NO_COLOR:
        o->no_color = true;
        break;
    case 'q':
        o->quiet = true;
        break;
    case 'v':
        o->verbose += o->verbose < 2;
        break;
    case 'h':
        o->help = true;
        break;
    case 'V':
        o->version = true;
        break;
    default:
        return error_set(p->err, S2A_INTERNAL, "option %d has no meaning", code);
    }
    return S2A_OK;
}

/* The word of the command line that getopt_long did not like. */
static const char *word_at_fault(char **argv)
{
    const char *behind = argv[optind - 1];
    size_t n = strlen(behind);
    /* 0 is a long option; a byte of a character beyond ASCII is negative. */
    bool is_short = optopt != 0 && optopt < SETTING_BASE && !strchr(shorts, optopt);
    if (is_short && !(behind[0] == '-' && n > 1 && behind[n - 1] == (char)optopt))
        return argv[optind]; /* a cluster of short options is not behind us yet */
    return behind;
}

/* What follows a '=' is not repeated: it may be a key. */
static s2a_status option_wrong(parse *p, int code, const char *word)
{
    char given[64];
    size_t n = utf8_cut(word, sizeof given - 1);
    memcpy(given, word, n);
    given[n] = '\0';
    given[strcspn(given, "=")] = '\0';
    if (code == ':')
        return error_set(p->err, S2A_ARGUMENT, "%s: its value is missing; see s2a %s --help", given,
                         p->command);
    if (!strncmp(given, "--api-key", 9) || !strncmp(given, "--api_key", 9))
        return error_set(p->err, S2A_ARGUMENT,
                         "%s: no such option; put the key into the environment, S2A_API_KEY",
                         given);
    if (optopt >= SETTING_BASE || (optopt > 0 && strchr(shorts, optopt)))
        return error_set(p->err, S2A_ARGUMENT, "%s: takes no value; leave it out", given);
    return error_set(p->err, S2A_ARGUMENT,
                     "%s: no such option; see s2a %s --help, and write -- before a text that "
                     "begins with -",
                     given, p->command);
}

static s2a_status flags_read(parse *p, int argc, char **argv)
{
    opterr = 0;
    optind = 1;
    for (;;) {
        int code = getopt_exact(argc, argv, shorts, longs);
        if (code == -1)
            return S2A_OK;
        s2a_status status;
        if (code == '?' || code == ':') {
            status = option_wrong(p, code, word_at_fault(argv));
        } else if (code == 'm') {
            status = setting_flag(p, SETTING_MODEL, optarg);
        } else if (optarg) {
            status = option_with_value(p, code, optarg);
        } else {
            status = option_bare(p, code);
        }
        if (status != S2A_OK || p->o->help || p->o->version)
            return status;
    }
}

/* ---- what goes together ----------------------------------------------------------------- */

static s2a_status text_take(parse *p, int argc, char **argv)
{
    options *o = p->o;
    if (optind >= argc)
        return S2A_OK;
    if (o->context_count > 0 || o->question)
        return error_set(p->err, S2A_ARGUMENT,
                         "\"%.*s\": one text too many beside --context; put the question into "
                         "--question and each file into a --context of its own",
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

static s2a_status output_check(parse *p)
{
    const options *o = p->o;
    if (o->json && o->jsonl)
        return error_set(p->err, S2A_ARGUMENT, "--json and --jsonl: give one of them");
    if (o->explain && (o->json || o->jsonl))
        return error_set(p->err, S2A_ARGUMENT,
                         "--explain and %s: give one of them; the JSON holds the same",
                         o->json ? "--json" : "--jsonl");
    if (o->resume && !o->jsonl)
        return error_set(p->err, S2A_ARGUMENT, "--resume: it needs --jsonl; add that");
    if (o->concurrency > 0 && !o->jsonl)
        return error_set(p->err, S2A_ARGUMENT, "--concurrency: it needs --jsonl; add that");
    if (o->compare && !o->answer)
        return error_set(p->err, S2A_ARGUMENT,
                         "--compare: attend gives no answer to compare; use s2a ask");
    bool threshold = !isnan(o->threshold);
    if (threshold && o->keep > 0)
        return error_set(p->err, S2A_ARGUMENT, "--threshold and --keep: give one of them");
    if ((threshold || o->keep > 0 || o->protect_count > 0) && o->settings.mode == S2A_MODE_REWRITE)
        return error_set(p->err, S2A_ARGUMENT, "%s: it belongs to mode select; leave it out",
                         threshold ? "--threshold" : o->keep > 0 ? "--keep" : "--protect");
    return S2A_OK;
}

s2a_status options_read(options *o, bool answer, int argc, char **argv, s2a_error *err)
{
    *o = (options){ .answer = answer, .threshold = NAN };
    settings_init(&o->settings);
    parse p = { .o = o, .command = answer ? "ask" : "attend", .err = err };
    o->contexts = calloc((size_t)argc + 1, sizeof *o->contexts);
    o->protects = calloc((size_t)argc + 1, sizeof *o->protects);
    if (!o->contexts || !o->protects)
        return error_nomem(err);
    s2a_status status = flags_read(&p, argc, argv);
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

void options_free(options *o)
{
    settings_free(&o->settings);
    free(o->contexts);
    free(o->protects);
    o->contexts = NULL;
    o->protects = NULL;
}
