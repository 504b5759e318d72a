/* What can be said about a model file before the engine reads it. */
#ifndef S2A_GGUF_FILE_H
#define S2A_GGUF_FILE_H

#include "s2a.h"

/* S2A_OK when path is a readable, regular file that begins like a GGUF file; otherwise S2A_MODEL
 * and what to do. The engine's own loader says only that it failed. */
s2a_status gguf_file_check(const char *path, s2a_error *err);

/* malloc'ed: the file's name without directory and ".gguf"; NULL when out of memory. */
char *gguf_file_name(const char *path);

#endif
