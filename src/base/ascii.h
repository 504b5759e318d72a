/* Character classes of ASCII bytes, independent of the locale. */
#ifndef S2A_BASE_ASCII_H
#define S2A_BASE_ASCII_H

#include <stdbool.h>
#include <stddef.h>

static inline bool ascii_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool ascii_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The length of the lower-case pattern if text begins with it, ignoring case; otherwise 0. */
static inline size_t ascii_prefix(const char *text, size_t len, const char *pattern)
{
    size_t i = 0;
    for (; pattern[i]; i++)
        if (i >= len || ascii_lower(text[i]) != pattern[i])
            return 0;
    return i;
}

static inline bool ascii_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!ascii_space(text[i]))
            return false;
    return true;
}

#endif
