#include "cli/calibration_set.h"

#include "cli/input.h"
#include "core/ascii.h"
#include "core/buf.h"
#include "core/error.h"
#include "core/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = { "needed", "unrelated", "opinion", "question" };
#define KINDS (sizeof kinds / sizeof kinds[0])

static int kind_of(const char *name)
{
    for (size_t i = 0; name && i < KINDS; i++)
        if (!strcmp(kinds[i], name))
            return (int)i;
    return -1;
}

static s2a_status fault(const char *where, const char *what, s2a_error *err)
{
    return error_set(err, S2A_INPUT, "%s: %s", where, what);
}

static s2a_status prompt_read(const char *where, const json_t *line, calibration_prompt *out,
                              s2a_error *err)
{
    const json_t *units = json_object_get(line, "units");
    size_t count = json_array_size(units);
    if (!json_is_object(line) || count == 0)
        return fault(where, "it must be {\"units\": [[label, sentence], ...]}", err);
    if (count > CALIBRATION_SET_MAX_PIECES)
        return error_set(err, S2A_LIMIT, "%s: more than the limit of %zu units", where,
                         CALIBRATION_SET_MAX_PIECES);
    out->pieces = calloc(count, sizeof *out->pieces);
    if (!out->pieces)
        return error_nomem(err);
    buf text;
    buf_init(&text, LIMIT_INPUT_BYTES);
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        const json_t *unit = json_array_get(units, i), *said = json_array_get(unit, 1);
        int kind = kind_of(json_string_value(json_array_get(unit, 0)));
        buf_adds(&text, i > 0 ? " " : "");
        out->pieces[out->piece_count++] =
            (calibration_piece){ text.len, text.len + json_string_length(said), kind };
        if (kind < 0)
            status = fault(where, "a label is not needed, unrelated, opinion or question", err);
        else if (ascii_blank(json_string_value(said) ? json_string_value(said) : "",
                             json_string_length(said)))
            status = fault(where, "a unit has no sentence", err);
        else
            buf_add(&text, json_string_value(said), json_string_length(said));
    }
    if (status == S2A_OK && !(out->text = buf_take(&text, &out->len)))
        status = error_nomem(err);
    buf_free(&text);
    return status;
}

static s2a_status line_read(const char *where, const char *text, size_t len, calibration_set *out,
                            s2a_error *err)
{
    if (out->count == CALIBRATION_SET_MAX_PROMPTS)
        return error_set(err, S2A_LIMIT, "%s: more than the limit of %zu prompts", where,
                         CALIBRATION_SET_MAX_PROMPTS);
    calibration_prompt *grown = realloc(out->prompts, (out->count + 1) * sizeof *grown);
    if (!grown)
        return error_nomem(err);
    out->prompts = grown;
    grown[out->count] = (calibration_prompt){ .text = NULL };
    json_t *line = input_parse_json(where, text, len, err);
    if (!line)
        return err ? err->status : S2A_INPUT;
    s2a_status status = prompt_read(where, line, &grown[out->count++], err);
    json_decref(line);
    return status;
}

s2a_status calibration_set_read(const char *where, const char *text, size_t len,
                                calibration_set *out, s2a_error *err)
{
    *out = (calibration_set){ .prompts = NULL };
    size_t number = 0;
    s2a_status status = S2A_OK;
    for (size_t at = 0; at < len && status == S2A_OK;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len;
        char place[160];
        snprintf(place, sizeof place, "%.120s: line %zu", where, ++number);
        if (!ascii_blank(text + at, end - at))
            status = line_read(place, text + at, end - at, out, err);
        at = end + 1;
    }
    if (status == S2A_OK && out->count == 0)
        status = fault(where, "it has no prompt", err);
    return status;
}

void calibration_set_free(calibration_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free(set->prompts[i].text);
        free(set->prompts[i].pieces);
    }
    free(set->prompts);
    *set = (calibration_set){ .prompts = NULL };
}

void calibration_set_take(const calibration_set *set, size_t index, const judged *said,
                          calibrate_unit *units, size_t *count)
{
    const calibration_prompt *p = &set->prompts[index];
    size_t piece = 0;
    for (size_t i = 0; i < said->count; i++) {
        const select_unit *u = &said->said[i];
        while (piece + 1 < p->piece_count && p->pieces[piece].end <= said->units[i].start)
            piece++;
        int kind = p->pieces[piece].kind;
        if (!u->judged || u->whole || kind == CALIBRATION_SET_QUESTION)
            continue;
        units[(*count)++] = (calibrate_unit){ .prompt = index,
                                              .kind = (calibrate_kind)kind,
                                              .needed = u->needed,
                                              .unrelated = u->unrelated,
                                              .opinion = u->opinion };
    }
}
