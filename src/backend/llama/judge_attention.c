/* The question's attention on each unit of a text, read while its tokens are decoded (DESIGN section 2). */
#include "backend/llama/judge.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

/* kq_soft_max-LAYER is [cells, tokens, heads, 1]: adds up, for each head, what the question's tokens
 * pay to each unit's cells. */
static void attention_take(judge *j, const struct ggml_tensor *t, int layer)
{
    size_t cells = (size_t)t->ne[0], tokens = (size_t)t->ne[1], heads = (size_t)t->ne[2];
    size_t count = cells * tokens * heads;
    if (t->type != GGML_TYPE_F32 || t->ne[3] != 1 || layer < 0 ||
        ((size_t)layer + 1) * heads > j->head_count) {
        j->read_failed = true;
        return;
    }
    if (count > j->row_cap) {
        float *grown = realloc(j->row, count * sizeof *grown);
        if (!grown) {
            j->read_failed = true;
            return;
        }
        j->row = grown;
        j->row_cap = count;
    }
    ggml_backend_tensor_get(t, j->row, 0, count * sizeof *j->row);
    for (size_t h = 0; h < heads; h++)
        for (size_t q = 0; q < tokens; q++) {
            const float *p = j->row + (h * tokens + q) * cells;
            for (size_t u = 0; u < j->unit_count; u++) {
                float sum = 0;
                for (size_t i = j->unit_from[u]; i < j->unit_to[u] && i < cells; i++)
                    sum += p[i];
                j->mass[u * j->head_count + (size_t)layer * heads + h] += sum;
            }
        }
}

bool judge_attention_take(judge *j, const struct ggml_tensor *t, bool ask)
{
    static const char name[] = "kq_soft_max-";
    if (strncmp(t->name, name, sizeof name - 1) != 0)
        return !ask; /* not wanted; going on otherwise */
    if (!ask)
        attention_take(j, t, atoi(t->name + sizeof name - 1));
    return true;
}

typedef struct reading {
    call *c;
    token_list text;
    size_t *from, *to; /* of the units, in tokens */
    size_t unit_count;
    token_list *questions;
    size_t question_count;
    float *mass;
} reading;

/* Units and what is between them are tokenised apart, so that their tokens are theirs alone. */
static s2a_status text_read(const embedded *e, const char *text, size_t len, const s2a_span *units,
                            reading *r, s2a_error *err)
{
    size_t at = 0;
    if (e->chat.bos >= 0) {
        if (!token_list_reserve(&r->text, 1))
            return error_nomem(err);
        r->text.items[r->text.count++] = e->chat.bos;
    }
    s2a_status status = S2A_OK;
    for (size_t i = 0; i <= r->unit_count && status == S2A_OK; i++) {
        size_t start = i < r->unit_count ? units[i].start : len;
        size_t end = i < r->unit_count ? units[i].end : len;
        if (start < at || end < start || end > len)
            return error_set(err, S2A_ARGUMENT, "unit %zu is not in order", i);
        if (start > at)
            status = chat_tokenize((void *)e, text + at, start - at, false, &r->text);
        if (i == r->unit_count)
            break;
        r->from[i] = r->text.count;
        if (status == S2A_OK && end > start)
            status = chat_tokenize((void *)e, text + start, end - start, false, &r->text);
        r->to[i] = r->text.count;
        at = end;
    }
    return status == S2A_OK ? S2A_OK : error_nomem(err);
}

static s2a_status question_read(reading *r, size_t q, s2a_error *err)
{
    judge *j = r->c->e->judge;
    const token_list *tokens = &r->questions[q];
    size_t base = j->prefix.count, heads = j->head_count;
    if (tokens->count == 0 || tokens->count > BATCH_TOKENS || base + tokens->count > j->ctx_tokens)
        return error_set(err, S2A_LIMIT, "the question has %zu tokens; at most %d can be read",
                         tokens->count, BATCH_TOKENS);
    j->batch.n_tokens = 0;
    for (size_t i = 0; i < tokens->count; i++)
        judge_batch_add(j, tokens->items[i], base + i, 1, false);
    llama_memory_seq_cp(j->memory, 0, 1, -1, -1);
    j->attention = true;
    j->read_failed = false;
    j->unit_from = r->from;
    j->unit_to = r->to;
    j->unit_count = r->unit_count;
    j->mass = r->mass + q * r->unit_count * heads;
    memset(j->mass, 0, r->unit_count * heads * sizeof *j->mass);
    s2a_status status = judge_decode(r->c, err);
    j->attention = false;
    llama_memory_seq_rm(j->memory, 1, -1, -1);
    j->holes = true;
    r->c->usage->tokens.prompt_tokens += tokens->count;
    if (status == S2A_OK && j->read_failed)
        status = error_set(err, S2A_UNSUPPORTED, "this model's attention cannot be read");
    for (size_t i = 0; i < r->unit_count * heads; i++)
        j->mass[i] /= (float)tokens->count;
    return status;
}

static s2a_status attention_inside(reading *r, s2a_error *err)
{
    s2a_status status = judge_prefix_set(r->c, r->text.items, r->text.count, 0, true, err);
    for (size_t q = 0; q < r->question_count && status == S2A_OK; q++)
        status = question_read(r, q, err);
    return status;
}

s2a_status judge_attention(backend *self, const char *text, size_t len, const s2a_span *units,
                           size_t unit_count, const char *const *questions, size_t question_count,
                           const backend_params *params, float *mass, backend_usage *usage,
                           s2a_error *err)
{
    embedded *e = (embedded *)self;
    call c = { .e = e, .params = params, .start_ms = clock_ms(), .usage = usage };
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    reading r = { .c = &c, .unit_count = unit_count, .question_count = question_count,
                  .mass = mass };
    r.from = calloc(unit_count + 1, sizeof *r.from);
    r.to = calloc(unit_count + 1, sizeof *r.to);
    r.questions = calloc(question_count + 1, sizeof *r.questions);
    log_lines *before = log_begin(&c.log, e->log, e->log_ctx);
    s2a_status status =
        r.from && r.to && r.questions ? text_read(e, text, len, units, &r, err) : error_nomem(err);
    for (size_t q = 0; q < question_count && status == S2A_OK; q++)
        if (chat_tokenize(e, questions[q], strlen(questions[q]), false, &r.questions[q]) != S2A_OK)
            status = error_nomem(err);
    usage->tokens.prompt_tokens = r.text.count;
    if (status == S2A_OK && r.text.count >= judge_tokens(e))
        status = error_set(err, S2A_LIMIT,
                           "the text is %zu tokens, the context of select holds %u; "
                           "shorten the text",
                           r.text.count, judge_tokens(e));
    if (status == S2A_OK && (status = judge_enter(&c, true, err)) == S2A_OK) {
        status = attention_inside(&r, err);
        judge_leave(&c);
    }
    log_end(&c.log, before);
    for (size_t q = 0; r.questions && q < question_count; q++)
        token_list_free(&r.questions[q]);
    free(r.questions);
    free(r.from);
    free(r.to);
    token_list_free(&r.text);
    usage->tokens.ms = clock_ms() - c.start_ms;
    return status;
}
