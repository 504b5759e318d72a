#include "serve/log_queue.h"

#include "base/error.h"
#include "serve/serve_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct line {
    struct line *next;
    size_t len, at; /* at: bytes of it that are written */
    char text[];
} line;

struct log_queue {
    char *path;           /* NULL = standard error */
    int fd;               /* used by the thread only */
    line *writing, *torn; /* the same; torn: a line that is written in part */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t more, done;
    /* under lock */
    line *first, **end;
    size_t bytes;
    int next_fd; /* replaces fd; -1 = none */
    bool ending, ended;
    unsigned long long dropped;
};

/* Never waits: a FIFO without a reader is opened for reading, too. */
static int file_open(const char *path)
{
    const int flags = O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = open(path, O_WRONLY | O_CREAT | flags, 0640);
    return fd < 0 && errno == ENXIO ? open(path, O_RDWR | flags) : fd;
}

/* Writes the rest of a line, and waits while the file is full. False on an error. The thread may be
 * cancelled meanwhile. */
static bool line_write(int fd, line *l)
{
    while (l->at < l->len) {
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        ssize_t n = write(fd, l->text + l->at, l->len - l->at);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd wait = { .fd = fd, .events = POLLOUT };
            n = poll(&wait, 1, -1) < 0 ? -1 : 0;
        } else if (n == 0) {
            n = -1;
        }
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        if (n < 0 && errno != EINTR)
            return false;
        l->at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Writes q->writing, and frees it unless it is torn. Returns the number of lost lines. */
static unsigned int write_one(log_queue *q)
{
    if (q->torn && line_write(q->fd, q->torn)) {
        free(q->torn);
        q->torn = NULL;
    }
    bool written = !q->torn && line_write(q->fd, q->writing);
    bool torn = !written && !q->torn && q->writing->at > 0;
    if (torn)
        q->torn = q->writing;
    else
        free(q->writing);
    q->writing = NULL;
    return !written && !torn;
}

/* With the lock held. */
static void fd_change(log_queue *q)
{
    if (q->next_fd < 0)
        return;
    close(q->fd);
    q->fd = q->next_fd;
    q->next_fd = -1;
    q->dropped += q->torn != NULL; /* its beginning is in the old file */
    free(q->torn);
    q->torn = NULL;
}

static void *write_loop(void *ctx)
{
    log_queue *q = ctx;
    sigset_t all; /* signals are for other threads; instead of SIGXFSZ write gives EFBIG */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (!q->first && !q->ending)
            pthread_cond_wait(&q->more, &q->lock);
        if (!q->first)
            break;
        q->writing = q->first;
        q->first = q->writing->next;
        if (!q->first)
            q->end = &q->first;
        size_t len = q->writing->len;
        fd_change(q);
        pthread_mutex_unlock(&q->lock);
        unsigned int lost = write_one(q);
        pthread_mutex_lock(&q->lock);
        q->bytes -= len;
        q->dropped += lost;
    }
    q->ended = true;
    pthread_cond_signal(&q->done);
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

s2a_status log_queue_open(const char *path, log_queue **out, s2a_error *err)
{
    *out = NULL;
    log_queue *q = calloc(1, sizeof *q);
    if (!q)
        return error_nomem(err);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->more, NULL);
    pthread_cond_init(&q->done, &clock);
    pthread_condattr_destroy(&clock);
    q->end = &q->first;
    q->next_fd = -1;
    q->path = path ? strdup(path) : NULL;
    q->fd = path ? file_open(path) : STDERR_FILENO;
    s2a_status status = S2A_OK;
    if (path && !q->path)
        status = error_nomem(err);
    else if (q->fd < 0)
        status = error_set(err, S2A_IO, "%s", strerror(errno));
    else if (pthread_create(&q->thread, NULL, write_loop, q) != 0)
        status = error_set(err, S2A_INTERNAL, "no thread can be started");
    q->started = status == S2A_OK;
    if (status != S2A_OK) {
        log_queue_close(q);
        return status;
    }
    *out = q;
    return S2A_OK;
}

void log_queue_reopen(log_queue *q)
{
    int fd = q->path ? file_open(q->path) : -1;
    if (fd < 0)
        return;
    pthread_mutex_lock(&q->lock);
    int old = q->next_fd;
    q->next_fd = fd;
    pthread_mutex_unlock(&q->lock);
    if (old >= 0)
        close(old);
}

/* Cancels the thread if it still waits for the file after SERVE_LOG_CLOSE_MS. */
static void thread_end(log_queue *q)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += SERVE_LOG_CLOSE_MS / 1000;
    pthread_mutex_lock(&q->lock);
    q->ending = true;
    pthread_cond_signal(&q->more);
    int late = 0;
    while (!q->ended && !late)
        late = pthread_cond_timedwait(&q->done, &q->lock, &end);
    pthread_mutex_unlock(&q->lock);
    if (late)
        pthread_cancel(q->thread);
    pthread_join(q->thread, NULL);
}

void log_queue_close(log_queue *q)
{
    if (!q)
        return;
    if (q->started)
        thread_end(q);
    while (q->first) {
        line *next = q->first->next;
        free(q->first);
        q->first = next;
    }
    free(q->writing);
    free(q->torn);
    if (q->path && q->fd >= 0)
        close(q->fd);
    if (q->next_fd >= 0)
        close(q->next_fd);
    free(q->path);
    pthread_cond_destroy(&q->more);
    pthread_cond_destroy(&q->done);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

void log_queue_put(log_queue *q, const char *text, size_t len)
{
    line *l = malloc(sizeof *l + len);
    if (l) {
        *l = (line){ .len = len };
        memcpy(l->text, text, len);
    }
    pthread_mutex_lock(&q->lock);
    bool room = l && (q->bytes == 0 || q->bytes + len <= SERVE_LOG_BYTES);
    if (room) {
        *q->end = l;
        q->end = &l->next;
        q->bytes += len;
        pthread_cond_signal(&q->more);
    } else {
        q->dropped++;
    }
    pthread_mutex_unlock(&q->lock);
    if (!room)
        free(l);
}

unsigned long long log_queue_dropped(log_queue *q)
{
    pthread_mutex_lock(&q->lock);
    unsigned long long dropped = q->dropped;
    pthread_mutex_unlock(&q->lock);
    return dropped;
}
