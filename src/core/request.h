/* The fields of a request; set by the setters of s2a.h. */
#ifndef S2A_REQUEST_H
#define S2A_REQUEST_H

#include "backend/backend.h"
#include "base/limits.h"

typedef enum request_form {
    REQUEST_NOTHING,
    REQUEST_TEXT,      /* input */
    REQUEST_PARTS,     /* separate context and question */
    REQUEST_MESSAGES,  /* a conversation; the last message is the prompt */
    REQUEST_DOCUMENTS, /* documents and a separate question */
} request_form;

typedef struct request_message {
    char *role, *content;
    size_t len;
    char *fields; /* JSON; NULL = none */
} request_message;

typedef struct request_document {
    char *text;
    size_t len;
} request_document;

/* A text, or lines, that the caller protects. */
typedef struct request_protect {
    char *text; /* NULL = lines */
    size_t len, first, last;
} request_protect;

struct s2a_request {
    request_form form;
    char *text; /* the prompt, or the context of REQUEST_PARTS */
    size_t text_len;
    char *question;
    size_t question_len;
    request_message *messages;
    size_t message_count, message_cap;
    request_document *documents;
    size_t document_count, document_cap;
    size_t documents_len; /* bytes of all, with REQUEST_BORDER after each */
    s2a_mode mode;
    s2a_preset preset;
    double temperature, top_p;
    uint32_t seed, max_tokens;
    char *chat_fields; /* JSON; NULL = none */
    uint32_t top_k;
    double min_p, frequency_penalty, presence_penalty;
    backend_bias *biases;
    size_t bias_count, bias_cap;
    stop_text stops[LIMIT_STOPS]; /* the texts are malloc'ed */
    size_t stop_count;
    uint32_t top_logprobs;
    s2a_logprob_fn on_logprob;
    void *on_logprob_ctx;
    double threshold, keep; /* threshold NaN = that of the preset */
    request_protect *protect;
    size_t protect_count, protect_cap;
    s2a_token_fn on_token;
    void *on_token_ctx;
    s2a_cancel *cancel;
    char *id, *trace; /* NULL = none */
};

/* Follows the context, and each document that is not empty, in x. */
#define REQUEST_BORDER "\n\n"
#define REQUEST_BORDER_BYTES (sizeof REQUEST_BORDER - 1)

/* Makes the prompt x, malloc'ed. *question: the span of a separate question in it, else empty.
 * tool: the last message may be a tool's. S2A_ARGUMENT (no prompt, or the last message is not the
 * user's), S2A_INPUT (it is empty), S2A_LIMIT, S2A_NOMEM; *x is then NULL. */
s2a_status request_prompt(const s2a_request *request, bool tool, char **x, size_t *len,
                          s2a_span *question, s2a_error *err);

/* The role of x as a message: "tool" if a conversation ends with a tool's, else "user". */
const char *request_last_role(const s2a_request *request);

/* The fields of each message, malloc'ed, the texts borrowed; NULL when out of memory. */
const char **request_message_fields(const s2a_request *request);

#endif
