/* Response bodies: errors, complete responses, events of streams, usage, the s2a object. Each API
 * has a table of functions (reply_internal.h). Pure. Functions that make JSON return a new
 * reference; NULL when out of memory. Those that append events return false when out of memory. */
#ifndef S2A_SERVE_REPLY_H
#define S2A_SERVE_REPLY_H

#include "base/buf.h"
#include "serve/serve_step1.h"

typedef struct reply {
    char id[160]; /* "chatcmpl-...", "resp_...", "msg_..." */
    const char *model;
    int64_t created; /* seconds since 1970 */
    chat_api api;
    json_int_t sequence; /* /v1/responses: of the next event */
    size_t choice;       /* index of the choice whose events are written */
    bool open;           /* /v1/responses, /v1/messages: the text's block was begun */
} reply;

/* One of the engine's answers to a request. All is borrowed. */
typedef struct reply_choice {
    const char *text;
    size_t len;
    bool cut;         /* by max_tokens, or the end of the context */
    const char *stop; /* the stop text that ended it; NULL = none */
    json_t *logprobs; /* in the API's form; of a stream those not sent yet. NULL = none */
    json_t *calls;    /* tool_calls as in /v1/chat/completions; NULL = none */
} reply_choice;

/* All answers of the engine to a request. All is borrowed. */
typedef struct reply_answer {
    const reply_choice *choices; /* more than one only in APIs that have n */
    size_t count;
    chat_show show;
    const char *shown; /* x'; NULL: it is not shown */
    size_t shown_len;
    const s2a_usage *step1, *step2;
    const json_t *request; /* the body */
    json_t *s2a;           /* NULL: no step 1 */
    bool include_usage;
} reply_answer;

/* An error for a status, as a body and as an event. code may be NULL. */
json_t *reply_error(reply *r, int status, const char *message, const char *code);
json_t *reply_error_event(reply *r, int status, const char *message, const char *code);

/* Appends an event; one with a "type" has it as its name. Takes ownership of value; false also if
 * it is NULL. */
bool reply_event(buf *out, json_t *value);

/* The engine's answer, as a complete response or as events of a stream. request is the body. */
json_t *reply_whole(const reply *r, const reply_answer *a);
bool reply_begin(reply *r, const json_t *request, buf *out);
/* logprobs are those of the text's tokens; borrowed, NULL = none. */
bool reply_text(reply *r, const char *text, size_t len, json_t *logprobs, buf *out);
/* The last event of a choice that another one follows, in APIs that have n. */
bool reply_choice_end(reply *r, const reply_choice *c, buf *out);
bool reply_end(reply *r, const reply_answer *a, buf *out);

/* Gathers the probabilities of tokens as the API shows them. Zero-initialise, set api. */
typedef struct reply_probs {
    chat_api api;
    json_t *list; /* not taken yet: a list of entries, or the four lists of text completions */
    size_t offset;
    bool failed; /* out of memory */
} reply_probs;
/* An s2a_logprob_fn. */
void reply_probs_add(void *ctx, const s2a_logprob *token, const s2a_logprob *top, size_t top_count);
/* What was added since the last call, as the member logprobs; NULL = nothing. The caller owns the
 * reference. */
json_t *reply_probs_take(reply_probs *p);

/* An event of upstream's stream, in an API that names its events. */
typedef enum reply_seen {
    REPLY_SEEN_OTHER,   /* root is unchanged */
    REPLY_SEEN_CHANGED, /* root has step 1 in its usage */
    REPLY_SEEN_LAST,    /* the last one: gets the s2a object; step 1 is in its usage, if any */
    REPLY_SEEN_FAILED,  /* upstream failed */
    REPLY_SEEN_NOMEM,
} reply_seen;

/* Whether the API names its events: /v1/responses, /v1/messages. */
bool reply_names_events(chat_api api);
/* Classifies an event, and adds step 1 to its usage; usage gets step 2's. */
reply_seen reply_see(reply *r, json_t *root, const s2a_usage *step1, s2a_usage *usage);
/* Puts the s2a object into the event that is REPLY_SEEN_LAST. False when out of memory. */
bool reply_see_last(json_t *root, json_t *s2a);

/* /v1/chat/completions and /v1/completions: a chunk with a delta; delta NULL: an empty one.
 * /v1/completions uses text instead; otherwise text may be NULL. finish NULL: null. */
json_t *reply_chunk(const reply *r, json_t *delta, const char *text, const char *finish);
/* The delta that shows x'. NULL with *ok true: x' is not shown. */
json_t *reply_delta_shown(chat_show show, const char *text, size_t len, bool *ok);
/* Adds x' to the messages of upstream's complete response, as show says. False when out of
 * memory. */
bool reply_show(json_t *answer, chat_show show, const char *text, size_t len);

/* The usage of both steps. */
json_t *reply_usage(const reply *r, const s2a_usage *step1, const s2a_usage *step2);
/* Adds step 1 to the usage in upstream's response. False when out of memory. */
bool reply_usage_add(const reply *r, json_t *usage, const s2a_usage *step1);
/* Reads the usage of step 2 from a response. */
void reply_usage_read(const reply *r, const json_t *usage, s2a_usage *out);

/* The top-level object "s2a": mode, preset, fallback, removed, ms, usage; with explain also input,
 * rewritten, context, question, threshold and units. q has the indexes of messages. ms2 < 0, or
 * step2 NULL or without tokens: unknown. */
json_t *reply_s2a(const step1_outcome *s, const chat_request *q, double ms2,
                  const s2a_usage *step2);

/* Adds to the model list, after each model, the same model with the prefix. False if list is not a
 * model list, or when out of memory. */
bool reply_models_double(json_t *list, const char *prefix);

#endif
