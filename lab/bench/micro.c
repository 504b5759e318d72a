#include "bench/micro.h"

#include "base/ascii.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench/prompt.h"
#include "core/parse.h"
#include "core/segment.h"
#include "eval/stats.h"

#include <stdlib.h>

#define WORDS 170000u /* about a megabyte */
#define MOST_PASSES 64

static size_t words(void *ctx, const char *text, size_t len)
{
    (void)ctx;
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += !ascii_space(text[i]) && (i == 0 || ascii_space(text[i - 1]));
    return count;
}

static s2a_status segment_once(const buf *text, s2a_error *err)
{
    segment_unit *units = NULL;
    size_t count = 0;
    s2a_status status = segment_text(text->data, text->len, NULL, &units, &count, err);
    free(units);
    return status;
}

static s2a_status parse_once(const buf *text, s2a_error *err)
{
    parse_parts parts;
    return parse_rewrite(text->data, text->len, PARSE_SPLIT, NULL, &parts, err);
}

static s2a_status rate(s2a_status (*once)(const buf *, s2a_error *), const buf *text, size_t passes,
                       const s2a_cancel *cancel, double *mb_per_s, s2a_error *err)
{
    double rates[MOST_PASSES];
    size_t n = passes < MOST_PASSES ? passes : MOST_PASSES;
    for (size_t i = 0; i < n; i++) {
        if (cancel_fired(cancel))
            return error_set(err, S2A_CANCELLED, "cancelled");
        double start = clock_ms();
        s2a_status status = once(text, err);
        if (status != S2A_OK)
            return status;
        rates[i] = (double)text->len / 1e3 / (clock_ms() - start);
    }
    *mb_per_s = stats_quantile(rates, n, 0.5);
    return S2A_OK;
}

s2a_status bench_micro_run(size_t passes, const s2a_cancel *cancel, bench_micro *out,
                           s2a_error *err)
{
    buf text, answer;
    *out = (bench_micro){ 0, 0 };
    buf_init(&text, (size_t)16 << 20);
    buf_init(&answer, (size_t)16 << 20);
    s2a_status status = bench_prompt_build(1, WORDS, words, NULL, &text, err);
    if (status == S2A_OK) {
        buf_addf(&answer,
                 "Unbiased text context (includes all content except user's bias):\n%s\n\n"
                 "Question/Query (does not include user bias/preference):\nWhen?\n",
                 text.data);
        status = answer.status == S2A_OK ? S2A_OK : error_nomem(err);
    }
    if (status == S2A_OK)
        status = rate(segment_once, &text, passes, cancel, &out->segment_mb_per_s, err);
    if (status == S2A_OK)
        status = rate(parse_once, &answer, passes, cancel, &out->parse_mb_per_s, err);
    buf_free(&answer);
    buf_free(&text);
    return status;
}
