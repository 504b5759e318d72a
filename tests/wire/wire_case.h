/* A wire case: a text file with a goal, settings, a transcript for the fake server, and what is
 * expected of the client. Its first line is "# goal". The lines that the server does not read:
 *     set KEY VALUE                 an input of the test; each test names its keys
 *     expect NAME is TEXT           the observation of that name, as a whole
 *     expect NAME has TEXT          a part of it; "begins": its beginning; "like": a pattern of it
 *     expect NAME lacks TEXT        not a part of it
 *     expect NAME above NUMBER      at least; "below": at most
 *     expect NAME absent            there is no such observation
 * with the escapes of transcripts in VALUE and TEXT. A case needs one expectation or more, and a
 * setting that the test does not ask for fails it. "set cuts all" runs the case once more for each
 * place where the first response can be cut in two. */
#ifndef S2A_TESTS_WIRE_CASE_H
#define S2A_TESTS_WIRE_CASE_H

#include "fake_server.h"

typedef struct wire_case wire_case;

/* The value of a setting; otherwise, when the case does not have it. */
const char *wire_get(wire_case *c, const char *key, const char *otherwise);
/* The same, with its length: values may hold NUL. */
const char *wire_get_bytes(wire_case *c, const char *key, const char *otherwise, size_t *len);
long wire_number(wire_case *c, const char *key, long otherwise);

/* True when the case expects something of that observation. */
bool wire_expects(const wire_case *c, const char *name);

/* One observation; a name is observed once a run. */
void wire_observe(wire_case *c, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void wire_observe_bytes(wire_case *c, const char *name, const char *data, size_t len);

/* What holds for every case, whether or not it asks: a failure of the run. */
void wire_fail(wire_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The requests that came, as requestN, and their number and that of the connections. */
void wire_observe_server(wire_case *c, const fake_server *server);

/* Observes error, which is one line, and log; both are UTF-8 and do not hold the key (NULL = there
 * is none). */
void wire_observe_words(wire_case *c, const char *error, const char *log, const char *key);

/* Waits, at most two seconds, for the server to see the client go; observes as gone_ms the time
 * that passed since. Does nothing when the case expects nothing of it. */
void wire_observe_gone(wire_case *c, fake_server *server, double since_ms);

/* Sends the request and observes what came of it; stops the server. */
typedef void (*wire_run_fn)(wire_case *c, fake_server *server);

/* Runs tests/wire/cases/PREFIX-*.txt whose names have the part (NULL = all); the number of cases
 * that failed, each with its reasons on stderr. */
int wire_run_all(const char *prefix, const char *part, wire_run_fn run);

/* ---- what the cases of serve use, too ----------------------------------------------------- */

/* A whole file, malloc'ed; fails the test when it cannot be opened. */
char *wire_read_text(const char *path);
/* Whether what was seen is as the verb says; got NULL = nothing was. */
bool wire_holds(const char *verb, const char *want, size_t want_len, const char *got,
                size_t got_len);
/* Enough of a long text to see what it is, on stderr. */
void wire_show(const char *label, const char *data, size_t len);

#endif
