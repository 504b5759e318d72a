/* s2a eval TASK: the paper's experiments; s2a eval report: what they gave, as a page. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/sha256.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/store.h"
#include "eval/output.h"
#include "eval/report.h"
#include "eval/runner.h"
#include "lab.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_DEFAULT "s2a-eval.sqlite"
#define BOOTSTRAP_ROUNDS 2000
_Static_assert(OPTION_LIST_MAX <= EVAL_K_MAX, "--k");

typedef struct eval_options {
    options base;     /* settings, json, quiet, verbose, help */
    const char *what; /* a task's name, or "report" */
    eval_data_options data;
    option_numbers k;
    eval_settings run;
    const char *stores[32];
    size_t store_count;
    const char *bad_rows, *judge_model, *judge_url, *out, *command;
    bool no_judge;
} eval_options;

/* ---- options ---------------------------------------------------------------------------- */

static s2a_status arms_read(void *at, const char *where, const char *text, s2a_error *err)
{
    eval_options *o = at;
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
            error_set(err, S2A_ARGUMENT, "%s: \"%.*s\" %s; give some of %s", where, (int)n, p,
                      a ? "is given twice" : "is not an arm", known.data ? known.data : "");
            buf_free(&known);
            return S2A_ARGUMENT;
        }
        o->run.arms[o->run.arm_count++] = a;
        p += n + (p[n] == ',');
    }
    return o->run.arm_count > 0 ? S2A_OK : error_set(err, S2A_ARGUMENT, "%s: it is empty", where);
}

static s2a_status store_read(void *at, const char *where, const char *text, s2a_error *err)
{
    eval_options *o = at;
    if (o->store_count == sizeof o->stores / sizeof o->stores[0])
        return error_set(err, S2A_ARGUMENT, "%s: given too often", where);
    o->stores[o->store_count++] = text;
    return S2A_OK;
}

static const option_row rows[] = {
    { "data", 0, IN_EVAL, "experiment", "FILE", OPTION_IN(TEXT, eval_options, data.path),
      .help = "a published data file, JSON lines or one array; without it, a small sample" },
    { "arms", 0, IN_EVAL, "experiment", "LIST", OPTION_IN(OWN, eval_options, base),
      .take = arms_read,
      .choices = "plain|oracle|instructed|cot|rewrite|single|keep-original|not-instructed|select|"
                 "select-50|select-20",
      .help = "the ways to answer, by commas; the default depends on the task (docs/eval.md)" },
    { "limit", 0, IN_EVAL, "experiment", "N", OPTION_IN(INTEGER, eval_options, data.limit),
      .low = 1, .high = 100000000, .help = "a fixed pseudo-random subset of N items" },
    { "seeds", 0, IN_EVAL, "experiment", "N", OPTION_IN(INTEGER, eval_options, run.seeds), .low = 1,
      .high = 1000, .fallback = "1",
      .help = "each item N times, with --seed and those that follow" },
    { "k", 0, IN_EVAL, "experiment", "LIST", OPTION_IN(LIST, eval_options, k), .low = 1, .high = 64,
      .fallback = "1,2,4,8", .help = "math: numbers of distractors, by commas" },
    { "bad-rows", 0, IN_EVAL, "experiment", NULL, OPTION_IN(CHOICE, eval_options, bad_rows),
      .choices = "skip|refuse", .fallback = "skip",
      .help = "leave bad rows out, each of which is reported, or end with an error" },
    { "judge-model", 0, IN_EVAL, "experiment", "NAME|FILE",
      OPTION_IN(TEXT, eval_options, judge_model),
      .help = "argument, injection: the model that rates the answers; otherwise the model itself" },
    { "judge-url", 0, IN_EVAL, "experiment", "URL", OPTION_IN(TEXT, eval_options, judge_url),
      .help = "argument, injection: the server whose model rates the answers" },
    { "no-judge", 0, IN_EVAL, "experiment", NULL, OPTION_IN(FLAG, eval_options, no_judge),
      .help = "argument, injection: do not rate the answers" },
    { "no-answers", 0, IN_EVAL, "experiment", NULL, OPTION_IN(FLAG, eval_options, run.no_answers),
      .help = "step 1 alone; prune and labelled do so in any case" },
    { "concurrency", 0, IN_EVAL, "experiment", "N",
      OPTION_IN(INTEGER, eval_options, run.concurrency), .low = 1, .high = 1024, .fallback = "1",
      .help = "items at a time" },
    { "store", 0, IN_EVAL, "results", "FILE", OPTION_IN(OWN, eval_options, base),
      .take = store_read,
      .help =
          "the SQLite file that results go to as they come (default " STORE_DEFAULT "); the same "
          "command continues where it stopped; report reads several" },
    { "json", 0, IN_EVAL, "results", NULL, OPTION_IN(FLAG, eval_options, base.json),
      .help = "print one object with figures and items in place of the table" },
    { "out", 0, IN_EVAL, "results", "DIR", OPTION_IN(TEXT, eval_options, out),
      .help = "report: the directory of index.html, CSV, Markdown, SVG and PNG" },
    { "command", 0, IN_EVAL, "results", "TEXT", OPTION_IN(TEXT, eval_options, command),
      .help = "report: how the results were made, shown at the top" },
    { "max-tokens", 0, IN_EVAL, "sampling", "N", OPTION_SETTING("max_tokens", INTEGER, max_tokens),
      .low = 1, .high = 16777216, .fallback = "512", .help = "end an answer after N tokens" },
};

const option_command command_eval = {
    .name = "eval",
    .bit = IN_EVAL,
    .argument = "qa|argument|math|math-hard|rag|clean|injection|ordinary|prune|labelled|report",
    .summary = "run the experiments of the paper",
    .usage = "s2a eval TASK [options]\n"
             "       s2a eval report --out DIR [--store FILE]...",
    .about =
        "Runs an experiment: the same items answered in several ways (arms).\n"
        "\n"
        "tasks: of the paper     qa, argument, math, math-hard, rag, clean\n"
        "       what step 1 does ordinary (nothing is to go), prune (passages and questions),\n"
        "                        injection (orders in untrusted text), labelled (data/labelled)\n"
        "       docs/eval.md says what each reads and counts",
    .end = "examples:\n"
           "  s2a eval qa --arms plain,oracle,rewrite --limit 30 --temperature 0\n"
           "  s2a eval math --data gsm8k.jsonl --k 1,4 --store math.sqlite --json > math.json\n"
           "  s2a eval report --store math.sqlite --out report\n",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static s2a_status words_take(eval_options *o, int argc, char **argv, s2a_error *err)
{
    if (optind >= argc)
        return error_set(err, S2A_ARGUMENT,
                         "eval: no task; give qa, argument, math, math-hard, rag, "
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
        return error_set(err, S2A_ARGUMENT,
                         "eval: \"%.40s\" is no task; give qa, argument, math, "
                         "math-hard, rag, clean, injection, ordinary, prune, "
                         "labelled or report",
                         o->what);
    if (o->store_count > 1)
        return error_set(err, S2A_ARGUMENT, "--store: given twice; only eval report reads several");
    o->run.task = o->data.task;
    return o->run.arm_count > 0 ? S2A_OK : arms_read(o, "--arms", eval_task_arms(o->run.task), err);
}

static s2a_status options_take(eval_options *o, int argc, char **argv, s2a_error *err)
{
    s2a_status status = args_read(&command_eval, o, argc, argv, err);
    if (status != S2A_OK || o->base.help)
        return status;
    for (size_t i = 0; i < o->k.count; i++)
        o->data.k[i] = (int)o->k.values[i];
    o->data.k_count = o->k.count;
    o->data.refuse = !strcmp(o->bad_rows, "refuse");
    status = words_take(o, argc, argv, err);
    if (status == S2A_OK)
        status = settings_from_environment(&o->base.settings, err);
    if (status == S2A_OK)
        status = settings_from_file(&o->base.settings, err);
    if (status == S2A_OK && strcmp(o->what, "report") != 0)
        status = settings_settle(&o->base.settings, err);
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
        s2a_status status =
            name.status == S2A_OK ? sha256_bytes(name.data, name.len, hex, err) : error_nomem(err);
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
        double left =
            (clock_ms() - t->started_ms) / (double)(t->fresh - 1) * (double)(total - done);
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
    TABLE_RATED, /* arguments */
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
        printf(" %9s %9s %9s %9s %9s %6s\n", "dropped", "kept", "tokens 1", "ms 1", "ms 2",
               "fell b.");
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

static s2a_status judge_open(eval_options *o, session *s, options *judge_options, session *judge,
                             char hex[65], s2a_error *err)
{
    eval_settings *run = &o->run;
    run->judge = (run->task == EVAL_ARGUMENT || run->task == EVAL_INJECTION) && !o->no_judge &&
                 !run->no_answers;
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
        status = settings_apply(&judge_options->settings, "model", o->judge_model, SETTINGS_FLAG,
                                "--judge-model", err);
    if (status == S2A_OK && o->judge_url)
        status = settings_apply(&judge_options->settings, "url", o->judge_url, SETTINGS_FLAG,
                                "--judge-url", err);
    if (status == S2A_OK)
        status = settings_settle(&judge_options->settings, err);
    if (status != S2A_OK)
        return status;
    *judge = (session){ .o = judge_options,
                        .term = s->term,
                        .progress = s->progress,
                        .cancel = s->cancel,
                        .request = s->request };
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
            term_say("stopped; %zu results are in %s: run the same command again to continue",
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
    s2a_status status = options_take(&o, argc, argv, &err);
    session s = { .o = &o.base };
    term_init(&s.term, o.base.no_color, o.base.quiet);
    progress_init(&s.progress, &s.term);
    int code;
    bool goes_on = session_goes_on(&command_eval, &o.base, status, &err, &code);
    if (goes_on && !strcmp(o.what, "report"))
        code = run_report(&o);
    else if (goes_on)
        code = session_begin(&s) ? run_task(&o, &s) : EXIT_FAILED;
    session_end(&s);
    settings_free(&o.base.settings);
    return code;
}
