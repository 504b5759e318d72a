/* libllama and ggml, once a process. */
#ifndef S2A_LLAMA_LIBRARY_H
#define S2A_LLAMA_LIBRARY_H

#include "s2a.h"

#include <stdbool.h>

/* Loads ggml's libraries for this machine's processors from dir, NULL = where libllama is, unless
 * the process has them (a libllama may come with them built in). kernels: with products of ours
 * where there are any for this processor and this libllama (src/kernels/); NULL must be dir for
 * that. Any thread. S2A_UNAVAILABLE when there is none for this processor. */
s2a_status library_load(const char *dir, bool kernels, s2a_error *err);

/* Whose kernels the process has: "zen4" and the like, NULL = ggml's own. */
const char *library_kernels(void);

/* Of llama.c: libllama's log goes to the engine whose work is done on the thread. */
void library_log_here(void);

#endif
