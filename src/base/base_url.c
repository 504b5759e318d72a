#include "base/base_url.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static bool has_suffix(const char *text, size_t len, const char *suffix)
{
    size_t n = strlen(suffix);
    return len >= n && !memcmp(text + len - n, suffix, n);
}

s2a_status base_url_read(const char *name, const char *text, base_url *out, s2a_error *err)
{
    static const char endpoint[] = "/chat/completions";
    const char *host = text ? strstr(text, "://") : NULL;
    *out = (base_url){ NULL, NULL };
    if (!host || (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) ||
        strpbrk(text, "?# "))
        return error_set(err, S2A_ARGUMENT,
                         "%s: not a base URL: give it as http://127.0.0.1:8000/v1", name);
    host += 3;
    size_t len = strlen(host);
    while (len > 0 && host[len - 1] == '/')
        len--;
    if (has_suffix(host, len, endpoint))
        len -= sizeof endpoint - 1;
    const char *slash = memchr(host, '/', len);
    size_t origin = slash ? (size_t)(slash - host) : len;
    out->origin = strndup(text, (size_t)(host - text) + origin);
    out->path = slash ? strndup(slash, len - origin) : strdup("/v1");
    return out->origin && out->path ? S2A_OK : error_nomem(err);
}

void base_url_free(base_url *url)
{
    free(url->origin);
    free(url->path);
    *url = (base_url){ NULL, NULL };
}

size_t base_url_root(const base_url *url)
{
    size_t len = strlen(url->path);
    return has_suffix(url->path, len, "/v1") ? len - 3 : len;
}
