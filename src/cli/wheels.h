/* Fetching a Python wheel with pip, which knows the user's package index, proxy and certificates:
 * a child process, started without a shell, that a cancel handle ends. It runs nothing of the current
 * directory, of the variables PYTHON* or of the package: wheels alone are taken, and read as archives. */
#ifndef S2A_CLI_WHEELS_H
#define S2A_CLI_WHEELS_H

#include "s2a.h"

/* The wheel of package==version, without what it depends on, into the existing directory dir,
 * which is pip's place for temporary files too, and which the caller removes. *path is malloc'ed.
 * on_bytes (may be NULL) is told twice a second how many bytes dir holds. S2A_UNAVAILABLE (no
 * python3 and no pip; pip failed: the message is its last line), S2A_TIMEOUT after timeout_ms,
 * S2A_CANCELLED, S2A_IO, S2A_NOMEM. */
s2a_status wheels_download(const char *package, const char *version, const char *dir,
                           uint32_t timeout_ms, const s2a_cancel *cancel,
                           void (*on_bytes)(void *ctx, uint64_t bytes), void *ctx, char **path,
                           s2a_error *err);

/* Removes dir and all that is in it, of a symbolic link the link alone; a directory that is not there
 * is fine. */
void wheels_remove_dir(const char *dir);

#endif
