/* Reading one file out of a zip archive, such as a Python wheel; archive.c is the only file that
 * includes archive.h. */
#ifndef S2A_CLI_ARCHIVE_H
#define S2A_CLI_ARCHIVE_H

#include "s2a.h"

/* Takes bytes of the member, in order. Any status except S2A_OK ends the reading with it. */
typedef s2a_status (*archive_sink_fn)(void *ctx, const void *data, size_t len, s2a_error *err);

/* Unpacks the member with this exact path and gives its bytes to sink, in small blocks. The
 * archive's checksum is verified only if S2A_OK is returned. S2A_BACKEND (not an archive, damaged,
 * no such member), S2A_NOMEM, or the status of sink. */
s2a_status archive_member_read(const char *path, const char *member, archive_sink_fn sink,
                               void *ctx, s2a_error *err);

#endif
