/* What the tests of serve have in common: a server and what stands behind it, and a look into what
 * it answers. Everything here fails the test that asks for what is not there. */
#ifndef S2A_TESTS_SERVE_RIG_H
#define S2A_TESTS_SERVE_RIG_H

#include "fake_server.h"
#include "serve_client.h"

#include <jansson.h>

#define CHAT "/v1/chat/completions"

/* ---- what is asked: X, of which step 1 leaves XPRIME ------------------------------------- */

#define X "I think it was Poe. The poem is from 1855. Who wrote it?"
#define PARTS "Unbiased text context: The poem is from 1855.\n\nQuestion/Query: Who wrote it?"
#define PARTS_JSON \
    "Unbiased text context: The poem is from 1855.\\\\n\\\\nQuestion/Query: Who wrote it?"
#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define ASK(more) "{\"model\":\"s2a-tiny\"," more "\"messages\":[" USER(X) "]}"

/* ---- what the server behind says --------------------------------------------------------- */

#define WHOLE(text, usage)                                                                     \
    "{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":" \
    "\"" text "\"},\"finish_reason\":\"stop\",\"logprobs\":{\"x\":-0.5}}],\"usage\":" usage    \
    ",\"more\":[1]}"
#define TEN "{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}"
#define CLOSED(type)                                                             \
    "HTTP/1.1 200 OK\\r\\nContent-Type: " type "\\r\\nX-Up: 1\\r\\nConnection: " \
    "close\\r\\n\\r\\n\n"
#define STEP1 CLOSED("application/json") WHOLE(PARTS_JSON, TEN) "\n@next\n"
#define CHUNK(rest) "@chunk data: {\"id\":\"c\",\"choices\":[{\"index\":0," rest "}]}\\n\\n\n"
#define STREAM                                                                      \
    "HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: " \
    "chunked\\r\\n\\r\\n\n"

/* ---- a server, and what stands behind it -------------------------------------------------- */

typedef struct rig {
    s2a_engine *engine; /* in front of a server the one that judges, or NULL */
    fake_server *up;    /* NULL on an engine */
    serve *s;
    int port;
    char *url; /* of up; the server's options point to it */
} rig;

/* On an engine that replays a text; change may be NULL. rig_stop is due. */
rig embedded(const char *replay, void (*change)(serve_options *));
/* In front of a server that plays a transcript. */
rig proxy(const char *transcript, void (*change)(serve_options *));
/* The same, where an engine that replays a text judges. */
rig proxy_judged(const char *judge, const char *transcript, void (*change)(serve_options *));
void rig_stop(rig *r);
/* A connection on which a POST of this body to CHAT has been sent. */
int ask_open(const rig *r, const char *body);

/* The events of a stream: an array of their JSON, null for each of the *odd ones that are none;
 * *done tells of [DONE] at the end. */
json_t *events_of(const answer *a, bool *done, size_t *odd);
/* What is at a place such as "choices.0.delta"; NULL = nothing. */
const json_t *at(const json_t *root, const char *path);
/* The texts that are there in each event, one after the other. */
void joined(const json_t *events, const char *path, char *text, size_t size);
/* That its status is this, and this is in its body (NULL = whatever it is); frees it. */
void assert_answer(answer a, int status, const char *part);
/* A field of the answer's head; value NULL: there is none. */
void assert_field(const answer *a, const char *name, const char *value);

#endif
