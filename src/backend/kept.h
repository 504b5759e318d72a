/* A backend in front of another one that keeps the results of step 1 in files, so that a prompt that
 * was looked at before is not looked at again, also by another process. What determines a result is
 * its key: the model, the messages, the sampling, the branches. Off unless a directory is named.
 *
 * A file holds its whole key and is compared with it, so that a damaged or foreign one is found out
 * and removed; nothing about the files is ever an error. They hold prompts: the directory should be
 * the user's alone. */
#ifndef S2A_KEPT_H
#define S2A_KEPT_H

#include "backend/backend.h"

/* Takes inner over, also on failure. identity names the model beyond what its backend calls it, such
 * as a file with its size and time, or a URL. The oldest files go when they are more than max_bytes
 * together. S2A_NOMEM. */
s2a_status backend_kept_open(backend *inner, const char *dir, const char *identity,
                             uint64_t max_bytes, backend **out, s2a_error *err);

#endif
