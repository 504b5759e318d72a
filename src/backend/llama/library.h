/* Loading libllama and ggml, once per process. */
#ifndef S2A_LLAMA_LIBRARY_H
#define S2A_LLAMA_LIBRARY_H

#include "s2a.h"

#include <stdbool.h>

/* Loads ggml's libraries for this machine's processors from dir (NULL = libllama's directory),
 * unless the process has them already (a libllama may have them built in). kernels: use our own
 * kernels (src/kernels/) if there are any for this processor and this libllama; dir must then be
 * NULL. Any thread. S2A_UNAVAILABLE if there is no library for this processor. */
s2a_status library_load(const char *dir, bool kernels, s2a_error *err);

/* The instruction set of our own kernels in use, such as "zen4"; NULL = ggml's kernels. */
const char *library_kernels(void);

/* In llama.c: sends each line of libllama's log to the engine that works on the thread. */
void library_log_here(void);

#endif
