/* The embedded engine: runs a GGUF model on this machine with libllama.
 *
 * A model has one context, whose KV cache is shared by KV_SLOTS sequences. llama/scheduler.c runs
 * the generations in it, several in one batch. Prompts are rendered and tokenised without its lock:
 * the model and its vocabulary are read-only.
 *
 * Numerics: the last bits of a token's logits depend on the number of tokens in its batch, because
 * kernels for one row and for many rows sum in different orders. A cached prefix, or other requests
 * at the same time, change a prompt's batches. So equal requests give equal text unless two tokens
 * are nearly tied. */
#include "backend/backend.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fnv.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "llama/chat_template.h"
#include "llama/common.h"
#include "llama/constrained.h"
#include "llama/embedded.h"
#include "llama/gguf_file.h"
#include "llama/library.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CTX_TOKENS_DEFAULT 8192
#define TIMEOUT_MS_DEFAULT 3600000u

/* ---- libllama, once a process ------------------------------------------------------------- */

/* libllama has one logger for the process. Lines that it logs on a thread belong to the engine for
 * which that thread works at the time. Other lines, such as those of its worker threads, are
 * dropped. */
static _Thread_local log_lines *thread_log;

static void log_line(enum ggml_log_level level, const char *text, void *unused)
{
    (void)unused;
    if (!thread_log)
        return;
    int ours = -1; /* GGML_LOG_LEVEL_CONT */
    if (level == GGML_LOG_LEVEL_ERROR)
        ours = 0;
    else if (level == GGML_LOG_LEVEL_WARN)
        ours = 1;
    else if (level == GGML_LOG_LEVEL_INFO)
        ours = 2;
    else if (level == GGML_LOG_LEVEL_DEBUG || level == GGML_LOG_LEVEL_NONE)
        ours = 3;
    log_lines_add(thread_log, ours, text);
}

log_lines *log_begin(log_lines *log, void (*fn)(void *, int, const char *), void *ctx)
{
    log_lines *before = thread_log; /* on_token and the log function may open engines */
    *log = (log_lines){ .log = fn, .log_ctx = ctx };
    thread_log = log;
    return before;
}

void log_end(log_lines *log, log_lines *before)
{
    log_lines_end(log);
    thread_log = before;
}

void library_log_here(void)
{
    llama_log_set(log_line, NULL);
}

/* ---- the chat_model ------------------------------------------------------------------------- */

static s2a_status chat_render(void *ctx, const chat_turn *turns, size_t count, buf *out)
{
    const embedded *e = ctx;
    struct llama_chat_message *messages = calloc(count + 1, sizeof *messages);
    if (!messages)
        return S2A_NOMEM;
    size_t size = 1024;
    for (size_t i = 0; i < count; i++) {
        messages[i] = (struct llama_chat_message){ turns[i].role, turns[i].content };
        size += strlen(turns[i].content) + 128;
    }
    s2a_status status = size > INT32_MAX / 2 ? S2A_LIMIT : S2A_OK;
    char *text = NULL;
    int32_t len = 0;
    while (status == S2A_OK) {
        free(text);
        text = malloc(size);
        if (!text) {
            status = S2A_NOMEM;
            break;
        }
        len = llama_chat_apply_template(e->template, messages, count, true, text, (int32_t)size);
        if (len < 0)
            status = S2A_BACKEND;
        if (len < 0 || (size_t)len <= size)
            break;
        size = (size_t)len;
    }
    if (status == S2A_OK) {
        buf_add(out, text, (size_t)len);
        status = out->status;
    }
    free(text);
    free(messages);
    return status;
}

/* chat_prompt adds the beginning-of-sequence token, so add_special is false: libllama would also
 * add an end-of-sequence token if the model file asks for one. */
s2a_status chat_tokenize(void *ctx, const char *text, size_t len, bool special, token_list *out)
{
    const embedded *e = ctx;
    if (len > INT32_MAX / 2)
        return S2A_LIMIT;
    int32_t n = -(int32_t)(len / 3 + 8);
    do { /* a negative result is minus the number of tokens */
        if (n == INT32_MIN)
            return S2A_LIMIT;
        if (!token_list_reserve(out, (size_t)-n))
            return S2A_NOMEM;
        size_t room = out->cap - out->count;
        n = llama_tokenize(e->vocab, text, (int32_t)len, out->items + out->count,
                           room > INT32_MAX ? INT32_MAX : (int32_t)room, false, special);
    } while (n < 0);
    out->count += (size_t)n;
    return S2A_OK;
}

static token_kind chat_kind(void *ctx, int32_t token)
{
    const embedded *e = ctx;
    enum llama_token_attr attr = llama_vocab_get_attr(e->vocab, token);
    if (attr & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN))
        return TOKEN_CONTROL;
    /* User-defined tokens are runs of white space and HTML tags in some models, and the template's
     * markers in some files. */
    if (attr & LLAMA_TOKEN_ATTR_USER_DEFINED) {
        const char *text = llama_vocab_get_text(e->vocab, token);
        if (strlen(text) >= 3 && strpbrk(text, "<[|"))
            return TOKEN_MARK;
    }
    return TOKEN_TEXT;
}

static void chat_text(void *ctx, int32_t token, char *out, size_t size)
{
    const embedded *e = ctx;
    int32_t n = llama_token_to_piece(e->vocab, token, out, (int32_t)size - 1, 0, true);
    out[n > 0 ? n : 0] = '\0';
}

/* ---- opening -------------------------------------------------------------------------------- */

static s2a_status open_model(embedded *e, const s2a_engine_options *options, log_lines *log,
                             s2a_error *err)
{
    struct llama_model_params params = llama_model_default_params();
    ggml_backend_dev_t no_devices[] = { NULL };
    params.load_mode = LLAMA_LOAD_MODE_MMAP;
    params.n_gpu_layers = options->gpu_layers;
    if (options->gpu_layers == 0)
        params.devices = no_devices; /* otherwise large batches would still be sent there */
    e->model = llama_model_load_from_file(options->model, params);
    if (!e->model && options->gpu_layers < 0 && llama_supports_gpu_offload()) {
        /* Probably not all layers fit. */
        params.n_gpu_layers = 0;
        params.devices = no_devices;
        e->model = llama_model_load_from_file(options->model, params);
        if (e->model && e->log)
            e->log(e->log_ctx, 1,
                   "the model does not fit on the GPU: it runs on the CPU; set the "
                   "number of GPU layers to use both");
    }
    log_lines_end(log);
    if (!e->model)
        return error_set(err, S2A_MODEL,
                         "%s: cannot load the model: %s; the file may be incomplete: compare its "
                         "size and sha256, or download it again",
                         options->model, log_lines_fault(log, "unknown cause"));
    gguf_file_release(options->model);
    e->vocab = llama_model_get_vocab(e->model);
    if (!llama_model_has_decoder(e->model) || llama_model_has_encoder(e->model) ||
        llama_model_is_diffusion(e->model) || llama_vocab_type(e->vocab) == LLAMA_VOCAB_TYPE_NONE)
        return error_set(err, S2A_MODEL,
                         "%s: not a model that continues text (no decoder); use a chat model",
                         options->model);
    for (int32_t i = 0; i < llama_vocab_n_tokens(e->vocab); i++) {
        size_t len = strlen(llama_vocab_get_text(e->vocab, i));
        if (len > e->longest_token)
            e->longest_token = len;
    }
    return S2A_OK;
}

/* The model's display name: the file's general.name, or the name of the file. */
static s2a_status open_name(embedded *e, const char *path)
{
    char value[256];
    buf name;
    utf8_stream stream = { .need = 0 };
    buf_init(&name, 4 * sizeof value);
    int32_t n = llama_model_meta_val_str(e->model, "general.name", value, sizeof value);
    if (n > 0)
        utf8_stream_add(&stream, value, strlen(value), &name);
    e->name = name.len > 0 ? buf_take(&name, NULL) : gguf_file_name(path);
    buf_free(&name);
    return e->name ? S2A_OK : S2A_NOMEM;
}

static s2a_status open_chat(embedded *e, const char *path, s2a_error *err)
{
    e->template = llama_model_chat_template(e->model, NULL);
    if (!e->template)
        return error_set(err, S2A_MODEL, "%s: has no chat template; use an instruct or chat model",
                         path);
    struct llama_chat_message probe = { "user", "x" };
    if (llama_chat_apply_template(e->template, &probe, 1, true, NULL, 0) < 0)
        return error_set(err, S2A_MODEL,
                         "%s: libllama does not know its chat template; use another model, or "
                         "a server with the http backend",
                         path);
    buf system;
    buf_init(&system, LIMIT_INPUT_BYTES);
    if (chat_template_default_system(e->template, &system))
        e->default_system = buf_take(&system, NULL);
    s2a_status status = system.status;
    buf_free(&system);
    if (status != S2A_OK)
        return error_nomem(err);
    /* libllama's renderer never writes the template's bos_token; the Jinja template would. */
    bool bos = llama_vocab_get_add_bos(e->vocab) || strstr(e->template, "bos_token");
    e->chat = (chat_model){ .ctx = e,
                            .render = chat_render,
                            .tokenize = chat_tokenize,
                            .kind = chat_kind,
                            .text = chat_text,
                            .default_system = e->default_system,
                            .bos = bos ? llama_vocab_bos(e->vocab) : -1 };
    return S2A_OK;
}

/* Whether the KV cache fits the machine's memory. The kernel promises any amount and kills the
 * process later, so a context that cannot fit is refused by this estimate. */
static bool ctx_fits(const embedded *e, uint32_t ctx_tokens, uint32_t kv_bits)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    int32_t heads = llama_model_n_head(e->model);
    if (pages <= 0 || page <= 0 || heads <= 0 || llama_supports_gpu_offload())
        return true;
    double head = (double)llama_model_n_embd(e->model) / heads;
    double row = head * llama_model_n_head_kv(e->model) * 2 /* K and V */ * kv_bits / 8;
    return row * llama_model_n_layer(e->model) * ctx_tokens < (double)pages * (double)page;
}

static s2a_status open_context(embedded *e, const s2a_engine_options *options, log_lines *log,
                               s2a_error *err)
{
    struct llama_context_params params = llama_context_default_params();
    int32_t trained = llama_model_n_ctx_train(e->model);
    uint32_t kv_bits = options->kv_bits ? options->kv_bits : 16;
    if (kv_bits != 8 && kv_bits != 16)
        return error_set(err, S2A_ARGUMENT, "kv_bits: %u; use 8 or 16, the bits per KV value",
                         kv_bits);
    params.n_ctx = options->ctx_tokens;
    if (params.n_ctx == 0) {
        params.n_ctx = CTX_TOKENS_DEFAULT;
        if (trained > 0 && trained < CTX_TOKENS_DEFAULT)
            params.n_ctx = (uint32_t)trained;
    }
    params.n_batch = params.n_ubatch = BATCH_TOKENS;
    params.n_outputs_max = BATCH_OUTPUTS;
    params.n_seq_max = KV_SLOTS;
    params.kv_unified = true;
    if (kv_bits == 8) { /* V needs flash attention for this */
        params.type_k = params.type_v = GGML_TYPE_Q8_0;
        params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    }
    params.abort_callback = call_aborted;
    params.abort_callback_data = e;
    e->batch = llama_batch_init(BATCH_TOKENS, 0, 1);
    tuning threads = threads_choose(e, options, &params);
    log->fault[0] = '\0';
    if (ctx_fits(e, params.n_ctx, kv_bits))
        e->ctx = llama_init_from_model(e->model, params);
    log_lines_end(log);
    if (!e->ctx)
        return error_set(
            err, S2A_NOMEM, "%s: no context of %u tokens: %s; set a smaller one (--ctx)",
            options->model, params.n_ctx, log_lines_fault(log, "it does not fit in memory"));
    e->memory = llama_get_memory(e->ctx);
    if (!e->memory)
        return error_set(err, S2A_MODEL,
                         "%s: not a model that continues text (no decoder); use a chat model",
                         options->model);
    threads_open(e, e->ctx, &threads);
    e->ctx_tokens = llama_n_ctx_seq(e->ctx);
    e->whole_slots = llama_model_is_recurrent(e->model) || llama_model_is_hybrid(e->model);
    if (!kv_slots_init(&e->slots, e->ctx_tokens))
        return error_nomem(err);
    e->own_gate_ready = gate_init(&e->own_gate);
    e->gate = &e->own_gate;
    e->judge_gate_ready = gate_init(&e->judge_gate);
    return e->own_gate_ready && e->judge_gate_ready && scheduler_init(e) ? S2A_OK
                                                                         : error_nomem(err);
}

static void embedded_close(backend *self)
{
    embedded *e = (embedded *)self;
    if (e->scheduler_ready)
        scheduler_destroy(e);
    if (e->own_gate_ready)
        gate_destroy(&e->own_gate);
    if (e->judge_gate_ready)
        gate_destroy(&e->judge_gate);
    kv_slots_free(&e->slots);
    if (e->batch.token)
        llama_batch_free(e->batch);
    judge_free(e);
    common_chat_close(e->templates);
    if (e->ctx)
        llama_free(e->ctx);
    threads_close(e);
    if (e->model)
        llama_model_free(e->model);
    free(e->cache_dir);
    free(e->default_system);
    free(e->name);
    free(e);
}

/* ---- generating ----------------------------------------------------------------------------- */

s2a_status call_check(const call *c, s2a_error *err)
{
    if (cancel_fired(c->params->cancel))
        return error_set(err, S2A_CANCELLED, "cancelled");
    if (clock_ms() - c->start_ms > (double)c->e->timeout_ms)
        return error_set(err, S2A_TIMEOUT,
                         "no complete answer within %u ms; raise the request "
                         "timeout or ask for less",
                         c->e->timeout_ms);
    return S2A_OK;
}

bool call_gives_up(void *ctx)
{
    return call_check(ctx, NULL) != S2A_OK;
}

bool call_aborted(void *ctx)
{
    const embedded *e = ctx;
    for (size_t i = 0; i < e->step_count; i++)
        if (!call_gives_up(e->step[i]))
            return false;
    return e->step_count > 0;
}

/* Adds a sampler; if it is NULL (out of memory), clears *ok. */
static void chain_add(struct llama_sampler *chain, struct llama_sampler *next, bool *ok)
{
    if (next)
        llama_sampler_chain_add(chain, next);
    else
        *ok = false;
}

/* Adds the samplers that change logits, which come before those that drop tokens. */
static bool logits_changed(const embedded *e, const backend_params *params,
                           struct llama_sampler *chain)
{
    bool ok = true;
    int32_t vocab = llama_vocab_n_tokens(e->vocab);
    if (params->bias_count > 0) {
        llama_logit_bias *biases = calloc(params->bias_count, sizeof *biases);
        for (size_t i = 0; biases && i < params->bias_count; i++)
            biases[i] = (llama_logit_bias){ (llama_token)params->biases[i].token,
                                            (float)params->biases[i].bias };
        ok = biases != NULL;
        if (ok)
            chain_add(chain,
                      llama_sampler_init_logit_bias(vocab, (int32_t)params->bias_count, biases),
                      &ok);
        free(biases);
    }
    float frequency = (float)params->frequency_penalty, presence = (float)params->presence_penalty;
    if (ok && (params->frequency_penalty != 0 || params->presence_penalty != 0))
        chain_add(
            chain,
            llama_sampler_init_penalties(vocab, (int32_t)e->ctx_tokens, 1, frequency, presence),
            &ok);
    return ok;
}

/* The samplers have llama.cpp's order, so that a request gives the same distribution here and on a
 * llama-server. The paper's code divides by the temperature first, which at 0.6 makes the nucleus
 * of 0.9 a little smaller. NULL when out of memory. */
static struct llama_sampler *sampler_new(const embedded *e, const backend_params *params)
{
    struct llama_sampler_chain_params defaults = llama_sampler_chain_default_params();
    struct llama_sampler *chain = llama_sampler_chain_init(defaults);
    if (!chain)
        return NULL;
    bool ok = logits_changed(e, params, chain);
    if (params->temperature <= 0) {
        chain_add(chain, llama_sampler_init_greedy(), &ok);
    } else {
        /* LLAMA_DEFAULT_SEED means a random seed, but each of our seeds must be repeatable. */
        uint32_t seed = params->seed == LLAMA_DEFAULT_SEED ? LLAMA_DEFAULT_SEED - 1 : params->seed;
        if (params->top_k > 0 && params->top_k < INT32_MAX)
            chain_add(chain, llama_sampler_init_top_k((int32_t)params->top_k), &ok);
        chain_add(chain, llama_sampler_init_top_p((float)params->top_p, 1), &ok);
        if (params->min_p > 0)
            chain_add(chain, llama_sampler_init_min_p((float)params->min_p, 1), &ok);
        chain_add(chain, llama_sampler_init_temp((float)params->temperature), &ok);
        chain_add(chain, llama_sampler_init_dist(seed), &ok);
    }
    if (ok)
        return chain;
    llama_sampler_free(chain);
    return NULL;
}

static s2a_status check_biases(const embedded *e, const backend_params *params, s2a_error *err)
{
    uint32_t vocab = (uint32_t)llama_vocab_n_tokens(e->vocab);
    for (size_t i = 0; i < params->bias_count; i++)
        if (params->biases[i].token >= vocab)
            return error_set(err, S2A_ARGUMENT, "logit_bias: the model has no token %u; it has %u",
                             params->biases[i].token, vocab);
    return S2A_OK;
}

/* Tokenising is quick but cannot be cancelled. So a prompt that could not fit even with the longest
 * tokens is refused by its bytes. */
static s2a_status check_bytes(const embedded *e, const backend_message *messages, size_t count,
                              const backend_params *params, s2a_error *err)
{
    size_t bytes = params->chat_fields ? strlen(params->chat_fields) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *fields = params->message_fields ? params->message_fields[i] : NULL;
        bytes += messages[i].len + (fields ? strlen(fields) : 0);
    }
    size_t tokens = bytes / (e->longest_token ? e->longest_token : 1);
    if (tokens <= e->ctx_tokens)
        return S2A_OK;
    return error_set(err, S2A_LIMIT,
                     "prompt is more than %zu tokens, the context has room for %u; raise "
                     "--ctx or shorten it",
                     tokens, e->ctx_tokens);
}

static s2a_status generate_call(call *c, const chat_model *chat, const backend_message *messages,
                                size_t count, const backend_draft *copied, s2a_error *err)
{
    embedded *e = c->e;
    s2a_status status = check_bytes(e, messages, count, c->params, err);
    if (status == S2A_OK)
        status = check_biases(e, c->params, err);
    if (status == S2A_OK)
        status = chat_prompt_tokens(chat, messages, count, &c->tokens, NULL, err);
    if (status != S2A_OK)
        return status;
    c->usage->tokens.prompt_tokens = c->prompt_count = c->tokens.count;
    if (c->tokens.count == 0)
        return error_set(err, S2A_BACKEND, "the prompt is empty; give at least one message");
    if (c->tokens.count > e->ctx_tokens)
        return error_set(err, S2A_LIMIT,
                         "prompt is %zu tokens, the context has room for %u; raise --ctx "
                         "or shorten it",
                         c->tokens.count, e->ctx_tokens);
    draft d;
    if (copied && e->drafts && !e->whole_slots) {
        if (!draft_open(&d, e, &c->tokens, copied))
            return error_nomem(err);
        c->draft = &d;
    }
    c->sampler = c->plan ? NULL : sampler_new(e, c->params);
    status = c->sampler || c->plan ? scheduler_run(c, err) : error_nomem(err);
    if (c->draft)
        draft_free(c->draft);
    c->draft = NULL;
    return status;
}

/* generate_call, with tools, message fields or a schema if the parameters have them. */
static s2a_status generate_with(call *c, const backend_message *messages, size_t count,
                                const backend_draft *copied, s2a_error *err)
{
    constrained k;
    if (!constrained_wanted(c->params))
        return generate_call(c, &c->e->chat, messages, count, copied, err);
    s2a_status status = constrained_open(&k, c->e, messages, count, c->params, true, err);
    if (status == S2A_OK) {
        k.on_token = c->on_token;
        k.on_token_ctx = c->on_token_ctx;
        c->plan = k.plan;
        if (k.reads) {
            c->on_token = constrained_token;
            c->on_token_ctx = &k;
        }
        if (k.stops)
            c->stops = (stop_scan){ .stops = k.stops, .count = k.stop_count };
        status =
            generate_call(c, k.templated ? &k.model : &c->e->chat, messages, count, copied, err);
        if (c->usage->stop > c->params->stop_count)
            c->usage->stop = 0; /* a stop of the template */
    }
    if (status == S2A_OK && k.reads)
        status = constrained_end(&k, c->usage, err);
    c->plan = NULL;
    constrained_close(&k);
    return status;
}

static s2a_status embedded_generate(backend *self, const backend_message *messages, size_t count,
                                    const backend_params *params, const backend_draft *copied,
                                    backend_token_fn on_token, void *on_token_ctx,
                                    backend_usage *usage, s2a_error *err)
{
    embedded *e = (embedded *)self;
    call c = { .e = e,
               .params = params,
               .start_ms = clock_ms(),
               .usage = usage,
               .on_token = on_token,
               .on_token_ctx = on_token_ctx,
               .slot = -1,
               .stops = { .stops = params->stops, .count = params->stop_count } };
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    buf_init(&c.text, LIMIT_OUTPUT_BYTES);
    log_lines *before = log_begin(&c.log, e->log, e->log_ctx);
    s2a_status status = generate_with(&c, messages, count, copied, err);
    log_end(&c.log, before);
    if (c.sampler)
        llama_sampler_free(c.sampler);
    token_list_free(&c.tokens);
    stop_scan_free(&c.stops);
    free(c.probs);
    buf_free(&c.text);
    usage->tokens.ms = clock_ms() - c.start_ms;
    return status;
}

static size_t embedded_count_tokens(backend *self, const char *text, size_t len)
{
    embedded *e = (embedded *)self;
    utf8_stream stream = { .need = 0 };
    token_list tokens = { 0 };
    buf valid;
    buf_init(&valid, 8 * LIMIT_INPUT_BYTES);
    utf8_stream_add(&stream, text, len, &valid); /* libllama throws on bytes beyond U+10FFFF */
    utf8_stream_end(&stream, &valid);
    s2a_status status = valid.status;
    if (status == S2A_OK && valid.len > 0)
        status = chat_tokenize(e, valid.data, valid.len, false, &tokens);
    size_t count = status == S2A_OK ? tokens.count : len;
    token_list_free(&tokens);
    buf_free(&valid);
    return count;
}

static s2a_status embedded_count_prompt(backend *self, const backend_message *messages,
                                        size_t count, const backend_params *params, size_t *tokens,
                                        s2a_error *err)
{
    embedded *e = (embedded *)self;
    token_list list = { 0 };
    constrained k = { .templated = false };
    bool wanted = constrained_wanted(params);
    s2a_status status = check_bytes(e, messages, count, params, err);
    if (status == S2A_OK && wanted)
        status = constrained_open(&k, e, messages, count, params, false, err);
    if (status == S2A_OK)
        status = chat_prompt_tokens(k.templated ? &k.model : &e->chat, messages, count, &list, NULL,
                                    err);
    if (wanted)
        constrained_close(&k);
    *tokens = list.count;
    token_list_free(&list);
    return status;
}

static backend_capabilities embedded_capabilities(const backend *self)
{
    const embedded *e = (const embedded *)self;
    return (backend_capabilities){ .model = e->name,
                                   .kernels = library_kernels(),
                                   .ctx_tokens = e->ctx_tokens,
                                   .read_tokens = judge_tokens(e),
                                   .counts_tokens = true,
                                   .can_draft = e->drafts && !e->whole_slots,
                                   .can_read = !e->whole_slots,
                                   .hidden_width = judge_hidden_width(e),
                                   .layers = (uint32_t)llama_model_n_layer(e->model),
                                   .weights_id = e->weights_id,
                                   .gate = e->gate };
}

static const backend_vtable embedded_vtable = {
    .generate = embedded_generate,
    .count_tokens = embedded_count_tokens,
    .count_prompt = embedded_count_prompt,
    .read = judge_read,
    .capabilities = embedded_capabilities,
    .close = embedded_close,
};

/* Sets the directory for threads_choose's measurements, and this model file's id in it. False when
 * out of memory. */
static bool cache_open(embedded *e, const char *dir, const char *model_path)
{
    struct stat info;
    if (!dir || stat(model_path, &info) != 0)
        return true;
    int64_t facts[] = { info.st_size,
                        info.st_mtim.tv_sec,
                        info.st_mtim.tv_nsec,
                        (int64_t)info.st_ino,
                        (int64_t)llama_model_size(e->model),
                        llama_model_n_layer(e->model) };
    e->cache_id = fnv_add(FNV_START, facts, sizeof facts);
    e->cache_dir = bytes_dup(dir, strlen(dir));
    return e->cache_dir != NULL;
}

s2a_status backend_llama_open(const s2a_engine_options *options, const backend *judge,
                              backend **out, s2a_error *err)
{
    *out = NULL;
    if (!options->model || !*options->model)
        return error_set(err, S2A_ARGUMENT,
                         "backend llama: no model; give the path of a GGUF file");
    s2a_status status = gguf_file_check(options->model, err);
    if (status != S2A_OK)
        return status;
    embedded *e = calloc(1, sizeof *e);
    if (!e)
        return error_nomem(err);
    e->base.vtable = &embedded_vtable;
    e->log = options->log;
    e->log_ctx = options->log_ctx;
    e->drafts = options->draft;
    e->timeout_ms = options->request_timeout_ms ? options->request_timeout_ms : TIMEOUT_MS_DEFAULT;
    log_lines log;
    log_lines *before = log_begin(&log, e->log, e->log_ctx);
    status = library_load(options->library_dir, options->kernels, err);
    if (status == S2A_OK)
        status = open_model(e, options, &log, err);
    if (status == S2A_OK && (status = open_name(e, options->model)) != S2A_OK)
        error_nomem(err);
    if (status == S2A_OK)
        status = open_chat(e, options->model, err);
    e->weights_id = status == S2A_OK ? gguf_file_id(options->model) : 0;
    if (status == S2A_OK && !cache_open(e, options->cache_dir, options->model))
        status = error_nomem(err);
    if (status == S2A_OK)
        status = open_context(e, options, &log, err);
    log_end(&log, before);
    if (status != S2A_OK) {
        embedded_close(&e->base);
        return status;
    }
    gate *shared = judge ? judge->vtable->capabilities(judge).gate : NULL;
    e->gate = shared ? shared : e->gate;
    *out = &e->base;
    return S2A_OK;
}
