/* Finds where a text that arrives in pieces reaches one of several stop texts. Text that may begin
 * a stop text is held back until that is decided. Not thread-safe. */
#ifndef S2A_BASE_STOP_SCAN_H
#define S2A_BASE_STOP_SCAN_H

#include "base/buf.h"

#define STOP_NONE ((size_t)-1)

typedef struct stop_text {
    const char *text; /* UTF-8; len is 1 or more */
    size_t len;
} stop_text;

/* Zero-initialise, then set stops and count; both are borrowed. */
typedef struct stop_scan {
    const stop_text *stops;
    size_t count;
    buf held; /* the end of the text so far, if a stop may begin there */
} stop_scan;

/* Appends to *out the text that is certainly before any stop. Returns the index of the stop that
 * the text has reached, or STOP_NONE. The stop that begins first counts; of several at one place,
 * the shortest. Do not call it again after a stop. Failures stay in *out. */
size_t stop_scan_add(stop_scan *s, const char *text, size_t len, buf *out);
/* The same at the end of the text: nothing is held back any more. */
size_t stop_scan_end(stop_scan *s, buf *out);
void stop_scan_free(stop_scan *s);

#endif
