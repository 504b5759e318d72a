#include "cli/calibration.h"

#include "cli/files.h"
#include "cli/manifest.h"
#include "cli/store.h"
#include "core/ascii.h"
#include "core/buf.h"
#include "core/engine.h"
#include "core/error.h"
#include "digest/sha256.h"
#include "eval/outfile.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT 1
#define SLUG_BYTES 80

/* ---- names ------------------------------------------------------------------------------ */

static s2a_status take(buf *b, char **out, s2a_error *err)
{
    *out = b->status == S2A_OK ? buf_take(b, NULL) : NULL;
    buf_free(b);
    return *out ? S2A_OK : error_nomem(err);
}

/* Without the slashes at its end, and without a name and password before its host, which belong into
 * no file. */
static void url_add(buf *out, const char *url)
{
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    const char *host = strstr(url, "://");
    size_t from = host ? (size_t)(host - url) + 3 : 0, to = from + strcspn(url + from, "/?#");
    buf_add(out, url, from < len ? from : len);
    for (size_t i = from; i < to; i++)
        if (url[i] == '@')
            from = i + 1;
    if (from < len)
        buf_add(out, url + from, len - from);
}

s2a_status calibration_key(const settings *set, const char *path, const char *model, char **key,
                           s2a_error *err)
{
    *key = NULL;
    buf b;
    buf_init(&b, SIZE_MAX / 2);
    if (!strcmp(set->backend, "http")) {
        url_add(&b, set->url);
        if (model)
            buf_addf(&b, " %s", model);
        return take(&b, key, err);
    }
    struct stat st;
    if (stat(path, &st) != 0)
        return error_set(err, S2A_UNAVAILABLE, "model %s: %s; check the name", path,
                         strerror(errno));
    const char *slash = strrchr(path, '/');
    buf_addf(&b, "%s %lld", slash ? slash + 1 : path, (long long)st.st_size);
    return take(&b, key, err);
}

/* The name of the file: what can be read of the key, and its hash, which tells two keys apart. */
s2a_status calibration_path(const char *key, char **path, s2a_error *err)
{
    char hex[65];
    *path = NULL;
    const char *base = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    bool absolute = base && base[0] == '/'; /* a relative one is to be ignored */
    if (!absolute && (!home || !*home))
        return error_set(err, S2A_IO, "no place for calibrations: HOME is not set; set it");
    s2a_status status = sha256_bytes(key, strlen(key), hex, err);
    if (status != S2A_OK)
        return status;
    buf b;
    buf_init(&b, SIZE_MAX / 2);
    buf_addf(&b, "%s%s/s2a/calibration/", absolute ? base : home, absolute ? "" : "/.local/share");
    for (size_t i = 0; key[i] && key[i] != ' ' && i < SLUG_BYTES; i++) {
        bool plain = ascii_letter(key[i]) || ascii_digit(key[i]) || key[i] == '.';
        buf_add(&b, plain ? &key[i] : "-", 1);
    }
    buf_addf(&b, "-%.12s.json", hex);
    return take(&b, path, err);
}

/* ---- the file --------------------------------------------------------------------------- */

json_t *calibration_json(const s2a_calibration *c)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < ENGINE_BORDERS; i++)
        if (json_object_set_new(object, engine_borders[i].name,
                                json_real(engine_border_get(c, i)))) {
            json_decref(object);
            object = NULL;
        }
    return object;
}

static s2a_status damaged_file(const char *path, const char *what, s2a_error *err)
{
    return error_set(err, S2A_INPUT, "%s: %s; run s2a calibrate again, or remove the file", path,
                     what);
}

static s2a_status parse(const char *path, const char *text, size_t len, const char *key,
                        s2a_calibration *out, s2a_error *err)
{
    json_error_t at;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &at);
    const json_t *select = json_object_get(root, "select");
    const char *model = json_string_value(json_object_get(root, "model"));
    s2a_calibration found = *out; /* the heads are those of the manifest */
    found.of_labels = false;      /* they are of what the model was read with */
    s2a_status status = S2A_OK;
    if (!root)
        status = damaged_file(path, at.text, err);
    else if (json_integer_value(json_object_get(root, "format")) != FORMAT)
        status = damaged_file(path, "is of another version of s2a", err);
    else if (!model || strcmp(model, key) != 0)
        status = damaged_file(path, "is of another model", err);
    for (size_t i = 0; i < ENGINE_BORDERS && status == S2A_OK; i++) {
        const char *name = engine_borders[i].name;
        const json_t *number = json_object_get(select, name);
        double value = json_number_value(number);
        if ((number || !engine_borders[i].may_lack) &&
            (!json_is_number(number) || !(fabs(value) <= CALIBRATION_MAX_BORDER))) {
            char what[80];
            snprintf(what, sizeof what, "%s is not a number from %g to %g", name,
                     -CALIBRATION_MAX_BORDER, CALIBRATION_MAX_BORDER);
            status = damaged_file(path, what, err);
        }
        engine_border_set(&found, i, value);
    }
    json_decref(root);
    if (status == S2A_OK)
        *out = found;
    return status;
}

s2a_status calibration_load(const char *key, s2a_calibration *out, bool *found, s2a_error *err)
{
    char *path = NULL, *text = NULL;
    size_t len = 0;
    *found = false;
    s2a_error fault = { .status = S2A_OK };
    s2a_status status = calibration_path(key, &path, &fault);
    if (status == S2A_IO)
        return S2A_OK; /* no place, so none was written */
    if (status == S2A_OK)
        status = files_read(path, CALIBRATION_MAX_BYTES, &text, &len, &fault);
    if (status == S2A_IO && (errno == ENOENT || errno == ENOTDIR)) {
        status = S2A_OK;
    } else if (status == S2A_OK) {
        status = parse(path, text, len, key, out, &fault);
        *found = status == S2A_OK;
    }
    if (status != S2A_OK && err)
        *err = fault;
    free(text);
    free(path);
    return status;
}

static json_t *share_or_null(double value)
{
    return isfinite(value) ? json_real(round(value * 1e4) / 1e4) : json_null();
}

s2a_status calibration_save(const char *key, const calibrate_result *r, char **path, s2a_error *err)
{
    s2a_status status = calibration_path(key, path, err);
    if (status != S2A_OK)
        return status;
    json_t *json =
        json_pack("{s:i,s:s,s:o,s:o,s:o,s:s}", "format", FORMAT, "model", key, "select",
                  calibration_json(&r->borders), "relevance_auc", share_or_null(r->relevance_auc),
                  "opinion_auc", share_or_null(r->opinion_auc), "version", s2a_version());
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;
    json_decref(json);
    if (!text)
        status = error_set(err, S2A_INPUT, "the model's name is not UTF-8: rename the file");
    char *slash = strrchr(*path, '/');
    *slash = '\0';
    if (status == S2A_OK)
        status = outfile_make_dir(*path, err);
    *slash = '/';
    if (status == S2A_OK)
        status = outfile_write(*path, text, strlen(text), err);
    free(text);
    if (status != S2A_OK) {
        free(*path);
        *path = NULL;
    }
    return status;
}

s2a_status calibration_remove(const char *key, bool *was, s2a_error *err)
{
    char *path = NULL;
    *was = false;
    s2a_status status = calibration_path(key, &path, err);
    if (status != S2A_OK)
        return status;
    *was = unlink(path) == 0;
    if (!*was && errno != ENOENT && errno != ENOTDIR)
        status = error_set(err, S2A_IO, "cannot remove %s: %s; check the directory", path,
                           strerror(errno));
    free(path);
    return status;
}

/* ---- which borders ---------------------------------------------------------------------- */

const char *calibration_source_name(calibration_source source)
{
    static const char *const names[] = { "default", "manifest", "calibrated" };
    return names[source];
}

s2a_status calibration_find(const settings *set, char **path, s2a_calibration *out,
                            calibration_source *source, s2a_error *damaged, s2a_error *err)
{
    s2a_status status = S2A_OK;
    *path = NULL;
    *damaged = (s2a_error){ .status = S2A_OK };
    if (!strcmp(set->backend, "llama"))
        status = store_resolve_select(set->model, path, out, err);
    else
        *out = manifest_calibration(set->model);
    if (status != S2A_OK)
        return status;
    *source = engine_calibration_same(out, &(s2a_calibration){ 0 }) ? CALIBRATION_DEFAULT
                                                                     : CALIBRATION_MANIFEST;
    char *key = NULL;
    bool found = false;
    const char *file = *path ? *path : set->model;
    /* A model file that is not there is told of by who opens it. */
    if (calibration_key(set, file, set->model, &key, NULL) == S2A_OK &&
        calibration_load(key, out, &found, damaged) != S2A_OK && damaged->status == S2A_NOMEM)
        status = error_nomem(err);
    if (found)
        *source = CALIBRATION_USER;
    free(key);
    return status;
}
