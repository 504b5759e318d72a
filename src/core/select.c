#include "core/select.h"

#include "base/ascii.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/limits.h"
#include "core/reading.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

head_form select_form(const select_input *in)
{
    if (in->preset == S2A_PRESET_UNTRUSTED)
        return HEAD_APART;
    bool ranks = in->preset == S2A_PRESET_RELEVANCE || in->keep > 0;
    return ranks && in->question_start != SIZE_MAX ? HEAD_APART : HEAD_AGAIN;
}

/* ---- finer units -------------------------------------------------------------------------- */

/* An order may stand in a fence, and may be longer than a window. */
#define PIECE_BYTES 2000

static bool is_long(const segment_unit *u)
{
    return u->kind == SEGMENT_CODE || u->end - u->start > PIECE_BYTES;
}

/* Where the line that begins at `from` ends, or a piece of it does, at a space if there is one in its second
 * half. */
static size_t piece_end(const char *text, size_t from, size_t end)
{
    size_t most = end - from < PIECE_BYTES ? end : from + PIECE_BYTES;
    const char *newline = memchr(text + from, '\n', most - from);
    if (newline)
        return (size_t)(newline - text) + 1;
    if (most == end)
        return end;
    for (size_t at = most; at > from + PIECE_BYTES / 2; at--)
        if (ascii_space(text[at - 1]))
            return at;
    while (most > from + 1 && ((unsigned char)text[most] & 0xc0) == 0x80)
        most--;
    return most;
}

static size_t trimmed_end(const char *text, size_t start, size_t end)
{
    while (end > start && ascii_space(text[end - 1]))
        end--;
    return end;
}

s2a_status select_refine(s2a_preset preset, const char *text, segment_unit **units, size_t *count,
                         s2a_error *err)
{
    segment_unit *out = NULL;
    size_t n = 0, cap = 0;
    if (preset != S2A_PRESET_UNTRUSTED)
        return S2A_OK;
    for (size_t i = 0; i < *count; i++) {
        const segment_unit *u = &(*units)[i];
        size_t at = u->start;
        while (at < u->end) {
            size_t to = is_long(u) ? piece_end(text, at, u->end) : u->end;
            bool blank = n > 0 && at > u->start && trimmed_end(text, at, to) == at;
            if (!blank && !array_reserve((void **)&out, &cap, n + 1, sizeof *out)) {
                free(out);
                return error_nomem(err);
            }
            if (!blank) {
                out[n] = *u;
                out[n].start = at;
                out[n++].text_end = to == u->end ? u->text_end : trimmed_end(text, at, to);
            }
            out[n - 1].end = at = to;
            if (out[n - 1].text_end > to || to == u->end)
                out[n - 1].text_end = trimmed_end(text, out[n - 1].start, to);
        }
    }
    free(*units);
    *units = out;
    *count = n;
    return S2A_OK;
}

s2a_status select_segment(s2a_preset preset, const char *text, size_t len, size_t question_start,
                          const s2a_cancel *cancel, segment_unit **units, size_t *count, s2a_error *err)
{
    size_t apart = question_start == SIZE_MAX ? 0 : question_start;
    s2a_status status = segment_apart(text, len, apart, cancel, units, count, err);
    return status == S2A_OK ? select_refine(preset, text, units, count, err) : status;
}

/* ---- what stays --------------------------------------------------------------------------- */

/* Marks that stand in pairs around what somebody handed over. */
static const struct {
    const char *open, *close[2];
} pairs[] = {
    { "\"", { "\"", NULL } },
    { "\xe2\x80\x9c", { "\xe2\x80\x9d", NULL } },           /* “ ” */
    { "\xe2\x80\x9e", { "\xe2\x80\x9c", "\xe2\x80\x9d" } }, /* „ “, „ ” */
    { "\xc2\xab", { "\xc2\xbb", NULL } },                   /* « » */
    { "\xc2\xbb", { "\xc2\xab", NULL } },                   /* » « */
    { "\xe2\x80\xb9", { "\xe2\x80\xba", NULL } },           /* ‹ › */
    { "\xe3\x80\x8c", { "\xe3\x80\x8d", NULL } },           /* 「 」 */
    { "\xe3\x80\x8e", { "\xe3\x80\x8f", NULL } },           /* 『 』 */
    { "`", { "`", NULL } },
};
#define PAIRS (sizeof pairs / sizeof pairs[0])

static bool at_mark(const char *text, size_t i, size_t len, const char *mark)
{
    size_t n = mark ? strlen(mark) : 0;
    return n > 0 && len - i >= n && !memcmp(text + i, mark, n);
}

/* A mark that may open or close: it opens after white space or an opening mark and before a character;
 * otherwise it closes, or is inches (5'6"). */
static bool may_open(const char *text, size_t i, size_t len, size_t mark_len)
{
    char before = i > 0 ? text[i - 1] : ' ';
    return i + mark_len < len && !ascii_space(text[i + mark_len]) &&
           (ascii_space(before) || strchr("([{:;,-", before) || (unsigned char)before >= 0x80);
}

/* The length of the mark at i that opens pair *which; 0 = none. */
static size_t opens_at(const char *text, size_t i, size_t len, size_t *which)
{
    for (size_t p = 0; p < PAIRS; p++) {
        size_t n = strlen(pairs[p].open);
        if (at_mark(text, i, len, pairs[p].open) && (n > 1 || may_open(text, i, len, n))) {
            *which = p;
            return n;
        }
    }
    return 0;
}

static size_t closes_at(const char *text, size_t i, size_t len, size_t which)
{
    for (size_t k = 0; k < 2; k++)
        if (at_mark(text, i, len, pairs[which].close[k]))
            return strlen(pairs[which].close[k]);
    return 0;
}

/* The name of the tag <NAME ...> or </NAME> at i, of which *len bytes; NULL where there is none. */
static const char *tag_at(const char *text, size_t i, size_t end, bool *closes, size_t *len)
{
    if (text[i] != '<' || i + 2 >= end)
        return NULL;
    *closes = text[i + 1] == '/';
    const char *name = text + i + 1 + *closes;
    size_t most = end - (size_t)(name - text), n = 0;
    while (n < most && n < 64 && (ascii_letter(name[n]) || ascii_digit(name[n]) || name[n] == '_' || name[n] == '-'))
        n++;
    const char *stop = n > 0 && n < most && (name[n] == '>' || name[n] == ' ') && ascii_letter(*name)
                           ? memchr(name + n, '>', most - n < 200 ? most - n : 200)
                           : NULL;
    *len = n;
    return stop && stop[-1] != '/' ? name : NULL;
}

/* Marks and tags that are open at a place; what is opened last is closed first. */
typedef struct open_mark {
    size_t which; /* a pair, or PAIRS = a tag */
    const char *name;
    size_t name_len, unit; /* where it was opened */
} open_mark;

#define OPEN_MAX 32
#define CANCEL_BYTES 4096 /* between two looks at the handle */

typedef struct nesting {
    const select_input *in;
    select_unit *out;
    open_mark open[OPEN_MAX];
    size_t count;
} nesting;

/* Everything from where it was opened to here was handed over as one. */
static void close_mark(nesting *n, size_t k, size_t unit)
{
    for (size_t i = n->open[k].unit; unit > n->open[k].unit && i <= unit; i++)
        n->out[i].whole = true;
    n->count = k;
}

static size_t tag_take(nesting *n, size_t at, size_t end, size_t unit)
{
    bool closes = false;
    size_t len = 0, k = n->count;
    const char *name = tag_at(n->in->text, at, end, &closes, &len);
    if (!name)
        return 0;
    while (closes && k > 0 &&
           !(n->open[k - 1].which == PAIRS && n->open[k - 1].name_len == len &&
             !memcmp(n->open[k - 1].name, name, len)))
        k--;
    if (closes && k > 0)
        close_mark(n, k - 1, unit);
    else if (!closes && n->count < OPEN_MAX)
        n->open[n->count++] = (open_mark){ PAIRS, name, len, unit };
    return 1;
}

static size_t mark_take(nesting *n, size_t at, size_t end, size_t unit)
{
    const char *text = n->in->text;
    for (size_t k = n->count; k > 0; k--) {
        size_t len = n->open[k - 1].which < PAIRS ? closes_at(text, at, end, n->open[k - 1].which) : 0;
        if (len > 0) {
            close_mark(n, k - 1, unit);
            return len;
        }
    }
    size_t which = 0, len = opens_at(text, at, end, &which);
    if (len > 0 && n->count < OPEN_MAX)
        n->open[n->count++] = (open_mark){ .which = which, .unit = unit };
    return len;
}

/* A mark that nobody closes is none. */
static void nesting_find(const select_input *in, select_unit *out)
{
    nesting n = { .in = in, .out = out };
    size_t end = in->count > 0 ? in->units[in->count - 1].end : 0;
    for (size_t i = 0; i < in->count; i++)
        for (size_t k = in->units[i].start; k < in->units[i].text_end;) {
            if (k % CANCEL_BYTES == 0 && cancel_fired(in->cancel))
                return; /* whoever reads next says so */
            size_t len = tag_take(&n, k, end, i);
            len = len > 0 ? len : mark_take(&n, k, end, i);
            k += len > 0 ? len : 1;
        }
}

/* Without a letter or a digit of any script: a rule, a bullet, a lone mark. */
static bool only_marks(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (ascii_letter(text[i]) || ascii_digit(text[i]) || (unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

/* Spans may overlap: the furthest end of those that began before. */
static void protect_mark(const select_input *in, select_unit *out)
{
    size_t reach = 0, k = 0;
    for (size_t i = 0; i < in->count; i++) {
        for (; k < in->protect_count && in->protect[k].start < in->units[i].text_end; k++)
            reach = in->protect[k].end > reach ? in->protect[k].end : reach;
        out[i].whole |= reach > in->units[i].start;
    }
}

static const char *kept_label(const select_input *in)
{
    return in->preset == S2A_PRESET_UNTRUSTED ? "data" : "needed";
}

void select_mark(const select_input *in, select_unit *out)
{
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        bool block = u->kind == SEGMENT_CODE || u->kind == SEGMENT_TABLE_ROW || u->kind == SEGMENT_HEADING;
        out[i] = (select_unit){ .kept = true, .label = kept_label(in) };
        out[i].question = u->start >= in->question_start;
        out[i].whole = (block && in->preset != S2A_PRESET_UNTRUSTED) || u->kind == SEGMENT_BLANK ||
                       only_marks(in->text + u->start, u->text_end - u->start);
    }
    protect_mark(in, out);
    if (select_form(in) == HEAD_AGAIN)
        nesting_find(in, out);
}

/* ---- judging ------------------------------------------------------------------------------ */

static bool any_to_judge(const select_input *in, const select_unit *units)
{
    for (size_t i = 0; i < in->count; i++)
        if (!units[i].question && !units[i].whole)
            return true;
    return false;
}

s2a_status select_judge(const select_input *in, select_unit *out, s2a_usage *usage, s2a_error *err)
{
    *usage = (s2a_usage){ .ms = 0 };
    s2a_status status = S2A_OK;
    select_mark(in, out);
    if (any_to_judge(in, out))
        status = reading_run(in, out, usage, err);
    return status == S2A_OK ? select_decide(in, out, err) : status;
}

/* ---- deciding ----------------------------------------------------------------------------- */

enum { UNRELATED, OPINION, ASKED }; /* odds, in the form again */
enum { SUPPORT, ORDER };            /* odds, in the form apart */

static double score_of(const select_input *in, const select_unit *u)
{
    if (select_form(in) == HEAD_APART)
        return u->odds[in->preset == S2A_PRESET_UNTRUSTED ? ORDER : SUPPORT];
    if (in->preset == S2A_PRESET_OPINION)
        return u->odds[OPINION];
    if (in->preset == S2A_PRESET_RELEVANCE)
        return u->odds[UNRELATED];
    return head_needed(u->odds[UNRELATED], u->odds[OPINION]);
}

double select_threshold(const select_input *in)
{
    const head_borders *b = &in->head->borders;
    if (in->keep > 0)
        return NAN;
    if (!isnan(in->threshold))
        return in->threshold;
    return in->preset == S2A_PRESET_UNTRUSTED   ? b->untrusted
           : in->preset == S2A_PRESET_RELEVANCE ? b->relevance
           : in->preset == S2A_PRESET_OPINION   ? b->opinion
                                                : b->automatic;
}

static size_t bytes_of(const select_input *in, size_t i)
{
    return in->units[i].text_end - in->units[i].start;
}

typedef struct ranked {
    double score;
    size_t unit;
} ranked;

/* Best score first; equal ones in order. */
static int rank(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score > y->score || x->score < y->score)
        return x->score > y->score ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* The best scores up to a share of the bytes: one that does not fit is passed over. */
static s2a_status keep_share(const select_input *in, select_unit *out, s2a_error *err)
{
    ranked *order = calloc(in->count + 1, sizeof *order);
    double all = 0, kept = 0;
    size_t n = 0;
    if (!order)
        return error_nomem(err);
    for (size_t i = 0; i < in->count; i++) {
        if (!out[i].judged)
            continue;
        all += (double)bytes_of(in, i);
        if (out[i].asked) {
            kept += (double)bytes_of(in, i);
            continue;
        }
        out[i].kept = false;
        order[n++] = (ranked){ out[i].score, i };
    }
    qsort(order, n, sizeof *order, rank);
    for (size_t k = 0; k < n; k++) {
        double with = kept + (double)bytes_of(in, order[k].unit);
        if (with <= in->keep * all) {
            out[order[k].unit].kept = true;
            kept = with;
        }
    }
    free(order);
    return S2A_OK;
}

static const char *removed_label(const select_input *in, const select_unit *u)
{
    if (in->preset == S2A_PRESET_UNTRUSTED)
        return "instruction";
    bool opinion = select_form(in) == HEAD_AGAIN &&
                   (in->preset == S2A_PRESET_OPINION ||
                    (in->preset != S2A_PRESET_RELEVANCE && u->odds[OPINION] < u->odds[UNRELATED]));
    return opinion ? "opinion" : "unrelated";
}

/* Without an idea of what is asked nobody can say what plays no part in it. */
static bool nothing_is_asked(const select_input *in, const select_unit *units)
{
    if (in->question_start != SIZE_MAX || in->preset == S2A_PRESET_UNTRUSTED)
        return false;
    for (size_t i = 0; i < in->count; i++)
        if (units[i].asked || (in->units[i].question && !units[i].judged))
            return false;
    return true;
}

s2a_status select_decide(const select_input *in, select_unit *out, s2a_error *err)
{
    bool again = select_form(in) == HEAD_AGAIN, any = false;
    double threshold = select_threshold(in);
    for (size_t i = 0; i < in->count; i++) {
        select_unit *u = &out[i];
        u->score = u->judged ? score_of(in, u) : 0;
        u->asked = u->question || (again && u->judged && u->odds[ASKED] >= 0);
        u->kept = !u->judged || u->asked || u->score >= threshold;
    }
    s2a_status status = S2A_OK;
    if (in->keep > 0)
        status = keep_share(in, out, err);
    bool spare = nothing_is_asked(in, out);
    for (size_t i = 0; i < in->count; i++)
        any |= out[i].kept;
    for (size_t i = 0; i < in->count && status == S2A_OK; i++) {
        select_unit *u = &out[i];
        u->kept |= !any || (spare && in->keep == 0);
        u->label = u->asked ? "question" : u->kept ? kept_label(in) : removed_label(in, u);
    }
    return status;
}

/* ---- x' ----------------------------------------------------------------------------------- */

static size_t breaks_in(const char *text, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        n += text[i] == '\n';
    return n;
}

/* Between two units that others stood between: of the white space behind the first and behind those others, that
 * with most line breaks; scripts without spaces need none. */
static void add_gap(const select_input *in, size_t last, size_t next, buf *out)
{
    const segment_unit *best = &in->units[last];
    size_t most = breaks_in(in->text, best->text_end, best->end);
    for (size_t i = last + 1; i < next; i++) {
        const segment_unit *u = &in->units[i];
        size_t n = breaks_in(in->text, u->text_end, u->end);
        if (n > most || (best->end == best->text_end && u->end > u->text_end && i + 1 == next)) {
            best = u;
            most = n;
        }
    }
    buf_add(out, in->text + best->text_end, best->end - best->text_end);
}

/* Units in a row are one span; white space at its end is not worth saying. */
static bool removed_add(select_text *out, size_t start, size_t end, bool follows)
{
    if (follows) {
        out->removed[out->removed_count - 1].end = end;
        return true;
    }
    if (!array_reserve((void **)&out->removed, &out->removed_cap, out->removed_count + 1,
                       sizeof *out->removed))
        return false;
    out->removed[out->removed_count++] = (s2a_span){ start, end };
    return true;
}

/* Adds all that is kept; *asked: where in it the last run of units that are asked begins. */
static void add_kept(const select_input *in, const select_unit *units, buf *out, size_t *asked)
{
    size_t last = SIZE_MAX;
    *asked = SIZE_MAX;
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        if (!units[i].kept)
            continue;
        if (last != SIZE_MAX)
            add_gap(in, last, i, out);
        if (!units[i].asked)
            *asked = SIZE_MAX;
        else if (*asked == SIZE_MAX)
            *asked = out->len;
        size_t from = last == SIZE_MAX && i == 0 ? 0 : u->start;
        buf_add(out, in->text + from, u->text_end - from);
        last = i;
    }
}

s2a_status select_compose(const select_input *in, const select_unit *units, size_t x_len,
                          select_text *out, s2a_error *err)
{
    *out = (select_text){ 0 };
    buf_init(&out->text, 2 * LIMIT_INPUT_BYTES);
    bool ok = true;
    for (size_t i = 0; i < in->count; i++) {
        if (units[i].kept)
            continue;
        out->changed = true;
        ok = ok && removed_add(out, in->units[i].start, in->units[i].text_end,
                               i > 0 && !units[i - 1].kept);
    }
    size_t at = SIZE_MAX;
    add_kept(in, units, &out->text, &at);
    if (at < out->text.len) {
        out->question = (s2a_span){ at, out->text.len };
        while (at > 0 && ascii_space(out->text.data[at - 1]))
            at--;
        out->context = (s2a_span){ 0, at };
    }
    if (!out->changed) { /* with the white space at its end */
        buf_reset(&out->text);
        buf_add(&out->text, in->text, x_len);
    }
    buf_add(&out->text, "", 0);
    return ok && out->text.status == S2A_OK ? S2A_OK : error_nomem(err);
}

void select_text_free(select_text *text)
{
    buf_free(&text->text);
    free(text->removed);
    *text = (select_text){ 0 };
}
