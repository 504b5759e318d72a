/* A head's file of any bytes: refused in one line, or all of it is numbers, and it is written as
 * one that reads the same. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "core/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const judge_head *h)
{
    if (h->width == 0 || h->layer_count == 0 || h->layer_count > HEAD_LAYERS_MAX ||
        strpbrk(h->model, "\n"))
        abort();
    for (size_t i = 1; i < h->layer_count; i++)
        if (h->layers[i] <= h->layers[i - 1])
            abort();
    for (size_t i = 0; i < HEAD_ROWS; i++)
        if (!isfinite(h->offset[i]) || !isfinite(h->scale[i]))
            abort();
    for (size_t i = 0; i < HEAD_FORMS * HEAD_UNITS_MAX; i++) {
        const head_unit *u = &h->units[i / HEAD_UNITS_MAX][i % HEAD_UNITS_MAX];
        bool used = i % HEAD_UNITS_MAX < h->unit_count[i / HEAD_UNITS_MAX];
        if (!isfinite(u->offset) || !isfinite(u->scale) ||
            (used && !(isfinite(u->mix[0]) && isfinite(u->mix[1]) && isfinite(u->mix[2]))))
            abort();
    }
    const head_thresholds *t = &h->thresholds;
    const double thresholds[] = { t->automatic, t->opinion, t->relevance, t->untrusted };
    for (size_t i = 0; i < 4; i++)
        if (!isfinite(thresholds[i]))
            abort();
    for (int form = HEAD_AGAIN; form < HEAD_FORMS; form++) {
        backend_head rows = head_of_form(h, (head_form)form);
        float sum = 0;
        for (size_t i = 0; i < rows.row_count * h->layer_count * 2 * h->width; i++)
            sum += rows.rows[i];
        if (!isfinite(sum))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    judge_head *h = NULL, *again = NULL;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = head_read("f", (const char *)data, size, &h, &err);
    if (status != S2A_OK) {
        if (h || status != S2A_INPUT || status != err.status || !err.message[0] ||
            strchr(err.message, '\n'))
            abort();
        return 0;
    }
    check(h);
    buf bytes;
    buf_init(&bytes, LIMIT_HEAD_FILE_BYTES);
    head_write(h, &bytes);
    bool tiny = false; /* a scale so large that another factor is too much for a number */
    for (size_t i = 0; i < HEAD_ROWS; i++)
        tiny |= fabs(h->scale[i]) > 1e300;
    for (size_t i = 0; i < HEAD_FORMS * HEAD_UNITS_MAX; i++)
        tiny |= fabs(h->units[i / HEAD_UNITS_MAX][i % HEAD_UNITS_MAX].scale) > 1e300;
    if (bytes.status == S2A_OK && !tiny) {
        if (head_read("f", bytes.data, bytes.len, &again, NULL) != S2A_OK)
            abort();
        check(again);
        if (again->weights_id != h->weights_id || again->width != h->width ||
            again->layer_count != h->layer_count)
            abort();
        head_free(again);
    }
    buf_free(&bytes);
    head_free(h);
    return 0;
}
