/* Shared by the files that make the JSON of responses: reply_*.c and rerank.c. */
#ifndef S2A_SERVE_REPLY_INTERNAL_H
#define S2A_SERVE_REPLY_INTERNAL_H

#include "serve/reply.h"
#include "json/tree.h"

/* object[key] += more. */
bool reply_count_add(json_t *object, const char *key, uint64_t more);
/* The names of an API's usage; NULL: it has no such count. */
typedef struct reply_usage_names {
    const char *prompt, *completion, *total;
    const char *prompt_details, *cached; /* prompt_details NULL: cached is beside prompt */
    const char *completion_details, *reasoning;
    bool apart; /* prompt does not include the cached tokens */
} reply_usage_names;

/* The responses of one API. Functions that append events to out return false when out of memory. */
typedef struct reply_shape {
    json_t *(*error)(reply *r, int status, const char *message, const char *code);
    /* The same as an event of a stream. */
    json_t *(*error_event)(reply *r, int status, const char *message, const char *code);
    json_t *(*whole)(const reply *r, const reply_answer *a);
    bool (*begin)(reply *r, const json_t *request, buf *out);
    bool (*text)(reply *r, const char *text, size_t len, json_t *logprobs, buf *out);
    bool (*end)(reply *r, const reply_answer *a, buf *out);
    reply_seen (*see)(reply *r, json_t *root, const s2a_usage *step1, s2a_usage *usage);
    reply_usage_names usage;
} reply_shape;

extern const reply_shape reply_chat_shape, reply_responses_shape, reply_messages_shape;

json_t *reply_openai_error(reply *r, int status, const char *message, const char *code);

#endif
