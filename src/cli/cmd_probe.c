/* s2a probe: what select reads of a model, raw, for research and calibration (scripts/). One JSON
 * object a line on standard input, one a line out:
 *
 *   {"messages": [{"role", "content"}], "branches": [{"forced", "slots": [byte, ...]}], "labels": [...]}
 *       -> {"logprob": [[...], ...], "usage": {...}}          a row for each slot of each branch
 *   {"text", "units": [[start, end], ...], "questions": [...]}
 *       -> {"mass": [[[head, ...], ...], ...], "usage": {...}}    by question, unit, head
 *   {"select": text, "question_start": byte or null, "window": tokens, "attention": bool}   the latter two may lack
 *       -> {"units": [[start, end, question, whole, needed, unrelated, opinion, attention], ...], "usage": {...}}
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
    if (segment_text(json_string_value(text), json_string_length(text), &units, &n, &p->err) !=
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

/* As s2a_attend judges it, before anything is made of the figures. */
static json_t *select_line(probe *p, const json_t *line)
{
    const json_t *text = json_object_get(line, "select");
    const json_t *question = json_object_get(line, "question_start");
    size_t start = json_is_integer(question) ? (size_t)json_integer_value(question) : SIZE_MAX;
    judged j;
    json_t *out = NULL;
    if (!json_is_string(text)) {
        error_set(&p->err, S2A_INPUT, "the line is not as s2a probe wants it");
        return NULL;
    }
    judged_options how = { .question_start = start,
                           .window_tokens =
                               (size_t)json_integer_value(json_object_get(line, "window")),
                           .attention = json_is_true(json_object_get(line, "attention")) };
    if (judged_read(p->s->engine, json_string_value(text), json_string_length(text), &how,
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
    }
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
    session s = { .o = &o };
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
