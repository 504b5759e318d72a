#include "cli/serve_options.h"

#include "base/error.h"
#include "base/utf8.h"
#include "cli/getopt_exact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SETTING_BASE = 256,
    OPTION_HOST = SETTING_BASE + SETTINGS_COUNT,
    OPTION_PORT,
    OPTION_PREFIX,
    OPTION_SHOW,
    OPTION_STRICT,
    OPTION_BUDGET,
    OPTION_KEYS,
    OPTION_KEY, /* so that it is not taken for the beginning of --api-keys */
    OPTION_FORWARD,
    OPTION_ALLOW_HOST,
    OPTION_ALLOW_ORIGIN,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_MAX_BODY,
    OPTION_MAX_CONNECTIONS,
    OPTION_WORKERS,
    OPTION_QUEUE,
    OPTION_HEAD,
    OPTION_BODY,
    OPTION_UPSTREAM_TIMEOUT,
    OPTION_DRAIN,
    OPTION_LOG,
    OPTION_LOG_PROMPTS,
};

/* There is no option for a key on purpose: everyone on the machine can read a command line. */
static const struct option longs[] = {
    { "model", required_argument, NULL, SETTING_BASE + SETTING_MODEL },
    { "backend", required_argument, NULL, SETTING_BASE + SETTING_BACKEND },
    { "upstream", required_argument, NULL, SETTING_BASE + SETTING_URL },
    { "mode", required_argument, NULL, SETTING_BASE + SETTING_MODE },
    { "preset", required_argument, NULL, SETTING_BASE + SETTING_PRESET },
    { "prompts", required_argument, NULL, SETTING_BASE + SETTING_PROMPTS },
    { "threads", required_argument, NULL, SETTING_BASE + SETTING_THREADS },
    { "ctx", required_argument, NULL, SETTING_BASE + SETTING_CTX },
    { "gpu-layers", required_argument, NULL, SETTING_BASE + SETTING_GPU_LAYERS },
    { "select-model", required_argument, NULL, SETTING_BASE + SETTING_SELECT_MODEL },
    { "kernels", required_argument, NULL, SETTING_BASE + SETTING_KERNELS },
    { "kv-bits", required_argument, NULL, SETTING_BASE + SETTING_KV_BITS },
    { "temperature", required_argument, NULL, SETTING_BASE + SETTING_TEMPERATURE },
    { "top-p", required_argument, NULL, SETTING_BASE + SETTING_TOP_P },
    { "seed", required_argument, NULL, SETTING_BASE + SETTING_SEED },
    { "max-tokens", required_argument, NULL, SETTING_BASE + SETTING_MAX_TOKENS },
    { "timeout", required_argument, NULL, SETTING_BASE + SETTING_TIMEOUT },
    { "host", required_argument, NULL, OPTION_HOST },
    { "port", required_argument, NULL, OPTION_PORT },
    { "prefix", required_argument, NULL, OPTION_PREFIX },
    { "show", required_argument, NULL, OPTION_SHOW },
    { "strict", no_argument, NULL, OPTION_STRICT },
    { "step1-budget-ms", required_argument, NULL, OPTION_BUDGET },
    { "api-key", optional_argument, NULL, OPTION_KEY },
    { "api-keys", required_argument, NULL, OPTION_KEYS },
    { "forward-authorization", no_argument, NULL, OPTION_FORWARD },
    { "allow-host", required_argument, NULL, OPTION_ALLOW_HOST },
    { "allow-origin", required_argument, NULL, OPTION_ALLOW_ORIGIN },
    { "tls-cert", required_argument, NULL, OPTION_TLS_CERT },
    { "tls-key", required_argument, NULL, OPTION_TLS_KEY },
    { "max-body", required_argument, NULL, OPTION_MAX_BODY },
    { "max-connections", required_argument, NULL, OPTION_MAX_CONNECTIONS },
    { "workers", required_argument, NULL, OPTION_WORKERS },
    { "queue", required_argument, NULL, OPTION_QUEUE },
    { "head-timeout-ms", required_argument, NULL, OPTION_HEAD },
    { "body-timeout-ms", required_argument, NULL, OPTION_BODY },
    { "upstream-timeout-ms", required_argument, NULL, OPTION_UPSTREAM_TIMEOUT },
    { "drain-ms", required_argument, NULL, OPTION_DRAIN },
    { "access-log", required_argument, NULL, OPTION_LOG },
    { "log-prompts", no_argument, NULL, OPTION_LOG_PROMPTS },
    { "quiet", no_argument, NULL, 'q' },
    { "verbose", no_argument, NULL, 'v' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

static s2a_status count(const char *where, const char *text, int64_t low, int64_t high,
                        uint32_t *out, s2a_error *err)
{
    int64_t value = 0;
    s2a_status status = settings_integer(where, text, low, high, &value, err);
    if (status == S2A_OK)
        *out = (uint32_t)value;
    return status;
}

static s2a_status port(serve_options *o, const char *text, s2a_error *err)
{
    uint32_t value = 0;
    s2a_status status = count("--port", text, 0, 65535, &value, err);
    if (status == S2A_OK)
        o->port = (uint16_t)value;
    return status;
}

static s2a_status max_body(serve_options *o, const char *text, s2a_error *err)
{
    uint32_t value = 0;
    s2a_status status = count("--max-body", text, 1024, 1 << 30, &value, err);
    if (status == S2A_OK)
        o->max_body = value;
    return status;
}

/* What a name may begin with that goes into URLs, JSON and logs as it is. */
static s2a_status prefix(serve_options *o, const char *text, s2a_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-_.:";
    size_t len = strlen(text);
    if (len == 0 || len > 32 || strspn(text, allowed) != len)
        return error_set(err, S2A_ARGUMENT,
                         "--prefix: \"%.*s\"; give 1 to 32 letters, digits and - _ . :, such as "
                         "s2a-",
                         (int)utf8_cut(text, 40), text);
    o->prefix = text;
    return S2A_OK;
}

static s2a_status allow(const char *where, const char *text, bool valid, const char *example,
                        const char **names, origin_list *list, s2a_error *err)
{
    if (!valid)
        return error_set(err, S2A_ARGUMENT, "%s: \"%.*s\"; give one such as %s", where,
                         (int)utf8_cut(text, 60), text, example);
    if (list->count == SERVE_ALLOWED)
        return error_set(err, S2A_ARGUMENT, "%s: more than %d of them", where, SERVE_ALLOWED);
    names[list->count++] = text;
    list->names = names;
    return S2A_OK;
}

static s2a_status setting(serve_flags *f, settings_id id, const char *text, s2a_error *err)
{
    settings *s = &f->base.settings;
    return id == SETTING_URL ? settings_apply(s, id, text, SETTINGS_FLAG, "--upstream", err)
                             : settings_apply_flag(s, id, text, err);
}

static s2a_status limit(serve_flags *f, int code, const char *value, s2a_error *err)
{
    serve_options *o = &f->serve;
    const int64_t day_ms = 86400000;
    switch (code) {
    case OPTION_MAX_CONNECTIONS:
        return count("--max-connections", value, 1, 100000, &o->max_connections, err);
    case OPTION_WORKERS:
        return count("--workers", value, 1, 1024, &o->workers, err);
    case OPTION_QUEUE:
        return count("--queue", value, 1, 100000, &o->queue, err);
    case OPTION_HEAD:
        return count("--head-timeout-ms", value, 100, day_ms, &o->head_ms, err);
    case OPTION_BODY:
        return count("--body-timeout-ms", value, 100, day_ms, &o->body_ms, err);
    case OPTION_UPSTREAM_TIMEOUT:
        return count("--upstream-timeout-ms", value, 1000, day_ms, &o->upstream_idle_ms, err);
    case OPTION_DRAIN:
        return count("--drain-ms", value, 0, day_ms, &f->drain_ms, err);
    case OPTION_BUDGET:
        return count("--step1-budget-ms", value, 0, day_ms, &o->step1_budget_ms, err);
    default:
        return setting(f, (settings_id)(code - SETTING_BASE), value, err);
    }
}

static s2a_status with_value(serve_flags *f, int code, const char *value, s2a_error *err)
{
    serve_options *o = &f->serve;
    switch (code) {
    case OPTION_HOST:
        o->host = value;
        return S2A_OK;
    case OPTION_PORT:
        return port(o, value, err);
    case OPTION_PREFIX:
        return prefix(o, value, err);
    case OPTION_SHOW:
        return chat_show_from_name(value, &o->ask.show)
                   ? S2A_OK
                   : error_set(err, S2A_ARGUMENT,
                               "--show: \"%.*s\"; use none, reasoning_content, reasoning, both or "
                               "think",
                               (int)utf8_cut(value, 40), value);
    case OPTION_KEYS:
        o->keys_file = value;
        return S2A_OK;
    case OPTION_ALLOW_HOST:
        return allow("--allow-host", value, origin_host_is_valid(value), "llm.example.org", f->hosts,
                     &o->allow_hosts, err);
    case OPTION_ALLOW_ORIGIN:
        return allow("--allow-origin", value, origin_is_valid(value), "http://localhost:3000",
                     f->origins, &o->allow_origins, err);
    case OPTION_TLS_CERT:
        f->tls_cert = value;
        return S2A_OK;
    case OPTION_TLS_KEY:
        f->tls_key = value;
        return S2A_OK;
    case OPTION_MAX_BODY:
        return max_body(o, value, err);
    case OPTION_LOG:
        o->access_log = value;
        return S2A_OK;
    default:
        return limit(f, code, value, err);
    }
}

static void bare(serve_flags *f, int code)
{
    options *o = &f->base;
    f->serve.strict |= code == OPTION_STRICT;
    f->serve.forward_authorization |= code == OPTION_FORWARD;
    f->serve.log_prompts |= code == OPTION_LOG_PROMPTS;
    o->quiet |= code == 'q';
    o->verbose += code == 'v' && o->verbose < 2;
    o->help |= code == 'h';
    o->version |= code == 'V';
}

static s2a_status wrong(int code, const char *word, s2a_error *err)
{
    char given[64];
    size_t n = utf8_cut(word, sizeof given - 1);
    memcpy(given, word, n);
    given[n] = '\0';
    given[strcspn(given, "=")] = '\0'; /* what follows may be a key */
    if (code == ':')
        return error_set(err, S2A_ARGUMENT, "%s: its value is missing; see s2a serve --help",
                         given);
    return error_set(err, S2A_ARGUMENT, "%s: no such option, or it takes no value; see s2a serve "
                                        "--help",
                     given);
}

static s2a_status check(serve_flags *f, s2a_error *err)
{
    serve_options *o = &f->serve;
    const settings *s = &f->base.settings;
    if (!f->tls_cert != !f->tls_key)
        return error_set(err, S2A_ARGUMENT, "--tls-cert and --tls-key: give both, or none");
    bool upstream = !strcmp(s->backend, "http");
    if (upstream && s->from[SETTING_MODEL] == SETTINGS_FLAG)
        return error_set(err, S2A_ARGUMENT,
                         "--model: with --upstream each request names its own; leave it out");
    if (o->forward_authorization && !upstream)
        return error_set(err, S2A_ARGUMENT, "--forward-authorization: it needs --upstream");
    o->upstream = upstream ? s->url : NULL;
    o->upstream_key = upstream ? s->api_key : NULL;
    o->ask.mode = s->mode;
    o->ask.preset = s->preset;
    o->temperature = s->temperature;
    o->top_p = s->top_p;
    o->seed = s->seed;
    o->max_tokens = s->max_tokens;
    const char *keys = getenv("S2A_SERVE_API_KEYS_FILE");
    if (!o->keys_file && keys && *keys)
        o->keys_file = keys;
    return S2A_OK;
}

s2a_status serve_flags_read(serve_flags *f, int argc, char **argv, s2a_error *err)
{
    *f = (serve_flags){ .drain_ms = SERVE_DRAIN_MS };
    serve_options_init(&f->serve);
    f->serve.port = 8080;
    settings_init(&f->base.settings);
    opterr = 0;
    optind = 1;
    s2a_status status = S2A_OK;
    while (status == S2A_OK && !f->base.help && !f->base.version) {
        int code = getopt_exact(argc, argv, ":m:qvhV", longs);
        if (code == -1)
            break;
        if (code == '?' || code == ':')
            status = wrong(code, argv[optind - 1], err);
        else if (code == OPTION_KEY)
            status = error_set(err, S2A_ARGUMENT,
                               "--api-key: no such option; put the keys of clients into a file "
                               "for --api-keys, and that of upstream into the environment, "
                               "S2A_API_KEY");
        else if (code == 'm')
            status = setting(f, SETTING_MODEL, optarg, err);
        else if (optarg)
            status = with_value(f, code, optarg, err);
        else
            bare(f, code);
    }
    if (status != S2A_OK || f->base.help || f->base.version)
        return status;
    if (optind < argc)
        return error_set(err, S2A_ARGUMENT, "%.*s: serve takes options only; see s2a serve --help",
                         (int)utf8_cut(argv[optind], 40), argv[optind]);
    status = settings_complete(&f->base.settings, err);
    return status == S2A_OK ? check(f, err) : status;
}
