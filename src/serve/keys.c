#include "serve/keys.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/infile.h"
#include "base/sha256.h"
#include "serve/serve_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { DIGITS = SHA256_HEX_SIZE - 1 };

/* sha256sum's output when KEY was not set. */
static const char of_nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct keys {
    char (*hashes)[DIGITS];
    size_t count, cap;
};

void keys_free(keys *k)
{
    if (!k)
        return;
    free(k->hashes);
    free(k);
}

size_t keys_count(const keys *k)
{
    return k->count;
}

/* One line, without its end. */
static s2a_status line_read(keys *k, const char *path, size_t number, const char *line, size_t len,
                            s2a_error *err)
{
    while (len > 0 && ascii_space(*line)) {
        line++;
        len--;
    }
    if (len == 0 || *line == '#')
        return S2A_OK;
    size_t digits = 0;
    while (digits < len && strchr("0123456789abcdefABCDEF", line[digits]) && line[digits])
        digits++;
    if (digits != DIGITS || (digits < len && !ascii_space(line[digits])))
        return error_set(err, S2A_ARGUMENT,
                         "%s:%zu: not a SHA-256 of 64 hexadecimal digits; make one with printf %%s "
                         "KEY | sha256sum",
                         path, number);
    if (!strncasecmp(line, of_nothing, DIGITS))
        return error_set(
            err, S2A_ARGUMENT,
            "%s:%zu: this is the SHA-256 of an empty key; set KEY before you run sha256sum", path,
            number);
    if (k->count == SERVE_KEYS)
        return error_set(err, S2A_LIMIT, "%s:%zu: more than %d keys", path, number, SERVE_KEYS);
    void *hashes = k->hashes;
    if (!array_reserve(&hashes, &k->cap, k->count + 1, sizeof *k->hashes))
        return error_nomem(err);
    k->hashes = hashes;
    for (size_t i = 0; i < DIGITS; i++)
        k->hashes[k->count][i] = ascii_lower(line[i]);
    k->count++;
    return S2A_OK;
}

s2a_status keys_parse(const char *path, const char *text, size_t len, keys **out, s2a_error *err)
{
    *out = NULL;
    keys *k = calloc(1, sizeof *k);
    if (!k)
        return error_nomem(err);
    s2a_status status = S2A_OK;
    size_t number = 1;
    for (size_t at = 0; at < len && status == S2A_OK; number++) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t n = newline ? (size_t)(newline - text) - at : len - at;
        status = line_read(k, path, number, text + at, n, err);
        at += n + 1;
    }
    /* An empty list would refuse all clients or, worse, pass for no list. */
    if (status == S2A_OK && k->count == 0)
        status = error_set(err, S2A_ARGUMENT,
                           "%s: no key in it; add a line, or leave the option out", path);
    if (status != S2A_OK) {
        keys_free(k);
        return status;
    }
    *out = k;
    return S2A_OK;
}

s2a_status keys_load(const char *path, keys **out, s2a_error *err)
{
    char *text = NULL;
    size_t len = 0;
    *out = NULL;
    s2a_status status =
        infile_read(path, SERVE_KEYS_FILE_BYTES, "name a file of keys", &text, &len, err);
    if (status == S2A_OK)
        status = keys_parse(path, text, len, out, err);
    free(text);
    return status;
}

bool keys_allow(const keys *k, const char *key)
{
    char hex[SHA256_HEX_SIZE];
    if (!key || !*key || sha256_bytes(key, strlen(key), hex, NULL) != S2A_OK)
        return false;
    unsigned int found = 0;
    for (size_t i = 0; i < k->count; i++) {
        unsigned int differs = 0;
        for (size_t n = 0; n < DIGITS; n++)
            differs |= (unsigned char)(k->hashes[i][n] ^ hex[n]);
        found |= (unsigned int)(differs == 0);
    }
    return found != 0;
}
