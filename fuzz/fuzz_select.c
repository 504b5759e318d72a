/* Mode select over any text and any figures: units still join, each sentence is read once and is
 * the text's own bytes, what is asked or protected stays, x' is made of the text's bytes in their
 * order. Parts: figures (a byte each), what is protected, a question that is given apart,
 * the text. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "any_judge.h"
#include "base/ascii.h"
#include "base/buf.h"
#include "core/select.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static part figures;
static const select_input *now; /* what is read */
static size_t read_to;          /* bytes of its text before which all was read */

static s2a_status read_any(backend *self, const backend_message *messages, size_t count,
                           const backend_piece *pieces, size_t piece_count,
                           const backend_head *head, const backend_params *params, double *told,
                           float *states, backend_usage *usage, s2a_error *err)
{
    (void)self, (void)params, (void)err;
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    if (count < 2 || count > 4 || piece_count < 2 || states ||
        strcmp(messages[count - 1].role, "user") != 0 || messages[count - 1].len == 0)
        abort();
    const char *at = pieces[1].text;
    if (at < now->text + read_to || pieces[0].wanted || !pieces[piece_count - 1].wanted)
        abort();
    for (size_t i = 1; i < piece_count; i++) {
        if (pieces[i].text != at || pieces[i].len == 0)
            abort();
        at += pieces[i].len;
        for (size_t r = 0; pieces[i].wanted && r < head->row_count; r++)
            *told++ = any_judge_figure(&figures, (size_t)(at - now->text) + r);
    }
    read_to = (size_t)(at - now->text);
    return S2A_OK;
}

static const backend_vtable vtable = ANY_JUDGE(read_any);

/* Every kept unit stands in x', in order, and nothing else does, white space aside, which is the
 * text's too. */
static void check_text(const select_input *in, const select_unit *units, const select_text *y)
{
    size_t k = 0, letters = 0, at = 0;
    for (size_t i = 0; i < in->count; i++)
        for (size_t b = in->units[i].start; units[i].kept && b < in->units[i].end; b++) {
            if (ascii_space(in->text[b]))
                continue;
            while (k < y->text.len && ascii_space(y->text.data[k]))
                k++;
            if (k == y->text.len || y->text.data[k++] != in->text[b])
                abort();
            letters++;
        }
    for (; k < y->text.len; k++)
        if (!ascii_space(y->text.data[k]))
            abort();
    size_t end = in->units[in->count - 1].end;
    k = 0;
    for (size_t b = 0; b < end && k < y->text.len; b++)
        k += in->text[b] == y->text.data[k];
    if (k < y->text.len || y->context.end > y->question.start || y->question.end > y->text.len ||
        letters > end)
        abort();
    for (size_t i = 0; i < y->removed_count; i++) {
        if (y->removed[i].start < at || y->removed[i].end <= y->removed[i].start ||
            y->removed[i].end > end)
            abort();
        at = y->removed[i].end;
    }
}

static bool touches(const segment_unit *u, const s2a_span *span)
{
    return span->start < u->text_end && span->end > u->start;
}

static void run(select_input *in, size_t len)
{
    select_unit *units = calloc(in->count + 1, sizeof *units);
    select_text y;
    s2a_usage usage;
    bool any = false;
    now = in;
    read_to = 0;
    if (!units || select_judge(in, units, &usage, NULL) != S2A_OK ||
        select_compose(in, units, len, &y, NULL) != S2A_OK)
        abort();
    for (size_t i = 0; i < in->count; i++) {
        const select_unit *u = &units[i];
        any |= u->kept;
        if (!isfinite(u->score) ||
            (!u->kept && (!u->judged || u->asked || u->question || u->whole)) ||
            (u->judged && (u->question || u->whole)) || !u->label)
            abort();
        for (size_t k = 0; k < in->protect_count; k++)
            if (touches(&in->units[i], &in->protect[k]) && (!u->kept || u->judged))
                abort();
    }
    if (!any)
        abort();
    check_text(in, units, &y);
    if (!y.changed && (y.text.len != len || memcmp(y.text.data, in->text, len) != 0))
        abort();
    select_text_free(&y);
    free(units);
}

/* The units of a text whose question begins at a byte; what is cut finer still joins. */
static void units_of(const char *text, size_t len, size_t question, s2a_preset preset,
                     segment_unit **units, size_t *count)
{
    size_t at = 0;
    if (segment_apart(text, len, question < len ? question : 0, NULL, units, count, NULL) !=
            S2A_OK ||
        select_refine(preset, text, units, count, NULL) != S2A_OK)
        abort();
    for (size_t i = 0; i < *count; at = (*units)[i++].end) {
        const segment_unit *u = &(*units)[i];
        if (u->start != at || u->end <= at || u->text_end > u->end || u->text_end < u->start ||
            (u->start < question && u->text_end > question))
            abort();
    }
    if (at != len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const s2a_preset presets[] = { S2A_PRESET_AUTO, S2A_PRESET_OPINION, S2A_PRESET_RELEVANCE,
                                          S2A_PRESET_UNTRUSTED };
    judge_head head = { .layer_count = 0 };
    part parts[4];
    parts_split(data, size, parts, 4);
    figures = parts[0];
    for (size_t i = 0; i < HEAD_ROWS; i++)
        head.scale[i] = 1;
    if (parts[3].len == 0 || ascii_blank(parts[3].text, parts[3].len))
        return 0;
    bool apart = parts[2].len > 0 && !ascii_blank(parts[2].text, parts[2].len);
    buf text;
    buf_init(&text, 1 << 26);
    buf_add(&text, parts[3].text, parts[3].len);
    buf_adds(&text, apart ? "\n\n" : "");
    size_t question = apart ? text.len : SIZE_MAX;
    buf_add(&text, parts[2].text, apart ? parts[2].len : 0);
    s2a_span protect = { 0 };
    const char *found =
        parts[1].len > 0 ? memmem(text.data, text.len, parts[1].text, parts[1].len) : NULL;
    if (found)
        protect =
            (s2a_span){ (size_t)(found - text.data), (size_t)(found - text.data) + parts[1].len };
    segment_unit *units = NULL;
    size_t count = 0;
    s2a_preset preset = presets[size % 4];
    units_of(text.data, text.len, question, preset, &units, &count);
    backend b = { &vtable };
    backend_message before[] = { { "system", parts[1].text, parts[1].len },
                                 { "user", parts[0].text, parts[0].len } };
    select_input in = { .backend = &b,
                        .head = &head,
                        .text = text.data,
                        .units = units,
                        .count = count,
                        .question_start = question,
                        .preset = preset,
                        .threshold = NAN,
                        .protect = &protect,
                        .protect_count = found ? 1 : 0 };
    run(&in, text.len);
    in.before = before;
    in.before_count = 2;
    in.window_tokens = 1 + size % 100;
    in.threshold = (double)(size % 7) - 3;
    run(&in, text.len);
    in.keep = 0.5;
    run(&in, text.len);
    free(units);
    buf_free(&text);
    return 0;
}
