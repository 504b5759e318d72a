#include "eval/runner.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "core/engine.h"
#include "eval/injection.h"
#include "eval/instructions.h"
#include "eval/score.h"
#include "eval/step.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JUDGE_TOKENS 8

typedef struct runner {
    s2a_engine *engine;
    const eval_settings *o;
    eval_data *data;
    eval_store *store;
    claims *claims;
    int64_t run;
    char prompts_hash[65];
    eval_record *records; /* item x seed x arm */
    bool *there;

    pthread_mutex_t lock; /* all below */
    size_t next, done, total;
    s2a_status status;
    s2a_error first;
} runner;

/* Prompts that no other task uses count for task injection alone: results of before it
 * stay valid. */
static bool counts_for(size_t id, eval_task task)
{
    return id != PROMPT_JUDGE_INJECTION || task == EVAL_INJECTION;
}

/* sha256 over the texts of all prompts of the engine that the task can use. */
static s2a_status eval_prompts_hash(const s2a_engine *engine, eval_task task, char hex[65],
                                    s2a_error *err)
{
    buf all;
    buf_init(&all, (size_t)PROMPT_COUNT * (LIMIT_PROMPT_FILE_BYTES + 1));
    for (size_t i = 0; i < PROMPT_COUNT; i++) {
        if (!counts_for(i, task))
            continue;
        buf_add(&all, engine->prompts.text[i], engine->prompts.len[i]);
        buf_add(&all, "", 1);
    }
    s2a_status status =
        all.status == S2A_OK ? sha256_bytes(all.data, all.len, hex, err) : error_nomem(err);
    buf_free(&all);
    return status;
}

/* ---- one record ------------------------------------------------------------------------- */

static bool set(char **slot, const char *text)
{
    free(*slot);
    *slot = bytes_dup(text, strlen(text));
    return *slot != NULL;
}

/* Counts them by label, and takes those that have a score. False when out of memory. */
static bool units_take(const eval_item *item, const step1_result *s, eval_record *r)
{
    r->units = calloc(s->unit_count + 1, sizeof *r->units);
    for (size_t i = 0; r->units && i < s->unit_count; i++) {
        eval_label label = eval_item_label(item, s->units[i].start, s->units[i].end);
        bool given = item->question_start > 0 && s->units[i].start >= item->question_start;
        r->distractors += eval_label_distracts(label);
        r->distractors_removed += eval_label_distracts(label) && !s->kept[i];
        r->needed += label == EVAL_NEEDED;
        r->needed_removed += label == EVAL_NEEDED && !s->kept[i];
        r->kinds[label].part += !given && !s->kept[i];
        r->kinds[label].whole += !given;
        if (isfinite(s->scores[i]))
            r->units[r->unit_count++] =
                (eval_unit){ s->units[i].start, s->units[i].end, s->kept[i], s->scores[i], label };
    }
    return r->units != NULL;
}

static s2a_status answer_judge(const eval_item *item, eval_record *r, s2a_error *err)
{
    const char *answer = r->answer;
    size_t len = strlen(answer);
    if (item->check_count > 0) {
        s2a_status checked = instructions_count(item->checks, answer, len, &r->followed, err);
        r->correct = checked == S2A_OK && r->followed == item->check_count;
        return checked;
    }
    if (item->numeric) {
        double got = 0, want = 0;
        const char *alias = item->aliases[0];
        r->correct = score_number(answer, len, &got) && score_number(alias, strlen(alias), &want) &&
                     score_number_equal(got, want);
        return S2A_OK;
    }
    if (item->alias_count == 0)
        return S2A_OK;
    s2a_status status = score_alias_match(answer, len, (const char *const *)item->aliases,
                                          item->alias_count, &r->correct, NULL, err);
    bool wrong = false;
    if (status == S2A_OK && item->wrong) {
        const char *suggestion = item->wrong;
        status = score_alias_match(answer, len, &suggestion, 1, &wrong, NULL, err);
    }
    r->follows_wrong = wrong && !r->correct;
    return status;
}

/* What the judge replies to a prompt about an answer and what it is held against; malloc'ed. */
static s2a_status judge_ask(const step_context *c, prompt_id id, const char *answer,
                            const char *context, size_t context_len, char **reply)
{
    prompt_values values = {
        .input = answer, .input_len = strlen(answer), .context = context, .context_len = context_len
    };
    buf prompt;
    buf_init(&prompt, LIMIT_INPUT_BYTES);
    prompt_render(&c->engine->prompts, id, &values, &prompt);
    answer_result result = { 0 };
    s2a_status status = prompt.status == S2A_OK
                            ? answer_run(c, prompt.data, prompt.len, 0, 0, JUDGE_TOKENS, &result)
                            : error_nomem(c->err);
    *reply = result.text;
    buf_free(&prompt);
    return status;
}

/* A judge that gives no rating leaves the record unjudged. */
static s2a_status rating(const step_context *c, prompt_id id, const eval_item *item,
                         const char *answer, int low, int high, double *out, bool *given)
{
    char *reply = NULL;
    int value = 0;
    s2a_status status = judge_ask(c, id, answer, item->oracle, strlen(item->oracle), &reply);
    *given = status == S2A_OK && score_rating(reply, strlen(reply), low, high, &value);
    *out = value;
    free(reply);
    return status;
}

/* Whether the answer carries out the attack; an item without one is not judged. */
static s2a_status attack_judge(const step_context *c, const eval_item *item, eval_record *r)
{
    const eval_piece *attack = injection_attack(item);
    char *reply = NULL;
    if (!attack)
        return S2A_OK;
    s2a_status status = judge_ask(c, PROMPT_JUDGE_INJECTION, r->answer, item->x + attack->start,
                                  attack->end - attack->start, &reply);
    r->attack_judged = status == S2A_OK && score_yes_no(reply, strlen(reply), &r->carried_out);
    free(reply);
    return status;
}

static s2a_status record_judge(const runner *w, const eval_item *item, eval_record *r,
                               s2a_error *err)
{
    const eval_settings *o = w->o;
    if (!o->judge)
        return S2A_OK;
    step_context c = { o->judge_engine, w->store, w->claims, o, o->judge_hash, err };
    if (o->task == EVAL_INJECTION)
        return attack_judge(&c, item, r);
    if (item->alias_count > 0)
        return S2A_OK;
    bool sentiment = false, quality = false;
    s2a_status status =
        rating(&c, PROMPT_JUDGE_SENTIMENT, item, r->answer, -5, 5, &r->sentiment, &sentiment);
    if (status == S2A_OK)
        status = rating(&c, PROMPT_JUDGE_QUALITY, item, r->answer, 1, 5, &r->quality, &quality);
    r->judged = sentiment && quality;
    return status;
}

/* The prompt of step 2. */
static void prompt_fill(const step_context *c, const eval_item *item, const arm *a,
                        const step1_result *s, buf *out)
{
    arm_flavour flavour = arm_flavour_of(item);
    bool fell_back = s->fallback != NULL;
    const char *input = fell_back || a->input_is_x ? item->x : s->rewritten;
    prompt_values values = { .input = input, .input_len = strlen(input) };
    if (s->context) {
        values.context = s->context;
        values.context_len = strlen(s->context);
    }
    values.question = s->question ? s->question : s->rewritten;
    values.question_len = strlen(values.question);
    prompt_id id = fell_back ? arms[0].answer[flavour] : a->answer[flavour];
    prompt_render(&c->engine->prompts, id, &values, out);
    buf_add(out, "", 0);
}

static s2a_status record_step1(const step_context *c, const eval_item *item, const arm *a,
                               uint32_t seed, step1_result *s)
{
    if (a->step1 != ARM_NONE && a->step1 != ARM_ORACLE)
        return step1_run(c, item, a, seed, s);
    *s = (step1_result){ 0 };
    return set(&s->rewritten, a->step1 == ARM_ORACLE ? item->oracle : item->x)
               ? S2A_OK
               : error_nomem(c->err);
}

/* What step 1 gave goes to the record. */
static s2a_status step1_take(const runner *w, const eval_item *item, const arm *a, step1_result *s,
                             eval_record *r, s2a_error *err)
{
    r->step1 = s->usage;
    r->unchanged = !strcmp(s->rewritten, item->x);
    r->removed = s->removed;
    r->removed_count = s->removed_count;
    s->removed = NULL;
    if (a->step1 == ARM_SELECT)
        r->reader = step1_reader(w->engine);
    bool taken = units_take(item, s, r);
    r->rewritten = s->rewritten;
    r->fallback = s->fallback;
    s->rewritten = s->fallback = NULL;
    return taken && set(&r->item, item->id) && set(&r->arm, a->name) ? S2A_OK : error_nomem(err);
}

/* Step 2, and what the answer is worth. */
static s2a_status answer_make(const step_context *c, const runner *w, const eval_item *item,
                              const arm *a, const step1_result *s, eval_record *r)
{
    answer_result answer = { 0 };
    buf prompt;
    buf_init(&prompt, 4 * LIMIT_INPUT_BYTES);
    prompt_fill(c, item, a, s, &prompt);
    s2a_status status = prompt.status == S2A_OK ? S2A_OK : error_nomem(c->err);
    if (status == S2A_OK)
        status = answer_run(c, prompt.data, prompt.len, -1, r->seed, w->o->max_tokens, &answer);
    if (status == S2A_OK) {
        r->answer = answer.text;
        answer.text = NULL;
        r->answer_cut = answer.cut;
        r->step2 = answer.usage;
        status = answer_judge(item, r, c->err);
    }
    if (status == S2A_OK)
        status = record_judge(w, item, r, c->err);
    free(answer.text);
    buf_free(&prompt);
    return status;
}

static s2a_status record_make(const runner *w, const eval_item *item, const arm *a, uint32_t seed,
                              eval_record *r, s2a_error *err)
{
    step_context c = { w->engine, w->store, w->claims, w->o, w->o->model_hash, err };
    step1_result s = { 0 };
    r->seed = seed;
    r->unanswered = w->o->no_answers || !eval_task_answers(w->o->task);
    s2a_status status = record_step1(&c, item, a, seed, &s);
    if (status == S2A_OK && !r->unanswered)
        status = answer_make(&c, w, item, a, &s, r);
    if (status == S2A_OK)
        status = step1_take(w, item, a, &s, r, err);
    step1_result_free(&s);
    return status;
}

/* ---- all of them ------------------------------------------------------------------------ */

/* Judged by another model or head than the engine has. */
static bool outdated(const runner *w, const eval_record *r)
{
    return r->unit_count > 0 && r->reader != 0 && r->reader != step1_reader(w->engine);
}

static s2a_status one(runner *w, size_t job, size_t arm_index, s2a_error *err)
{
    const eval_settings *o = w->o;
    const eval_item *item = &w->data->items[job / o->seeds];
    uint32_t seed = o->seed + (uint32_t)(job % o->seeds);
    size_t at = job * o->arm_count + arm_index;
    const arm *a = o->arms[arm_index];
    eval_record *r = &w->records[at];
    bool found = false;
    s2a_status status = eval_store_get(w->store, w->run, item->id, a->name, seed, r, &found, err);
    if (status == S2A_OK && found && outdated(w, r)) {
        eval_record_free(r);
        found = false;
    }
    if (status == S2A_OK && !found) {
        status = record_make(w, item, a, seed, r, err);
        if (status == S2A_OK)
            status = eval_store_put(w->store, w->run, r, err);
    }
    if (status != S2A_OK)
        return status;
    pthread_mutex_lock(&w->lock);
    w->there[at] = true;
    w->done++;
    if (o->on_record)
        o->on_record(o->ctx, r, w->done, w->total, !found);
    pthread_mutex_unlock(&w->lock);
    return S2A_OK;
}

static void *work(void *ctx)
{
    runner *w = ctx;
    const eval_settings *o = w->o;
    size_t jobs = w->data->count * o->seeds;
    for (;;) {
        pthread_mutex_lock(&w->lock);
        size_t job = w->status == S2A_OK ? w->next++ : jobs;
        pthread_mutex_unlock(&w->lock);
        if (job >= jobs)
            return NULL;
        s2a_error err = { .status = S2A_OK };
        s2a_status status =
            cancel_fired(o->cancel) ? error_set(&err, S2A_CANCELLED, "cancelled") : S2A_OK;
        for (size_t i = 0; i < o->arm_count && status == S2A_OK; i++)
            status = one(w, job, i, &err);
        if (status == S2A_OK)
            continue;
        pthread_mutex_lock(&w->lock);
        if (w->status == S2A_OK) {
            w->status = status;
            w->first = err;
        }
        pthread_mutex_unlock(&w->lock);
    }
}

static s2a_status run_threads(runner *w, s2a_error *err)
{
    uint32_t n = w->o->concurrency > 0 ? w->o->concurrency : 1;
    pthread_t *threads = calloc(n, sizeof *threads);
    uint32_t started = 0;
    if (!threads)
        return error_nomem(err);
    while (started + 1 < n && pthread_create(&threads[started], NULL, work, w) == 0)
        started++;
    work(w); /* this thread is one of them */
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    if (w->status != S2A_OK && err)
        *err = w->first;
    return w->status;
}

static s2a_status head_fill(const runner *w, eval_run *head, s2a_error *err)
{
    const eval_settings *o = w->o;
    bool ok = set(&head->task, eval_task_name(o->task)) &&
              set(&head->model, s2a_engine_model(w->engine)) &&
              set(&head->model_hash, o->model_hash) && set(&head->prompts_hash, w->prompts_hash) &&
              set(&head->version, s2a_version()) && set(&head->data_name, w->data->name);
    head->temperature = o->temperature;
    head->top_p = o->top_p;
    head->max_tokens = o->max_tokens;
    head->arms = calloc(o->arm_count + 1, sizeof *head->arms);
    for (size_t i = 0; ok && head->arms && i < o->arm_count; i++) {
        ok = set(&head->arms[i], o->arms[i]->name);
        head->arm_count += ok;
    }
    return ok && head->arms ? S2A_OK : error_nomem(err);
}

/* What is there goes into the run, ordered by item, arm, seed. */
static s2a_status records_take(runner *w, eval_run *out, s2a_error *err)
{
    const eval_settings *o = w->o;
    size_t all = w->data->count * o->seeds * o->arm_count;
    out->records = calloc(all + 1, sizeof *out->records);
    if (!out->records)
        return error_nomem(err);
    for (size_t item = 0; item < w->data->count; item++)
        for (size_t a = 0; a < o->arm_count; a++)
            for (size_t seed = 0; seed < o->seeds; seed++) {
                size_t at = (item * o->seeds + seed) * o->arm_count + a;
                if (w->there[at])
                    out->records[out->record_count++] = w->records[at];
                else
                    eval_record_free(&w->records[at]);
                w->records[at] = (eval_record){ 0 };
            }
    out->items = w->data->items;
    out->item_count = w->data->count;
    w->data->items = NULL;
    w->data->count = w->data->cap = 0;
    return S2A_OK;
}

s2a_status eval_run_all(s2a_engine *engine, const eval_settings *settings, eval_data *data,
                        eval_store *store, eval_run *out, s2a_error *err)
{
    *out = (eval_run){ 0 };
    runner w = {
        .engine = engine, .o = settings, .data = data, .store = store, .claims = claims_new()
    };
    w.total = data->count * settings->seeds * settings->arm_count;
    w.records = calloc(w.total + 1, sizeof *w.records);
    w.there = calloc(w.total + 1, sizeof *w.there);
    char method[160] = "", judge_prompts_hash[65] = "";
    bool ready = pthread_mutex_init(&w.lock, NULL) == 0;
    s2a_status status = w.records && w.there && w.claims && ready ? S2A_OK : error_nomem(err);
    if (status == S2A_OK)
        status = eval_prompts_hash(engine, settings->task, w.prompts_hash, err);
    if (settings->no_answers)
        snprintf(method, sizeof method, "no answers");
    if (status == S2A_OK && settings->judge && !settings->no_answers) {
        status = eval_prompts_hash(settings->judge_engine, settings->task, judge_prompts_hash, err);
        snprintf(method, sizeof method, "%.64s %s", settings->judge_hash, judge_prompts_hash);
    }
    if (status == S2A_OK)
        status = head_fill(&w, out, err);
    if (status == S2A_OK)
        status = eval_store_run(store, out, data->hash, method, &w.run, err);
    if (status == S2A_OK)
        status = eval_store_add_items(store, w.run, data->items, data->count, err);
    if (status == S2A_OK) {
        status = run_threads(&w, err);
        s2a_status taken = records_take(&w, out, err);
        status = status == S2A_OK ? taken : status;
    }
    for (size_t i = 0; w.records && i < w.total; i++)
        eval_record_free(&w.records[i]);
    free(w.records);
    free(w.there);
    claims_free(w.claims);
    if (ready)
        pthread_mutex_destroy(&w.lock);
    return status;
}
