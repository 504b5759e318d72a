/* A backend that reads: it writes down what it is given, and tells of each piece what a function
 * makes of it. Tokens are words. */
#ifndef TESTS_FAKE_READER_H
#define TESTS_FAKE_READER_H

#include "backend/backend.h"
#include "base/buf.h"
#include "core/engine.h"
#include "core/head.h"

/* Fills told[rows] of a wanted piece. given is a hash of all that the reading was given and of
 * which of its pieces this is. */
typedef void (*fake_tell)(void *ctx, const backend_piece *piece, uint64_t given, double *told,
                          size_t rows);

/* Sees all that a reading is given. */
typedef void (*fake_look)(void *ctx, const backend_message *messages, size_t count,
                          const backend_piece *pieces, size_t piece_count);

typedef struct fake_reader {
    backend base;
    backend_capabilities can;
    fake_tell tell; /* NULL: rows are 1 */
    fake_look look; /* may be NULL */
    void *ctx;
    judge_head head;                  /* scale 1, thresholds 0 */
    size_t calls, fail_at, cancel_at; /* the n-th call fails, or fires cancel; 0 = none */
    s2a_cancel *cancel;
    size_t wanted;      /* pieces of all calls */
    size_t most_tokens; /* of one call: messages and pieces */
    bool writes;        /* into seen */
    /* Of each call: a line "ROLE| TEXT" for a message, "+|TEXT|" or "-|TEXT|" for a piece that is
     * wanted or not;
     * "%%" between two calls. */
    buf seen;
} fake_reader;

void fake_reader_init(fake_reader *f, fake_tell tell, void *ctx);
void fake_reader_free(fake_reader *f);

/* An engine whose judge it is, and which answers nothing; borrowed, and not to be closed. memo may
 * be NULL. */
s2a_engine fake_reader_engine(fake_reader *f, memo *m);

#endif
