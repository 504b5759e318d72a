/* Reads a text without generating: one pass over the prompt, which ends after the last layer that
 * is read, and linear maps of the hidden states on the way.
 *
 * The pass has a separate context. It is made on first use, and again, larger, when a text does not
 * fit. The thread in judge_gate owns it, and enters the engine's gate for each decode: between two
 * of them other calls compute. */
#include "backend/llama/embedded.h"
#include "base/clock.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Room for a window of mode select, read twice, and the text around it. */
#define JUDGE_CTX_TOKENS 6656u
#define JUDGE_CTX_LEAST 1024u

/* The context, and the state of the current pass. */
typedef struct judge {
    struct llama_context *ctx;
    llama_memory_t memory;
    struct llama_batch batch;
    uint32_t ctx_tokens;

    const backend_head *head;
    const size_t *from, *to; /* tokens of each wanted piece */
    size_t piece_count;
    size_t at;    /* tokens decoded before the current graph */
    size_t first; /* the first piece that ends after those tokens */
    size_t width;
    float *row;   /* one hidden state */
    float *means; /* [layer][width]: the current piece's, so far */
    double *told; /* the result: either told or states */
    float *states;
    bool failed; /* the model has no such states */
} judge;

/* ---- states ------------------------------------------------------------------------------- */

static double dot(const float *a, const float *b, size_t n)
{
    float sum[8] = { 0 };
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            sum[k] += a[i + k] * b[i + k];
    double all = 0;
    for (size_t k = 0; k < 8; k++)
        all += (double)sum[k];
    for (; i < n; i++)
        all += (double)(a[i] * b[i]);
    return all;
}

/* Divides the row by its root mean square; false if a number is not finite. */
static bool normalise(float *row, size_t width)
{
    double square = 0;
    for (size_t i = 0; i < width; i++)
        square += (double)row[i] * (double)row[i];
    if (!isfinite(square))
        return false;
    float scale = (float)(1 / sqrt(square / (double)width + 1e-9));
    for (size_t i = 0; i < width; i++)
        row[i] *= scale;
    return true;
}

/* Adds row, the state of token number `token`, to the mean of piece p in this layer. At the piece's
 * last token it adds the layer's part of the results: once a piece, because a head has many
 * rows. */
static void take(judge *j, size_t layer, size_t p, size_t token)
{
    size_t pair = 2 * j->width;
    float *mean = j->means + layer * j->width, share = 1 / (float)(j->to[p] - j->from[p]);
    if (token == j->from[p])
        memset(mean, 0, j->width * sizeof *mean);
    for (size_t i = 0; i < j->width; i++)
        mean[i] += share * j->row[i];
    if (token + 1 < j->to[p])
        return;
    for (size_t r = 0; r < j->head->row_count && j->told; r++) {
        const float *map = j->head->rows + (r * j->head->layer_count + layer) * pair;
        j->told[p * j->head->row_count + r] +=
            dot(map, j->row, j->width) + dot(map + j->width, mean, j->width);
    }
    if (j->states) {
        float *out = j->states + (p * j->head->layer_count + layer) * pair;
        memcpy(out, j->row, j->width * sizeof *out);
        memcpy(out + j->width, mean, j->width * sizeof *out);
    }
}

/* l_out-LAYER is [width, tokens]: the layer's output for this graph's tokens. */
static void states_take(judge *j, const struct ggml_tensor *t, size_t layer)
{
    size_t count = (size_t)t->ne[1], p = j->first;
    if (t->type != GGML_TYPE_F32 || (size_t)t->ne[0] != j->width) {
        j->failed = true;
        return;
    }
    for (; p < j->piece_count && j->from[p] < j->at + count; p++)
        for (size_t k = j->from[p] > j->at ? j->from[p] : j->at; k < j->to[p] && k < j->at + count;
             k++) {
            ggml_backend_tensor_get(t, j->row, (k - j->at) * t->nb[1], j->width * sizeof *j->row);
            j->failed |= !normalise(j->row, j->width);
            take(j, layer, p, k);
        }
    if (layer + 1 < j->head->layer_count)
        return;
    j->at += count;
    while (j->first < j->piece_count && j->to[j->first] <= j->at)
        j->first++;
}

/* The index, among the layers that are read, of the layer that made the tensor; layer_count =
 * none. */
static size_t layer_of(const judge *j, const struct ggml_tensor *t)
{
    static const char name[] = "l_out-";
    size_t i = 0, count = j->head ? j->head->layer_count : 0;
    if (count == 0 || strncmp(t->name, name, sizeof name - 1) != 0)
        return count;
    unsigned long layer = strtoul(t->name + sizeof name - 1, NULL, 10);
    while (i < count && j->head->layers[i] != layer)
        i++;
    return i;
}

/* libllama calls it before (ask) and after it computes a tensor. False after the last wanted layer
 * ends the graph. */
static bool on_tensor(struct ggml_tensor *t, bool ask, void *ctx)
{
    judge *j = ctx;
    size_t layer = layer_of(j, t), count = j->head ? j->head->layer_count : 0;
    if (layer == count)
        return !ask; /* not wanted; continue */
    if (!ask)
        states_take(j, t, layer);
    return ask || layer + 1 < count;
}

/* ---- the context -------------------------------------------------------------------------- */

size_t judge_hidden_width(const embedded *e)
{
    return e->whole_slots ? 0 : (size_t)llama_model_n_embd(e->model);
}

void judge_free(embedded *e)
{
    judge *j = e->judge;
    if (!j)
        return;
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

/* Makes the context large enough for that many tokens, at most judge_tokens. */
static s2a_status judge_open(embedded *e, size_t tokens, s2a_error *err)
{
    if (e->judge && e->judge->ctx_tokens >= tokens)
        return S2A_OK;
    judge_free(e);
    judge *j = e->judge = calloc(1, sizeof *j);
    if (!j)
        return error_nomem(err);
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = JUDGE_CTX_LEAST;
    while (params.n_ctx < tokens)
        params.n_ctx *= 2;
    if (params.n_ctx > judge_tokens(e))
        params.n_ctx = judge_tokens(e);
    params.n_batch = params.n_ubatch = BATCH_TOKENS;
    params.n_outputs_max = 1;
    params.n_seq_max = 1;
    params.n_threads = llama_n_threads(e->ctx);
    params.n_threads_batch = llama_n_threads_batch(e->ctx);
    params.cb_eval = on_tensor;
    params.cb_eval_user_data = j;
    params.abort_callback = call_aborted;
    params.abort_callback_data = e;
    j->width = judge_hidden_width(e);
    j->row = calloc(j->width + 1, sizeof *j->row);
    j->ctx = llama_init_from_model(e->model, params);
    if (j->ctx) {
        if (e->threads)
            llama_attach_threadpool(j->ctx, e->threads, NULL);
        j->memory = llama_get_memory(j->ctx);
        j->batch = llama_batch_init(BATCH_TOKENS, 0, 1);
        j->ctx_tokens = llama_n_ctx_seq(j->ctx);
    }
    if (!j->row || !j->ctx || !j->memory || !j->batch.token) {
        judge_free(e);
        return error_set(err, S2A_NOMEM,
                         "no context for mode select: out of memory; set a smaller "
                         "--ctx");
    }
    return S2A_OK;
}

/* ---- turns -------------------------------------------------------------------------------- */

static s2a_status pass(gate *g, call *c, s2a_error *err)
{
    if (gate_enter(g, call_gives_up, c))
        return S2A_OK;
    s2a_status status = call_check(c, err);
    return status != S2A_OK ? status : error_set(err, S2A_INTERNAL, "gate without a reason");
}

/* Waits until the call may compute; call compute_end after S2A_OK. */
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

static s2a_status judge_enter(call *c, size_t tokens, s2a_error *err)
{
    embedded *e = c->e;
    s2a_status status = pass(&e->judge_gate, c, err);
    if (status != S2A_OK)
        return status;
    status = compute_begin(c, err);
    if (status == S2A_OK) {
        status = judge_open(e, tokens, err);
        compute_end(c);
    }
    if (status != S2A_OK)
        gate_leave(&e->judge_gate);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------ */

static s2a_status decode(call *c, const int32_t *tokens, size_t at, size_t n, s2a_error *err)
{
    judge *j = c->e->judge;
    j->batch.n_tokens = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        j->batch.token[i] = tokens[at + i];
        j->batch.pos[i] = (llama_pos)(at + i);
        j->batch.n_seq_id[i] = 1;
        j->batch.seq_id[i][0] = 0;
        j->batch.logits[i] = false;
    }
    s2a_status status = compute_begin(c, err);
    if (status != S2A_OK)
        return status;
    int32_t rc = llama_decode(j->ctx, j->batch);
    llama_synchronize(j->ctx);
    compute_end(c);
    if (rc == 0)
        return S2A_OK;
    status = rc == 2 ? call_check(c, err) : S2A_OK;
    if (status != S2A_OK)
        return status;
    log_lines_end(&c->log);
    return error_set(err, S2A_BACKEND, "llama_decode failed with %d: %s; try a smaller context", rc,
                     log_lines_fault(&c->log, "no cause given"));
}

/* Decodes all tokens; on_tensor takes the states. */
static s2a_status tokens_read(call *c, const token_list *tokens, s2a_error *err)
{
    judge *j = c->e->judge;
    s2a_status status = S2A_OK;
    llama_memory_clear(j->memory, false);
    for (size_t at = 0, n; at < tokens->count && status == S2A_OK; at += n) {
        n = tokens->count - at < BATCH_TOKENS ? tokens->count - at : BATCH_TOKENS;
        status = decode(c, tokens->items, at, n, err);
    }
    if (status == S2A_OK && (j->failed || j->at != tokens->count))
        status = error_set(err, S2A_UNSUPPORTED,
                           "this model's hidden states cannot be read; use mode rewrite");
    return status;
}

typedef struct reading {
    token_list tokens;
    size_t *from, *to; /* of the wanted pieces */
    size_t wanted;
} reading;

static s2a_status tokens_make(call *c, const backend_message *messages, size_t count,
                              const backend_piece *pieces, size_t piece_count, reading *r,
                              s2a_error *err)
{
    embedded *e = c->e;
    r->from = calloc(piece_count + 1, sizeof *r->from);
    r->to = calloc(piece_count + 1, sizeof *r->to);
    if (!r->from || !r->to)
        return error_nomem(err);
    s2a_status status = chat_prompt_tokens(&e->chat, messages, count, &r->tokens, NULL, err);
    for (size_t i = 0; i < piece_count && status == S2A_OK; i++) {
        size_t before = r->tokens.count;
        status = chat_tokenize(e, pieces[i].text, pieces[i].len, false, &r->tokens);
        if (status != S2A_OK)
            return error_nomem(err);
        if (!pieces[i].wanted)
            continue;
        if (r->tokens.count == before)
            return error_set(err, S2A_ARGUMENT, "a wanted piece has no tokens");
        r->from[r->wanted] = before;
        r->to[r->wanted++] = r->tokens.count;
    }
    uint32_t most = judge_tokens(e);
    if (status == S2A_OK && r->tokens.count > most)
        status =
            error_set(err, S2A_LIMIT,
                      "mode select: the text has %zu tokens, its context has room for %u; shorten "
                      "the question, or use mode rewrite",
                      r->tokens.count, most);
    return status;
}

static s2a_status read_call(call *c, const reading *r, const backend_head *head, double *told,
                            float *states, s2a_error *err)
{
    float *means = calloc(head->layer_count * judge_hidden_width(c->e) + 1, sizeof *means);
    s2a_status status = means ? judge_enter(c, r->tokens.count, err) : error_nomem(err);
    if (status != S2A_OK) {
        free(means);
        return status;
    }
    judge *j = c->e->judge;
    memset(told ? (void *)told : (void *)states, 0,
           told ? r->wanted * head->row_count * sizeof *told
                : r->wanted * head->layer_count * 2 * j->width * sizeof *states);
    j->head = head;
    j->from = r->from;
    j->to = r->to;
    j->piece_count = r->wanted;
    j->at = j->first = 0;
    j->told = told;
    j->states = states;
    j->means = means;
    j->failed = false;
    status = tokens_read(c, &r->tokens, err);
    j->head = NULL;
    gate_leave(&c->e->judge_gate);
    free(means);
    return status;
}

static s2a_status layers_check(const embedded *e, const backend_head *head, s2a_error *err)
{
    int32_t total = llama_model_n_layer(e->model);
    if (e->whole_slots)
        return error_set(
            err, S2A_UNSUPPORTED,
            "this model is recurrent: it has no hidden states of tokens; use mode rewrite");
    for (size_t i = 0; i < head->layer_count; i++)
        if (head->layers[i] + 1 >= (uint32_t)total ||
            (i > 0 && head->layers[i] <= head->layers[i - 1]))
            return error_set(err, S2A_ARGUMENT, "layer %u: give ascending layers from 0 to %d",
                             (unsigned)head->layers[i], total - 2);
    return head->layer_count > 0 ? S2A_OK
                                 : error_set(err, S2A_ARGUMENT, "no layers: give at least one");
}

s2a_status judge_read(backend *self, const backend_message *messages, size_t count,
                      const backend_piece *pieces, size_t piece_count, const backend_head *head,
                      const backend_params *params, double *told, float *states,
                      backend_usage *usage, s2a_error *err)
{
    embedded *e = (embedded *)self;
    call c = { .e = e, .params = params, .start_ms = clock_ms(), .usage = usage };
    reading r = { .wanted = 0 };
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    s2a_status status = layers_check(e, head, err);
    if (status != S2A_OK)
        return status;
    log_lines *before = log_begin(&c.log, e->log, e->log_ctx);
    status = tokens_make(&c, messages, count, pieces, piece_count, &r, err);
    usage->tokens.prompt_tokens = r.tokens.count;
    if (status == S2A_OK)
        status = read_call(&c, &r, head, told, states, err);
    log_end(&c.log, before);
    token_list_free(&r.tokens);
    free(r.from);
    free(r.to);
    usage->tokens.ms = clock_ms() - c.start_ms;
    return status;
}
