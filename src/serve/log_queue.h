/* Lines for a file that may be slow, full, or stopped (a pipe that nobody reads, a terminal after
 * Ctrl-S): who has a line never waits for it. A thread of the queue writes them in their order; what
 * does not fit any more is dropped, and counted. Any thread. */
#ifndef S2A_SERVE_LOG_QUEUE_H
#define S2A_SERVE_LOG_QUEUE_H

#include "s2a.h"

typedef struct log_queue log_queue;

/* path: a file to append to, also a FIFO without a reader; NULL = standard error. S2A_IO with errno's
 * words as the message, S2A_NOMEM, S2A_INTERNAL. */
s2a_status log_queue_open(const char *path, log_queue **out, s2a_error *err);
/* Opens the file again, which somebody may have moved away; what cannot be opened stays as it is.
 * Lines that wait go to the new one. */
void log_queue_reopen(log_queue *q);
/* Waits for the lines, at most SERVE_LOG_CLOSE_MS. */
void log_queue_close(log_queue *q);

/* Copies len bytes, which end in a newline. Dropped when more than SERVE_LOG_BYTES would wait, but for
 * a line that is alone, or memory is out. */
void log_queue_put(log_queue *q, const char *line, size_t len);
/* Lines that were dropped, or could not be written. One that the file had no room for in the middle
 * is none: its rest is written once there is. */
unsigned long long log_queue_dropped(log_queue *q);

#endif
