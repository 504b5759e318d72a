#include "cli/serve_options.h"

#include "base/error.h"
#include "base/utf8.h"
#include "cli/args.h"
#include "cli/help.h"

#include <getopt.h>
#include <string.h>

/* The prefix is written into URLs, JSON and logs without escapes, so its characters are limited. */
s2a_status serve_take_prefix(void *at, const char *where, const char *text, s2a_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-_.:";
    size_t len = strlen(text);
    if (len == 0 || len > 32 || strspn(text, allowed) != len)
        return error_set(err, S2A_ARGUMENT,
                         "%s: \"%.*s\"; give 1 to 32 letters, digits and - _ . :, such as s2a-",
                         where, (int)utf8_cut(text, 40), text);
    *(const char **)at = text;
    return S2A_OK;
}

s2a_status serve_take_show(void *at, const char *where, const char *text, s2a_error *err)
{
    if (chat_show_from_name(text, at))
        return S2A_OK;
    return error_set(err, S2A_ARGUMENT,
                     "%s: \"%.*s\"; use none, reasoning_content, reasoning, both or think", where,
                     (int)utf8_cut(text, 40), text);
}

static s2a_status allow(serve_names *list, const char *where, const char *text, bool valid,
                        const char *example, s2a_error *err)
{
    if (!valid)
        return error_set(err, S2A_ARGUMENT, "%s: \"%.*s\"; give one such as %s", where,
                         (int)utf8_cut(text, 60), text, example);
    if (list->count == SERVE_ALLOWED)
        return error_set(err, S2A_ARGUMENT, "%s: more than %d values", where, SERVE_ALLOWED);
    list->names[list->count++] = text;
    return S2A_OK;
}

s2a_status serve_take_host(void *at, const char *where, const char *text, s2a_error *err)
{
    return allow(at, where, text, origin_host_is_valid(text), "llm.example.org", err);
}

s2a_status serve_take_origin(void *at, const char *where, const char *text, s2a_error *err)
{
    return allow(at, where, text, origin_is_valid(text), "http://localhost:3000", err);
}

static s2a_status check(serve_flags *f, s2a_error *err)
{
    serve_options *o = &f->serve;
    const settings *s = &f->base.settings;
    if (!f->tls_cert != !f->tls_key)
        return error_set(err, S2A_ARGUMENT, "--tls-cert and --tls-key: give both, or none");
    bool upstream = !strcmp(s->backend, "http");
    if (upstream && settings_source_of(s, "model") == SETTINGS_FLAG)
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
    o->allow_hosts = (origin_list){ .names = f->hosts.names, .count = f->hosts.count };
    o->allow_origins = (origin_list){ .names = f->origins.names, .count = f->origins.count };
    return S2A_OK;
}

s2a_status serve_flags_read(serve_flags *f, int argc, char **argv, s2a_error *err)
{
    *f = (serve_flags){ .tls_cert = NULL };
    serve_options_init(&f->serve);
    s2a_status status = args_read(&command_serve, f, argc, argv, err);
    if (status != S2A_OK || f->base.help || f->base.version)
        return status;
    if (optind < argc)
        return error_set(err, S2A_ARGUMENT, "%.*s: serve takes options only; see s2a serve --help",
                         (int)utf8_cut(argv[optind], 40), argv[optind]);
    status = settings_complete(&f->base.settings, err);
    return status == S2A_OK ? check(f, err) : status;
}
