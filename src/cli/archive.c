#include "cli/archive.h"

#include "base/error.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)64 << 10)

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static s2a_status damaged(struct archive *a, const char *path, s2a_error *err)
{
    const char *why = archive_error_string(a);
    return error_set(err, S2A_BACKEND, "%s: damaged archive: %s", base_name(path),
                     why ? why : "cannot be read");
}

static s2a_status find_member(struct archive *a, const char *path, const char *member,
                              s2a_error *err)
{
    struct archive_entry *entry;
    int rc;
    while ((rc = archive_read_next_header(a, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
        const char *name = archive_entry_pathname(entry);
        if (name && strcmp(name, member) == 0 && archive_entry_filetype(entry) == AE_IFREG)
            return S2A_OK;
    }
    if (rc != ARCHIVE_EOF)
        return damaged(a, path, err);
    return error_set(err, S2A_BACKEND, "%s: has no member %s", base_name(path), member);
}

s2a_status archive_member_read(const char *path, const char *member, archive_sink_fn sink,
                               void *ctx, s2a_error *err)
{
    s2a_status status = S2A_OK;
    char *block = malloc(BLOCK_BYTES);
    struct archive *a = archive_read_new();
    if (!block || !a) {
        status = error_nomem(err);
        goto done;
    }
    archive_read_support_format_zip(a);
    if (archive_read_open_filename(a, path, BLOCK_BYTES) != ARCHIVE_OK) {
        status = damaged(a, path, err);
        goto done;
    }
    status = find_member(a, path, member, err);
    while (status == S2A_OK) {
        la_ssize_t n = archive_read_data(a, block, BLOCK_BYTES);
        if (n == 0)
            break;
        status = n < 0 ? damaged(a, path, err) : sink(ctx, block, (size_t)n, err);
    }
done:
    archive_read_free(a);
    free(block);
    return status;
}
