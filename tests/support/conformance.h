/* What src/backend/backend.h promises of every backend_vtable, as tests that each backend runs:
 * script and kept in tests/unit, http in tests/wire, llama in tests/live. A program names its
 * subject and puts CONFORMANCE_TESTS(&subject) among its tests. */
#ifndef TESTS_CONFORMANCE_H
#define TESTS_CONFORMANCE_H

#include "backend/backend.h"

/* How a backend is to answer for a test. */
typedef enum conformance_way {
    CONFORMANCE_SPEAKS,  /* writes the subject's text, in two pieces or more, and ends */
    CONFORMANCE_STOPPED, /* the same, where the model's side is told of a stop; it may say which */
    CONFORMANCE_CUT, /* would write more than CONFORMANCE_CUT_TOKENS, and is asked for so many */
    CONFORMANCE_GOES_ON, /* writes a piece, and is not done soon after it */
    CONFORMANCE_SILENT,  /* writes nothing for half a second */
    CONFORMANCE_FAILS,   /* writes nothing and fails */
    CONFORMANCE_MARKED,  /* writes something, asked by conformance_markers() */
    CONFORMANCE_READS,   /* tells of three pieces, if it can read */
} conformance_way;

#define CONFORMANCE_CUT_TOKENS 2

typedef struct conformance_asked {
    const backend_message *messages; /* they live as long as the program */
    size_t count;
} conformance_asked;

typedef struct conformance {
    const char *text; /* of CONFORMANCE_SPEAKS; it has a space, and some characters of it are longer
                         than a byte */
    /* A backend that answers so. Fails the running test. */
    backend *(*open)(conformance_way way);
    /* Closes it, with what is behind it. */
    void (*close)(backend *b);
    /* What it is asked, but for MARKED; NULL = one message of the user's, "Hello". Any thread. */
    conformance_asked (*ask)(conformance_way way);
    /* Whether the model's side was asked exactly this last, by the user; NULL = it fails unless
     * it was, or it counts tokens. */
    bool (*was_asked)(const char *text, size_t len);
    bool keeps; /* results are kept, so what was asked before may come at once and in one piece */
} conformance;

/* Special tokens of several models, as a text. */
const char *conformance_markers(size_t *len);

void conformance_streams(void **subject);
void conformance_caller_stops(void **subject);
void conformance_stops(void **subject);
void conformance_logprobs(void **subject);
void conformance_max_tokens(void **subject);
void conformance_cancel_before(void **subject);
void conformance_cancel_between(void **subject);
void conformance_cancel_while_silent(void **subject);
void conformance_failure(void **subject);
void conformance_markers_are_text(void **subject);
void conformance_counts_tokens(void **subject);
void conformance_reads(void **subject);
void conformance_capabilities(void **subject);
void conformance_threads(void **subject);

#define CONFORMANCE_TESTS(subject)                                           \
    cmocka_unit_test_prestate(conformance_streams, subject),                 \
        cmocka_unit_test_prestate(conformance_caller_stops, subject),        \
        cmocka_unit_test_prestate(conformance_stops, subject),               \
        cmocka_unit_test_prestate(conformance_logprobs, subject),            \
        cmocka_unit_test_prestate(conformance_max_tokens, subject),          \
        cmocka_unit_test_prestate(conformance_cancel_before, subject),       \
        cmocka_unit_test_prestate(conformance_cancel_between, subject),      \
        cmocka_unit_test_prestate(conformance_cancel_while_silent, subject), \
        cmocka_unit_test_prestate(conformance_failure, subject),             \
        cmocka_unit_test_prestate(conformance_markers_are_text, subject),    \
        cmocka_unit_test_prestate(conformance_counts_tokens, subject),       \
        cmocka_unit_test_prestate(conformance_reads, subject),               \
        cmocka_unit_test_prestate(conformance_capabilities, subject),        \
        cmocka_unit_test_prestate(conformance_threads, subject)

#endif
