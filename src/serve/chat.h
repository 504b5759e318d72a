/* The body of a request to a model, of any of the APIs below: whether it asks for S2A, with which
 * options, which texts are judged, and how to replace them. No I/O. */
#ifndef S2A_SERVE_CHAT_H
#define S2A_SERVE_CHAT_H

#include "serve/chat_ask.h"
#include "serve/removed.h"
#include "serve/serve_limits.h"

typedef enum chat_api {
    CHAT_API_CHAT,        /* OpenAI, /v1/chat/completions */
    CHAT_API_COMPLETIONS, /* OpenAI, /v1/completions */
    CHAT_API_RESPONSES,   /* OpenAI, /v1/responses */
    CHAT_API_MESSAGES,    /* Anthropic, /v1/messages */
    CHAT_API_RERANK,      /* /v1/rerank: no messages, so no targets */
} chat_api;

/* A message, or its counterpart in the API: instructions, an input, a tool's result. */
typedef struct chat_message {
    const char *role; /* "tool" for every result; otherwise as the client wrote it. Borrowed */
    json_t *holder;   /* has the content under key; borrowed from root */
    const char *key;
    size_t index; /* in the client's list of messages or items */
    bool beside;  /* a user's text beside results of tools */
} chat_message;

/* A text to judge. */
typedef struct chat_target {
    chat_message message;
    json_t *part; /* a marked part of the message; NULL: all its other text */
    bool context; /* judged as context of the question; false: the message with the question */
    char *text;
    size_t len;
} chat_target;

typedef struct chat_request {
    json_t *root; /* the body without the s2a object, and with the model's name without prefix */
    chat_api api;
    const s2a_cancel *cancel; /* of reading and writing the body; borrowed, NULL = none */
    bool wanted;              /* S2A was requested and not turned off */
    bool changed;             /* root differs from the client's body */
    bool kept;                /* see json_keep.h: in texts half a surrogate pair is a character */
    bool prefixed, stream, include_usage;
    chat_ask ask;
    chat_message *messages; /* all of the body's, in order; see chat_messages */
    size_t message_count;
    chat_target *targets; /* at most SERVE_TARGETS; the last one has the question */
    size_t target_count;
    size_t unjudged; /* parts of untrusted texts, or whole ones, that are not text: passed on as
                        they are */
    /* Earlier messages of the system, the user and the assistant, oldest first. The user's are
     * judged, each by the messages before it. At most SERVE_TURNS, the latest. A message longer
     * than a prompt may be is omitted, with all before it. */
    chat_target *turns;
    size_t turn_count;
} chat_request;

/* Parses a body. Call chat_free in any case. S2A_INPUT with a message for the client (not JSON, an
 * unknown mode or preset ...), S2A_LIMIT (chat_shape), S2A_CANCELLED, S2A_NOMEM. If wanted is
 * false, other faults of the body are not checked: upstream checks them. */
s2a_status chat_parse(const char *body, size_t len, chat_api api, const char *prefix,
                      const char *header, const chat_ask *defaults, const s2a_cancel *cancel,
                      chat_request *out, s2a_error *err);
void chat_free(chat_request *q);

/* The model's name without the prefix; "" if the body has none. */
const char *chat_model_name(const chat_request *q);
/* The name of the list of messages, for errors: "messages", "input" or "prompt". */
const char *chat_list_name(chat_api api);

/* Fills q->messages from q->root, once. Calls of tools and reasoning are not messages. S2A_INPUT
 * (the list is not an array), S2A_NOMEM. */
s2a_status chat_messages(chat_request *q, s2a_error *err);
/* The content of a message: a string, an array of parts, or NULL; borrowed. */
json_t *chat_content(const chat_message *message);
/* A member that is a string; "" if it is not one. */
const char *chat_string(const json_t *object, const char *key);
/* Whether an object's type is this one. */
bool chat_is(const json_t *object, const char *type);
/* Whether part is a text part: {"type": "text", "input_text" or "output_text", "text": ...}. */
bool chat_part_is_text(const json_t *part);

/* Replaces the text of a target, or of an earlier message; images and other parts stay. False when
 * out of memory. */
bool chat_put(chat_request *q, const chat_target *t, const char *text, size_t len);
/* Removes count spans, in order, from a target's text. Each part keeps the rest of its own text; an
 * emptied part is dropped. marks: the text that replaces each span; NULL = none. False when out of
 * memory. */
bool chat_cut(chat_request *q, const chat_target *t, const s2a_span *spans, size_t count,
              char (*marks)[REMOVED_MARK_SIZE]);
/* The current body, malloc'ed, with the client's fields in their order. NULL when out of memory or
 * cancelled. */
char *chat_dump(const chat_request *q, size_t *len);

/* Checks the size of the JSON tree before parsing: nesting of at most LIMIT_JSON_DEPTH, and no more
 * than `most` commas and opening brackets outside strings. S2A_LIMIT. */
s2a_status chat_shape(const char *text, size_t len, size_t most, s2a_error *err);

/* Upstream's response as JSON; NULL if it is none, or has more than SERVE_ANSWER_VALUES values. The
 * caller owns the reference. */
json_t *chat_answer_parse(const char *data, size_t len);

#endif
