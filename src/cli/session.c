#include "cli/session.h"

#include "base/error.h"
#include "cli/calibration.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/signals.h"
#include "cli/store.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SELECTOR_CTX 512

int session_exit(s2a_status status)
{
    return status == S2A_MODEL || status == S2A_UNAVAILABLE || status == S2A_UNSUPPORTED
               ? EXIT_NO_MODEL
               : EXIT_FAILED;
}

bool session_goes_on(const option_command *command, const options *o, s2a_status status,
                     const s2a_error *err, int *code)
{
    *code = EXIT_DONE;
    if (status != S2A_OK) {
        term_say("%s", err->message);
        *code = status == S2A_NOMEM ? EXIT_FAILED : EXIT_USAGE;
    } else if (o->help) {
        help_print(command);
    } else if (o->version) {
        help_version();
    } else {
        return true;
    }
    return false;
}

/* ---- opening ---------------------------------------------------------------------------- */

static void log_line(void *ctx, int level, const char *line)
{
    const options *o = ctx;
    if (level <= 1 + o->verbose)
        term_say("%s", line);
}

/* Milliseconds of a setting that is at most 4,000,000 s; at least one. */
static uint32_t milliseconds(double seconds)
{
    double ms = seconds * 1e3;
    return ms < 1 ? 1 : (uint32_t)ms;
}

void session_engine_options(const options *o, const char *path, s2a_engine_options *e)
{
    const settings *s = &o->settings;
    e->backend = s->backend;
    e->model = path ? path : s->model;
    e->url = s->url;
    e->api_key = s->api_key;
    e->prompts_dir = s->prompts;
    e->ctx_tokens = s->ctx;
    e->threads = s->threads;
    e->gpu_layers = s->gpu_layers;
    e->draft = s->draft;
    e->kernels = s->kernels;
    e->kv_bits = s->kv_bits;
    if (s->timeout_s > 0) {
        /* The user's limit for an answer is also the limit for silence. */
        e->request_timeout_ms = e->idle_timeout_ms = milliseconds(s->timeout_s);
        if (e->connect_timeout_ms > e->request_timeout_ms)
            e->connect_timeout_ms = e->request_timeout_ms;
    }
    if (o->verbose > 0) {
        e->log = log_line;
        e->log_ctx = (void *)o;
    }
}

static int on_token(void *ctx, int step, const char *text, size_t len)
{
    session *s = ctx;
    if (step == 1 || !s->stream) {
        progress_token(&s->progress, step, s->label);
        return 0;
    }
    progress_clear(&s->progress);
    term_write(&s->term, text, len);
    if (len > 0)
        s->streamed = text[len - 1];
    if (s->answer)
        buf_add(s->answer, text, len);
    fflush(stdout);
    return !term_ok(); /* stdout has failed: stop */
}

/* Finds the model's file and, unless alone is set, the user's head for it; NULL if there is
 * none. */
static s2a_status model_find(const session *s, const options *o, char **path, char **head,
                             s2a_error *err)
{
    *path = *head = NULL;
    if (strcmp(o->settings.backend, "llama") != 0)
        return S2A_OK;
    s2a_status status = store_resolve(o->settings.model, path, err);
    if (status == S2A_OK && !s->alone)
        status = calibration_find(*path, head, err);
    if (status == S2A_OK && *head && o->verbose > 0)
        term_say("head of mode select: %s", *head);
    return status;
}

/* o: the session's, or the selector's. */
static s2a_status engine_open(const session *s, const options *o, s2a_engine **out, s2a_error *err)
{
    const settings *set = &o->settings;
    char *path = NULL, *head = NULL, *tune = NULL, *step1 = NULL;
    s2a_engine_options e;
    s2a_status status = model_find(s, o, &path, &head, err);
    s2a_engine_options_init(&e);
    session_engine_options(o, path, &e);
    e.log_ctx = (void *)s->o;
    e.head = head;
    e.select_engine = s->selector;
    if (status == S2A_OK && path)
        e.cache_dir = tune = store_private_dir("XDG_CACHE_HOME", ".cache/s2a", "/tune");
    if (status == S2A_OK && set->step1_cache > 0) {
        e.step1_cache_dir = step1 = store_private_dir("XDG_CACHE_HOME", ".cache/s2a", "/step1");
        e.step1_cache_bytes = (uint64_t)set->step1_cache << 20;
        if (!step1 && !o->quiet)
            term_say("note: no directory for --step1-cache; set XDG_CACHE_HOME to one that can be "
                     "written to");
    }
    if (status == S2A_OK)
        status = s2a_engine_open(&e, out, err);
    free(step1);
    free(tune);
    free(head);
    free(path);
    return status;
}

/* Opens the judge model, always on this machine. It generates nothing, so its context for answers
 * is small. */
static s2a_status selector_open(session *s, const char *name, s2a_error *err)
{
    const settings *set = &s->o->settings;
    bool scripted = !strcmp(set->backend, "script");
    options o = *s->o; /* the session owns its texts */
    o.settings.model = (char *)name;
    o.settings.backend = scripted ? "script" : "llama";
    o.settings.url = NULL;
    o.settings.ctx = scripted ? set->ctx : SELECTOR_CTX;
    return engine_open(s, &o, &s->selector, err);
}

static s2a_status protects_fill(session *s, s2a_error *err)
{
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < s->o->protect_count && status == S2A_OK; i++) {
        const options_protect *p = &s->o->protects[i];
        status = p->text ? s2a_request_protect_text(s->request, p->text, strlen(p->text), err)
                         : s2a_request_protect_lines(s->request, p->first, p->last, err);
    }
    return status;
}

/* Sets all of a request except its prompt and preset. */
static s2a_status request_settings(session *s, s2a_error *err)
{
    const settings *set = &s->o->settings;
    s2a_request_set_mode(s->request, set->mode);
    s2a_request_set_max_tokens(s->request, set->max_tokens);
    s2a_request_set_cancel(s->request, s->cancel);
    s2a_request_set_on_token(s->request, on_token, s);
    s2a_status status =
        s2a_request_set_sampling(s->request, set->temperature, set->top_p, set->seed, err);
    if (status == S2A_OK)
        status = protects_fill(s, err);
    if (status == S2A_OK && !isnan(s->o->threshold))
        status = s2a_request_set_threshold(s->request, s->o->threshold, err);
    return status == S2A_OK ? s2a_request_set_keep(s->request, s->o->keep, err) : status;
}

bool session_begin(session *s)
{
    s->cancel = s2a_cancel_new();
    s->request = s2a_request_new();
    if (s->cancel && s->request && signals_install(s->cancel))
        return true;
    term_say("%s", s->cancel && s->request ? strerror(errno) : "out of memory");
    return false;
}

void session_end(session *s)
{
    s2a_engine_close(s->engine);
    s2a_engine_close(s->selector);
    s2a_request_free(s->request);
}

static int opened(s2a_status status, const s2a_error *err)
{
    if (status == S2A_OK)
        return EXIT_DONE;
    term_say("%s", err->message);
    /* An error that reading the options could not detect, such as an invalid URL. */
    return status == S2A_ARGUMENT ? EXIT_USAGE : session_exit(status);
}

/* The name of the judge model; NULL = none. With a server the default is the small model if it is
 * here: then step 1 costs the server nothing. */
static const char *selector_name(session *s)
{
    const settings *set = &s->o->settings;
    if (set->select_model)
        return strcmp(set->select_model, "none") != 0 ? set->select_model : NULL;
    if (strcmp(set->backend, "http") != 0)
        return NULL;
    char *path = NULL;
    bool there = store_resolve(OPTIONS_JUDGE, &path, NULL) == S2A_OK;
    free(path);
    s->unjudged = !there;
    return there ? OPTIONS_JUDGE : NULL;
}

void session_hint(const session *s)
{
    if (s->unjudged && !s->o->quiet)
        term_say("note: the server rewrites prompts; run `s2a pull " OPTIONS_JUDGE
                 "` once, and a small model on this machine judges them, at no cost for the "
                 "server");
}

int session_open_selector(session *s)
{
    const settings *set = &s->o->settings;
    s2a_error err;
    const char *name = s->alone || set->mode == S2A_MODE_REWRITE ? NULL : selector_name(s);
    if (!name)
        return EXIT_DONE;
    progress_start(&s->progress, "loading the judge model");
    s2a_status status = selector_open(s, name, &err);
    progress_clear(&s->progress);
    if (status == S2A_UNAVAILABLE && !set->select_model) /* not requested, and this build runs no
                                                            models */
        return EXIT_DONE;
    return opened(status, &err);
}

int session_open(session *s)
{
    s2a_error err;
    int code = session_open_selector(s);
    if (code != EXIT_DONE)
        return code;
    progress_start(&s->progress, "loading the model");
    s2a_status status = engine_open(s, s->o, &s->engine, &err);
    progress_clear(&s->progress);
    if ((code = opened(status, &err)) != EXIT_DONE)
        return code;
    status = request_settings(s, &err);
    if (status != S2A_OK) {
        term_say("%s", err.message);
        return EXIT_USAGE;
    }
    signals_defer();
    return EXIT_DONE;
}

s2a_status session_model(session *s, const char *name, s2a_error *err)
{
    options o = *s->o; /* the session owns its texts */
    o.settings.model = (char *)name;
    s2a_engine *engine = NULL;
    progress_start(&s->progress, "loading the model");
    s2a_status status = engine_open(s, &o, &engine, err);
    progress_clear(&s->progress);
    if (status != S2A_OK)
        return status;
    s2a_engine_close(s->engine);
    s->engine = engine;
    return S2A_OK;
}

s2a_status session_lane(const session *s, session *lane, s2a_error *err)
{
    *lane = *s;
    lane->progress.on = false;
    lane->request = s2a_request_new();
    return lane->request ? request_settings(lane, err) : error_nomem(err);
}

void session_lane_free(session *lane)
{
    s2a_request_free(lane->request);
    lane->request = NULL;
}

s2a_status session_next(session *s, s2a_error *err)
{
    s2a_request_unprotect(s->request);
    return protects_fill(s, err);
}

void session_note_fallback(const session *s, s2a_fallback fallback, const char *detail)
{
    if (!s->o->quiet && fallback != S2A_FALLBACK_NONE)
        term_say("note: step 1 was not used (%s%s%s); %s", s2a_fallback_name(fallback),
                 *detail ? ": " : "", detail,
                 s->o->answer ? "answered from the original prompt"
                              : "this is the original prompt");
}

void session_note_cut(const session *s, const s2a_result *result)
{
    if (!s->o->quiet && s2a_result_answer_cut(result))
        term_say("note: the answer was cut off at %u tokens; raise --max-tokens",
                 s->o->settings.max_tokens);
}

/* ---- running ---------------------------------------------------------------------------- */

bool session_is_plain(const session *s)
{
    s2a_preset preset = s->o->settings.preset;
    return preset == S2A_PRESET_PLAIN || preset == S2A_PRESET_INSTRUCTED ||
           preset == S2A_PRESET_INSTRUCTED_MATH;
}

s2a_status session_run(session *s, s2a_result **result, s2a_result **plain, s2a_error *err)
{
    const options *o = s->o;
    *result = *plain = NULL;
    const char *label = s->label;
    progress_start(&s->progress, label                 ? label
                                 : session_is_plain(s) ? "answering"
                                                       : "step 1, reading the prompt");
    s2a_request_set_preset(s->request, o->settings.preset);
    s2a_status status = o->answer ? s2a_answer(s->engine, s->request, result, err)
                                  : s2a_attend(s->engine, s->request, result, err);
    if (status == S2A_OK && o->compare) {
        if (!label)
            s->label = "without S2A";
        progress_start(&s->progress, s->label);
        s2a_request_set_preset(s->request, S2A_PRESET_PLAIN);
        s2a_error fault = { .status = S2A_OK };
        status = s2a_answer(s->engine, s->request, plain, &fault);
        if (status != S2A_OK)
            error_set(err, status, "the answer without S2A: %s", fault.message);
        s->label = label;
    }
    progress_clear(&s->progress);
    return status;
}
