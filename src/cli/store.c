#include "cli/store.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_POLL_MS 100

static char *joined(const char *a, const char *b, const char *c)
{
    buf text;
    buf_init(&text, (size_t)1 << 16);
    buf_adds(&text, a);
    buf_adds(&text, b);
    buf_adds(&text, c);
    char *path = buf_take(&text, NULL);
    buf_free(&text);
    return path;
}

/* A relative directory is relative to the current directory. */
static char *absolute(const char *base, const char *below)
{
    char *here = *base == '/' ? NULL : getcwd(NULL, 0);
    char *path = here ? joined(here, "/", base) : joined(base, "", "");
    char *dir = path ? joined(path, below, "") : NULL;
    free(path);
    free(here);
    return dir;
}

char *store_dir(s2a_error *err)
{
    static const struct {
        const char *variable, *below;
    } places[] = {
        { "S2A_MODELS", "" },
        { "XDG_DATA_HOME", "/s2a/models" },
        { "HOME", "/.local/share/s2a/models" },
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *base = getenv(places[i].variable);
        if (!base || !*base)
            continue;
        char *dir = absolute(base, places[i].below);
        if (!dir)
            error_nomem(err);
        return dir;
    }
    error_set(err, S2A_IO, "no place for models: HOME is not set: set S2A_MODELS");
    return NULL;
}

static s2a_status make_dir_failed(const char *dir, int why, s2a_error *err)
{
    return error_set(err, S2A_IO,
                     "cannot make the model directory: %s: %s: set S2A_MODELS to a directory that "
                     "you can write to",
                     dir, strerror(why));
}

s2a_status store_make_dir(const char *dir, s2a_error *err)
{
    char *path = joined(dir, "/", "");
    if (!path)
        return error_nomem(err);
    s2a_status status = S2A_OK;
    for (char *p = strchr(path + 1, '/'); p && status == S2A_OK; p = strchr(p + 1, '/')) {
        *p = '\0';
        struct stat st;
        /* An existing directory on a read-only file system makes mkdir say EROFS. */
        int failed = mkdir(path, 0777) == 0 ? 0 : errno;
        if (failed && stat(path, &st) == 0)
            failed = S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
        if (failed)
            status = make_dir_failed(path, failed, err);
        *p = '/';
    }
    free(path);
    return status;
}

char *store_private_dir(const char *variable, const char *below_home, const char *name)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    bool absolute = base && base[0] == '/';
    if (!absolute && (!home || home[0] != '/'))
        return NULL;
    char *dir = store_path(absolute ? base : home, absolute ? "s2a" : below_home, name);
    if (dir && (store_make_dir(dir, NULL) != S2A_OK || chmod(dir, S_IRWXU) != 0)) {
        free(dir);
        dir = NULL;
    }
    return dir;
}

char *store_path(const char *dir, const char *file, const char *suffix)
{
    size_t len = strlen(dir);
    char *base = joined(dir, len && dir[len - 1] == '/' ? "" : "/", file);
    char *path = base ? joined(base, suffix, "") : NULL;
    free(base);
    return path;
}

int store_open(const char *path, int flags)
{
    struct stat st;
    /* Without O_NONBLOCK a FIFO would block. */
    int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

s2a_status store_write_failed(const char *path, int reason, s2a_error *err)
{
    const char *advice = "set S2A_MODELS to a directory that you can write to";
    if (reason == ELOOP)
        return error_set(err, S2A_IO,
                         "cannot write: %s: is a symbolic link, which is not followed: "
                         "remove it",
                         path);
    if (reason == EINVAL)
        return error_set(err, S2A_IO, "cannot write: %s: is not a file: move it away", path);
    if (reason == ENOSPC || reason == EDQUOT)
        advice = "free some space and run the same command to continue";
    else if (reason == EFBIG)
        advice = "raise the file size limit (ulimit -f) and run the same command to continue";
    else if (reason == EMFILE || reason == ENFILE)
        advice = "raise the limit of open files (ulimit -n)";
    else if (reason == EIO)
        advice = "check the disk";
    return error_set(err, S2A_IO, "cannot write: %s: %s: %s", path, strerror(reason), advice);
}

/* ---- state of the files ----------------------------------------------------------------- */

const char *store_state_name(store_state state)
{
    static const char *const names[] = { "absent", "partial", "downloaded" };
    return names[state];
}

/* The size of dir/file + suffix if that is a regular file, else -1. A model, which is only read,
 * may be a link to another place; files that are written may not. */
static int64_t file_size(const char *dir, const char *file, const char *suffix)
{
    struct stat st;
    char *path = store_path(dir, file, suffix);
    int seen = !path ? -1 : *suffix ? lstat(path, &st) : stat(path, &st);
    bool found = seen == 0 && S_ISREG(st.st_mode);
    free(path);
    return found ? (int64_t)st.st_size : -1;
}

store_state store_look(const char *dir, const manifest_model *model, uint64_t *bytes)
{
    int64_t whole = file_size(dir, model->file, "");
    int64_t part = file_size(dir, model->file, ".part");
    *bytes = 0;
    if (whole >= 0 && (uint64_t)whole == model->bytes) {
        *bytes = model->bytes;
        return STORE_DOWNLOADED;
    }
    if (part > 0)
        *bytes = (uint64_t)part;
    return whole >= 0 || part >= 0 ? STORE_PARTIAL : STORE_ABSENT;
}

enum { NOTE_SIZE = 200 };

/* The beginning of FILE.ok for the file as it is now; empty if there is no file. */
static void verified_note(const char *path, const manifest_model *model, char *text, size_t size)
{
    struct stat st;
    *text = '\0';
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
        snprintf(text, size, "%s %" PRId64 " %" PRId64 ".%09ld\n", model->sha256,
                 (int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec, (long)st.st_mtim.tv_nsec);
}

/* The rest of FILE.ok if its beginning is that of the file as it is now; else NULL. */
static const char *read_note(const char *path, const manifest_model *model, char found[NOTE_SIZE])
{
    char expected[NOTE_SIZE];
    verified_note(path, model, expected, sizeof expected);
    char *note = joined(path, ".ok", "");
    int fd = note ? store_open(note, O_RDONLY) : -1;
    ssize_t n = fd >= 0 ? read(fd, found, NOTE_SIZE - 1) : 0;
    found[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
    free(note);
    size_t len = strlen(expected);
    return len > 0 && strncmp(expected, found, len) == 0 ? found + len : NULL;
}

bool store_is_verified(const char *path, const manifest_model *model)
{
    char found[NOTE_SIZE];
    return read_note(path, model, found) != NULL;
}

void store_source(const char *path, const manifest_model *model, char source[STORE_SOURCE_SIZE])
{
    static const char *const known[] = { "url", "wheels", "wheels+url" };
    char found[NOTE_SIZE];
    const char *rest = read_note(path, model, found);
    *source = '\0';
    size_t len = rest ? strcspn(rest, "\n") : 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i]) == len && strncmp(rest, known[i], len) == 0)
            snprintf(source, STORE_SOURCE_SIZE, "%s", known[i]);
}

void store_set_verified(const char *path, const manifest_model *model, const char *source)
{
    char text[NOTE_SIZE], before[STORE_SOURCE_SIZE];
    store_source(path, model, before);
    verified_note(path, model, text, sizeof text);
    char *note = joined(path, ".ok", "");
    int fd = note ? store_open(note, O_WRONLY | O_CREAT | O_TRUNC) : -1;
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (f) {
        fprintf(f, "%s%s\n", text, source ? source : before);
        fclose(f);
    } else if (fd >= 0) {
        close(fd);
    }
    free(note);
}

/* ---- names ------------------------------------------------------------------------------ */

static bool looks_like_path(const char *name)
{
    size_t len = strlen(name);
    return strchr(name, '/') || (len > 5 && strcasecmp(name + len - 5, ".gguf") == 0);
}

static s2a_status resolve_model(const manifest_model *model, const char *dir, const char *name,
                                char **path, s2a_error *err)
{
    uint64_t bytes;
    switch (store_look(dir, model, &bytes)) {
    case STORE_DOWNLOADED:
        *path = store_path(dir, model->file, "");
        return *path ? S2A_OK : error_nomem(err);
    case STORE_PARTIAL:
        return error_set(err, S2A_UNAVAILABLE,
                         "model %s is only partly here: run `s2a pull %s` to continue", name, name);
    case STORE_ABSENT:
        break;
    }
    return error_set(err, S2A_UNAVAILABLE, "model %s is not here: run `s2a pull %s`", name, name);
}

s2a_status store_resolve_in(const manifest *m, const char *dir, const char *name_or_path,
                            char **path, s2a_error *err)
{
    *path = NULL;
    struct stat st = { 0 };
    bool is_path = name_or_path && looks_like_path(name_or_path);
    int missing = is_path && stat(name_or_path, &st) != 0 ? errno : 0;
    if (is_path && !missing) {
        if (S_ISDIR(st.st_mode))
            return error_set(err, S2A_UNAVAILABLE, "model %s: is a directory: name a GGUF file",
                             name_or_path);
        *path = joined(name_or_path, "", "");
        return *path ? S2A_OK : error_nomem(err);
    }
    const manifest_model *model = manifest_find(m, name_or_path);
    if (model)
        return resolve_model(model, dir, name_or_path ? name_or_path : model->name, path, err);
    if (!name_or_path)
        return error_set(err, S2A_UNAVAILABLE, "the manifest has no default model: name one");
    return error_set(err, S2A_UNAVAILABLE,
                     "model %s: %s: name a GGUF file, or a model that `s2a models` lists",
                     name_or_path, missing ? strerror(missing) : "unknown name");
}

s2a_status store_resolve(const char *name_or_path, char **path, s2a_error *err)
{
    static const manifest none = { 0 };
    manifest *m = NULL;
    *path = NULL;
    /* An existing file needs no manifest, so an unreadable manifest does not matter. */
    if (name_or_path && looks_like_path(name_or_path) && access(name_or_path, F_OK) == 0)
        return store_resolve_in(&none, "", name_or_path, path, err);
    char *dir = store_dir(err);
    s2a_status status = dir ? manifest_load(&m, err) : err ? err->status : S2A_IO;
    if (status == S2A_OK)
        status = store_resolve_in(m, dir, name_or_path, path, err);
    manifest_free(m);
    free(dir);
    return status;
}

/* ---- lock ------------------------------------------------------------------------------- */

/* Opens and locks the file. Its last holder may have removed it after it was opened here. Then
 * others lock a new file of that name, and this lock is void. */
static int lock_once(const char *path)
{
    struct stat held, named;
    int fd = store_open(path, O_RDWR | O_CREAT);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int saved = errno;
        close(fd);
        errno = saved == EINTR ? EWOULDBLOCK : saved;
        return -1;
    }
    if (fstat(fd, &held) == 0 && lstat(path, &named) == 0 && held.st_ino == named.st_ino &&
        held.st_dev == named.st_dev)
        return fd;
    close(fd);
    errno = EWOULDBLOCK;
    return -1;
}

s2a_status store_lock_take(store_lock *lock, const char *dir, const char *file, uint32_t wait_ms,
                           const s2a_cancel *cancel, void (*waiting)(void *ctx), void *ctx,
                           s2a_error *err)
{
    static const struct timespec pause = { .tv_nsec = LOCK_POLL_MS * 1000000L };
    double start = clock_ms();
    bool told = false;
    *lock = (store_lock){ .fd = -1, .path = store_path(dir, file, ".lock") };
    s2a_status status = lock->path ? S2A_OK : error_nomem(err);
    while (status == S2A_OK && (lock->fd = lock_once(lock->path)) < 0) {
        if (errno != EWOULDBLOCK)
            status = store_write_failed(lock->path, errno, err);
        else if (cancel_fired(cancel))
            status = error_set(err, S2A_CANCELLED, "cancelled");
        else if (clock_ms() - start >= wait_ms)
            status = error_set(err, S2A_TIMEOUT,
                               "another `s2a pull` holds %s: wait until it is done", lock->path);
        else {
            if (!told && waiting && clock_ms() - start > 2 * LOCK_POLL_MS) {
                waiting(ctx);
                told = true;
            }
            nanosleep(&pause, NULL);
        }
    }
    if (status != S2A_OK) {
        free(lock->path);
        lock->path = NULL;
    }
    return status;
}

void store_lock_drop(store_lock *lock)
{
    if (lock->fd >= 0) {
        unlink(lock->path);
        close(lock->fd);
    }
    free(lock->path);
    *lock = (store_lock){ .fd = -1 };
}
