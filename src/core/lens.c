#include "core/lens.h"

#include "core/buf.h"
#include "core/fnv.h"
#include "core/limits.h"
#include "core/select_parts.h"

#include <math.h>
#include <string.h>

static uint64_t add_text(uint64_t h, const char *text, size_t len)
{
    uint64_t n = len;
    return fnv_add(fnv_add(h, &n, sizeof n), text, len);
}

uint64_t lens_form(const prompt_set *prompts)
{
    static const char sentence[] =
        "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen.";
    const select_wording *w = select_wording_of(S2A_PRESET_AUTO);
    const prompt_id files[] = { w->system, w->examples, PROMPT_SELECT };
    uint64_t h = FNV_START;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        h = add_text(h, prompts->text[files[i]], prompts->len[files[i]]);
    for (size_t i = 0; i < w->count; i++)
        h = add_text(h, w->labels[i], strlen(w->labels[i]));
    buf branch;
    buf_init(&branch, LIMIT_PROMPT_FILE_BYTES);
    select_add_numbered(&branch, 1, sentence, sizeof sentence - 1);
    select_add_branch(&branch, 1, sentence, sizeof sentence - 1);
    h = branch.status == S2A_OK ? add_text(h, branch.data, branch.len) : 0;
    buf_free(&branch);
    return h;
}

const tuned_lens *lens_find(backend *b, const prompt_set *prompts)
{
    backend_capabilities can = b->vtable->capabilities(b);
    if (!b->vtable->hidden || can.hidden_width == 0 || can.weights_id == 0)
        return NULL;
    for (size_t i = 0; i < lenses_builtin_count; i++) {
        const tuned_lens *l = &lenses_builtin[i];
        if (l->weights_id == can.weights_id && l->width == can.hidden_width)
            return l->form == lens_form(prompts) ? l : NULL;
    }
    return NULL;
}

bool lens_read(const tuned_lens *l, const float *state, double odds[LENS_ROWS])
{
    double squares = 0;
    for (uint32_t i = 0; i < l->width; i++)
        squares += (double)state[i] * (double)state[i];
    double rms = sqrt(squares / l->width + 1e-6);
    for (size_t row = 0; row < LENS_ROWS; row++) {
        const int16_t *weight = l->weights + row * l->width;
        double sum = 0;
        for (uint32_t i = 0; i < l->width; i++)
            sum += weight[i] * (double)state[i];
        odds[row] = l->offset[row] + l->scale[row] * sum / rms;
    }
    return isfinite(odds[LENS_RELEVANCE]) && isfinite(odds[LENS_OPINION]);
}

uint64_t lens_id(const tuned_lens *l)
{
    uint64_t h = fnv_add(FNV_START, &l->layer, sizeof l->layer);
    h = fnv_add(h, l->offset, sizeof l->offset);
    h = fnv_add(h, l->scale, sizeof l->scale);
    return fnv_add(h, l->weights, LENS_ROWS * l->width * sizeof *l->weights);
}
