/* A worker: a process of this program with one engine, so that its peak memory is that engine's. It
 * reads one JSON object a line and writes one a line:
 *     {"open": engine}    -> {"model", "drafts", "kernels", "ctx"}   once, first; see
 * bench_engine_json
 *     {"count": text}     -> {"tokens"}
 *     {"run": job}        -> {"done": ...}                  see bench_job_json, bench_done_json
 * or {"status", "error"}. It ends with its input. */
#ifndef S2A_BENCH_WORKER_H
#define S2A_BENCH_WORKER_H

/* Runs the worker on standard input and output; returns the exit status. */
int bench_worker_main(void);

#endif
