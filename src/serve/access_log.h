/* One line of JSON for each request. Any thread; no caller waits: see log_queue.h. */
#ifndef S2A_SERVE_ACCESS_LOG_H
#define S2A_SERVE_ACCESS_LOG_H

#include "s2a.h"

#include <jansson.h>

typedef struct log_queue access_log;

/* path: a file to append to, "-" = standard error, "off": *out is NULL. S2A_IO, S2A_NOMEM,
 * S2A_INTERNAL. */
s2a_status access_log_open(const char *path, access_log **out, s2a_error *err);
/* Reopens the file, which may have been moved. If that fails, the old file stays in use. */
void access_log_reopen(access_log *log);
void access_log_close(access_log *log);
bool access_log_is_on(const access_log *log);

/* Writes the object as a line, with "time" first and, once lines were lost, their number as
 * "log_dropped" last. Takes ownership of the reference. */
void access_log_write(access_log *log, json_t *line);
/* The number of lost lines. */
unsigned long long access_log_dropped(access_log *log);

#endif
