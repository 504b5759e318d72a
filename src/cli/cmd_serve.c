/* s2a serve: the server of src/serve/ from the command line, and its signals. */
#include "base/clock.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/help.h"
#include "cli/manifest.h"
#include "cli/serve_options.h"
#include "cli/session.h"
#include "serve/log_queue.h"
#include "serve/serve_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- signals ---------------------------------------------------------------------------- */

static int wake[2] = { -1, -1 }; /* the handler's only way to wake the loop */

static void on_signal(int number)
{
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t ignored = write(wake[1], &byte, 1);
    (void)ignored;
    errno = saved;
}

static bool signals_catch(void)
{
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    return sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0 &&
           sigaction(SIGHUP, &action, NULL) == 0;
}

/* The next signal; 0 after ms (-1: never). */
static int signal_wait(int ms)
{
    struct pollfd fd = { .fd = wake[0], .events = POLLIN };
    unsigned char byte = 0;
    if (poll(&fd, 1, ms) <= 0 || read(wake[0], &byte, 1) != 1)
        return 0;
    return byte;
}

/* ---- running ---------------------------------------------------------------------------- */

static void reload(serve *server, const serve_flags *f)
{
    s2a_error err;
    if (serve_reload(server, &err) != S2A_OK)
        term_say("%s; the keys stay as they were", err.message);
    else if (f->serve.keys_file && !f->base.quiet)
        term_say("%s: %zu keys", f->serve.keys_file, serve_key_count(server));
}

/* Runs until a signal, then until all requests are answered or drain_ms are over. */
static void loop(serve *server, const serve_flags *f)
{
    int number;
    while ((number = signal_wait(-1)) == 0 || number == SIGHUP)
        if (number == SIGHUP)
            reload(server, f);
    serve_quiesce(server);
    size_t active = serve_active(server);
    if (active > 0 && !f->base.quiet)
        term_say("ending; %zu requests are not answered yet", active);
    double end = clock_ms() + f->drain_ms;
    while (serve_active(server) > 0 && clock_ms() < end) {
        number = signal_wait(20);
        if (number == SIGINT || number == SIGTERM)
            break; /* a second signal: end at once */
    }
}

static void announce(const serve *server, const serve_flags *f)
{
    const serve_options *o = &f->serve;
    const char *host = o->host ? o->host : "127.0.0.1";
    bool v6 = strchr(host, ':') != NULL;
    printf("http%s://%s%s%s:%u/v1\n", o->tls_cert ? "s" : "", v6 ? "[" : "", host, v6 ? "]" : "",
           serve_port(server));
    fflush(stdout);
    if (f->base.quiet)
        return;
    if (o->upstream) {
        char origin[300];
        snprintf(origin, sizeof origin, "%.299s", o->upstream);
        term_say("in front of %s; %sMODEL asks for S2A", origin, o->prefix);
    } else {
        term_say("model %s; %s%s asks for S2A", o->model, o->prefix, o->model);
    }
    if (!origin_is_loopback(o->host) && !o->keys_file)
        term_say("note: anyone who can reach %s can use this server; restrict it with --api-keys",
                 host);
}

/* ---- the server ------------------------------------------------------------------------- */

/* The embedded model's name for clients: that of --model, without path and .gguf. malloc'ed. */
static char *model_name(const settings *s)
{
    manifest *m = NULL;
    const char *name = s->model;
    if (!name && manifest_load(&m, NULL) == S2A_OK) {
        const manifest_model *model = manifest_find(m, NULL);
        name = model ? model->name : NULL;
    }
    name = name ? name : "default";
    const char *slash = strrchr(name, '/');
    name = slash ? slash + 1 : name;
    size_t len = strlen(name);
    if (len > 5 && !strcmp(name + len - 5, ".gguf"))
        len -= 5;
    char *copy = strndup(name, len);
    manifest_free(m);
    return copy;
}

static s2a_status tls_read(const serve_flags *f, char **cert, char **key, s2a_error *err)
{
    size_t len = 0;
    if (!f->tls_cert)
        return S2A_OK;
    s2a_status status = files_read(f->tls_cert, SERVE_TLS_FILE_BYTES, cert, &len, err);
    return status == S2A_OK ? files_read(f->tls_key, SERVE_TLS_FILE_BYTES, key, &len, err) : status;
}

/* Does not wait for a slow or absent reader of standard error. */
static void say_queued(void *ctx, const char *line, size_t len)
{
    log_queue_put(ctx, line, len);
}

static int start_and_run(serve_flags *f, session *s)
{
    serve *server = NULL;
    s2a_error err = { .status = S2A_OK };
    char *cert = NULL, *key = NULL, *model = model_name(&f->base.settings);
    s2a_status status = model ? tls_read(f, &cert, &key, &err) : error_nomem(&err);
    f->serve.model = model;
    f->serve.tls_cert = cert;
    f->serve.tls_key = key;
    f->serve.engine = s->engine;
    if (status == S2A_OK && !signals_catch())
        status = error_set(&err, S2A_IO, "signals: %s", strerror(errno));
    if (status == S2A_OK)
        status = serve_start(&f->serve, &server, &err);
    int code = EXIT_DONE;
    if (status == S2A_OK) {
        session_hint(s);
        announce(server, f);
        loop(server, f);
        signal(SIGINT, SIG_DFL); /* if serve_stop hangs, the next signal ends the process */
        signal(SIGTERM, SIG_DFL);
        serve_stop(server);
    } else {
        term_say("%s", err.message);
        code = status == S2A_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
    }
    if (key)
        explicit_bzero(key, strlen(key));
    free(key);
    free(cert);
    free(model);
    return code;
}

int cmd_serve(int argc, char **argv)
{
    serve_flags f;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = serve_flags_read(&f, argc, argv, &err);
    session s = { .o = &f.base };
    log_queue *said = NULL;
    term_sink sink = { say_queued, NULL };
    int code = EXIT_DONE;
    if (status != S2A_OK) {
        term_say("%s", err.message);
        code = status == S2A_NOMEM ? EXIT_FAILED : EXIT_USAGE;
    } else if (f.base.help) {
        help_print(&command_serve);
    } else if (f.base.version) {
        help_version();
    } else {
        /* for step 1 with an upstream server */
        session_engine_options(&f.base, NULL, &f.serve.engine_options);
        if (log_queue_open(NULL, &said, NULL) == S2A_OK) {
            sink.ctx = said;
            term_say_through(&sink);
        }
        term_init(&s.term, true, f.base.quiet);
        progress_init(&s.progress, &s.term);
        if (!f.serve.upstream) {
            s.request = s2a_request_new();
            code = s.request ? session_open(&s) : EXIT_FAILED;
        } else {
            code = session_open_selector(&s);
            f.serve.engine_options.select_engine = s.selector;
        }
        if (code == EXIT_DONE)
            code = start_and_run(&f, &s);
    }
    s2a_engine_close(s.engine);
    s2a_engine_close(s.selector);
    s2a_request_free(s.request);
    term_say_through(NULL);
    log_queue_close(said);
    options_free(&f.base);
    return code;
}
