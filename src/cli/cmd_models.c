/* s2a models: lists the models that can be pulled, and which of them are here. */
#include "base/error.h"
#include "base/fetch.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/meter.h"
#include "cli/options.h"
#include "cli/store.h"
#include "cli/term.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void longest(size_t *width, const char *text)
{
    if (strlen(text) > *width)
        *width = strlen(text);
}

static void called(const manifest_model *model, char *text, size_t size)
{
    snprintf(text, size, model->alias_count ? "%.100s (%.60s)" : "%.100s", model->name,
             model->alias_count ? model->aliases[0] : "");
}

/* "partial 45 %" */
static void state_of(const char *dir, const manifest_model *model, char *text, size_t size)
{
    uint64_t bytes;
    store_state state = store_look(dir, model, &bytes);
    if (state == STORE_PARTIAL)
        snprintf(text, size, "%s %u %%", store_state_name(state),
                 (unsigned)((double)bytes * 100 / (double)model->bytes));
    else
        snprintf(text, size, "%s", store_state_name(state));
}

/* Where the file came from: "huggingface.co", "strangers' packages", or both. */
static void from_of(const char *path, const manifest_model *model, char *text, size_t size)
{
    char source[STORE_SOURCE_SIZE], origin[100] = "url";
    store_source(path, model, source);
    for (size_t i = model->source_count; i-- > 0;)
        if (model->sources[i].kind == MANIFEST_URL)
            fetch_origin(model->sources[i].url, origin, sizeof origin);
    const char *scheme_end = strstr(origin, "://");
    const char *host = scheme_end ? scheme_end + 3 : origin;
    if (!*source)
        snprintf(text, size, "unknown");
    else if (strcmp(source, "url") == 0)
        snprintf(text, size, "%s", host);
    else
        snprintf(text, size, "strangers' packages%s%s", strchr(source, '+') ? ", " : "",
                 strchr(source, '+') ? host : "");
}

/* Whose sha256 the manifest has; "not compared" if the file is here and was not verified. */
static const char *sha256_of(const char *path, const manifest_model *model, bool here)
{
    if (here && !store_is_verified(path, model))
        return "not compared";
    return manifest_has_publisher(model) ? "publisher's" : "strangers'";
}

enum { COLUMNS = 8 };

typedef struct row {
    char name[200], size[16], state[32], from[160];
    const char *cells[COLUMNS];
    char *path;
} row;

static bool row_fill(row *r, const manifest_model *model, const char *dir)
{
    uint64_t bytes;
    bool here = store_look(dir, model, &bytes) == STORE_DOWNLOADED;
    r->path = store_path(dir, model->file, "");
    if (!r->path)
        return false;
    called(model, r->name, sizeof r->name);
    meter_size(model->bytes, r->size);
    state_of(dir, model, r->state, sizeof r->state);
    snprintf(r->from, sizeof r->from, "-");
    if (here)
        from_of(r->path, model, r->from, sizeof r->from);
    const char *cells[COLUMNS] = { r->name,
                                   r->size,
                                   model->licence,
                                   r->state,
                                   *model->role ? model->role : "-",
                                   r->from,
                                   sha256_of(r->path, model, here),
                                   r->path };
    memcpy(r->cells, cells, sizeof cells);
    return true;
}

static s2a_status print_table(const manifest *m, const char *dir, s2a_error *err)
{
    static const char *const heads[COLUMNS] = { "NAME", "SIZE", "LICENCE", "STATE",
                                                "ROLE", "FROM", "SHA256",  "PATH" };
    size_t width[COLUMNS] = { 0 };
    row *rows = calloc(m->count + 1, sizeof *rows);
    bool ok = rows != NULL;
    for (size_t k = 0; ok && k < COLUMNS; k++)
        rows[0].cells[k] = heads[k];
    for (size_t i = 0; ok && i < m->count; i++)
        ok = row_fill(&rows[i + 1], &m->models[i], dir);
    for (size_t i = 0; ok && i <= m->count; i++)
        for (size_t k = 0; k < COLUMNS; k++)
            longest(&width[k], rows[i].cells[k]);
    for (size_t i = 0; ok && i <= m->count; i++)
        for (size_t k = 0; k < COLUMNS; k++)
            printf("%-*s%s", k + 1 < COLUMNS ? (int)width[k] : 0, rows[i].cells[k],
                   k + 1 < COLUMNS ? "  " : "\n");
    for (size_t i = 0; rows && i <= m->count; i++)
        free(rows[i].path);
    free(rows);
    return ok ? S2A_OK : error_nomem(err);
}

static json_t *model_json(const manifest_model *model, const char *dir)
{
    uint64_t bytes;
    store_state state = store_look(dir, model, &bytes);
    char *path = store_path(dir, model->file, ""), source[STORE_SOURCE_SIZE] = "";
    if (path)
        store_source(path, model, source);
    json_t *aliases = json_array();
    for (size_t i = 0; i < model->alias_count; i++)
        json_array_append_new(aliases, json_string(model->aliases[i]));
    json_t *object = json_pack(
        "{s:s, s:o, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:s?, s:b, s:s?}", "name", model->name,
        "aliases", aliases, "file", model->file, "bytes", (json_int_t)model->bytes, "sha256",
        model->sha256, "sha256_of", manifest_has_publisher(model) ? "publisher" : "packages",
        "licence", model->licence, "role", model->role, "state", store_state_name(state),
        "bytes_here", (json_int_t)bytes, "path", path, "verified",
        path && store_is_verified(path, model), "source", *source ? source : NULL);
    free(path);
    return object;
}

static s2a_status print_json(const manifest *m, const char *dir, s2a_error *err)
{
    json_t *models = json_array();
    json_t *root = json_pack("{s:s, s:O?}", "dir", dir, "models", models);
    for (size_t i = 0; root && i < m->count; i++)
        json_array_append_new(models, model_json(&m->models[i], dir));
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    if (text)
        printf("%s\n", text);
    free(text);
    json_decref(root);
    json_decref(models);
    return text ? S2A_OK : error_set(err, S2A_INPUT, "the path is not UTF-8: leave out --json");
}

int cmd_models(int argc, char **argv)
{
    options o = { .json = false };
    s2a_error err = { 0 };
    s2a_status status = args_read(&command_models, &o, argc, argv, &err);
    if (status == S2A_OK && o.help) {
        help_print(&command_models);
        return EXIT_DONE;
    }
    if (status == S2A_OK && optind < argc)
        status = error_set(&err, S2A_ARGUMENT,
                           "models: takes no argument: %s: see `s2a models --help`", argv[optind]);
    if (status != S2A_OK) {
        term_say("%s", err.message);
        return EXIT_USAGE;
    }
    manifest *m = NULL;
    char *dir = store_dir(&err);
    status = dir ? manifest_load(&m, &err) : err.status;
    if (status == S2A_OK)
        status = o.json ? print_json(m, dir, &err) : print_table(m, dir, &err);
    if (status != S2A_OK)
        term_say("models: %s", err.message);
    manifest_free(m);
    free(dir);
    return status == S2A_OK ? EXIT_DONE : EXIT_FAILED;
}
