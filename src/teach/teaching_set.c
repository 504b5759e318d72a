#include "teach/teaching_set.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/fnv.h"
#include "base/limits.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const labels[] = { "needed", "unrelated", "opinion", "order", "either" };

static s2a_status wrong(const char *where, size_t line, const char *what, s2a_error *err)
{
    return error_set(err, S2A_INPUT, "%s, line %zu: %s", where, line, what);
}

static bool label_find(const json_t *name, teaching_label *out)
{
    for (size_t i = 0; json_is_string(name) && i < sizeof labels / sizeof labels[0]; i++)
        if (!strcmp(json_string_value(name), labels[i])) {
            *out = (teaching_label)i;
            return true;
        }
    return false;
}

static s2a_status pieces_read(const json_t *units, teaching_prompt *p, const char *where,
                              size_t line, s2a_error *err)
{
    buf text;
    buf_init(&text, LIMIT_INPUT_BYTES);
    size_t n = json_array_size(units);
    if (n == 0 || n > LIMIT_TEACHING_PIECES)
        return wrong(where, line, "\"units\" is not a list, is empty, or too long", err);
    p->pieces = calloc(n, sizeof *p->pieces);
    s2a_status status = p->pieces ? S2A_OK : error_nomem(err);
    for (size_t i = 0; i < n && status == S2A_OK; i++) {
        const json_t *unit = json_array_get(units, i), *said = json_object_get(unit, "text");
        teaching_piece *piece = &p->pieces[p->piece_count++];
        piece->start = text.len;
        piece->asked = json_is_true(json_object_get(unit, "asked"));
        if (json_string_length(said) == 0 ||
            !label_find(json_object_get(unit, "label"), &piece->label))
            status = wrong(where, line, "a unit has no text, or an unknown label", err);
        else
            buf_add(&text, json_string_value(said), json_string_length(said));
        piece->end = text.len;
    }
    if (status == S2A_OK && !(p->text = buf_take(&text, &p->len)))
        status = error_nomem(err);
    buf_free(&text);
    return status;
}

static s2a_status prompt_read(const json_t *root, teaching_prompt *p, const char *where,
                              size_t line, s2a_error *err)
{
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const char *preset = json_string_value(json_object_get(root, "preset"));
    json_int_t context = json_integer_value(json_object_get(root, "context_units"));
    if (!kind)
        return wrong(where, line, "no \"kind\"", err);
    p->kind = (unsigned)fnv_add(FNV_START, kind, strcspn(kind, "/"));
    p->untrusted = preset && !strcmp(preset, "untrusted");
    s2a_status status = pieces_read(json_object_get(root, "units"), p, where, line, err);
    if (status == S2A_OK &&
        (context < 0 || (size_t)context >= p->piece_count || (p->untrusted && context == 0)))
        status = wrong(where, line, "\"context_units\" leaves no question, or no context", err);
    if (status == S2A_OK && context > 0)
        p->context_len = p->pieces[context - 1].end;
    return status;
}

s2a_status teaching_set_read(const char *where, const char *text, size_t len, teaching_set *out,
                             s2a_error *err)
{
    *out = (teaching_set){ .count = 0 };
    s2a_status status = S2A_OK;
    size_t line = 0;
    for (size_t at = 0; at < len && status == S2A_OK;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len;
        line++;
        if (end > at) {
            json_error_t fault;
            json_t *root = json_loadb(text + at, end - at, JSON_REJECT_DUPLICATES, &fault);
            if (!json_is_object(root))
                status = wrong(where, line, "not a JSON object", err);
            else if (out->count == LIMIT_TEACHING_PROMPTS)
                status = error_set(err, S2A_LIMIT, "%s: more than %zu prompts", where,
                                   LIMIT_TEACHING_PROMPTS);
            else if (!array_reserve((void **)&out->prompts, &out->cap, out->count + 1,
                                    sizeof *out->prompts))
                status = error_nomem(err);
            if (status == S2A_OK) {
                out->prompts[out->count] = (teaching_prompt){ .len = 0 };
                status = prompt_read(root, &out->prompts[out->count++], where, line, err);
            }
            json_decref(root);
        }
        at = end + 1;
    }
    if (status == S2A_OK && out->count == 0)
        status = error_set(err, S2A_INPUT, "%s: it has no prompts", where);
    return status;
}

void teaching_set_free(teaching_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free(set->prompts[i].text);
        free(set->prompts[i].pieces);
    }
    free(set->prompts);
    *set = (teaching_set){ .count = 0 };
}

/* Knuth's linear congruential generator, its upper bits. */
void teaching_set_shuffle(teaching_set *set, uint64_t seed)
{
    for (size_t i = set->count; i > 1; i--) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t k = (size_t)(seed >> 33) % i;
        teaching_prompt p = set->prompts[i - 1];
        set->prompts[i - 1] = set->prompts[k];
        set->prompts[k] = p;
    }
}

teaching_label teaching_label_of(const teaching_prompt *p, size_t start, size_t end, bool *asked)
{
    size_t share[TEACH_EITHER + 1] = { 0 }, all = 0, of_asked = 0, best = TEACH_EITHER;
    for (size_t i = 0; i < p->piece_count; i++) {
        const teaching_piece *piece = &p->pieces[i];
        size_t from = piece->start > start ? piece->start : start,
               to = piece->end < end ? piece->end : end;
        if (to <= from)
            continue;
        share[piece->label] += to - from;
        of_asked += piece->asked ? to - from : 0;
        all += to - from;
    }
    for (size_t i = 0; i <= TEACH_EITHER; i++)
        best = share[i] > share[best] ? i : best;
    *asked = 2 * of_asked > all;
    return 4 * share[best] < 3 * all ? TEACH_EITHER : (teaching_label)best;
}
