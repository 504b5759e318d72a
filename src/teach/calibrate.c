/* Teaches a head for a model: reads labelled prompts and fits the hidden states of their sentences
 * to the labels. */
#include "backend/backend.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "core/engine.h"
#include "core/reading.h"
#include "teach/teach.h"
#include "teach/teaching_set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits for the time of reading and for the memory of its results. With the fits, a minute or two
 * on one core, a calibration ends within ten minutes. */
#define READ_MS (6 * 60e3)
#define STATES_BYTES ((size_t)640 << 20)
#define UNIT_NODE_BYTES 16 /* liblinear's bytes for each number */
#define SHUFFLE_SEED 3
#define DEPTH 0.5 /* share of the layers that are used; higher ones are not read */

struct s2a_calibration {
    judge_head *head;
    s2a_calibration_report report;
};

typedef struct calibrating {
    const s2a_engine *engine;
    const s2a_cancel *cancel;
    s2a_progress_fn progress;
    void *progress_ctx;
    teaching_set set;
    teach_unit *units;
    size_t unit_count, unit_cap, numbers; /* numbers: length of a unit's state */
    float **states;                       /* one for each reading; owned */
    size_t state_count, state_cap;
    size_t prompts;
    uint64_t tokens;
    double ms;
    s2a_calibration *out;
} calibrating;

/* ---- reading ---------------------------------------------------------------------------- */

static bool room(const calibrating *c, size_t more)
{
    return (c->unit_count + more) * c->numbers * (UNIT_NODE_BYTES + sizeof(float)) <= STATES_BYTES;
}

/* Adds the units of a prompt that was read. Owns states from here on. */
static s2a_status units_take(calibrating *c, const teaching_prompt *p, const select_input *in,
                             const select_unit *marks, float *states, size_t read, s2a_error *err)
{
    void *units = c->units, *kept = c->states;
    bool ok = array_reserve(&units, &c->unit_cap, c->unit_count + read, sizeof *c->units);
    c->units = units;
    ok = ok && array_reserve(&kept, &c->state_cap, c->state_count + 1, sizeof *c->states);
    c->states = kept;
    if (!ok) {
        free(states);
        return error_nomem(err);
    }
    c->states[c->state_count++] = states;
    for (size_t i = 0, k = 0; i < in->count && k < read; i++) {
        const segment_unit *u = &in->units[i];
        if (!reading_takes(u, &marks[i]))
            continue;
        teach_unit *out = &c->units[c->unit_count++];
        *out = (teach_unit){ .prompt = c->prompts,
                             .kind = p->kind,
                             .form = select_form(in),
                             .state = states + k++ * c->numbers };
        out->label = teaching_label_of(p, u->start, u->text_end, &out->asked);
    }
    c->prompts++;
    return S2A_OK;
}

static s2a_status prompt_read(calibrating *c, const teaching_prompt *p, bool apart, s2a_error *err)
{
    segment_unit *units = NULL;
    size_t count = 0, read = 0;
    float *states = NULL;
    s2a_usage used = { .ms = 0 };
    select_input in = { .backend = c->engine->backend,
                        .text = p->text,
                        .cancel = c->cancel,
                        .preset = p->untrusted ? S2A_PRESET_UNTRUSTED
                                  : apart      ? S2A_PRESET_RELEVANCE
                                               : S2A_PRESET_AUTO,
                        .question_start = p->untrusted || apart ? p->context_len : SIZE_MAX };
    s2a_status status = select_segment(in.preset, p->text, p->len, in.question_start, c->cancel,
                                       &units, &count, err);
    in.units = units;
    in.count = count;
    select_unit *marks = status == S2A_OK ? calloc(count + 1, sizeof *marks) : NULL;
    if (status == S2A_OK && !marks)
        status = error_nomem(err);
    if (status == S2A_OK) {
        select_mark(&in, marks);
        status = reading_states(&in, marks, c->out->head->layers, c->out->head->layer_count,
                                &states, &read, &used, err);
    }
    if (status == S2A_OK)
        status = units_take(c, p, &in, marks, states, read, err);
    else if (status == S2A_LIMIT) /* skip a prompt longer than the model's context */
        status = S2A_OK;
    c->tokens += used.prompt_tokens;
    free(marks);
    free(units);
    return status;
}

/* Where the question begins if it is last, so that the prompt can also be read as a text and a
 * question; else 0. */
static size_t asked_from(const teaching_prompt *p)
{
    size_t i = p->piece_count;
    while (i > 0 && p->pieces[i - 1].asked)
        i--;
    return i > 0 && i < p->piece_count ? p->pieces[i].start : 0;
}

static void progress_tell(const calibrating *c, size_t done, double spent_ms)
{
    double all = spent_ms / fmax(1, (double)done) * (double)c->set.count;
    if (c->progress)
        c->progress(c->progress_ctx, done, c->set.count, fmin(all, READ_MS) - spent_ms);
}

static s2a_status read_all(calibrating *c, s2a_error *err)
{
    double started = clock_ms();
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < c->set.count && status == S2A_OK; i++) {
        teaching_prompt *p = &c->set.prompts[i];
        if (clock_ms() - started > READ_MS || !room(c, p->piece_count * 2))
            break;
        progress_tell(c, i, clock_ms() - started);
        status = prompt_read(c, p, false, err);
        size_t question = p->untrusted || i % 4 ? 0 : asked_from(p);
        if (status == S2A_OK && question > 0) {
            p->context_len = question;
            status = prompt_read(c, p, true, err);
        }
    }
    c->ms = clock_ms() - started;
    if (status == S2A_OK && c->progress)
        c->progress(c->progress_ctx, c->set.count, c->set.count, 0);
    return status;
}

/* ---- the head --------------------------------------------------------------------------- */

static s2a_status head_begin(calibrating *c, s2a_error *err)
{
    backend *b = c->engine->backend;
    backend_capabilities can = b->vtable->capabilities(b);
    judge_head *h = c->out->head;
    if (!b->vtable->read || can.hidden_width == 0 || can.layers < 3)
        return error_set(err, S2A_UNSUPPORTED,
                         "this model provides no hidden states; use another one, or mode rewrite");
    snprintf(h->model, sizeof h->model, "%.*s", (int)utf8_cut(can.model, 100), can.model);
    for (char *at = h->model; *at; at++) /* the name is one line of the file */
        *at = (unsigned char)*at < ' ' ? ' ' : *at;
    h->weights_id = can.weights_id;
    h->width = can.hidden_width;
    h->layers[0] = (uint32_t)(DEPTH * can.layers) - 1;
    h->layer_count = 1;
    c->numbers = 2 * can.hidden_width;
    return S2A_OK;
}

static s2a_status calibration_new(s2a_calibration **out, s2a_error *err)
{
    *out = calloc(1, sizeof **out);
    if (*out)
        (*out)->head = calloc(1, sizeof *(*out)->head);
    return *out && (*out)->head ? S2A_OK : error_nomem(err);
}

static s2a_status calibrate(calibrating *c, const char *labelled, size_t len, s2a_error *err)
{
    s2a_status status = head_begin(c, err);
    if (status == S2A_OK && labelled)
        status = teaching_set_read("labelled prompts", labelled, len, &c->set, err);
    else if (status == S2A_OK)
        status = teaching_set_read("data/labelled", labelled_builtin, labelled_builtin_len, &c->set,
                                   err);
    if (status == S2A_OK) {
        teaching_set_shuffle(&c->set, SHUFFLE_SEED);
        status = read_all(c, err);
    }
    if (status == S2A_OK)
        status = teach_fit(c->units, c->unit_count, c->cancel, c->out->head, &c->out->report, err);
    c->out->report.tokens = c->tokens;
    c->out->report.ms = c->ms;
    if (status == S2A_OK && cancel_fired(c->cancel))
        status = error_set(err, S2A_CANCELLED, "cancelled");
    return status;
}

s2a_status s2a_calibrate(s2a_engine *engine, const char *labelled, size_t len,
                         const s2a_cancel *cancel, s2a_progress_fn progress, void *progress_ctx,
                         s2a_calibration **out, s2a_error *err)
{
    calibrating c = {
        .engine = engine, .cancel = cancel, .progress = progress, .progress_ctx = progress_ctx
    };
    s2a_status status = calibration_new(&c.out, err);
    if (status == S2A_OK)
        status = calibrate(&c, labelled, len, err);
    for (size_t i = 0; i < c.state_count; i++)
        free(c.states[i]);
    free(c.states);
    free(c.units);
    teaching_set_free(&c.set);
    if (status != S2A_OK) {
        s2a_calibration_free(c.out);
        c.out = NULL;
    }
    *out = c.out;
    return status;
}

s2a_status s2a_calibration_read(const char *where, const char *data, size_t len,
                                s2a_calibration **out, s2a_error *err)
{
    s2a_calibration *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c)
        return error_nomem(err);
    s2a_status status = head_read(where, data, len, &c->head, err);
    if (status == S2A_OK)
        *out = c;
    else
        free(c);
    return status;
}

s2a_status s2a_calibration_write(const s2a_calibration *calibration, char **data, size_t *len,
                                 s2a_error *err)
{
    buf bytes;
    buf_init(&bytes, LIMIT_HEAD_FILE_BYTES);
    head_write(calibration->head, &bytes);
    *data = buf_take(&bytes, len);
    buf_free(&bytes);
    return *data ? S2A_OK : error_nomem(err);
}

const char *s2a_calibration_model(const s2a_calibration *calibration)
{
    return calibration->head->model;
}

double s2a_calibration_threshold(const s2a_calibration *calibration, s2a_preset preset)
{
    const head_thresholds *b = &calibration->head->thresholds;
    return preset == S2A_PRESET_AUTO        ? b->automatic
           : preset == S2A_PRESET_OPINION   ? b->opinion
           : preset == S2A_PRESET_RELEVANCE ? b->relevance
           : preset == S2A_PRESET_UNTRUSTED ? b->untrusted
                                            : NAN;
}

s2a_calibration_report s2a_calibration_reached(const s2a_calibration *calibration)
{
    return calibration->report;
}

void s2a_calibration_free(s2a_calibration *calibration)
{
    if (!calibration)
        return;
    head_free(calibration->head);
    free(calibration);
}
