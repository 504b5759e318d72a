/* Child processes of the benchmark: workers and servers. Each has its own process group, so that an
 * interrupt at the terminal reaches only the tool, which then ends them cleanly. The kernel kills
 * them when the tool ends for any reason. One thread; the thread that starts a process must outlive
 * it. */
#ifndef S2A_BENCH_PROCESS_H
#define S2A_BENCH_PROCESS_H

#include "s2a.h"

#include <sys/types.h>

typedef struct bench_process {
    pid_t pid;    /* 0 = none */
    int to, from; /* its standard input and output; -1 = none */
    int log;      /* in-memory file of its standard error (and output, without pipes) */
} bench_process;

/* argv[0] is the path of the program. S2A_UNAVAILABLE (it cannot be run), S2A_IO, S2A_NOMEM; then
 * *out has no process (pid 0), which all functions accept. */
s2a_status bench_process_start(const char *const *argv, bool pipes, bench_process *out,
                               s2a_error *err);

/* True once it has ended by itself. */
bool bench_process_ended(bench_process *p);

/* Sends it SIGTERM. */
void bench_process_ask_to_stop(const bench_process *p);
/* Sends it SIGTERM, waits at most three seconds, then kills it; closes its descriptors. */
void bench_process_stop(bench_process *p);

/* Waits for its end, at most ms; false if it had to be stopped. *status is its exit status, or 128
 * plus the signal. */
bool bench_process_wait(bench_process *p, uint32_t ms, const s2a_cancel *cancel, int *status);

/* The last non-empty line of its log, at most size bytes with the NUL. */
void bench_process_last_line(const bench_process *p, char *text, size_t size);
/* The whole log, at most size bytes with the NUL. */
void bench_process_log(const bench_process *p, char *text, size_t size);

/* Its peak memory in KiB (VmHWM); 0 = unknown. pid 0: this process. */
uint64_t bench_process_peak_kb(pid_t pid);

/* A port of 127.0.0.1 that is free at the moment; -1 if there is none. */
int bench_process_free_port(void);

#endif
