/* Writing a file so that a reader sees the old one or the whole new one. */
#ifndef S2A_BASE_OUTFILE_H
#define S2A_BASE_OUTFILE_H

#include "s2a.h"

/* Makes a directory and those above it; one that is there is fine. S2A_IO, S2A_NOMEM. */
s2a_status outfile_make_dir(const char *dir, s2a_error *err);

/* Writes beside path and renames. S2A_IO: what stood at path is still there, and nothing is left
 * beside it. S2A_NOMEM. */
s2a_status outfile_write(const char *path, const char *data, size_t len, s2a_error *err);

/* The same for what can be made again: only its owner may read it, and it may be gone after a crash. */
s2a_status outfile_write_cache(const char *path, const char *data, size_t len, s2a_error *err);

#endif
