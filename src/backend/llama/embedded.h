/* The embedded engine's state, shared by llama.c (opening, prompts), llama/scheduler.c (generating)
 * and llama/judge.c (reading what the model thinks of a text). The only file that includes llama.h. */
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
#include "base/utf8.h"

#include <llama.h>
#include <pthread.h>

#define BATCH_TOKENS 512 /* of one llama_decode: a cancel is looked for between two */
#define BATCH_OUTPUTS 64 /* rows of logits that one llama_decode may give */

struct call;
struct judge;

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

    gate judge_gate; /* whoever is in has the judge; entered before the other */
    gate own_gate;
    gate *gate; /* whoever is in computes, for one decode, and owns what follows: own_gate, or that of
                   the engine that judges for this one, for both have the same processors */
    bool judge_gate_ready, own_gate_ready;
    struct llama_context *ctx;
    struct ggml_threadpool *threads; /* of both contexts; NULL = ggml's own, new ones a decode */
    llama_memory_t memory;
    struct llama_batch batch;
    bool whole_slots; /* recurrent state: a sequence cannot be cut back or copied in part */
    struct call *step[KV_SLOTS]; /* the calls of the decode at hand */
    size_t step_count;

    struct judge *judge; /* of judge_gate; NULL until it is needed */
    char *cache_dir;     /* of threads_choose; NULL = none */
    uint64_t cache_id;   /* of the model file, for this machine's cache */
    uint64_t weights_id; /* of what is in it */

    pthread_mutex_t lock; /* of the calls below and of the slots; held by nobody who computes */
    pthread_cond_t changed;
    bool scheduler_ready;
    kv_slots slots;
    struct call *first, *last; /* in order of arrival */
    bool led;                  /* a thread is making the next step */
    bool drafts;               /* copies are drafted */
    cost_curve cost;           /* of a decode */
} embedded;

/* One generation. It stands on the stack of the thread that asked for it; what the lock guards may
 * be read and written by the thread that makes a step, as long as the call is in the list. */
typedef struct call {
    embedded *e;
    const backend_params *params;
    double start_ms;
    backend_token_fn on_token;
    void *on_token_ctx;
    size_t prompt_count;
    struct llama_sampler *sampler;
    log_lines log;

    backend_usage *usage; /* guarded, with all that follows */
    struct call *next;
    token_list tokens; /* the prompt, then what was written */
    int slot;          /* which holds the first of them; -1 = it waits for one */
    bool admitted;     /* it has had a slot: what was cached then is known */
    bool in_step;
    size_t step_from, step_tokens; /* of the batch ... */
    size_t step_drafted;           /* ... and drafted ones behind them */
    draft *draft;                  /* NULL = none; its tokens are the prompt's */
    utf8_stream stream;
    buf text; /* not handed on yet ... */
    size_t text_tokens; /* ... by how many tokens */
    size_t text_bytes;  /* of all text so far */
    bool ended;         /* usage->finish says how */
    s2a_status status;  /* of the steps made for it; error says more */
    s2a_error error;
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

/* How many threads this machine reads and writes the model with: those the options name; else what was
 * measured when it was loaded for the first time, in a small context with these parameters, and lies
 * in cache_dir; else all cores. The batch is used, and empty again. */
tuning threads_choose(embedded *e, const s2a_engine_options *options,
                      const struct llama_context_params *params);
/* Threads that live as long as the engine, for the context; without them ggml starts new ones for
 * each decode. Both contexts have the same, for only one of them computes at a time. */
void threads_open(embedded *e, struct llama_context *ctx, const tuning *t);
void threads_close(embedded *e);

/* Appends the tokens of a text, without a beginning-of-sequence token; ctx is the engine. */
s2a_status chat_tokenize(void *ctx, const char *text, size_t len, bool special, token_list *out);

/* Adds the bytes of a token in whole characters; special: also the names of special tokens. */
s2a_status token_bytes(const embedded *e, int32_t token, utf8_stream *stream, buf *out,
                       bool special);

/* Fills *d for the tokens of a prompt, in which text is likely to be copied from; units of it, whose
 * starts are offsets in text, as a whole or not at all. False when out of memory. */
bool draft_open(draft *d, const embedded *e, const token_list *prompt, const backend_draft *from);
/* The word of draft_take. */
uint32_t draft_word(const embedded *e, int32_t token);

/* False when the system has no more mutexes. */
bool scheduler_init(embedded *e);
void scheduler_destroy(embedded *e);
/* From the prompt in c->tokens to the end of the turn, text handed on by this thread. Errors as for
 * generate. */
s2a_status scheduler_run(call *c, s2a_error *err);

/* The read function of the vtable. */
s2a_status judge_read(backend *self, const backend_message *messages, size_t count,
                      const backend_piece *pieces, size_t piece_count, const backend_head *head,
                      const backend_params *params, double *told, float *states,
                      backend_usage *usage, s2a_error *err);
size_t judge_hidden_width(const embedded *e); /* 0 = hidden states cannot be read */
/* The context that texts are judged in. */
uint32_t judge_tokens(const embedded *e);
void judge_free(embedded *e);

#endif
