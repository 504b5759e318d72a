/* One line of JSON for each request. Any thread. */
#ifndef S2A_SERVE_ACCESS_LOG_H
#define S2A_SERVE_ACCESS_LOG_H

#include "s2a.h"

#include <jansson.h>

typedef struct access_log access_log;

/* path: a file to append to, "-" = standard error, "off". S2A_IO, S2A_NOMEM. */
s2a_status access_log_open(const char *path, access_log **out, s2a_error *err);
/* Opens the file again, which somebody may have moved away. What cannot be opened stays. */
void access_log_reopen(access_log *log);
void access_log_close(access_log *log);
bool access_log_is_on(const access_log *log);

/* Writes the object as a line, with "time" before it; takes the reference over. A line that cannot
 * be written is lost. */
void access_log_write(access_log *log, json_t *line);

#endif
