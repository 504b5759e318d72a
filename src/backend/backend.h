/* The interface between core and the models. A backend is a const vtable and its state. All
 * functions except close may be called from many threads at once. tests/support/conformance.c
 * checks every backend against this page. */
#ifndef S2A_BACKEND_H
#define S2A_BACKEND_H

#include "base/stop_scan.h"

typedef struct backend backend;

typedef struct backend_message {
    const char *role; /* "system", "user", "assistant", "tool" */
    const char *content;
    size_t len;
} backend_message;

typedef struct backend_bias {
    uint32_t token;
    double bias;
} backend_bias;

/* The fields from top_k to on_logprob are step 2's; zero = not used. A backend that lacks one
 * refuses it with S2A_UNSUPPORTED, except that script ignores those that change probabilities. */
typedef struct backend_params {
    double temperature; /* 0 = greedy */
    double top_p;
    uint32_t seed;
    uint32_t top_k;
    double min_p;
    double frequency_penalty, presence_penalty; /* of the generated tokens */
    const backend_bias *biases;
    size_t bias_count;
    const stop_text *stops; /* the text ends before the first of them */
    size_t stop_count;
    uint32_t top_logprobs;             /* at most LIMIT_TOP_LOGPROBS */
    const char *chat_fields;           /* JSON: s2a_request_set_chat_fields; NULL = none */
    const char *const *message_fields; /* JSON of each message, NULL for one without fields; or NULL
                                        */
    /* Gets the tool calls, a JSON list, after all text was passed on; NULL = they are dropped. */
    void (*on_calls)(void *ctx, const char *calls, size_t len);
    void *on_calls_ctx;
    s2a_logprob_fn on_logprob; /* called before on_token gets the token's text */
    void *on_logprob_ctx;
    uint32_t max_tokens;      /* 0 = as many as fit the context */
    const s2a_cancel *cancel; /* may be NULL; see cancel_fired() */
    const char *request_id;   /* http: sent as X-Request-Id; NULL = none */
    const char *trace;        /* http: sent as traceparent; NULL = none */
    bool keep_result;         /* cache the result; set in step 1 (backend_kept_open) */
} backend_params;

typedef enum backend_finish {
    BACKEND_FINISH_STOP,   /* the model ended its turn, or reached a stop */
    BACKEND_FINISH_LENGTH, /* max_tokens or the context is full */
    BACKEND_FINISH_CALLER, /* on_token asked to stop */
} backend_finish;

typedef struct backend_usage {
    s2a_usage tokens; /* ms is wall time of the call, including waiting for a slot */
    backend_finish finish;
    size_t stop; /* 1 + index of the stop that ended it; 0 = none, or unknown */
} backend_usage;

/* Text as it is generated, in whole UTF-8 characters (bytes that are not UTF-8 arrive as U+FFFD).
 * Non-zero stops the generation, which then ends with BACKEND_FINISH_CALLER. */
typedef int (*backend_token_fn)(void *ctx, const char *text, size_t len);

/* The part of the prompt that the output is expected to copy; only a hint. The copy will probably
 * omit whole units; starts are the units' offsets in text, in order. */
typedef struct backend_draft {
    const char *text;
    size_t len;
    const size_t *starts;
    size_t start_count;
} backend_draft;

/* A piece of the beginning of the assistant's turn. Each piece is tokenised separately; read
 * returns results for the wanted ones. */
typedef struct backend_piece {
    const char *text;
    size_t len;
    bool wanted;
} backend_piece;

/* Linear maps of a wanted piece's hidden states after some layers (from 0, ascending, not the
 * model's last). Each state is divided by its root mean square. Each layer gives two vectors of
 * hidden_width numbers: the state of the piece's last token, and the mean over its tokens. */
typedef struct backend_head {
    const uint32_t *layers;
    size_t layer_count;
    const float *rows; /* [row][layer][last, mean][hidden_width] */
    size_t row_count;
    uint64_t id; /* differs between heads */
} backend_head;

typedef struct backend_capabilities {
    const char *model;    /* lives as long as the backend */
    const char *kernels;  /* instruction set of our own kernels in use; NULL = ggml's kernels */
    uint32_t ctx_tokens;  /* context of one request; 0 = unknown */
    uint32_t read_tokens; /* context of one read; 0 = the same as ctx_tokens */
    bool counts_tokens;   /* count_tokens is exact; otherwise it is an upper bound */
    bool can_read, can_draft;
    size_t hidden_width; /* numbers of a hidden state; 0 = read needs no numbers of a head */
    uint32_t layers;     /* of the model; 0 = unknown */
    uint64_t weights_id; /* differs between model files; 0 = unknown */
    struct gate *gate;   /* the lock for computing on this process's processors; NULL = none */
} backend_capabilities;

typedef struct backend_vtable {
    /* Generates one assistant turn after messages and streams it. draft may be NULL. *usage is
     * filled on failure too, as far as it is known. Message content is data: role markers and
     * special tokens in it are tokenised as plain text. Errors: S2A_LIMIT (prompt does not fit),
     * S2A_CANCELLED, S2A_TIMEOUT, S2A_UNAVAILABLE (could not connect), S2A_ARGUMENT (a token that
     * is not in the vocabulary), S2A_INPUT (chat_fields), S2A_UNSUPPORTED, S2A_BACKEND, S2A_NOMEM.
     */
    s2a_status (*generate)(backend *self, const backend_message *messages, size_t count,
                           const backend_params *params, const backend_draft *draft,
                           backend_token_fn on_token, void *on_token_ctx, backend_usage *usage,
                           s2a_error *err);

    /* Tokens of a text without a template: exact if a tokenizer is available, otherwise an upper
     * bound. */
    size_t (*count_tokens)(backend *self, const char *text, size_t len);

    /* Tokens of the messages as generate would see them, with the template and the beginning of the
     * assistant's turn. Of params it reads, and checks, only chat_fields and message_fields.
     * count_prompt is NULL if the backend cannot count them. Errors: S2A_LIMIT (too long for any
     * context), S2A_INPUT and S2A_UNSUPPORTED (the fields), S2A_BACKEND, S2A_NOMEM. */
    s2a_status (*count_prompt)(backend *self, const backend_message *messages, size_t count,
                               const backend_params *params, size_t *tokens, s2a_error *err);

    /* Mode select: one pass over the messages and the beginning of the assistant's turn; generates
     * nothing. Fills either told, [wanted piece][head->row_count], or states,
     * [wanted piece][layer][last, mean][hidden_width]; the other is NULL. With states, rows are
     * ignored. Layers above the head's last one are not computed. read is NULL if the backend
     * cannot do this. Errors as for generate; S2A_ARGUMENT (layers), S2A_UNSUPPORTED (the model
     * has no such states). */
    s2a_status (*read)(backend *self, const backend_message *messages, size_t count,
                       const backend_piece *pieces, size_t piece_count, const backend_head *head,
                       const backend_params *params, double *told, float *states,
                       backend_usage *usage, s2a_error *err);

    backend_capabilities (*capabilities)(const backend *self);
    void (*close)(backend *self);
} backend_vtable;

struct backend {
    const backend_vtable *vtable; /* first member of every backend's state */
};

/* Each opens its backend, from the fields of *options that s2a.h names for it. judge is the backend
 * of options->select_engine; llama takes turns with it on this process's processors. NULL
 * = none. */
s2a_status backend_llama_open(const s2a_engine_options *options, const backend *judge,
                              backend **out, s2a_error *err);
s2a_status backend_http_open(const s2a_engine_options *options, const backend *judge, backend **out,
                             s2a_error *err);
s2a_status backend_script_open(const s2a_engine_options *options, const backend *judge,
                               backend **out, s2a_error *err);

/* A backend in front of another one that caches the results of step 1 in files, which other
 * processes can use too. The key of a result is everything that determines it: the model, the
 * messages, the pieces, the head and the sampling.
 *
 * A file contains its whole key, so a damaged or foreign file is detected and removed. Failures of
 * the files are never errors. The files contain prompts: the directory should be private.
 *
 * Takes ownership of inner, on failure too. identity distinguishes models of the same name, such as
 * a file with its size and time, or a URL. If the files have more than max_bytes in all, the oldest
 * are deleted. S2A_NOMEM. */
s2a_status backend_kept_open(backend *inner, const char *dir, const char *identity,
                             uint64_t max_bytes, backend **out, s2a_error *err);

#endif
