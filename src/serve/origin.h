/* Which requests a web page may make. A page that is open in a browser on this machine reaches a
 * server on a loopback address, also through a name of its own that is made to point there (DNS
 * rebinding), and gives itself away by Host and Origin, which it cannot choose. Pure. */
#ifndef S2A_SERVE_ORIGIN_H
#define S2A_SERVE_ORIGIN_H

#include "s2a.h"

typedef struct origin_list {
    const char *const *names; /* borrowed */
    size_t count;
} origin_list;

/* Whether an address to listen on (NULL: the default) is reached from this machine alone. */
bool origin_is_loopback(const char *address);

/* Whether a Host (NULL: there is none, which no browser leaves out) can be no name that somebody
 * else chose: localhost, what ends in .localhost, an address in figures, or one of the list; each
 * with or without a port. */
bool origin_host_is_ours(const char *host, const origin_list *allowed);

/* Whether an Origin is that of a page from the host that the request names. */
bool origin_is_own(const char *origin, const char *host);
/* Whether it is in the list, to the letter. */
bool origin_is_listed(const char *origin, const origin_list *allowed);

/* Whether a Content-Type (may be NULL) is of that media type, whatever its parameters. */
bool origin_type_is(const char *content_type, const char *type);

/* What may be in the lists: "name" or "name:port"; "scheme://host" or "scheme://host:port", or
 * "null". */
bool origin_host_is_valid(const char *text);
bool origin_is_valid(const char *text);

#endif
