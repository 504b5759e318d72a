/* FNV-1a, 64 bits: for hash tables and keys, not for security. */
#ifndef S2A_BASE_FNV_H
#define S2A_BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV_START UINT64_C(14695981039346656037)

static inline uint64_t fnv_mix(uint64_t h, uint64_t value)
{
    return (h ^ value) * UINT64_C(1099511628211);
}

/* Adds data to h, which is FNV_START or the result of an earlier call. */
static inline uint64_t fnv_add(uint64_t h, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        h = fnv_mix(h, bytes[i]);
    return h;
}

#endif
