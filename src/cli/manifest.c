#include "cli/manifest.h"

#include "base/error.h"
#include "base/limits.h"
#include "cli/files.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The place that is being read, for messages: "models.json: models[2] (smollm2): sources[0]". */
typedef struct reader {
    const char *where;
    char at[160];
    s2a_error *err;
} reader;

static s2a_status fault(const reader *r, const char *field, const char *what)
{
    return error_set(r->err, S2A_INPUT, "manifest %s: %s%s%s: %s", r->where, r->at,
                     *r->at && *field ? ": " : "", field, what);
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Begins with a letter or digit, so that it can be neither an option of a command nor a hidden
 * file. The other characters are letters, digits and those of more. */
static bool is_word(const char *s, const char *more)
{
    if (!is_alnum(*s) || strlen(s) > 200)
        return false;
    for (; *s; s++)
        if (!is_alnum(*s) && !strchr(more, *s))
            return false;
    return true;
}

static bool is_name(const char *s)
{
    return is_word(s, "._-");
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcasecmp(s + n - m, end) == 0;
}

/* A name that ended in .gguf would be taken for a file. */
static bool is_model_name(const char *s)
{
    return is_name(s) && !ends_with(s, ".gguf");
}

static bool is_file(const char *s)
{
    return is_name(s) && ends_with(s, ".gguf");
}

static bool is_sha256(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

/* Contains no control characters, on which a terminal would act; U+0080 to U+009F are such, too. */
static bool is_plain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f ||
            ((unsigned char)*s == 0xc2 && (unsigned char)s[1] < 0xa0))
            return false;
    return true;
}

static bool is_url(const char *s)
{
    return is_plain(s) && !strchr(s, ' ') &&
           ((strncmp(s, "https://", 8) == 0 && s[8]) || (strncmp(s, "http://", 7) == 0 && s[7]));
}

static bool is_role(const char *s)
{
    return strcmp(s, "default") == 0 || strcmp(s, "test") == 0;
}

static bool is_version(const char *s)
{
    return is_word(s, "._-+!");
}

static bool is_member(const char *s)
{
    return *s && *s != '/' && strlen(s) <= 1000 && is_plain(s);
}

static bool is_text(const char *s)
{
    return *s && strlen(s) <= 200 && is_plain(s);
}

/* Reads a string field. valid checks it; expected is the message for a value that is not valid. */
static s2a_status read_string(const reader *r, const json_t *object, const char *field,
                              bool (*valid)(const char *), const char *expected, const char **out)
{
    const json_t *value = json_object_get(object, field);
    if (!value)
        return fault(r, field, "is missing");
    if (!json_is_string(value) || !valid(json_string_value(value)))
        return fault(r, field, expected);
    *out = json_string_value(value);
    return S2A_OK;
}

static s2a_status read_array(const reader *r, const json_t *object, const char *field, size_t min,
                             const json_t **out)
{
    const json_t *value = json_object_get(object, field);
    if (!value)
        return fault(r, field, "is missing");
    if (!json_is_array(value))
        return fault(r, field, "must be an array");
    if (json_array_size(value) < min)
        return fault(r, field, "must not be empty");
    if (json_array_size(value) > LIMIT_MANIFEST_ITEMS)
        return fault(r, field, "has too many elements");
    *out = value;
    return S2A_OK;
}

/* Reads an array of strings; *out is malloc'ed also on failure. */
static s2a_status read_strings(const reader *r, const json_t *object, const char *field, size_t min,
                               bool (*valid)(const char *), const char *expected, const char ***out,
                               size_t *count)
{
    const json_t *array;
    s2a_status status = read_array(r, object, field, min, &array);
    if (status != S2A_OK)
        return status;
    *count = json_array_size(array);
    *out = calloc(*count + 1, sizeof **out);
    if (!*out)
        return error_nomem(r->err);
    for (size_t i = 0; i < *count; i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_string(value) || !valid(json_string_value(value)))
            return fault(r, field, expected);
        (*out)[i] = json_string_value(value);
    }
    return S2A_OK;
}

/* A misspelt field must not be taken for a missing one. fields ends with NULL. */
static s2a_status check_fields(const reader *r, json_t *object, const char *const *fields)
{
    if (!json_is_object(object))
        return fault(r, "", "must be an object");
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *const *f = fields;
        while (*f && strcmp(*f, json_object_iter_key(it)) != 0)
            f++;
        if (!*f)
            return fault(r, json_object_iter_key(it), "unknown field");
    }
    return S2A_OK;
}

static s2a_status read_wheels(const reader *r, json_t *object, manifest_source *source)
{
    static const char *const fields[] = { "type", "packages", "version", "members", NULL };
    size_t members = 0;
    source->kind = MANIFEST_WHEELS;
    s2a_status status = check_fields(r, object, fields);
    if (status == S2A_OK)
        status = read_strings(r, object, "packages", 1, is_name, "must hold package names",
                              &source->packages, &source->part_count);
    if (status == S2A_OK)
        status = read_string(r, object, "version", is_version, "must be a version such as 1.2.0",
                             &source->version);
    if (status == S2A_OK)
        status = read_strings(r, object, "members", 1, is_member,
                              "must hold paths inside the wheels", &source->members, &members);
    if (status == S2A_OK && members != source->part_count)
        status = fault(r, "members", "must be as many as packages");
    return status;
}

static s2a_status read_source(const reader *r, json_t *object, manifest_source *source)
{
    static const char *const url_fields[] = { "type", "url", NULL };
    const char *type = "";
    if (!json_is_object(object))
        return fault(r, "", "must be an object");
    s2a_status status =
        read_string(r, object, "type", is_text, "must be \"url\" or \"wheels\"", &type);
    if (status != S2A_OK)
        return status;
    if (strcmp(type, "wheels") == 0)
        return read_wheels(r, object, source);
    if (strcmp(type, "url") != 0)
        return fault(r, "type", "must be \"url\" or \"wheels\"");
    source->kind = MANIFEST_URL;
    status = check_fields(r, object, url_fields);
    if (status == S2A_OK)
        status =
            read_string(r, object, "url", is_url, "must be an http or https URL", &source->url);
    return status;
}

static s2a_status read_sources(reader *r, const json_t *object, manifest_model *model)
{
    const json_t *array;
    s2a_status status = read_array(r, object, "sources", 1, &array);
    if (status != S2A_OK)
        return status;
    size_t count = json_array_size(array);
    model->sources = calloc(count, sizeof *model->sources);
    if (!model->sources)
        return error_nomem(r->err);
    model->source_count = count;
    size_t end = strlen(r->at);
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        snprintf(r->at + end, sizeof r->at - end, ": sources[%zu]", i);
        status = read_source(r, json_array_get(array, i), &model->sources[i]);
    }
    return status;
}

static s2a_status read_bytes(const reader *r, const json_t *object, uint64_t *out)
{
    const json_t *value = json_object_get(object, "bytes");
    if (!value)
        return fault(r, "bytes", "is missing");
    if (!json_is_integer(value) || json_integer_value(value) <= 0)
        return fault(r, "bytes", "must be a whole number above 0");
    *out = (uint64_t)json_integer_value(value);
    return S2A_OK;
}

static s2a_status read_model(reader *r, json_t *object, manifest_model *model)
{
    static const char *const fields[] = { "name", "file",    "bytes",   "sha256", "licence",
                                          "role", "aliases", "sources", NULL };
    s2a_status status = check_fields(r, object, fields);
    if (status == S2A_OK)
        status = read_string(r, object, "name", is_model_name,
                             "must be letters, digits and ._- and not end in .gguf", &model->name);
    if (status != S2A_OK)
        return status;
    size_t end = strlen(r->at);
    snprintf(r->at + end, sizeof r->at - end, " (%.60s)", model->name);
    status = read_string(r, object, "file", is_file, "must be a plain file name that ends in .gguf",
                         &model->file);
    if (status == S2A_OK)
        status = read_bytes(r, object, &model->bytes);
    if (status == S2A_OK)
        status = read_string(r, object, "sha256", is_sha256, "must be 64 lower-case hex digits",
                             &model->sha256);
    if (status == S2A_OK)
        status = read_string(r, object, "licence", is_text, "must be a name such as Apache-2.0",
                             &model->licence);
    model->role = "";
    if (status == S2A_OK && json_object_get(object, "role"))
        status = read_string(r, object, "role", is_role, "must be \"default\" or \"test\"",
                             &model->role);
    if (status == S2A_OK && json_object_get(object, "aliases"))
        status = read_strings(r, object, "aliases", 0, is_model_name,
                              "must hold letters, digits and ._- and not end in .gguf",
                              &model->aliases, &model->alias_count);
    return status == S2A_OK ? read_sources(r, object, model) : status;
}

static bool model_is_called(const manifest_model *model, const char *name)
{
    if (strcasecmp(model->name, name) == 0 || strcasecmp(model->file, name) == 0)
        return true;
    for (size_t i = 0; i < model->alias_count; i++)
        if (strcasecmp(model->aliases[i], name) == 0)
            return true;
    return false;
}

/* Two models must not share a name, alias or file, and only one may be the default. */
static s2a_status check_unique(const reader *r, const manifest *m, size_t index)
{
    const manifest_model *model = &m->models[index];
    for (size_t i = 0; i < index; i++) {
        const manifest_model *other = &m->models[i];
        if (model_is_called(other, model->name))
            return fault(r, "name", "is taken by an earlier model");
        if (model_is_called(other, model->file))
            return fault(r, "file", "is taken by an earlier model");
        for (size_t k = 0; k < model->alias_count; k++)
            if (model_is_called(other, model->aliases[k]))
                return fault(r, "aliases", "one is taken by an earlier model");
        if (strcmp(model->role, "default") == 0 && strcmp(other->role, "default") == 0)
            return fault(r, "role", "an earlier model is the default already");
    }
    return S2A_OK;
}

static s2a_status read_root(reader *r, manifest *m)
{
    static const char *const fields[] = { "format", "models", NULL };
    const json_t *array;
    s2a_status status = check_fields(r, m->root, fields);
    if (status != S2A_OK)
        return status;
    if (json_integer_value(json_object_get(m->root, "format")) != 1)
        return fault(r, "format", "must be 1");
    status = read_array(r, m->root, "models", 1, &array);
    if (status != S2A_OK)
        return status;
    size_t count = json_array_size(array);
    m->models = calloc(count, sizeof *m->models);
    if (!m->models)
        return error_nomem(r->err);
    m->count = count;
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        snprintf(r->at, sizeof r->at, "models[%zu]", i);
        status = read_model(r, json_array_get(array, i), &m->models[i]);
        if (status == S2A_OK) {
            snprintf(r->at, sizeof r->at, "models[%zu] (%.60s)", i, m->models[i].name);
            status = check_unique(r, m, i);
        }
    }
    return status;
}

s2a_status manifest_parse(const char *text, size_t len, const char *where, manifest **out,
                          s2a_error *err)
{
    reader r = { .where = where, .err = err };
    json_error_t at;
    *out = NULL;
    manifest *m = calloc(1, sizeof *m);
    if (!m)
        return error_nomem(err);
    m->root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &at);
    if (!m->root) {
        manifest_free(m);
        return error_set_at(err, S2A_INPUT, at.position < 0 ? 0 : (size_t)at.position,
                            "manifest %s: line %d: %s", where, at.line, at.text);
    }
    s2a_status status = read_root(&r, m);
    if (status != S2A_OK) {
        manifest_free(m);
        return status;
    }
    *out = m;
    return S2A_OK;
}

static s2a_status load_file(const char *path, manifest **out, s2a_error *err)
{
    char *text;
    size_t len;
    s2a_status status = files_read(path, LIMIT_MANIFEST_BYTES, &text, &len, err);
    if (status == S2A_IO)
        return error_set(err, S2A_IO, "manifest %s: %s: check S2A_MANIFEST", path, strerror(errno));
    if (status == S2A_OK)
        status = manifest_parse(text, len, path, out, err);
    free(text);
    return status;
}

s2a_status manifest_load(manifest **out, s2a_error *err)
{
    *out = NULL;
    const char *path = getenv("S2A_MANIFEST");
    if (path && *path)
        return load_file(path, out, err);
    return manifest_parse(manifest_builtin, manifest_builtin_len, "(built in)", out, err);
}

void manifest_free(manifest *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++) {
        manifest_model *model = &m->models[i];
        for (size_t k = 0; k < model->source_count; k++) {
            free(model->sources[k].packages);
            free(model->sources[k].members);
        }
        free(model->sources);
        free(model->aliases);
    }
    free(m->models);
    json_decref(m->root);
    free(m);
}

const manifest_model *manifest_find(const manifest *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++) {
        const manifest_model *model = &m->models[i];
        if (name ? model_is_called(model, name) : strcmp(model->role, "default") == 0)
            return model;
    }
    return NULL;
}

const char *manifest_kind_name(manifest_kind kind)
{
    return kind == MANIFEST_URL ? "url" : "wheels";
}

bool manifest_has_publisher(const manifest_model *model)
{
    for (size_t i = 0; i < model->source_count; i++)
        if (model->sources[i].kind == MANIFEST_URL)
            return true;
    return false;
}
