/* Heads that `s2a calibrate` taught: a file for each model in $XDG_DATA_HOME/s2a/calibration, else
 * ~/.local/share/s2a/calibration. One thread. */
#ifndef S2A_CLI_CALIBRATION_H
#define S2A_CLI_CALIBRATION_H

#include "s2a.h"

/* Where the head of the model file at path is, or would be: its name and size say which model. malloc'ed.
 * S2A_UNAVAILABLE (no such model file), S2A_IO when neither XDG_DATA_HOME nor HOME says where; S2A_NOMEM. */
s2a_status calibration_path(const char *model_path, char **path, s2a_error *err);

/* *path is malloc'ed; NULL where the user has taught none, or there is no place for one. S2A_NOMEM. */
s2a_status calibration_find(const char *model_path, char **path, s2a_error *err);

/* Writes the file, the whole of it or nothing; the old one stays until then. *path is malloc'ed. Errors as
 * for calibration_path; S2A_IO. */
s2a_status calibration_save(const char *model_path, const s2a_calibration *calibration, char **path, s2a_error *err);

/* *was: there was a file. Errors as for calibration_path; S2A_IO. */
s2a_status calibration_remove(const char *model_path, bool *was, s2a_error *err);

#endif
