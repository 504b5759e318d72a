/* s2a calibrate: reads labelled prompts with a model and fits a head for mode select, if its hidden
 * states separate needed sentences from others. */
#include "base/error.h"
#include "base/limits.h"
#include "base/outfile.h"
#include "cli/args.h"
#include "cli/calibration.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/help.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/store.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct calibrating {
    session *s;
    const calibrate_options *o;
    s2a_calibration *made;
    s2a_calibration_report report;
    char *written;
} calibrating;

/* ---- options ---------------------------------------------------------------------------- */

/* The model may be given without --model, as in s2a pull. */
static s2a_status model_take(calibrate_options *o, int argc, char **argv, s2a_error *err)
{
    if (optind >= argc)
        return S2A_OK;
    if (argc - optind > 1)
        return error_set(err, S2A_ARGUMENT,
                         "calibrate: \"%.40s\" is one word too many; give one model",
                         argv[optind + 1]);
    if (settings_source_of(&o->base.settings, "model") == SETTINGS_FLAG)
        return error_set(err, S2A_ARGUMENT,
                         "calibrate: \"%.40s\" together with --model; give one model",
                         argv[optind]);
    return settings_apply(&o->base.settings, "model", argv[optind], SETTINGS_FLAG, "--model", err);
}

static s2a_status options_take(calibrate_options *o, int argc, char **argv, s2a_error *err)
{
    s2a_status status = args_read(&command_calibrate, o, argc, argv, err);
    if (status != S2A_OK || o->base.help)
        return status;
    status = model_take(o, argc, argv, err);
    if (status == S2A_OK)
        status = settings_complete(&o->base.settings, err);
    /* Calibration runs on this machine, even if a server is configured. */
    if (status == S2A_OK && !strcmp(o->base.settings.backend, "http"))
        o->base.settings.backend = "llama";
    if (status == S2A_OK && o->show && o->reset)
        return error_set(err, S2A_ARGUMENT, "--show and --reset: give one of them");
    if (status == S2A_OK && o->out && (o->show || o->reset))
        return error_set(err, S2A_ARGUMENT, "--out: it writes a new calibration; leave out %s",
                         o->show ? "--show" : "--reset");
    if (status == S2A_OK && o->out && !strcmp(o->out, "-"))
        return error_set(err, S2A_ARGUMENT, "--out -: name a file, or use --json");
    return status;
}

/* ---- printing --------------------------------------------------------------------------- */

/* Takes ownership of json. */
static s2a_status print_json(json_t *json, s2a_error *err)
{
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;
    json_decref(json);
    if (!text)
        return error_set(err, S2A_INPUT,
                         "the model's name or its directory is not UTF-8: leave out --json");
    puts(text);
    free(text);
    return S2A_OK;
}

static json_t *share_json(double share)
{
    return isfinite(share) ? json_real(round(share * 1e4) / 1e4) : json_null();
}

static json_t *borders_json(const s2a_calibration *c)
{
    return json_pack("{s:f,s:f,s:f,s:f}", "auto", s2a_calibration_threshold(c, S2A_PRESET_AUTO),
                     "opinion", s2a_calibration_threshold(c, S2A_PRESET_OPINION), "relevance",
                     s2a_calibration_threshold(c, S2A_PRESET_RELEVANCE), "untrusted",
                     s2a_calibration_threshold(c, S2A_PRESET_UNTRUSTED));
}

static json_t *result_json_of(const calibrating *c)
{
    const s2a_calibration_report *r = &c->report;
    return json_pack(
        "{s:s,s:s?,s:o,s:{s:b,s:b},s:{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o},s:I,s:I,s:I,s:f}", "model",
        s2a_calibration_model(c->made), "file", c->written, "borders", borders_json(c->made),
        "separates", "sentences", (int)r->cuts, "orders", (int)r->cuts_orders, "held_out", "auc",
        share_json(r->auc), "needed_kept", share_json(r->needed_kept), "unrelated_removed",
        share_json(r->unrelated_removed), "opinions_removed", share_json(r->opinion_removed),
        "clean_unchanged", share_json(r->clean_unchanged), "order_auc", share_json(r->order_auc),
        "orders_removed", share_json(r->order_removed), "documents_unchanged",
        share_json(r->documents_unchanged), "prompts", (json_int_t)r->prompts, "units",
        (json_int_t)r->units, "tokens", (json_int_t)r->tokens, "ms", round(r->ms));
}

static void print_text(const calibrating *c)
{
    const s2a_calibration_report *r = &c->report;
    printf("model      %s\n", s2a_calibration_model(c->made));
    printf("read       %zu prompts, %zu sentences, %" PRIu64 " tokens, %.1f s\n", r->prompts,
           r->units, r->tokens, r->ms / 1e3);
    printf("On held-out kinds of prompts:\n");
    printf("sentences  AUC %.3f; %.1f %% of the needed kept, %.0f %% of the unrelated and %.0f %% "
           "of the opinions "
           "removed, %.1f %% of the clean prompts unchanged%s\n",
           r->auc, 100 * r->needed_kept, 100 * r->unrelated_removed, 100 * r->opinion_removed,
           100 * r->clean_unchanged,
           r->cuts ? "" : ": not separated well enough, nothing is removed");
    printf("orders     AUC %.3f; %.0f %% removed, %.1f %% of the clean documents unchanged%s\n",
           r->order_auc, 100 * r->order_removed, 100 * r->documents_unchanged,
           r->cuts_orders ? "" : ": not separated well enough, nothing is removed");
    if (c->written)
        printf("file       %s\n", c->written);
}

/* ---- showing and forgetting ------------------------------------------------------------- */

static s2a_status calibration_of_file(const char *path, s2a_calibration **out, s2a_error *err)
{
    char *text = NULL;
    size_t len = 0;
    s2a_status status = files_read(path, LIMIT_HEAD_FILE_BYTES, &text, &len, err);
    if (status == S2A_OK)
        status = s2a_calibration_read(path, text, len, out, err);
    free(text);
    return status;
}

static s2a_status show(const calibrate_options *o, const char *model, s2a_error *err)
{
    char *path = NULL;
    s2a_calibration *h = NULL;
    s2a_status status = calibration_find(model, &path, err);
    if (status == S2A_OK && path)
        status = calibration_of_file(path, &h, err);
    if (status == S2A_OK && o->base.json)
        status = print_json(json_pack("{s:s,s:s?,s:o}", "model", model, "file", path, "borders",
                                      h ? borders_json(h) : json_null()),
                            err);
    else if (status == S2A_OK && !h)
        printf("there is no calibration of %s; the model's built-in head is used, if it "
               "has one\n",
               model);
    else if (status == S2A_OK)
        printf("model      %s\nfile       %s\nthresholds auto %g, opinion %g, relevance %g, "
               "untrusted %g\n",
               s2a_calibration_model(h), path, s2a_calibration_threshold(h, S2A_PRESET_AUTO),
               s2a_calibration_threshold(h, S2A_PRESET_OPINION),
               s2a_calibration_threshold(h, S2A_PRESET_RELEVANCE),
               s2a_calibration_threshold(h, S2A_PRESET_UNTRUSTED));
    s2a_calibration_free(h);
    free(path);
    return status;
}

static s2a_status reset(const calibrate_options *o, const char *model, s2a_error *err)
{
    bool was = false;
    s2a_status status = calibration_remove(model, &was, err);
    if (status == S2A_OK && o->base.json)
        status = print_json(json_pack("{s:s,s:b}", "model", model, "removed", (int)was), err);
    else if (status == S2A_OK && !o->base.quiet)
        printf(was ? "removed the calibration of %s\n" : "there is no calibration of %s\n", model);
    return status;
}

/* ---- calibrating ------------------------------------------------------------------------ */

static void progress_show(void *ctx, size_t done, size_t count, double left_ms)
{
    calibrating *c = ctx;
    char left[32] = "";
    if (done == count) {
        progress_start(&c->s->progress, "teaching");
        return;
    }
    if (done > 20)
        snprintf(left, sizeof left, ", %.0f s left", left_ms / 1e3);
    progress_draw(&c->s->progress, "reading labelled prompts: %zu%s", done, left);
}

/* A head that does not separate sentences is not written; an earlier file stays. */
static s2a_status save(calibrating *c, const char *model, s2a_error *err)
{
    char *bytes = NULL;
    size_t len = 0;
    if (!c->report.cuts && !c->report.cuts_orders)
        return S2A_OK;
    s2a_status status = calibration_save(model, c->made, &c->written, err);
    if (status == S2A_OK && c->o->out)
        status = s2a_calibration_write(c->made, &bytes, &len, err);
    if (status == S2A_OK && c->o->out)
        status = outfile_write(c->o->out, bytes, len, err);
    free(bytes);
    return status;
}

static s2a_status calibrate(calibrating *c, const char *model, s2a_error *err)
{
    s2a_status status =
        s2a_calibrate(c->s->engine, NULL, 0, c->s->cancel, progress_show, c, &c->made, err);
    progress_clear(&c->s->progress);
    if (status == S2A_OK)
        c->report = s2a_calibration_reached(c->made);
    if (status == S2A_OK && signals_caught()) /* then nothing must be written */
        status = error_set(err, S2A_CANCELLED, "cancelled");
    if (status == S2A_OK)
        status = save(c, model, err);
    if (status == S2A_OK && c->o->base.json)
        status = print_json(result_json_of(c), err);
    else if (status == S2A_OK && !c->o->base.quiet)
        print_text(c);
    s2a_calibration_free(c->made);
    free(c->written);
    return status;
}

/* Reports the outcome on stderr and returns the exit status. */
static int conclude(const calibrating *c, s2a_status status, const s2a_error *err)
{
    if (status == S2A_CANCELLED) {
        if (!c->o->base.quiet)
            term_say("stopped; nothing was written");
        return signals_caught() ? 128 + signals_caught() : EXIT_FAILED;
    }
    if (status != S2A_OK) {
        term_say("%s", err->message);
        return session_exit(status);
    }
    if (c->report.cuts || c->report.cuts_orders)
        return EXIT_DONE;
    term_say("this model cannot tell needed sentences from others; nothing was written; use "
             "another "
             "judge model (--select-model 0.5b), or --mode rewrite");
    return EXIT_FAILED;
}

static int run(const calibrate_options *o, session *s)
{
    s2a_error err = { .status = S2A_OK };
    char *model = NULL;
    calibrating c = { .s = s, .o = o };
    s2a_status status = store_resolve(o->base.settings.model, &model, &err);
    int code = EXIT_DONE;
    if (status == S2A_OK && o->show) {
        status = show(o, model, &err);
    } else if (status == S2A_OK && o->reset) {
        status = reset(o, model, &err);
    } else if (status == S2A_OK) {
        code = session_open(s);
        if (code == EXIT_DONE)
            code = conclude(&c, status = calibrate(&c, model, &err), &err);
        status = S2A_OK; /* conclude has reported it */
    }
    if (status != S2A_OK) {
        term_say("%s", err.message);
        code = session_exit(status);
    }
    free(model);
    return code;
}

int cmd_calibrate(int argc, char **argv)
{
    calibrate_options o = { .show = false };
    s2a_error err = { .status = S2A_OK };
    s2a_status status = options_take(&o, argc, argv, &err);
    session s = { .o = &o.base, .alone = true };
    term_init(&s.term, true, o.base.quiet);
    progress_init(&s.progress, &s.term);
    int code;
    bool goes_on = session_goes_on(&command_calibrate, &o.base, status, &err, &code);
    if (goes_on)
        code = session_begin(&s) ? run(&o, &s) : EXIT_FAILED;
    session_end(&s);
    settings_free(&o.base.settings);
    return code;
}
