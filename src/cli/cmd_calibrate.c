/* s2a calibrate: lets a model judge sentences of which it is known what they are, and puts the borders
 * of mode select where it tells them apart. */
#include "backend/backend.h"
#include "cli/calibration.h"
#include "cli/calibration_set.h"
#include "cli/commands.h"
#include "cli/getopt_exact.h"
#include "cli/help.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "core/engine.h"
#include "core/error.h"
#include "eval/outfile.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SETTING_BASE = 256,
    OPTION_SHOW = SETTING_BASE + SETTINGS_COUNT,
    OPTION_RESET,
    OPTION_JSON,
    OPTION_OUT,
};

static const struct option longs[] = {
    { "model", required_argument, NULL, SETTING_BASE + SETTING_MODEL },
    { "backend", required_argument, NULL, SETTING_BASE + SETTING_BACKEND },
    { "url", required_argument, NULL, SETTING_BASE + SETTING_URL },
    { "prompts", required_argument, NULL, SETTING_BASE + SETTING_PROMPTS },
    { "threads", required_argument, NULL, SETTING_BASE + SETTING_THREADS },
    { "ctx", required_argument, NULL, SETTING_BASE + SETTING_CTX },
    { "gpu-layers", required_argument, NULL, SETTING_BASE + SETTING_GPU_LAYERS },
    { "timeout", required_argument, NULL, SETTING_BASE + SETTING_TIMEOUT },
    { "show", no_argument, NULL, OPTION_SHOW },
    { "reset", no_argument, NULL, OPTION_RESET },
    { "json", no_argument, NULL, OPTION_JSON },
    { "out", required_argument, NULL, OPTION_OUT },
    { "quiet", no_argument, NULL, 'q' },
    { "verbose", no_argument, NULL, 'v' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

typedef struct calibrate_options {
    options base; /* settings, json, quiet, verbose, help */
    bool show, reset;
    const char *out;
} calibrate_options;

typedef struct calibrating {
    session *s;
    const calibrate_options *o;
    calibration_set set;
    calibrate_unit *units;
    size_t unit_count;
    uint64_t tokens;
    double ms;
    calibrate_result result;
    char *written;
} calibrating;

/* ---- options ---------------------------------------------------------------------------- */

static s2a_status option_take(calibrate_options *o, int code, char **argv, s2a_error *err)
{
    switch (code) {
    case '?':
    case ':':
        return error_set(err, S2A_ARGUMENT, "%.60s: %s; see s2a calibrate --help", argv[optind - 1],
                         code == ':' ? "its value is missing" : "no such option");
    case 'm':
        return settings_apply_flag(&o->base.settings, SETTING_MODEL, optarg, err);
    case OPTION_SHOW:
        o->show = true;
        return S2A_OK;
    case OPTION_RESET:
        o->reset = true;
        return S2A_OK;
    case OPTION_JSON:
        o->base.json = true;
        return S2A_OK;
    case OPTION_OUT:
        o->out = optarg;
        return S2A_OK;
    case 'q':
        o->base.quiet = true;
        return S2A_OK;
    case 'v':
        o->base.verbose += o->base.verbose < 2;
        return S2A_OK;
    case 'h':
        o->base.help = true;
        return S2A_OK;
    default:
        return settings_apply_flag(&o->base.settings, (settings_id)(code - SETTING_BASE), optarg, err);
    }
}

/* The model's name may stand alone, as in s2a pull. */
static s2a_status model_take(calibrate_options *o, int argc, char **argv, s2a_error *err)
{
    if (optind >= argc)
        return S2A_OK;
    if (argc - optind > 1)
        return error_set(err, S2A_ARGUMENT,
                         "calibrate: \"%.40s\" is one word too many; give one model",
                         argv[optind + 1]);
    if (o->base.settings.from[SETTING_MODEL] == SETTINGS_FLAG)
        return error_set(err, S2A_ARGUMENT, "calibrate: \"%.40s\" beside --model; give one model",
                         argv[optind]);
    return settings_apply_flag(&o->base.settings, SETTING_MODEL, argv[optind], err);
}

static s2a_status options_take(calibrate_options *o, int argc, char **argv, s2a_error *err)
{
    s2a_status status = S2A_OK;
    opterr = 0;
    optind = 1;
    while (status == S2A_OK && !o->base.help) {
        int code = getopt_exact(argc, argv, ":m:qvh", longs);
        if (code == -1)
            break;
        status = option_take(o, code, argv, err);
    }
    if (status != S2A_OK || o->base.help)
        return status;
    status = model_take(o, argc, argv, err);
    if (status == S2A_OK)
        status = settings_complete(&o->base.settings, err);
    if (status == S2A_OK && o->show && o->reset)
        return error_set(err, S2A_ARGUMENT, "--show and --reset: give one of them");
    if (status == S2A_OK && o->out && (o->show || o->reset))
        return error_set(err, S2A_ARGUMENT, "--out: it goes with a calibration; leave out %s",
                         o->show ? "--show" : "--reset");
    if (status == S2A_OK && o->out && !strcmp(o->out, "-"))
        return error_set(err, S2A_ARGUMENT, "--out -: name a file, or use --json");
    return status;
}

/* ---- printing --------------------------------------------------------------------------- */

/* json is taken over. */
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

static void print_borders(const s2a_calibration *c)
{
    printf(
        "borders    relevance_border %g, relevance_ratio %g, relevance_cap %g, opinion_border %g, "
        "relevance_gap %g\n",
        c->relevance_border, c->relevance_ratio, c->relevance_cap, c->opinion_border,
        c->relevance_gap);
}

static json_t *counts_json(const calibrate_counts *n)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "needed", (json_int_t)n->all[CALIBRATE_NEEDED],
                     "needed_kept", (json_int_t)n->right[CALIBRATE_NEEDED], "unrelated",
                     (json_int_t)n->all[CALIBRATE_UNRELATED], "unrelated_removed",
                     (json_int_t)n->right[CALIBRATE_UNRELATED], "opinions",
                     (json_int_t)n->all[CALIBRATE_OPINION], "opinions_removed",
                     (json_int_t)n->right[CALIBRATE_OPINION]);
}

static json_t *auc_json(double auc)
{
    return isfinite(auc) ? json_real(round(auc * 1e4) / 1e4) : json_null();
}

static json_t *result_json_of(const calibrating *c, const char *key)
{
    const calibrate_result *r = &c->result;
    return json_pack("{s:s,s:s,s:o,s:{s:b,s:b},s:{s:o,s:o},s:o,s:o,s:I,s:I,s:f}", "model", key,
                     "file", c->written, "select", calibration_json(&r->borders), "separates",
                     "relevance", (int)r->relevance, "opinion", (int)r->opinion, "auc", "relevance",
                     auc_json(r->relevance_auc), "opinion", auc_json(r->opinion_auc), "held_out",
                     counts_json(&r->held_out), "chosen", counts_json(&r->chosen), "prompts",
                     (json_int_t)c->set.count, "tokens", (json_int_t)c->tokens, "ms", round(c->ms));
}

static void print_counts(const char *head, const calibrate_counts *n)
{
    printf(
        "%-10s %zu of %zu needed kept, %zu of %zu unrelated removed, %zu of %zu opinions removed\n",
        head, n->right[CALIBRATE_NEEDED], n->all[CALIBRATE_NEEDED], n->right[CALIBRATE_UNRELATED],
        n->all[CALIBRATE_UNRELATED], n->right[CALIBRATE_OPINION], n->all[CALIBRATE_OPINION]);
}

static void print_judgement(const char *name, double auc, bool separates)
{
    printf("%-10s AUC %.3f%s\n", name, auc,
           separates ? "" : ": not told apart well enough; the border is harmless");
}

static void print_text(const calibrating *c, const char *key)
{
    const calibrate_result *r = &c->result;
    printf("model      %s\n", key);
    printf("read       %zu prompts, %" PRIu64 " tokens, %.1f s\n", c->set.count, c->tokens,
           c->ms / 1e3);
    print_judgement("relevance", r->relevance_auc, r->relevance);
    print_judgement("opinion", r->opinion_auc, r->opinion);
    print_counts("held out", &r->held_out);
    print_counts("chosen on", &r->chosen);
    print_borders(&r->borders);
    printf("written    %s\n", c->written);
}

/* ---- --show, --reset -------------------------------------------------------------------- */

static s2a_status show(const calibrate_options *o, const char *key, const s2a_calibration *borders,
                       calibration_source source, const s2a_error *damaged, s2a_error *err)
{
    s2a_calibration used = engine_calibration(borders, NULL);
    char *path = NULL;
    if (damaged->status != S2A_OK)
        term_say("note: the calibration is not used: %s", damaged->message);
    s2a_status status = source == CALIBRATION_USER ? calibration_path(key, &path, err) : S2A_OK;
    if (status == S2A_OK && o->base.json) {
        status = print_json(json_pack("{s:s,s:s,s:s?,s:o}", "model", key, "source",
                                      calibration_source_name(source), "file", path, "select",
                                      calibration_json(&used)),
                            err);
    } else if (status == S2A_OK) {
        printf("model      %s\nsource     %s\n", key, calibration_source_name(source));
        print_borders(&used);
        if (path)
            printf("file       %s\n", path);
    }
    free(path);
    return status;
}

static s2a_status reset(const calibrate_options *o, const char *key, s2a_error *err)
{
    bool was = false;
    s2a_status status = calibration_remove(key, &was, err);
    if (status == S2A_OK && o->base.json)
        status = print_json(json_pack("{s:s,s:b}", "model", key, "removed", (int)was), err);
    else if (status == S2A_OK && !o->base.quiet)
        printf(was ? "removed the calibration of %s\n" : "there is no calibration of %s\n", key);
    return status;
}

/* ---- calibrating ------------------------------------------------------------------------ */

static void progress_show(calibrating *c, size_t done, double started_ms)
{
    double spent = clock_ms() - started_ms;
    char left[32] = "";
    if (done > 1)
        snprintf(left, sizeof left, ", %.0f s left",
                 spent / 1e3 / (double)done * (double)(c->set.count - done));
    progress_draw(&c->s->progress, "calibrating: %zu of %zu prompts%s", done, c->set.count, left);
}

static s2a_status judge_all(calibrating *c, s2a_error *err)
{
    double started = clock_ms();
    judged_options how = { .question_start = SIZE_MAX };
    s2a_status status = S2A_OK;
    c->units = calloc(CALIBRATE_MAX_UNITS, sizeof *c->units);
    if (!c->units)
        return error_nomem(err);
    for (size_t i = 0; i < c->set.count && status == S2A_OK; i++) {
        const calibration_prompt *p = &c->set.prompts[i];
        judged said;
        progress_show(c, i, started);
        status = judged_read(c->s->engine, p->text, p->len, &how, c->s->cancel, &said, err);
        if (status == S2A_OK && c->unit_count + said.count > CALIBRATE_MAX_UNITS)
            status = error_set(err, S2A_LIMIT, "calibration: more than the limit of %zu units",
                               CALIBRATE_MAX_UNITS);
        if (status == S2A_OK) {
            calibration_set_take(&c->set, i, &said, c->units, &c->unit_count);
            c->tokens += said.usage.prompt_tokens - said.usage.cached_tokens;
        }
        judged_free(&said);
    }
    c->ms = clock_ms() - started;
    progress_clear(&c->s->progress);
    return status;
}

/* What goes into a manifest beside "name". */
static s2a_status snippet_write(const calibrating *c, s2a_error *err)
{
    json_t *json = json_pack("{s:o}", "select", calibration_json(&c->result.borders));
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;
    json_decref(json);
    s2a_status status = text ? outfile_write(c->o->out, text, strlen(text), err) : error_nomem(err);
    free(text);
    return status;
}

/* On a server whose model was not named it is found by the URL alone, and by its name. */
static s2a_status save_named(calibrating *c, const char *path, s2a_error *err)
{
    const settings *set = &c->o->base.settings;
    char *key = NULL, *written = NULL;
    if (strcmp(set->backend, "http") != 0 || set->model)
        return S2A_OK;
    s2a_status status = calibration_key(set, path, s2a_engine_model(c->s->engine), &key, err);
    if (status == S2A_OK)
        status = calibration_save(key, &c->result, &written, err);
    free(written);
    free(key);
    return status;
}

static s2a_status calibrate(calibrating *c, const char *key, const char *path, s2a_error *err)
{
    s2a_status status = calibration_set_read("data/calibration.jsonl", calibration_builtin,
                                             calibration_builtin_len, &c->set, err);
    if (status == S2A_OK)
        status = judge_all(c, err);
    if (status == S2A_OK)
        status = calibrate_fit(c->units, c->unit_count, &c->result, err);
    if (status == S2A_OK && signals_caught()) /* nothing is to be written then */
        status = error_set(err, S2A_CANCELLED, "cancelled");
    if (status == S2A_OK)
        status = calibration_save(key, &c->result, &c->written, err);
    if (status == S2A_OK)
        status = save_named(c, path, err);
    if (status == S2A_OK && c->o->out)
        status = snippet_write(c, err);
    if (status == S2A_OK && c->o->base.json)
        status = print_json(result_json_of(c, key), err);
    else if (status == S2A_OK && !c->o->base.quiet)
        print_text(c, key);
    calibration_set_free(&c->set);
    free(c->units);
    free(c->written);
    return status;
}

/* How it ended, on stderr. */
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
    if (c->result.relevance || c->result.opinion)
        return EXIT_DONE;
    term_say("this model does not tell needed sentences from others; mode select now keeps "
             "everything with it: use another model, or --mode rewrite");
    return EXIT_FAILED;
}

static int run(const calibrate_options *o, session *s)
{
    const settings *set = &o->base.settings;
    s2a_error err = { .status = S2A_OK }, damaged;
    calibration_source source = CALIBRATION_DEFAULT;
    s2a_calibration borders = { 0 };
    char *path = NULL, *key = NULL;
    calibrating c = { .s = s, .o = o };
    s2a_status status = calibration_find(set, &path, &borders, &source, &damaged, &err);
    const char *file = path ? path : set->model;
    if (status == S2A_OK)
        status = calibration_key(set, file, set->model, &key, &err);
    int code = EXIT_DONE;
    if (status == S2A_OK && o->show) {
        status = show(o, key, &borders, source, &damaged, &err);
    } else if (status == S2A_OK && o->reset) {
        status = reset(o, key, &err);
    } else if (status == S2A_OK) {
        code = session_open(s);
        if (code == EXIT_DONE)
            code = conclude(&c, status = calibrate(&c, key, file, &err), &err);
        status = S2A_OK; /* whatever it was has been said */
    }
    if (status != S2A_OK) {
        term_say("%s", err.message);
        code = session_exit(status);
    }
    free(path);
    free(key);
    return code;
}

int cmd_calibrate(int argc, char **argv)
{
    calibrate_options o = { .show = false };
    s2a_error err = { .status = S2A_OK };
    settings_init(&o.base.settings);
    s2a_status status = options_take(&o, argc, argv, &err);
    session s = { .o = &o.base, .alone = true };
    term_init(&s.term, true, o.base.quiet);
    progress_init(&s.progress, &s.term);
    int code = EXIT_DONE;
    if (status != S2A_OK) {
        term_say("%s", err.message);
        code = status == S2A_NOMEM ? EXIT_FAILED : EXIT_USAGE;
    } else if (o.base.help) {
        fputs(help_calibrate, stdout);
    } else {
        code = session_begin(&s) ? run(&o, &s) : EXIT_FAILED;
    }
    session_end(&s);
    settings_free(&o.base.settings);
    return code;
}
