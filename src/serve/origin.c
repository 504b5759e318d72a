#include "serve/origin.h"

#include "base/ascii.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

bool origin_is_loopback(const char *address)
{
    return !address || !strncmp(address, "127.", 4) || !strcmp(address, "::1") ||
           !strncasecmp(address, "::ffff:127.", 11) || !strcasecmp(address, "localhost");
}

/* The length of a Host without its port. */
static size_t name_len(const char *host)
{
    const char *end = *host == '[' ? strchr(host, ']') : NULL;
    if (end)
        return (size_t)(end - host) + 1;
    const char *colon = strrchr(host, ':');
    return colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) ? (size_t)(colon - host)
                                                                         : strlen(host);
}

static bool is_figures(const char *name, size_t len)
{
    char text[64];
    unsigned char address[16];
    bool v6 = len > 1 && name[0] == '[' && name[len - 1] == ']';
    if (v6) {
        name++;
        len -= 2;
    }
    if (len >= sizeof text)
        return false;
    memcpy(text, name, len);
    text[len] = '\0';
    return inet_pton(v6 ? AF_INET6 : AF_INET, text, address) == 1;
}

static bool is_localhost(const char *name, size_t len)
{
    static const char localhost[] = "localhost";
    size_t n = sizeof localhost - 1;
    len -= len > 0 && name[len - 1] == '.';
    return len >= n && !strncasecmp(name + len - n, localhost, n) &&
           (len == n || name[len - n - 1] == '.');
}

bool origin_host_is_ours(const char *host, const origin_list *allowed)
{
    if (!host)
        return true;
    size_t len = name_len(host);
    bool ours = is_localhost(host, len) || is_figures(host, len);
    for (size_t i = 0; i < allowed->count && !ours; i++) {
        const char *name = allowed->names[i];
        ours = !strcasecmp(name, host) || (strlen(name) == len && !strncasecmp(name, host, len));
    }
    return ours;
}

bool origin_is_own(const char *origin, const char *host)
{
    const char *at = !strncasecmp(origin, "http://", 7)    ? origin + 7
                     : !strncasecmp(origin, "https://", 8) ? origin + 8
                                                           : NULL;
    return at && host && !strcasecmp(at, host);
}

bool origin_is_listed(const char *origin, const origin_list *allowed)
{
    for (size_t i = 0; origin && i < allowed->count; i++)
        if (!strcmp(origin, allowed->names[i]))
            return true;
    return false;
}

bool origin_type_is(const char *content_type, const char *type)
{
    size_t n = strlen(type);
    if (!content_type || strncasecmp(content_type, type, n) != 0)
        return false;
    char after = content_type[n + strspn(content_type + n, " \t")];
    return after == ';' || !after;
}

static const char host_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789.-_:[]";

bool origin_host_is_valid(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len < 256 && strspn(text, host_characters) == len;
}

bool origin_is_valid(const char *text)
{
    const char *host = strstr(text, "://");
    return !strcmp(text, "null") || (host && host > text && origin_host_is_valid(host + 3));
}
