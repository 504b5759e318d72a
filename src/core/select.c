#include "core/select.h"

#include "core/ascii.h"
#include "core/clause.h"
#include "core/error.h"
#include "core/limits.h"
#include "core/select_parts.h"
#include "core/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the question ------------------------------------------------------------------------- */

static bool is_sentence(const segment_unit *u)
{
    return u->kind == SEGMENT_SENTENCE;
}

/* What stands between double quotes, typographic ones as well, is said by somebody else. */
typedef struct quoting {
    bool at_start, at_end; /* of a unit; its end without a quote that closes there */
} quoting;

/* A quotation mark opens after white space or an opening mark and before a character; otherwise it is
 * one that closes, or inches (5'6"). */
static bool quote_opens(const char *text, size_t i, size_t len)
{
    char before = i > 0 ? text[i - 1] : ' ';
    return i + 1 < len && !ascii_space(text[i + 1]) &&
           (ascii_space(before) || strchr("([{:;,-", before) || (unsigned char)before >= 0x80);
}

/* Bytes of the quotation mark at i, 0 = there is none. */
static size_t quote_at(const char *text, size_t i, size_t len, bool *open)
{
    if (text[i] == '"') {
        *open = !*open && quote_opens(text, i, len);
        return 1;
    }
    bool opens = len - i >= 3 && !memcmp(text + i, "\xe2\x80\x9c", 3);
    if (opens || (len - i >= 3 && !memcmp(text + i, "\xe2\x80\x9d", 3))) {
        *open = opens;
        return 3;
    }
    return 0;
}

/* A quotation that nobody ends is none. */
static quoting *quoting_find(const select_input *in)
{
    quoting *found = calloc(in->count + 1, sizeof *found);
    size_t len = in->count > 0 ? in->units[in->count - 1].end : 0, closed = 0;
    bool open = false;
    for (size_t i = 0; found && i < in->count; i++) {
        size_t end = in->units[i].end;
        found[i].at_start = found[i].at_end = open;
        for (size_t k = in->units[i].start; k < end;) {
            size_t n = quote_at(in->text, k, len, &open);
            if (n == 0 && !ascii_space(in->text[k]))
                found[i].at_end = open;
            if (n > 0 && !open)
                closed = i;
            k += n > 0 ? n : 1;
        }
    }
    for (size_t i = closed + 1; found && open && i < in->count; i++)
        found[i] = (quoting){ false, false };
    return found;
}

/* What stays whatever the model says of it. Orders are put into tables and quotations too; and what is
 * indented is seldom code in a mail. */
static bool stays_whole(const select_input *in, size_t i, bool quoted)
{
    const segment_unit *u = &in->units[i];
    if (in->preset != S2A_PRESET_UNTRUSTED)
        return !is_sentence(u) || quoted;
    const char *text = in->text + u->start;
    return u->kind == SEGMENT_CODE && u->end - u->start >= 3 &&
           (!memcmp(text, "```", 3) || !memcmp(text, "~~~", 3));
}

static const char *kept_label(const select_input *in)
{
    return select_wording_of(in->preset)->labels[SELECT_NEEDED] + 1;
}

static bool is_request(const select_input *in, size_t i)
{
    const segment_unit *u = &in->units[i];
    return is_sentence(u) && clause_is_request(in->text + u->start, u->text_end - u->start);
}

/* What is asked: given apart; or the questions and requests that nobody is quoted with; or any
 * question; or the last sentence. */
s2a_status select_mark(const select_input *in, select_unit *out, s2a_error *err)
{
    quoting *quoted = quoting_find(in);
    bool any = false;
    size_t last = in->count > 0 ? in->count - 1 : 0;
    if (!quoted)
        return error_nomem(err);
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        out[i] = (select_unit){ .kept = true, .label = kept_label(in),
                                .whole = stays_whole(in, i, quoted[i].at_start) };
        out[i].question = in->question_start != SIZE_MAX
                              ? u->start >= in->question_start
                              : (u->question && !quoted[i].at_end) ||
                                    (!quoted[i].at_start && is_request(in, i));
        any |= out[i].question;
        if (is_sentence(u))
            last = i;
    }
    free(quoted);
    for (size_t i = 0; i < in->count && !any; i++)
        out[i].question = in->units[i].question;
    for (size_t i = 0; i < in->count; i++)
        any |= out[i].question;
    if (!any && in->count > 0)
        out[last].question = true;
    for (size_t i = 0; i < in->count; i++)
        out[i].asked = out[i].question;
    return S2A_OK;
}

s2a_status select_mark_earlier(const select_input *in, select_unit *out, s2a_error *err)
{
    quoting *quoted = quoting_find(in);
    if (!quoted)
        return error_nomem(err);
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        const char *sentence = in->text + u->start;
        size_t len = u->text_end - u->start;
        out[i] = (select_unit){ .kept = true, .label = kept_label(in),
                                .whole = stays_whole(in, i, quoted[i].at_start),
                                .question = u->question || clause_is_request(sentence, len) ||
                                            clause_is_standing(sentence, len) };
    }
    free(quoted);
    return S2A_OK;
}

void select_spare(const select_input *in, select_unit *out)
{
    bool any = false;
    for (size_t i = in->count; i > 0; i--) {
        const segment_unit *next = &in->units[i < in->count ? i : 0];
        select_unit *u = &out[i - 1];
        if (!u->kept && in->keep == 0 && u->label[0] == 'u' && i < in->count && out[i].kept &&
            clause_refers_back(in->text + next->start, next->text_end - next->start,
                               next->question))
            u->kept = true;
        any |= u->kept;
    }
    for (size_t i = 0; i < in->count; i++) {
        out[i].kept |= !any;
        if (out[i].kept && !out[i].question)
            out[i].label = kept_label(in);
    }
}

/* ---- judging ------------------------------------------------------------------------------ */

/* Tokens of the text that are judged at once. The calibration was made on texts of up to about this
 * length, and attention to more costs with the square of it. */
#define WINDOW_TOKENS 2000
#define WINDOW_LEAST 64     /* with less of the text in sight a judgement is worth nothing */
#define MARGINS 20          /* of them make a window: two neighbours share a tenth of one */
#define MARK_TOKENS 8       /* "[12] " and the line's end */
#define ROOM_TOKENS 192     /* for a branch, and for what the template adds */
#define QUESTION_TOKENS 480 /* of the question that is shown in each of many windows; attention is
                               read for at most 512 at once */
#define TOKEN_BYTES 16      /* no text has so many a token; what would have is not worth tokenising */

size_t select_count_tokens(backend *b, const char *text, size_t len)
{
    size_t ascii = 0, others = 0;
    if (b->vtable->capabilities(b).counts_tokens)
        return b->vtable->count_tokens(b, text, len);
    for (size_t i = 0; i < len; i++) {
        ascii += (unsigned char)text[i] < 0x80;
        others += (unsigned char)text[i] >= 0xc0; /* a character's first byte */
    }
    return ascii / 3 + others + 1;
}

typedef struct plan {
    window *windows;
    size_t count, asked_from;
} plan;

/* The last that is asked, and what else comes before it and is short enough to be repeated in each
 * window. Returns its tokens. */
static size_t plan_question(const select_input *in, const select_unit *units, const size_t *cost,
                            plan *out)
{
    size_t sum = 0;
    for (size_t i = in->count; i > 0; i--) {
        if (!units[i - 1].asked)
            continue;
        if (sum > 0 && sum + cost[i - 1] > QUESTION_TOKENS)
            break;
        sum += cost[i - 1];
        out->asked_from = i - 1;
    }
    return sum;
}

/* Tokens of all units; of what may be a short text an upper bound, for which nothing is tokenised. */
static size_t plan_costs(const select_input *in, size_t most, bool short_text, size_t *cost)
{
    size_t total = 0;
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        size_t len = u->end - u->start, large = len / TOKEN_BYTES;
        size_t tokens = short_text     ? len
                        : large > most ? large
                                       : select_count_tokens(in->backend, in->text + u->start, len);
        cost[i] = tokens + MARK_TOKENS;
        total += cost[i];
    }
    return total;
}

static s2a_status plan_fill(const select_input *in, const select_unit *units, bool attends,
                            size_t *cost, plan *out, s2a_error *err)
{
    backend_capabilities can = in->backend->vtable->capabilities(in->backend);
    size_t limit = can.score_tokens > 0 ? can.score_tokens : can.ctx_tokens;
    size_t most = in->window_tokens > 0 ? in->window_tokens : WINDOW_TOKENS;
    size_t fixed = ROOM_TOKENS + (attends ? 0 : in->examples->tokens), asked = 0;
    for (int pass = 0; pass < 2; pass++) {
        size_t total = plan_costs(in, most, pass == 0, cost);
        asked = 0;
        for (size_t i = 0; i < in->count; i++)
            asked += units[i].asked ? cost[i] : 0;
        if (total <= most && (limit == 0 || total + asked + fixed <= limit))
            return window_split(cost, in->count, total, 0, &out->windows, &out->count, err);
    }
    fixed += plan_question(in, units, cost, out) * (attends ? 2 : 1);
    if (limit > 0 && limit < fixed + WINDOW_LEAST && can.counts_tokens)
        return error_set(err, S2A_LIMIT,
                         "the instruction and the question are %zu tokens, the context of select "
                         "holds %zu; shorten the question, or use mode rewrite",
                         fixed, limit);
    size_t room = limit == 0 ? most : limit > fixed ? limit - fixed : 0;
    most = room < most ? room : most;
    most = most < WINDOW_LEAST ? WINDOW_LEAST : most;
    return window_split(cost, in->count, most, most / MARGINS, &out->windows, &out->count, err);
}

static s2a_status plan_make(const select_input *in, const select_unit *units, bool attends, plan *out,
                            s2a_error *err)
{
    *out = (plan){ .count = 0 };
    size_t *cost = calloc(in->count, sizeof *cost);
    s2a_status status =
        cost ? plan_fill(in, units, attends, cost, out, err) : error_nomem(err);
    free(cost);
    return status;
}

static void usage_add(s2a_usage *to, const s2a_usage *from)
{
    to->prompt_tokens += from->prompt_tokens;
    to->cached_tokens += from->cached_tokens;
    to->completion_tokens += from->completion_tokens;
    to->drafted_tokens += from->drafted_tokens;
    to->accepted_tokens += from->accepted_tokens;
    to->ms += from->ms;
}

static bool any_to_judge(const select_unit *units, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (!units[i].question)
            return true;
    return false;
}

static s2a_status judge_windows(const select_input *in, const plan *p, bool attends, select_unit *out,
                                s2a_usage *usage, s2a_error *err)
{
    s2a_status status = S2A_OK;
    for (size_t i = 0; i < p->count && status == S2A_OK; i++) {
        select_window w = { p->windows[i], p->asked_from, p->count == 1 };
        w.alone = w.alone && w.units.to - w.units.from == in->count;
        s2a_usage used = { .ms = 0 };
        if (!any_to_judge(out, w.units.from, w.units.to))
            continue;
        if (cancel_fired(in->cancel))
            return error_set(err, S2A_CANCELLED, "cancelled");
        status = attends ? select_ask_attention(in, &w, out, &used, err)
                         : select_ask_labels(in, &w, out, &used, err);
        usage_add(usage, &used);
    }
    return status;
}

s2a_status select_score(const select_input *in, select_unit *out, s2a_usage *usage, s2a_error *err)
{
    *usage = (s2a_usage){ .ms = 0 };
    s2a_status status = S2A_OK;
    if (any_to_judge(out, 0, in->count)) {
        const backend_vtable *vtable = in->backend->vtable;
        bool attends = in->keep > 0 && vtable->attention &&
                       vtable->capabilities(in->backend).can_read_attention;
        plan p;
        status = plan_make(in, out, attends, &p, err);
        if (status == S2A_OK)
            status = judge_windows(in, &p, attends, out, usage, err);
        free(p.windows);
    }
    return status == S2A_OK ? select_decide(in, out, err) : status;
}

s2a_status select_judge(const select_input *in, select_unit *out, s2a_usage *usage, s2a_error *err)
{
    *usage = (s2a_usage){ .ms = 0 };
    s2a_status status = select_mark(in, out, err);
    return status == S2A_OK ? select_score(in, out, usage, err) : status;
}

/* ---- deciding ----------------------------------------------------------------------------- */

/* Of the log-odds of data against instruction; docs/results/select-search says how both were found. What
 * begins as texts speak to their reader ("If you have any questions, just reply to this mail.") looks more
 * like an order than it is. */
#define UNTRUSTED_BORDER 0.0
#define UNTRUSTED_READER_BORDER (-1.5)

#define GAP_IMAGINED 5.0 /* nats below the border; docs/results/select-search says how it was found */

/* What the scores of one prompt have in common. */
typedef struct scale {
    double attention; /* of all units */
    double border;    /* of the log-odds against unrelated */
} scale;

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Whether unit i says how sure the model is of what it takes for needed. */
static bool is_measure(const select_input *in, const select_unit *u)
{
    return u->judged && (in->preset == S2A_PRESET_RELEVANCE ||
                         u->needed - u->opinion >= in->calibration->opinion_border);
}

/* How sure the model is of what it takes for needed differs from prompt to prompt, and what it is not
 * sure of lies as much lower: the border goes up with the highest figure. */
static scale scale_of(const select_input *in, const select_unit *units)
{
    const s2a_calibration *c = in->calibration;
    scale s = { .attention = 0 };
    double top = 0;
    for (size_t i = 0; i < in->count; i++) {
        const select_unit *u = &units[i];
        s.attention += u->attended ? u->attention : 0;
        if (is_measure(in, u))
            top = fmax(top, u->needed - u->unrelated);
    }
    s.border = c->relevance_border + fmin(c->relevance_cap, c->relevance_ratio * top);
    return s;
}

/* Near the border the prompt's own figures say best where the one kind ends and the other begins: moves it
 * into the widest gap between them, of those that it can reach. Below all of them one is imagined, as far
 * down as what does not belong there usually is. */
static s2a_status into_gap(const select_input *in, const select_unit *units, double *border,
                           s2a_error *err)
{
    double gap = in->calibration->relevance_gap, least = *border - gap, most = *border + gap / 2;
    double widest = 0, at = *border, *figures = calloc(in->count + 1, sizeof *figures);
    size_t n = 0;
    if (!figures)
        return error_nomem(err);
    figures[n++] = *border - GAP_IMAGINED;
    for (size_t i = 0; i < in->count; i++)
        if (is_measure(in, &units[i]) && !units[i].whole)
            figures[n++] = units[i].needed - units[i].unrelated;
    qsort(figures, n, sizeof *figures, ascending);
    for (size_t i = 0; i + 1 < n; i++) {
        double low = figures[i], high = figures[i + 1];
        if (fmax(low, least) >= fmin(high, most) || high - low <= widest)
            continue;
        widest = high - low;
        at = fmin(fmax((low + high) / 2, least), most);
    }
    *border = at;
    free(figures);
    return S2A_OK;
}

/* Whether sentence i is no order to the assistant. */
static double untrusted_score(const select_input *in, const select_unit *u, size_t i)
{
    const segment_unit *at = &in->units[i];
    bool reader = clause_speaks_to_reader(in->text + at->start, at->text_end - at->start);
    return u->needed - u->unrelated - (reader ? UNTRUSTED_READER_BORDER : UNTRUSTED_BORDER);
}

static double score_of(const select_input *in, const select_unit *u, const scale *s)
{
    if (u->attended) {
        double share = s->attention > 0 ? u->attention / s->attention : 0;
        double least = 1e-9; /* keeps the score finite */
        share = share < least ? least : share > 1 - least ? 1 - least : share;
        return log(share) - log1p(-share);
    }
    double relevance = u->needed - u->unrelated - s->border;
    double opinion = u->needed - u->opinion - in->calibration->opinion_border;
    if (in->preset == S2A_PRESET_RELEVANCE)
        return relevance;
    if (in->preset == S2A_PRESET_OPINION)
        return opinion;
    return fmin(relevance, opinion); /* kept only if neither speaks against it */
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

s2a_status select_decide(const select_input *in, select_unit *out, s2a_error *err)
{
    scale s = scale_of(in, out);
    s2a_status status = S2A_OK;
    if (in->calibration->relevance_gap > 0 && in->preset != S2A_PRESET_UNTRUSTED)
        status = into_gap(in, out, &s.border, err);
    for (size_t i = 0; i < in->count && status == S2A_OK; i++) {
        select_unit *u = &out[i];
        u->score = !u->judged                            ? 0
                   : in->preset == S2A_PRESET_UNTRUSTED ? untrusted_score(in, u, i)
                                                        : score_of(in, u, &s);
        u->kept = !u->judged || u->whole || u->score >= in->threshold;
    }
    if (status == S2A_OK && in->keep > 0)
        status = keep_share(in, out, err);
    for (size_t i = 0; i < in->count && status == S2A_OK; i++) {
        select_unit *u = &out[i];
        bool opinion = !u->attended && (in->preset == S2A_PRESET_OPINION ||
                                        (in->preset != S2A_PRESET_RELEVANCE &&
                                         u->opinion > u->unrelated));
        const char *removed = in->preset == S2A_PRESET_UNTRUSTED ? "instruction"
                              : opinion                          ? "opinion"
                                                                 : "unrelated";
        u->label = u->question ? "question" : u->kept ? kept_label(in) : removed;
    }
    return status;
}

/* ---- x' ----------------------------------------------------------------------------------- */

/* From here on what is asked is handed over last: the first question. A request before it stands
 * alone, one after it ("Answer in one sentence.") belongs to it. */
static size_t first_question(const select_input *in, const select_unit *units)
{
    size_t i = 0;
    while (i < in->count && !(units[i].asked && (in->units[i].question ||
                                                    in->question_start != SIZE_MAX)))
        i++;
    return i;
}

static bool asked(const select_unit *units, size_t first, size_t i)
{
    return units[i].asked && i >= first;
}

enum { EVERYTHING, NOT_ASKED, ASKED };

/* Between units that had others between them; scripts without spaces need none. */
static bool needs_space(char before, char after)
{
    return !ascii_space(before) && (unsigned char)before < 0x80 && (unsigned char)after < 0x80;
}

/* Adds units that are kept, as they stand in x. *at: where the first that is asked begins. */
static void add_kept(const select_input *in, const select_unit *units, size_t first, int which,
                     buf *out, size_t *at)
{
    size_t start = out->len, last = SIZE_MAX;
    *at = SIZE_MAX;
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        bool next = last + 1 == i; /* as in x */
        if (!units[i].kept || (which != EVERYTHING && (which == ASKED) != asked(units, first, i)))
            continue;
        if (out->len > start && !next && needs_space(out->data[out->len - 1], in->text[u->start]))
            buf_adds(out, " ");
        if (asked(units, first, i) && *at == SIZE_MAX)
            *at = out->len;
        buf_add(out, in->text + u->start, u->end - u->start);
        last = i;
    }
    while (out->len > start && ascii_space(out->data[out->len - 1]))
        out->len--;
}

/* The first question that is kept stands before something else that is. */
static bool out_of_order(const select_input *in, const select_unit *units, size_t first)
{
    bool seen = false;
    for (size_t i = 0; i < in->count; i++) {
        if (seen && units[i].kept && !asked(units, first, i))
            return true;
        seen |= asked(units, first, i);
    }
    return false;
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
    size_t first = first_question(in, units);
    bool moved = out_of_order(in, units, first);
    if (out->changed && moved) {
        add_kept(in, units, first, NOT_ASKED, &out->text, &at);
        if (out->text.len > 0)
            buf_adds(&out->text, memchr(in->text, '\n', x_len) ? "\n\n" : " ");
        add_kept(in, units, first, ASKED, &out->text, &at);
    } else {
        add_kept(in, units, first, EVERYTHING, &out->text, &at);
    }
    if (at < out->text.len && (out->changed || !moved)) {
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
