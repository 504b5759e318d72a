/* Writes a temporary file beside the path, then renames it. */
#include "base/outfile.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static s2a_status failed(s2a_error *err, const char *what, const char *path, int reason)
{
    return error_set(err, S2A_IO, "cannot %s %s: %s; check the path and its free space", what, path,
                     strerror(reason));
}

s2a_status outfile_make_dir(const char *dir, s2a_error *err)
{
    char *path = bytes_dup(dir, strlen(dir));
    if (!path)
        return error_nomem(err);
    /* Check at the end whether the directory exists: mkdir has many errors for one that does, EROFS
     * and EACCES among them. */
    int reason = 0;
    for (char *slash = path; *slash;) {
        slash += strspn(slash, "/");
        slash += strcspn(slash, "/");
        char end = *slash;
        *slash = '\0';
        reason = mkdir(path, 0777) == 0 ? 0 : errno;
        *slash = end;
    }
    struct stat info;
    if (stat(dir, &info) == 0)
        reason = S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
    else if (!reason)
        reason = errno;
    free(path);
    return reason ? failed(err, "make the directory", dir, reason) : S2A_OK;
}

/* 0 or the errno. */
static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* fsync may be the first to report a full disk. Files that do not support it are not an error. */
static int flush(int fd)
{
    return fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP ? errno : 0;
}

static s2a_status write_file(const char *path, const char *data, size_t len, bool cache,
                             s2a_error *err)
{
    static atomic_uint files; /* two threads may write the same path */
    buf aside;
    buf_init(&aside, LIMIT_NONE);
    buf_addf(&aside, "%s.%ld-%u.part", path, (long)getpid(), atomic_fetch_add(&files, 1));
    if (aside.status != S2A_OK) {
        buf_free(&aside);
        return error_nomem(err);
    }
    s2a_status status = S2A_OK;
    unlink(aside.data); /* left by a crashed process, or planted */
    int fd = open(aside.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, cache ? 0600 : 0666);
    if (fd < 0) {
        status = failed(err, "write", path, errno);
    } else {
        int reason = write_all(fd, data, len);
        if (!reason && !cache)
            reason = flush(fd);
        if (close(fd) != 0 && !reason)
            reason = errno;
        if (!reason && rename(aside.data, path) != 0)
            reason = errno;
        if (reason) {
            unlink(aside.data);
            status = failed(err, "write", path, reason);
        }
    }
    buf_free(&aside);
    return status;
}

s2a_status outfile_write(const char *path, const char *data, size_t len, s2a_error *err)
{
    return write_file(path, data, len, false, err);
}

s2a_status outfile_write_cache(const char *path, const char *data, size_t len, s2a_error *err)
{
    return write_file(path, data, len, true, err);
}
