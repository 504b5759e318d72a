#include "base/infile.h"

#include "base/buf.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* 0 or the errno; out->status has the other errors. */
static int read_all(const char *path, buf *out)
{
    /* O_NONBLOCK for open only: a FIFO without a writer must not block the caller. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), reason = 0;
    if (fd < 0)
        return errno;
    FILE *file = fcntl(fd, F_SETFL, 0) == 0 ? fdopen(fd, "rb") : NULL;
    if (!file) {
        reason = errno;
        close(fd);
        return reason;
    }
    char chunk[8192];
    size_t n;
    while (out->status == S2A_OK && (n = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_add(out, chunk, n);
    if (ferror(file))
        reason = errno;
    fclose(file);
    return reason;
}

s2a_status infile_read(const char *path, size_t max, const char *advice, char **data, size_t *len,
                       s2a_error *err)
{
    buf text;
    buf_init(&text, max);
    *data = NULL;
    *len = 0;
    int reason = read_all(path, &text);
    s2a_status status = text.status;
    if (reason)
        status = error_set(err, S2A_IO, "%s: %s; %s", path, strerror(reason), advice);
    else if (status == S2A_LIMIT)
        error_set(err, status, "%s: longer than the limit of %zu bytes", path, max);
    else if (status == S2A_NOMEM || !(*data = buf_take(&text, len)))
        status = error_nomem(err);
    buf_free(&text);
    if (reason)
        errno = reason; /* buf_free may have changed it */
    return status;
}
