/* s2a probe: what select reads of a model, raw, for research and calibration (scripts/). One JSON
 * object a line on standard input, one a line out:
 *
 *   {"messages": [{"role", "content"}], "branches": [{"forced", "slots": [byte, ...]}], "labels": [...]}
 *       -> {"logprob": [[...], ...], "usage": {...}}          a row for each slot of each branch
 *   {"text", "units": [[start, end], ...], "questions": [...]}
 *       -> {"mass": [[[head, ...], ...], ...], "usage": {...}}    by question, unit, head
 *   {"select": text, "question_start": byte or null, "window": tokens, "attention": bool}   the latter two may lack
 *       -> {"units": [[start, end, question, whole, needed, unrelated, opinion, attention], ...], "usage": {...}}
 *   {"select": text, "layers": [layer, ...], ...} -> the same without labels, and
 *          {"states": [[[number, ...], ...], ...], "hidden_width", "weights_id", "form"}    of each unit but the
 *          question, of each layer, at the label
 *   {"segment": text} -> {"units": [[start, end, text_end, kind, question], ...]} */
#include "backend/backend.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/input.h"
#include "cli/judged.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "core/engine.h"
#include "core/error.h"
#include "core/limits.h"
#include "core/segment.h"
#include "eval/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct probe {
    session *s;
    s2a_error err;
} probe;

static json_t *usage_pack(const char *name, json_t *value, const backend_usage *usage)
{
    return json_pack("{s:o,s:o}", name, value, "usage", eval_usage_json(&usage->tokens));
}

static backend_params params_of(const probe *p)
{
    return (backend_params){ .top_p = 1, .cancel = p->s->cancel };
}

static bool messages_read(const json_t *list, backend_message *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i), *content = json_object_get(m, "content");
        const char *role = json_string_value(json_object_get(m, "role"));
        if (!role || !json_is_string(content))
            return false;
        out[i] = (backend_message){ role, json_string_value(content), json_string_length(content) };
    }
    return true;
}

/* The slots of all branches are in one array. */
static bool branches_read(const json_t *list, backend_branch *out, size_t *slots)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *b = json_array_get(list, i), *forced = json_object_get(b, "forced");
        const json_t *at = json_object_get(b, "slots");
        if (!json_is_string(forced))
            return false;
        out[i] = (backend_branch){ json_string_value(forced), json_string_length(forced), slots,
                                   json_array_size(at) };
        for (size_t k = 0; k < json_array_size(at); k++)
            *slots++ = (size_t)json_integer_value(json_array_get(at, k));
    }
    return true;
}

static json_t *rows_json(const double *values, size_t rows, size_t columns)
{
    json_t *out = json_array();
    for (size_t i = 0; i < rows; i++) {
        json_t *row = json_array();
        for (size_t k = 0; k < columns; k++)
            json_array_append_new(row, json_real(values[i * columns + k]));
        json_array_append_new(out, row);
    }
    return out;
}

static json_t *score_line(probe *p, const json_t *line)
{
    backend *b = p->s->engine->backend;
    const json_t *messages = json_object_get(line, "messages");
    const json_t *branches = json_object_get(line, "branches");
    const json_t *labels = json_object_get(line, "labels");
    size_t n = json_array_size(branches), slot_count = 0, label_count = json_array_size(labels);
    for (size_t i = 0; i < n; i++)
        slot_count += json_array_size(json_object_get(json_array_get(branches, i), "slots"));
    backend_message *m = calloc(json_array_size(messages) + 1, sizeof *m);
    backend_branch *all = calloc(n + 1, sizeof *all);
    size_t *slots = calloc(slot_count + 1, sizeof *slots);
    const char **words = calloc(label_count + 1, sizeof *words);
    double *logprob = calloc(slot_count * label_count + 1, sizeof *logprob);
    json_t *out = NULL;
    bool ok = m && all && slots && words && logprob && messages_read(messages, m) &&
              branches_read(branches, all, slots);
    for (size_t i = 0; ok && i < label_count; i++)
        ok = (words[i] = json_string_value(json_array_get(labels, i))) != NULL;
    backend_usage usage;
    backend_params params = params_of(p);
    if (!ok)
        error_set(&p->err, S2A_INPUT, "the line is not as s2a probe wants it");
    else if (!b->vtable->score)
        error_set(&p->err, S2A_UNSUPPORTED, "this backend cannot score");
    else if (b->vtable->score(b, m, json_array_size(messages), all, n, words, label_count, &params,
                              logprob, &usage, &p->err) == S2A_OK)
        out = usage_pack("logprob", rows_json(logprob, slot_count, label_count), &usage);
    free(m);
    free(all);
    free(slots);
    free(words);
    free(logprob);
    return out;
}

static json_t *attention_line(probe *p, const json_t *line)
{
    backend *b = p->s->engine->backend;
    const json_t *text = json_object_get(line, "text");
    const json_t *questions = json_object_get(line, "questions");
    s2a_span *units = NULL;
    size_t n = 0, q = json_array_size(questions);
    size_t heads = b->vtable->capabilities(b).attention_heads;
    const char **words = calloc(q + 1, sizeof *words);
    bool ok = words && json_is_string(text) &&
              eval_spans_from_json(json_object_get(line, "units"), &units, &n);
    for (size_t i = 0; ok && i < q; i++)
        ok = (words[i] = json_string_value(json_array_get(questions, i))) != NULL;
    float *mass = calloc(q * n * heads + 1, sizeof *mass);
    json_t *out = NULL;
    backend_usage usage;
    backend_params params = params_of(p);
    if (!ok || !mass) {
        error_set(&p->err, S2A_INPUT, "the line is not as s2a probe wants it");
    } else if (!b->vtable->attention || heads == 0) {
        error_set(&p->err, S2A_UNSUPPORTED, "this backend cannot read attention");
    } else if (b->vtable->attention(b, json_string_value(text), json_string_length(text), units, n,
                                    words, q, &params, mass, &usage, &p->err) == S2A_OK) {
        json_t *all = json_array();
        for (size_t i = 0; i < q; i++) {
            json_t *of_question = json_array();
            for (size_t u = 0; u < n; u++) {
                json_t *row = json_array();
                for (size_t h = 0; h < heads; h++)
                    json_array_append_new(row, json_real((double)mass[(i * n + u) * heads + h]));
                json_array_append_new(of_question, row);
            }
            json_array_append_new(all, of_question);
        }
        out = usage_pack("mass", all, &usage);
    }
    free(mass);
    free(units);
    free(words);
    return out;
}

static json_t *segment_line(probe *p, const json_t *text)
{
    segment_unit *units = NULL;
    size_t n = 0;
    if (segment_text(json_string_value(text), json_string_length(text), NULL, &units, &n, &p->err) !=
        S2A_OK)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("[I,I,I,i,b]", (json_int_t)units[i].start,
                                              (json_int_t)units[i].end,
                                              (json_int_t)units[i].text_end, (int)units[i].kind,
                                              (int)units[i].question));
    free(units);
    return json_pack("{s:o}", "units", list);
}

/* A backend before the engine's: where labels are asked for, it takes hidden states, and says 0. */
typedef struct taker {
    backend base;
    backend *inner;
    uint32_t layers[64];
    size_t layer_count, slots;
    float *states; /* [slot][layer][width] of all calls */
    size_t cap;
} taker;

static s2a_status taker_score(backend *self, const backend_message *messages, size_t count,
                              const backend_branch *branches, size_t branch_count,
                              const char *const *labels, size_t label_count,
                              const backend_params *params, double *logprob, backend_usage *usage,
                              s2a_error *err)
{
    (void)labels;
    taker *t = (taker *)self;
    size_t slots = 0;
    size_t width = t->inner->vtable->capabilities(t->inner).hidden_width * t->layer_count;
    for (size_t i = 0; i < branch_count; i++)
        slots += branches[i].slot_count;
    memset(logprob, 0, slots * label_count * sizeof *logprob);
    void *states = t->states;
    bool room = array_reserve(&states, &t->cap, (t->slots + slots) * width, sizeof *t->states);
    t->states = states;
    if (!room)
        return error_nomem(err);
    s2a_status status = t->inner->vtable->hidden(t->inner, messages, count, branches, branch_count,
                                                 t->layers, t->layer_count, params,
                                                 t->states + t->slots * width, usage, err);
    if (status == S2A_OK)
        t->slots += slots;
    return status;
}

static size_t taker_count_tokens(backend *self, const char *text, size_t len)
{
    backend *inner = ((taker *)self)->inner;
    return inner->vtable->count_tokens(inner, text, len);
}

static backend_capabilities taker_capabilities(const backend *self)
{
    const backend *inner = ((const taker *)self)->inner;
    return inner->vtable->capabilities(inner);
}

static const backend_vtable taker_vtable = { .score = taker_score,
                                             .count_tokens = taker_count_tokens,
                                             .capabilities = taker_capabilities };

/* False when they are not numbers, or the backend has no hidden states. */
static bool taker_open(taker *t, backend *inner, const json_t *layers)
{
    *t = (taker){ .base = { &taker_vtable }, .inner = inner };
    t->layer_count = json_array_size(layers);
    bool ok = t->layer_count > 0 && t->layer_count <= sizeof t->layers / sizeof t->layers[0] &&
              inner->vtable->hidden && inner->vtable->capabilities(inner).hidden_width > 0;
    for (size_t i = 0; ok && i < t->layer_count; i++) {
        const json_t *layer = json_array_get(layers, i);
        ok = json_is_integer(layer) && json_integer_value(layer) >= 0 &&
             json_integer_value(layer) < UINT32_MAX;
        t->layers[i] = ok ? (uint32_t)json_integer_value(layer) : 0;
    }
    return ok;
}

static void states_add(const taker *t, const s2a_engine *engine, json_t *out)
{
    json_t *all = json_array();
    backend_capabilities can = t->inner->vtable->capabilities(t->inner);
    size_t width = can.hidden_width;
    char id[24];
    for (size_t slot = 0; slot < t->slots; slot++) {
        json_t *of_slot = json_array();
        for (size_t l = 0; l < t->layer_count; l++) {
            const float *state = t->states + (slot * t->layer_count + l) * width;
            json_t *row = json_array();
            for (size_t i = 0; i < width; i++)
                json_array_append_new(row, json_real((double)state[i]));
            json_array_append_new(of_slot, row);
        }
        json_array_append_new(all, of_slot);
    }
    json_object_set_new(out, "states", all);
    json_object_set_new(out, "hidden_width", json_integer((json_int_t)width));
    snprintf(id, sizeof id, "%" PRIu64, can.weights_id); /* JSON's numbers are too short for them */
    json_object_set_new(out, "weights_id", json_string(id));
    snprintf(id, sizeof id, "%" PRIu64, lens_form(&engine->prompts));
    json_object_set_new(out, "form", json_string(id));
}

/* As s2a_attend judges it, before anything is made of the figures. */
static json_t *select_line(probe *p, const json_t *line)
{
    const json_t *text = json_object_get(line, "select");
    const json_t *question = json_object_get(line, "question_start");
    size_t start = json_is_integer(question) ? (size_t)json_integer_value(question) : SIZE_MAX;
    const json_t *layers = json_object_get(line, "layers");
    s2a_engine engine = *p->s->engine;
    taker t = { .states = NULL };
    judged j;
    json_t *out = NULL;
    if (!json_is_string(text) || (layers && !taker_open(&t, engine.backend, layers))) {
        error_set(&p->err, S2A_INPUT, "the line is not as s2a probe wants it, or the backend has no "
                                      "hidden states");
        return NULL;
    }
    if (layers) {
        engine.backend = &t.base;
        engine.lens = NULL;
    }
    judged_options how = { .question_start = start,
                           .window_tokens =
                               (size_t)json_integer_value(json_object_get(line, "window")),
                           .attention = json_is_true(json_object_get(line, "attention")) };
    if (judged_read(&engine, json_string_value(text), json_string_length(text), &how,
                    p->s->cancel, &j, &p->err) == S2A_OK) {
        json_t *list = json_array();
        for (size_t i = 0; i < j.count; i++)
            json_array_append_new(list, json_pack("[I,I,b,b,f,f,f,f]", (json_int_t)j.units[i].start,
                                                  (json_int_t)j.units[i].end, (int)j.said[i].question,
                                                  (int)j.said[i].whole, j.said[i].needed,
                                                  j.said[i].unrelated, j.said[i].opinion,
                                                  j.said[i].attention));
        backend_usage usage = { .tokens = j.usage, .finish = BACKEND_FINISH_STOP };
        out = usage_pack("units", list, &usage);
        if (out && layers)
            states_add(&t, &engine, out);
    }
    free(t.states);
    judged_free(&j);
    return out;
}

static json_t *one_line(probe *p, const char *text, size_t len)
{
    json_t *line = input_parse_json("the line", text, len, &p->err);
    const json_t *segment = json_object_get(line, "segment");
    json_t *out = NULL;
    if (line)
        out = json_is_string(segment)                 ? segment_line(p, segment)
              : json_object_get(line, "select")       ? select_line(p, line)
              : json_object_get(line, "messages")     ? score_line(p, line)
                                                      : attention_line(p, line);
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
