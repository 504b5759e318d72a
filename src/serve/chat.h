/* The body of a request to /v1/chat/completions or /v1/completions: whether it asks for S2A, with
 * which options, which texts are judged, and how to replace them. No I/O. */
#ifndef S2A_SERVE_CHAT_H
#define S2A_SERVE_CHAT_H

#include "s2a.h"
#include "serve/serve_limits.h"

#include <jansson.h>

/* Where x' is shown in the response. */
typedef enum chat_show {
    CHAT_SHOW_NONE,
    CHAT_SHOW_REASONING_CONTENT, /* message.reasoning_content */
    CHAT_SHOW_REASONING,         /* message.reasoning */
    CHAT_SHOW_BOTH,
    CHAT_SHOW_THINK, /* <think>x'</think> at the beginning of the content */
} chat_show;

/* False, and *out unchanged, if no value has that name. */
bool chat_show_from_name(const char *name, chat_show *out);

/* The S2A options of a request: the server's defaults, overridden by the request. */
typedef struct chat_ask {
    s2a_mode mode;
    s2a_preset preset;
    chat_show show;
    double threshold, keep; /* threshold NaN = the head's threshold for the preset */
    json_t *protect; /* array of protected texts, valid until the request is freed; NULL = none */
    bool untrusted;  /* judge tool results and marked parts too; preset untrusted implies it unless
                        the request sets it */
    bool explain;    /* the s2a object of the response also has units, input and x' */
} chat_ask;

/* A text to judge. */
typedef struct chat_target {
    json_t *message; /* borrowed from root; NULL: the prompt of /v1/completions */
    json_t *part;    /* a marked part of the message; NULL: all its other text */
    size_t index;    /* index of the message */
    bool context;    /* judged as context of the question; false: the message with the question */
    char *text;
    size_t len;
} chat_target;

typedef struct chat_request {
    json_t *root; /* the body without the s2a object, and with the model's name without prefix */
    bool chat;    /* /v1/chat/completions */
    bool wanted;  /* S2A was requested and not turned off */
    bool changed; /* root differs from the client's body */
    bool kept;    /* see json_keep.h: in texts half a surrogate pair is a character */
    bool prefixed, stream, include_usage;
    chat_ask ask;
    chat_target *targets; /* at most SERVE_TARGETS; the last one has the question */
    size_t target_count;
    /* Earlier messages of the system, the user and the assistant, oldest first. The user's are
     * judged, each by the messages before it. At most SERVE_TURNS, the latest. A message longer
     * than a prompt may be is omitted, and so are all before it. */
    chat_target *turns;
    size_t turn_count;
} chat_request;

/* Scans the bytes of body; false if it certainly does not ask for S2A, however it is parsed. header
 * is the value of X-S2A, or NULL. */
bool chat_may_ask(const char *body, size_t len, const char *prefix, const char *header);

/* Parses a body. Call chat_free in any case. S2A_INPUT with a message for the client (not JSON, an
 * unknown mode or preset ...), S2A_LIMIT (chat_shape), S2A_NOMEM. If wanted is false, other faults
 * of the body are not checked: upstream checks them. */
s2a_status chat_parse(const char *body, size_t len, bool chat, const char *prefix,
                      const char *header, const chat_ask *defaults, chat_request *out,
                      s2a_error *err);
void chat_free(chat_request *q);

/* The model's name without the prefix; "" if the body has none. */
const char *chat_model(const chat_request *q);
/* Replaces the text of a target, or of an earlier message; images and other parts stay. False when
 * out of memory. */
bool chat_put(chat_request *q, size_t target, const char *text, size_t len);
bool chat_put_turn(chat_request *q, size_t turn, const char *text, size_t len);
/* The current body, malloc'ed, with the client's fields in their order. NULL when out of memory. */
char *chat_dump(const chat_request *q, size_t *len);

/* Checks the size of the JSON tree before parsing: nesting of at most LIMIT_JSON_DEPTH, and at most
 * SERVE_JSON_VALUES commas outside strings. S2A_LIMIT. */
s2a_status chat_shape(const char *text, size_t len, s2a_error *err);

#endif
