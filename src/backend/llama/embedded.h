/* The embedded engine's state, shared by llama.c (generating) and llama/judge.c (reading what the
 * model thinks of a text). The only file that includes llama.h. */
#ifndef S2A_LLAMA_EMBEDDED_H
#define S2A_LLAMA_EMBEDDED_H

#include "backend/backend.h"
#include "backend/llama/chat_prompt.h"
#include "backend/llama/gate.h"
#include "backend/llama/kv_slots.h"
#include "backend/llama/log_lines.h"
#include "backend/llama/utf8_stream.h"
#include "core/buf.h"

#include <llama.h>

#define BATCH_TOKENS 512 /* of one llama_decode: a cancel is looked for between two */
#define BATCH_OUTPUTS 64 /* rows of logits that one llama_decode may give */

struct call;

typedef struct embedded {
    backend base;
    struct llama_model *model;
    const struct llama_vocab *vocab;
    const char *template;
    chat_model chat;
    char *name, *default_system;
    uint32_t ctx_tokens, timeout_ms;
    size_t longest_token; /* bytes */
    void (*log)(void *ctx, int level, const char *line);
    void *log_ctx;

    gate gate; /* whoever is in owns all below */
    bool gate_ready;
    struct llama_context *ctx;
    llama_memory_t memory;
    struct llama_batch batch;
    bool whole_slots; /* recurrent state: a sequence cannot be cut back or copied in part */
    kv_slots slots;
    struct call *call;
    struct judge *judge; /* NULL until it is needed */
} embedded;

/* One generation. */
typedef struct call {
    embedded *e;
    const backend_params *params;
    double start_ms;
    backend_usage *usage;
    backend_token_fn on_token;
    void *on_token_ctx;
    int slot;
    utf8_stream stream;
    buf text; /* what the token at hand completes */
    size_t text_bytes;
    log_lines log;
    bool ended; /* usage->finish says how */
} call;

/* S2A_OK, or why the call may not go on: cancelled, or out of time. */
s2a_status call_check(const call *c, s2a_error *err);
/* The same for gate_enter; ctx is the call. */
bool call_gives_up(void *ctx);
/* Asked by libllama's CPU backend before every node of a graph; ctx is the engine. */
bool call_aborted(void *ctx);

/* What libllama logs on this thread goes to the engine between these two. */
log_lines *log_begin(log_lines *log, void (*fn)(void *, int, const char *), void *ctx);
void log_end(log_lines *log, log_lines *before);

/* Appends the tokens of a text, without a beginning-of-sequence token; ctx is the engine. */
s2a_status chat_tokenize(void *ctx, const char *text, size_t len, bool special, token_list *out);

/* The score and attention functions of the vtable, in judge.c. */
s2a_status judge_score(backend *self, const backend_message *messages, size_t count,
                       const backend_branch *branches, size_t branch_count,
                       const char *const *labels, size_t label_count, const backend_params *params,
                       double *logprob, backend_usage *usage, s2a_error *err);
s2a_status judge_attention(backend *self, const char *text, size_t len, const s2a_span *units,
                           size_t unit_count, const char *const *questions, size_t question_count,
                           const backend_params *params, float *mass, backend_usage *usage,
                           s2a_error *err);
size_t judge_heads(const embedded *e);
void judge_free(embedded *e);

#endif
