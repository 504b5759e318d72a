/* Heads from `s2a calibrate`: one file for each model in $XDG_DATA_HOME/s2a/calibration, else in
 * ~/.local/share/s2a/calibration. One thread. */
#ifndef S2A_CLI_CALIBRATION_H
#define S2A_CLI_CALIBRATION_H

#include "s2a.h"

/* The path of the head for a model file, which has the model file's name and size in it; malloc'ed.
 * The head need not exist. S2A_UNAVAILABLE (no such model file), S2A_IO (neither XDG_DATA_HOME nor
 * HOME is set), S2A_NOMEM. */
s2a_status calibration_path(const char *model_path, char **path, s2a_error *err);

/* The same if the head exists; otherwise *path is NULL. S2A_NOMEM. */
s2a_status calibration_find(const char *model_path, char **path, s2a_error *err);

/* Writes the file atomically. *path is malloc'ed. Errors as for calibration_path; S2A_IO. */
s2a_status calibration_save(const char *model_path, const s2a_calibration *calibration, char **path, s2a_error *err);

/* Deletes the file. *was: there was one. Errors as for calibration_path; S2A_IO. */
s2a_status calibration_remove(const char *model_path, bool *was, s2a_error *err);

#endif
