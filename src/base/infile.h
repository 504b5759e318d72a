/* Reads a whole file of limited size. */
#ifndef S2A_BASE_INFILE_H
#define S2A_BASE_INFILE_H

#include "s2a.h"

/* *data is malloc'ed and NUL-terminated. A FIFO without a writer is empty. S2A_IO (errno says why,
 * and advice ends the message), S2A_LIMIT (more than max bytes), S2A_NOMEM. */
s2a_status infile_read(const char *path, size_t max, const char *advice, char **data, size_t *len,
                       s2a_error *err);

#endif
