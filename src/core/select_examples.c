/* What the model is shown in mode select: numbered units, branches, and the examples before them. */
#include "core/ascii.h"
#include "core/error.h"
#include "core/limits.h"
#include "core/select_parts.h"

#include <stdlib.h>
#include <string.h>

/* A unit is repeated by its beginning: longer than this the judgement gets no better, and every
 * token of a branch costs as much as one of the text. */
#define BRANCH_WORDS 12
#define BRANCH_BYTES 144 /* where words are not set apart */
#define TURN_TOKENS 8    /* what a template puts around a message */

const select_wording *select_wording_of(s2a_preset preset)
{
    static const select_wording attention = { { " needed", " unrelated", " opinion" }, 3,
                                              PROMPT_SELECT_SYSTEM, PROMPT_SELECT_EXAMPLES,
                                              "select-examples",
                                              "needed, unrelated, opinion or question" };
    static const select_wording orders = { { " data", " instruction" }, 2,
                                           PROMPT_SELECT_UNTRUSTED_SYSTEM,
                                           PROMPT_SELECT_UNTRUSTED_EXAMPLES,
                                           "select-untrusted-examples",
                                           "data, instruction or question" };
    return preset == S2A_PRESET_UNTRUSTED ? &orders : &attention;
}

/* ---- what the model is shown -------------------------------------------------------------- */

void select_add_numbered(buf *out, size_t number, const char *text, size_t len)
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

void select_add_branch(buf *out, size_t number, const char *text, size_t len)
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
    const select_wording *w;
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
                            "%s: the example that ends at byte %zu has no %s", e->w->file, position,
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
    const select_wording *w = e->w;
    const char *colon = memchr(line, ':', len);
    size_t name = colon ? (size_t)(colon - line) : 0, start = name + 1;
    while (start < len && ascii_space(line[start]))
        start++;
    if (!colon || start >= len)
        return error_set_at(err, S2A_PROMPT, position,
                            "%s: the line at byte %zu is not \"label: sentence\"", w->file, position);
    select_add_numbered(&e->list, ++e->count, line + start, len - start);
    if (name == 8 && !memcmp(line, "question", 8)) {
        e->question = line + start;
        e->question_len = len - start;
        return S2A_OK;
    }
    for (size_t i = 0; i < w->count; i++) {
        if (strlen(w->labels[i] + 1) != name || memcmp(line, w->labels[i] + 1, name) != 0)
            continue;
        if (e->answer.len > 0)
            buf_adds(&e->answer, "\n");
        select_add_branch(&e->answer, e->count, line + start, len - start);
        buf_adds(&e->answer, w->labels[i]);
        return S2A_OK;
    }
    return error_set_at(err, S2A_PROMPT, position,
                        "%s: unknown label at byte %zu; use %s", w->file, position, w->names);
}

s2a_status select_examples_build(const prompt_set *prompts, s2a_preset preset, select_examples *out,
                                 s2a_error *err)
{
    const select_wording *w = select_wording_of(preset);
    *out = (select_examples){ 0 };
    buf system;
    buf_init(&system, LIMIT_PROMPT_FILE_BYTES);
    buf_add(&system, prompts->text[w->system], prompts->len[w->system]);
    bool begun = messages_add(out, "system", &system);
    buf_free(&system);
    if (!begun) {
        select_examples_free(out);
        return error_nomem(err);
    }
    const char *text = prompts->text[w->examples];
    size_t len = prompts->len[w->examples];
    example e = { .w = w };
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

void select_examples_count(select_examples *examples, backend *b)
{
    examples->tokens = 0;
    for (size_t i = 0; i < examples->count; i++)
        examples->tokens += TURN_TOKENS + select_count_tokens(b, examples->messages[i].content,
                                                              examples->messages[i].len);
}
