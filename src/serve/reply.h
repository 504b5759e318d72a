/* What is said to a client of the OpenAI API: chunks, whole answers, usage, errors, the s2a object.
 * Pure. Functions that make JSON give the caller the reference, and NULL when memory is out; those
 * that take JSON take the reference over, and NULL makes their result NULL. */
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
/* The type that goes with a status: "invalid_request_error", "authentication_error" ... */
const char *reply_error_type(int status);

/* Appends "data: JSON\n\n"; false when memory is out. */
bool reply_event(buf *out, json_t *value);

/* A chunk with a delta; delta NULL: an empty one. For /v1/completions text is used, otherwise NULL
 * is legal. finish NULL: null. */
json_t *reply_chunk(const reply *r, json_t *delta, const char *text, const char *finish);
/* The delta {"role":"assistant","content":""}. */
json_t *reply_delta_role(void);
json_t *reply_delta_content(const char *text, size_t len);
/* The delta that shows x', or NULL with *ok true where nothing is to be shown. */
json_t *reply_delta_shown(chat_show show, const char *text, size_t len, bool *ok);
/* A chunk without choices, with the usage. */
json_t *reply_usage_chunk(const reply *r, json_t *usage);

/* A whole answer; shown NULL: x' is not shown. */
json_t *reply_whole(const reply *r, chat_show show, const char *shown, size_t shown_len,
                    const char *answer, size_t answer_len, const char *finish, json_t *usage);
/* Puts x' into the messages of somebody else's whole answer, as show says. False when memory is
 * out. */
bool reply_show(json_t *answer, chat_show show, const char *text, size_t len);

/* The usage of both steps. */
json_t *reply_usage(const s2a_usage *step1, const s2a_usage *step2);
/* Adds step 1 to the usage of somebody else's answer. False when memory is out. */
bool reply_usage_add(json_t *usage, const s2a_usage *step1);
/* What an answer's usage says of step 2. */
void reply_usage_read(const json_t *usage, s2a_usage *out);

/* The top-level object "s2a": mode, preset, fallback, removed, ms, usage; with explain also input,
 * rewritten, context, question and units. q gives the indexes of messages. ms2 < 0, step2 NULL or
 * without tokens: not known. */
json_t *reply_s2a(const step1_outcome *s, const chat_request *q, double ms2,
                  const s2a_usage *step2);

/* The model list, each model followed by the same with the prefix. list is changed. False when it
 * is no list, or memory is out. */
bool reply_models_double(json_t *list, const char *prefix);

#endif
