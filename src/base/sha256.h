/* The sha256 of a file, or of bytes; sha256.c is the only file that includes openssl/. */
#ifndef S2A_BASE_SHA256_H
#define S2A_BASE_SHA256_H

#include "s2a.h"

#define SHA256_HEX_SIZE 65 /* 64 lower-case digits and a NUL */

/* Called from time to time with the number of bytes read so far; may be NULL. */
typedef void (*sha256_progress_fn)(void *ctx, uint64_t bytes);

/* S2A_IO, S2A_CANCELLED (cancel may be NULL), S2A_NOMEM; hex is then undefined. */
s2a_status sha256_file(const char *path, const s2a_cancel *cancel, sha256_progress_fn progress,
                       void *ctx, char hex[SHA256_HEX_SIZE], s2a_error *err);

/* Of bytes in memory. S2A_NOMEM. */
s2a_status sha256_bytes(const void *data, size_t len, char hex[SHA256_HEX_SIZE], s2a_error *err);

#endif
