/* s2a models: what can be pulled, and what is here. */
#include "cli/commands.h"
#include "cli/getopt_exact.h"
#include "cli/meter.h"
#include "cli/store.h"
#include "cli/term.h"
#include "core/error.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "usage: s2a models [--json]\n"
                           "\n"
                           "Lists the models that `s2a pull` knows, and which of them are here. "
                           "The short name in brackets\n"
                           "does wherever a model is named.\n"
                           "\n"
                           "  --json  as JSON, with all short names and the sha256\n"
                           "  --help  this text\n";

static void print_padded(const char *text, size_t width)
{
    printf("%-*s  ", (int)width, text);
}

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

static s2a_status print_table(const manifest *m, const char *dir, s2a_error *err)
{
    size_t name_width = 4, licence_width = 7;
    char name[200], size[16], state[32];
    for (size_t i = 0; i < m->count; i++) {
        called(&m->models[i], name, sizeof name);
        longest(&name_width, name);
        longest(&licence_width, m->models[i].licence);
    }
    print_padded("NAME", name_width);
    print_padded("SIZE", 8);
    print_padded("LICENCE", licence_width);
    printf("%-15s%-9s%s\n", "STATE", "ROLE", "PATH");
    for (size_t i = 0; i < m->count; i++) {
        const manifest_model *model = &m->models[i];
        char *path = store_path(dir, model->file, "");
        if (!path)
            return error_nomem(err);
        called(model, name, sizeof name);
        meter_size(model->bytes, size);
        state_of(dir, model, state, sizeof state);
        print_padded(name, name_width);
        print_padded(size, 8);
        print_padded(model->licence, licence_width);
        printf("%-15s%-9s%s\n", state, *model->role ? model->role : "-", path);
        free(path);
    }
    return S2A_OK;
}

static json_t *model_json(const manifest_model *model, const char *dir)
{
    uint64_t bytes;
    store_state state = store_look(dir, model, &bytes);
    char *path = store_path(dir, model->file, "");
    json_t *aliases = json_array();
    for (size_t i = 0; i < model->alias_count; i++)
        json_array_append_new(aliases, json_string(model->aliases[i]));
    json_t *object =
        json_pack("{s:s, s:o, s:s, s:I, s:s, s:s, s:s, s:s, s:I, s:s?}", "name", model->name,
                  "aliases", aliases, "file", model->file, "bytes", (json_int_t)model->bytes,
                  "sha256", model->sha256, "licence", model->licence, "role", model->role, "state",
                  store_state_name(state), "bytes_here", (json_int_t)bytes, "path", path);
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
    static const struct option options[] = {
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    bool as_json = false;
    int option;
    optind = 0;
    opterr = 0;
    while ((option = getopt_exact(argc, argv, "h", options)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (option != 'j') {
            term_say("models: unknown option: %s: see `s2a models --help`", argv[optind - 1]);
            return EXIT_USAGE;
        }
        as_json = true;
    }
    if (optind < argc) {
        term_say("models: takes no argument: %s: see `s2a models --help`", argv[optind]);
        return EXIT_USAGE;
    }
    s2a_error err = { 0 };
    manifest *m = NULL;
    char *dir = store_dir(&err);
    s2a_status status = dir ? manifest_load(&m, &err) : err.status;
    if (status == S2A_OK)
        status = as_json ? print_json(m, dir, &err) : print_table(m, dir, &err);
    if (status != S2A_OK)
        term_say("models: %s", err.message);
    manifest_free(m);
    free(dir);
    return status == S2A_OK ? EXIT_DONE : EXIT_FAILED;
}
