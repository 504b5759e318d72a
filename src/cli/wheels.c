#include "cli/wheels.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 50
#define COUNT_EVERY_MS 500.0
#define TERM_GRACE_MS 3000.0
#define TREE_DEPTH 16
#define LOG_TAIL_BYTES ((size_t)16 << 10)
#define LOG_NAME "pip.log"

extern char **environ;

static char *path_of(const char *dir, const char *name)
{
    buf text;
    buf_init(&text, (size_t)1 << 16);
    buf_adds(&text, dir);
    buf_adds(&text, "/");
    buf_adds(&text, name);
    char *path = buf_take(&text, NULL);
    buf_free(&text);
    return path;
}

/* The bytes of all files below the directory `name` of `at`; remove: also deletes them and the
 * directory. Symbolic links are never followed, even if one replaces a directory meanwhile. */
static uint64_t walk(int at, const char *name, bool remove, int depth)
{
    uint64_t bytes = 0;
    int fd = depth > 0 ? openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(st.st_mode))
            bytes += walk(fd, e->d_name, remove, depth - 1);
        else
            bytes += S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
        if (remove && !S_ISDIR(st.st_mode))
            unlinkat(fd, e->d_name, 0);
    }
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    if (remove && unlinkat(at, name, AT_REMOVEDIR) != 0 && errno == ENOTDIR)
        unlinkat(at, name, 0); /* it was replaced by a link or a file */
    return bytes;
}

void wheels_remove_dir(const char *dir)
{
    walk(AT_FDCWD, dir, true, TREE_DEPTH);
}

/* ---- the child -------------------------------------------------------------------------- */

/* Variables that pip does not get: TMPDIR, which is replaced, and those that make Python run other
 * code. */
static bool is_dropped(const char *variable)
{
    return strncmp(variable, "TMPDIR=", 7) == 0 || strncmp(variable, "PYTHON", 6) == 0;
}

/* The environment with TMPDIR=dir: there the room was checked, and files are removed if pip is
 * killed. The array and its first string are malloc'ed. */
static char **child_environment(const char *dir)
{
    size_t count = 0, used = 1;
    while (environ[count])
        count++;
    char **env = calloc(count + 2, sizeof *env);
    buf text;
    buf_init(&text, (size_t)1 << 16);
    buf_adds(&text, "TMPDIR=");
    buf_adds(&text, dir);
    char *tmpdir = buf_take(&text, NULL);
    buf_free(&text);
    if (!env || !tmpdir) {
        free(env);
        free(tmpdir);
        return NULL;
    }
    env[0] = tmpdir;
    for (size_t i = 0; i < count; i++)
        if (!is_dropped(environ[i]))
            env[used++] = environ[i];
    return env;
}

/* The program of that name in PATH, malloc'ed; NULL if there is none. Relative directories are
 * skipped: the current directory may be a stranger's. */
static char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    for (const char *dir = path ? path : "/usr/local/bin:/usr/bin:/bin"; dir;) {
        size_t len = strcspn(dir, ":");
        char *base = *dir == '/' ? bytes_dup(dir, len) : NULL;
        char *program = base ? path_of(base, name) : NULL;
        free(base);
        if (program && access(program, X_OK) == 0)
            return program;
        free(program);
        dir = dir[len] ? dir + len + 1 : NULL;
    }
    return NULL;
}

/* Starts the program in a separate process group, so that Ctrl-C reaches only us and a kill reaches
 * the whole group. It has the default signal handlers. Returns 0 or an errno. */
static int spawn(const char *program, char *const argv[], char *const env[], const char *log,
                 pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t defaults, mask;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    sigaddset(&defaults, SIGHUP);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    sigemptyset(&mask);
    int rc = posix_spawn_file_actions_init(&files);
    if (rc)
        return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc) {
        posix_spawn_file_actions_destroy(&files);
        return rc;
    }
    rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_addopen(&files, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!rc)
        rc = posix_spawnattr_setpgroup(&attributes, 0);
    if (!rc)
        rc = posix_spawnattr_setsigdefault(&attributes, &defaults);
    if (!rc)
        rc = posix_spawnattr_setsigmask(&attributes, &mask);
    if (!rc)
        rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                       POSIX_SPAWN_SETSIGMASK);
    if (!rc)
        rc = posix_spawn(pid, program, &files, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* True once the child is gone; *exit_status as waitpid says, -1 if it cannot be known. */
static bool child_ended(pid_t pid, int *exit_status)
{
    pid_t got = waitpid(pid, exit_status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    if (got < 0)
        *exit_status = -1;
    return true;
}

static void nap(void)
{
    static const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
    nanosleep(&pause, NULL);
}

static void end_child(pid_t pid)
{
    int ignored;
    double start = clock_ms();
    kill(-pid, SIGTERM);
    while (!child_ended(pid, &ignored)) {
        if (clock_ms() - start > TERM_GRACE_MS)
            kill(-pid, SIGKILL);
        nap();
    }
    /* Also kills processes that the child left in its group. */
    kill(-pid, SIGKILL);
}

static s2a_status wait_for_child(pid_t pid, const char *dir, uint32_t timeout_ms,
                                 const s2a_cancel *cancel,
                                 void (*on_bytes)(void *ctx, uint64_t bytes), void *ctx,
                                 int *exit_status, s2a_error *err)
{
    double start = clock_ms(), counted = start;
    while (!child_ended(pid, exit_status)) {
        double now = clock_ms();
        if (cancel_fired(cancel)) {
            end_child(pid);
            return error_set(err, S2A_CANCELLED, "cancelled");
        }
        if (now - start > timeout_ms) {
            end_child(pid);
            return error_set(err, S2A_TIMEOUT, "pip did not end within %u s", timeout_ms / 1000);
        }
        if (on_bytes && now - counted >= COUNT_EVERY_MS) {
            on_bytes(ctx, walk(AT_FDCWD, dir, false, TREE_DEPTH));
            counted = now;
        }
        nap();
    }
    return S2A_OK;
}

/* The line of pip's output that says why it failed: the last one that begins with ERROR, else the
 * last one (hints about new versions of pip come after the errors). */
static void last_line(const char *log, char *line, size_t size)
{
    char text[LOG_TAIL_BYTES + 1];
    const char *last = "", *error = NULL;
    FILE *f = fopen(log, "re");
    if (f && fseek(f, -(long)LOG_TAIL_BYTES, SEEK_END) != 0)
        rewind(f);
    size_t n = f ? fread(text, 1, LOG_TAIL_BYTES, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    char *rest = NULL;
    for (char *l = strtok_r(text, "\r\n", &rest); l; l = strtok_r(NULL, "\r\n", &rest)) {
        l += strspn(l, " \t");
        if (*l)
            last = l;
        if (strncmp(l, "ERROR", 5) == 0)
            error = l;
    }
    snprintf(line, size, "%s", error ? error : last);
    line[utf8_cut(line, size - 1)] = '\0';
}

/* ---- pip -------------------------------------------------------------------------------- */

/* S2A_UNAVAILABLE with *absent set: this way to call pip does not exist here. */
static s2a_status run_pip(char *const argv[], const char *dir, uint32_t timeout_ms,
                          const s2a_cancel *cancel, void (*on_bytes)(void *ctx, uint64_t bytes),
                          void *ctx, bool *absent, s2a_error *err)
{
    int exit_status = -1;
    pid_t pid;
    char line[300];
    s2a_status status;
    char **env = child_environment(dir);
    char *log = path_of(dir, LOG_NAME), *program = find_program(argv[0]);
    *absent = false;
    if (!env || !log) {
        status = error_nomem(err);
        goto done;
    }
    int rc = program ? spawn(program, argv, env, log, &pid) : ENOENT;
    if (rc) {
        *absent = rc == ENOENT;
        status = error_set(err, rc == ENOMEM ? S2A_NOMEM : S2A_UNAVAILABLE, "cannot run %s: %s",
                           argv[0], strerror(rc));
        goto done;
    }
    status = wait_for_child(pid, dir, timeout_ms, cancel, on_bytes, ctx, &exit_status, err);
    if (status == S2A_OK && !(WIFEXITED(exit_status) && WEXITSTATUS(exit_status) == 0)) {
        last_line(log, line, sizeof line);
        *absent = strstr(line, "No module named pip") != NULL ||
                  (WIFEXITED(exit_status) && WEXITSTATUS(exit_status) == 127);
        status = error_set(err, S2A_UNAVAILABLE, "pip: %s", *line ? line : "failed");
    }
done:
    free(program);
    free(log);
    if (env)
        free(env[0]);
    free(env);
    return status;
}

/* The one wheel in dir. */
static s2a_status find_wheel(const char *dir, const char *package, char **path, s2a_error *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return error_set(err, S2A_IO, "cannot read: %s: %s", dir, strerror(errno));
    s2a_status status = S2A_OK;
    for (struct dirent *e = readdir(d); e && !*path && status == S2A_OK; e = readdir(d)) {
        size_t len = strlen(e->d_name);
        if (len > 4 && strcmp(e->d_name + len - 4, ".whl") == 0) {
            *path = path_of(dir, e->d_name);
            status = *path ? S2A_OK : error_nomem(err);
        }
    }
    closedir(d);
    if (status == S2A_OK && !*path)
        status = error_set(err, S2A_UNAVAILABLE, "pip: gave no wheel of %s", package);
    return status;
}

s2a_status wheels_download(const char *package, const char *version, const char *dir,
                           uint32_t timeout_ms, const s2a_cancel *cancel,
                           void (*on_bytes)(void *ctx, uint64_t bytes), void *ctx, char **path,
                           s2a_error *err)
{
    bool absent;
    *path = NULL;
    buf text;
    buf_init(&text, 1024);
    buf_addf(&text, "%s==%s", package, version);
    char *wanted = buf_take(&text, NULL);
    buf_free(&text);
    /* posix_spawn takes char *const[] and does not write to it. -I keeps Python from importing from
     * the current directory. Only wheels: building a source package would run its code before any
     * sha256 is checked. */
    char *dir_argument = bytes_dup(dir, strlen(dir));
    char *argv[] = { "python3",    "-I",
                     "-m",         "pip",
                     "download",   "--only-binary=:all:",
                     "--no-deps",  "--no-cache-dir",
                     "--quiet",    "-d",
                     dir_argument, wanted,
                     NULL };
    s2a_status status;
    if (!wanted || !dir_argument) {
        status = error_nomem(err);
        goto done;
    }
    status = run_pip(argv, dir, timeout_ms, cancel, on_bytes, ctx, &absent, err);
    if (status == S2A_UNAVAILABLE && absent) {
        status = run_pip(argv + 3, dir, timeout_ms, cancel, on_bytes, ctx, &absent, err);
        if (status == S2A_UNAVAILABLE && absent)
            status = error_set(err, S2A_UNAVAILABLE, "neither `python3 -m pip` nor `pip` is here");
    }
    if (status == S2A_OK)
        status = find_wheel(dir, package, path, err);
done:
    free(dir_argument);
    free(wanted);
    return status;
}
