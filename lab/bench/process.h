/* Processes of the benchmark's own: workers and servers. Each is in a process group of its own, so
 * that an interrupt at the terminal reaches the tool alone, which then ends them in order; and each
 * is killed by the kernel when the tool is gone, however it went. One thread: that which starts a
 * process must outlive it. */
#ifndef S2A_BENCH_PROCESS_H
#define S2A_BENCH_PROCESS_H

#include "s2a.h"

#include <sys/types.h>

typedef struct bench_process {
    pid_t pid;    /* 0 = none */
    int to, from; /* its standard input and output; -1 = it has none */
    int log;      /* what it wrote to standard error (and output, without pipes), in memory */
} bench_process;

/* argv[0] is the path of the program. S2A_UNAVAILABLE (it cannot be run), S2A_IO, S2A_NOMEM; then
 * *out is a process that is none. */
s2a_status bench_process_start(const char *const *argv, bool pipes, bench_process *out,
                               s2a_error *err);

/* True once it has ended by itself. */
bool bench_process_ended(bench_process *p);

/* Asks it to end. None is fine. */
void bench_process_ask_to_stop(const bench_process *p);
/* Asks it to end, waits three seconds at most, then kills it; closes what belongs to it. None is
 * fine. */
void bench_process_stop(bench_process *p);

/* Waits for it to end, at most so long; false when it had to be stopped. *status is its exit
 * status, or 128 and the signal. */
bool bench_process_wait(bench_process *p, uint32_t ms, const s2a_cancel *cancel, int *status);

/* The last line of its log that is not empty, at most size bytes with the NUL. */
void bench_process_last_line(const bench_process *p, char *text, size_t size);
/* The whole log, at most size bytes with the NUL. */
void bench_process_log(const bench_process *p, char *text, size_t size);

/* The most memory that it had in RAM, in KiB (VmHWM); 0 = not known. pid 0: this process. */
uint64_t bench_process_peak_kb(pid_t pid);

/* A port of 127.0.0.1 that was free just now; -1 where there is none. */
int bench_process_free_port(void);

#endif
