/* s2a bench: how fast this is on this machine, against llama-server and one plain call. */
#include "base/buf.h"
#include "base/error.h"
#include "bench/process.h"
#include "bench/prompt.h"
#include "bench/run.h"
#include "bench/worker.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/store.h"
#include "lab.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUICK_MINUTES 14 /* the last run may take longer than it was guessed */
_Static_assert(OPTION_LIST_MAX <= BENCH_LIST_MAX, "--lengths");
#define BUILD_MS 3600000u

typedef struct bench_command {
    options base; /* settings, json, quiet, verbose, help */
    bench_options run;
    option_numbers lengths, concurrency; /* empty: not given */
    const char *server, *out;
    bool no_server;
    term term;
    progress progress;
} bench_command;

/* ---- options ---------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static const option_row rows[] = {
    { "quick", 0, IN_BENCH, "measurement", NULL, OPTION_IN(FLAG, bench_command, run.quick),
      .help = "a first reading, in less than 15 minutes" },
    { "lengths", 0, IN_BENCH, "measurement", "LIST", OPTION_IN(LIST, bench_command, lengths),
      .low = BENCH_PROMPT_TOKENS_MIN, .high = BENCH_PROMPT_TOKENS_MAX,
      .help = "tokens of the prompts, by commas (default 200,1000,4000,16000; with --quick "
              "200,1000,4000); ratios are those of the first" },
    { "concurrency", 0, IN_BENCH, "measurement", "LIST",
      OPTION_IN(LIST, bench_command, concurrency), .low = 1, .high = BENCH_CONCURRENCY_MAX,
      .help = "requests at once, at the first length (default 1,4,8; with --quick 1,8)" },
    { "repeat", 0, IN_BENCH, "measurement", "N", OPTION_IN(INTEGER, bench_command, run.repetitions),
      .low = 1, .high = 1000, .help = "runs of each (default 5; with --quick 3)" },
    { "minutes", 0, IN_BENCH, "measurement", "X", OPTION_IN(REAL, bench_command, run.minutes),
      .above = true, .high = 100000,
      .help = "stop starting new runs after X minutes (default: no limit; with --quick 14)",
      .more = "A run that would take longer, judged by those before, is not started." },
    { "max-tokens", 0, IN_BENCH, "measurement", "N",
      OPTION_SETTING("max_tokens", INTEGER, max_tokens), .low = 1, .high = 16777216,
      .fallback = "64", .help = "end an answer after N tokens" },
    { "seed", 0, IN_BENCH, "measurement", "N", OPTION_SETTING("seed", INTEGER, seed),
      .high = 4294967295.0, .fallback = "0",
      .help = "seed of the prompts; all generation is greedy" },
    { "server", 0, IN_BENCH, "measurement", "FILE", OPTION_IN(TEXT, bench_command, server),
      .help = "the llama-server to compare with (default: the one that scripts/build-peer.sh "
              "makes)" },
    { "no-server", 0, IN_BENCH, "measurement", NULL, OPTION_IN(FLAG, bench_command, no_server),
      .help = "measure without llama-server", .more = "Figures that need it are then null." },
    { "threads", 0, IN_BENCH, "model", "N", OPTION_SETTING("threads", INTEGER, threads),
      .high = 1024, .fallback = "0", .help = "CPU threads; 0: as many as there are cores" },
    { "ctx", 0, IN_BENCH, "model", "N", OPTION_SETTING("ctx", INTEGER, ctx), .high = 16777216,
      .fallback = "0", .help = "KV cells of each process; 0: what the plan needs" },
    { "json", 0, IN_BENCH, "output", NULL, OPTION_IN(FLAG, bench_command, base.json),
      .help = "print one object: the figures, and under \"detail\" all that was measured" },
    { "out", 0, IN_BENCH, "output", "DIR", OPTION_IN(NAME, bench_command, out),
      .help = "the directory of CSV files, bench.json, verdict.txt, plots as SVG and PNG" },
    { "verbose", 'v', IN_BENCH, "output", NULL, OPTION_IN(LEVEL, bench_command, base.verbose),
      .help = "a line for each run" },
};

const option_command command_bench = {
    .name = "bench",
    .bit = IN_BENCH,
    .summary = "measure it against llama-server",
    .usage = "s2a bench [options]",
    .about =
        "Measures select and rewrite against two calls to llama-server with the paper's prompt,\n"
        "plain and with its speculation, and against one plain call: same model file, prompts\n"
        "and threads, in turns. Prints a verdict on each goal (docs/bench.md).",
    .end = "examples:\n"
           "  s2a bench --quick\n"
           "  s2a bench --out bench --json > bench.json\n"
           "  s2a bench --lengths 200 --concurrency 1 --repeat 9 --no-server\n",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static size_t list_or(const option_numbers *given, uint32_t *out, const uint32_t *values, size_t n)
{
    n = given->count ? given->count : n;
    memcpy(out, given->count ? given->values : values, n * sizeof *out);
    return n;
}

static void defaults_fill(bench_command *c)
{
    static const uint32_t lengths[] = { 200, 1000, 4000, 16000 };
    static const uint32_t at_once[] = { 1, 4, 8 }, quick_at_once[] = { 1, 8 };
    bench_options *o = &c->run;
    o->length_count = list_or(&c->lengths, o->lengths, lengths, o->quick ? 3 : 4);
    o->concurrency_count = list_or(&c->concurrency, o->concurrency,
                                   o->quick ? quick_at_once : at_once, o->quick ? 2 : 3);
    qsort(o->concurrency, o->concurrency_count, sizeof *o->concurrency, by_size);
    if (o->repetitions == 0)
        o->repetitions = o->quick ? 3 : 5;
    if (o->quick && o->minutes <= 0)
        o->minutes = QUICK_MINUTES;
}

static s2a_status options_take(bench_command *c, int argc, char **argv, s2a_error *err)
{
    settings *set = &c->base.settings;
    s2a_status status = args_read(&command_bench, c, argc, argv, err);
    if (status != S2A_OK || c->base.help)
        return status;
    if (optind < argc)
        return error_set(err, S2A_ARGUMENT,
                         "bench: \"%.40s\" is one word too many; it takes options only",
                         argv[optind]);
    defaults_fill(c);
    if (c->server && c->no_server)
        return error_set(err, S2A_ARGUMENT, "--server and --no-server: give one of them");
    status = settings_complete(set, err);
    if (status == S2A_OK && !strcmp(set->backend, "http"))
        status = error_set(err, S2A_ARGUMENT,
                           "bench: it measures this machine, not a server; leave the URL out, or "
                           "give --backend llama");
    return status;
}

/* ---- llama-server ----------------------------------------------------------------------- */

static bool runs(const char *path)
{
    return access(path, X_OK) == 0;
}

/* scripts/build-peer.sh of the tree that this tool was built in, where it still stands there. */
static bool build_script(const char *program, char *path, size_t size)
{
    for (const char *slash = strrchr(program, '/'); slash && slash > program;) {
        int n = snprintf(path, size, "%.*s/scripts/build-peer.sh", (int)(slash - program), program);
        if (n > 0 && (size_t)n < size && runs(path))
            return true;
        do
            slash--;
        while (slash > program && *slash != '/');
    }
    return false;
}

static bool built_server(char *path, size_t size)
{
    const char *cache = getenv("S2A_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int n = cache && *cache      ? snprintf(path, size, "%s", cache)
            : xdg && *xdg == '/' ? snprintf(path, size, "%s/s2a", xdg)
                                 : snprintf(path, size, "%s/.cache/s2a", home ? home : "");
    if (n < 0 || (size_t)n >= size)
        return false;
    int more = snprintf(path + n, size - (size_t)n, "/peer/build/bin/llama-server");
    return more > 0 && (size_t)more < size - (size_t)n && runs(path);
}

static s2a_status server_build(bench_command *c, const char *script, s2a_error *err)
{
    const char *const argv[] = { script, NULL };
    bench_process p;
    int code = 0;
    if (!c->base.quiet)
        term_say("note: building llama-server; this takes minutes, once (or give --no-server)");
    s2a_status status = bench_process_start(argv, false, &p, err);
    if (status != S2A_OK)
        return status;
    bool ended = bench_process_wait(&p, BUILD_MS, c->run.cancel, &code);
    if (!ended && signals_caught())
        status = error_set(err, S2A_CANCELLED, "cancelled");
    else if (!ended || code != 0)
        status = error_set(err, S2A_UNAVAILABLE, "%s: status %d", script, code);
    bench_process_stop(&p);
    return status;
}

/* Names the server, or says why there is none: that is no failure. */
static s2a_status server_find(bench_command *c, char *path, size_t size, s2a_error *err)
{
    char script[PATH_MAX];
    c->run.no_server = "llama-server was left out (--no-server)";
    if (c->no_server)
        return S2A_OK;
    if (c->server) {
        c->run.server = c->server;
        return runs(c->server) ? S2A_OK
                               : error_set(err, S2A_UNAVAILABLE,
                                           "--server %s: %s; give the path of llama-server",
                                           c->server, strerror(errno));
    }
    c->run.no_server = "the script backend has no llama-server; give --server";
    if (!strcmp(c->base.settings.backend, "script"))
        return S2A_OK;
    c->run.no_server = "no llama-server; run scripts/build-peer.sh, or give --server";
    s2a_status status = S2A_OK;
    if (!built_server(path, size) && build_script(c->run.program, script, sizeof script)) {
        s2a_error why;
        status = server_build(c, script, &why);
        if (status == S2A_CANCELLED)
            return error_set(err, status, "cancelled");
    }
    if (built_server(path, size))
        c->run.server = path;
    else if (!c->base.quiet)
        term_say("note: %s: the figures that need it are left out", c->run.no_server);
    return S2A_OK;
}

/* ---- running ---------------------------------------------------------------------------- */

static void on_line(void *ctx, const char *line)
{
    bench_command *c = ctx;
    if (c->base.verbose && !c->base.quiet)
        term_say("%s", line);
    else
        progress_draw(&c->progress, "%s", line);
}

static s2a_status show(const bench_command *c, const bench_report *report, s2a_error *err)
{
    s2a_status status = S2A_OK;
    if (c->base.json) {
        json_t *json = bench_report_json(report);
        char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
        json_decref(json);
        if (text)
            printf("%s\n", text);
        else
            status = error_nomem(err);
        free(text);
        return status;
    }
    buf text;
    buf_init(&text, (size_t)16 << 20);
    bench_report_text(report, &text);
    if (text.status == S2A_OK)
        term_write(&c->term, text.data, text.len);
    else
        status = error_nomem(err);
    buf_free(&text);
    return status;
}

/* What a run of hours gave until it was stopped is kept, where there is a place for it. */
static void stopped(const bench_command *c, const bench_report *report)
{
    s2a_error err;
    if (!c->out || report->samples.count == 0)
        return;
    if (bench_report_write_runs(report, c->out, &err) != S2A_OK)
        term_say("%s", err.message);
    else if (!c->base.quiet)
        term_say("stopped; the %zu runs until then are in %s/runs.csv", report->samples.count,
                 c->out);
}

static s2a_status measure(bench_command *c, bench_report *report, s2a_error *err)
{
    char program[PATH_MAX], server[PATH_MAX];
    char *model = NULL;
    const settings *set = &c->base.settings;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return error_set(err, S2A_IO, "/proc/self/exe: %s; is /proc there?", strerror(errno));
    program[n] = '\0';
    c->run.program = program;
    c->run.engine = (bench_engine){ .backend = set->backend,
                                    .model = set->model,
                                    .ctx_tokens = set->ctx,
                                    .threads = set->threads,
                                    .gpu_layers = set->gpu_layers,
                                    .kernels = set->kernels,
                                    .timeout_ms = (uint32_t)ceil(set->timeout_s * 1e3) };
    c->run.max_tokens = set->max_tokens;
    c->run.seed = set->seed;
    s2a_status status = S2A_OK;
    if (c->out) /* a place that cannot be written to is found now, and not after hours */
        status = bench_report_write_runs(report, c->out, err);
    if (status == S2A_OK && !strcmp(set->backend, "llama")) {
        status = store_resolve(set->model, &model, err);
        c->run.engine.model = model;
    }
    if (status == S2A_OK)
        status = server_find(c, server, sizeof server, err);
    if (status == S2A_OK)
        status = bench_run(&c->run, report, err);
    progress_clear(&c->progress);
    free(model);
    return status;
}

static int run(bench_command *c)
{
    s2a_error err = { .status = S2A_OK };
    bench_report *report = calloc(1, sizeof *report);
    if (!report) {
        term_say("out of memory");
        return EXIT_FAILED;
    }
    c->run.say = on_line;
    c->run.ctx = c;
    s2a_status status = measure(c, report, &err);
    if (status == S2A_CANCELLED && signals_caught())
        stopped(c, report);
    if (status == S2A_OK && c->out)
        status = bench_report_write(report, c->out, &err);
    if (status == S2A_OK)
        status = show(c, report, &err);
    int code = EXIT_DONE;
    if (status == S2A_CANCELLED && signals_caught()) {
        code = 128 + signals_caught();
    } else if (status != S2A_OK) {
        term_say("%s", err.message);
        code = session_exit(status);
    }
    bench_report_free(report);
    free(report);
    return code;
}

int cmd_bench(int argc, char **argv)
{
    s2a_error err = { .status = S2A_OK };
    bench_command *c = calloc(1, sizeof *c);
    if (!c) {
        term_say("out of memory");
        return EXIT_FAILED;
    }
    s2a_status status = options_take(c, argc, argv, &err);
    term_init(&c->term, true, c->base.quiet);
    progress_init(&c->progress, &c->term);
    int code = EXIT_DONE;
    if (status != S2A_OK) {
        term_say("%s", err.message);
        code = status == S2A_NOMEM ? EXIT_FAILED : EXIT_USAGE;
    } else if (c->base.help) {
        help_print(&command_bench);
    } else {
        s2a_cancel *cancel = s2a_cancel_new(); /* never freed: a signal may come until the end */
        c->run.cancel = cancel;
        if (!cancel || !signals_install(cancel)) {
            term_say("%s", cancel ? strerror(errno) : "out of memory");
            code = EXIT_FAILED;
        } else {
            signals_defer();
            code = run(c);
        }
    }
    settings_free(&c->base.settings);
    free(c);
    return code;
}

int cmd_bench_worker(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        term_say("bench-worker: a process of s2a bench's; it takes no options");
        return EXIT_USAGE;
    }
    return bench_worker_main();
}
