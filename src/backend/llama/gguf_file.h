/* Checks and identifies a model file before the engine reads it. */
#ifndef S2A_GGUF_FILE_H
#define S2A_GGUF_FILE_H

#include "s2a.h"

/* S2A_OK if path is a readable, regular file that begins like a GGUF file; otherwise S2A_MODEL, and
 * a message that says what to do. libllama's loader only says that it failed. */
s2a_status gguf_file_check(const char *path, s2a_error *err);

/* Identifies the weights of a file without reading all of it: a hash of the file's size and of
 * 17 pieces from its beginning to its end. 0 if it cannot be read. */
uint64_t gguf_file_id(const char *path);

/* The file's name without directory and ".gguf", malloc'ed; NULL when out of memory. */
char *gguf_file_name(const char *path);

/* Releases the pages of the file that this process has mapped. libllama copies most weights into
 * its own memory when it loads a model and does not read their pages again; the other pages return
 * from the page cache when they are read. Does nothing if the system cannot list mappings. */
void gguf_file_release(const char *path);

#endif
