/* The request path in normal form, which routing, the key check and the upstream URL use. Pure. */
#ifndef S2A_SERVE_TARGET_H
#define S2A_SERVE_TARGET_H

#include "s2a.h"

/* Brings a target that begins with "/" into normal form (RFC 3986, sections 6.2.2.2 and 6.2.2.3):
 * without needless escapes and dot segments in the path; the query stays as it is. *out is
 * malloc'ed. S2A_INPUT if upstream might see dot segments that we do not: through escaped slashes,
 * backslashes or percent signs, or parameters ("/..;x/"). S2A_NOMEM. */
s2a_status target_normalise(const char *target, char **out, s2a_error *err);

#endif
