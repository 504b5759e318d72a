#include "cli/settings.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind {
    KIND_TEXT,    /* char *, not empty */
    KIND_BACKEND, /* one of the names below */
    KIND_MODE,
    KIND_PRESET,
    KIND_COUNT,  /* uint32_t */
    KIND_SIGNED, /* int32_t */
    KIND_NUMBER, /* double, low included */
    KIND_SHARE,  /* double, low excluded */
    KIND_SWITCH, /* bool: on or off */
} kind;

typedef struct row {
    const char *name;
    kind kind;
    size_t offset;
    double low, high;
} row;

static const row rows[] = {
#define SETTINGS_ROW(id, name, kind, member, low, high) \
    { name, KIND_##kind, offsetof(settings, member), low, high },
    SETTINGS_MAP(SETTINGS_ROW)
#undef SETTINGS_ROW
};

static const char *const backends[] = { "llama", "http", "script" };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

void settings_init(settings *s)
{
    s2a_engine_options engine;
    s2a_engine_options_init(&engine);
    *s = (settings){
        .backend = backends[0],
        .mode = S2A_MODE_DEFAULT,
        .preset = S2A_PRESET_AUTO,
        .max_tokens = 1024,
        .gpu_layers = engine.gpu_layers,
        .draft = engine.draft,
        .kernels = engine.kernels,
        .kv_bits = engine.kv_bits,
        .temperature = 0.6, /* the paper's sampling, as s2a_request_new has it */
        .top_p = 0.9,
    };
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

settings_id settings_find(const char *name)
{
    size_t i = 0;
    while (i < COUNT(rows) && strcmp(rows[i].name, name) != 0)
        i++;
    return (settings_id)i;
}

static const char *settings_name(settings_id id)
{
    return rows[id].name;
}

bool settings_is_number(settings_id id)
{
    kind k = rows[id].kind;
    return k == KIND_COUNT || k == KIND_SIGNED || k == KIND_NUMBER || k == KIND_SHARE;
}

/* ---- numbers ---------------------------------------------------------------------------- */

s2a_status settings_integer(const char *where, const char *text, int64_t low, int64_t high,
                            int64_t *out, s2a_error *err)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    /* strtoll lets white space and '+' pass. */
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
    /* strtod lets white space, hexadecimal, "inf" and "nan" pass. */
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

static s2a_status preset_unknown(const char *where, const char *text, s2a_error *err)
{
    static const char names[] = ""
#define PRESET_NAME(id, name) name ", "
        S2A_PRESET_MAP(PRESET_NAME)
#undef PRESET_NAME
        ;
    return error_set(err, S2A_ARGUMENT, "%s: no preset \"%.*s\"; use one of %.*s", where,
                     (int)utf8_cut(text, 40), text, (int)(sizeof names - 3), names);
}

static s2a_status backend_from(const char *where, const char *text, const char **out,
                               s2a_error *err)
{
    for (size_t i = 0; i < COUNT(backends); i++) {
        if (!strcmp(text, backends[i])) {
            *out = backends[i];
            return S2A_OK;
        }
    }
    return error_set(err, S2A_ARGUMENT, "%s: no backend \"%.*s\"; use llama, http or script", where,
                     (int)utf8_cut(text, 40), text);
}

static s2a_status mode_from(const char *where, const char *text, s2a_mode *out, s2a_error *err)
{
    if (!s2a_mode_from_name(text, out) || *out > S2A_MODE_SELECT)
        return error_set(err, S2A_ARGUMENT,
                         "%s: no mode \"%.*s\"; use select or rewrite (for no step 1: --preset "
                         "plain)",
                         where, (int)utf8_cut(text, 40), text);
    return S2A_OK;
}

static s2a_status switch_from(const char *where, const char *text, bool *out, s2a_error *err)
{
    *out = !strcmp(text, "on");
    if (!*out && strcmp(text, "off") != 0)
        return error_set(err, S2A_ARGUMENT, "%s: \"%.*s\" is neither on nor off", where,
                         (int)utf8_cut(text, 40), text);
    return S2A_OK;
}

/* ---- one value -------------------------------------------------------------------------- */

typedef union value {
    const char *name;
    s2a_mode mode;
    s2a_preset preset;
    bool on;
    int64_t integer;
    double number;
} value;

static s2a_status value_read(const row *r, const char *text, const char *where, value *v,
                             s2a_error *err)
{
    switch (r->kind) {
    case KIND_TEXT:
        if (!*text)
            return error_set(err, S2A_ARGUMENT, "%s: it is empty; give a value", where);
        return S2A_OK;
    case KIND_BACKEND:
        return backend_from(where, text, &v->name, err);
    case KIND_MODE:
        return mode_from(where, text, &v->mode, err);
    case KIND_PRESET:
        return s2a_preset_from_name(text, &v->preset) ? S2A_OK : preset_unknown(where, text, err);
    case KIND_COUNT:
    case KIND_SIGNED:
        return settings_integer(where, text, (int64_t)r->low, (int64_t)r->high, &v->integer, err);
    case KIND_NUMBER:
    case KIND_SHARE:
        return settings_number(where, text, r->low, r->kind == KIND_SHARE, r->high, &v->number,
                               err);
    case KIND_SWITCH:
        return switch_from(where, text, &v->on, err);
    }
    return error_set(err, S2A_INTERNAL, "%s: setting of no kind", where);
}

static s2a_status value_store(settings *s, const row *r, const char *text, const value *v,
                              s2a_error *err)
{
    void *member = (char *)s + r->offset;
    switch (r->kind) {
    case KIND_TEXT: {
        char **slot = member, *copy = bytes_dup(text, strlen(text));
        if (!copy)
            return error_nomem(err);
        free(*slot);
        *slot = copy;
        break;
    }
    case KIND_BACKEND:
        *(const char **)member = v->name;
        break;
    case KIND_MODE:
        *(s2a_mode *)member = v->mode;
        break;
    case KIND_PRESET:
        *(s2a_preset *)member = v->preset;
        break;
    case KIND_COUNT:
        *(uint32_t *)member = (uint32_t)v->integer;
        break;
    case KIND_SIGNED:
        *(int32_t *)member = (int32_t)v->integer;
        break;
    case KIND_NUMBER:
    case KIND_SHARE:
        *(double *)member = v->number;
        break;
    case KIND_SWITCH:
        *(bool *)member = v->on;
        break;
    }
    return S2A_OK;
}

s2a_status settings_apply(settings *s, settings_id id, const char *text, settings_source source,
                          const char *where, s2a_error *err)
{
    value v = { .name = NULL };
    s2a_status status = value_read(&rows[id], text, where, &v, err);
    if (status != S2A_OK || source < s->from[id])
        return status;
    status = value_store(s, &rows[id], text, &v, err);
    if (status == S2A_OK)
        s->from[id] = source;
    return status;
}

s2a_status settings_apply_flag(settings *s, settings_id id, const char *text, s2a_error *err)
{
    char where[32];
    snprintf(where, sizeof where, "--%s", settings_name(id));
    for (char *c = where; *c; c++)
        *c = *c == '_' ? '-' : *c;
    return settings_apply(s, id, text, SETTINGS_FLAG, where, err);
}

s2a_status settings_from_environment(settings *s, s2a_error *err)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        char name[32] = "S2A_";
        size_t n = strlen(name);
        for (const char *p = rows[i].name; *p && n + 1 < sizeof name; p++)
            name[n++] = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
        name[n] = '\0';
        const char *text = getenv(name);
        if (!text || !*text)
            continue;
        s2a_status status =
            settings_apply(s, (settings_id)i, text, SETTINGS_ENVIRONMENT, name, err);
        if (status != S2A_OK)
            return status;
    }
    return S2A_OK;
}

s2a_status settings_settle(settings *s, s2a_error *err)
{
    bool http = !strcmp(s->backend, "http");
    if (s->url && !http) {
        /* A URL implies http, unless a backend was named by a stronger source. */
        if (s->from[SETTING_URL] > s->from[SETTING_BACKEND]) {
            s->backend = "http";
            http = true;
        } else if (s->from[SETTING_URL] == SETTINGS_FLAG) {
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
