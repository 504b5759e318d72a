#include "core/select.h"

#include "core/ascii.h"
#include "core/clause.h"
#include "core/error.h"
#include "core/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A unit is repeated by its beginning: longer than this the judgement gets no better, and every
 * token of a branch costs as much as one of the text. */
#define BRANCH_WORDS 12
#define BRANCH_BYTES 144 /* where words are not set apart */

enum { NEEDED, UNRELATED, OPINION, LABELS };
static const char *const labels[LABELS] = { " needed", " unrelated", " opinion" };

/* ---- what the model is shown -------------------------------------------------------------- */

static void add_numbered(buf *out, size_t number, const char *text, size_t len)
{
    buf_addf(out, "%s[%zu] ", number > 1 ? "\n" : "", number);
    buf_add(out, text, len);
}

/* The first words, and how many bytes they are. */
static size_t first_words(const char *text, size_t len)
{
    size_t words = 0, i = 0;
    while (i < len) {
        while (i < len && !ascii_space(text[i]))
            i++;
        if (++words == BRANCH_WORDS)
            break;
        while (i < len && ascii_space(text[i]))
            i++;
    }
    if (i > BRANCH_BYTES) {
        i = BRANCH_BYTES;
        while (i > 0 && ((unsigned char)text[i] & 0xc0) == 0x80)
            i--;
    }
    while (i > 0 && ascii_space(text[i - 1]))
        i--;
    return i;
}

/* The beginning of a line of the answer, up to where the label stands. */
static void add_branch(buf *out, size_t number, const char *text, size_t len)
{
    size_t start = 0;
    while (start < len && ascii_space(text[start]))
        start++;
    buf_addf(out, "[%zu] \"", number);
    size_t shown = first_words(text + start, len - start);
    buf_add(out, text + start, shown);
    buf_adds(out, start + shown < len ? "...\" is" : "\" is");
}

/* ---- examples ----------------------------------------------------------------------------- */

typedef struct example {
    buf list, answer;
    const char *question;
    size_t question_len, count;
} example;

static void example_reset(example *e)
{
    buf_reset(&e->list);
    buf_reset(&e->answer);
    e->question = NULL;
    e->count = 0;
}

static bool messages_add(select_examples *all, const char *role, buf *text)
{
    backend_message *grown = realloc(all->messages, (all->count + 1) * sizeof *grown);
    if (!grown)
        return false;
    all->messages = grown;
    size_t len = 0;
    char *content = buf_take(text, &len);
    if (!content)
        return false;
    grown[all->count++] = (backend_message){ role, content, len };
    return true;
}

static s2a_status example_end(const prompt_set *prompts, example *e, select_examples *all,
                              size_t position, s2a_error *err)
{
    if (e->list.status != S2A_OK || e->answer.status != S2A_OK)
        return error_nomem(err);
    if (e->count == 0)
        return S2A_OK;
    if (!e->question || e->answer.len == 0)
        return error_set_at(err, S2A_PROMPT, position,
                            "select-examples: the example that ends at byte %zu has no %s", position,
                            e->question ? "labelled sentence" : "question");
    buf content;
    buf_init(&content, 4 * LIMIT_PROMPT_FILE_BYTES);
    prompt_values values = { .input = e->list.data, .input_len = e->list.len,
                             .question = e->question, .question_len = e->question_len };
    prompt_render(prompts, PROMPT_SELECT, &values, &content);
    bool ok = content.status == S2A_OK && messages_add(all, "user", &content) &&
              messages_add(all, "assistant", &e->answer);
    buf_free(&content);
    if (!ok)
        return error_nomem(err);
    buf_init(&e->answer, LIMIT_PROMPT_FILE_BYTES * 2); /* what it held is the message's */
    example_reset(e);
    return S2A_OK;
}

static s2a_status example_line(example *e, const char *line, size_t len, size_t position,
                               s2a_error *err)
{
    const char *colon = memchr(line, ':', len);
    size_t name = colon ? (size_t)(colon - line) : 0, start = name + 1;
    while (start < len && ascii_space(line[start]))
        start++;
    if (!colon || start >= len)
        return error_set_at(err, S2A_PROMPT, position,
                            "select-examples: the line at byte %zu is not \"label: sentence\"",
                            position);
    add_numbered(&e->list, ++e->count, line + start, len - start);
    if (name == 8 && !memcmp(line, "question", 8)) {
        e->question = line + start;
        e->question_len = len - start;
        return S2A_OK;
    }
    for (size_t i = 0; i < LABELS; i++) {
        if (strlen(labels[i] + 1) != name || memcmp(line, labels[i] + 1, name) != 0)
            continue;
        if (e->answer.len > 0)
            buf_adds(&e->answer, "\n");
        add_branch(&e->answer, e->count, line + start, len - start);
        buf_adds(&e->answer, labels[i]);
        return S2A_OK;
    }
    return error_set_at(err, S2A_PROMPT, position,
                        "select-examples: unknown label at byte %zu; use needed, unrelated, opinion "
                        "or question",
                        position);
}

s2a_status select_examples_build(const prompt_set *prompts, select_examples *out, s2a_error *err)
{
    *out = (select_examples){ 0 };
    buf system;
    buf_init(&system, LIMIT_PROMPT_FILE_BYTES);
    buf_add(&system, prompts->text[PROMPT_SELECT_SYSTEM], prompts->len[PROMPT_SELECT_SYSTEM]);
    bool begun = messages_add(out, "system", &system);
    buf_free(&system);
    if (!begun) {
        select_examples_free(out);
        return error_nomem(err);
    }
    const char *text = prompts->text[PROMPT_SELECT_EXAMPLES];
    size_t len = prompts->len[PROMPT_SELECT_EXAMPLES];
    example e = { .count = 0 };
    buf_init(&e.list, 2 * LIMIT_PROMPT_FILE_BYTES);
    buf_init(&e.answer, 2 * LIMIT_PROMPT_FILE_BYTES);
    s2a_status status = S2A_OK;
    for (size_t at = 0; at < len && status == S2A_OK;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len;
        status = ascii_blank(text + at, end - at)
                     ? example_end(prompts, &e, out, at, err)
                     : example_line(&e, text + at, end - at, at, err);
        at = end + 1;
    }
    if (status == S2A_OK)
        status = example_end(prompts, &e, out, len, err);
    buf_free(&e.list);
    buf_free(&e.answer);
    if (status != S2A_OK)
        select_examples_free(out);
    return status;
}

void select_examples_free(select_examples *examples)
{
    for (size_t i = 0; i < examples->count; i++)
        free((char *)examples->messages[i].content);
    free(examples->messages);
    *examples = (select_examples){ 0 };
}

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

static bool is_request(const select_input *in, size_t i)
{
    const segment_unit *u = &in->units[i];
    return is_sentence(u) && clause_is_request(in->text + u->start, u->text_end - u->start);
}

/* What is asked: given apart; or the questions and requests that nobody is quoted with; or any
 * question; or the last sentence. */
static s2a_status questions_find(const select_input *in, select_unit *out, s2a_error *err)
{
    quoting *quoted = quoting_find(in);
    bool any = false;
    size_t last = in->count > 0 ? in->count - 1 : 0;
    if (!quoted)
        return error_nomem(err);
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        out[i] = (select_unit){ .kept = true, .label = "needed",
                                .whole = !is_sentence(u) || quoted[i].at_start };
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
    return S2A_OK;
}

/* ---- asking ------------------------------------------------------------------------------- */

/* What is asked, after a space where something stands before it. */
static void add_questions(const select_input *in, const select_unit *units, buf *out)
{
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        if (!units[i].question)
            continue;
        if (out->len > 0)
            buf_adds(out, " ");
        buf_add(out, in->text + u->start, u->text_end - u->start);
    }
}

static void add_prompt(const select_input *in, const select_unit *units, buf *out)
{
    buf list, question;
    buf_init(&list, 2 * LIMIT_INPUT_BYTES);
    buf_init(&question, 2 * LIMIT_INPUT_BYTES);
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        add_numbered(&list, i + 1, in->text + u->start, u->text_end - u->start);
    }
    add_questions(in, units, &question);
    prompt_values values = { .input = list.data, .input_len = list.len, .question = question.data,
                             .question_len = question.len };
    prompt_render(in->prompts, PROMPT_SELECT, &values, out);
    if (list.status != S2A_OK || question.status != S2A_OK)
        out->status = S2A_NOMEM;
    buf_free(&list);
    buf_free(&question);
}

typedef struct asking {
    buf prompt, forced; /* all branches, one after the other */
    backend_message *messages;
    backend_branch *branches;
    size_t *ends; /* of each branch: its slot */
    double *logprob;
    size_t count;
} asking;

static bool asking_fill(const select_input *in, const select_unit *units, asking *a)
{
    size_t n = in->count, examples = in->examples->count;
    buf_init(&a->prompt, 8 * LIMIT_INPUT_BYTES);
    buf_init(&a->forced, 4 * LIMIT_INPUT_BYTES);
    a->messages = calloc(examples + 1, sizeof *a->messages);
    a->branches = calloc(n, sizeof *a->branches);
    a->ends = calloc(n, sizeof *a->ends);
    a->logprob = calloc(n * LABELS, sizeof *a->logprob);
    if (!a->messages || !a->branches || !a->ends || !a->logprob)
        return false;
    add_prompt(in, units, &a->prompt);
    size_t *starts = calloc(n, sizeof *starts);
    for (size_t i = 0; i < n && starts; i++) {
        if (units[i].question)
            continue;
        starts[a->count] = a->forced.len;
        add_branch(&a->forced, i + 1, in->text + in->units[i].start,
                   in->units[i].text_end - in->units[i].start);
        a->ends[a->count] = a->forced.len - starts[a->count];
        a->count++;
    }
    bool ok = starts && a->prompt.status == S2A_OK && a->forced.status == S2A_OK;
    for (size_t k = 0; k < a->count && ok; k++)
        a->branches[k] = (backend_branch){ a->forced.data + starts[k], a->ends[k], &a->ends[k], 1 };
    free(starts);
    if (!ok)
        return false;
    if (examples > 0)
        memcpy(a->messages, in->examples->messages, examples * sizeof *a->messages);
    a->messages[examples] = (backend_message){ "user", a->prompt.data, a->prompt.len };
    return true;
}

static void asking_free(asking *a)
{
    buf_free(&a->prompt);
    buf_free(&a->forced);
    free(a->messages);
    free(a->branches);
    free(a->ends);
    free(a->logprob);
}

/* ---- attention ---------------------------------------------------------------------------- */

typedef struct attending {
    buf question;
    s2a_span *spans;
    size_t *of; /* the unit of each span */
    size_t count;
    float *mass;
} attending;

static bool attending_fill(const select_input *in, const select_unit *units, size_t heads,
                           attending *a)
{
    buf_init(&a->question, 2 * LIMIT_INPUT_BYTES);
    buf_adds(&a->question, "\n\nQuestion:");
    add_questions(in, units, &a->question);
    a->spans = calloc(in->count, sizeof *a->spans);
    a->of = calloc(in->count, sizeof *a->of);
    a->mass = calloc(in->count * heads, sizeof *a->mass);
    if (!a->spans || !a->of || !a->mass)
        return false;
    for (size_t i = 0; i < in->count; i++) {
        const segment_unit *u = &in->units[i];
        if (units[i].question)
            continue;
        a->of[a->count] = i;
        a->spans[a->count++] = (s2a_span){ u->start, u->end };
    }
    return a->question.status == S2A_OK;
}

/* The text as it is, then the question after it: how much of the question's attention goes to a byte
 * of each unit, as the mean over the heads of the upper half of the layers (below it attention follows
 * words and places; measured on HotpotQA). One prefill, and a few dozen tokens. */
static s2a_status attention_read(const select_input *in, select_unit *out, s2a_usage *usage,
                                 s2a_error *err)
{
    const backend_vtable *vtable = in->backend->vtable;
    size_t heads = vtable->capabilities(in->backend).attention_heads;
    size_t len = in->question_start == SIZE_MAX ? in->units[in->count - 1].end : in->question_start;
    attending a = { .count = 0 };
    backend_params params = { .top_p = 1, .cancel = in->cancel, .keep_result = true };
    backend_usage used = { .finish = BACKEND_FINISH_STOP };
    s2a_status status = S2A_NOMEM;
    if (attending_fill(in, out, heads, &a)) {
        const char *question = a.question.data;
        status = vtable->attention(in->backend, in->text, len, a.spans, a.count, &question, 1,
                                   &params, a.mass, &used, err);
    } else {
        error_nomem(err);
    }
    *usage = used.tokens;
    for (size_t k = 0; k < a.count && status == S2A_OK; k++) {
        select_unit *u = &out[a.of[k]];
        u->judged = u->attended = true;
        for (size_t h = heads / 2; h < heads; h++)
            u->attention += (double)a.mass[k * heads + h];
        u->attention /= (double)(a.spans[k].end - a.spans[k].start);
    }
    buf_free(&a.question);
    free(a.spans);
    free(a.of);
    free(a.mass);
    return status;
}

s2a_status select_judge(const select_input *in, select_unit *out, s2a_usage *usage, s2a_error *err)
{
    s2a_status status = questions_find(in, out, err);
    if (status != S2A_OK)
        return status;
    size_t judged = 0;
    for (size_t i = 0; i < in->count; i++)
        judged += !out[i].question;
    if (judged == 0) {
        select_decide(in, out);
        return S2A_OK;
    }
    if (in->keep > 0 && in->backend->vtable->attention &&
        in->backend->vtable->capabilities(in->backend).can_read_attention) {
        status = attention_read(in, out, usage, err);
        if (status == S2A_OK)
            select_decide(in, out);
        return status;
    }
    asking a = { .count = 0 };
    backend_params params = { .top_p = 1, .cancel = in->cancel, .keep_result = true,
                              .common_messages = in->examples->count };
    backend_usage used = { .finish = BACKEND_FINISH_STOP };
    status = asking_fill(in, out, &a)
                 ? in->backend->vtable->score(in->backend, a.messages, in->examples->count + 1,
                                              a.branches, a.count, labels, LABELS, &params,
                                              a.logprob, &used, err)
                 : error_nomem(err);
    *usage = used.tokens;
    const double *row = a.logprob;
    for (size_t i = 0; i < in->count && status == S2A_OK; i++) {
        if (out[i].question)
            continue;
        out[i].judged = true;
        out[i].needed = row[NEEDED];
        out[i].unrelated = row[UNRELATED];
        out[i].opinion = row[OPINION];
        row += LABELS;
    }
    asking_free(&a);
    if (status == S2A_OK)
        select_decide(in, out);
    return status;
}

/* ---- deciding ----------------------------------------------------------------------------- */

/* What the scores of one prompt have in common. */
typedef struct scale {
    double attention; /* of all units */
    double border;    /* of the log-odds against unrelated */
} scale;

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
        bool counts = u->judged && (in->preset == S2A_PRESET_RELEVANCE ||
                                    u->needed - u->opinion >= c->opinion_border);
        if (counts && u->needed - u->unrelated > top)
            top = u->needed - u->unrelated;
    }
    s.border = c->relevance_border + fmin(c->relevance_cap, c->relevance_ratio * top);
    return s;
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

/* The best scores up to a share of the bytes; units of equal score in order. */
static void keep_share(const select_input *in, select_unit *out)
{
    double all = 0, kept = 0;
    for (size_t i = 0; i < in->count; i++)
        if (out[i].judged) {
            all += (double)bytes_of(in, i);
            out[i].kept = false;
        }
    for (;;) {
        size_t best = in->count;
        for (size_t i = 0; i < in->count; i++)
            if (out[i].judged && !out[i].kept && (best == in->count || out[i].score > out[best].score) &&
                kept + (double)bytes_of(in, i) <= in->keep * all)
                best = i;
        if (best == in->count)
            return;
        out[best].kept = true;
        kept += (double)bytes_of(in, best);
    }
}

void select_decide(const select_input *in, select_unit *out)
{
    scale s = scale_of(in, out);
    for (size_t i = 0; i < in->count; i++) {
        select_unit *u = &out[i];
        u->score = u->judged ? score_of(in, u, &s) : 0;
        u->kept = !u->judged || u->whole || u->score >= in->threshold;
    }
    if (in->keep > 0)
        keep_share(in, out);
    for (size_t i = 0; i < in->count; i++) {
        select_unit *u = &out[i];
        bool opinion = !u->attended && (in->preset == S2A_PRESET_OPINION ||
                                        (in->preset != S2A_PRESET_RELEVANCE &&
                                         u->opinion > u->unrelated));
        u->label = u->question ? "question" : u->kept ? "needed" : opinion ? "opinion" : "unrelated";
    }
}

/* ---- x' ----------------------------------------------------------------------------------- */

/* From here on what is asked is handed over last: the first question. A request before it stands
 * alone, one after it ("Answer in one sentence.") belongs to it. */
static size_t first_question(const select_input *in, const select_unit *units)
{
    size_t i = 0;
    while (i < in->count && !(units[i].question && (in->units[i].question ||
                                                    in->question_start != SIZE_MAX)))
        i++;
    return i;
}

static bool asked(const select_unit *units, size_t first, size_t i)
{
    return units[i].question && i >= first;
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
    s2a_span *grown = realloc(out->removed, (out->removed_count + 1) * sizeof *grown);
    if (!grown)
        return false;
    out->removed = grown;
    grown[out->removed_count++] = (s2a_span){ start, end };
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
