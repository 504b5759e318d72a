/* What the model thinks of a text, without generating: label slots and hidden states (DESIGN section 2).
 *
 * Sequence 0 is the prefix, whose tokens are remembered, so that passes over the same text share it;
 * sequences from 1 on are branches, which own the prefix's cells too and go when they are read. What all
 * branches from one on have in common is decoded once and becomes part of the prefix (the trunk). A
 * judgement has all of the context to itself, and computes when it is its turn: between two of its decodes
 * others write. */
#include "backend/llama/judge.h"
#include "core/error.h"
#include "core/lens.h"

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

/* ---- hidden states ------------------------------------------------------------------------ */

/* l_out-LAYER is [width, tokens]: what the layer hands on. Takes the rows at slots, which are those whose
 * logits are asked for; the graph's tokens are the batch's from hidden_at on. */
static void hidden_take(judge *j, const struct ggml_tensor *t, size_t layer)
{
    size_t width = (size_t)t->ne[0], count = (size_t)t->ne[1], row = j->hidden_row;
    if (t->type != GGML_TYPE_F32 || width != j->hidden_width ||
        j->hidden_at + count > (size_t)j->batch.n_tokens) {
        j->read_failed = true;
        return;
    }
    for (size_t i = 0; i < count && j->hidden; i++)
        if (j->batch.logits[j->hidden_at + i]) {
            float *to = j->hidden + (row++ * j->layer_count + layer) * width;
            ggml_backend_tensor_get(t, to, i * t->nb[1], width * sizeof *to);
        }
    if (layer + 1 == j->layer_count) {
        j->hidden_at += count;
        j->hidden_row = row;
    }
}

/* Which of the layers that are read a tensor is the result of; layer_count = none of them. */
static size_t hidden_layer(const judge *j, const struct ggml_tensor *t)
{
    static const char name[] = "l_out-";
    size_t i = 0;
    if (j->layer_count == 0 || strncmp(t->name, name, sizeof name - 1) != 0)
        return j->layer_count;
    unsigned long layer = strtoul(t->name + sizeof name - 1, NULL, 10);
    while (i < j->layer_count && j->layers[i] != layer)
        i++;
    return i;
}

/* Asked by libllama before (ask) and after it computes a tensor. After the last layer that is wanted the
 * rest of the graph is left out: false ends it. */
static bool on_tensor(struct ggml_tensor *t, bool ask, void *ctx)
{
    judge *j = ctx;
    if (j->attention)
        return judge_attention_take(j, t, ask);
    size_t layer = hidden_layer(j, t);
    if (layer == j->layer_count)
        return !ask; /* not wanted; going on otherwise */
    if (!ask)
        hidden_take(j, t, layer);
    return ask || layer + 1 < j->layer_count;
}

/* ---- the context -------------------------------------------------------------------------- */

size_t judge_heads(const embedded *e)
{
    return e->whole_slots
               ? 0
               : (size_t)llama_model_n_layer(e->model) * (size_t)llama_model_n_head(e->model);
}

size_t judge_hidden_width(const embedded *e)
{
    return e->whole_slots ? 0 : (size_t)llama_model_n_embd(e->model);
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
        j->hidden_width = judge_hidden_width(e);
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

void judge_batch_add(judge *j, int32_t token, size_t pos, int32_t seq, bool logits)
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
    s2a_status status = pass(e->gate, c, err);
    if (status == S2A_OK) {
        e->step[0] = c;
        e->step_count = 1;
    }
    return status;
}

static void compute_end(const call *c)
{
    c->e->step_count = 0;
    gate_leave(c->e->gate);
}

s2a_status judge_decode(call *c, s2a_error *err)
{
    judge *j = c->e->judge;
    s2a_status status = compute_begin(c, err);
    if (status != S2A_OK)
        return status;
    j->hidden_at = j->hidden_row = 0;
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
            judge_batch_add(j, tokens[i - base], i, 0, false);
        s2a_status status = judge_decode(c, err);
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
    if (judge_cache_load(c->e, j->ctx, tokens, common, j->depth)) {
        memcpy(j->prefix.items, tokens, common * sizeof *tokens);
        j->prefix.count = common;
        j->pure = false;
        c->usage->tokens.cached_tokens += common;
        return S2A_OK;
    }
    s2a_status status = prefix_extend(c, tokens, 0, common, err);
    if (status == S2A_OK)
        judge_cache_save(c->e, j->ctx, tokens, common, j->depth);
    return status;
}

s2a_status judge_prefix_set(call *c, const int32_t *tokens, size_t count, size_t common, bool fresh,
                            s2a_error *err)
{
    judge *j = c->e->judge;
    size_t same = 0;
    uint32_t depth = j->layer_count > 0 ? j->layers[j->layer_count - 1] + 1 : 0;
    if (depth != j->depth) /* cells that lack a layer, or would be said to */
        judge_clear(j);
    j->depth = depth;
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

s2a_status judge_enter(call *c, bool attends, s2a_error *err)
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

void judge_leave(call *c)
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
    double *logprob;        /* [slot][label]; or: */
    const uint32_t *layers; /* [slot][layer] */
    size_t layer_count;
    float *hidden;
    size_t rows; /* slots that were read */
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
            judge_batch_add(j, b->tokens.items[k], s->base + k, seq, read);
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
        for (size_t slot = 0; slot < b->slot_count && s->logprob; slot++)
            row_read(s, llama_get_logits_ith(j->ctx, b->row + (int32_t)(b->at[slot] - 1 - trunk)),
                     s->logprob + (s->rows + slot) * s->label_count);
        s->rows += b->slot_count;
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
    size_t before = s->rows;
    j->read_failed = false;
    if (s->hidden)
        j->hidden = s->hidden + before * s->layer_count * j->hidden_width;
    status = judge_decode(s->c, err);
    j->hidden = NULL;
    if (status == S2A_OK)
        status = branches_read(s, from, end, err);
    if (status == S2A_OK && s->hidden && (j->read_failed || j->hidden_row != s->rows - before))
        status = error_set(err, S2A_UNSUPPORTED, "this model's hidden states cannot be read");
    for (size_t i = from; i < end; i++)
        llama_memory_seq_rm(j->memory, (llama_seq_id)(i - from + 1), -1, -1);
    j->holes = true;
    s->c->usage->tokens.prompt_tokens += tokens;
    *to = end;
    return status;
}

static s2a_status score_inside(scoring *s, const token_list *prefix, size_t common, s2a_error *err)
{
    judge *j = s->c->e->judge;
    j->layers = s->layers;
    j->layer_count = s->layer_count;
    s2a_status status = judge_prefix_set(s->c, prefix->items, prefix->count, common, false, err);
    s->base = prefix->count;
    shared_find(s);
    for (size_t at = 0; at < s->branch_count && status == S2A_OK;)
        status = branches_decode(s, at, &at, err);
    j->layer_count = 0;
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
    if (status == S2A_OK && (status = judge_enter(s->c, false, err)) == S2A_OK) {
        status = score_inside(s, &prefix, common, err);
        judge_leave(s->c);
    }
    token_list_free(&prefix);
    return status;
}

/* The call of score or hidden, which differ in what s has of them. */
static s2a_status score_run(scoring *s, backend *self, const backend_message *messages, size_t count,
                            const backend_branch *branches, const char *const *labels,
                            const backend_params *params, backend_usage *usage, s2a_error *err)
{
    embedded *e = (embedded *)self;
    call c = { .e = e, .params = params, .start_ms = clock_ms(), .usage = usage };
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    int32_t *label_tokens = calloc(s->label_count + 1, sizeof *label_tokens);
    s->c = &c;
    s->labels = label_tokens;
    s->branches = calloc(s->branch_count + 1, sizeof *s->branches);
    log_lines *before = log_begin(&c.log, e->log, e->log_ctx);
    s2a_status status = s->branches && label_tokens
                            ? labels_read(e, labels, s->label_count, label_tokens, err)
                            : error_nomem(err);
    if (status == S2A_OK)
        status = score_call(s, messages, count, branches, err);
    log_end(&c.log, before);
    for (size_t i = 0; s->branches && i < s->branch_count; i++) {
        token_list_free(&s->branches[i].tokens);
        free(s->branches[i].at);
    }
    free(s->branches);
    free(label_tokens);
    usage->tokens.ms = clock_ms() - c.start_ms;
    return status;
}

/* The log-odds at each slot as logprob has them, from hidden states. */
static s2a_status lens_rows(const tuned_lens *l, const float *states, size_t slots, size_t label_count,
                            double *logprob, s2a_error *err)
{
    for (size_t i = 0; i < slots; i++) {
        double odds[LENS_ROWS];
        if (!lens_read(l, states + i * l->width, odds))
            return error_set(err, S2A_BACKEND, "a hidden state of the model is no number; is the model "
                                               "file whole? --lens off does without");
        for (size_t k = 0; k < label_count; k++)
            logprob[i * label_count + k] = k == 0 ? 0 : -odds[k - 1];
    }
    return S2A_OK;
}

s2a_status judge_score(backend *self, const backend_message *messages, size_t count,
                       const backend_branch *branches, size_t branch_count,
                       const char *const *labels, size_t label_count, const backend_params *params,
                       double *logprob, backend_usage *usage, s2a_error *err)
{
    const tuned_lens *l = params->lens;
    size_t slots = 0;
    scoring s = { .branch_count = branch_count, .label_count = label_count, .logprob = logprob };
    if (!l)
        return score_run(&s, self, messages, count, branches, labels, params, usage, err);
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    for (size_t i = 0; i < branch_count; i++)
        slots += branches[i].slot_count;
    if (label_count > LENS_ROWS + 1 || l->width != judge_hidden_width((embedded *)self))
        return error_set(err, S2A_ARGUMENT, "the lens is of another model, or of fewer labels");
    float *states = calloc(slots + 1, l->width * sizeof *states);
    if (!states)
        return error_nomem(err);
    s2a_status status = judge_hidden(self, messages, count, branches, branch_count, &l->layer, 1,
                                     params, states, usage, err);
    if (status == S2A_OK)
        status = lens_rows(l, states, slots, label_count, logprob, err);
    free(states);
    return status;
}

s2a_status judge_hidden(backend *self, const backend_message *messages, size_t count,
                        const backend_branch *branches, size_t branch_count,
                        const uint32_t *layers, size_t layer_count, const backend_params *params,
                        float *hidden, backend_usage *usage, s2a_error *err)
{
    const embedded *e = (embedded *)self;
    scoring s = { .branch_count = branch_count, .layers = layers, .layer_count = layer_count,
                  .hidden = hidden };
    int32_t layer_total = llama_model_n_layer(e->model);
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    for (size_t i = 0; i < layer_count; i++)
        if (layers[i] + 1 >= (uint32_t)layer_total || (i > 0 && layers[i] <= layers[i - 1]))
            return error_set(err, S2A_ARGUMENT, "layer %u: give ascending ones from 0 to %d",
                             (unsigned)layers[i], layer_total - 2);
    if (layer_count == 0)
        return error_set(err, S2A_ARGUMENT, "no layer is named");
    return score_run(&s, self, messages, count, branches, NULL, params, usage, err);
}
