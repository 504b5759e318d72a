#include "serve/chat_ask.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const shows[] = { "none", "reasoning_content", "reasoning", "both", "think" };

bool chat_show_from_name(const char *name, chat_show *out)
{
    for (size_t i = 0; name && i < COUNT(shows); i++) {
        if (!strcmp(shows[i], name)) {
            *out = (chat_show)i;
            return true;
        }
    }
    return false;
}

/* ---- scan before parsing ---------------------------------------------------------------- */

/* Whether some escape could spell a character of the prefix or of "s2a". */
static bool escape_may_spell(const char *body, size_t len, const char *prefix)
{
    const char *at = body, *end = body + len;
    while ((at = memmem(at, (size_t)(end - at), "\\u00", 4)) && end - at >= 6) {
        const char digits[] = { at[4], at[5], '\0' };
        char *stop = NULL;
        char c = (char)strtoul(digits, &stop, 16);
        if (!*stop && c && (strchr("s2a", c) || strchr(prefix, c)))
            return true;
        at += 4;
    }
    return false;
}

/* Some parsers accept UTF-16 and UTF-32, in which the scan would miss both names. */
static bool is_wide(const char *body, size_t len)
{
    return len >= 2 && (memchr(body, '\0', len < 4 ? len : 4) || !memcmp(body, "\xff\xfe", 2) ||
                        !memcmp(body, "\xfe\xff", 2));
}

bool chat_may_ask(const char *body, size_t len, const char *prefix, const char *header)
{
    return header || memmem(body, len, "\"s2a\"", 5) || memmem(body, len, prefix, strlen(prefix)) ||
           is_wide(body, len) || escape_may_spell(body, len, prefix);
}

/* ---- options of a request --------------------------------------------------------------- */

static s2a_status wrong(s2a_error *err, const char *what, const char *value, const char *use)
{
    return error_set(err, S2A_INPUT, "%s: \"%.*s\" is unknown; use %s", what,
                     value ? (int)utf8_cut(value, 40) : 0, value ? value : "", use);
}

static const char preset_names[] = ""
#define PRESET_NAME(id, name) name ", "
    S2A_PRESET_MAP(PRESET_NAME)
#undef PRESET_NAME
        "";

static s2a_status preset_read(const char *what, const char *name, s2a_preset *out, s2a_error *err)
{
    if (s2a_preset_from_name(name, out))
        return S2A_OK;
    char names[sizeof preset_names];
    memcpy(names, preset_names, sizeof names);
    names[sizeof names - 3] = '\0'; /* the last comma */
    return wrong(err, what, name, names);
}

/* none: no step 1; low: mode select; medium: the default mode; high: mode rewrite. */
static s2a_status effort_read(const char *name, chat_ask *ask, s2a_error *err)
{
    if (name && !strcmp(name, "none"))
        ask->preset = S2A_PRESET_PLAIN;
    else if (name && !strcmp(name, "low"))
        ask->mode = S2A_MODE_SELECT;
    else if (name && !strcmp(name, "high"))
        ask->mode = S2A_MODE_REWRITE;
    else if (!name || strcmp(name, "medium") != 0)
        return wrong(err, "s2a.effort", name, "none, low, medium or high");
    return S2A_OK;
}

static s2a_status bool_read(const char *what, const json_t *value, bool *out, s2a_error *err)
{
    if (!json_is_boolean(value))
        return error_set(err, S2A_INPUT, "%s: must be true or false", what);
    *out = json_is_true(value);
    return S2A_OK;
}

static s2a_status number_read(const char *what, const json_t *value, double low, double high,
                              double *out, s2a_error *err)
{
    double number = json_number_value(value);
    if (!json_is_number(value) || !isfinite(number) || number < low || number > high)
        return error_set(err, S2A_INPUT, "%s: must be a number from %g to %g", what, low, high);
    *out = number;
    return S2A_OK;
}

static s2a_status protect_read(json_t *value, chat_ask *ask, s2a_error *err)
{
    bool ok = json_is_array(value) && json_array_size(value) <= LIMIT_PROTECTED;
    for (size_t i = 0; ok && i < json_array_size(value); i++)
        ok = json_string_length(json_array_get(value, i)) > 0;
    if (!ok)
        return error_set(err, S2A_INPUT,
                         "s2a.protect: must be an array of at most %d texts, none of them empty",
                         LIMIT_PROTECTED);
    ask->protect = json_incref(value);
    return S2A_OK;
}

static s2a_status member_read(const char *name, json_t *value, chat_ask *ask, s2a_error *err)
{
    const char *text = json_string_value(value);
    if (!strcmp(name, "mode")) {
        s2a_mode mode;
        if (!s2a_mode_from_name(text, &mode) || mode == S2A_MODE_NONE)
            return wrong(err, "s2a.mode", text, "select, rewrite or default");
        ask->mode = mode;
        return S2A_OK;
    }
    if (!strcmp(name, "preset"))
        return preset_read("s2a.preset", text, &ask->preset, err);
    if (!strcmp(name, "effort"))
        return S2A_OK; /* read before the others: mode and preset override it */
    if (!strcmp(name, "show"))
        return chat_show_from_name(text, &ask->show)
                   ? S2A_OK
                   : wrong(err, "s2a.show", text,
                           "none, reasoning_content, reasoning, both or think");
    if (!strcmp(name, "untrusted"))
        return bool_read("s2a.untrusted", value, &ask->untrusted, err);
    if (!strcmp(name, "explain"))
        return bool_read("s2a.explain", value, &ask->explain, err);
    if (!strcmp(name, "marker"))
        return bool_read("s2a.marker", value, &ask->marker, err);
    if (!strcmp(name, "threshold"))
        return number_read("s2a.threshold", value, -1e6, 1e6, &ask->threshold, err);
    if (!strcmp(name, "keep"))
        return number_read("s2a.keep", value, 0, 1, &ask->keep, err);
    if (!strcmp(name, "protect"))
        return protect_read(value, ask, err);
    return wrong(
        err, "s2a", name,
        "mode, preset, effort, show, untrusted, explain, marker, threshold, keep and protect");
}

static s2a_status object_read(const json_t *object, chat_ask *ask, s2a_error *err)
{
    if (!json_is_object(object))
        return error_set(err, S2A_INPUT, "s2a: must be an object, such as {\"preset\": \"auto\"}");
    const json_t *effort = json_object_get(object, "effort");
    s2a_status status = effort ? effort_read(json_string_value(effort), ask, err) : S2A_OK;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        if (status == S2A_OK)
            status = member_read(name, value, ask, err);
    }
    return status;
}

s2a_status chat_ask_check(const chat_ask *ask, s2a_error *err)
{
    const char *preset = s2a_preset_name(ask->preset);
    if (ask->mode == S2A_MODE_SELECT &&
        (ask->preset == S2A_PRESET_SINGLE || ask->preset == S2A_PRESET_KEEP_ORIGINAL ||
         ask->preset == S2A_PRESET_NOT_INSTRUCTED))
        return error_set(err, S2A_INPUT,
                         "s2a: preset %s is a variant of mode rewrite; use that mode", preset);
    if (ask->preset == S2A_PRESET_UNTRUSTED && ask->mode == S2A_MODE_REWRITE)
        return error_set(err, S2A_INPUT, "s2a: preset %s needs mode select; leave mode rewrite out",
                         preset);
    if (ask->preset == S2A_PRESET_UNTRUSTED && ask->keep > 0)
        return error_set(err, S2A_INPUT, "s2a: preset %s uses a threshold; leave keep out", preset);
    return S2A_OK;
}

s2a_status chat_ask_read(json_t *object, const char *header, chat_ask *ask, s2a_error *err)
{
    s2a_status status = S2A_OK;
    bool told = json_object_get(object, "untrusted") != NULL;
    if (object)
        status = object_read(object, ask, err);
    if (status == S2A_OK && header)
        status = preset_read("X-S2A", header, &ask->preset, err);
    ask->untrusted |= ask->preset == S2A_PRESET_UNTRUSTED && !told;
    return status;
}
