/* Recognising requests of web pages. A page in a browser on this machine can reach a server on a
 * loopback address, also through a foreign name that points there (DNS rebinding). Host and Origin
 * reveal it, because it cannot choose them. Pure. */
#ifndef S2A_SERVE_ORIGIN_H
#define S2A_SERVE_ORIGIN_H

#include "s2a.h"

typedef struct origin_list {
    const char *const *names; /* borrowed */
    size_t count;
} origin_list;

/* Whether a listening address (NULL: the default) can be reached from this machine only. */
bool origin_is_loopback(const char *address);

/* Whether a Host cannot be a foreign name: localhost, a name that ends in .localhost, a numeric
 * address, or one of the list, with or without a port. host NULL: no Host, which browsers never
 * omit. */
bool origin_host_is_ours(const char *host, const origin_list *allowed);

/* Whether an Origin is that of a page from the request's own host. */
bool origin_is_own(const char *origin, const char *host);
/* Whether an Origin is in the list, compared exactly. */
bool origin_is_listed(const char *origin, const origin_list *allowed);

/* Whether a Content-Type (may be NULL) has that media type, ignoring parameters. */
bool origin_type_is(const char *content_type, const char *type);

/* Valid entries of the lists. Hosts: "name" or "name:port". Origins: "scheme://host",
 * "scheme://host:port", or "null". */
bool origin_host_is_valid(const char *text);
bool origin_is_valid(const char *text);

#endif
