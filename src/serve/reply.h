/* Response bodies of the OpenAI API: chunks, complete responses, usage, errors, the s2a object.
 * Pure. Functions that make JSON give the caller the reference; NULL when out of memory. Functions
 * that take JSON take ownership of the reference; if it is NULL, their result is NULL. */
#ifndef S2A_SERVE_REPLY_H
#define S2A_SERVE_REPLY_H

#include "base/buf.h"
#include "serve/serve_step1.h"

typedef struct reply {
    char id[160]; /* "chatcmpl-..." */
    const char *model;
    int64_t created; /* seconds since 1970 */
    bool chat;       /* false: /v1/completions */
} reply;

/* {"error":{"message","type","param","code"}}; code may be NULL. */
json_t *reply_error(const char *message, const char *type, const char *code);
/* The error type for a status: "invalid_request_error", "authentication_error" ... */
const char *reply_error_type(int status);

/* Appends "data: JSON\n\n"; false when out of memory. */
bool reply_event(buf *out, json_t *value);

/* A chunk with a delta; delta NULL: an empty one. /v1/completions uses text instead; otherwise text
 * may be NULL. finish NULL: null. */
json_t *reply_chunk(const reply *r, json_t *delta, const char *text, const char *finish);
/* The delta {"role":"assistant","content":""}. */
json_t *reply_delta_role(void);
json_t *reply_delta_content(const char *text, size_t len);
/* The delta that shows x'. NULL with *ok true: x' is not shown. */
json_t *reply_delta_shown(chat_show show, const char *text, size_t len, bool *ok);
/* A chunk without choices, with the usage. */
json_t *reply_usage_chunk(const reply *r, json_t *usage);

/* A complete response; shown NULL: x' is not shown. */
json_t *reply_whole(const reply *r, chat_show show, const char *shown, size_t shown_len,
                    const char *answer, size_t answer_len, const char *finish, json_t *usage);
/* Adds x' to the messages of upstream's complete response, as show says. False when out of
 * memory. */
bool reply_show(json_t *answer, chat_show show, const char *text, size_t len);

/* The usage of both steps. */
json_t *reply_usage(const s2a_usage *step1, const s2a_usage *step2);
/* Adds step 1 to the usage in upstream's response. False when out of memory. */
bool reply_usage_add(json_t *usage, const s2a_usage *step1);
/* Reads the usage of step 2 from a response. */
void reply_usage_read(const json_t *usage, s2a_usage *out);

/* The top-level object "s2a": mode, preset, fallback, removed, ms, usage; with explain also input,
 * rewritten, context, question, threshold and units. q has the indexes of messages. ms2 < 0, or
 * step2 NULL or without tokens: unknown. */
json_t *reply_s2a(const step1_outcome *s, const chat_request *q, double ms2,
                  const s2a_usage *step2);

/* Adds to the model list, after each model, the same model with the prefix. False if list is not a
 * model list, or when out of memory. */
bool reply_models_double(json_t *list, const char *prefix);

#endif
