/* The API keys of clients, stored as SHA-256, so that the file reveals no key. */
#ifndef S2A_SERVE_KEYS_H
#define S2A_SERVE_KEYS_H

#include "s2a.h"

typedef struct keys keys;

/* Reads lines "HEX" or "HEX name", where HEX is the 64 digits of `printf %s KEY | sha256sum`; empty
 * lines and lines that begin with # are ignored. S2A_IO, S2A_LIMIT, S2A_ARGUMENT (path:line and the
 * fault; also for a file without keys and for the hash of an empty key), S2A_NOMEM. */
s2a_status keys_load(const char *path, keys **out, s2a_error *err);
/* The same from a text; path is for messages. */
s2a_status keys_parse(const char *path, const char *text, size_t len, keys **out, s2a_error *err);
void keys_free(keys *k);
size_t keys_count(const keys *k);

/* Whether key is one of them; false for NULL and "". Constant time for a given number of keys. */
bool keys_allow(const keys *k, const char *key);

#endif
