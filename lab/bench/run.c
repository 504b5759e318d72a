#include "bench/run.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/sha256.h"
#include "bench/peer.h"
#include "bench/prompt.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MICRO_PASSES 5
#define WARM_SEED 1u
#define TRIAL_SEED 2u
#define RUN_SEED 16u /* and those that follow: no prompt is used twice */

typedef struct bench {
    const bench_options *o;
    bench_report *report;
    bench_engine engine;
    bench_peer peers[BENCH_PEERS];
    bench_done done; /* large */
    double start_ms;
    double last_ms[BENCH_ARMS]; /* the last run of an arm, for guessing the next */
    uint64_t last_work[BENCH_ARMS];
    uint64_t prompts; /* that were made */
    s2a_error *err;
} bench;

static void say(const bench *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const bench *b, const char *format, ...)
{
    char text[240];
    if (!b->o->say)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    b->o->say(b->o->ctx, text);
}

static s2a_status skip(bench *b, bench_arm arm, uint32_t length, uint32_t concurrency,
                       const char *reason)
{
    if (bench_skips_find(&b->report->skips, arm, length, concurrency))
        return S2A_OK;
    return bench_skips_add(&b->report->skips, arm, length, concurrency, reason)
               ? S2A_OK
               : error_nomem(b->err);
}

static s2a_status skip_peer(bench *b, bench_peer_id peer, const char *reason)
{
    s2a_status status = S2A_OK;
    for (int i = 0; i < BENCH_ARMS && status == S2A_OK; i++)
        if (bench_arms[i].peer == peer)
            status = skip(b, (bench_arm)i, 0, 0, reason);
    return status;
}

/* ---- prompts ---------------------------------------------------------------------------- */

static void texts_free(char **texts, size_t count)
{
    for (size_t i = 0; texts && i < count; i++)
        free(texts[i]);
    free(texts);
}

/* Prompts that nobody has seen yet: a prompt cache helps no arm beyond what its method shares. */
static s2a_status texts_make(bench *b, uint64_t seed, uint32_t length, size_t count, char ***out,
                             uint64_t *tokens)
{
    bench_peer *counter = &b->peers[BENCH_PEER_SELECT];
    *out = calloc(count, sizeof **out);
    *tokens = 0;
    s2a_status status = *out ? S2A_OK : error_nomem(b->err);
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        buf text;
        buf_init(&text, (size_t)64 << 20);
        status = bench_prompt_build(seed * 1000003 + b->o->seed * 7919 + i, length,
                                    bench_peer_count, counter, &text, b->err);
        if (status == S2A_OK) {
            *tokens += bench_peer_count(counter, text.data, text.len);
            (*out)[i] = buf_take(&text, NULL);
        }
        buf_free(&text);
        if (cancel_fired(b->o->cancel))
            status = error_set(b->err, S2A_CANCELLED, "cancelled");
    }
    if (status != S2A_OK) {
        texts_free(*out, count);
        *out = NULL;
    }
    return status;
}

/* ---- one run ---------------------------------------------------------------------------- */

/* S2A_OK also where it did not work: then *why says what is the matter, and a peer that is of no
 * use any more takes all its arms with it. */
static s2a_status run_once(bench *b, bench_peer *peer, bench_arm arm, char **texts, size_t count,
                           bench_sample *sample, s2a_error *why)
{
    const bench_arm_info *info = &bench_arms[arm];
    bench_job job = { .mode = info->mode,
                      .preset = info->preset,
                      .max_tokens = b->o->max_tokens,
                      .texts = texts,
                      .count = count };
    *why = (s2a_error){ .status = S2A_OK };
    s2a_status status = bench_peer_run(peer, &job, &b->done, why);
    if (status == S2A_OK) {
        bench_done_sum(&b->done, sample, why);
        return why->status == S2A_NOMEM ? error_nomem(b->err) : S2A_OK;
    }
    if (status == S2A_CANCELLED || status == S2A_NOMEM)
        return error_set(b->err, status, "%s", why->message);
    bench_peer_close(peer);
    if (peer >= b->peers && peer < b->peers + BENCH_PEERS)
        return skip_peer(b, (bench_peer_id)(peer - b->peers), why->message);
    return S2A_OK;
}

/* What a run has to do, for guessing: linear in length; requests at once share the reading of the
 * weights, so that each further one costs about half. */
static uint64_t work_of(const bench_block *block)
{
    return (uint64_t)block->length * (1 + block->concurrency) / 2;
}

/* How long the next run of an arm may take, from its last one; 0 = no idea. */
static double guess_ms(const bench *b, bench_arm arm, uint64_t work)
{
    return b->last_work[arm] ? b->last_ms[arm] * (double)work / (double)b->last_work[arm] : 0;
}

static bool too_late(const bench *b, bench_arm arm, uint64_t work)
{
    double left = b->o->minutes * 60e3 - (clock_ms() - b->start_ms);
    return b->o->minutes > 0 && guess_ms(b, arm, work) > left;
}

static void remember(bench *b, bench_arm arm, uint64_t work, double ms)
{
    b->last_work[arm] = work;
    b->last_ms[arm] = ms;
}

/* ---- peers ------------------------------------------------------------------------------ */

static s2a_status open_worker(bench *b, bench_peer_id id, bool draft, s2a_error *err)
{
    say(b, "loading the model: %s", bench_peer_names[id]);
    bench_engine engine = b->engine;
    engine.draft = draft;
    s2a_status status =
        bench_peer_open_worker(&b->peers[id], b->o->program, &engine, b->o->cancel, err);
    b->report->cold[id].open_ms = b->peers[id].open_ms;
    return status;
}

/* The first of them must open: without it there is no model. */
static s2a_status open_workers(bench *b)
{
    s2a_status status = open_worker(b, BENCH_PEER_SELECT, true, b->err);
    if (status != S2A_OK)
        return status;
    snprintf(b->report->model, sizeof b->report->model, "%s", b->peers[BENCH_PEER_SELECT].model);
    snprintf(b->report->kernels, sizeof b->report->kernels, "%s",
             b->peers[BENCH_PEER_SELECT].kernels);
    status = open_worker(b, BENCH_PEER_REWRITE, true, b->err);
    if (status != S2A_OK)
        return status;
    if (b->o->quick)
        return skip_peer(b, BENCH_PEER_REWRITE_OFF, "left out with --quick");
    if (!b->peers[BENCH_PEER_REWRITE].drafts)
        return skip_peer(b, BENCH_PEER_REWRITE_OFF,
                         "this engine does not draft: it is the same as rewrite");
    return open_worker(b, BENCH_PEER_REWRITE_OFF, false, b->err);
}

/* Kinds of llama-server's n-gram speculation (common/arg.cpp of the pinned source), likeliest
 * first; --quick tries QUICK_TRIALS of them. The defaults look up 12 or 24 tokens and draft 48,
 * which suits a GPU; with the short ones a rewrite that skips a sentence is found again sooner. */
#define QUICK_TRIALS 2
#define TRIALS_SHARE 0.2 /* of the minutes: then no further kind is tried */
static const struct speculation {
    const char *about;
    const char *more[8];
} speculations[] = {
    { "ngram-simple", { "--spec-type", "ngram-simple" } },
    { "ngram-simple, 4 and 16",
      { "--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "4",
        "--spec-ngram-simple-size-m", "16" } },
    { "ngram-mod", { "--spec-type", "ngram-mod" } },
    { "ngram-map-k", { "--spec-type", "ngram-map-k" } },
    { "ngram-map-k4v", { "--spec-type", "ngram-map-k4v" } },
    { "ngram-cache", { "--spec-type", "ngram-cache" } },
};
#define SPECULATIONS (sizeof speculations / sizeof *speculations)
_Static_assert(SPECULATIONS <= BENCH_TRIALS_MAX, "the report has room for all");

static bench_server server_of(const bench *b, const struct speculation *s)
{
    return (bench_server){ .program = b->o->server,
                           .model = b->engine.model,
                           .ctx_tokens = b->engine.ctx_tokens,
                           .slots = b->report->slots,
                           .threads = b->engine.threads,
                           .timeout_ms = b->engine.timeout_ms,
                           .gpu_layers = b->engine.gpu_layers,
                           .more = s ? s->more : NULL,
                           .about = s ? s->about : NULL };
}

/* Step 1 of a prompt; NaN where this kind does not run. */
static s2a_status speculation_try(bench *b, const struct speculation *s, char **texts, double *ms)
{
    bench_peer peer;
    bench_sample sample;
    s2a_error why;
    bench_server server = server_of(b, s);
    say(b, "llama-server with %s", s->about);
    *ms = NAN;
    s2a_status status = bench_peer_open_server(&peer, &server, b->o->cancel, &why);
    if (status == S2A_CANCELLED || status == S2A_NOMEM)
        error_set(b->err, status, "%s", why.message);
    else
        status = S2A_OK;
    if (status == S2A_OK && peer.open) {
        status = run_once(b, &peer, BENCH_NAIVE_SPEC, texts, 1, &sample, &why);
        if (status == S2A_OK && why.status == S2A_OK)
            *ms = sample.step1_ms;
    }
    bench_peer_close(&peer);
    return status;
}

static s2a_status speculation_choose(bench *b, const struct speculation **best)
{
    bench_report *r = b->report;
    char **texts = NULL;
    uint64_t tokens = 0;
    double least = INFINITY;
    size_t count = b->o->quick ? QUICK_TRIALS : SPECULATIONS;
    *best = NULL;
    s2a_status status = texts_make(b, TRIAL_SEED, b->o->lengths[0], 1, &texts, &tokens);
    /* Where time is short the first kinds must do. */
    double most_ms = b->o->minutes > 0 ? b->o->minutes * 60e3 * TRIALS_SHARE : INFINITY;
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        if (clock_ms() - b->start_ms > most_ms)
            break;
        bench_trial *trial = &r->trials[r->trial_count++];
        snprintf(trial->about, sizeof trial->about, "%s", speculations[i].about);
        status = speculation_try(b, &speculations[i], texts, &trial->step1_ms);
        if (trial->step1_ms < least) {
            least = trial->step1_ms;
            *best = &speculations[i];
        }
    }
    texts_free(texts, 1);
    return status;
}

static s2a_status open_server(bench *b, bench_peer_id id, const struct speculation *s)
{
    s2a_error why;
    bench_server server = server_of(b, s);
    say(b, "starting %s", bench_peer_names[id]);
    s2a_status status = bench_peer_open_server(&b->peers[id], &server, b->o->cancel, &why);
    b->report->cold[id].open_ms = b->peers[id].open_ms;
    if (status == S2A_OK)
        return S2A_OK;
    bench_peer_close(&b->peers[id]);
    if (status == S2A_CANCELLED || status == S2A_NOMEM)
        return error_set(b->err, status, "%s", why.message);
    return skip_peer(b, id, why.message);
}

static s2a_status open_servers(bench *b)
{
    bench_report *r = b->report;
    const struct speculation *best = NULL;
    if (!b->o->server) {
        s2a_status status = skip_peer(b, BENCH_PEER_SERVER, b->o->no_server);
        return status == S2A_OK ? skip_peer(b, BENCH_PEER_SERVER_SPEC, b->o->no_server) : status;
    }
    bench_server_version(b->o->server, r->server_version, sizeof r->server_version);
    s2a_status status = speculation_choose(b, &best);
    if (status == S2A_OK)
        status = open_server(b, BENCH_PEER_SERVER, NULL);
    if (status != S2A_OK)
        return status;
    if (!best)
        return skip_peer(b, BENCH_PEER_SERVER_SPEC, "llama-server ran with no kind of speculation");
    snprintf(r->speculation, sizeof r->speculation, "%s", best->about);
    return open_server(b, BENCH_PEER_SERVER_SPEC, best);
}

/* Runs every arm once, on one short prompt. After that the parts that all prompts share are in the
 * caches, as in any process that has served before. The time of this is reported as the cold
 * start, not as a measurement. */
static s2a_status warm(bench *b)
{
    char **texts = NULL;
    uint64_t tokens = 0;
    s2a_status status = texts_make(b, WARM_SEED, BENCH_PROMPT_TOKENS_MIN, 1, &texts, &tokens);
    for (int arm = 0; arm < BENCH_ARMS && status == S2A_OK; arm++) {
        bench_peer_id id = bench_arms[arm].peer;
        bench_cold *cold = &b->report->cold[id];
        bench_sample sample;
        s2a_error why;
        if (!b->peers[id].open)
            continue;
        say(b, "warming up: %s", bench_arms[arm].name);
        status = run_once(b, &b->peers[id], (bench_arm)arm, texts, 1, &sample, &why);
        if (status != S2A_OK || !b->peers[id].open)
            continue;
        if (why.status != S2A_OK) {
            status = skip(b, (bench_arm)arm, 0, 0, why.message);
            continue;
        }
        remember(b, (bench_arm)arm, BENCH_PROMPT_TOKENS_MIN, sample.wall_ms);
        if (cold->first_ms <= 0)
            cold->first_ms = sample.total_ms;
    }
    texts_free(texts, 1);
    return status;
}

/* ---- the plan --------------------------------------------------------------------------- */

static s2a_status cell_run(bench *b, const bench_block *block, bench_arm arm, uint32_t repetition,
                           char **texts, uint64_t tokens)
{
    bench_peer *peer = &b->peers[bench_arms[arm].peer];
    uint32_t length = block->length, at_once = block->concurrency;
    uint64_t work = work_of(block);
    if (!peer->open || bench_skips_find(&b->report->skips, arm, length, at_once))
        return S2A_OK;
    if (too_late(b, arm, work)) {
        char reason[120];
        snprintf(reason, sizeof reason, "left out: %s %g minutes",
                 repetition > 0 ? "more runs would have taken more than"
                                : "it would have taken more than",
                 b->o->minutes);
        return skip(b, arm, length, at_once, reason);
    }
    say(b, "%s: %u tokens, %u at once, run %u of %u", bench_arms[arm].name, length, at_once,
        repetition + 1, block->repetitions);
    bench_sample sample = { .arm = arm,
                            .length = length,
                            .concurrency = at_once,
                            .repetition = repetition,
                            .input_tokens = tokens };
    s2a_error why;
    s2a_status status = run_once(b, peer, arm, texts, at_once, &sample, &why);
    if (status != S2A_OK || !peer->open)
        return status;
    if (why.status != S2A_OK)
        return skip(b, arm, length, at_once, why.message);
    remember(b, arm, work, sample.wall_ms);
    return bench_samples_add(&b->report->samples, &sample) ? S2A_OK : error_nomem(b->err);
}

/* True where something of a repetition can still be run. */
static bool block_alive(const bench *b, const bench_block *block)
{
    for (size_t i = 0; i < block->arm_count; i++)
        if (b->peers[bench_arms[block->arms[i]].peer].open &&
            !bench_skips_find(&b->report->skips, block->arms[i], block->length, block->concurrency))
            return true;
    return false;
}

static s2a_status block_run(bench *b, const bench_block *block)
{
    s2a_status status = S2A_OK;
    for (uint32_t r = 0; r < block->repetitions && status == S2A_OK && block_alive(b, block); r++) {
        char **texts = NULL;
        uint64_t tokens = 0;
        status = texts_make(b, RUN_SEED + b->prompts++, block->length, block->concurrency, &texts,
                            &tokens);
        for (size_t i = 0; i < block->arm_count && status == S2A_OK; i++)
            status = cell_run(b, block, bench_plan_arm(block, r, i), r, texts, tokens);
        texts_free(texts, block->concurrency);
    }
    return status;
}

/* ---- all of it -------------------------------------------------------------------------- */

static void describe(bench *b)
{
    bench_report *r = b->report;
    const char *path = b->engine.model, *slash = path ? strrchr(path, '/') : NULL;
    struct stat info;
    bench_machine_look(&r->machine);
    snprintf(r->backend, sizeof r->backend, "%s", b->engine.backend);
    r->quick = b->o->quick;
    r->max_tokens = b->o->max_tokens;
    r->seed = b->o->seed;
    r->threads = b->engine.threads;
    r->ctx_tokens = b->engine.ctx_tokens;
    r->slots = 1;
    for (size_t i = 0; i < r->plan.count; i++)
        if (r->plan.blocks[i].concurrency > r->slots)
            r->slots = r->plan.blocks[i].concurrency;
    if (!path)
        return;
    snprintf(r->model_file, sizeof r->model_file, "%s", slash ? slash + 1 : path);
    if (stat(path, &info) == 0)
        r->model_bytes = (uint64_t)info.st_size;
}

static s2a_status measure(bench *b)
{
    bench_report *r = b->report;
    say(b, "segmenting and parsing");
    s2a_status status = bench_micro_run(MICRO_PASSES, b->o->cancel, &r->micro, b->err);
    if (status == S2A_OK)
        status = open_workers(b);
    say(b, "reading the model's sha256");
    if (status == S2A_OK) /* the model has been opened: it is there */
        status = sha256_file(b->engine.model, b->o->cancel, NULL, NULL, r->model_sha256, b->err);
    if (status == S2A_OK)
        status = open_servers(b);
    if (status == S2A_OK)
        status = warm(b);
    for (size_t i = 0; i < r->plan.count && status == S2A_OK; i++)
        status = block_run(b, &r->plan.blocks[i]);
    return status;
}

s2a_status bench_run(const bench_options *o, bench_report *report, s2a_error *err)
{
    *report = (bench_report){ .quick = o->quick };
    bench *b = calloc(1, sizeof *b);
    if (!b)
        return error_nomem(err);
    *b = (bench){
        .o = o, .report = report, .engine = o->engine, .start_ms = clock_ms(), .err = err
    };
    bench_plan_make(o->lengths, o->length_count, o->concurrency, o->concurrency_count,
                    o->repetitions, o->quick, &report->plan);
    if (b->engine.ctx_tokens == 0)
        b->engine.ctx_tokens = bench_plan_ctx_tokens(&report->plan, o->max_tokens);
    describe(b);
    if (b->engine.threads == 0)
        b->engine.threads = report->threads = report->machine.cores;
    s2a_status status = measure(b);
    for (int i = 0; i < BENCH_PEERS; i++) /* all at once: a server takes its time */
        bench_process_ask_to_stop(&b->peers[i].process);
    for (int i = 0; i < BENCH_PEERS; i++)
        bench_peer_close(&b->peers[i]);
    report->minutes = (clock_ms() - b->start_ms) / 60e3;
    bench_figures_compute(&report->samples, &report->skips, o->lengths[0], report->figures);
    if (status == S2A_OK && report->samples.count == 0)
        status = error_set(err, S2A_BACKEND, "nothing could be measured: %s",
                           report->figures[BENCH_FIGURE_SELECT_TOTAL].reason);
    free(b);
    return status;
}

void bench_report_free(bench_report *report)
{
    bench_samples_free(&report->samples);
    bench_skips_free(&report->skips);
}
