#include "cli/judged.h"

#include "core/clause.h"
#include "core/engine.h"
#include "core/error.h"

#include <stdlib.h>

s2a_status judged_read(const s2a_engine *engine, const char *text, size_t len,
                       const judged_options *how, const s2a_cancel *cancel, judged *out,
                       s2a_error *err)
{
    *out = (judged){ .units = NULL };
    backend *b = engine->backend;
    if (!b->vtable->score || !b->vtable->capabilities(b).can_score)
        return error_set(
            err, S2A_UNSUPPORTED,
            "mode select: this backend gives no log-probabilities of labels; use another "
            "one, or mode rewrite");
    s2a_status status = segment_text(text, len, cancel, &out->units, &out->count, err);
    if (status == S2A_OK)
        status = clause_split(text, cancel, &out->units, &out->count, err);
    if (status != S2A_OK)
        return status;
    out->said = calloc(out->count + 1, sizeof *out->said);
    if (!out->said)
        return error_nomem(err);
    select_input in = { .backend = b,
                        .prompts = &engine->prompts,
                        .examples = &engine->examples,
                        .text = text,
                        .units = out->units,
                        .count = out->count,
                        .question_start = how->question_start,
                        .window_tokens = how->window_tokens,
                        .keep = how->attention,
                        .calibration = &engine->calibration,
                    .lens = engine->lens,
                        .cancel = cancel };
    return select_judge(&in, out->said, &out->usage, err);
}

void judged_free(judged *j)
{
    free(j->units);
    free(j->said);
    *j = (judged){ .units = NULL };
}
