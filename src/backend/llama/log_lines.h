/* Joins the pieces of libllama's log to lines. */
#ifndef S2A_LOG_LINES_H
#define S2A_LOG_LINES_H

#include <stddef.h>

typedef struct log_lines {
    void (*log)(void *ctx, int level, const char *line); /* NULL = no log */
    void *log_ctx;
    int level; /* level of the incomplete line */
    size_t len;
    char line[512];
    char fault[256]; /* the first error line: the cause; later ones are its consequences */
} log_lines;

/* level is that of s2a_engine_options.log, or -1 to continue the previous line. Lines longer than
 * the buffer are cut. */
void log_lines_add(log_lines *l, int level, const char *text);

/* Sends an incomplete line. */
void log_lines_end(log_lines *l);

/* The logged cause of a failure, or otherwise if none was logged. */
const char *log_lines_fault(const log_lines *l, const char *otherwise);

#endif
