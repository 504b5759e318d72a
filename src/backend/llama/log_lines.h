/* The engine's log comes in pieces of lines; this puts them together. */
#ifndef S2A_LOG_LINES_H
#define S2A_LOG_LINES_H

#include <stddef.h>

typedef struct log_lines {
    void (*log)(void *ctx, int level, const char *line); /* NULL = nobody listens */
    void *log_ctx;
    int level; /* of the line that is being put together */
    size_t len;
    char line[512];
    char fault[256]; /* the first error line: the cause; those after it are its consequences */
} log_lines;

/* level is that of s2a_engine_options.log, or -1 to go on with the line before. Lines longer than
 * the buffer are cut. */
void log_lines_add(log_lines *l, int level, const char *text);

/* Sends a line that has no end yet. */
void log_lines_end(log_lines *l);

/* The cause of a failure in words, or the text given where the engine logged none. */
const char *log_lines_fault(const log_lines *l, const char *otherwise);

#endif
