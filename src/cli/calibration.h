/* What `s2a calibrate` found of a model: a JSON file for each model in $XDG_DATA_HOME/s2a/calibration,
 * else ~/.local/share/s2a/calibration. It holds the borders of mode select and what they were worth.
 * One thread. */
#ifndef S2A_CLI_CALIBRATION_H
#define S2A_CLI_CALIBRATION_H

#include "cli/settings.h"
#include "core/calibrate.h"

#define CALIBRATION_MAX_BYTES ((size_t)1 << 16) /* of such a file */
#define CALIBRATION_MAX_BORDER 1e6              /* nats; of either sign */

/* Which model is meant, as one line: on the embedded engine and for scripts the name and size of the
 * file at path, on a server its URL and the model's name (NULL: the server's first; only the URL).
 * malloc'ed. S2A_UNAVAILABLE (no such file), S2A_NOMEM. */
s2a_status calibration_key(const settings *set, const char *path, const char *model, char **key,
                           s2a_error *err);

/* Where the file of that model is, or would be; malloc'ed. S2A_IO when neither XDG_DATA_HOME nor HOME
 * says where; S2A_NOMEM. */
s2a_status calibration_path(const char *key, char **path, s2a_error *err);

/* *found is false where there is no such file, or no place for one. S2A_INPUT when it is damaged,
 * S2A_IO, S2A_LIMIT, S2A_NOMEM. */
s2a_status calibration_load(const char *key, s2a_calibration *out, bool *found, s2a_error *err);

/* Writes the file, the whole of it or nothing; the old one stays until then. *path is malloc'ed. S2A_IO,
 * S2A_NOMEM. */
s2a_status calibration_save(const char *key, const calibrate_result *result, char **path,
                            s2a_error *err);

/* *was: there was a file. S2A_IO, S2A_NOMEM. */
s2a_status calibration_remove(const char *key, bool *was, s2a_error *err);

/* {"relevance_border": ..., ...}, as in models/manifest.json; a new reference, NULL when out of
 * memory. */
struct json_t *calibration_json(const s2a_calibration *borders);

typedef enum calibration_source {
    CALIBRATION_DEFAULT,
    CALIBRATION_MANIFEST,
    CALIBRATION_USER,
} calibration_source;

/* "default", "manifest", "calibrated". */
const char *calibration_source_name(calibration_source source);

/* The borders that a model is used with: what the user calibrated, else the manifest's, else the
 * default (zeros). *path is the file of the model, malloc'ed; NULL on a server. A file that cannot be
 * read is not used: damaged then says why (otherwise its status is S2A_OK). Errors are those of
 * store_resolve. */
s2a_status calibration_find(const settings *set, char **path, s2a_calibration *out,
                            calibration_source *source, s2a_error *damaged, s2a_error *err);

#endif
