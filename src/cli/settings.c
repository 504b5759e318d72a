#include "cli/settings.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/utf8.h"
#include "cli/args.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void settings_init(settings *s)
{
    *s = (settings){ .mode = S2A_MODE_DEFAULT };
    for (size_t i = 0; i < option_row_count; i++) {
        const option_row *row = &option_rows[i];
        if (row->key && row->fallback && row == option_of_key(row->key))
            args_take(row, s, row->name, row->fallback, NULL);
    }
}

void settings_free(settings *s)
{
    free(s->model);
    free(s->url);
    free(s->prompts);
    free(s->api_key);
    free(s->select_model);
    s->model = s->url = s->prompts = s->api_key = s->select_model = NULL;
}

/* ---- numbers ---------------------------------------------------------------------------- */

s2a_status settings_integer(const char *where, const char *text, int64_t low, int64_t high,
                            int64_t *out, s2a_error *err)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    /* strtoll accepts white space and '+'. */
    bool whole =
        (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) && *end == '\0' && end != text;
    if (!whole)
        return error_set(err, S2A_ARGUMENT,
                         "%s: \"%.*s\" is not a whole number; give one from %lld to %lld", where,
                         (int)utf8_cut(text, 40), text, (long long)low, (long long)high);
    if (errno == ERANGE || value < low || value > high)
        return error_set(err, S2A_ARGUMENT, "%s: %.*s is out of range; give one from %lld to %lld",
                         where, (int)utf8_cut(text, 40), text, (long long)low, (long long)high);
    *out = value;
    return S2A_OK;
}

s2a_status settings_number(const char *where, const char *text, double low, bool above_low,
                           double high, double *out, s2a_error *err)
{
    const char *from = above_low ? "more than " : "from ", *to = above_low ? ", at most" : " to";
    char *end = NULL;
    double value = strtod(text, &end);
    /* strtod accepts white space, hexadecimal, "inf" and "nan". */
    bool whole =
        text[0] && text[strspn(text, "0123456789.eE+-")] == '\0' && *end == '\0' && text[0] != '+';
    if (!whole)
        return error_set(err, S2A_ARGUMENT,
                         "%s: \"%.*s\" is not a number; give one %s%.10g%s %.10g", where,
                         (int)utf8_cut(text, 40), text, from, low, to, high);
    if (!isfinite(value) || value < low || (above_low && value <= low) || value > high)
        return error_set(err, S2A_ARGUMENT, "%s: %.*s is out of range; give one %s%.10g%s %.10g",
                         where, (int)utf8_cut(text, 40), text, from, low, to, high);
    *out = value;
    return S2A_OK;
}

/* ---- names ------------------------------------------------------------------------------ */

s2a_status settings_take_backend(void *at, const char *where, const char *text, s2a_error *err)
{
    static const char *const names[] = { "llama", "http", "script" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!strcmp(text, names[i])) {
            *(const char **)at = names[i]; /* text may be freed */
            return S2A_OK;
        }
    }
    return error_set(err, S2A_ARGUMENT, "%s: no backend \"%.*s\"; use llama, http or script", where,
                     (int)utf8_cut(text, 40), text);
}

s2a_status settings_take_preset(void *at, const char *where, const char *text, s2a_error *err)
{
    static const char names[] = ""
#define PRESET_NAME(id, name) name ", "
        S2A_PRESET_MAP(PRESET_NAME)
#undef PRESET_NAME
        ;
    if (s2a_preset_from_name(text, at))
        return S2A_OK;
    return error_set(err, S2A_ARGUMENT, "%s: no preset \"%.*s\"; use one of %.*s", where,
                     (int)utf8_cut(text, 40), text, (int)(sizeof names - 3), names);
}

s2a_status settings_take_mode(void *at, const char *where, const char *text, s2a_error *err)
{
    s2a_mode mode;
    if (!s2a_mode_from_name(text, &mode) || mode > S2A_MODE_SELECT)
        return error_set(err, S2A_ARGUMENT,
                         "%s: no mode \"%.*s\"; use select or rewrite (for no step 1: --preset "
                         "plain)",
                         where, (int)utf8_cut(text, 40), text);
    *(s2a_mode *)at = mode;
    return S2A_OK;
}

/* ---- one value -------------------------------------------------------------------------- */

static bool is_owned(const option_row *row)
{
    return row->kind == OPTION_NAME;
}

s2a_status settings_apply(settings *s, const char *key, const char *text, settings_source source,
                          const char *where, s2a_error *err)
{
    settings spare = { .mode = S2A_MODE_DEFAULT };
    const option_row *row = option_of_key(key);
    if (!row)
        return error_set(err, S2A_ARGUMENT,
                         "%s: no such setting; see the list in s2a(1), or remove it", where);
    s2a_status status = args_take(row, &spare, where, text, err);
    settings_source *from = &s->from[row - option_rows];
    if (status != S2A_OK || source < *from)
        return status;
    char **slot = (char **)((char *)s + row->at), *copy = NULL;
    if (is_owned(row) && !(copy = bytes_dup(text, strlen(text))))
        return error_nomem(err);
    if (is_owned(row)) {
        free(*slot);
        *slot = copy;
    } else {
        memcpy((char *)s + row->at, (char *)&spare + row->at, row->size);
    }
    *from = source;
    return S2A_OK;
}

settings_source settings_source_of(const settings *s, const char *key)
{
    return s->from[option_of_key(key) - option_rows];
}

s2a_status settings_from_environment(settings *s, s2a_error *err)
{
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < option_row_count && status == S2A_OK; i++) {
        char name[64];
        const option_row *row = &option_rows[i];
        option_variable(row, name);
        const char *text = row->key && row == option_of_key(row->key) ? getenv(name) : NULL;
        if (text && *text)
            status = settings_apply(s, row->key, text, SETTINGS_ENVIRONMENT, name, err);
    }
    return status;
}

s2a_status settings_settle(settings *s, s2a_error *err)
{
    bool http = !strcmp(s->backend, "http");
    if (s->url && !http) {
        /* A URL implies http, unless a backend was named by a stronger source. */
        if (settings_source_of(s, "url") > settings_source_of(s, "backend")) {
            s->backend = "http";
            http = true;
        } else if (settings_source_of(s, "url") == SETTINGS_FLAG) {
            return error_set(err, S2A_ARGUMENT,
                             "--url: backend %s has no URL; use --backend http, or leave --url out",
                             s->backend);
        }
    }
    if (http && !s->url)
        return error_set(err, S2A_ARGUMENT,
                         "backend http: no URL; give one, such as --url http://127.0.0.1:8080/v1");
    if (!strcmp(s->backend, "script") && !s->model)
        return error_set(err, S2A_ARGUMENT,
                         "backend script: no replay file; give its path with --model");
    return S2A_OK;
}

s2a_status settings_complete(settings *s, s2a_error *err)
{
    s2a_status status = settings_from_environment(s, err);
    if (status == S2A_OK)
        status = settings_from_file(s, err);
    return status == S2A_OK ? settings_settle(s, err) : status;
}
