/* The API keys that clients may use, as SHA-256 of each: who reads the file has no key. */
#ifndef S2A_SERVE_KEYS_H
#define S2A_SERVE_KEYS_H

#include "s2a.h"

typedef struct keys keys;

/* Lines "HEX" or "HEX name", where HEX is the 64 digits of `printf %s KEY | sha256sum`; empty lines
 * and those that begin with # are passed over. S2A_IO, S2A_LIMIT, S2A_ARGUMENT (path:line: what is
 * wrong; a file without any key and the hash of an empty one, too), S2A_NOMEM. */
s2a_status keys_load(const char *path, keys **out, s2a_error *err);
/* The same of a text; path is for messages. */
s2a_status keys_parse(const char *path, const char *text, size_t len, keys **out, s2a_error *err);
void keys_free(keys *k);
size_t keys_count(const keys *k);

/* Whether key (NULL and "": no) is one of them. Takes as long whichever it is, and whether it is. */
bool keys_allow(const keys *k, const char *key);

#endif
