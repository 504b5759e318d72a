#include "cli/files.h"

#include "base/error.h"
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES 65536

size_t files_bom(const char *text, size_t len)
{
    return len >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3) ? 3 : 0;
}

const char *files_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* Appends the rest of fd to b. Returns 0 or an errno; b->status has the other faults. */
static int drain(int fd, buf *b)
{
    char *chunk = malloc(CHUNK_BYTES);
    if (!chunk)
        return ENOMEM;
    int failed = 0;
    while (b->status == S2A_OK) {
        ssize_t n = read(fd, chunk, CHUNK_BYTES);
        if (n > 0)
            buf_add(b, chunk, (size_t)n);
        else if (n == 0)
            break;
        else if (errno == EAGAIN)
            signals_wait_readable(fd);
        else if (errno != EINTR) {
            failed = errno;
            break;
        }
    }
    free(chunk);
    return failed;
}

static s2a_status read_failed(const char *path, int reason, s2a_error *err)
{
    if (reason == ENOMEM)
        return error_nomem(err);
    s2a_status status = error_set(err, S2A_IO, "%s: %s; %s", files_name(path), strerror(reason),
                                  reason == EISDIR ? "name a file" : "check the file");
    errno = reason;
    return status;
}

s2a_status files_read(const char *path, size_t max, char **text, size_t *len, s2a_error *err)
{
    *text = NULL;
    *len = 0;
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return read_failed(path, errno, err);
    buf b;
    buf_init(&b, max);
    int failed = drain(fd, &b);
    if (!standard)
        close(fd);
    s2a_status status = b.status;
    if (failed)
        status = read_failed(path, failed, err);
    else if (status == S2A_LIMIT)
        error_set(err, status, "%s: more than the limit of %zu bytes; shorten it", files_name(path),
                  max);
    else if (status == S2A_OK && !(*text = buf_take(&b, len)))
        status = error_nomem(err);
    else if (status == S2A_NOMEM)
        error_nomem(err);
    int reason = errno;
    buf_free(&b);
    errno = reason;
    return status;
}

/* ---- lines ------------------------------------------------------------------------------ */

bool files_lines_init(files_lines *l, int fd, size_t max)
{
    *l = (files_lines){ .fd = fd };
    buf_init(&l->line, max);
    l->chunk = malloc(CHUNK_BYTES);
    return l->chunk != NULL;
}

void files_lines_free(files_lines *l)
{
    buf_free(&l->line);
    free(l->chunk);
    l->chunk = NULL;
}

/* FILES_LINE if the chunk has unread bytes. */
static files_line refill(files_lines *l)
{
    while (l->from == l->to) {
        if (l->ended)
            return FILES_END;
        if (!signals_wait_readable(l->fd))
            return FILES_STOPPED;
        ssize_t n = read(l->fd, l->chunk, CHUNK_BYTES);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return FILES_FAILED;
        l->ended = n == 0;
        l->from = 0;
        l->to = n > 0 ? (size_t)n : 0;
    }
    return FILES_LINE;
}

files_line files_lines_next(files_lines *l)
{
    buf_reset(&l->line);
    bool any = false;
    for (;;) {
        files_line more = refill(l);
        if (more == FILES_END && any)
            break; /* the last line, without a newline */
        if (more != FILES_LINE)
            return more;
        any = true;
        const char *start = l->chunk + l->from;
        const char *newline = memchr(start, '\n', l->to - l->from);
        size_t n = newline ? (size_t)(newline - start) : l->to - l->from;
        buf_add(&l->line, start, n);
        l->from += n + (newline ? 1 : 0);
        l->bytes += n + (newline ? 1 : 0);
        if (newline) {
            any = false;
            break;
        }
    }
    l->torn = any;
    buf_add(&l->line, "", 0);
    if (l->line.status == S2A_NOMEM) {
        errno = ENOMEM;
        return FILES_FAILED;
    }
    return l->line.status == S2A_LIMIT ? FILES_TOO_LONG : FILES_LINE;
}
