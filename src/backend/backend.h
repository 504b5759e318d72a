/* The seam between System 2 Attention and the models: what core asks of a backend, and nothing
 * else. A backend is a const vtable and its state; all functions may be called from many threads
 * at once, except close. tests/support/conformance.c holds every backend to this page. */
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
    bool keep_result;             /* of step 1: a later request may have it (backend_kept_open) */
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

/* A part of a text that is read: how the assistant's turn begins, piece by piece. A piece is tokenised by
 * itself; of those that are `wanted` something is told. */
typedef struct backend_piece {
    const char *text;
    size_t len;
    bool wanted;
} backend_piece;

/* What is told of a wanted piece: linear maps of the hidden states that layers (from 0, ascending, not the
 * model's last) hand on. Each state is divided by its root mean square; of each layer there are two vectors of
 * hidden_width numbers, the state of the piece's last token and the mean over its tokens. */
typedef struct backend_head {
    const uint32_t *layers;
    size_t layer_count;
    const float *rows; /* [row][layer][last, mean][hidden_width] */
    size_t row_count;
    uint64_t id; /* tells two heads apart */
} backend_head;

typedef struct backend_capabilities {
    const char *model;    /* lives as long as the backend */
    const char *kernels;  /* products of weights by code of ours, for which processor; NULL = none */
    uint32_t ctx_tokens;  /* of one request; 0 = not known */
    uint32_t read_tokens; /* of one read, if not ctx_tokens; otherwise 0 */
    bool counts_tokens;   /* count_tokens is exact; otherwise it is an upper bound */
    bool can_read, can_draft;
    size_t hidden_width;    /* numbers of a hidden state; 0 where read tells rows without a head's numbers */
    uint32_t layers;        /* of the model; 0 = not known */
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

    /* Mode select: reads the messages and how the assistant's turn begins, once, and writes nothing. Either
     * told, [wanted piece][head->row_count], or states, [wanted piece][layer][last, mean][hidden_width], is
     * filled; the other is NULL (states: rows are not looked at). Layers above the last of the head's are not
     * computed. NULL where the backend cannot. Errors as for generate; S2A_ARGUMENT (layers),
     * S2A_UNSUPPORTED (a model that hands on no such states). */
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

/* Each opens what its name says from the fields of *options that s2a.h names for it. judge is the backend of
 * options->select_engine, with which llama takes turns on this process's processors; NULL = none. */
s2a_status backend_llama_open(const s2a_engine_options *options, const backend *judge, backend **out,
                              s2a_error *err);
s2a_status backend_http_open(const s2a_engine_options *options, const backend *judge, backend **out,
                             s2a_error *err);
s2a_status backend_script_open(const s2a_engine_options *options, const backend *judge, backend **out,
                               s2a_error *err);

/* A backend in front of another one that keeps the results of step 1 in files, so that a prompt that
 * was looked at before is not looked at again, also by another process. What determines a result is
 * its key: the model, the messages, the sampling, the branches.
 *
 * A file holds its whole key and is compared with it, so that a damaged or foreign one is found out
 * and removed; nothing about the files is ever an error. They hold prompts: the directory should be
 * the user's alone.
 *
 * Takes inner over, also on failure. identity names the model beyond what its backend calls it, such
 * as a file with its size and time, or a URL. The oldest files go when they are more than max_bytes
 * together. S2A_NOMEM. */
s2a_status backend_kept_open(backend *inner, const char *dir, const char *identity, uint64_t max_bytes,
                             backend **out, s2a_error *err);

#endif
