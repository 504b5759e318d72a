#include "bench/peer.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fetch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 50     /* between two looks at the cancel handle */
#define OPEN_MS 600000 /* at most, for a model to be read */
#define SLACK_MS 60000 /* over what the requests of a job may take themselves */
#define REPLY_BYTES ((size_t)16 << 20)
#define SERVER_ARGUMENTS 48
#define SERVER_TRIES 3 /* somebody else may take a port before the server does */

/* ---- lines to and from a worker --------------------------------------------------------- */

static s2a_status gone(bench_peer *peer, s2a_error *err)
{
    char line[200];
    bench_process_last_line(&peer->process, line, sizeof line);
    return error_set(err, S2A_BACKEND, "the process that measures has ended%s%s",
                     *line ? "; it said: " : "", line);
}

static s2a_status line_send(bench_peer *peer, json_t *value, s2a_error *err)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (!text)
        return error_nomem(err);
    size_t len = strlen(text);
    text[len] = '\n'; /* the NUL's place: it is sent with its length */
    s2a_status status = S2A_OK;
    for (size_t at = 0; at <= len && status == S2A_OK;) {
        ssize_t n = write(peer->process.to, text + at, len + 1 - at);
        if (n > 0)
            at += (size_t)n;
        else if (errno != EINTR)
            status = gone(peer, err);
    }
    free(text);
    return status;
}

static s2a_status line_read(bench_peer *peer, double until, json_t **out, s2a_error *err)
{
    char chunk[16384];
    buf *b = &peer->input;
    for (;;) {
        const char *newline = b->len > 0 ? memchr(b->data, '\n', b->len) : NULL;
        if (newline) { /* one line answers one line: nothing is behind it */
            *out = json_loadb(b->data, (size_t)(newline - b->data), JSON_ALLOW_NUL, NULL);
            buf_reset(b);
            return *out ? S2A_OK : gone(peer, err);
        }
        if (cancel_fired(peer->cancel))
            return error_set(err, S2A_CANCELLED, "cancelled");
        if (clock_ms() > until)
            return error_set(err, S2A_TIMEOUT, "the process that measures did not answer in time");
        struct pollfd fd = { .fd = peer->process.from, .events = POLLIN };
        if (poll(&fd, 1, LOOK_MS) <= 0)
            continue;
        ssize_t n = read(peer->process.from, chunk, sizeof chunk);
        if (n == 0 || (n < 0 && errno != EINTR))
            return gone(peer, err);
        if (n > 0)
            buf_add(b, chunk, (size_t)n);
        if (b->status != S2A_OK)
            return error_set(err, b->status, "%s", s2a_status_text(b->status));
    }
}

/* A question and its answer; what the worker says is wrong is the error. */
static s2a_status ask(bench_peer *peer, const char *name, json_t *value, uint32_t wait_ms,
                      json_t **out, s2a_error *err)
{
    *out = NULL;
    s2a_status status = line_send(peer, value ? json_pack("{s:o}", name, value) : NULL, err);
    if (status == S2A_OK)
        status = line_read(peer, clock_ms() + wait_ms, out, err);
    const char *error = json_string_value(json_object_get(*out, "error"));
    if (status == S2A_OK && error) {
        json_int_t code = json_integer_value(json_object_get(*out, "status"));
        bool known = code > S2A_OK && code <= S2A_INTERNAL;
        status = error_set(err, known ? (s2a_status)code : S2A_BACKEND, "%s", error);
    }
    if (status != S2A_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

/* ---- workers ---------------------------------------------------------------------------- */

s2a_status bench_peer_open_worker(bench_peer *peer, const char *program, const bench_engine *engine,
                                  const s2a_cancel *cancel, s2a_error *err)
{
    const char *const argv[] = { program, "bench-worker", NULL };
    *peer = (bench_peer){ .cancel = cancel, .timeout_ms = engine->timeout_ms };
    buf_init(&peer->input, REPLY_BYTES);
    double start = clock_ms();
    s2a_status status = bench_process_start(argv, true, &peer->process, err);
    if (status != S2A_OK)
        return status;
    json_t *reply = NULL;
    status = ask(peer, "open", bench_engine_json(engine), OPEN_MS, &reply, err);
    peer->open_ms = clock_ms() - start;
    const char *model = json_string_value(json_object_get(reply, "model"));
    snprintf(peer->model, sizeof peer->model, "%s", model ? model : "");
    const char *kernels = json_string_value(json_object_get(reply, "kernels"));
    snprintf(peer->kernels, sizeof peer->kernels, "%s", kernels ? kernels : "");
    peer->drafts = json_is_true(json_object_get(reply, "drafts"));
    peer->open = status == S2A_OK;
    json_decref(reply);
    return status;
}

static s2a_status worker_run(bench_peer *peer, const bench_job *job, bench_done *done,
                             s2a_error *err)
{
    json_t *reply = NULL;
    /* Two steps of each request, which share the machine. */
    double most = 2.0 * (double)job->count * (peer->timeout_ms ? peer->timeout_ms : 3600000);
    uint32_t wait_ms = most > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)most + SLACK_MS;
    s2a_status status = ask(peer, "run", bench_job_json(job), wait_ms, &reply, err);
    if (status == S2A_OK && !bench_done_from_json(json_object_get(reply, "done"), done))
        status = error_set(err, S2A_BACKEND, "the process that measures gave no figures");
    json_decref(reply);
    return status;
}

/* ---- servers ---------------------------------------------------------------------------- */

static int health(int port)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/health", port);
    fetch_request request = { .url = url, .total_timeout_ms = 5000 };
    fetch_response response;
    int status = fetch_run(&request, &response, NULL) == S2A_OK ? response.head.status : 0;
    fetch_response_free(&response);
    return status;
}

/* S2A_OK once it answers; S2A_IO when it has ended: another port may do. */
static s2a_status ready(bench_peer *peer, int port, s2a_error *err)
{
    double until = clock_ms() + OPEN_MS;
    while (health(port) != 200) {
        if (cancel_fired(peer->cancel))
            return error_set(err, S2A_CANCELLED, "cancelled");
        if (bench_process_ended(&peer->process)) {
            char line[200];
            bench_process_last_line(&peer->process, line, sizeof line);
            return error_set(err, S2A_IO, "llama-server ended before it was ready%s%s",
                             *line ? "; it said: " : "", line);
        }
        if (clock_ms() > until)
            return error_set(err, S2A_TIMEOUT, "llama-server was not ready in %d s",
                             OPEN_MS / 1000);
        struct timespec pause = { 0, LOOK_MS * 1000000L };
        nanosleep(&pause, NULL);
    }
    return S2A_OK;
}

/* The same settings as the library's engine has: one KV cache that all slots share, and no second
 * copy of old prompts in memory, which would only count against the server. */
static s2a_status start(bench_peer *peer, const bench_server *server, int port, s2a_error *err)
{
    char text[6][16];
    const uint32_t numbers[] = { (uint32_t)port, server->ctx_tokens, server->slots,
                                 server->threads };
    for (size_t i = 0; i < 4; i++)
        snprintf(text[i], sizeof text[i], "%u", numbers[i]);
    snprintf(text[4], sizeof text[4], "%d", server->gpu_layers);
    snprintf(text[5], sizeof text[5], "%u", server->slots + 4);
    const char *const fixed[] = { server->program,   "--model",
                                  server->model,     "--host",
                                  "127.0.0.1",       "--port",
                                  text[0],           "--ctx-size",
                                  text[1],           "--parallel",
                                  text[2],           "--kv-unified",
                                  "--cache-ram",     "0",
                                  "--threads",       text[3],
                                  "--threads-batch", text[3],
                                  "--threads-http",  text[5],
                                  "--gpu-layers",    server->gpu_layers < 0 ? "all" : text[4] };
    const char *argv[SERVER_ARGUMENTS] = { NULL };
    size_t n = sizeof fixed / sizeof *fixed;
    memcpy(argv, fixed, sizeof fixed);
    for (size_t i = 0; server->more && server->more[i] && n + 1 < SERVER_ARGUMENTS; i++)
        argv[n++] = server->more[i];
    return bench_process_start(argv, false, &peer->process, err);
}

s2a_status bench_peer_open_server(bench_peer *peer, const bench_server *server,
                                  const s2a_cancel *cancel, s2a_error *err)
{
    *peer = (bench_peer){ .cancel = cancel, .timeout_ms = server->timeout_ms };
    snprintf(peer->about, sizeof peer->about, "%s", server->about ? server->about : "");
    s2a_status status = S2A_IO;
    double begin = clock_ms();
    int port = -1;
    for (int i = 0; i < SERVER_TRIES && status == S2A_IO; i++) {
        bench_process_stop(&peer->process);
        port = bench_process_free_port();
        if (port < 0)
            return error_set(err, S2A_UNAVAILABLE, "no port of 127.0.0.1 is free");
        begin = clock_ms();
        status = start(peer, server, port, err);
        if (status == S2A_OK)
            status = ready(peer, port, err);
    }
    if (status != S2A_OK) {
        if (err && status == S2A_IO)
            err->status = S2A_UNAVAILABLE;
        return status == S2A_IO ? S2A_UNAVAILABLE : status;
    }
    peer->open_ms = clock_ms() - begin;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", port);
    bench_engine engine = { .backend = "http", .url = url, .timeout_ms = server->timeout_ms };
    status = bench_engine_open(&engine, &peer->engine, err);
    if (status == S2A_OK)
        snprintf(peer->model, sizeof peer->model, "%s", s2a_engine_model(peer->engine));
    peer->open = status == S2A_OK;
    return status;
}

void bench_server_version(const char *program, char *text, size_t size)
{
    const char *const argv[] = { program, "--version", NULL };
    bench_process p;
    char log[4096];
    int status = 0;
    *text = '\0';
    if (bench_process_start(argv, false, &p, NULL) != S2A_OK)
        return;
    if (bench_process_wait(&p, 20000, NULL, &status) && status == 0) {
        bench_process_log(&p, log, sizeof log);
        const char *at = strstr(log, "version");
        if (at)
            snprintf(text, size, "%.*s", (int)strcspn(at, "\r\n"), at);
    }
    bench_process_stop(&p);
}

/* ---- both ------------------------------------------------------------------------------- */

s2a_status bench_peer_run(bench_peer *peer, const bench_job *job, bench_done *done, s2a_error *err)
{
    if (!peer->engine)
        return worker_run(peer, job, done, err);
    /* The handle is only read; s2a.h has no const for it. */
    s2a_cancel *cancel = (s2a_cancel *)(uintptr_t)peer->cancel;
    s2a_status status = bench_job_run(peer->engine, job, cancel, done, err);
    if (status == S2A_OK && cancel_fired(peer->cancel))
        return error_set(err, S2A_CANCELLED, "cancelled");
    if (status == S2A_OK && bench_process_ended(&peer->process))
        return gone(peer, err);
    done->peak_kb = bench_process_peak_kb(peer->process.pid);
    return status;
}

size_t bench_peer_count(void *ctx, const char *text, size_t len)
{
    bench_peer *peer = ctx;
    if (peer->engine)
        return bench_engine_count(peer->engine, text, len);
    json_t *reply = NULL;
    s2a_error err;
    if (ask(peer, "count", json_stringn(text, len), SLACK_MS, &reply, &err) != S2A_OK)
        return 0;
    json_int_t n = json_integer_value(json_object_get(reply, "tokens"));
    json_decref(reply);
    return n > 0 ? (size_t)n : 0;
}

void bench_peer_close(bench_peer *peer)
{
    s2a_engine_close(peer->engine);
    bench_process_stop(&peer->process);
    buf_free(&peer->input);
    *peer = (bench_peer){ .open = false };
}
