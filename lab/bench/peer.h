/* A peer that computes: a worker with this library's engine, or a llama-server behind the http
 * backend. Both run the same jobs. One thread. */
#ifndef S2A_BENCH_PEER_H
#define S2A_BENCH_PEER_H

#include "base/buf.h"
#include "bench/job.h"
#include "bench/process.h"

typedef struct bench_peer {
    bench_process process;
    s2a_engine *engine; /* server: the engine of the http backend */
    buf input;          /* worker: received bytes that were not parsed yet */
    char model[200];
    char about[64];   /* server: the kind of speculation */
    char kernels[32]; /* worker: bench_engine_kernels */
    bool open, drafts;
    double open_ms; /* from its start until it accepted requests */
    uint32_t timeout_ms;
    const s2a_cancel *cancel;
} bench_peer;

/* Starts `program bench-worker` and opens the engine in it. Errors: those of s2a_engine_open, and
 * S2A_UNAVAILABLE, S2A_BACKEND (it ended), S2A_TIMEOUT, S2A_CANCELLED, S2A_IO, S2A_NOMEM. Call
 * bench_peer_close in any case; it accepts a zeroed peer. */
s2a_status bench_peer_open_worker(bench_peer *peer, const char *program, const bench_engine *engine,
                                  const s2a_cancel *cancel, s2a_error *err);

/* Options of a llama-server. */
typedef struct bench_server {
    const char *program, *model;
    uint32_t ctx_tokens, slots, threads, timeout_ms;
    int32_t gpu_layers;
    const char *const *more; /* more arguments, NULL at the end; may be NULL */
    const char *about;       /* description of these arguments; may be NULL */
} bench_server;

/* Starts it on a free port of 127.0.0.1. Errors as above; S2A_UNAVAILABLE also if it does not
 * become ready: the message has the last line of its log. */
s2a_status bench_peer_open_server(bench_peer *peer, const bench_server *server,
                                  const s2a_cancel *cancel, s2a_error *err);

/* Runs a job. S2A_OK even if a request failed: its timing has the status. After any other status
 * the peer cannot be used again. S2A_BACKEND (it ended), S2A_TIMEOUT, S2A_CANCELLED, S2A_IO,
 * S2A_NOMEM. */
s2a_status bench_peer_run(bench_peer *peer, const bench_job *job, bench_done *done, s2a_error *err);

/* A bench_count_fn: tokens of a text, 0 on failure. ctx is the peer. */
size_t bench_peer_count(void *ctx, const char *text, size_t len);

void bench_peer_close(bench_peer *peer);

/* The version line of a llama-server; "" if it prints none. */
void bench_server_version(const char *program, char *text, size_t size);

#endif
