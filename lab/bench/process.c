#include "bench/process.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_MS 3000

extern char **environ;

static void pause_ms(long ms)
{
    struct timespec left = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&left, NULL);
}

/* ---- starting --------------------------------------------------------------------------- */

typedef struct ends {
    int in[2], out[2], fault[2]; /* pipes: its input, its output, why it could not be run */
    int log;
} ends;

static void ends_close(ends *e)
{
    int *all[] = {
        &e->in[0], &e->in[1], &e->out[0], &e->out[1], &e->fault[0], &e->fault[1], &e->log
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (*all[i] >= 0)
            close(*all[i]);
}

static bool ends_make(ends *e, bool pipes)
{
    *e = (ends){ { -1, -1 }, { -1, -1 }, { -1, -1 }, -1 };
    e->log = memfd_create("s2a-bench-log", MFD_CLOEXEC);
    if (e->log < 0 || pipe2(e->fault, O_CLOEXEC) != 0)
        return false;
    return !pipes || (pipe2(e->in, O_CLOEXEC) == 0 && pipe2(e->out, O_CLOEXEC) == 0);
}

/* In the child, with what may be called there. Not posix_spawn: that cannot tie the child's life to
 * ours, and a llama-server that outlives a killed benchmark holds gigabytes. */
static void child(const char *const *argv, const ends *e, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    setpgid(0, 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    bool pipes = e->in[0] >= 0;
    if (dup2(pipes ? e->in[0] : null, STDIN_FILENO) >= 0 &&
        dup2(pipes ? e->out[1] : e->log, STDOUT_FILENO) >= 0 && dup2(e->log, STDERR_FILENO) >= 0)
        execve(argv[0], (char *const *)(uintptr_t)argv, environ);
    int reason = errno;
    ssize_t ignored = write(e->fault[1], &reason, sizeof reason);
    (void)ignored;
    _exit(127);
}

s2a_status bench_process_start(const char *const *argv, bool pipes, bench_process *out,
                               s2a_error *err)
{
    *out = (bench_process){ .to = -1, .from = -1, .log = -1 };
    ends e;
    if (!ends_make(&e, pipes)) {
        int reason = errno;
        ends_close(&e);
        return error_set(err, S2A_IO, "cannot start %s: %s", argv[0], strerror(reason));
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        child(argv, &e, parent);
    int reason = pid < 0 ? errno : 0;
    close(e.fault[1]);
    e.fault[1] = -1;
    /* Nothing comes, and the pipe closes, where the program runs. */
    if (pid > 0 && read(e.fault[0], &reason, sizeof reason) == (ssize_t)sizeof reason)
        waitpid(pid, NULL, 0);
    if (reason != 0) {
        ends_close(&e);
        return error_set(err, S2A_UNAVAILABLE, "cannot run %s: %s", argv[0], strerror(reason));
    }
    *out = (bench_process){ .pid = pid, .to = e.in[1], .from = e.out[0], .log = e.log };
    e.in[1] = e.out[0] = e.log = -1;
    ends_close(&e);
    return S2A_OK;
}

/* ---- ending ----------------------------------------------------------------------------- */

static void let_go(bench_process *p)
{
    int all[] = { p->to, p->from, p->log };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] >= 0)
            close(all[i]);
    *p = (bench_process){ .to = -1, .from = -1, .log = -1 };
}

bool bench_process_ended(bench_process *p)
{
    if (p->pid > 0 && waitpid(p->pid, NULL, WNOHANG) == 0)
        return false;
    p->pid = 0;
    return true;
}

void bench_process_ask_to_stop(const bench_process *p)
{
    if (p->pid > 0)
        kill(p->pid, SIGTERM);
}

void bench_process_stop(bench_process *p)
{
    if (p->pid > 0) {
        bench_process_ask_to_stop(p);
        double start = clock_ms();
        while (!bench_process_ended(p)) {
            if (clock_ms() - start > STOP_MS) {
                kill(p->pid, SIGKILL);
                waitpid(p->pid, NULL, 0);
                break;
            }
            pause_ms(10);
        }
    }
    if (p->to != 0 || p->from != 0) /* a process that was never started is all zero */
        let_go(p);
}

bool bench_process_wait(bench_process *p, uint32_t ms, const s2a_cancel *cancel, int *status)
{
    double start = clock_ms();
    int how = 0;
    *status = 0;
    while (p->pid > 0 && waitpid(p->pid, &how, WNOHANG) == 0) {
        if (clock_ms() - start > ms || cancel_fired(cancel))
            return false;
        pause_ms(20);
    }
    p->pid = 0;
    *status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    return true;
}

/* ---- looking ---------------------------------------------------------------------------- */

void bench_process_log(const bench_process *p, char *text, size_t size)
{
    ssize_t n = p->log >= 0 ? pread(p->log, text, size - 1, 0) : 0;
    text[n > 0 ? n : 0] = '\0';
}

void bench_process_last_line(const bench_process *p, char *text, size_t size)
{
    char tail[4096];
    off_t len = p->log >= 0 ? lseek(p->log, 0, SEEK_END) : 0;
    off_t from = len > (off_t)sizeof tail - 1 ? len - ((off_t)sizeof tail - 1) : 0;
    ssize_t n = len > 0 ? pread(p->log, tail, sizeof tail - 1, from) : 0;
    tail[n > 0 ? n : 0] = '\0';
    size_t end = strlen(tail);
    while (end > 0 && strchr("\r\n ", tail[end - 1]))
        tail[--end] = '\0';
    const char *newline = strrchr(tail, '\n');
    snprintf(text, size, "%s", newline ? newline + 1 : tail);
}

uint64_t bench_process_peak_kb(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kb = 0;
    if (pid > 0)
        snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    else
        snprintf(path, sizeof path, "/proc/self/status");
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "VmHWM:", 6))
            kb = strtoull(line + 6, NULL, 10);
    if (file)
        fclose(file);
    return kb;
}

int bench_process_free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
              getsockname(fd, (struct sockaddr *)&address, &len) == 0;
    if (fd >= 0)
        close(fd);
    return ok ? ntohs(address.sin_port) : -1;
}
