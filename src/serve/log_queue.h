/* A queue of lines for a file that may be slow, full, or stopped (a pipe without a reader, a
 * terminal after Ctrl-S). Callers never wait. A thread of the queue writes the lines in order;
 * lines that do not fit the queue are dropped and counted. Any thread. */
#ifndef S2A_SERVE_LOG_QUEUE_H
#define S2A_SERVE_LOG_QUEUE_H

#include "s2a.h"

typedef struct log_queue log_queue;

/* path: a file to append to, or a FIFO, also without a reader; NULL = standard error. S2A_IO with
 * the text of errno as message, S2A_NOMEM, S2A_INTERNAL. */
s2a_status log_queue_open(const char *path, log_queue **out, s2a_error *err);
/* Reopens the file, which may have been moved; if that fails, the old file stays in use. Waiting
 * lines go to the new file. */
void log_queue_reopen(log_queue *q);
/* Waits at most SERVE_LOG_CLOSE_MS for the lines to be written. */
void log_queue_close(log_queue *q);

/* Copies len bytes, which end in a newline. Drops them when out of memory, or if more than
 * SERVE_LOG_BYTES would wait and the line is not the only one. */
void log_queue_put(log_queue *q, const char *line, size_t len);
/* The number of lines that were dropped or could not be written. A line that was written in part
 * does not count: its rest is written when there is room. */
unsigned long long log_queue_dropped(log_queue *q);

#endif
