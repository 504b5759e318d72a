/* s2a eval TASK: the paper's experiments; s2a eval report: what they gave, as a page. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/sha256.h"
#include "cli/commands.h"
#include "cli/getopt_exact.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/store.h"
#include "eval/output.h"
#include "eval/report.h"
#include "eval/runner.h"
#include "lab.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_DEFAULT "s2a-eval.sqlite"
#define MAX_TOKENS_DEFAULT 512
#define BOOTSTRAP_ROUNDS 2000

enum {
    SETTING_BASE = 256,
    OPTION_DATA = SETTING_BASE + SETTINGS_COUNT,
    OPTION_ARMS,
    OPTION_LIMIT,
    OPTION_STORE,
    OPTION_SEEDS,
    OPTION_CONCURRENCY,
    OPTION_K,
    OPTION_BAD_ROWS,
    OPTION_JUDGE_MODEL,
    OPTION_JUDGE_URL,
    OPTION_NO_JUDGE,
    OPTION_NO_ANSWERS,
    OPTION_JSON,
    OPTION_OUT,
    OPTION_COMMAND,
    OPTION_NO_COLOR,
};

static const struct option longs[] = {
    { "model", required_argument, NULL, SETTING_BASE + SETTING_MODEL },
    { "backend", required_argument, NULL, SETTING_BASE + SETTING_BACKEND },
    { "url", required_argument, NULL, SETTING_BASE + SETTING_URL },
    { "prompts", required_argument, NULL, SETTING_BASE + SETTING_PROMPTS },
    { "threads", required_argument, NULL, SETTING_BASE + SETTING_THREADS },
    { "ctx", required_argument, NULL, SETTING_BASE + SETTING_CTX },
    { "gpu-layers", required_argument, NULL, SETTING_BASE + SETTING_GPU_LAYERS },
    { "draft", required_argument, NULL, SETTING_BASE + SETTING_DRAFT },
    { "select-model", required_argument, NULL, SETTING_BASE + SETTING_SELECT_MODEL },
    { "kernels", required_argument, NULL, SETTING_BASE + SETTING_KERNELS },
    { "kv-bits", required_argument, NULL, SETTING_BASE + SETTING_KV_BITS },
    { "temperature", required_argument, NULL, SETTING_BASE + SETTING_TEMPERATURE },
    { "top-p", required_argument, NULL, SETTING_BASE + SETTING_TOP_P },
    { "seed", required_argument, NULL, SETTING_BASE + SETTING_SEED },
    { "max-tokens", required_argument, NULL, SETTING_BASE + SETTING_MAX_TOKENS },
    { "timeout", required_argument, NULL, SETTING_BASE + SETTING_TIMEOUT },
    { "data", required_argument, NULL, OPTION_DATA },
    { "arms", required_argument, NULL, OPTION_ARMS },
    { "limit", required_argument, NULL, OPTION_LIMIT },
    { "store", required_argument, NULL, OPTION_STORE },
    { "seeds", required_argument, NULL, OPTION_SEEDS },
    { "concurrency", required_argument, NULL, OPTION_CONCURRENCY },
    { "k", required_argument, NULL, OPTION_K },
    { "bad-rows", required_argument, NULL, OPTION_BAD_ROWS },
    { "judge-model", required_argument, NULL, OPTION_JUDGE_MODEL },
    { "judge-url", required_argument, NULL, OPTION_JUDGE_URL },
    { "no-judge", no_argument, NULL, OPTION_NO_JUDGE },
    { "no-answers", no_argument, NULL, OPTION_NO_ANSWERS },
    { "json", no_argument, NULL, OPTION_JSON },
    { "out", required_argument, NULL, OPTION_OUT },
    { "command", required_argument, NULL, OPTION_COMMAND },
    { "no-color", no_argument, NULL, OPTION_NO_COLOR },
    { "quiet", no_argument, NULL, 'q' },
    { "verbose", no_argument, NULL, 'v' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

typedef struct eval_options {
    options base; /* settings, json, quiet, verbose, help */
    const char *what; /* a task's name, or "report" */
    eval_data_options data;
    eval_settings run;
    const char *stores[32];
    size_t store_count;
    const char *judge_model, *judge_url, *out, *command;
    bool no_judge;
} eval_options;

/* ---- options ---------------------------------------------------------------------------- */

static s2a_status arms_read(eval_options *o, const char *text, s2a_error *err)
{
    o->run.arm_count = 0;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ",");
        const arm *a = arm_find(p, n);
        bool twice = false;
        for (size_t i = 0; i < o->run.arm_count; i++)
            twice |= o->run.arms[i] == a;
        if (!a || twice) {
            buf known;
            buf_init(&known, 400);
            for (size_t i = 0; i < arm_count; i++)
                buf_addf(&known, "%s%s", i ? ", " : "", arms[i].name);
            error_set(err, S2A_ARGUMENT, "--arms: \"%.*s\" %s; give some of %s", (int)n, p,
                      a ? "is there twice" : "is no arm", known.data ? known.data : "");
            buf_free(&known);
            return S2A_ARGUMENT;
        }
        o->run.arms[o->run.arm_count++] = a;
        p += n + (p[n] == ',');
    }
    return o->run.arm_count > 0 ? S2A_OK : error_set(err, S2A_ARGUMENT, "--arms: it is empty");
}

static s2a_status k_read(eval_options *o, const char *text, s2a_error *err)
{
    o->data.k_count = 0;
    for (const char *p = text; *p;) {
        char part[16];
        size_t n = strcspn(p, ",");
        int64_t k = 0;
        snprintf(part, sizeof part, "%.*s", n < sizeof part ? (int)n : (int)sizeof part - 1, p);
        s2a_status status = settings_integer("--k", part, 1, 64, &k, err);
        if (status != S2A_OK)
            return status;
        for (size_t i = 0; i < o->data.k_count; i++)
            if (o->data.k[i] == k)
                return error_set(err, S2A_ARGUMENT, "--k: %d is there twice", (int)k);
        if (o->data.k_count == EVAL_K_MAX)
            return error_set(err, S2A_ARGUMENT, "--k: more than %d values", EVAL_K_MAX);
        o->data.k[o->data.k_count++] = (int)k;
        p += n + (p[n] == ',');
    }
    return o->data.k_count > 0 ? S2A_OK : error_set(err, S2A_ARGUMENT, "--k: it is empty");
}

static s2a_status count_read(const char *where, const char *text, int64_t low, int64_t high,
                             uint32_t *out, s2a_error *err)
{
    int64_t value = 0;
    s2a_status status = settings_integer(where, text, low, high, &value, err);
    if (status == S2A_OK)
        *out = (uint32_t)value;
    return status;
}

static s2a_status value_take(eval_options *o, int code, const char *value, s2a_error *err)
{
    uint32_t n = 0;
    s2a_status status = S2A_OK;
    switch (code) {
    case OPTION_DATA:
        o->data.path = value;
        break;
    case OPTION_ARMS:
        return arms_read(o, value, err);
    case OPTION_LIMIT:
        status = count_read("--limit", value, 1, 100000000, &n, err);
        o->data.limit = n;
        break;
    case OPTION_STORE:
        if (o->store_count == sizeof o->stores / sizeof o->stores[0])
            return error_set(err, S2A_ARGUMENT, "--store: given too often");
        o->stores[o->store_count++] = value;
        break;
    case OPTION_SEEDS:
        return count_read("--seeds", value, 1, 1000, &o->run.seeds, err);
    case OPTION_CONCURRENCY:
        return count_read("--concurrency", value, 1, 1024, &o->run.concurrency, err);
    case OPTION_K:
        return k_read(o, value, err);
    case OPTION_BAD_ROWS:
        o->data.refuse = !strcmp(value, "refuse");
        if (!o->data.refuse && strcmp(value, "skip") != 0)
            return error_set(err, S2A_ARGUMENT, "--bad-rows: \"%.40s\"; give skip or refuse", value);
        break;
    case OPTION_JUDGE_MODEL:
        o->judge_model = value;
        break;
    case OPTION_JUDGE_URL:
        o->judge_url = value;
        break;
    case OPTION_OUT:
        o->out = value;
        break;
    case OPTION_COMMAND:
        o->command = value;
        break;
    default:
        return settings_apply_flag(&o->base.settings, (settings_id)(code - SETTING_BASE), value,
                                   err);
    }
    return status;
}

static void bare_take(eval_options *o, int code)
{
    switch (code) {
    case OPTION_JSON:
        o->base.json = true;
        break;
    case OPTION_NO_JUDGE:
        o->no_judge = true;
        break;
    case OPTION_NO_ANSWERS:
        o->run.no_answers = true;
        break;
    case OPTION_NO_COLOR:
        o->base.no_color = true;
        break;
    case 'q':
        o->base.quiet = true;
        break;
    case 'v':
        o->base.verbose += o->base.verbose < 2;
        break;
    case 'h':
        o->base.help = true;
        break;
    }
}

static s2a_status words_take(eval_options *o, int argc, char **argv, s2a_error *err)
{
    if (optind >= argc)
        return error_set(err, S2A_ARGUMENT, "eval: no task; give qa, argument, math, math-hard, rag, "
                                            "clean, injection, ordinary, prune, labelled or report (see "
                                            "s2a eval --help)");
    if (argc - optind > 1)
        return error_set(err, S2A_ARGUMENT, "eval: \"%.40s\" is one word too many; give one task",
                         argv[optind + 1]);
    o->what = argv[optind];
    if (!strcmp(o->what, "report")) {
        if (!o->out)
            return error_set(err, S2A_ARGUMENT, "eval report: no directory; add --out DIR");
        return S2A_OK;
    }
    if (!eval_task_from_name(o->what, &o->data.task))
        return error_set(err, S2A_ARGUMENT, "eval: \"%.40s\" is no task; give qa, argument, math, "
                                            "math-hard, rag, clean, injection, ordinary, prune, "
                                            "labelled or report",
                         o->what);
    if (o->store_count > 1)
        return error_set(err, S2A_ARGUMENT, "--store: given twice; only eval report reads several");
    o->run.task = o->data.task;
    return o->run.arm_count > 0 ? S2A_OK : arms_read(o, eval_task_arms(o->run.task), err);
}

static s2a_status options_take(eval_options *o, int argc, char **argv, s2a_error *err)
{
    s2a_status status = S2A_OK;
    o->run.seeds = o->run.concurrency = 1;
    memcpy(o->data.k, (int[]){ 1, 2, 4, 8 }, 4 * sizeof o->data.k[0]);
    o->data.k_count = 4;
    opterr = 0;
    optind = 1;
    while (status == S2A_OK && !o->base.help) {
        int code = getopt_exact(argc, argv, ":m:qvh", longs);
        if (code == -1)
            break;
        if (code == '?' || code == ':')
            status = error_set(err, S2A_ARGUMENT, "%.60s: %s; see s2a eval --help", argv[optind - 1],
                               code == ':' ? "its value is missing" : "no such option");
        else if (code == 'm')
            status = value_take(o, SETTING_BASE + SETTING_MODEL, optarg, err);
        else if (optarg)
            status = value_take(o, code, optarg, err);
        else
            bare_take(o, code);
    }
    if (status != S2A_OK || o->base.help)
        return status;
    status = words_take(o, argc, argv, err);
    if (status == S2A_OK)
        status = settings_from_environment(&o->base.settings, err);
    if (status == S2A_OK)
        status = settings_from_file(&o->base.settings, err);
    if (status == S2A_OK && strcmp(o->what, "report") != 0)
        status = settings_settle(&o->base.settings, err);
    if (o->base.settings.from[SETTING_MAX_TOKENS] == SETTINGS_DEFAULT)
        o->base.settings.max_tokens = MAX_TOKENS_DEFAULT;
    return status;
}

/* ---- what a model is -------------------------------------------------------------------- */

/* Numbers of 8 bits in the KV cache make another model of it. */
static s2a_status model_variant(const settings *set, char hex[65], s2a_error *err)
{
    char name[96];
    if (set->kv_bits == 16)
        return S2A_OK;
    int len = snprintf(name, sizeof name, "%.64s kv_bits %u", hex, (unsigned)set->kv_bits);
    return sha256_bytes(name, (size_t)len, hex, err);
}

/* A file's sha256, or that of the server's URL and the model's name. */
static s2a_status model_hash(const settings *set, const char *engine_model, char hex[65],
                             s2a_error *err)
{
    if (!strcmp(set->backend, "http")) {
        buf name;
        buf_init(&name, 65536);
        buf_addf(&name, "%s %s", set->url, engine_model);
        s2a_status status = name.status == S2A_OK ? sha256_bytes(name.data, name.len, hex, err)
                                                  : error_nomem(err);
        buf_free(&name);
        return status;
    }
    char *path = NULL;
    s2a_status status = S2A_OK;
    if (!strcmp(set->backend, "llama"))
        status = store_resolve(set->model, &path, err);
    if (status == S2A_OK)
        status = sha256_file(path ? path : set->model, NULL, NULL, NULL, hex, err);
    free(path);
    return status == S2A_OK ? model_variant(set, hex, err) : status;
}

/* ---- progress --------------------------------------------------------------------------- */

typedef struct tally {
    progress *progress;
    double started_ms;
    size_t fresh;
    const eval_settings *o;
    size_t n[16], right[16];
} tally;

static void on_record(void *ctx, const eval_record *r, size_t done, size_t total, bool fresh)
{
    tally *t = ctx;
    if (t->fresh == 0 && fresh)
        t->started_ms = clock_ms();
    t->fresh += fresh;
    char scores[160] = "", eta[32] = "";
    size_t at = 0;
    for (size_t i = 0; i < t->o->arm_count; i++) {
        if (!strcmp(r->arm, t->o->arms[i]->name)) {
            t->n[i]++;
            t->right[i] += r->correct;
        }
        if (t->n[i] > 0 && !r->unanswered && at + 40 < sizeof scores)
            at += (size_t)snprintf(scores + at, sizeof scores - at, " %s %.2f", t->o->arms[i]->name,
                                   (double)t->right[i] / (double)t->n[i]);
    }
    if (t->fresh > 1) {
        double left = (clock_ms() - t->started_ms) / (double)(t->fresh - 1) * (double)(total - done);
        int s = (int)(left / 1e3);
        snprintf(eta, sizeof eta, s >= 3600 ? ", %d h %02d min left" : ", %d min %02d s left",
                 s >= 3600 ? s / 3600 : s / 60, s >= 3600 ? s / 60 % 60 : s % 60);
    }
    int full = (int)(20 * done / (total ? total : 1));
    progress_draw(t->progress, "[%.*s%.*s] %zu/%zu%s%s", full, "####################", 20 - full,
                  "....................", done, total, eta, scores);
}

static void say_row(void *ctx, const char *line)
{
    (void)ctx;
    term_say("%s", line);
}

/* ---- the table for people --------------------------------------------------------------- */

static void cell(double value, double scale, const char *format)
{
    char text[32] = "-";
    if (isfinite(value))
        snprintf(text, sizeof text, format, value * scale);
    printf(" %9s", text);
}

static void share_cell(eval_share s)
{
    cell(s.whole > 0 ? (double)s.part / (double)s.whole : NAN, 100, "%.1f %%");
}

typedef enum table_kind {
    TABLE_ANSWERS,
    TABLE_RATED,     /* arguments */
    TABLE_INJECTION,
    TABLE_TALLIES, /* ordinary, prune, labelled */
} table_kind;

static void injection_cells(const injection_counts *n, bool step1)
{
    share_cell(n->carried_out);
    share_cell(step1 ? n->removed : (eval_share){ 0, 0 });
    share_cell(step1 ? n->clean_cut : (eval_share){ 0, 0 });
    share_cell(step1 ? n->clean_whole : (eval_share){ 0, 0 });
}

static bool tally_shown(size_t id, const char *task)
{
    return !strcmp(eval_task_name(tallies[id].task), task);
}

/* What the task counts; of prompts changed with its interval, which is what that task is about. */
static void tally_cells(const eval_figure *f, const char *task)
{
    for (size_t i = 0; i < TALLY_COUNT; i++) {
        if (!tally_shown(i, task))
            continue;
        eval_share none = { 0, 0 }, s = f->has_step1 || !tallies[i].step1 ? f->tallies[i] : none;
        share_cell(s);
        if (i == TALLY_CHANGED) {
            char range[32] = "-";
            stats_interval ci = stats_wilson(s.part, s.whole, 0.95);
            if (s.whole > 0)
                snprintf(range, sizeof range, "%.1f-%.1f", ci.low * 100, ci.high * 100);
            printf(" %10s", range);
        }
    }
    if (!strcmp(task, "ordinary"))
        cell(f->accuracy, 100, "%.1f %%");
    if (!strcmp(task, "prune"))
        cell(f->f2, 1, "%.3f");
}

static void tally_heads(const char *task)
{
    for (size_t i = 0; i < TALLY_COUNT; i++) {
        if (!tally_shown(i, task))
            continue;
        printf(" %9s", tallies[i].brief);
        if (i == TALLY_CHANGED)
            printf(" %10s", "95 %");
    }
    if (!strcmp(task, "ordinary"))
        printf(" %9s", "accuracy");
    if (!strcmp(task, "prune"))
        printf(" %9s", "F2");
    printf(" %9s %9s %6s\n", "tokens 1", "ms 1", "fell b.");
}

static void table_row(const eval_figure *f, const char *task, table_kind kind)
{
    printf("  %-15s %5zu", f->arm, f->n);
    if (kind == TABLE_TALLIES) {
        tally_cells(f, task);
        cell(f->step1_tokens, 1, "%.0f");
        cell(f->step1_ms, 1, "%.0f");
        printf(" %6zu\n", f->fallbacks);
        return;
    }
    if (kind == TABLE_INJECTION) {
        cell(f->accuracy, 100, "%.1f %%");
        injection_cells(&f->injection, f->has_step1);
    } else if (kind == TABLE_RATED) {
        cell(f->objectivity, 1, "%.2f");
        cell(f->quality, 1, "%.2f");
    } else {
        char range[32];
        snprintf(range, sizeof range, "%.1f-%.1f", f->ci.low * 100, f->ci.high * 100);
        cell(f->accuracy, 100, "%.1f %%");
        printf(" %12s", range);
        cell(f->gap_closed, 100, "%.0f %%");
        cell(f->mcnemar_p, 1, "%.3f");
        cell(f->follows_wrong, 100, "%.1f %%");
    }
    cell(f->removal_recall, 100, "%.0f %%");
    cell(f->needed_kept, 100, "%.0f %%");
    cell(f->step1_tokens, 1, "%.0f");
    cell(f->step1_ms, 1, "%.0f");
    cell(f->step2_ms, 1, "%.0f");
    printf(" %6zu\n", f->fallbacks);
}

static void table_print(const eval_run *run, const eval_summary *s)
{
    table_kind kind = !strcmp(run->task, "argument")    ? TABLE_RATED
                      : !strcmp(run->task, "injection") ? TABLE_INJECTION
                                                        : TABLE_ANSWERS;
    for (size_t i = 0; i < TALLY_COUNT; i++)
        kind = tally_shown(i, run->task) ? TABLE_TALLIES : kind;
    printf("%s, %s, temperature %g, %zu items of %s\n", run->task, run->model, run->temperature,
           run->item_count, run->data_name);
    printf("  %-15s %5s", "arm", "n");
    if (kind == TABLE_TALLIES)
        tally_heads(run->task);
    else if (kind == TABLE_INJECTION)
        printf(" %9s %9s %9s %9s %9s", "accuracy", "success", "removed", "clean cut", "whole");
    else if (kind == TABLE_RATED)
        printf(" %9s %9s", "objectiv.", "quality");
    else
        printf(" %9s %12s %9s %9s %9s", "accuracy", "95 %", "gap", "p", "follows");
    if (kind != TABLE_TALLIES)
        printf(" %9s %9s %9s %9s %9s %6s\n", "dropped", "kept", "tokens 1", "ms 1", "ms 2", "fell b.");
    const char *group = NULL;
    for (size_t i = 0; i < s->count; i++) {
        const eval_figure *f = &s->figures[i];
        if (f->group && (!group || strcmp(group, f->group) != 0))
            printf("%s\n", f->group);
        group = f->group;
        table_row(f, run->task, kind);
    }
}

/* ---- running ---------------------------------------------------------------------------- */

static s2a_status judge_open(eval_options *o, session *s, options *judge_options,
                             session *judge, char hex[65], s2a_error *err)
{
    eval_settings *run = &o->run;
    run->judge = (run->task == EVAL_ARGUMENT || run->task == EVAL_INJECTION) && !o->no_judge && !run->no_answers;
    if (!run->judge)
        return S2A_OK;
    if (!o->judge_model && !o->judge_url) {
        run->judge_engine = s->engine;
        run->judge_hash = run->model_hash;
        return S2A_OK;
    }
    settings_init(&judge_options->settings);
    judge_options->quiet = o->base.quiet;
    s2a_status status = S2A_OK;
    if (o->judge_model)
        status = settings_apply(&judge_options->settings, SETTING_MODEL, o->judge_model,
                                SETTINGS_FLAG, "--judge-model", err);
    if (status == S2A_OK && o->judge_url)
        status = settings_apply(&judge_options->settings, SETTING_URL, o->judge_url, SETTINGS_FLAG,
                                "--judge-url", err);
    if (status == S2A_OK)
        status = settings_settle(&judge_options->settings, err);
    if (status != S2A_OK)
        return status;
    *judge = (session){ .o = judge_options, .term = s->term, .progress = s->progress,
                        .cancel = s->cancel, .request = s->request };
    if (session_open(judge) != EXIT_DONE)
        return error_set(err, S2A_UNAVAILABLE, "the judge could not be opened");
    run->judge_engine = judge->engine;
    run->judge_hash = hex;
    return model_hash(&judge_options->settings, s2a_engine_model(judge->engine), hex, err);
}

static s2a_status show(eval_options *o, session *s, const eval_run *run, const eval_data *data,
                       s2a_error *err)
{
    eval_summary summary;
    s2a_status status = eval_summarise(run, BOOTSTRAP_ROUNDS, &summary, err);
    if (status != S2A_OK)
        return status;
    if (o->base.json) {
        json_t *json = eval_output_json(run, &summary, data);
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
        json_decref(json);
        if (text) {
            term_write(&s->term, text, strlen(text));
            fputc('\n', stdout);
        } else {
            status = error_nomem(err);
        }
        free(text);
    } else {
        table_print(run, &summary);
    }
    eval_summary_free(&summary);
    return status;
}

static int run_task(eval_options *o, session *s)
{
    s2a_error err = { .status = S2A_OK };
    eval_data data;
    eval_store *store = NULL;
    eval_run run = { 0 };
    session judge = { 0 };
    options judge_options = { 0 };
    char hex[65], judge_hex[65];
    tally t = { .progress = &s->progress, .o = &o->run };
    o->data.say = o->base.quiet ? NULL : say_row;
    s2a_status status = eval_data_read(&o->data, &data, &err);
    if (status == S2A_OK && data.bad_rows > 0 && !o->base.quiet)
        term_say("note: %zu of %zu rows were left out", data.bad_rows, data.rows);
    const char *path = o->store_count ? o->stores[0] : STORE_DEFAULT;
    if (status == S2A_OK)
        status = eval_store_open(path, &store, &err);
    int code = status == S2A_OK ? session_open(s) : EXIT_FAILED;
    bool said = status == S2A_OK && code != EXIT_DONE;
    if (code == EXIT_DONE)
        status = model_hash(&o->base.settings, s2a_engine_model(s->engine), hex, &err);
    if (code == EXIT_DONE && status == S2A_OK) {
        const settings *set = &o->base.settings;
        o->run.seed = set->seed;
        o->run.temperature = set->temperature;
        o->run.top_p = set->top_p;
        o->run.max_tokens = set->max_tokens;
        o->run.model_hash = hex;
        o->run.cancel = s->cancel;
        o->run.on_record = on_record;
        o->run.ctx = &t;
        status = judge_open(o, s, &judge_options, &judge, judge_hex, &err);
    }
    if (code == EXIT_DONE && status == S2A_OK) {
        status = eval_run_all(s->engine, &o->run, &data, store, &run, &err);
        progress_clear(&s->progress);
        if (status == S2A_OK)
            status = show(o, s, &run, &data, &err);
    }
    if (status == S2A_CANCELLED) {
        if (!o->base.quiet)
            term_say("stopped; %zu results are in %s: run the same command again to go on",
                     run.record_count, path);
        code = signals_caught() ? 128 + signals_caught() : EXIT_FAILED;
    } else if (status != S2A_OK && !said) {
        term_say("%s", err.message);
        code = code == EXIT_DONE ? session_exit(status) : code;
    }
    eval_run_free(&run);
    eval_data_free(&data);
    eval_store_close(store);
    s2a_engine_close(judge.engine);
    settings_free(&judge_options.settings);
    return code;
}

/* ---- the report ------------------------------------------------------------------------- */

static s2a_status runs_load(const eval_options *o, eval_run **runs, size_t *count, s2a_error *err)
{
    static const char *const fallback[] = { STORE_DEFAULT };
    const char *const *stores = o->store_count ? o->stores : fallback;
    size_t n = o->store_count ? o->store_count : 1;
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < n && status == S2A_OK; i++) {
        eval_store *store = NULL;
        eval_run *more = NULL;
        size_t more_count = 0;
        status = eval_store_open(stores[i], &store, err);
        if (status == S2A_OK)
            status = eval_store_load(store, arm_names, arm_count, &more, &more_count, err);
        eval_run *grown = realloc(*runs, (*count + more_count + 1) * sizeof *grown);
        if (grown) {
            if (more_count > 0)
                memcpy(grown + *count, more, more_count * sizeof *grown);
            *runs = grown;
            *count += more_count;
        } else if (status == S2A_OK) {
            status = error_nomem(err);
        }
        free(more);
        eval_store_close(store);
    }
    if (status == S2A_OK && *count == 0)
        status = error_set(err, S2A_INPUT, "eval report: no results in %s; run s2a eval TASK first",
                           stores[0]);
    return status;
}

static int run_report(const eval_options *o)
{
    s2a_error err = { .status = S2A_OK };
    eval_run *runs = NULL;
    size_t count = 0;
    s2a_status status = runs_load(o, &runs, &count, &err);
    if (status == S2A_OK)
        status = report_write(runs, count, o->command, o->out, &err);
    if (status != S2A_OK)
        term_say("%s", err.message);
    else
        printf("%s/index.html\n", o->out);
    for (size_t i = 0; i < count; i++)
        eval_run_free(&runs[i]);
    free(runs);
    return status == S2A_OK ? EXIT_DONE : EXIT_FAILED;
}

int cmd_eval(int argc, char **argv)
{
    eval_options o = { 0 };
    s2a_error err = { .status = S2A_OK };
    settings_init(&o.base.settings);
    s2a_status status = options_take(&o, argc, argv, &err);
    session s = { .o = &o.base };
    term_init(&s.term, o.base.no_color, o.base.quiet);
    progress_init(&s.progress, &s.term);
    int code = EXIT_DONE;
    if (status != S2A_OK) {
        term_say("%s", err.message);
        code = status == S2A_NOMEM ? EXIT_FAILED : EXIT_USAGE;
    } else if (o.base.help) {
        fputs(help_eval, stdout);
    } else if (!strcmp(o.what, "report")) {
        code = run_report(&o);
    } else {
        code = session_begin(&s) ? run_task(&o, &s) : EXIT_FAILED;
    }
    session_end(&s);
    settings_free(&o.base.settings);
    return code;
}
