/* A growable byte buffer with a maximum size. A failure is sticky: later appends do nothing, so a
 * caller checks once, at the end. NUL-terminated once it has memory. Not thread-safe. */
#ifndef S2A_BASE_BUF_H
#define S2A_BASE_BUF_H

#include "s2a.h"

typedef struct buf {
    char *data; /* NULL until the first append */
    size_t len, cap, max;
    s2a_status status; /* S2A_OK, S2A_NOMEM, or S2A_LIMIT past max */
} buf;

void buf_init(buf *b, size_t max);
void buf_free(buf *b);
void buf_reset(buf *b); /* length 0, status OK; memory kept */
void buf_add(buf *b, const char *data, size_t len);
void buf_adds(buf *b, const char *text);
void buf_addf(buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Returns the bytes as a malloc'ed, NUL-terminated string and empties the buffer. NULL if the
 * buffer had failed (read b->status before), or when out of memory. */
char *buf_take(buf *b, size_t *len);

/* malloc'ed, NUL-terminated copy of len bytes (which may hold NUL); NULL when out of memory. */
char *bytes_dup(const char *data, size_t len);

/* Grows the array *items (elements of item_size bytes) to at least need elements. False when out
 * of memory; the array is then unchanged. */
bool array_reserve(void **items, size_t *cap, size_t need, size_t item_size);

#endif
