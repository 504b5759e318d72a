/* Finds all labels first. Each part is the text between two labels, without decoration and
 * comments. Parts are spans of the model's text; nothing is copied. */
#include "core/parse.h"

#include "base/ascii.h"
#include "base/cancel.h"
#include "base/error.h"
#include "core/segment.h"

#include <stdlib.h>
#include <string.h>

enum { LABELS_MAX = 64, PAREN_MAX = 200, DECORATION_MAX = 200, LOOK_EVERY = 4096 };

typedef enum label_kind { LABEL_CONTEXT, LABEL_QUESTION } label_kind;

typedef struct label {
    size_t start, end; /* the part's text begins at end */
    label_kind kind;
    bool strong; /* one of the prompts' own labels, not just "Question:" */
} label;

/* Longest first among those that begin alike. Strong ones also count in the middle of a line. */
static const struct {
    const char *text;
    label_kind kind;
    bool strong;
} label_texts[] = {
    { "unbiased text context", LABEL_CONTEXT, true },
    { "unbiased context text", LABEL_CONTEXT, true },
    { "unbiased context", LABEL_CONTEXT, true },
    { "unbiased text", LABEL_CONTEXT, true },
    { "context text related to the question", LABEL_CONTEXT, true },
    { "context related to the question", LABEL_CONTEXT, true },
    { "context text", LABEL_CONTEXT, true },
    { "text context", LABEL_CONTEXT, false },
    { "unbiased content", LABEL_CONTEXT, false },
    { "relevant context", LABEL_CONTEXT, false },
    { "context", LABEL_CONTEXT, false },
    { "question/query", LABEL_QUESTION, true },
    { "question / query", LABEL_QUESTION, true },
    { "query/question", LABEL_QUESTION, true },
    { "detailed question", LABEL_QUESTION, true },
    { "question or query", LABEL_QUESTION, false },
    { "unbiased question", LABEL_QUESTION, false },
    { "actual question", LABEL_QUESTION, false },
    { "question", LABEL_QUESTION, false },
    { "query", LABEL_QUESTION, false },
};

/* Bytes of the quotation mark at text[i]: straight, typographic or backtick; 0 for none. */
static size_t quote_at(const char *text, size_t len, size_t i)
{
    static const char *const quotes[] = { "\"",     "'",      "`",      "\u201c", "\u201d",
                                          "\u2018", "\u2019", "\u00ab", "\u00bb" };
    for (size_t k = 0; k < sizeof quotes / sizeof quotes[0]; k++) {
        size_t n = strlen(quotes[k]);
        if (len - i >= n && !memcmp(text + i, quotes[k], n))
            return n;
    }
    return 0;
}

static bool is_mark(char c)
{
    return c == '*' || c == '_' || c == '#' || c == '>' || c == '[' || c == ']';
}

/* Skips spaces, emphasis, quotes and, at the start of a line, bullets and numbering; at most
 * DECORATION_MAX bytes. */
static size_t skip_decoration(const char *text, size_t len, size_t i, bool line_start, bool *quoted)
{
    len = len - i > DECORATION_MAX ? i + DECORATION_MAX : len;
    while (i < len) {
        size_t n = quote_at(text, len, i);
        if (n > 0) {
            *quoted = true;
            i += n;
        } else if (text[i] == ' ' || text[i] == '\t' || is_mark(text[i])) {
            i++;
        } else if (line_start && (text[i] == '-' || ascii_digit(text[i]))) {
            size_t j = i + 1;
            while (ascii_digit(text[i]) && j < len && ascii_digit(text[j]))
                j++;
            if (ascii_digit(text[i]) && (j >= len || (text[j] != '.' && text[j] != ')')))
                return i;
            i = ascii_digit(text[i]) ? j + 1 : j;
        } else {
            break;
        }
    }
    return i;
}

/* The end of "(...)" that starts at i, on one line; i itself when there is none. */
static size_t skip_parenthesis(const char *text, size_t len, size_t i)
{
    if (i >= len || text[i] != '(')
        return i;
    size_t depth = 0;
    for (size_t j = i; j < len && j - i < PAREN_MAX && text[j] != '\n'; j++) {
        if (text[j] == '(')
            depth++;
        if (text[j] == ')' && --depth == 0)
            return j + 1;
    }
    return i;
}

/* After the label's words: decoration, words in parentheses, then a colon, or the line's end if the
 * label is a separate heading. */
static bool label_close(const char *text, size_t len, size_t i, bool heading_ok, bool quoted,
                        size_t *end)
{
    bool closing = false;
    i = skip_decoration(text, len, i, false, &closing);
    i = skip_parenthesis(text, len, i);
    i = skip_decoration(text, len, i, false, &closing);
    bool colon = true;
    if (i < len && text[i] == ':')
        i++;
    else if (len - i >= 3 && !memcmp(text + i, "\uff1a", 3))
        i += 3;
    else if (heading_ok && (i >= len || text[i] == '\n' || text[i] == '\r'))
        colon = false;
    else
        return false;
    /* "Label (words):" is the usual form; "Label: (words):" also occurs. */
    size_t j = i;
    while (j < len && (text[j] == ' ' || is_mark(text[j])))
        j++;
    size_t past = skip_parenthesis(text, len, j);
    if (colon && past > j && past < len && text[past] == ':')
        i = past + 1;
    while (i < len && (text[i] == '*' || text[i] == '_'))
        i++;
    /* A quote right after the colon closes the label when one was opened before it. */
    size_t n = i < len ? quote_at(text, len, i) : 0;
    if (n > 0 && quoted && !closing)
        i += n;
    while (i < len && (text[i] == '*' || text[i] == '_'))
        i++;
    *end = i;
    return true;
}

static bool label_match(const char *text, size_t len, size_t at, bool line_start, label *found)
{
    bool quoted = false;
    size_t i = line_start ? skip_decoration(text, len, at, true, &quoted) : at;
    for (size_t k = 0; k < sizeof label_texts / sizeof label_texts[0]; k++) {
        size_t n = ascii_prefix(text + i, len - i, label_texts[k].text);
        if (n == 0 || (!line_start && !label_texts[k].strong))
            continue;
        bool heading = line_start && (label_texts[k].strong || i > at);
        size_t end = 0;
        if (!label_close(text, len, i + n, heading, quoted, &end))
            continue;
        *found = (label){ at, end, label_texts[k].kind, label_texts[k].strong };
        return true;
    }
    return false;
}

static size_t labels_find(const char *text, size_t len, const s2a_cancel *cancel, label *labels)
{
    size_t count = 0;
    bool line_start = true;
    for (size_t i = 0; i < len && count < LABELS_MAX;) {
        bool word_start =
            line_start || ascii_space(text[i - 1]) || is_mark(text[i - 1]) || text[i - 1] == '"';
        if ((word_start || i % LOOK_EVERY == 0) && cancel_fired(cancel))
            break;
        if (word_start && label_match(text, len, i, line_start, &labels[count])) {
            i = labels[count].end;
            count++;
            line_start = false;
            continue;
        }
        line_start = text[i] == '\n';
        i++;
    }
    return count;
}

/* A prompt may itself have "Context:" and "Question:" lines, which the model copies into the parts.
 * So a weak label counts only if its kind has no strong label, and only the first one. */
static size_t labels_filter(label *labels, size_t count)
{
    bool strong[2] = { false, false }, weak_seen[2] = { false, false };
    for (size_t i = 0; i < count; i++)
        strong[labels[i].kind] |= labels[i].strong;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        label_kind kind = labels[i].kind;
        if (!labels[i].strong && (strong[kind] || weak_seen[kind]))
            continue;
        weak_seen[kind] |= !labels[i].strong;
        labels[kept++] = labels[i];
    }
    return kept;
}

static s2a_span span_trim(const char *text, s2a_span span)
{
    while (span.start < span.end && ascii_space(text[span.start]))
        span.start++;
    while (span.end > span.start && ascii_space(text[span.end - 1]))
        span.end--;
    return span;
}

static size_t line_end(const char *text, size_t i, size_t end)
{
    const char *newline = memchr(text + i, '\n', end - i);
    return newline ? (size_t)(newline - text) : end;
}

static bool line_is_rule(const char *text, size_t from, size_t to)
{
    size_t marks = 0;
    for (size_t i = from; i < to; i++) {
        if (text[i] == '-' || text[i] == '*' || text[i] == '=' || text[i] == '_')
            marks++;
        else if (!ascii_space(text[i]))
            return false;
    }
    return marks >= 3;
}

static bool starts_with_any(const char *text, size_t from, size_t to, const char *const *cues)
{
    bool quoted = false;
    from = skip_decoration(text, to, from, false, &quoted);
    if (from < to && text[from] == '(')
        from++;
    for (size_t k = 0; cues[k]; k++)
        if (ascii_prefix(text + from, to - from, cues[k]))
            return true;
    return false;
}

/* Comments that follow a part. The narrow ones are never part of a prompt's text in practice; the
 * wide ones only count after the question, where no text of the prompt follows. */
static const char *const cues_narrow[] = { "note:",
                                           "note that i",
                                           "explanation:",
                                           "i have removed",
                                           "i removed",
                                           "i've removed",
                                           "i have extracted",
                                           "i've extracted",
                                           "text by user",
                                           "the opinion was removed",
                                           "the user's opinion",
                                           "the user\u2019s opinion",
                                           NULL };
static const char *const cues_wide[] = { "note",
                                         "please note",
                                         "answer:",
                                         "final answer",
                                         "solution:",
                                         "response:",
                                         "unbiased answer",
                                         "unbiased response",
                                         "let me know",
                                         "i hope",
                                         "this text",
                                         "this version",
                                         "this separation",
                                         "the above",
                                         "the user",
                                         "by separating",
                                         "in this ",
                                         "these two",
                                         "removed:",
                                         "reason:",
                                         "reasoning:",
                                         "the text",
                                         "i have",
                                         "i've",
                                         "the extracted",
                                         "the context",
                                         "the question",
                                         NULL };

/* Cuts the part at the first comment paragraph (in the question: comment line) or rule after its
 * first line. */
static s2a_span cut_trailing(const char *text, s2a_span span, bool wide, const s2a_cancel *cancel)
{
    bool blank_before = false;
    for (size_t i = span.start; i < span.end && !cancel_fired(cancel);) {
        size_t end = line_end(text, i, span.end);
        bool first = i == span.start;
        bool comment = starts_with_any(text, i, end, cues_narrow) ||
                       (wide && blank_before && starts_with_any(text, i, end, cues_wide)) ||
                       (wide && ascii_prefix(text + i, end - i, "answer:"));
        if (!first && ((comment && (blank_before || wide)) || line_is_rule(text, i, end))) {
            span.end = i;
            break;
        }
        blank_before = span_trim(text, (s2a_span){ i, end }).start >=
                       span_trim(text, (s2a_span){ i, end }).end;
        i = end < span.end ? end + 1 : span.end;
    }
    return span_trim(text, span);
}

/* "Sure! Here is the unbiased text:" and similar lines before a text without a label. */
static s2a_span cut_leading(const char *text, s2a_span span)
{
    static const char *const cues[] = { "sure",
                                        "here is",
                                        "here's",
                                        "here\u2019s",
                                        "here are",
                                        "certainly",
                                        "of course",
                                        "okay",
                                        "ok,",
                                        "below is",
                                        "the following is",
                                        "based on the",
                                        "extracted",
                                        "the extracted",
                                        "the unbiased",
                                        "unbiased",
                                        "i have extracted",
                                        "i've extracted",
                                        NULL };
    span = span_trim(text, span);
    for (int round = 0; round < 2 && span.start < span.end; round++) {
        size_t end = line_end(text, span.start, span.end);
        s2a_span line = span_trim(text, (s2a_span){ span.start, end });
        if (line_is_rule(text, line.start, line.end)) {
            span.start = end;
        } else if (starts_with_any(text, line.start, line.end, cues)) {
            /* A comment ends in a colon or an exclamation mark, emphasis aside. */
            size_t tail = line.end;
            while (tail > line.start && is_mark(text[tail - 1]))
                tail--;
            if (tail > line.start && (text[tail - 1] == ':' || text[tail - 1] == '!'))
                span.start = end;
            else
                break;
        } else {
            break;
        }
        span = span_trim(text, span);
    }
    return span;
}

static size_t count_fences(const char *text, s2a_span span)
{
    size_t count = 0;
    for (size_t i = span.start; i + 3 <= span.end;) {
        size_t end = line_end(text, i, span.end);
        size_t j = i;
        while (j < end && text[j] == ' ')
            j++;
        if (end - j >= 3 && !memcmp(text + j, "```", 3))
            count++;
        i = end + 1;
    }
    return count;
}

/* A model may put its whole output in a fence; a part may then end in half of it. */
static s2a_span strip_fences(const char *text, s2a_span span)
{
    span = span_trim(text, span);
    size_t fences = count_fences(text, span);
    if (fences % 2 == 1 && span.end - span.start >= 3 && !memcmp(text + span.end - 3, "```", 3)) {
        span.end -= 3;
        return span_trim(text, span);
    }
    if (fences != 2 || span.end - span.start < 8 || memcmp(text + span.start, "```", 3) != 0 ||
        memcmp(text + span.end - 3, "```", 3) != 0)
        return span;
    size_t end = line_end(text, span.start, span.end);
    s2a_span info = span_trim(text, (s2a_span){ span.start + 3, end });
    size_t n = info.end - info.start;
    bool plain = n == 0 || (n == 4 && !memcmp(text + info.start, "text", 4)) ||
                 (n == 9 && !memcmp(text + info.start, "plaintext", 9)) ||
                 (n == 8 && !memcmp(text + info.start, "markdown", 8));
    if (!plain || end >= span.end - 3)
        return span;
    return span_trim(text, (s2a_span){ end, span.end - 3 });
}

static bool span_has(const char *text, size_t from, size_t to, const char *needle)
{
    return from < to && memmem(text + from, to - from, needle, strlen(needle)) != NULL;
}

/* Removes quotes or emphasis around the whole part, unless the same mark is also inside. */
static s2a_span strip_wrapping(const char *text, s2a_span span)
{
    static const struct {
        const char *open, *close;
    } pairs[] = {
        { "**", "**" }, { "\"", "\"" }, { "\u201c", "\u201d" }, { "\u201d", "\u201d" }, { "[", "]" }
    };
    for (size_t k = 0; k < sizeof pairs / sizeof pairs[0]; k++) {
        size_t open = strlen(pairs[k].open), close = strlen(pairs[k].close);
        size_t len = span.end - span.start;
        if (len <= open + close || memcmp(text + span.start, pairs[k].open, open) != 0 ||
            memcmp(text + span.end - close, pairs[k].close, close) != 0)
            continue;
        s2a_span inner = { span.start + open, span.end - close };
        if (span_has(text, inner.start, inner.end, pairs[k].open) ||
            span_has(text, inner.start, inner.end, pairs[k].close))
            continue;
        return strip_wrapping(text, span_trim(text, inner));
    }
    return span;
}

/* "- Who wrote it?" on one line: the bullet is the model's. */
static s2a_span strip_bullet(const char *text, s2a_span span)
{
    bool bullet = span.end - span.start > 2 &&
                  (text[span.start] == '-' || text[span.start] == '*') &&
                  text[span.start + 1] == ' ';
    if (bullet && line_end(text, span.start, span.end) == span.end)
        span.start += 2;
    return span_trim(text, span);
}

/* "None.", "(N/A)", "[no context provided]": the model's way to leave a part empty. */
static bool is_nothing(const char *text, s2a_span span)
{
    static const char *const nothings[] = { "none",
                                            "n/a",
                                            "na",
                                            "empty",
                                            "not applicable",
                                            "not provided",
                                            "no context",
                                            "no context provided",
                                            "no additional context",
                                            "no additional context provided",
                                            "no unbiased context",
                                            "no unbiased text context",
                                            "no context is provided",
                                            "none provided",
                                            "nothing",
                                            "no context given",
                                            "no unbiased context provided",
                                            "no specific context provided",
                                            "no question",
                                            "no question provided",
                                            NULL };
    while (span.start < span.end && strchr("([{*_\"'- ", text[span.start]))
        span.start++;
    while (span.end > span.start && strchr(")]}*_\"'-. ", text[span.end - 1]))
        span.end--;
    for (size_t k = 0; nothings[k]; k++)
        if (ascii_prefix(text + span.start, span.end - span.start, nothings[k]) ==
                span.end - span.start &&
            span.end > span.start)
            return true;
    return false;
}

static s2a_span part_clean(const char *text, s2a_span span, bool is_question,
                           const s2a_cancel *cancel)
{
    span = span_trim(text, span);
    span = cut_trailing(text, span, is_question, cancel);
    span = strip_fences(text, span);
    span = strip_wrapping(text, span);
    span = strip_bullet(text, span);
    if (span.start < span.end &&
        (is_nothing(text, span) || line_is_rule(text, span.start, span.end)))
        span.end = span.start;
    return span;
}

/* Without a question label: the last question sentence, if it is the context's last or first. */
static s2a_status question_infer(const char *text, const s2a_cancel *cancel, parse_parts *parts,
                                 s2a_error *err)
{
    segment_unit *units = NULL;
    size_t count = 0;
    s2a_span span = parts->context;
    s2a_status status =
        segment_text(text + span.start, span.end - span.start, cancel, &units, &count, err);
    if (status != S2A_OK)
        return status;
    for (size_t i = count; i-- > 0;) {
        if (!units[i].question)
            continue;
        if (i + 1 == count) {
            parts->question =
                (s2a_span){ span.start + units[i].start, span.start + units[i].text_end };
            parts->context = span_trim(text, (s2a_span){ span.start, parts->question.start });
            parts->question_inferred = true;
        } else if (i == 0) {
            parts->question = (s2a_span){ span.start, span.start + units[0].text_end };
            parts->context = span_trim(text, (s2a_span){ parts->question.end, span.end });
            parts->question_inferred = true;
        }
        break;
    }
    free(units);
    return S2A_OK;
}

static void parts_from_labels(const char *text, size_t len, const label *labels, size_t count,
                              const s2a_cancel *cancel, parse_parts *parts)
{
    for (size_t i = 0; i < count; i++) {
        bool is_question = labels[i].kind == LABEL_QUESTION;
        bool *labelled = is_question ? &parts->question_labelled : &parts->context_labelled;
        s2a_span *part = is_question ? &parts->question : &parts->context;
        /* If the model repeats a part, the first one that is not empty counts. */
        if (*labelled && part->end > part->start)
            continue;
        size_t end = i + 1 < count ? labels[i + 1].start : len;
        *part = part_clean(text, (s2a_span){ labels[i].end, end }, is_question, cancel);
        *labelled = true;
    }
}

static void whole_read(const char *text, size_t len, const label *labels, size_t count,
                       const s2a_cancel *cancel, parse_parts *parts)
{
    /* A single label at the start is the model's heading; several are the prompt's text. */
    s2a_span whole = cut_leading(text, (s2a_span){ 0, len });
    if (count == 1 && labels[0].start <= whole.start && labels[0].kind == LABEL_CONTEXT)
        whole = cut_leading(text, (s2a_span){ labels[0].end, len });
    parts->context = part_clean(text, whole, false, cancel);
}

static s2a_status split_read(const char *text, size_t len, const label *labels, size_t count,
                             const s2a_cancel *cancel, parse_parts *parts, s2a_error *err)
{
    parts_from_labels(text, len, labels, count, cancel, parts);
    if (!parts->context_labelled) {
        size_t end = count > 0 ? labels[0].start : len;
        parts->context = part_clean(text, cut_leading(text, (s2a_span){ 0, end }), false, cancel);
    }
    if (!parts->question_labelled && parts->context.end > parts->context.start)
        return question_infer(text, cancel, parts, err);
    return S2A_OK;
}

s2a_status parse_rewrite(const char *text, size_t len, parse_form form, const s2a_cancel *cancel,
                         parse_parts *parts, s2a_error *err)
{
    *parts = (parse_parts){ 0 };
    label labels[LABELS_MAX];
    size_t count = labels_filter(labels, labels_find(text, len, cancel, labels));
    s2a_status status = S2A_OK;
    if (cancel_fired(cancel))
        return error_set(err, S2A_CANCELLED, "cancelled");
    if (form == PARSE_WHOLE)
        whole_read(text, len, labels, count, cancel, parts);
    else
        status = split_read(text, len, labels, count, cancel, parts, err);
    if (status == S2A_OK && cancel_fired(cancel))
        status = error_set(err, S2A_CANCELLED, "cancelled");
    return status;
}
