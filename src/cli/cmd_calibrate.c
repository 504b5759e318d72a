/* s2a calibrate: reads labelled prompts with a model and teaches it a head for mode select, if its hidden states
 * tell what is needed from what is not. */
#include "backend/backend.h"
#include "cli/calibration.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/getopt_exact.h"
#include "cli/help.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/store.h"
#include "cli/teach.h"
#include "core/engine.h"
#include "core/error.h"
#include "core/reading.h"
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
    { "threads", required_argument, NULL, SETTING_BASE + SETTING_THREADS },
    { "ctx", required_argument, NULL, SETTING_BASE + SETTING_CTX },
    { "gpu-layers", required_argument, NULL, SETTING_BASE + SETTING_GPU_LAYERS },
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

/* How long prompts are read, and how large what was read may become: with the fits, which take a minute or two
 * of one core, a calibration ends within ten minutes. */
#define READ_MS (6 * 60e3)
#define STATES_BYTES ((size_t)640 << 20)
#define UNIT_NODE_BYTES 16 /* of liblinear, a number */
#define SHUFFLE_SEED 3
#define DEPTH 0.5 /* of the layers: those above are not read */

typedef struct calibrating {
    session *s;
    const calibrate_options *o;
    teaching_set set;
    teach_unit *units;
    size_t unit_count, unit_cap, numbers; /* numbers: of a unit's state */
    float **states;                       /* of each reading; owned */
    size_t state_count, state_cap;
    judge_head head;
    teach_report report;
    size_t prompts;
    uint64_t tokens;
    double ms;
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
    /* What is taught runs here, whatever server answers otherwise. */
    if (status == S2A_OK && !strcmp(o->base.settings.backend, "http"))
        o->base.settings.backend = "llama";
    if (status == S2A_OK && o->show && o->reset)
        return error_set(err, S2A_ARGUMENT, "--show and --reset: give one of them");
    if (status == S2A_OK && o->out && (o->show || o->reset))
        return error_set(err, S2A_ARGUMENT, "--out: it goes with a calibration; leave out %s",
                         o->show ? "--show" : "--reset");
    if (status == S2A_OK && o->out && !strcmp(o->out, "-"))
        return error_set(err, S2A_ARGUMENT, "--out -: name a file, or use --json");
    return status;
}

/* ---- reading ---------------------------------------------------------------------------- */

static bool room(const calibrating *c, size_t more)
{
    return (c->unit_count + more) * c->numbers * (UNIT_NODE_BYTES + sizeof(float)) <= STATES_BYTES;
}

/* What was read of a prompt becomes units that are taught. */
static s2a_status units_take(calibrating *c, const teaching_prompt *p, const select_input *in,
                             const select_unit *marks, float *states, size_t read, s2a_error *err)
{
    void *units = c->units, *kept = c->states;
    bool ok = array_reserve(&units, &c->unit_cap, c->unit_count + read, sizeof *c->units);
    c->units = units;
    ok = ok && array_reserve(&kept, &c->state_cap, c->state_count + 1, sizeof *c->states);
    c->states = kept;
    if (!ok) {
        free(states);
        return error_nomem(err);
    }
    c->states[c->state_count++] = states;
    for (size_t i = 0, k = 0; i < in->count && k < read; i++) {
        const segment_unit *u = &in->units[i];
        if (!reading_takes(u, &marks[i]))
            continue;
        teach_unit *out = &c->units[c->unit_count++];
        *out = (teach_unit){ .prompt = c->prompts, .kind = p->kind, .form = select_form(in),
                             .state = states + k++ * c->numbers };
        out->label = teaching_label_of(p, u->start, u->text_end, &out->asked);
    }
    c->prompts++;
    return S2A_OK;
}

static s2a_status prompt_read(calibrating *c, const teaching_prompt *p, bool apart, s2a_error *err)
{
    segment_unit *units = NULL;
    size_t count = 0, read = 0;
    float *states = NULL;
    s2a_usage used = { .ms = 0 };
    select_input in = { .backend = c->s->engine->backend, .text = p->text, .cancel = c->s->cancel,
                        .preset = p->untrusted ? S2A_PRESET_UNTRUSTED
                                  : apart      ? S2A_PRESET_RELEVANCE
                                               : S2A_PRESET_AUTO,
                        .question_start = p->untrusted || apart ? p->context_len : SIZE_MAX };
    s2a_status status = select_segment(in.preset, p->text, p->len, in.question_start, c->s->cancel, &units, &count, err);
    in.units = units;
    in.count = count;
    select_unit *marks = status == S2A_OK ? calloc(count + 1, sizeof *marks) : NULL;
    if (status == S2A_OK && !marks)
        status = error_nomem(err);
    if (status == S2A_OK) {
        select_mark(&in, marks);
        status = reading_states(&in, marks, c->head.layers, c->head.layer_count, &states, &read, &used, err);
    }
    if (status == S2A_OK)
        status = units_take(c, p, &in, marks, states, read, err);
    else if (status == S2A_LIMIT) /* longer than the model's context */
        status = S2A_OK;
    c->tokens += used.prompt_tokens;
    free(marks);
    free(units);
    return status;
}

/* Where what is asked stands last, the prompt can be read as a text and a question too. */
static size_t asked_from(const teaching_prompt *p)
{
    size_t i = p->piece_count;
    while (i > 0 && p->pieces[i - 1].asked)
        i--;
    return i > 0 && i < p->piece_count ? p->pieces[i].start : 0;
}

static void progress_show(calibrating *c, size_t done, double started_ms)
{
    double spent = clock_ms() - started_ms, all = spent / fmax(1, (double)done) * (double)c->set.count;
    char left[32] = "";
    if (done > 20)
        snprintf(left, sizeof left, ", %.0f s left", (fmin(all, READ_MS) - spent) / 1e3);
    progress_draw(&c->s->progress, "reading labelled prompts: %zu%s", done, left);
}

static s2a_status read_all(calibrating *c, s2a_error *err)
{
    double started = clock_ms();
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < c->set.count && status == S2A_OK; i++) {
        teaching_prompt *p = &c->set.prompts[i];
        if (clock_ms() - started > READ_MS || !room(c, p->piece_count * 2))
            break;
        progress_show(c, i, started);
        status = prompt_read(c, p, false, err);
        size_t question = p->untrusted || i % 4 ? 0 : asked_from(p);
        if (status == S2A_OK && question > 0) {
            p->context_len = question;
            status = prompt_read(c, p, true, err);
        }
    }
    c->ms = clock_ms() - started;
    progress_clear(&c->s->progress);
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

static json_t *share_json(double share)
{
    return isfinite(share) ? json_real(round(share * 1e4) / 1e4) : json_null();
}

static json_t *borders_json(const judge_head *h)
{
    return json_pack("{s:f,s:f,s:f,s:f}", "auto", h->borders.automatic, "opinion", h->borders.opinion,
                     "relevance", h->borders.relevance, "untrusted", h->borders.untrusted);
}

static json_t *result_json_of(const calibrating *c)
{
    const teach_report *r = &c->report;
    return json_pack("{s:s,s:s?,s:o,s:{s:b,s:b},s:{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o},s:I,s:I,s:I,s:f}", "model",
                     c->head.model, "file", c->written, "borders", borders_json(&c->head), "separates",
                     "sentences", (int)r->cuts, "orders", (int)r->cuts_orders, "held_out", "auc",
                     share_json(r->auc), "needed_kept", share_json(r->needed_kept), "unrelated_removed",
                     share_json(r->unrelated_removed), "opinions_removed", share_json(r->opinion_removed),
                     "clean_unchanged", share_json(r->clean_unchanged), "order_auc", share_json(r->order_auc),
                     "orders_removed", share_json(r->order_removed), "documents_unchanged",
                     share_json(r->documents_unchanged), "prompts", (json_int_t)r->prompts, "units",
                     (json_int_t)r->units, "tokens", (json_int_t)c->tokens, "ms", round(c->ms));
}

static void print_text(const calibrating *c)
{
    const teach_report *r = &c->report;
    printf("model      %s\n", c->head.model);
    printf("read       %zu prompts, %zu sentences, %" PRIu64 " tokens, %.1f s\n", r->prompts, r->units, c->tokens,
           c->ms / 1e3);
    printf("Of kinds of prompts that it was not taught with:\n");
    printf("sentences  AUC %.3f; %.1f %% of the needed kept, %.0f %% of the unrelated and %.0f %% of the opinions "
           "removed, %.1f %% of the clean prompts unchanged%s\n",
           r->auc, 100 * r->needed_kept, 100 * r->unrelated_removed, 100 * r->opinion_removed,
           100 * r->clean_unchanged, r->cuts ? "" : ": not told apart well enough, nothing is cut");
    printf("orders     AUC %.3f; %.0f %% removed, %.1f %% of the clean documents unchanged%s\n", r->order_auc,
           100 * r->order_removed, 100 * r->documents_unchanged,
           r->cuts_orders ? "" : ": not told apart well enough, nothing is cut");
    if (c->written)
        printf("file       %s\n", c->written);
}

/* ---- showing and forgetting ------------------------------------------------------------- */

static s2a_status head_of_file(const char *path, judge_head **out, s2a_error *err)
{
    char *text = NULL;
    size_t len = 0;
    s2a_status status = files_read(path, HEAD_FILE_BYTES, &text, &len, err);
    if (status == S2A_OK)
        status = head_read(path, text, len, out, err);
    free(text);
    return status;
}

static s2a_status show(const calibrate_options *o, const char *model, s2a_error *err)
{
    char *path = NULL;
    judge_head *h = NULL;
    s2a_status status = calibration_find(model, &path, err);
    if (status == S2A_OK && path)
        status = head_of_file(path, &h, err);
    if (status == S2A_OK && o->base.json)
        status = print_json(json_pack("{s:s,s:s?,s:o}", "model", model, "file", path, "borders",
                                      h ? borders_json(h) : json_null()),
                            err);
    else if (status == S2A_OK && !h)
        printf("there is no calibration of %s; the built-in head is used, if it is a model that has one\n", model);
    else if (status == S2A_OK)
        printf("model      %s\nfile       %s\nborders    auto %g, opinion %g, relevance %g, untrusted %g\n",
               h->model, path, h->borders.automatic, h->borders.opinion, h->borders.relevance,
               h->borders.untrusted);
    head_free(h);
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

static s2a_status head_begin(calibrating *c, s2a_error *err)
{
    backend *b = c->s->engine->backend;
    backend_capabilities can = b->vtable->capabilities(b);
    if (!b->vtable->read || can.hidden_width == 0 || can.layers < 3)
        return error_set(err, S2A_UNSUPPORTED, "this model hands on no hidden states; use another one, or mode "
                                               "rewrite");
    snprintf(c->head.model, sizeof c->head.model, "%.*s", (int)utf8_cut(can.model, 100), can.model);
    for (char *at = c->head.model; *at; at++) /* it is a line of the file */
        *at = (unsigned char)*at < ' ' ? ' ' : *at;
    c->head.weights_id = can.weights_id;
    c->head.width = can.hidden_width;
    c->head.layers[0] = (uint32_t)(DEPTH * can.layers) - 1;
    c->head.layer_count = 1;
    c->numbers = 2 * can.hidden_width;
    return S2A_OK;
}

/* A model that cannot tell gets no file, and what it had stays. */
static s2a_status save(calibrating *c, const char *model, s2a_error *err)
{
    buf bytes;
    if (!c->report.cuts && !c->report.cuts_orders)
        return S2A_OK;
    s2a_status status = calibration_save(model, &c->head, &c->written, err);
    buf_init(&bytes, HEAD_FILE_BYTES);
    if (status == S2A_OK && c->o->out) {
        head_write(&c->head, &bytes);
        status = bytes.status == S2A_OK ? outfile_write(c->o->out, bytes.data, bytes.len, err)
                                        : error_nomem(err);
    }
    buf_free(&bytes);
    return status;
}

static s2a_status calibrate(calibrating *c, const char *model, s2a_error *err)
{
    s2a_status status = head_begin(c, err);
    if (status == S2A_OK)
        status = teaching_set_read("data/labelled", labelled_builtin, labelled_builtin_len, &c->set, err);
    if (status == S2A_OK) {
        teaching_set_shuffle(&c->set, SHUFFLE_SEED);
        status = read_all(c, err);
    }
    if (status == S2A_OK) {
        progress_start(&c->s->progress, "teaching");
        status = teach_fit(c->units, c->unit_count, c->s->cancel, &c->head, &c->report, err);
        progress_clear(&c->s->progress);
    }
    if (status == S2A_OK && signals_caught()) /* nothing is to be written then */
        status = error_set(err, S2A_CANCELLED, "cancelled");
    if (status == S2A_OK)
        status = save(c, model, err);
    if (status == S2A_OK && c->o->base.json)
        status = print_json(result_json_of(c), err);
    else if (status == S2A_OK && !c->o->base.quiet)
        print_text(c);
    for (size_t i = 0; i < c->state_count; i++)
        free(c->states[i]);
    free(c->states);
    free(c->units);
    free(c->head.maps);
    free(c->written);
    teaching_set_free(&c->set);
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
    if (c->report.cuts || c->report.cuts_orders)
        return EXIT_DONE;
    term_say("this model does not tell needed sentences from others, and nothing was written; use another model "
             "to judge (--select-model 0.5b), or --mode rewrite");
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
        status = S2A_OK; /* whatever it was has been said */
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
