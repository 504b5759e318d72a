#include "serve/access_log.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "serve/log_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

s2a_status access_log_open(const char *path, access_log **out, s2a_error *err)
{
    s2a_error why = { .status = S2A_OK };
    *out = NULL;
    if (!strcmp(path, "off"))
        return S2A_OK;
    s2a_status status = log_queue_open(!strcmp(path, "-") ? NULL : path, out, &why);
    return status == S2A_OK ? S2A_OK
                            : error_set(err, status,
                                        "--access-log %s: %s; name a file that can be "
                                        "written",
                                        path, why.message);
}

void access_log_reopen(access_log *log)
{
    if (log)
        log_queue_reopen(log);
}

void access_log_close(access_log *log)
{
    log_queue_close(log);
}

bool access_log_is_on(const access_log *log)
{
    return log != NULL;
}

unsigned long long access_log_dropped(access_log *log)
{
    return log ? log_queue_dropped(log) : 0;
}

void access_log_write(access_log *log, json_t *line)
{
    unsigned long long dropped = access_log_dropped(log);
    if (dropped > 0)
        json_object_set_new(line, "log_dropped", json_integer((json_int_t)dropped));
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    if (!text)
        return;
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    buf out;
    buf_init(&out, LIMIT_NONE);
    buf_addf(&out, "{\"time\":\"%s.%03dZ\",%s\n", stamp, (int)(now.tv_nsec / 1000000), text + 1);
    free(text);
    if (out.status == S2A_OK)
        log_queue_put(log, out.data, out.len);
    buf_free(&out);
}
