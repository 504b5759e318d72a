#include "serve/headers.h"

#include "base/ascii.h"
#include "base/limits.h"
#include "serve/serve_limits.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

static const char *const of_connection[] = {
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Content-Length",
};
static const char *const of_request[] = { "Host", "Expect", "X-S2A", "X-Request-Id" };
static const char *const of_answer[] = { "X-Request-Id", "X-S2A-Fallback" };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool among(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcasecmp(names[i], name))
            return true;
    return false;
}

/* Whether a comma-separated list has the name. */
static bool list_has(const char *list, const char *name)
{
    size_t len = strlen(name);
    while (*list) {
        while (*list == ' ' || *list == '\t' || *list == ',')
            list++;
        size_t n = strcspn(list, ", \t");
        if (n == len && !strncasecmp(list, name, n))
            return true;
        list += n;
    }
    return false;
}

static bool named_by_connection(const http_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcasecmp(fields[i].name, "Connection") && list_has(fields[i].value, name))
            return true;
    return false;
}

static size_t pass(const http_field *fields, size_t count, const char *const *without,
                   size_t without_count, http_field *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < count && n < max; i++) {
        const char *name = fields[i].name;
        if (!among(of_connection, COUNT(of_connection), name) &&
            !among(without, without_count, name) && !named_by_connection(fields, count, name))
            out[n++] = fields[i];
    }
    return n;
}

static bool has_key(const char *name)
{
    return !strcasecmp(name, "Authorization") || !strcasecmp(name, "X-Api-Key");
}

size_t headers_forward(const http_field *fields, size_t count, bool authorization, http_field *out,
                       size_t max)
{
    size_t n = pass(fields, count, of_request, COUNT(of_request), out, max), kept = 0;
    for (size_t i = 0; i < n; i++)
        if (authorization || !has_key(out[i].name))
            out[kept++] = out[i];
    return kept;
}

size_t headers_back(const http_field *fields, size_t count, http_field *out, size_t max)
{
    return pass(fields, count, of_answer, COUNT(of_answer), out, max);
}

void headers_request_id(const char *given, char id[HEADERS_ID_SIZE])
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "._:/+=@-";
    size_t len = given ? strlen(given) : 0;
    if (len > 0 && len <= SERVE_ID_BYTES && strspn(given, allowed) == len) {
        memcpy(id, given, len + 1);
        return;
    }
    unsigned char bytes[12];
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes) {
        /* An id need not be secret: the clock is good enough. */
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, &now.tv_nsec, sizeof now.tv_nsec < 8 ? sizeof now.tv_nsec : 8);
        memcpy(bytes + 8, &now.tv_sec, 4);
    }
    int n = snprintf(id, HEADERS_ID_SIZE, "s2a-");
    for (size_t i = 0; i < sizeof bytes; i++)
        n += snprintf(id + n, (size_t)(HEADERS_ID_SIZE - n), "%02x", bytes[i]);
}

const char *headers_bearer(const char *value)
{
    if (!value || strncasecmp(value, "Bearer ", 7) != 0)
        return NULL;
    value += 7;
    while (*value == ' ')
        value++;
    return value;
}

const char *headers_trace(const char *value)
{
    static const char form[] = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    size_t n = 0;
    for (; value && form[n]; n++)
        if (form[n] == 'x' ? !strchr("0123456789abcdef", value[n]) || !value[n] : value[n] != '-')
            return NULL;
    return value && (!value[n] || value[n] == '-') && strlen(value) <= LIMIT_REQUEST_ID_BYTES
               ? value
               : NULL;
}
