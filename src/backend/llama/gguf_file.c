#include "gguf_file.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/fnv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

s2a_status gguf_file_check(const char *path, s2a_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return error_set(err, S2A_MODEL, "%s: %s; give the path of a GGUF model file", path,
                         strerror(errno));
    if (S_ISDIR(info.st_mode))
        return error_set(err, S2A_MODEL, "%s: is a directory; give a GGUF model file in it", path);
    /* Not opened: a FIFO would block. */
    if (!S_ISREG(info.st_mode))
        return error_set(err, S2A_MODEL, "%s: not a regular file; give a GGUF model file", path);
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(err, S2A_MODEL, "%s: %s; make it readable", path, strerror(errno));
    char magic[4];
    size_t n = fread(magic, 1, sizeof magic, file);
    fclose(file);
    if (n == 0)
        return error_set(err, S2A_MODEL, "%s: empty file; download the model again", path);
    if (n < sizeof magic || memcmp(magic, "GGUF", sizeof magic) != 0)
        return error_set(err, S2A_MODEL,
                         "%s: not a GGUF file (it does not begin with \"GGUF\"); give a model in "
                         "GGUF format",
                         path);
    return S2A_OK;
}

uint64_t gguf_file_id(const char *path)
{
    enum { PIECES = 16, PIECE = 4096 };
    unsigned char piece[PIECE];
    FILE *file = fopen(path, "rb");
    int64_t size = file && fseeko(file, 0, SEEK_END) == 0 ? ftello(file) : -1;
    uint64_t id = fnv_add(FNV_START, &size, sizeof size);
    bool ok = size > 0;
    for (int64_t i = 0; i <= PIECES && ok; i++) {
        int64_t at = size > PIECE ? (size - PIECE) / PIECES * i : 0;
        ok = fseeko(file, at, SEEK_SET) == 0;
        size_t n = ok ? fread(piece, 1, sizeof piece, file) : 0;
        ok &= ferror(file) == 0;
        id = fnv_add(id, piece, n);
    }
    if (file)
        fclose(file);
    return ok ? id : 0;
}

char *gguf_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t len = strlen(name);
    if (len > 5 && memcmp(name + len - 5, ".gguf", 5) == 0)
        len -= 5;
    return bytes_dup(name, len);
}

void gguf_file_release(const char *path)
{
    char *real = realpath(path, NULL), *line = NULL; /* not by inode: overlayfs has two */
    FILE *maps = real ? fopen("/proc/self/maps", "r") : NULL;
    size_t cap = 0;
    while (maps && getline(&line, &cap, maps) > 0) {
        uintptr_t from, to;
        int at = 0;
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " r--s %*s %*s %*s %n", &from, &to, &at) == 2 &&
            at > 0 && strcmp(line + at, real) == 0)
            madvise((void *)from, to - from, MADV_DONTNEED);
    }
    if (maps)
        fclose(maps);
    free(line);
    free(real);
}
