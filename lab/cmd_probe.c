/* s2a probe: what the judge sees, raw, for who teaches heads (scripts/judge/). One JSON object a
 * line on standard input, one a line out:
 *
 *   {"segment": text} -> {"units": [[start, end, text_end, kind, question], ...]}
 *   {"read": text, "layers": [layer, ...]}, and where they are meant "context" (bytes of the text
 * that were given apart, before a question), "preset", "before" ([{"role", "content"}])
 *       -> {"form": "again" | "apart", "units": [[start, text_end, kind, read], ...], "states":
 * base64 of float32, little-endian, [unit that is read][layer][last, mean][width], "width",
 * "weights_id", "tokens", "ms"}
 *   {"judge": text}, and where they are meant "window" (tokens of the text that are read at once),
 * "context", ...
 *       -> {"units": [[start, text_end, score, judged, kept], ...], "tokens", "ms"} */
#include "backend/backend.h"
#include "base/error.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/input.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "core/engine.h"
#include "core/reading.h"
#include "core/segment.h"
#include "lab.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAYERS_MAX 64
#define BEFORE_MAX 64

typedef struct probe {
    session *s;
    s2a_error err;
} probe;

static json_t *segment_line(probe *p, const json_t *text)
{
    segment_unit *units = NULL;
    size_t n = 0;
    if (segment_text(json_string_value(text), json_string_length(text), NULL, &units, &n,
                     &p->err) != S2A_OK)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("[I,I,I,i,b]", (json_int_t)units[i].start,
                                        (json_int_t)units[i].end, (json_int_t)units[i].text_end,
                                        (int)units[i].kind, (int)units[i].question));
    free(units);
    return json_pack("{s:o}", "units", list);
}

static json_t *base64(const unsigned char *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = malloc((len + 2) / 3 * 4 + 1), *at = out;
    for (size_t i = 0; out && i < len; i += 3) {
        unsigned long word = (unsigned long)data[i] << 16 |
                             (i + 1 < len ? (unsigned long)data[i + 1] << 8 : 0) |
                             (i + 2 < len ? (unsigned long)data[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            *at++ = i + k <= len ? digits[word >> (18 - 6 * k) & 63] : '=';
    }
    json_t *text = out ? json_stringn(out, (size_t)(at - out)) : NULL;
    free(out);
    return text;
}

typedef struct reading_line {
    segment_unit *units;
    select_unit *marks;
    float *states;
    size_t count, read;
    uint32_t layers[LAYERS_MAX];
    size_t layer_count;
    backend_message before[BEFORE_MAX];
    s2a_usage usage;
} reading_line;

static bool before_read(const json_t *list, reading_line *r, select_input *in)
{
    in->before = r->before;
    for (size_t i = 0; i < json_array_size(list) && i < BEFORE_MAX; i++) {
        const json_t *m = json_array_get(list, i), *content = json_object_get(m, "content");
        const char *role = json_string_value(json_object_get(m, "role"));
        if (!role || !json_is_string(content))
            return false;
        r->before[in->before_count++] =
            (backend_message){ role, json_string_value(content), json_string_length(content) };
    }
    return true;
}

static bool layers_read(const json_t *list, reading_line *r)
{
    for (size_t i = 0; i < json_array_size(list) && i < LAYERS_MAX; i++) {
        json_int_t layer = json_integer_value(json_array_get(list, i));
        if (layer < 0 || layer > UINT16_MAX)
            return false;
        r->layers[r->layer_count++] = (uint32_t)layer;
    }
    return r->layer_count > 0;
}

static json_t *units_json(const reading_line *r, bool judged)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->count; i++) {
        const segment_unit *u = &r->units[i];
        const select_unit *m = &r->marks[i];
        json_array_append_new(
            list, judged ? json_pack("[I,I,f,b,b]", (json_int_t)u->start, (json_int_t)u->text_end,
                                     m->score, (int)m->judged, (int)m->kept)
                         : json_pack("[I,I,i,b]", (json_int_t)u->start, (json_int_t)u->text_end,
                                     (int)u->kind, (int)reading_takes(u, m)));
    }
    return list;
}

/* What both lines have in common; false with p->err. */
static bool line_begin(probe *p, const json_t *line, const json_t *text, select_input *in,
                       reading_line *r)
{
    const json_t *context = json_object_get(line, "context");
    const char *preset = json_string_value(json_object_get(line, "preset"));
    *in = (select_input){
        .backend = p->s->engine->backend,
        .head = p->s->engine->head,
        .text = json_string_value(text),
        .preset = S2A_PRESET_AUTO,
        .threshold = NAN,
        .question_start = json_is_integer(context) ? (size_t)json_integer_value(context) : SIZE_MAX,
        .window_tokens = (size_t)json_integer_value(json_object_get(line, "window")),
        .cancel = p->s->cancel
    };
    if (!in->text ||
        (in->question_start != SIZE_MAX && in->question_start > json_string_length(text)) ||
        (preset && !s2a_preset_from_name(preset, &in->preset)) ||
        !before_read(json_object_get(line, "before"), r, in)) {
        error_set(&p->err, S2A_INPUT, "the line is not as s2a probe wants it");
        return false;
    }
    s2a_status status =
        select_segment(in->preset, in->text, json_string_length(text), in->question_start,
                       p->s->cancel, &r->units, &r->count, &p->err);
    in->units = r->units;
    in->count = r->count;
    if (status == S2A_OK && !(r->marks = calloc(r->count + 1, sizeof *r->marks)))
        status = error_nomem(&p->err);
    return status == S2A_OK;
}

static json_t *states_json(probe *p, const json_t *line, select_input *in, reading_line *r)
{
    backend_capabilities can = in->backend->vtable->capabilities(in->backend);
    if (!layers_read(json_object_get(line, "layers"), r)) {
        error_set(&p->err, S2A_INPUT, "the line is not as s2a probe wants it");
        return NULL;
    }
    if (!in->backend->vtable->read || can.hidden_width == 0) {
        error_set(&p->err, S2A_UNSUPPORTED, "this backend has no hidden states");
        return NULL;
    }
    select_mark(in, r->marks);
    if (reading_states(in, r->marks, r->layers, r->layer_count, &r->states, &r->read, &r->usage,
                       &p->err) != S2A_OK)
        return NULL;
    char id[24];
    size_t numbers = r->read * r->layer_count * 2 * can.hidden_width;
    snprintf(id, sizeof id, "%016" PRIx64, can.weights_id);
    return json_pack("{s:s,s:o,s:o,s:I,s:s,s:I,s:f}", "form",
                     select_form(in) == HEAD_AGAIN ? "again" : "apart", "units",
                     units_json(r, false), "states",
                     base64((const unsigned char *)r->states, numbers * sizeof *r->states), "width",
                     (json_int_t)can.hidden_width, "weights_id", id, "tokens",
                     (json_int_t)r->usage.prompt_tokens, "ms", r->usage.ms);
}

static json_t *judged_json(probe *p, select_input *in, reading_line *r)
{
    if (!in->head) {
        error_set(&p->err, S2A_UNSUPPORTED, "this model has no head");
        return NULL;
    }
    if (select_judge(in, r->marks, &r->usage, &p->err) != S2A_OK)
        return NULL;
    return json_pack("{s:o,s:I,s:f}", "units", units_json(r, true), "tokens",
                     (json_int_t)r->usage.prompt_tokens, "ms", r->usage.ms);
}

static json_t *text_line(probe *p, const json_t *line)
{
    reading_line r = { .count = 0 };
    select_input in;
    const json_t *read = json_object_get(line, "read"), *judge = json_object_get(line, "judge");
    json_t *out = NULL;
    if (line_begin(p, line, judge ? judge : read, &in, &r))
        out = judge ? judged_json(p, &in, &r) : states_json(p, line, &in, &r);
    free(r.units);
    free(r.marks);
    free(r.states);
    return out;
}

static json_t *one_line(probe *p, const char *text, size_t len)
{
    json_t *line = input_parse_json("the line", text, len, &p->err);
    const json_t *segment = json_object_get(line, "segment");
    json_t *out = NULL;
    if (line)
        out = json_is_string(segment) ? segment_line(p, segment) : text_line(p, line);
    json_decref(line);
    if (!out)
        out = json_pack("{s:s}", "error", p->err.message);
    return out;
}
static int run(probe *p)
{
    files_lines in;
    if (!files_lines_init(&in, STDIN_FILENO, LIMIT_JSON_LINE_BYTES)) {
        term_say("out of memory");
        return EXIT_FAILED;
    }
    while (files_lines_next(&in) == FILES_LINE && !signals_caught()) {
        json_t *out = one_line(p, in.line.data, in.line.len);
        char *text = out ? json_dumps(out, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
        puts(text ? text : "{\"error\":\"out of memory\"}");
        fflush(stdout);
        free(text);
        json_decref(out);
    }
    files_lines_free(&in);
    return signals_caught() ? 128 + signals_caught() : EXIT_DONE;
}

int cmd_probe(int argc, char **argv)
{
    options o;
    s2a_error err = { .status = S2A_OK };
    char jsonl[] = "--jsonl";
    char **args = calloc((size_t)argc + 2, sizeof *args);
    if (!args)
        return EXIT_FAILED;
    memcpy(args, argv, (size_t)argc * sizeof *args);
    args[argc] = jsonl;
    s2a_status status = options_read(&o, false, argc + 1, args, &err);
    session s = { .o = &o, .alone = true };
    term_init(&s.term, true, o.quiet);
    progress_init(&s.progress, &s.term);
    int code = EXIT_USAGE;
    if (status != S2A_OK) {
        term_say("%s", err.message);
    } else {
        s.cancel = s2a_cancel_new();
        s.request = s2a_request_new();
        probe p = { .s = &s };
        code = s.cancel && s.request && signals_install(s.cancel) ? session_open(&s) : EXIT_FAILED;
        if (code == EXIT_DONE)
            code = run(&p);
    }
    s2a_engine_close(s.engine);
    s2a_request_free(s.request);
    options_free(&o);
    free(args);
    return code;
}
