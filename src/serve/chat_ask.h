/* How a request asks for S2A, and its options: the s2a object, and X-S2A. Pure. */
#ifndef S2A_SERVE_CHAT_ASK_H
#define S2A_SERVE_CHAT_ASK_H

#include "s2a.h"

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
    bool marker;     /* mode select: a marker replaces removed text */
    bool explain;    /* the s2a object of the response also has units, input and x' */
} chat_ask;

/* Scans the bytes of body; false if it certainly does not ask for S2A, however it is parsed. header
 * is the value of X-S2A, or NULL. */
bool chat_may_ask(const char *body, size_t len, const char *prefix, const char *header);

/* Overrides *ask by the s2a object of a body and by X-S2A; either may be NULL. ask->protect gets a
 * reference. S2A_INPUT with a message for the client. */
s2a_status chat_ask_read(json_t *object, const char *header, chat_ask *ask, s2a_error *err);
/* S2A_INPUT if these options contradict each other. */
s2a_status chat_ask_check(const chat_ask *ask, s2a_error *err);

#endif
