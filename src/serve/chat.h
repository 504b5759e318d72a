/* The body of a request to /v1/chat/completions or /v1/completions: whether it asks for S2A and
 * how, which texts of it are judged, and the same body with other texts in their place. Pure: no
 * I/O. */
#ifndef S2A_SERVE_CHAT_H
#define S2A_SERVE_CHAT_H

#include "s2a.h"
#include "serve/serve_limits.h"

#include <jansson.h>

/* How x' is shown beside the answer. */
typedef enum chat_show {
    CHAT_SHOW_NONE,
    CHAT_SHOW_REASONING_CONTENT, /* message.reasoning_content */
    CHAT_SHOW_REASONING,         /* message.reasoning */
    CHAT_SHOW_BOTH,
    CHAT_SHOW_THINK, /* <think>x'</think> at the beginning of the content */
} chat_show;

/* False, and *out untouched, when none has that name. */
bool chat_show_from_name(const char *name, chat_show *out);

/* How S2A is to be done; the server's defaults, then what the request says. */
typedef struct chat_ask {
    s2a_mode mode;
    s2a_preset preset;
    chat_show show;
    double threshold, keep; /* NaN = the border of the preset */
    json_t *protect; /* texts that stay, an array; borrowed until the request is freed; NULL = none */
    bool untrusted; /* tool results, and parts that are marked, are judged too; preset untrusted says so
                       unless the request says otherwise */
    bool explain;   /* the s2a object of the answer also has units, input and x' */
} chat_ask;

/* A text to judge. */
typedef struct chat_target {
    json_t *message; /* borrowed from root; NULL: the prompt of /v1/completions */
    json_t *part;    /* a marked part of the message; NULL: all its other text */
    size_t index;    /* of the message */
    bool context;    /* judged as context of the question; otherwise it is the question's message */
    char *text;
    size_t len;
} chat_target;

typedef struct chat_request {
    json_t *root; /* without the s2a object, the model without its prefix */
    bool chat;    /* /v1/chat/completions */
    bool wanted;  /* S2A is asked for, and not turned off */
    bool changed; /* root is not what came */
    bool kept;    /* see json_keep.h: half a surrogate pair is a character of its own in texts */
    bool prefixed, stream, include_usage;
    chat_ask ask;
    chat_target *targets; /* at most SERVE_TARGETS; the question's message is the last one */
    size_t target_count;
    /* Earlier messages of the system, the user and the assistant, oldest first: the user's are judged, by what
     * was said before each. At most
     * SERVE_TURNS, the latest; what is longer than a prompt may be, and all before it, is left out. */
    chat_target *turns;
    size_t turn_count;
} chat_request;

/* False when body certainly does not ask for S2A, however it is read, from a look at its bytes; header
 * is the value of X-S2A, or NULL. */
bool chat_may_ask(const char *body, size_t len, const char *prefix, const char *header);

/* *out is filled and chat_free must follow, also on failure. S2A_INPUT with a message for the
 * client (not JSON, an unknown mode or preset ...), S2A_LIMIT (chat_shape), S2A_NOMEM. Where wanted
 * is false a body that is wrong in itself is somebody else's to refuse. */
s2a_status chat_parse(const char *body, size_t len, bool chat, const char *prefix,
                      const char *header, const chat_ask *defaults, chat_request *out,
                      s2a_error *err);
void chat_free(chat_request *q);

/* The model's name, without the prefix; "" if the body has none. */
const char *chat_model(const chat_request *q);
/* Puts a text in place of a target's, or of a turn's; images and the like stay. False when memory is
 * out. */
bool chat_put(chat_request *q, size_t target, const char *text, size_t len);
bool chat_put_turn(chat_request *q, size_t turn, const char *text, size_t len);
/* The body as it now is, malloc'ed; fields and their order are those that came. NULL when out of
 * memory. */
char *chat_dump(const chat_request *q, size_t *len);

/* Whether a body may be parsed: nested at most LIMIT_JSON_DEPTH, with at most SERVE_JSON_VALUES
 * commas, so that what comes of it has a size; strings are skipped. S2A_LIMIT. */
s2a_status chat_shape(const char *text, size_t len, s2a_error *err);

#endif
