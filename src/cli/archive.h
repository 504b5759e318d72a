/* Reading one file out of a zip archive, such as a Python wheel; archive.c is the only file that
 * includes archive.h. */
#ifndef S2A_CLI_ARCHIVE_H
#define S2A_CLI_ARCHIVE_H

#include "s2a.h"

/* Bytes of the member, in order; anything but S2A_OK ends the reading with that status. */
typedef s2a_status (*archive_sink_fn)(void *ctx, const void *data, size_t len, s2a_error *err);

/* Hands the member's bytes to sink as they are unpacked, in small blocks; the archive's checksum
 * has been compared only when S2A_OK is returned. The member is looked up by its exact path.
 * S2A_BACKEND (not an archive, damaged, no such member), S2A_NOMEM, or what sink returned. */
s2a_status archive_member_read(const char *path, const char *member, archive_sink_fn sink,
                               void *ctx, s2a_error *err);

#endif
