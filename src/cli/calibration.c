#include "cli/calibration.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/outfile.h"
#include "base/sha256.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLUG_BYTES 80

/* The path of the head's file for a model file, malloc'ed; the head need not exist. Its name
 * consists of the model file's name in plain characters, and of a hash of that name and the
 * size. */
static s2a_status calibration_path(const char *model_path, char **path, s2a_error *err)
{
    char hex[65];
    struct stat st;
    *path = NULL;
    const char *base = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    bool absolute = base && base[0] == '/'; /* a relative one must be ignored */
    if (stat(model_path, &st) != 0)
        return error_set(err, S2A_UNAVAILABLE, "model %s: %s; check the name", model_path,
                         strerror(errno));
    if (!absolute && (!home || !*home))
        return error_set(err, S2A_IO, "no place for calibrations: HOME is not set; set it");
    const char *slash = strrchr(model_path, '/'), *name = slash ? slash + 1 : model_path;
    buf b;
    buf_init(&b, 64 << 10);
    buf_addf(&b, "%s %lld", name, (long long)st.st_size);
    s2a_status status =
        b.status == S2A_OK ? sha256_bytes(b.data, b.len, hex, err) : error_nomem(err);
    buf_reset(&b);
    buf_addf(&b, "%s%s/s2a/calibration/", absolute ? base : home, absolute ? "" : "/.local/share");
    for (size_t i = 0; name[i] && i < SLUG_BYTES; i++) {
        bool plain = ascii_letter(name[i]) || ascii_digit(name[i]) || name[i] == '.';
        buf_add(&b, plain ? &name[i] : "-", 1);
    }
    buf_addf(&b, "-%.12s.head", hex);
    if (status == S2A_OK && !(*path = buf_take(&b, NULL)))
        status = error_nomem(err);
    buf_free(&b);
    return status;
}

s2a_status calibration_find(const char *model_path, char **path, s2a_error *err)
{
    s2a_status status = calibration_path(model_path, path, err);
    if (status == S2A_NOMEM)
        return status;
    if (status == S2A_OK && access(*path, F_OK) != 0) {
        free(*path);
        *path = NULL;
    }
    return S2A_OK;
}

s2a_status calibration_save(const char *model_path, const s2a_calibration *calibration, char **path,
                            s2a_error *err)
{
    char *bytes = NULL;
    size_t len = 0;
    s2a_status status = calibration_path(model_path, path, err);
    if (status != S2A_OK)
        return status;
    status = s2a_calibration_write(calibration, &bytes, &len, err);
    char *slash = strrchr(*path, '/');
    *slash = '\0';
    if (status == S2A_OK)
        status = outfile_make_dir(*path, err);
    *slash = '/';
    if (status == S2A_OK)
        status = outfile_write(*path, bytes, len, err);
    free(bytes);
    if (status != S2A_OK) {
        free(*path);
        *path = NULL;
    }
    return status;
}

s2a_status calibration_remove(const char *model_path, bool *was, s2a_error *err)
{
    char *path = NULL;
    *was = false;
    s2a_status status = calibration_path(model_path, &path, err);
    if (status != S2A_OK)
        return status;
    *was = unlink(path) == 0;
    if (!*was && errno != ENOENT && errno != ENOTDIR)
        status = error_set(err, S2A_IO, "cannot remove %s: %s; check the directory", path,
                           strerror(errno));
    free(path);
    return status;
}
