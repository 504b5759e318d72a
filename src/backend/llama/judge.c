/* What the model thinks of a text, without generating: label slots and attention (DESIGN section 2).
 *
 * They have a context of their own, made when first needed: a unit's cells in the KV cache must be
 * known, and attention can be read only with flash attention off. Labels are read with it, which is an
 * eighth faster at 1,800 tokens; who asks for the other of the two gets a new context. Sequence 0 is the prefix, whose
 * tokens are remembered, so that passes over the same text share it; sequences from 1 on are
 * branches, which own the prefix's cells too and go when they are read. What all branches from one on
 * have in common is decoded once and becomes part of the prefix (the trunk). A prefix that was decoded
 * into an empty cache has its token i in cell i ("pure"). A judgement has all of it to itself, and
 * computes when it is its turn: between two of its decodes others write. */
#include "backend/llama/embedded.h"
#include "core/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Room for the examples, a question, a window of select, and the branches of one decode: what one
 * judgement takes, however large the context of the answers is. */
#define JUDGE_CTX_TOKENS 4608u
#define JUDGE_BRANCHES 40 /* sequences beside the prefix; each gives a row of logits at least */
#define JUDGE_OUTPUTS 48
#define JUDGE_UBATCH 256 /* tokens of one graph: half the memory of 512, as fast on two cores */
#define COMMON_LEAST 128 /* tokens: fewer are decoded sooner than a file is read */

typedef struct judge {
    struct llama_context *ctx;
    llama_memory_t memory;
    struct llama_batch batch;
    uint32_t ctx_tokens;
    bool attends; /* made for reading attention */
    token_list prefix; /* of sequence 0 */
    bool pure;         /* cell i is token i of the prefix ... */
    bool holes;        /* ... but what is appended next may lie anywhere */

    /* Reading attention: set while the question's tokens are decoded. */
    bool reading, read_failed;
    const size_t *unit_from, *unit_to; /* token positions of the units */
    size_t unit_count;
    float *mass; /* [unit][heads] of the question at hand */
    size_t head_count, rows;
    float *row; /* what was fetched of a tensor */
    size_t row_cap;
} judge;

/* ---- attention read-out ------------------------------------------------------------------- */

/* kq_soft_max-LAYER is [cells, tokens, heads, 1]: adds up, for each head, what the question's tokens
 * pay to each unit's cells. */
static void attention_take(judge *j, const struct ggml_tensor *t, int layer)
{
    size_t cells = (size_t)t->ne[0], tokens = (size_t)t->ne[1], heads = (size_t)t->ne[2];
    size_t count = cells * tokens * heads;
    if (t->type != GGML_TYPE_F32 || t->ne[3] != 1 || layer < 0 ||
        ((size_t)layer + 1) * heads > j->head_count) {
        j->read_failed = true;
        return;
    }
    if (count > j->row_cap) {
        float *grown = realloc(j->row, count * sizeof *grown);
        if (!grown) {
            j->read_failed = true;
            return;
        }
        j->row = grown;
        j->row_cap = count;
    }
    ggml_backend_tensor_get(t, j->row, 0, count * sizeof *j->row);
    for (size_t h = 0; h < heads; h++)
        for (size_t q = 0; q < tokens; q++) {
            const float *p = j->row + (h * tokens + q) * cells;
            for (size_t u = 0; u < j->unit_count; u++) {
                float sum = 0;
                for (size_t i = j->unit_from[u]; i < j->unit_to[u] && i < cells; i++)
                    sum += p[i];
                j->mass[u * j->head_count + (size_t)layer * heads + h] += sum;
            }
        }
}

static bool on_tensor(struct ggml_tensor *t, bool ask, void *ctx)
{
    static const char name[] = "kq_soft_max-";
    judge *j = ctx;
    if (!j->reading || strncmp(t->name, name, sizeof name - 1) != 0)
        return !ask; /* not wanted; going on otherwise */
    if (!ask)
        attention_take(j, t, atoi(t->name + sizeof name - 1));
    return true;
}

/* ---- the context -------------------------------------------------------------------------- */

size_t judge_heads(const embedded *e)
{
    return e->whole_slots
               ? 0
               : (size_t)llama_model_n_layer(e->model) * (size_t)llama_model_n_head(e->model);
}

void judge_free(embedded *e)
{
    judge *j = e->judge;
    if (!j)
        return;
    token_list_free(&j->prefix);
    if (j->batch.token)
        llama_batch_free(j->batch);
    if (j->ctx)
        llama_free(j->ctx);
    free(j->row);
    free(j);
    e->judge = NULL;
}

uint32_t judge_tokens(const embedded *e)
{
    int32_t trained = llama_model_n_ctx_train(e->model);
    return trained > 0 && (uint32_t)trained < JUDGE_CTX_TOKENS ? (uint32_t)trained
                                                               : JUDGE_CTX_TOKENS;
}

static s2a_status judge_open(embedded *e, bool attends, s2a_error *err)
{
    if (e->judge && e->judge->attends == attends)
        return S2A_OK;
    judge_free(e);
    judge *j = e->judge = calloc(1, sizeof *j);
    if (!j)
        return error_nomem(err);
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = judge_tokens(e);
    params.n_batch = BATCH_TOKENS;
    params.n_ubatch = JUDGE_UBATCH;
    params.n_outputs_max = JUDGE_OUTPUTS;
    params.n_seq_max = JUDGE_BRANCHES + 1;
    params.kv_unified = true;
    params.n_threads = llama_n_threads(e->ctx);
    params.n_threads_batch = llama_n_threads_batch(e->ctx);
    params.flash_attn_type = attends ? LLAMA_FLASH_ATTN_TYPE_DISABLED : LLAMA_FLASH_ATTN_TYPE_AUTO;
    params.cb_eval = on_tensor;
    params.cb_eval_user_data = j;
    params.abort_callback = call_aborted;
    params.abort_callback_data = e;
    j->ctx = llama_init_from_model(e->model, params);
    if (j->ctx) {
        if (e->threads)
            llama_attach_threadpool(j->ctx, e->threads, NULL);
        j->memory = llama_get_memory(j->ctx);
        j->batch = llama_batch_init(BATCH_TOKENS, 0, JUDGE_BRANCHES + 1);
        j->ctx_tokens = llama_n_ctx_seq(j->ctx);
        j->head_count = judge_heads(e);
        j->attends = attends;
    }
    if (!j->ctx || !j->memory || !j->batch.token) {
        judge_free(e);
        return error_set(err, S2A_NOMEM, "no context for select: out of memory; set a smaller "
                                         "--ctx");
    }
    return S2A_OK;
}

static void judge_clear(judge *j)
{
    llama_memory_clear(j->memory, false);
    j->prefix.count = 0;
    j->pure = true;
    j->holes = false;
}

/* ---- decoding ----------------------------------------------------------------------------- */

/* The token belongs to sequence seq, and to those from first on up to, not including, end. */
static void batch_add_shared(judge *j, int32_t token, size_t pos, int32_t seq, int32_t first,
                             int32_t end)
{
    int32_t i = j->batch.n_tokens++, n = 0;
    j->batch.token[i] = token;
    j->batch.pos[i] = (llama_pos)pos;
    j->batch.seq_id[i][n++] = seq;
    for (int32_t k = first; k < end; k++)
        j->batch.seq_id[i][n++] = k;
    j->batch.n_seq_id[i] = n;
    j->batch.logits[i] = false;
}

static void batch_add(judge *j, int32_t token, size_t pos, int32_t seq, bool logits)
{
    int32_t i = j->batch.n_tokens++;
    j->batch.token[i] = token;
    j->batch.pos[i] = (llama_pos)pos;
    j->batch.n_seq_id[i] = 1;
    j->batch.seq_id[i][0] = seq;
    j->batch.logits[i] = logits;
}

static s2a_status pass(gate *g, call *c, s2a_error *err)
{
    if (gate_enter(g, call_gives_up, c))
        return S2A_OK;
    s2a_status status = call_check(c, err);
    return status != S2A_OK ? status : error_set(err, S2A_INTERNAL, "gate without a reason");
}

/* Waits for the turn to compute; compute_end when S2A_OK. */
static s2a_status compute_begin(call *c, s2a_error *err)
{
    embedded *e = c->e;
    s2a_status status = pass(&e->gate, c, err);
    if (status == S2A_OK) {
        e->step[0] = c;
        e->step_count = 1;
    }
    return status;
}

static void compute_end(const call *c)
{
    c->e->step_count = 0;
    gate_leave(&c->e->gate);
}

static s2a_status batch_decode(call *c, s2a_error *err)
{
    judge *j = c->e->judge;
    s2a_status status = compute_begin(c, err);
    if (status != S2A_OK)
        return status;
    int32_t rc = llama_decode(j->ctx, j->batch);
    llama_synchronize(j->ctx);
    compute_end(c);
    if (rc == 0)
        return S2A_OK;
    judge_clear(j);
    status = rc == 2 ? call_check(c, err) : S2A_OK;
    if (status != S2A_OK)
        return status;
    log_lines_end(&c->log);
    return error_set(err, S2A_BACKEND, "llama_decode failed with %d: %s; try a smaller context", rc,
                     log_lines_fault(&c->log, "no cause given"));
}

/* Until the prefix is count tokens, of which tokens are those from base on; there is room for them. */
static s2a_status prefix_extend(call *c, const int32_t *tokens, size_t base, size_t count,
                                s2a_error *err)
{
    judge *j = c->e->judge;
    while (j->prefix.count < count) {
        size_t from = j->prefix.count;
        size_t n = count - from < BATCH_TOKENS ? count - from : BATCH_TOKENS;
        j->batch.n_tokens = 0;
        for (size_t i = from; i < from + n; i++)
            batch_add(j, tokens[i - base], i, 0, false);
        s2a_status status = batch_decode(c, err);
        if (status != S2A_OK)
            return status;
        memcpy(j->prefix.items + from, tokens + (from - base), n * sizeof *tokens);
        j->prefix.count = from + n;
    }
    return S2A_OK;
}

/* The first tokens of a prompt, which are common to many, from the file or into it. */
static s2a_status prefix_common(call *c, const int32_t *tokens, size_t common, s2a_error *err)
{
    judge *j = c->e->judge;
    if (judge_cache_load(c->e, j->ctx, tokens, common)) {
        memcpy(j->prefix.items, tokens, common * sizeof *tokens);
        j->prefix.count = common;
        j->pure = false;
        c->usage->tokens.cached_tokens += common;
        return S2A_OK;
    }
    s2a_status status = prefix_extend(c, tokens, 0, common, err);
    if (status == S2A_OK)
        judge_cache_save(c->e, j->ctx, tokens, common);
    return status;
}

/* Brings sequence 0 to these tokens: what it has in common with them stays. fresh: its cells must
 * be its tokens, one by one. The first common of them are worth a file. */
static s2a_status prefix_set(call *c, const int32_t *tokens, size_t count, size_t common, bool fresh,
                             s2a_error *err)
{
    judge *j = c->e->judge;
    size_t same = 0;
    while (same < count && same < j->prefix.count && tokens[same] == j->prefix.items[same])
        same++;
    bool cut = same < j->prefix.count;
    bool clear = same == 0 || (fresh && (!j->pure || (same < count && (cut || j->holes))));
    if (!clear && cut) {
        clear = !llama_memory_seq_rm(j->memory, 0, (llama_pos)same, -1);
        j->prefix.count = same;
        j->holes = true;
    }
    if (clear) {
        judge_clear(j);
        same = 0;
    }
    if (same < count && j->holes)
        j->pure = false;
    c->usage->tokens.cached_tokens += same;
    if (!token_list_reserve(&j->prefix, count - same))
        return error_nomem(err);
    s2a_status status = S2A_OK;
    if (same == 0 && common >= COMMON_LEAST && common < count)
        status = prefix_common(c, tokens, common, err);
    return status == S2A_OK ? prefix_extend(c, tokens, 0, count, err) : status;
}

/* The judge is the call's until leave. */
static s2a_status enter(call *c, bool attends, s2a_error *err)
{
    embedded *e = c->e;
    if (e->whole_slots)
        return error_set(err, S2A_UNSUPPORTED,
                         "this model's state cannot be branched (recurrent); use mode rewrite");
    s2a_status status = pass(&e->judge_gate, c, err);
    if (status != S2A_OK)
        return status;
    status = compute_begin(c, err);
    if (status == S2A_OK) {
        status = judge_open(e, attends, err);
        compute_end(c);
    }
    if (status != S2A_OK)
        gate_leave(&e->judge_gate);
    return status;
}

static void leave(call *c)
{
    gate_leave(&c->e->judge_gate);
}

/* ---- score -------------------------------------------------------------------------------- */

/* A branch's tokens; at[i] is how many of them come before its slot i. */
typedef struct branch {
    token_list tokens;
    size_t *at;
    size_t slot_count;
    size_t shared; /* of the tokens: the trunk, which all later branches begin with as well */
    int32_t row;   /* of the batch: its first token behind them */
} branch;

typedef struct scoring {
    call *c;
    branch *branches;
    size_t branch_count;
    const int32_t *labels;
    size_t label_count;
    double *logprob;
    size_t rows; /* of logprob, filled */
    size_t base; /* tokens of the prefix without the trunk */
} scoring;

static s2a_status branch_read(const embedded *e, const backend_branch *from, branch *to,
                              s2a_error *err)
{
    to->at = calloc(from->slot_count + 1, sizeof *to->at);
    if (!to->at)
        return error_nomem(err);
    to->slot_count = from->slot_count;
    size_t start = 0;
    for (size_t i = 0; i <= from->slot_count; i++) {
        size_t end = i < from->slot_count ? from->slots[i] : from->len;
        if (i == from->slot_count && from->slot_count > 0)
            break; /* nobody reads what is behind the last slot */
        if (end < start || end > from->len)
            return error_set(err, S2A_ARGUMENT, "slot %zu is not in order", i);
        if (end > start && chat_tokenize((void *)e, from->forced + start, end - start, false,
                                         &to->tokens) != S2A_OK)
            return error_nomem(err);
        to->at[i] = to->tokens.count;
        start = end;
    }
    if (to->slot_count > 0 && to->at[0] == 0)
        return error_set(err, S2A_ARGUMENT, "a slot must have text before it");
    return S2A_OK;
}

static s2a_status labels_read(const embedded *e, const char *const *labels, size_t count,
                              int32_t *out, s2a_error *err)
{
    for (size_t i = 0; i < count; i++) {
        token_list tokens = { 0 };
        s2a_status status = chat_tokenize((void *)e, labels[i], strlen(labels[i]), false, &tokens);
        out[i] = tokens.count > 0 ? tokens.items[0] : -1;
        token_list_free(&tokens);
        if (status != S2A_OK)
            return error_nomem(err);
        for (size_t k = 0; k < i || out[i] < 0; k++)
            if (out[i] < 0 || out[k] == out[i])
                return error_set(err, S2A_ARGUMENT,
                                 "labels \"%s\" and \"%s\" begin with the same token; choose others",
                                 labels[k], labels[i]);
    }
    return S2A_OK;
}

static void row_read(const scoring *s, const float *logits, double *out)
{
    int32_t n = llama_vocab_n_tokens(s->c->e->vocab);
    float top = logits[0];
    for (int32_t i = 1; i < n; i++)
        top = logits[i] > top ? logits[i] : top;
    float sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += expf(logits[i] - top);
    double norm = (double)top + log((double)sum);
    for (size_t i = 0; i < s->label_count; i++)
        out[i] = (double)logits[s->labels[i]] - norm;
}

/* What a branch and all later ones begin with. The token at a slot is never part of it: its logits
 * are read in each branch. */
static void shared_find(scoring *s)
{
    size_t least = SIZE_MAX;
    for (size_t i = s->branch_count; i-- > 0;) {
        branch *b = &s->branches[i];
        size_t own = b->slot_count > 0 ? b->at[0] - 1 : b->tokens.count, same = 0;
        const branch *next = i + 1 < s->branch_count ? b + 1 : NULL;
        while (next && same < own && same < next->tokens.count &&
               b->tokens.items[same] == next->tokens.items[same])
            same++;
        least = own < least ? own : least;
        least = next && same < least ? same : least;
        b->shared = least;
    }
    if (s->branch_count > 0) /* after the last one nothing has use for it */
        s->branches[s->branch_count - 1].shared =
            s->branch_count > 1 ? s->branches[s->branch_count - 2].shared : 0;
}

/* How many branches from `from` on go into one decode; *tokens they have. */
static size_t branches_fit(const scoring *s, size_t from, size_t *tokens)
{
    const judge *j = s->c->e->judge;
    size_t base = j->prefix.count, trunk = base - s->base, outputs = 0, at = from;
    *tokens = 0;
    while (at < s->branch_count && at - from < JUDGE_BRANCHES) {
        const branch *b = &s->branches[at];
        size_t more = b->tokens.count - trunk;
        if (*tokens + more > BATCH_TOKENS || outputs + b->slot_count > JUDGE_OUTPUTS ||
            base + *tokens + more > j->ctx_tokens)
            break;
        *tokens += more;
        outputs += b->slot_count;
        trunk = b->shared > trunk ? b->shared : trunk;
        at++;
    }
    return at;
}

static void branches_add(scoring *s, size_t from, size_t end)
{
    judge *j = s->c->e->judge;
    size_t trunk = j->prefix.count - s->base;
    int32_t last = (int32_t)(end - from + 1);
    j->batch.n_tokens = 0;
    for (size_t i = from; i < end; i++) {
        branch *b = &s->branches[i];
        llama_seq_id seq = (llama_seq_id)(i - from + 1);
        llama_memory_seq_cp(j->memory, 0, seq, -1, -1);
        for (; trunk < b->shared; trunk++)
            batch_add_shared(j, b->tokens.items[trunk], s->base + trunk, 0, seq, last);
        b->row = j->batch.n_tokens;
        size_t slot = 0;
        for (size_t k = trunk; k < b->tokens.count; k++) {
            bool read = slot < b->slot_count && b->at[slot] == k + 1;
            batch_add(j, b->tokens.items[k], s->base + k, seq, read);
            slot += read;
        }
    }
}

/* The trunk is part of the prefix from now on; the branches go. */
static s2a_status branches_read(scoring *s, size_t from, size_t end, s2a_error *err)
{
    judge *j = s->c->e->judge;
    size_t before = j->prefix.count - s->base, trunk = before;
    for (size_t i = from; i < end; i++) {
        const branch *b = &s->branches[i];
        trunk = b->shared > trunk ? b->shared : trunk;
        for (size_t slot = 0; slot < b->slot_count; slot++)
            row_read(s, llama_get_logits_ith(j->ctx, b->row + (int32_t)(b->at[slot] - 1 - trunk)),
                     s->logprob + s->rows++ * s->label_count);
    }
    if (!token_list_reserve(&j->prefix, trunk - before))
        return error_nomem(err);
    for (size_t k = before; k < trunk; k++)
        j->prefix.items[j->prefix.count++] = s->branches[end - 1].tokens.items[k];
    j->pure = j->pure && trunk == before;
    return S2A_OK;
}

/* A branch that is too long for one decode beside others: first what is to be the trunk, or, of the
 * last one, all but the end. */
static s2a_status branch_begin(scoring *s, size_t at, s2a_error *err)
{
    judge *j = s->c->e->judge;
    const branch *b = &s->branches[at];
    bool last = at + 1 == s->branch_count;
    size_t own = b->slot_count > 0 ? b->at[0] - 1 : b->tokens.count;
    size_t target = s->base + (last ? own : b->shared), before = j->prefix.count;
    if (target <= before || s->base + b->tokens.count > j->ctx_tokens)
        return S2A_OK;
    if (!token_list_reserve(&j->prefix, target - before))
        return error_nomem(err);
    j->pure = j->pure && !j->holes;
    s->c->usage->tokens.prompt_tokens += target - before;
    return prefix_extend(s->c, b->tokens.items, s->base, target, err);
}

/* Branches [from, *to) in one decode: as many as go in. */
static s2a_status branches_decode(scoring *s, size_t from, size_t *to, s2a_error *err)
{
    judge *j = s->c->e->judge;
    size_t tokens = 0, end = branches_fit(s, from, &tokens);
    s2a_status status = S2A_OK;
    if (end == from) {
        status = branch_begin(s, from, err);
        end = status == S2A_OK ? branches_fit(s, from, &tokens) : from;
    }
    if (status == S2A_OK && end == from)
        return error_set(err, S2A_LIMIT,
                         "a branch of %zu tokens leaves no room in the context of %u, or in the %d of "
                         "one decode",
                         s->branches[from].tokens.count, j->ctx_tokens, BATCH_TOKENS);
    if (status != S2A_OK)
        return status;
    branches_add(s, from, end);
    status = batch_decode(s->c, err);
    if (status == S2A_OK)
        status = branches_read(s, from, end, err);
    for (size_t i = from; i < end; i++)
        llama_memory_seq_rm(j->memory, (llama_seq_id)(i - from + 1), -1, -1);
    j->holes = true;
    s->c->usage->tokens.prompt_tokens += tokens;
    *to = end;
    return status;
}

static s2a_status score_inside(scoring *s, const token_list *prefix, size_t common, s2a_error *err)
{
    s2a_status status = prefix_set(s->c, prefix->items, prefix->count, common, false, err);
    s->base = prefix->count;
    shared_find(s);
    for (size_t at = 0; at < s->branch_count && status == S2A_OK;)
        status = branches_decode(s, at, &at, err);
    return status;
}

/* How many of the prompt's tokens its first messages make: those that it shares with the same messages
 * before another last one. */
static s2a_status common_find(const embedded *e, const backend_message *messages, size_t count,
                              const token_list *prompt, size_t *out, s2a_error *err)
{
    *out = 0;
    if (count == 0)
        return S2A_OK;
    backend_message *other = calloc(count + 1, sizeof *other);
    token_list tokens = { 0 };
    if (!other)
        return error_nomem(err);
    memcpy(other, messages, count * sizeof *other);
    other[count] = (backend_message){ "user", "x", 1 };
    s2a_status status = chat_prompt_tokens(&e->chat, other, count + 1, &tokens, NULL, err);
    while (status == S2A_OK && *out < tokens.count && *out < prompt->count &&
           tokens.items[*out] == prompt->items[*out])
        ++*out;
    free(other);
    token_list_free(&tokens);
    return status;
}

static s2a_status score_call(scoring *s, const backend_message *messages, size_t count,
                             const backend_branch *branches, s2a_error *err)
{
    embedded *e = s->c->e;
    token_list prefix = { 0 };
    s2a_status status = chat_prompt_tokens(&e->chat, messages, count, &prefix, NULL, err);
    for (size_t i = 0; i < s->branch_count && status == S2A_OK; i++)
        status = branch_read(e, &branches[i], &s->branches[i], err);
    if (status == S2A_OK && prefix.count >= judge_tokens(e))
        status = error_set(err, S2A_LIMIT,
                           "the text and its instruction are %zu tokens, the context of select holds "
                           "%u; shorten the text, or use mode rewrite",
                           prefix.count, judge_tokens(e));
    size_t common = 0, common_messages = s->c->params->common_messages;
    if (status == S2A_OK && e->cache_dir && common_messages < count)
        status = common_find(e, messages, common_messages, &prefix, &common, err);
    s->c->usage->tokens.prompt_tokens = prefix.count;
    if (status == S2A_OK && (status = enter(s->c, false, err)) == S2A_OK) {
        status = score_inside(s, &prefix, common, err);
        leave(s->c);
    }
    token_list_free(&prefix);
    return status;
}

s2a_status judge_score(backend *self, const backend_message *messages, size_t count,
                       const backend_branch *branches, size_t branch_count,
                       const char *const *labels, size_t label_count, const backend_params *params,
                       double *logprob, backend_usage *usage, s2a_error *err)
{
    embedded *e = (embedded *)self;
    call c = { .e = e, .params = params, .start_ms = clock_ms(), .usage = usage };
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    int32_t *label_tokens = calloc(label_count + 1, sizeof *label_tokens);
    scoring s = { .c = &c, .branch_count = branch_count, .labels = label_tokens,
                  .label_count = label_count, .logprob = logprob };
    s.branches = calloc(branch_count + 1, sizeof *s.branches);
    log_lines *before = log_begin(&c.log, e->log, e->log_ctx);
    s2a_status status = s.branches && label_tokens
                            ? labels_read(e, labels, label_count, label_tokens, err)
                            : error_nomem(err);
    if (status == S2A_OK)
        status = score_call(&s, messages, count, branches, err);
    log_end(&c.log, before);
    for (size_t i = 0; s.branches && i < branch_count; i++) {
        token_list_free(&s.branches[i].tokens);
        free(s.branches[i].at);
    }
    free(s.branches);
    free(label_tokens);
    usage->tokens.ms = clock_ms() - c.start_ms;
    return status;
}

/* ---- attention ---------------------------------------------------------------------------- */

typedef struct reading {
    call *c;
    token_list text;
    size_t *from, *to; /* of the units, in tokens */
    size_t unit_count;
    token_list *questions;
    size_t question_count;
    float *mass;
} reading;

/* Units and what is between them are tokenised apart, so that their tokens are theirs alone. */
static s2a_status text_read(const embedded *e, const char *text, size_t len, const s2a_span *units,
                            reading *r, s2a_error *err)
{
    size_t at = 0;
    if (e->chat.bos >= 0) {
        if (!token_list_reserve(&r->text, 1))
            return error_nomem(err);
        r->text.items[r->text.count++] = e->chat.bos;
    }
    s2a_status status = S2A_OK;
    for (size_t i = 0; i <= r->unit_count && status == S2A_OK; i++) {
        size_t start = i < r->unit_count ? units[i].start : len;
        size_t end = i < r->unit_count ? units[i].end : len;
        if (start < at || end < start || end > len)
            return error_set(err, S2A_ARGUMENT, "unit %zu is not in order", i);
        if (start > at)
            status = chat_tokenize((void *)e, text + at, start - at, false, &r->text);
        if (i == r->unit_count)
            break;
        r->from[i] = r->text.count;
        if (status == S2A_OK && end > start)
            status = chat_tokenize((void *)e, text + start, end - start, false, &r->text);
        r->to[i] = r->text.count;
        at = end;
    }
    return status == S2A_OK ? S2A_OK : error_nomem(err);
}

static s2a_status question_read(reading *r, size_t q, s2a_error *err)
{
    judge *j = r->c->e->judge;
    const token_list *tokens = &r->questions[q];
    size_t base = j->prefix.count, heads = j->head_count;
    if (tokens->count == 0 || tokens->count > BATCH_TOKENS || base + tokens->count > j->ctx_tokens)
        return error_set(err, S2A_LIMIT, "the question has %zu tokens; at most %d can be read",
                         tokens->count, BATCH_TOKENS);
    j->batch.n_tokens = 0;
    for (size_t i = 0; i < tokens->count; i++)
        batch_add(j, tokens->items[i], base + i, 1, false);
    llama_memory_seq_cp(j->memory, 0, 1, -1, -1);
    j->reading = true;
    j->read_failed = false;
    j->unit_from = r->from;
    j->unit_to = r->to;
    j->unit_count = r->unit_count;
    j->mass = r->mass + q * r->unit_count * heads;
    memset(j->mass, 0, r->unit_count * heads * sizeof *j->mass);
    s2a_status status = batch_decode(r->c, err);
    j->reading = false;
    llama_memory_seq_rm(j->memory, 1, -1, -1);
    j->holes = true;
    r->c->usage->tokens.prompt_tokens += tokens->count;
    if (status == S2A_OK && j->read_failed)
        status = error_set(err, S2A_UNSUPPORTED, "this model's attention cannot be read");
    for (size_t i = 0; i < r->unit_count * heads; i++)
        j->mass[i] /= (float)tokens->count;
    return status;
}

static s2a_status attention_inside(reading *r, s2a_error *err)
{
    s2a_status status = prefix_set(r->c, r->text.items, r->text.count, 0, true, err);
    for (size_t q = 0; q < r->question_count && status == S2A_OK; q++)
        status = question_read(r, q, err);
    return status;
}

s2a_status judge_attention(backend *self, const char *text, size_t len, const s2a_span *units,
                           size_t unit_count, const char *const *questions, size_t question_count,
                           const backend_params *params, float *mass, backend_usage *usage,
                           s2a_error *err)
{
    embedded *e = (embedded *)self;
    call c = { .e = e, .params = params, .start_ms = clock_ms(), .usage = usage };
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    reading r = { .c = &c, .unit_count = unit_count, .question_count = question_count,
                  .mass = mass };
    r.from = calloc(unit_count + 1, sizeof *r.from);
    r.to = calloc(unit_count + 1, sizeof *r.to);
    r.questions = calloc(question_count + 1, sizeof *r.questions);
    log_lines *before = log_begin(&c.log, e->log, e->log_ctx);
    s2a_status status =
        r.from && r.to && r.questions ? text_read(e, text, len, units, &r, err) : error_nomem(err);
    for (size_t q = 0; q < question_count && status == S2A_OK; q++)
        if (chat_tokenize(e, questions[q], strlen(questions[q]), false, &r.questions[q]) != S2A_OK)
            status = error_nomem(err);
    usage->tokens.prompt_tokens = r.text.count;
    if (status == S2A_OK && r.text.count >= judge_tokens(e))
        status = error_set(err, S2A_LIMIT,
                           "the text is %zu tokens, the context of select holds %u; "
                           "shorten the text",
                           r.text.count, judge_tokens(e));
    if (status == S2A_OK && (status = enter(&c, true, err)) == S2A_OK) {
        status = attention_inside(&r, err);
        leave(&c);
    }
    log_end(&c.log, before);
    for (size_t q = 0; r.questions && q < question_count; q++)
        token_list_free(&r.questions[q]);
    free(r.questions);
    free(r.from);
    free(r.to);
    token_list_free(&r.text);
    usage->tokens.ms = clock_ms() - c.start_ms;
    return status;
}
