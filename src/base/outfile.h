/* Writes a file atomically: a reader sees the old file or the complete new one. */
#ifndef S2A_BASE_OUTFILE_H
#define S2A_BASE_OUTFILE_H

#include "s2a.h"

/* Makes a directory and its parents if they are missing. S2A_IO, S2A_NOMEM. */
s2a_status outfile_make_dir(const char *dir, s2a_error *err);

/* Writes a temporary file beside path and renames it. On S2A_IO the old file at path is unchanged,
 * and the temporary file is removed. S2A_NOMEM. */
s2a_status outfile_write(const char *path, const char *data, size_t len, s2a_error *err);

/* The same for a cache file: only its owner may read it, and a crash may lose it. */
s2a_status outfile_write_cache(const char *path, const char *data, size_t len, s2a_error *err);

#endif
