/* The embedded engine's state, shared by llama.c (opening, prompts), scheduler.c (generation),
 * judge.c (hidden states for mode select) and other files of llama/. The only file that includes
 * llama.h. */
#ifndef S2A_LLAMA_EMBEDDED_H
#define S2A_LLAMA_EMBEDDED_H

#include "backend/backend.h"
#include "backend/llama/chat_prompt.h"
#include "backend/llama/cost.h"
#include "backend/llama/draft.h"
#include "backend/llama/gate.h"
#include "backend/llama/kv_slots.h"
#include "backend/llama/log_lines.h"
#include "backend/llama/tune.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/stop_scan.h"
#include "base/utf8.h"

#include <llama.h>
#include <pthread.h>

#define BATCH_TOKENS 512 /* of one llama_decode; cancellation is checked between decodes */
#define BATCH_OUTPUTS 64 /* the most rows of logits of one llama_decode */

struct call;
struct judge;

typedef struct embedded {
    backend base;
    struct llama_model *model;
    const struct llama_vocab *vocab;
    const char *template;
    chat_model chat;
    struct common_chat *templates; /* guarded by lock; NULL until first use, then constant */
    char *name, *default_system;
    uint32_t ctx_tokens, timeout_ms;
    size_t longest_token; /* bytes */
    void (*log)(void *ctx, int level, const char *line);
    void *log_ctx;

    gate judge_gate; /* held while using the judge; always entered before gate */
    gate own_gate;
    gate *gate; /* held while computing, for one decode; guards ctx to step_count. own_gate, or the
                   gate of the judge model's engine, which uses the same processors */
    bool judge_gate_ready, own_gate_ready;
    struct llama_context *ctx;
    struct ggml_threadpool *threads; /* for both contexts; NULL = ggml starts threads per decode */
    llama_memory_t memory;
    struct llama_batch batch;
    bool whole_slots; /* recurrent state: a sequence cannot be cut back or copied in part */
    struct call *step[KV_SLOTS]; /* the calls of the current decode */
    size_t step_count;

    struct judge *judge; /* guarded by judge_gate; NULL until first use */
    char *cache_dir;     /* for threads_choose; NULL = none */
    uint64_t cache_id;   /* identifies the model file in this machine's cache */
    uint64_t weights_id; /* identifies the file's content */

    pthread_mutex_t lock; /* guards the calls and slots below; never held while computing */
    pthread_cond_t changed;
    bool scheduler_ready;
    kv_slots slots;
    struct call *first, *last; /* in order of arrival */
    bool led;                  /* a thread is making the next step */
    bool drafts;               /* copies are drafted */
    cost_curve cost;           /* of a decode */
} embedded;

/* The probabilities at one token: its own first, then the likeliest ones. */
typedef struct token_probs {
    size_t start; /* bytes generated before it */
    size_t count;
    int32_t tokens[1 + LIMIT_TOP_LOGPROBS];
    double values[1 + LIMIT_TOP_LOGPROBS];
} token_probs;

/* One generation, on the stack of the calling thread. While the call is in the list, the thread
 * that runs a step may read and write the fields that the lock guards. */
typedef struct call {
    embedded *e;
    const backend_params *params;
    double start_ms;
    backend_token_fn on_token;
    void *on_token_ctx;
    size_t prompt_count;
    struct llama_sampler *sampler;
    struct common_plan *plan; /* samples instead of sampler; NULL = none */
    log_lines log;

    backend_usage *usage; /* from here on all fields are guarded by embedded.lock */
    struct call *next;
    token_list tokens; /* the prompt, then the generated tokens */
    int slot;          /* the slot with the first of the tokens; -1 = waiting for one */
    bool admitted;     /* it has had a slot, so usage has the cached tokens */
    bool in_step;
    size_t step_from, step_tokens; /* first row in the batch, and number of rows */
    size_t step_drafted;           /* drafted rows after those */
    draft *draft;                  /* NULL = none; its tokens are the prompt's */
    utf8_stream stream;
    buf text;           /* text not yet passed to on_token */
    size_t text_tokens; /* tokens of that text */
    size_t text_bytes;  /* bytes of all text so far */
    size_t raw_bytes;   /* the same, and text held back by the stop scan */
    stop_scan stops;
    token_probs *probs; /* not yet passed to on_logprob */
    size_t probs_count, probs_cap;
    bool ended;        /* usage->finish says how */
    s2a_status status; /* of its steps; error has the message */
    s2a_error error;
} call;

/* S2A_OK, or why the call must end: cancelled, or out of time. */
s2a_status call_check(const call *c, s2a_error *err);
/* The same for gate_enter; ctx is the call. */
bool call_gives_up(void *ctx);
/* Called by libllama's CPU backend before every node of a graph; ctx is the engine. */
bool call_aborted(void *ctx);

/* Between these two, libllama's log on this thread goes to the engine. */
log_lines *log_begin(log_lines *log, void (*fn)(void *, int, const char *), void *ctx);
void log_end(log_lines *log, log_lines *before);

/* The thread counts for this model and machine: those of the options; else those in cache_dir,
 * which are measured when the model is first loaded, in a small context with these parameters;
 * else all cores. Uses the batch and leaves it empty. */
tuning threads_choose(embedded *e, const s2a_engine_options *options,
                      const struct llama_context_params *params);
/* Gives the context threads that live as long as the engine; without them ggml starts new ones for
 * each decode. Both contexts share them, because only one computes at a time. */
void threads_open(embedded *e, struct llama_context *ctx, const tuning *t);
void threads_close(embedded *e);

/* Appends the tokens of a text, without a beginning-of-sequence token; ctx is the engine. */
s2a_status chat_tokenize(void *ctx, const char *text, size_t len, bool special, token_list *out);

/* Fills *d for a prompt's tokens. from->text is the part of the prompt that the model will copy
 * unit by unit; from->starts are the units' offsets in it. False when out of memory. */
bool draft_open(draft *d, const embedded *e, const token_list *prompt, const backend_draft *from);
/* The word of a token for draft_take. */
uint32_t draft_word(const embedded *e, int32_t token);

/* False if the system has no more mutexes. */
bool scheduler_init(embedded *e);
void scheduler_destroy(embedded *e);
/* Generates from the prompt in c->tokens to the end of the turn; on_token is called on this thread.
 * Errors as for generate. */
s2a_status scheduler_run(call *c, s2a_error *err);

/* Notes the probabilities at a row of the last decode, whose token was sampled. Needs the lock.
 * False when out of memory. */
bool logprobs_note(call *c, int32_t row, int32_t token);
/* Takes the ones whose text is passed on, malloc'ed. Needs the lock. */
size_t logprobs_take(call *c, token_probs **out);
/* Passes them to on_logprob; call it without the lock. */
void logprobs_tell(const call *c, const token_probs *probs, size_t count);

/* The read function of the vtable. */
s2a_status judge_read(backend *self, const backend_message *messages, size_t count,
                      const backend_piece *pieces, size_t piece_count, const backend_head *head,
                      const backend_params *params, double *told, float *states,
                      backend_usage *usage, s2a_error *err);
size_t judge_hidden_width(const embedded *e); /* 0 = hidden states cannot be read */
/* The size of the judge's context in tokens. */
uint32_t judge_tokens(const embedded *e);
void judge_free(embedded *e);

#endif
