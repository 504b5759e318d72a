/* The configuration file: one flat JSON object. */
#include "cli/settings.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "cli/files.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- positions -------------------------------------------------------------------------- */

/* The index after the string that starts at text[i]; the text is valid JSON. */
static size_t string_end(const char *text, size_t len, size_t i)
{
    for (i++; i < len && text[i] != '"'; i++)
        if (text[i] == '\\')
            i++;
    return i + 1;
}

/* The offset of key number index (from 0) of the outermost object. */
static size_t key_offset(const char *text, size_t len, size_t index)
{
    size_t depth = 0, keys = 0;
    bool at_key = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '{' || c == '[') {
            depth++;
            at_key = depth == 1;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',' && depth == 1) {
            at_key = true;
        } else if (c == '"') {
            if (at_key && keys++ == index)
                return i;
            at_key = false;
            i = string_end(text, len, i) - 1;
        }
    }
    return 0;
}

/* "PATH:LINE:COLUMN: NAME"; columns are characters. */
static void place(buf *out, const char *path, const char *text, size_t offset, const char *name)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    buf_addf(out, "%s:%zu:%zu: %.40s", path, line, column, name);
    buf_add(out, "", 0);
}

/* ---- values ----------------------------------------------------------------------------- */

/* Numeric settings are JSON numbers, the others strings. False if the value has the wrong type. */
static bool value_text(bool is_number, const json_t *value, char number[64], const char **text)
{
    *text = number;
    if (!is_number) {
        *text = json_string_value(value);
        return *text != NULL;
    }
    if (json_is_integer(value))
        snprintf(number, 64, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        snprintf(number, 64, "%.15g", json_number_value(value));
    return json_is_number(value);
}

static s2a_status setting_from(settings *s, const char *name, const json_t *value,
                               const char *where, s2a_error *err)
{
    const option_row *row = option_of_key(name);
    bool is_number = row && (row->kind == OPTION_INTEGER || row->kind == OPTION_REAL);
    char number[64];
    const char *text = NULL;
    if (row && !value_text(is_number, value, number, &text))
        return error_set(err, S2A_ARGUMENT, "%s: the value must be a %s; correct it", where,
                         is_number ? "number" : "string");
    return settings_apply(s, name, text, SETTINGS_FILE, where, err);
}

s2a_status settings_from_json(settings *s, const char *path, const char *text, size_t len,
                              s2a_error *err)
{
    size_t bom = files_bom(text, len);
    text += bom;
    len -= bom;
    json_error_t fault;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
    if (!root)
        return error_set(err, S2A_ARGUMENT, "%s:%d:%d: %s; correct the file", path, fault.line,
                         fault.column, fault.text);
    s2a_status status = S2A_OK;
    if (!json_is_object(root))
        status = error_set(err, S2A_ARGUMENT,
                           "%s:1:1: not a JSON object; write { \"name\": value }", path);
    /* jansson keeps the keys in their order, so the n-th of them is the n-th of the text. */
    size_t index = 0;
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        buf where;
        buf_init(&where, 8192);
        place(&where, path, text, key_offset(text, len, index++), name);
        status = where.status == S2A_NOMEM ? error_nomem(err)
                                           : setting_from(s, name, value, where.data, err);
        buf_free(&where);
        if (status != S2A_OK)
            break;
    }
    json_decref(root);
    return status;
}

/* ---- the file --------------------------------------------------------------------------- */

/* malloc'ed; NULL with S2A_OK if no variable is set. */
static s2a_status config_path(char **path, s2a_error *err)
{
    *path = NULL;
    const char *base = getenv("XDG_CONFIG_HOME"), *middle = "/s2a/config.json";
    /* A relative path must be ignored: XDG Base Directory Specification. */
    if (!base || base[0] != '/') {
        base = getenv("HOME");
        middle = "/.config/s2a/config.json";
    }
    if (!base || !*base)
        return S2A_OK;
    buf b;
    buf_init(&b, 4096);
    buf_adds(&b, base);
    buf_adds(&b, middle);
    if (b.status == S2A_LIMIT) {
        buf_free(&b);
        return S2A_OK; /* longer than any path that can be opened */
    }
    *path = buf_take(&b, NULL);
    buf_free(&b);
    return *path ? S2A_OK : error_nomem(err);
}

s2a_status settings_from_file(settings *s, s2a_error *err)
{
    char *path = NULL, *text = NULL;
    size_t len = 0;
    s2a_status status = config_path(&path, err);
    if (status != S2A_OK || !path)
        return status;
    errno = 0;
    status = files_read(path, LIMIT_CONFIG_BYTES, &text, &len, err);
    if (status == S2A_IO && (errno == ENOENT || errno == ENOTDIR))
        status = S2A_OK;
    else if (status == S2A_OK)
        status = settings_from_json(s, path, text, len, err);
    free(text);
    free(path);
    return status;
}
