#include "base/error.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text;
} statuses[] = {
#define STATUS_ROW(name, text) { "S2A_" #name, text },
    S2A_STATUS_MAP(STATUS_ROW)
#undef STATUS_ROW
};

static size_t status_index(s2a_status status)
{
    size_t count = sizeof statuses / sizeof statuses[0];
    return (size_t)status < count ? (size_t)status : (size_t)S2A_INTERNAL;
}

const char *s2a_status_name(s2a_status status)
{
    return statuses[status_index(status)].name;
}

const char *s2a_status_text(s2a_status status)
{
    return statuses[status_index(status)].text;
}

static void error_fill(s2a_error *err, s2a_status status, size_t position, const char *format,
                       va_list args)
{
    err->status = status;
    err->position = position;
    int wanted = vsnprintf(err->message, sizeof err->message, format, args);
    if (wanted >= (int)sizeof err->message)
        err->message[utf8_cut(err->message, sizeof err->message - 4)] = '\0';
    for (char *p = err->message; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    /* Text quoted by other libraries may begin or end inside a character. */
    size_t len = strlen(err->message), at;
    while ((at = utf8_valid_prefix(err->message, len)) < len)
        err->message[at] = '?';
}

s2a_status error_set(s2a_error *err, s2a_status status, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        error_fill(err, status, S2A_NO_POSITION, format, args);
        va_end(args);
    }
    return status;
}

s2a_status error_set_at(s2a_error *err, s2a_status status, size_t position, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        error_fill(err, status, position, format, args);
        va_end(args);
    }
    return status;
}

s2a_status error_nomem(s2a_error *err)
{
    return error_set(err, S2A_NOMEM, "out of memory");
}
