/* Documents and a question, with a judge that says anything: each document comes back without the
 * spans that are said to be gone, and white space aside with all the rest; its units are all of it,
 * and not all documents become empty. Parts: the judge's figures (a byte each), the question, and
 * each document. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "any_judge.h"
#include "core/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DOCUMENTS = 8 };

static part figures;
static size_t told_count;

static s2a_status read_any(backend *self, const backend_message *messages, size_t count,
                           const backend_piece *pieces, size_t piece_count,
                           const backend_head *head, const backend_params *params, double *told,
                           float *states, backend_usage *usage, s2a_error *err)
{
    (void)self, (void)params, (void)err, (void)messages, (void)count, (void)states;
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    for (size_t i = 0; i < piece_count; i++)
        for (size_t r = 0; pieces[i].wanted && r < head->row_count; r++)
            *told++ = any_judge_figure(&figures, told_count++);
    return S2A_OK;
}

static const backend_vtable vtable = ANY_JUDGE(read_any);

static void check_units(const s2a_document *d)
{
    size_t at = 0;
    for (size_t i = 0; i < d->unit_count; i++) {
        if (d->units[i].start != at || d->units[i].end <= at)
            abort();
        at = d->units[i].end;
    }
    if (at != d->text_len)
        abort();
}

/* Where white space of any script ends that begins at `at`. */
static size_t skip_space(const char *text, size_t at, size_t end)
{
    while (at < end) {
        size_t next = at;
        UChar32 c;
        U8_NEXT(text, next, end, c);
        if (!u_isUWhiteSpace(c))
            break;
        at = next;
    }
    return at;
}

/* text[from, to) stands in pruned from kept on, white space aside. Returns where it ends there. */
static size_t same_words(const s2a_document *d, size_t from, size_t to, size_t kept)
{
    while ((from = skip_space(d->text, from, to)) < to) {
        kept = skip_space(d->pruned, kept, d->pruned_len);
        if (kept == d->pruned_len || d->pruned[kept++] != d->text[from++])
            abort();
    }
    return kept;
}

static void check(const s2a_document *d, const part *given)
{
    size_t at = 0, kept = 0;
    if (d->text_len != given->len || memcmp(d->text, given->text, given->len) != 0 ||
        !(d->relevance >= 0 && d->relevance <= 1))
        abort();
    check_units(d);
    for (size_t i = 0; i <= d->removed_count; i++) {
        bool last = i == d->removed_count;
        size_t start = last ? d->text_len : d->removed[i].start;
        if (start < at || start > d->text_len)
            abort();
        kept = same_words(d, at, start, kept);
        at = last ? at : d->removed[i].end;
        if (!last && (at <= start || at > d->text_len))
            abort();
    }
    if (skip_space(d->pruned, kept, d->pruned_len) != d->pruned_len ||
        d->pruned[d->pruned_len] != '\0')
        abort();
}

static void check_result(const s2a_result *result, const part *documents, size_t count)
{
    bool any = false, words = false;
    if (s2a_result_document_count(result) != count)
        abort();
    for (size_t i = 0; i < count; i++) {
        s2a_document d = s2a_result_document(result, i);
        check(&d, &documents[i]);
        any |= d.pruned_len > 0;
        words |= d.text_len > 0;
    }
    if (words && !any)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    part parts[2 + DOCUMENTS];
    judge_head head = { .layer_count = 0 };
    parts_split(data, size, parts, 2 + DOCUMENTS);
    for (size_t i = 0; i < HEAD_ROWS; i++)
        head.scale[i] = 1;
    figures = parts[0];
    told_count = 0;
    backend b = { &vtable };
    s2a_engine engine = { .backend = &b, .head = &head };
    s2a_result *result = NULL;
    s2a_request *r = s2a_request_new();
    s2a_error err = { .status = S2A_OK };
    size_t count = 0;
    s2a_status status = s2a_request_set_question(r, parts[1].text, parts[1].len, &err);
    for (; count < DOCUMENTS && status == S2A_OK; count++)
        status = s2a_request_add_document(r, parts[2 + count].text, parts[2 + count].len, &err);
    if (status == S2A_OK && size % 3 == 0)
        s2a_request_set_keep(r, 0.5, &err);
    if (status == S2A_OK)
        status = s2a_attend(&engine, r, &result, &err);
    if (status == S2A_OK)
        check_result(result, parts + 2, count);
    else if (status != S2A_INPUT || strpbrk(err.message, "\r\n"))
        abort();
    s2a_result_free(result);
    s2a_request_free(r);
    return 0;
}
