/* Texts that were removed, so that a client can read them back (GET /v1/s2a/removed/ID). Bounded:
 * the oldest are dropped. Thread-safe. */
#ifndef S2A_SERVE_REMOVED_H
#define S2A_SERVE_REMOVED_H

#include "s2a.h"

/* Digits of an id, and a NUL. */
enum { REMOVED_ID_SIZE = 17 };

typedef struct removed_store removed_store;

/* Stores at most count texts, and SERVE_REMOVED_BYTES. NULL when out of memory. */
removed_store *removed_new(size_t count);
void removed_free(removed_store *store);

/* The id of a text: the beginning of its SHA-256. The same text has the same id in each request, so
 * a conversation that is sent again has the same markers. False when out of memory. */
bool removed_id(const char *text, size_t len, char id[REMOVED_ID_SIZE]);
/* The marker that replaces a removed text: "[s2a removed ID]". */
#define REMOVED_MARK_FORMAT "[s2a removed %s]"
enum { REMOVED_MARK_SIZE = REMOVED_ID_SIZE + sizeof REMOVED_MARK_FORMAT };

/* Stores a copy under its id. owner: the client's key, which is needed to read the text; NULL =
 * none. A text that is too large, or for which there is no memory, is not stored. */
void removed_put(removed_store *store, const char *owner, const char *text, size_t len);
/* A copy, malloc'ed; NULL if it is not stored, if it is another owner's, or when out of memory. */
char *removed_get(removed_store *store, const char *owner, const char *id, size_t *len);

#endif
