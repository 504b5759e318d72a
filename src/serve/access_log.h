/* One line of JSON for each request. Any thread, and none waits: see log_queue.h. */
#ifndef S2A_SERVE_ACCESS_LOG_H
#define S2A_SERVE_ACCESS_LOG_H

#include "s2a.h"

#include <jansson.h>

typedef struct log_queue access_log;

/* path: a file to append to, "-" = standard error, "off": *out is NULL. S2A_IO, S2A_NOMEM,
 * S2A_INTERNAL. */
s2a_status access_log_open(const char *path, access_log **out, s2a_error *err);
/* Opens the file again, which somebody may have moved away. What cannot be opened stays. */
void access_log_reopen(access_log *log);
void access_log_close(access_log *log);
bool access_log_is_on(const access_log *log);

/* Writes the object as a line, with "time" before it and, once lines were lost, "log_dropped" after
 * it: how many; takes the reference over. */
void access_log_write(access_log *log, json_t *line);
/* Lines that were lost. */
unsigned long long access_log_dropped(access_log *log);

#endif
