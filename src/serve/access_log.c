#include "serve/access_log.h"

#include "core/buf.h"
#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct access_log {
    char *path; /* NULL = standard error, or off */
    int fd;     /* -1 = off */
    pthread_mutex_t lock;
};

static int file_open(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

s2a_status access_log_open(const char *path, access_log **out, s2a_error *err)
{
    *out = NULL;
    access_log *log = calloc(1, sizeof *log);
    if (!log)
        return error_nomem(err);
    pthread_mutex_init(&log->lock, NULL);
    log->fd = !strcmp(path, "off") ? -1 : STDERR_FILENO;
    s2a_status status = S2A_OK;
    if (strcmp(path, "off") != 0 && strcmp(path, "-") != 0) {
        log->path = strdup(path);
        log->fd = log->path ? file_open(path) : -1;
        if (!log->path)
            status = error_nomem(err);
        else if (log->fd < 0)
            status = error_set(err, S2A_IO, "--access-log %s: %s; name a file that can be written",
                               path, strerror(errno));
    }
    if (status != S2A_OK) {
        access_log_close(log);
        return status;
    }
    *out = log;
    return S2A_OK;
}

void access_log_reopen(access_log *log)
{
    if (!log->path)
        return;
    int fd = file_open(log->path);
    if (fd < 0)
        return;
    pthread_mutex_lock(&log->lock);
    int old = log->fd;
    log->fd = fd;
    pthread_mutex_unlock(&log->lock);
    close(old);
}

void access_log_close(access_log *log)
{
    if (!log)
        return;
    if (log->path && log->fd >= 0)
        close(log->fd);
    free(log->path);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

bool access_log_is_on(const access_log *log)
{
    return log->path || log->fd >= 0;
}

void access_log_write(access_log *log, json_t *line)
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    if (!text)
        return;
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    buf out;
    buf_init(&out, SIZE_MAX / 2);
    buf_addf(&out, "{\"time\":\"%s.%03dZ\",%s\n", stamp, (int)(now.tv_nsec / 1000000), text + 1);
    free(text);
    if (out.status == S2A_OK) {
        pthread_mutex_lock(&log->lock);
        /* One write, so that lines stay whole. */
        ssize_t ignored = log->fd >= 0 ? write(log->fd, out.data, out.len) : 0;
        (void)ignored;
        pthread_mutex_unlock(&log->lock);
    }
    buf_free(&out);
}
