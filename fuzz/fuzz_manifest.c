/* A manifest of any bytes: refused in one line, or every model is whole and found by its names. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_source(const manifest_source *s)
{
    if (s->kind == MANIFEST_URL) {
        if (!s->url || strncmp(s->url, "http", 4) != 0)
            abort();
        return;
    }
    if (s->part_count == 0 || !s->version || !*s->version || *s->version == '-')
        abort();
    for (size_t i = 0; i < s->part_count; i++)
        if (!*s->packages[i] || *s->packages[i] == '-' || !*s->members[i] || *s->members[i] == '/')
            abort();
}

static void check_model(const manifest *m, const manifest_model *model)
{
    if (manifest_find(m, model->name) != model || manifest_find(m, model->file) != model)
        abort();
    for (size_t i = 0; i < model->alias_count; i++)
        if (manifest_find(m, model->aliases[i]) != model)
            abort();
    /* The name of a file in the store: nothing that leaves it. */
    if (strchr(model->file, '/') || *model->file == '.' || *model->file == '-')
        abort();
    if (model->bytes == 0 || strlen(model->sha256) != 64 || !*model->licence ||
        model->source_count == 0)
        abort();
    for (size_t i = 0; i < model->source_count; i++)
        check_source(&model->sources[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    manifest *m = NULL;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = manifest_parse((const char *)data, size, "fuzz", &m, &err);
    if (status != S2A_OK) {
        if (m || status != err.status || strchr(err.message, '\n') || !err.message[0])
            abort();
        return 0;
    }
    if (m->count == 0)
        abort();
    for (size_t i = 0; i < m->count; i++)
        check_model(m, &m->models[i]);
    const manifest_model *first = manifest_find(m, NULL);
    if (first && strcmp(first->role, "default") != 0)
        abort();
    manifest_free(m);
    return 0;
}
