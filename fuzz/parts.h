/* A fuzz input as several byte strings, parted by 0xFF, which is never part of UTF-8. */
#ifndef FUZZ_PARTS_H
#define FUZZ_PARTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct part {
    const char *text;
    size_t len;
} part;

/* The last one holds all that is left; those that are missing are empty. */
static inline void parts_split(const uint8_t *data, size_t size, part *parts, size_t count)
{
    const char *at = (const char *)data;
    for (size_t i = 0; i < count; i++) {
        const char *end = size > 0 && i + 1 < count ? memchr(at, 0xff, size) : NULL;
        size_t len = end ? (size_t)(end - at) : size;
        parts[i] = (part){ at, len };
        at += len + (end != NULL);
        size -= len + (end != NULL);
    }
}

#endif
