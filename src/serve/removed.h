/* Texts that were removed, so that a client can read them back (GET /v1/s2a/removed/ID). Bounded:
 * the oldest go. Thread-safe. */
#ifndef S2A_SERVE_REMOVED_H
#define S2A_SERVE_REMOVED_H

#include "s2a.h"

/* Digits of an id, and a NUL. */
enum { REMOVED_ID_SIZE = 17 };

typedef struct removed_store removed_store;

/* Holds at most count texts, and SERVE_REMOVED_BYTES of them. NULL when out of memory. */
removed_store *removed_new(size_t count);
void removed_free(removed_store *store);

/* The id of a text: the beginning of its SHA-256. The same text has the same id in each request, so
 * a conversation that is sent again has the same markers. False when out of memory. */
bool removed_id(const char *text, size_t len, char id[REMOVED_ID_SIZE]);
/* What stands in place of the text: "[s2a removed ID]". */
#define REMOVED_MARK_FORMAT "[s2a removed %s]"
enum { REMOVED_MARK_SIZE = REMOVED_ID_SIZE + sizeof REMOVED_MARK_FORMAT };

/* Stores a copy under its id. owner is the client's key, or NULL: nobody else gets the text. A text
 * that is too large, or for which there is no memory, is not stored. */
void removed_put(removed_store *store, const char *owner, const char *text, size_t len);
/* A copy, malloc'ed; NULL if it is not there, is another owner's, or memory is out. */
char *removed_get(removed_store *store, const char *owner, const char *id, size_t *len);

#endif
