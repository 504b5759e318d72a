/* What can be said about a model file before the engine reads it. */
#ifndef S2A_GGUF_FILE_H
#define S2A_GGUF_FILE_H

#include "s2a.h"

/* S2A_OK when path is a readable, regular file that begins like a GGUF file; otherwise S2A_MODEL
 * and what to do. The engine's own loader says only that it failed. */
s2a_status gguf_file_check(const char *path, s2a_error *err);

/* Tells the weights of two files apart without reading all of them: a hash of the file's size and of
 * some sixteen pieces from its beginning to its end. 0 when it cannot be read. */
uint64_t gguf_file_id(const char *path);

/* malloc'ed: the file's name without directory and ".gguf"; NULL when out of memory. */
char *gguf_file_name(const char *path);

/* Lets go of the pages of the file that are mapped here. libllama repacks most weights of a model into
 * memory of its own when it loads it, and reads their pages no more; of the others each comes back from
 * the page cache when it is read. Does nothing where the system does not tell what is mapped. */
void gguf_file_release(const char *path);

#endif
