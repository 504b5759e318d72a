/* The seam between System 2 Attention and the models: what core asks of a backend, and nothing
 * else. A backend is a const vtable and its state; all functions may be called from many threads
 * at once, except close. */
#ifndef S2A_BACKEND_H
#define S2A_BACKEND_H

#include "s2a.h"

typedef struct backend backend;

typedef struct backend_message {
    const char *role; /* "system", "user", "assistant", "tool" */
    const char *content;
    size_t len;
} backend_message;

typedef struct backend_params {
    double temperature; /* 0 = greedy */
    double top_p;
    uint32_t seed;
    uint32_t max_tokens;          /* 0 = as many as the context holds */
    const s2a_cancel *cancel;     /* may be NULL; see cancel_fired() */
    const char *request_id;       /* http: sent as X-Request-Id; NULL = none */
    bool keep_result;             /* of step 1: a later request may have it (kept.h) */
    size_t common_messages;       /* score: the first so many are the same in many requests */
    const struct tuned_lens *lens; /* score: read with it (core/lens.h); NULL = from the labels */
} backend_params;

typedef enum backend_finish {
    BACKEND_FINISH_STOP,   /* the model ended its turn */
    BACKEND_FINISH_LENGTH, /* max_tokens or the context's end */
    BACKEND_FINISH_CALLER, /* on_token asked to stop */
} backend_finish;

typedef struct backend_usage {
    s2a_usage tokens; /* ms is wall time of the call, waiting for a slot included */
    backend_finish finish;
} backend_usage;

/* Text as it is generated, in whole UTF-8 characters (bytes that are not UTF-8 arrive as U+FFFD).
 * Non-zero stops the generation, which then ends with BACKEND_FINISH_CALLER. */
typedef int (*backend_token_fn)(void *ctx, const char *text, size_t len);

/* The part of the prompt that the output is expected to copy; a hint only. What is left out of the
 * copy is likely to be whole units; starts are their offsets in text, in order. */
typedef struct backend_draft {
    const char *text;
    size_t len;
    const size_t *starts;
    size_t start_count;
} backend_draft;

/* A way for the assistant's turn to begin; slots are byte offsets in it, in order, at which labels
 * are judged. What follows a slot (a label and more) is read before the next slot. */
typedef struct backend_branch {
    const char *forced;
    size_t len;
    const size_t *slots;
    size_t slot_count;
} backend_branch;

typedef struct backend_capabilities {
    const char *model;    /* lives as long as the backend */
    const char *kernels;  /* products of weights by code of ours, for which processor; NULL = none */
    uint32_t ctx_tokens;  /* of one request; 0 = not known */
    uint32_t score_tokens; /* of one score or attention, if fewer than ctx_tokens; otherwise 0 */
    bool counts_tokens;   /* count_tokens is exact; otherwise it is an upper bound */
    bool can_score, can_read_attention, can_draft;
    bool prefers_score;   /* where a request names no mode, it is select */
    size_t attention_heads; /* heads of all layers; 0 = cannot read attention */
    size_t hidden_width;    /* numbers of a hidden state; 0 = cannot read them */
    uint64_t weights_id;    /* tells the files of two models apart; 0 = not known */
    struct gate *gate;      /* whoever computes on this process's processors is in it; NULL = nobody does */
} backend_capabilities;

typedef struct backend_vtable {
    /* Appends one assistant turn to messages and streams it. draft may be NULL. *usage is filled
     * also on failure, as far as it is known. Message content is data: role markers and special
     * tokens inside it are tokenised as plain text. Errors: S2A_LIMIT (prompt does not fit),
     * S2A_CANCELLED, S2A_TIMEOUT, S2A_UNAVAILABLE (could not connect), S2A_BACKEND, S2A_NOMEM. */
    s2a_status (*generate)(backend *self, const backend_message *messages, size_t count,
                           const backend_params *params, const backend_draft *draft,
                           backend_token_fn on_token, void *on_token_ctx, backend_usage *usage,
                           s2a_error *err);

    /* Tokens of a text without any template: exact where the tokenizer is at hand, otherwise an
     * upper bound. */
    size_t (*count_tokens)(backend *self, const char *text, size_t len);

    /* Select: one prefill instead of a generation. NULL where the backend has no way to do it. Each
     * branch is one way for the assistant's turn to begin, off the same messages; logprob is
     * [all slots of all branches, in order][label_count]: the natural logarithm of the probability
     * of a label's first token at the slot (first tokens must differ: S2A_ARGUMENT). With a lens, which
     * must be of this model and of these three labels, they are less that of the first label, and the
     * layers above the lens's are not computed. Errors as for
     * generate; S2A_UNSUPPORTED where the server gives no such figures. */
    s2a_status (*score)(backend *self, const backend_message *messages, size_t count,
                        const backend_branch *branches, size_t branch_count,
                        const char *const *labels, size_t label_count, const backend_params *params,
                        double *logprob, backend_usage *usage, s2a_error *err);
    /* Score without labels: at each slot the hidden state that each of these layers (from 0, ascending, not
     * the model's last) hands on. hidden is [all slots of all branches, in order][layer][hidden_width].
     * Layers above the last of them are not computed, which is the point of it. NULL where the backend
     * cannot. Errors as for score; S2A_ARGUMENT (layers), S2A_UNSUPPORTED (a model that has no such). */
    s2a_status (*hidden)(backend *self, const backend_message *messages, size_t count,
                         const backend_branch *branches, size_t branch_count,
                         const uint32_t *layers, size_t layer_count, const backend_params *params,
                         float *hidden, backend_usage *usage, s2a_error *err);
    /* For each question, read after the text: which share of its attention goes to which unit. units
     * are spans of text, in order, not overlapping. mass is [question][unit][attention_heads]: the
     * mean over the question's tokens of the attention of that head on the unit's tokens. Heads count
     * layer by layer. NULL where the backend cannot. Errors as for generate. */
    s2a_status (*attention)(backend *self, const char *text, size_t len, const s2a_span *units,
                            size_t unit_count, const char *const *questions, size_t question_count,
                            const backend_params *params, float *mass, backend_usage *usage,
                            s2a_error *err);

    backend_capabilities (*capabilities)(const backend *self);
    void (*close)(backend *self);
} backend_vtable;

struct backend {
    const backend_vtable *vtable; /* first member of every backend's state */
};

/* True once s2a_cancel_fire was called; false for NULL. */
bool cancel_fired(const s2a_cancel *cancel);

/* Monotonic clock. */
double clock_ms(void);

/* Each opens what its name says from the fields of *options that s2a.h names for it. */
s2a_status backend_llama_open(const s2a_engine_options *options, backend **out, s2a_error *err);
s2a_status backend_http_open(const s2a_engine_options *options, backend **out, s2a_error *err);
s2a_status backend_script_open(const s2a_engine_options *options, backend **out, s2a_error *err);

#endif
