/* The path that a request names, in the form that it is judged by: by its route, by whether it needs
 * a key, and by what it is joined to. Pure. */
#ifndef S2A_SERVE_TARGET_H
#define S2A_SERVE_TARGET_H

#include "s2a.h"

/* A target that begins with "/" in normal form (RFC 3986, sections 6.2.2.2 and 6.2.2.3): what need
 * not be escaped in the path is not, and there are no dot segments; the query stays as it is.
 * *out is malloc'ed. S2A_INPUT where what is behind might read dot segments into it that are none:
 * by escapes of slashes, of backslashes or of escapes, or by parameters ("/..;x/"). S2A_NOMEM. */
s2a_status target_normalise(const char *target, char **out, s2a_error *err);

#endif
