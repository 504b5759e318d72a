/* Heads from `s2a calibrate`: one file for each model in $XDG_DATA_HOME/s2a/calibration, else in
 * ~/.local/share/s2a/calibration. One thread. */
#ifndef S2A_CLI_CALIBRATION_H
#define S2A_CLI_CALIBRATION_H

#include "s2a.h"

/* Finds the head of a model file, by that file's name and size. *path is malloc'ed; NULL if there
 * is no head. S2A_NOMEM. */
s2a_status calibration_find(const char *model_path, char **path, s2a_error *err);

/* Replaces the head's file atomically. *path is malloc'ed. S2A_UNAVAILABLE (no such model file),
 * S2A_IO (also if neither XDG_DATA_HOME nor HOME is set), S2A_NOMEM. */
s2a_status calibration_save(const char *model_path, const s2a_calibration *calibration, char **path,
                            s2a_error *err);

/* *was: whether there was a file. Errors as for calibration_save. */
s2a_status calibration_remove(const char *model_path, bool *was, s2a_error *err);

#endif
