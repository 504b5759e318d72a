/* Reading whole files and standard input, and reading a stream line by line. One thread. */
#ifndef S2A_CLI_FILES_H
#define S2A_CLI_FILES_H

#include "base/buf.h"

/* The length of a byte order mark at the start: 3 or 0. */
size_t files_bom(const char *text, size_t len);

/* The name of path in messages: "standard input" for "-". */
const char *files_name(const char *path);

/* All of a file, or of standard input for "-": *text is malloc'ed and NUL-terminated. S2A_IO (errno
 * says why), S2A_LIMIT (more than max bytes), S2A_NOMEM. */
s2a_status files_read(const char *path, size_t max, char **text, size_t *len, s2a_error *err);

typedef enum files_line {
    FILES_LINE,     /* a line, without its newline */
    FILES_TOO_LONG, /* a line with more than max bytes: it was skipped */
    FILES_END,
    FILES_STOPPED, /* a signal came; see signals.h */
    FILES_FAILED,  /* errno says why; out of memory is ENOMEM */
} files_line;

/* Reads lines as they arrive: returns each line without waiting for the next. */
typedef struct files_lines {
    int fd;
    buf line;
    char *chunk;
    size_t from, to; /* the unread rest of the chunk */
    bool ended;      /* the descriptor is at its end */
    bool torn;       /* the last returned line had no newline */
    uint64_t bytes;  /* position after the last returned line */
} files_lines;

/* max is the limit of a line. False when out of memory. The descriptor stays the caller's. */
bool files_lines_init(files_lines *l, int fd, size_t max);
void files_lines_free(files_lines *l);
/* The line is in l->line until the next call. */
files_line files_lines_next(files_lines *l);

#endif
