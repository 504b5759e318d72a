/* Select on servers: how probable a label is where a branch ends, by chat completions of one token
 * each. The branch is the beginning of the assistant's turn, which the server is to continue; the
 * labels are looked for among the top_logprobs of the token that comes next. A server that caches
 * prefixes computes the messages once, and then the few tokens of each branch.
 *
 * A label that is not among them is looked up where the server knows vLLM's prompt_logprobs: the
 * same turn with the label behind it, whose tokens are then part of the prompt and listed whatever
 * their probability. Not so for all labels, though it could be: vLLM then leaves its prefix cache
 * aside (vllm-project/vllm#28194) and answers with a row for each token of the prompt; where the
 * label is listed, that buys nothing. Nor for all branches in one request: in one turn each would
 * be judged in sight of the labels of those before it. On other servers such a label gets a floor,
 * the lowest log-probability of the list.
 *
 * The first branch is asked alone, so that the others, asked by a few threads at a time, find its
 * prefix in the server's cache. What is found out about a server stays in its http_backend. */
#include "backend/http_backend.h"
#include "core/buf.h"
#include "core/error.h"
#include "core/limits.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOP_LOGPROBS = 20, /* what OpenAI's interface allows, and vLLM if not told otherwise */
    THREADS = 4,
    LETTERS_MIN = 2, /* of the beginning of a label that stands for it */
};

typedef struct scoring {
    http_backend *self;
    const backend_message *messages;
    size_t count;
    const backend_branch *branches;
    size_t branch_count;
    const char *const *labels;
    size_t label_count;
    const s2a_cancel *cancel;
    const char *request_id;
    double deadline;
    double *logprob; /* a branch's row belongs to the thread that asks it */

    pthread_mutex_t lock; /* of what follows */
    size_t next;          /* the branch to ask */
    bool found;           /* a label, anywhere */
    s2a_usage used;
    s2a_status status; /* the first failure, with its text in error; no branch is begun after it */
    s2a_error error;
} scoring;

/* One request, and what came of it. */
typedef struct question {
    const scoring *s;
    const char *label; /* NULL: what comes next? Otherwise: how probable was this? */
    double *row;       /* what comes next: of each label, NAN where it is not listed ... */
    double *guess;     /* ... and what to take then */
    double value;      /* of the label; NAN where it cannot be told from its neighbours */
    size_t found;      /* labels that have a figure of their own */
    bool answered;     /* there were log-probabilities */
    bool refused, names_continue, names_logprobs; /* the server's refusal does */
} question;

/* ---- labels and tokens -------------------------------------------------------------------- */

/* A text without the space that it may begin with, which servers write as it is, as the vocabulary
 * has it (SentencePiece, GPT-2), or not at all. */
typedef struct word {
    const char *text;
    size_t len;
    bool space;
} word;

static word word_of(const char *text, size_t len)
{
    static const char *const spaces[] = { " ", "\xE2\x96\x81", "\xC4\xA0" };
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
        size_t n = strlen(spaces[i]);
        if (len >= n && memcmp(text, spaces[i], n) == 0)
            return (word){ text + n, len - n, true };
    }
    return (word){ text, len, false };
}

static word label_word(const scoring *s, size_t label)
{
    return word_of(s->labels[label], strlen(s->labels[label]));
}

static bool begins_with(word w, word beginning)
{
    return w.len >= beginning.len && memcmp(w.text, beginning.text, beginning.len) == 0;
}

static s2a_status labels_check(const scoring *s, s2a_error *err)
{
    for (size_t i = 0; i < s->label_count; i++) {
        word label = label_word(s, i);
        if (label.len == 0)
            return error_set(err, S2A_ARGUMENT, "label %zu is empty", i);
        for (size_t k = 0; k < i; k++)
            if (label_word(s, k).len == label.len && begins_with(label_word(s, k), label))
                return error_set(err, S2A_ARGUMENT,
                                 "labels \"%s\" and \"%s\" cannot be told apart; choose others",
                                 s->labels[k], s->labels[i]);
    }
    return S2A_OK;
}

/* How many bytes of a label the token stands for: all of them, or the beginning where the model's
 * vocabulary has the label in pieces, if it can be no other label's; else 0. spaces: the server
 * writes them. */
static size_t token_match(const scoring *s, size_t label, word token, bool spaces)
{
    word wanted = label_word(s, label);
    if ((spaces && token.space != wanted.space) || token.len == 0 || !begins_with(wanted, token))
        return 0;
    if (token.len < wanted.len && token.len < LETTERS_MIN)
        return 0;
    for (size_t k = 0; k < s->label_count && token.len < wanted.len; k++)
        if (k != label && begins_with(label_word(s, k), token))
            return 0;
    return token.len;
}

/* ---- reading answers ---------------------------------------------------------------------- */

static bool alternative_read(const json_t *entry, word *token, double *logprob)
{
    const json_t *text = json_object_get(entry, "token");
    const json_t *value = json_object_get(entry, "logprob");
    if (!json_is_string(text) || !json_is_number(value))
        return false;
    *token = word_of(json_string_value(text), json_string_length(text));
    *logprob = json_number_value(value);
    return true;
}

/* The label's figure among the alternatives: of the label itself, or of its longest beginning. */
static void label_find(question *q, size_t label, const json_t *top, bool spaces, double lowest)
{
    word token;
    double value = 0;
    size_t best = 0;
    q->guess[label] = lowest;
    for (size_t i = 0; i < json_array_size(top); i++) {
        if (!alternative_read(json_array_get(top, i), &token, &value))
            continue;
        size_t len = token_match(q->s, label, token, spaces);
        if (len == 0 || len < best || (len == best && value < q->guess[label]))
            continue;
        best = len;
        q->guess[label] = value;
    }
    q->found += best > 0;
    q->row[label] = best == label_word(q->s, label).len ? q->guess[label] : NAN;
}

/* choices[0].logprobs.content[0].top_logprobs: [{"token", "logprob"}] */
static void take_next(void *ctx, const json_t *root)
{
    question *q = ctx;
    const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    const json_t *content = json_object_get(json_object_get(choice, "logprobs"), "content");
    const json_t *top = json_object_get(json_array_get(content, 0), "top_logprobs");
    bool spaces = false, any = false;
    double lowest = 0;
    word token;
    for (size_t i = 0; i < json_array_size(top); i++) {
        double value = 0;
        if (!alternative_read(json_array_get(top, i), &token, &value))
            continue;
        lowest = !any || value < lowest ? value : lowest;
        spaces |= token.space;
        any = true;
    }
    if (!any)
        return;
    q->answered = true;
    q->found = 0;
    for (size_t i = 0; i < q->s->label_count; i++)
        label_find(q, i, top, spaces, lowest);
}

/* Of a row of prompt_logprobs, {"ID": {"logprob", "rank", "decoded_token"}}, the token that the
 * prompt has there: text ends with it. The row has the likeliest other one too, but in no order
 * that is promised. True when there is such a token; *left is then what text has before it. */
static bool row_find(json_t *row, const char *text, size_t *left, double *logprob)
{
    const char *key = NULL;
    json_t *entry = NULL;
    size_t before = *left, shortest = before;
    json_object_foreach(row, key, entry) {
        const json_t *decoded = json_object_get(entry, "decoded_token");
        const json_t *value = json_object_get(entry, "logprob");
        if (!json_is_string(decoded) || !json_is_number(value))
            continue;
        word token = word_of(json_string_value(decoded), json_string_length(decoded));
        if (token.len > before || memcmp(text + before - token.len, token.text, token.len) != 0)
            continue;
        size_t rest = before - token.len;
        if (token.space && (rest == 0 || text[rest - 1] != ' '))
            continue;
        rest -= token.space;
        if (rest < shortest) {
            shortest = rest;
            *logprob = json_number_value(value);
        }
    }
    *left = shortest;
    return shortest < before;
}

/* The label's tokens are the prompt's last ones; its first token is what is asked. */
static void take_prompt(void *ctx, const json_t *root)
{
    question *q = ctx;
    const json_t *rows = json_object_get(root, "prompt_logprobs");
    size_t at = json_array_size(rows), left = strlen(q->label);
    if (!json_is_array(rows))
        return;
    q->answered = true;
    q->value = NAN;
    double value = 0;
    size_t end = left;
    while (left > 0 && at > 0 && row_find(json_array_get(rows, at - 1), q->label, &left, &value))
        at--;
    /* Nothing is before it but, perhaps, the space that this server does not write. */
    if (left == 0 || (left < end && left == 1 && q->label[0] == ' '))
        q->value = value;
}

static void take_refusal(void *ctx, const char *body)
{
    question *q = ctx;
    q->refused = true;
    q->names_continue = strstr(body, "continue_final_message") != NULL ||
                        strstr(body, "add_generation_prompt") != NULL;
    q->names_logprobs = strstr(body, "logprob") != NULL;
}

/* ---- asking ------------------------------------------------------------------------------- */

/* The messages with the branch, and the label if one is asked for, as the assistant's turn. */
static s2a_status question_request(const question *q, const backend_branch *branch, json_t **out,
                                   s2a_error *err)
{
    const scoring *s = q->s;
    const backend_params params = { .top_p = 1, .max_tokens = 1 };
    backend_message *messages = calloc(s->count + 1, sizeof *messages);
    buf turn;
    buf_init(&turn, LIMIT_OUTPUT_BYTES);
    buf_add(&turn, branch->forced, branch->len);
    buf_adds(&turn, q->label ? q->label : "");
    s2a_status status = messages && turn.status == S2A_OK ? S2A_OK : error_nomem(err);
    if (status == S2A_OK) {
        memcpy(messages, s->messages, s->count * sizeof *messages);
        messages[s->count] = (backend_message){ "assistant", turn.data, turn.len };
        status = http_request_new(s->self, messages, s->count + 1, &params, out, err);
    }
    buf_free(&turn);
    free(messages);
    return status;
}

/* vLLM must be told that the turn goes on; llama-server can be; others do it by themselves. */
static bool question_fields(const question *q, bool go_on, json_t *request)
{
    bool ok = http_put(request, "stream", json_false());
    if (go_on) {
        ok = ok && http_put(request, "continue_final_message", json_true());
        ok = ok && http_put(request, "add_generation_prompt", json_false());
    }
    if (q->label)
        return ok && http_put(request, "prompt_logprobs", json_integer(1));
    return ok && http_put(request, "logprobs", json_true()) &&
           http_put(request, "top_logprobs", json_integer(TOP_LOGPROBS));
}

static s2a_status question_ask(scoring *s, question *q, const backend_branch *branch, bool go_on,
                               s2a_error *err)
{
    backend_usage usage = { 0 };
    http_chat chat = {
        .cancel = s->cancel,
        .request_id = s->request_id,
        .deadline = s->deadline,
        .on_object = q->label ? take_prompt : take_next,
        .on_refusal = take_refusal,
        .ctx = q,
        .usage = &usage,
    };
    json_t *request = NULL;
    q->answered = q->refused = q->names_continue = q->names_logprobs = false;
    s2a_status status = question_request(q, branch, &request, err);
    if (status != S2A_OK)
        return status;
    status = http_chat_run(s->self, request, question_fields(q, go_on, request), &chat, err);
    pthread_mutex_lock(&s->lock);
    s->used.prompt_tokens += usage.tokens.prompt_tokens;
    s->used.cached_tokens += usage.tokens.cached_tokens;
    s->used.completion_tokens += usage.tokens.completion_tokens;
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* What comes next? Without the fields that ask for the turn to go on where the server refuses them:
 * those that do without continue it, or show by the labels that they do not. */
static s2a_status ask_next(scoring *s, question *q, const backend_branch *branch, s2a_error *err)
{
    http_backend *self = s->self;
    bool go_on = !atomic_load(&self->no_continue);
    s2a_error fault = { .status = S2A_OK };
    s2a_status status = question_ask(s, q, branch, go_on, &fault);
    if (go_on && status == S2A_BACKEND && q->names_continue) {
        atomic_store(&self->no_continue, true);
        status = question_ask(s, q, branch, false, &fault);
    }
    if (status == S2A_BACKEND && q->names_logprobs) {
        atomic_store(&self->no_logprobs, true);
        return error_set(err, S2A_UNSUPPORTED,
                         "%s; mode select needs log-probabilities; use --mode rewrite",
                         fault.message);
    }
    if (status != S2A_OK)
        return error_set(err, status, "%s", fault.message);
    if (q->answered)
        return S2A_OK;
    atomic_store(&self->no_logprobs, true);
    return error_set(err, S2A_UNSUPPORTED,
                     "%s: the server gives no log-probabilities (top_logprobs), which mode select "
                     "needs; use --mode rewrite",
                     self->origin);
}

/* How probable was the label? NAN where that cannot be found out. */
static s2a_status ask_label(scoring *s, const backend_branch *branch, size_t label, double *value,
                            s2a_error *err)
{
    http_backend *self = s->self;
    question q = { .s = s, .label = s->labels[label], .value = NAN };
    *value = NAN;
    if (atomic_load(&self->no_prompt_logprobs) || atomic_load(&self->no_continue))
        return S2A_OK;
    s2a_error fault = { .status = S2A_OK };
    s2a_status status = question_ask(s, &q, branch, true, &fault);
    /* It has just taken the same request without the field. */
    if (status != S2A_OK && !(status == S2A_BACKEND && q.refused))
        return error_set(err, status, "%s", fault.message);
    if (!q.answered)
        atomic_store(&self->no_prompt_logprobs, true);
    *value = q.value;
    return S2A_OK;
}

static s2a_status ask_branch(scoring *s, size_t index, s2a_error *err)
{
    const backend_branch *branch = &s->branches[index];
    double *guess = calloc(s->label_count, sizeof *guess);
    if (!guess)
        return error_nomem(err);
    question q = { .s = s, .row = s->logprob + index * s->label_count, .guess = guess };
    s2a_status status = ask_next(s, &q, branch, err);
    for (size_t i = 0; i < s->label_count && status == S2A_OK; i++) {
        if (!isnan(q.row[i]))
            continue;
        status = ask_label(s, branch, i, &q.row[i], err);
        if (isnan(q.row[i]))
            q.row[i] = guess[i];
        else
            q.found++;
    }
    free(guess);
    pthread_mutex_lock(&s->lock);
    s->found |= q.found > 0;
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* ---- all branches ------------------------------------------------------------------------- */

/* False when there is none, or one has failed. */
static bool branch_take(scoring *s, size_t *index)
{
    pthread_mutex_lock(&s->lock);
    bool taken = s->status == S2A_OK && s->next < s->branch_count;
    *index = taken ? s->next++ : 0;
    pthread_mutex_unlock(&s->lock);
    return taken;
}

static void branch_run(scoring *s, size_t index)
{
    s2a_error fault = { .status = S2A_OK };
    s2a_status status = ask_branch(s, index, &fault);
    pthread_mutex_lock(&s->lock);
    if (s->status == S2A_OK && status != S2A_OK) {
        s->status = status;
        s->error = fault;
    }
    pthread_mutex_unlock(&s->lock);
}

static void *work(void *ctx)
{
    scoring *s = ctx;
    for (size_t index = 0; branch_take(s, &index);)
        branch_run(s, index);
    return NULL;
}

/* With as many threads as the system gives; the caller's is one of them. */
static void branches_run(scoring *s)
{
    pthread_t threads[THREADS - 1];
    size_t started = 0, index = 0;
    if (branch_take(s, &index))
        branch_run(s, index);
    size_t left = s->status == S2A_OK ? s->branch_count - s->next : 0;
    while (started < THREADS - 1 && started + 1 < left &&
           pthread_create(&threads[started], NULL, work, s) == 0)
        started++;
    work(s);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

static s2a_status branches_check(const scoring *s, s2a_error *err)
{
    for (size_t i = 0; i < s->branch_count; i++) {
        const backend_branch *b = &s->branches[i];
        if (b->slot_count != 1 || b->slots[0] != b->len)
            return error_set(err, S2A_UNSUPPORTED,
                             "branch %zu: a server judges one slot of a branch, at its end", i);
        if (b->len == 0)
            return error_set(err, S2A_ARGUMENT, "branch %zu: a slot must have text before it", i);
    }
    return S2A_OK;
}

s2a_status http_score(backend *base, const backend_message *messages, size_t count,
                      const backend_branch *branches, size_t branch_count,
                      const char *const *labels, size_t label_count, const backend_params *params,
                      double *logprob, backend_usage *usage, s2a_error *err)
{
    http_backend *self = (http_backend *)base;
    double start = clock_ms();
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    scoring s = {
        .self = self,
        .messages = messages,
        .count = count,
        .branches = branches,
        .branch_count = branch_count,
        .labels = labels,
        .label_count = label_count,
        .cancel = params->cancel,
        .request_id = params->request_id,
        .deadline = start + self->request_timeout_ms,
        .logprob = logprob,
    };
    s2a_status status = branches_check(&s, err);
    if (status == S2A_OK)
        status = labels_check(&s, err);
    if (status != S2A_OK || branch_count == 0 || label_count == 0)
        return status;
    if (pthread_mutex_init(&s.lock, NULL) != 0)
        return error_nomem(err);
    branches_run(&s);
    pthread_mutex_destroy(&s.lock);
    usage->tokens = s.used;
    usage->tokens.ms = clock_ms() - start;
    if (s.status != S2A_OK)
        return error_set(err, s.status, "%s", s.error.message);
    /* Labels that are nowhere among the likeliest come of a turn that was not continued. */
    if (!s.found)
        return error_set(err, S2A_UNSUPPORTED,
                         "%s: no label is among the %d likeliest tokens: the server or its model "
                         "does not continue an answer that is begun; use --mode rewrite",
                         self->origin, TOP_LOGPROBS);
    return S2A_OK;
}
