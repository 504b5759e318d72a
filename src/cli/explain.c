#include "cli/explain.h"

#include "base/ascii.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SIDE_BY_SIDE_COLUMNS 80

static void heading(const term *t, const char *text)
{
    term_puts(t, TERM_HEADING, text);
    fputc('\n', stdout);
}

/* ---- paragraphs ------------------------------------------------------------------------- */

/* A text in which spans have a style. */
typedef struct paragraph {
    const char *text;
    size_t len;
    const s2a_result *result;
    size_t count; /* of spans; 0: none */
    s2a_span (*get)(const s2a_result *, size_t);
    const s2a_span *spans; /* instead of get */
    term_style style;
} paragraph;

static s2a_span span_of(const paragraph *p, size_t i)
{
    return p->spans ? p->spans[i] : p->get(p->result, i);
}

/* Prints the line's bytes, styled inside spans; *next is the first span that does not end before
 * the line. */
static void styled_line(const term *t, const paragraph *p, s2a_span line, size_t *next)
{
    size_t at = line.start;
    while (at < line.end) {
        s2a_span span = { line.end, line.end };
        while (*next < p->count && (span = span_of(p, *next)).end <= at)
            ++*next;
        if (*next == p->count || span.start > line.end)
            span.start = span.end = line.end;
        size_t start = span.start > at ? span.start : at;
        size_t end = span.end < line.end ? span.end : line.end;
        term_write(t, p->text + at, start - at);
        term_style_write(t, p->style, p->text + start, end - start);
        at = end;
    }
}

/* On a terminal lines are broken between words; elsewhere they stay as they are in the text. */
static void wrapped(const term *t, const paragraph *p)
{
    size_t at = 0, next = 0;
    s2a_span line = { 0, p->len };
    if (t->tty)
        while (term_wrap(p->text, p->len, t->columns, &at, &line)) {
            styled_line(t, p, line, &next);
            fputc('\n', stdout);
        }
    else
        styled_line(t, p, line, &next);
    if (p->len == 0 || (!t->tty && p->text[p->len - 1] != '\n'))
        fputc('\n', stdout);
}

static void print_paragraph(const term *t, const paragraph *p)
{
    if (t->color || p->count == 0) {
        wrapped(t, p);
        return;
    }
    /* Marks take columns: they are added before the text is wrapped. */
    buf text;
    buf_init(&text, p->len * 6 + 16);
    size_t at = 0;
    for (size_t i = 0; i < p->count; i++) {
        s2a_span span = span_of(p, i);
        buf_add(&text, p->text + at, span.start - at);
        term_style_add(p->style, p->text + span.start, span.end - span.start, &text);
        at = span.end;
    }
    buf_add(&text, p->text + at, p->len - at);
    paragraph marked = { .text = text.data, .len = text.len };
    /* If out of memory, print the text without marks. */
    paragraph bare = { .text = p->text, .len = p->len };
    wrapped(t, text.status == S2A_OK ? &marked : &bare);
    buf_free(&text);
}

/* ---- units ------------------------------------------------------------------------------ */

/* A unit's text on one line: runs of white space are one space. */
static void one_line(const term *t, const char *text, size_t len, buf *out)
{
    buf plain;
    buf_init(&plain, len + 1);
    for (size_t i = 0; i < len; i++) {
        if (!ascii_space(text[i]))
            buf_add(&plain, text + i, 1);
        else if (plain.len > 0 && plain.data[plain.len - 1] != ' ')
            buf_adds(&plain, " ");
    }
    while (plain.len > 0 && plain.data[plain.len - 1] == ' ')
        plain.len--;
    if (plain.len > 0)
        term_visible(t->tty, plain.data, plain.len, out);
    buf_free(&plain);
}

/* The colour of a score: yellow within 1 of the threshold, that is, a factor of 2.7 in the odds. */
static term_style shade(const s2a_unit *unit, double threshold)
{
    double over = unit->score - (isnan(threshold) ? 0 : threshold);
    if (!unit->has_score)
        return TERM_DIM;
    if (over > -1 && over < 1)
        return TERM_YELLOW;
    return over > 0 ? TERM_GREEN : TERM_RED;
}

/* scored: some unit has a score; units without one get blanks. */
static void unit_line(const term *t, const char *input, const s2a_unit *unit, bool scored,
                      double threshold)
{
    char score[32] = "";
    if (unit->has_score)
        snprintf(score, sizeof score, "%+6.2f  ", unit->score);
    else if (scored)
        snprintf(score, sizeof score, "%8s", "");
    char front[64];
    int used = snprintf(front, sizeof front, "  %c %-9s ", unit->kept ? ' ' : '-', unit->label) +
               (int)strlen(score);
    size_t left = t->columns > (size_t)used + 1 ? t->columns - (size_t)used : 1;
    buf line;
    buf_init(&line, (unit->end - unit->start) * 6 + 16);
    one_line(t, input + unit->start, unit->end - unit->start, &line);
    buf_add(&line, "", 0);
    if (line.status == S2A_OK) {
        size_t n = line.len;
        /* Lines are cut only on a terminal: a file has no width. */
        bool cut = t->tty && term_width(line.data, line.len) > left;
        if (cut)
            n = term_fit(line.data, line.len, left - 1);
        term_puts(t, TERM_DIM, front);
        term_puts(t, shade(unit, threshold), score);
        fwrite(line.data, 1, n, stdout);
        fputs(cut ? "\xE2\x80\xA6\n" : "\n", stdout); /* an ellipsis */
    }
    buf_free(&line);
}

static void units(const term *t, const s2a_result *result)
{
    size_t count = s2a_result_unit_count(result);
    const char *input = s2a_result_input(result, NULL);
    if (count == 0)
        return;
    heading(t, "Units");
    bool scored = false;
    double threshold = s2a_result_threshold(result);
    for (size_t i = 0; i < count; i++)
        scored |= s2a_result_unit(result, i).has_score;
    for (size_t i = 0; i < count; i++) {
        s2a_unit unit = s2a_result_unit(result, i);
        unit_line(t, input, &unit, scored, threshold);
    }
}

/* ---- step 1 ----------------------------------------------------------------------------- */

static void rewritten(const term *t, const s2a_result *result)
{
    size_t len = 0, input_len = 0;
    const char *text = s2a_result_rewritten(result, &len);
    const char *input = s2a_result_input(result, &input_len);
    if (len == input_len && !memcmp(text, input, len)) {
        term_puts(t, TERM_HEADING, "Rewritten prompt");
        fputs(": the prompt as it was, nothing was removed\n\n", stdout);
        return;
    }
    heading(t, "Rewritten prompt");
    print_paragraph(t, &(paragraph){ text, len, result, s2a_result_added_count(result),
                                     s2a_result_added, NULL, TERM_ADDED });
    fputc('\n', stdout);
}

/* The messages from which something was removed; numbers count all messages, from 1. */
static void earlier_messages(const term *t, const s2a_result *result)
{
    for (size_t i = 0; i < s2a_result_turn_count(result); i++) {
        s2a_turn turn = s2a_result_turn(result, i);
        char title[48];
        snprintf(title, sizeof title, "Message %zu", turn.index + 1);
        heading(t, title);
        print_paragraph(t, &(paragraph){ .text = turn.input,
                                         .len = turn.input_len,
                                         .count = turn.removed_count,
                                         .spans = turn.removed,
                                         .style = TERM_REMOVED });
        fputc('\n', stdout);
    }
}

void explain_prompt(const term *t, const s2a_result *result)
{
    size_t len = 0;
    const char *input = s2a_result_input(result, &len);
    print_paragraph(t, &(paragraph){ input, len, result, s2a_result_removed_count(result),
                                     s2a_result_removed, NULL, TERM_REMOVED });
}

/* Prints why there is no rewritten prompt; false if there is one. */
static bool step1_was_not_used(const term *t, const s2a_result *result)
{
    if (s2a_result_mode(result) == S2A_MODE_NONE) {
        printf("Step 1 did not run: preset %s has none.\n",
               s2a_preset_name(s2a_result_preset(result)));
        return true;
    }
    s2a_fallback fallback = s2a_result_fallback(result);
    if (fallback == S2A_FALLBACK_NONE)
        return false;
    const char *detail = s2a_result_fallback_detail(result);
    term_puts(t, TERM_HEADING, "Step 1 was not used");
    printf(" (%s): ", s2a_fallback_name(fallback));
    term_puts(t, TERM_PLAIN, detail);
    fputs(*detail ? ". The prompt stays as it was.\n" : "The prompt stays as it was.\n", stdout);
    return true;
}

void explain_units(const term *t, const s2a_result *result)
{
    if (step1_was_not_used(t, result))
        return;
    units(t, result);
    double threshold = s2a_result_threshold(result);
    if (!isnan(threshold))
        printf("  threshold   %+6.2f\n", threshold);
}

void explain_step1(const term *t, const s2a_result *result)
{
    earlier_messages(t, result);
    heading(t, "Prompt");
    explain_prompt(t, result);
    fputc('\n', stdout);
    if (step1_was_not_used(t, result)) {
        fputc('\n', stdout);
        return;
    }
    units(t, result);
    fputc('\n', stdout);
    rewritten(t, result);
}

/* ---- answers ---------------------------------------------------------------------------- */

static void answer_under(const term *t, const char *title, const s2a_result *result)
{
    size_t len = 0;
    const char *text = s2a_result_answer(result, &len);
    heading(t, title);
    print_paragraph(t, &(paragraph){ .text = text, .len = len });
}

void explain_answer(const term *t, const s2a_result *result)
{
    answer_under(t, "Answer", result);
}

/* The answer as a terminal can show it in a column: tabs become spaces. */
static bool column_text(const s2a_result *result, buf *out)
{
    size_t len = 0;
    const char *text = s2a_result_answer(result, &len);
    buf_init(out, len * 8 + 16);
    for (size_t i = 0; i < len;) {
        const char *tab = memchr(text + i, '\t', len - i);
        size_t n = tab ? (size_t)(tab - (text + i)) : len - i;
        term_visible(true, text + i, n, out);
        if (tab)
            buf_adds(out, "    ");
        i += n + (tab ? 1 : 0);
    }
    buf_add(out, "", 0);
    return out->status == S2A_OK;
}

static void padded(const term *t, term_style style, const char *text, size_t len, size_t columns)
{
    size_t width = term_width(text, len);
    term_style_write(t, style, text, len);
    for (; width < columns; width++)
        fputc(' ', stdout);
}

static void side_by_side(const term *t, const buf *left, const buf *right)
{
    static const char bar[] = " \xE2\x94\x82 "; /* a vertical line */
    static const char left_title[] = "without S2A", right_title[] = "with S2A";
    size_t width = (t->columns - 3) / 2, i = 0, k = 0;
    padded(t, TERM_HEADING, left_title, strlen(left_title), width);
    term_puts(t, TERM_DIM, bar);
    heading(t, right_title);
    for (;;) {
        s2a_span a = { 0, 0 }, b = { 0, 0 };
        bool more_left = term_wrap(left->data, left->len, width, &i, &a);
        bool more_right = term_wrap(right->data, right->len, width, &k, &b);
        if (!more_left && !more_right)
            break;
        padded(t, TERM_PLAIN, left->data + a.start, a.end - a.start, width);
        term_puts(t, TERM_DIM, b.end > b.start ? bar : " \xE2\x94\x82");
        fwrite(right->data + b.start, 1, b.end - b.start, stdout);
        fputc('\n', stdout);
    }
}

void explain_compare(const term *t, const s2a_result *plain, const s2a_result *result)
{
    buf left = { 0 }, right = { 0 };
    bool wide = t->tty && t->columns >= SIDE_BY_SIDE_COLUMNS;
    /* If out of memory, print one answer above the other. */
    if (wide && column_text(plain, &left) && column_text(result, &right)) {
        side_by_side(t, &left, &right);
    } else {
        answer_under(t, "without S2A", plain);
        fputc('\n', stdout);
        answer_under(t, "with S2A", result);
    }
    buf_free(&left);
    buf_free(&right);
}

/* ---- usage ------------------------------------------------------------------------------ */

static void usage_line(buf *line, const char *name, const s2a_usage *u)
{
    buf_addf(line, "%s%s: %" PRIu64 " tokens in", line->len ? "; " : "", name, u->prompt_tokens);
    if (u->cached_tokens > 0)
        buf_addf(line, " (%" PRIu64 " cached)", u->cached_tokens);
    buf_addf(line, ", %" PRIu64 " out", u->completion_tokens);
    if (u->drafted_tokens > 0)
        buf_addf(line, " (%" PRIu64 " of %" PRIu64 " drafted)", u->accepted_tokens,
                 u->drafted_tokens);
    buf_addf(line, ", %.1f s", u->ms / 1e3);
}

void explain_usage(const term *t, const s2a_result *result, const s2a_result *plain)
{
    buf line;
    buf_init(&line, 1024);
    s2a_usage step1 = s2a_result_usage(result, 1), step2 = s2a_result_usage(result, 2);
    if (plain) {
        s2a_usage usage = s2a_result_usage(plain, 2);
        usage_line(&line, "without S2A", &usage);
    }
    if (s2a_result_mode(result) != S2A_MODE_NONE)
        usage_line(&line, "step 1", &step1);
    if (s2a_result_answer(result, NULL))
        usage_line(&line, s2a_result_mode(result) == S2A_MODE_NONE ? "answer" : "step 2", &step2);
    s2a_span part = { 0, line.len };
    size_t at = 0;
    while (line.status == S2A_OK && line.len > 0 &&
           term_wrap(line.data, line.len, t->tty ? t->columns : SIZE_MAX, &at, &part)) {
        term_style_write(t, TERM_DIM, line.data + part.start, part.end - part.start);
        fputc('\n', stdout);
    }
    buf_free(&line);
}
