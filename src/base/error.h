/* Fills an s2a_error where the error is first seen. */
#ifndef S2A_BASE_ERROR_H
#define S2A_BASE_ERROR_H

#include "s2a.h"

/* Fills *err (which may be NULL) and returns status, so that callers write
 * `return error_set(err, S2A_IO, "cannot read %s: ...", path)`. The message is one line of UTF-8:
 * newlines and control characters become spaces, bytes that are not UTF-8 become "?". */
s2a_status error_set(s2a_error *err, s2a_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
s2a_status error_set_at(s2a_error *err, s2a_status status, size_t position, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
s2a_status error_nomem(s2a_error *err);

#endif
