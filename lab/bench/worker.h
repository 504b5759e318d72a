/* A worker: a process of this tool with one engine, so that peak memory is that engine's alone. It
 * reads a JSON object a line and writes one a line:
 *     {"open": engine}    -> {"model", "drafts", "kernels", "ctx"}     first, once; see bench_engine_json
 *     {"count": text}     -> {"tokens"}
 *     {"run": job}        -> {"done": ...}                  see bench_job_json, bench_done_json
 * or {"status", "error"}. It ends with its input. */
#ifndef S2A_BENCH_WORKER_H
#define S2A_BENCH_WORKER_H

/* The worker's whole life, on standard input and output; the exit status. */
int bench_worker_main(void);

#endif
