/* Mode select over any text, any figures and any examples: units still join, what is asked stays, x' is
 * made of the text's own bytes. Parts: figures (a byte each), the text, the examples. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/ascii.h"
#include "core/clause.h"
#include "core/select.h"
#include "parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static part figures;

static s2a_status score(backend *self, const backend_message *messages, size_t count,
                        const backend_branch *branches, size_t branch_count,
                        const char *const *labels, size_t label_count, const backend_params *params,
                        double *logprob, backend_usage *usage, s2a_error *err)
{
    (void)self, (void)messages, (void)labels, (void)params, (void)err;
    if (count == 0)
        abort();
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    for (size_t i = 0; i < branch_count; i++)
        if (branches[i].slot_count != 1 || branches[i].slots[0] != branches[i].len)
            abort();
    for (size_t i = 0; i < branch_count * label_count; i++)
        logprob[i] = figures.len > 0 ? -(double)(unsigned char)figures.text[i % figures.len] / 8 : 0;
    return S2A_OK;
}

static size_t count_tokens(backend *self, const char *text, size_t len)
{
    (void)self, (void)text;
    return 1 + len / 4;
}

static backend_capabilities capabilities(const backend *self)
{
    (void)self;
    return (backend_capabilities){ .can_score = true, .counts_tokens = true };
}

static const backend_vtable vtable = { .score = score, .count_tokens = count_tokens,
                                       .capabilities = capabilities };

/* Every kept unit stands in x', and nothing else does, white space aside. */
static void check_text(const select_input *in, const select_unit *units, const select_text *y)
{
    size_t kept = 0, letters = 0;
    for (size_t i = 0; i < in->count; i++)
        for (size_t k = in->units[i].start; units[i].kept && k < in->units[i].end; k++)
            kept += !ascii_space(in->text[k]);
    for (size_t k = 0; k < y->text.len; k++)
        letters += !ascii_space(y->text.data[k]);
    if (kept != letters || y->context.end > y->text.len || y->question.end > y->text.len)
        abort();
    size_t at = 0;
    for (size_t i = 0; i < y->removed_count; i++) {
        if (y->removed[i].start < at || y->removed[i].end < y->removed[i].start)
            abort();
        at = y->removed[i].end;
    }
}

static void run(select_input *in, size_t len)
{
    select_unit *units = calloc(in->count + 1, sizeof *units);
    select_text y;
    s2a_usage usage;
    bool asked = false;
    if (!units || select_judge(in, units, &usage, NULL) != S2A_OK ||
        select_compose(in, units, len, &y, NULL) != S2A_OK)
        abort();
    for (size_t i = 0; i < in->count; i++) {
        asked |= units[i].question;
        if ((units[i].question && !units[i].kept) || !isfinite(units[i].score))
            abort();
    }
    if (!asked && in->count > 0)
        abort();
    check_text(in, units, &y);
    if (!y.changed && (y.text.len != len || (len > 0 && memcmp(y.text.data, in->text, len) != 0)))
        abort();
    select_text_free(&y);
    free(units);
}

/* The same text as what the user said earlier: something of it stays, and its questions do. */
static void run_earlier(const select_input *in, size_t len)
{
    select_unit *units = calloc(in->count + 1, sizeof *units);
    select_text y;
    s2a_usage usage;
    bool any = false;
    if (!units || select_mark_earlier(in, units, NULL) != S2A_OK ||
        select_score(in, units, &usage, NULL) != S2A_OK)
        abort();
    select_spare(in, units);
    if (select_compose(in, units, len, &y, NULL) != S2A_OK)
        abort();
    for (size_t i = 0; i < in->count; i++) {
        any |= units[i].kept;
        if (units[i].asked || (in->units[i].question && !units[i].kept))
            abort();
    }
    if (!any)
        abort();
    check_text(in, units, &y);
    select_text_free(&y);
    free(units);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char select[] = "{{input}}\n{{question}}", system[] = "Label.";
    static const s2a_calibration calibration = { .relevance_border = -1, .relevance_ratio = 0.6, .relevance_cap = 5,
                                                 .opinion_border = 1, .relevance_gap = 1 };
    part parts[3];
    parts_split(data, size, parts, 3);
    figures = parts[0];
    char *examples_text = strndup(parts[2].text ? parts[2].text : "", parts[2].len);
    prompt_set prompts = { 0 };
    prompts.text[PROMPT_SELECT] = select;
    prompts.len[PROMPT_SELECT] = strlen(select);
    prompts.text[PROMPT_SELECT_SYSTEM] = system;
    prompts.len[PROMPT_SELECT_SYSTEM] = strlen(system);
    prompts.text[PROMPT_SELECT_EXAMPLES] = examples_text;
    prompts.len[PROMPT_SELECT_EXAMPLES] = strlen(examples_text);
    prompts.text[PROMPT_SELECT_UNTRUSTED_SYSTEM] = system;
    prompts.len[PROMPT_SELECT_UNTRUSTED_SYSTEM] = strlen(system);
    prompts.text[PROMPT_SELECT_UNTRUSTED_EXAMPLES] = examples_text;
    prompts.len[PROMPT_SELECT_UNTRUSTED_EXAMPLES] = strlen(examples_text);
    s2a_preset preset = size % 4 == 3 ? S2A_PRESET_UNTRUSTED : (s2a_preset)(size % 4);
    select_examples examples;
    if (select_examples_build(&prompts, preset, &examples, NULL) != S2A_OK)
        examples = (select_examples){ 0 };
    segment_unit *units = NULL;
    size_t count = 0, at = 0;
    const char *text = parts[1].text;
    size_t len = parts[1].len;
    if (len > 0 && !ascii_blank(text, len)) {
        if (segment_text(text, len, NULL, &units, &count, NULL) != S2A_OK ||
            clause_split(text, NULL, &units, &count, NULL) != S2A_OK)
            abort();
        for (size_t i = 0; i < count; at = units[i++].end)
            if (units[i].start != at || units[i].end <= at || units[i].text_end > units[i].end)
                abort();
        backend b = { &vtable };
        select_input in = { .backend = &b, .prompts = &prompts, .examples = &examples,
                            .text = text, .units = units, .count = count,
                            .question_start = SIZE_MAX, .calibration = &calibration };
        in.preset = preset;
        run(&in, len);
        run_earlier(&in, len);
        in.window_tokens = 20 + size % 100;
        run(&in, len);
        in.keep = 0.5; /* without attention: by the same scores */
        in.question_start = units[count - 1].start;
        run(&in, len);
    }
    free(units);
    select_examples_free(&examples);
    free(examples_text);
    return 0;
}
