/* Downloads a Python wheel with pip, which uses the user's package index, proxy and certificates.
 * pip is a child process, started without a shell; a cancel handle ends it. It runs no code from
 * the current directory, from the variables PYTHON* or from the package: only wheels are accepted,
 * and they are read as archives. */
#ifndef S2A_CLI_WHEELS_H
#define S2A_CLI_WHEELS_H

#include "s2a.h"

/* Downloads the wheel of package==version, without dependencies, into the existing directory dir,
 * which pip also uses for temporary files and which the caller removes. *path is malloc'ed.
 * on_bytes (may be NULL) is called twice a second with the number of bytes in dir. S2A_UNAVAILABLE
 * (no python3 and no pip; or pip failed: the message is its last line), S2A_TIMEOUT after
 * timeout_ms, S2A_CANCELLED, S2A_IO, S2A_NOMEM. */
s2a_status wheels_download(const char *package, const char *version, const char *dir,
                           uint32_t timeout_ms, const s2a_cancel *cancel,
                           void (*on_bytes)(void *ctx, uint64_t bytes), void *ctx, char **path,
                           s2a_error *err);

/* Removes dir with its content; of a symbolic link only the link. A missing directory is fine. */
void wheels_remove_dir(const char *dir);

#endif
