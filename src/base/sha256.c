#include "base/sha256.h"

#include "base/cancel.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)1 << 20)

static s2a_status hash_fd(int fd, const char *path, EVP_MD_CTX *md, char *block,
                          const s2a_cancel *cancel, sha256_progress_fn progress, void *ctx,
                          s2a_error *err)
{
    uint64_t bytes = 0;
    for (;;) {
        if (cancel_fired(cancel))
            return error_set(err, S2A_CANCELLED, "cancelled");
        ssize_t n = read(fd, block, BLOCK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, S2A_IO, "cannot read: %s: %s", path, strerror(errno));
        if (n == 0)
            return S2A_OK;
        if (!EVP_DigestUpdate(md, block, (size_t)n))
            return error_nomem(err);
        bytes += (uint64_t)n;
        if (progress)
            progress(ctx, bytes);
    }
}

static void hex_write(const unsigned char *digest, unsigned int len, char hex[SHA256_HEX_SIZE])
{
    for (unsigned int i = 0; i < len && i < 32; i++)
        snprintf(hex + (size_t)i * 2, 3, "%02x", digest[i]);
}

s2a_status sha256_bytes(const void *data, size_t len, char hex[SHA256_HEX_SIZE], s2a_error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_len = 0;
    if (!EVP_Digest(data, len, digest, &digest_len, EVP_sha256(), NULL))
        return error_nomem(err);
    hex_write(digest, digest_len, hex);
    return S2A_OK;
}

s2a_status sha256_file(const char *path, const s2a_cancel *cancel, sha256_progress_fn progress,
                       void *ctx, char hex[SHA256_HEX_SIZE], s2a_error *err)
{
    s2a_status status = S2A_OK;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    char *block = malloc(BLOCK_BYTES);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!block || !md || !EVP_DigestInit_ex(md, EVP_sha256(), NULL))
        status = error_nomem(err);
    else if (fd < 0)
        status = error_set(err, S2A_IO, "cannot read: %s: %s", path, strerror(errno));
    else
        status = hash_fd(fd, path, md, block, cancel, progress, ctx, err);
    if (status == S2A_OK && !EVP_DigestFinal_ex(md, digest, &len))
        status = error_nomem(err);
    if (status == S2A_OK)
        hex_write(digest, len, hex);
    if (fd >= 0)
        close(fd);
    EVP_MD_CTX_free(md);
    free(block);
    return status;
}
