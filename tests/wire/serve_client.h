/* A server of src/serve in this process, and a client that sends bytes. Aborts when the test itself
 * fails (no socket, out of memory). */
#ifndef S2A_TESTS_SERVE_CLIENT_H
#define S2A_TESTS_SERVE_CLIENT_H

#include "serve/serve.h"

#include <stdbool.h>
#include <stddef.h>

/* Options of a test: no log, a free port. */
void serve_test_options(serve_options *o);
/* In front of 127.0.0.1:port/v1; url holds the text as long as the server lives. */
void serve_test_upstream(serve_options *o, int port, char url[64]);
/* An engine of the script backend with this replay text. */
s2a_engine *serve_test_engine(const char *replay);
serve *serve_test_start(const serve_options *o);

int client_connect(int port);
void client_send(int socket, const char *bytes, size_t len);
void client_text(int socket, const char *text);
/* Reads until text was seen in all that came, the end, or ms are over; appends to *data (malloc'ed,
 * NUL-terminated). False: text was not seen. */
bool client_read(int socket, char **data, size_t *len, const char *text, int ms);
/* Whether the other side closes within ms. */
bool client_closed(int socket, int ms);

/* An answer, taken apart. */
typedef struct answer {
    char *data; /* all that came */
    size_t len;
    int status; /* 0 = none came */
    char *body; /* without chunks; NUL-terminated */
    size_t body_len;
    bool whole; /* the body is as long as the head says, or its last chunk came */
} answer;

/* Sends a request and reads until its answer is whole, the connection ends, or nothing came for
 * 10 s. */
answer client_ask(int port, const char *request, size_t len);
/* POST with this body, and fields ("Name: value\r\n" ...). */
answer client_post(int port, const char *path, const char *fields, const char *body);
answer client_get(int port, const char *path, const char *fields);
answer client_read_answer(int socket, bool head_only);
/* The value of a field of the answer, malloc'ed; NULL = none. */
char *answer_field(const answer *a, const char *name);
bool answer_has(const answer *a, const char *text);
void answer_free(answer *a);

#endif
