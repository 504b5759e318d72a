/* Continuous batching: the generations of all threads, in the decodes of one context.
 *
 * The scheduler has no thread. A thread that waits for text makes the next step for all calls,
 * unless another thread is making it: one decode with a token of every generating call and a share
 * of the prompts' other tokens, and one sample for each call whose tokens are all decoded. Each
 * thread passes its own text on without the lock, so that a slow client delays no other call.
 *
 * A call has a list of tokens; its slot has the first of them in the cache. Steps decode the
 * others; then a token is sampled and added to the list. So a call that lost its slot because the
 * cache was full continues later like a call with a longer prompt. */
#include "backend/llama/common.h"
#include "backend/llama/condition.h"
#include "backend/llama/embedded.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <stdlib.h>

/* Tokens of a step with prefill while other calls generate and wait for it: the first for each
 * prompt, the second in all. Large steps cost a few per cent less a token, and the more prompts
 * wait, the more calls gain from that. Drafts come on top. Multiples of 4, because kernels for many
 * rows take 4 at a time. */
#define SHARED_STEP_TOKENS 128
#define CROWDED_STEP_TOKENS (BATCH_TOKENS - BATCH_OUTPUTS)
/* Cells reserved for the rest of a call's answer; it may take more. */
#define HEADROOM_TOKENS 256
/* No call generates further ahead of its reader. */
#define UNREAD_TOKENS 32

bool scheduler_init(embedded *e)
{
    e->scheduler_ready = condition_init(&e->lock, &e->changed);
    return e->scheduler_ready;
}

void scheduler_destroy(embedded *e)
{
    condition_destroy(&e->lock, &e->changed);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void slot_clear(embedded *e, int slot)
{
    llama_memory_seq_rm(e->memory, slot, -1, -1); /* a whole sequence: never fails */
    kv_slots_cut(&e->slots, slot, 0);
}

/* True if the cache has exactly the cells of the slot's tokens. */
static bool slot_agrees(const embedded *e, int slot)
{
    size_t count = e->slots.slot[slot].count;
    llama_pos last = llama_memory_seq_pos_max(e->memory, slot);
    if (count == 0)
        return last < 0;
    bool all = e->whole_slots || llama_memory_seq_pos_min(e->memory, slot) == 0;
    return all && last == (llama_pos)count - 1;
}

/* Cuts the sequence in the cache to the slot's tokens; clears both if the cache cannot do that. */
static void cells_cut(embedded *e, int slot)
{
    size_t keep = e->slots.slot[slot].count;
    if (!llama_memory_seq_rm(e->memory, slot, (llama_pos)keep, -1) || !slot_agrees(e, slot))
        slot_clear(e, slot);
}

static void slot_cut(embedded *e, int slot, size_t keep)
{
    kv_slots_cut(&e->slots, slot, keep);
    cells_cut(e, slot);
}

/* Frees the cells of idle prompts if no prompt has continued one for a while. */
static void slots_forget(embedded *e)
{
    if (e->whole_slots)
        return;
    for (int slot; (slot = kv_slots_forgettable(&e->slots)) >= 0;) {
        kv_slots_forget(&e->slots, slot);
        cells_cut(e, slot);
    }
}

/* Finds a slot for the call, and reuses its first tokens if that slot or another has decoded
 * them. */
static bool slot_take(embedded *e, call *c)
{
    kv_plan plan = kv_slots_plan(&e->slots, c->tokens.items, c->tokens.count, e->whole_slots);
    if (plan.slot < 0)
        return false;
    kv_slots_note(&e->slots, c->tokens.items, c->tokens.count, &plan);
    c->slot = plan.slot;
    if (plan.slot == plan.source) {
        slot_cut(e, plan.slot, plan.keep);
    } else {
        slot_clear(e, plan.slot);
        /* Both sequences own the cells from now on; no data is copied. */
        llama_memory_seq_cp(e->memory, plan.source, plan.slot, 0, (llama_pos)plan.keep);
        kv_slots_append(&e->slots, plan.slot, c->tokens.items, plan.keep);
        if (!slot_agrees(e, plan.slot))
            slot_clear(e, plan.slot);
        kv_slots_touch(&e->slots, plan.source);
    }
    kv_slots_touch(&e->slots, plan.slot);
    e->slots.slot[plan.slot].busy = true;
    if (!c->admitted)
        c->usage->tokens.cached_tokens = e->slots.slot[plan.slot].count;
    c->admitted = true;
    return true;
}

static void slot_leave(embedded *e, call *c)
{
    if (c->slot < 0)
        return;
    e->slots.slot[c->slot].busy = false;
    kv_slots_touch(&e->slots, c->slot);
    c->slot = -1;
}

/* ---- the generated text ---------------------------------------------------------------------- */

static void call_end(call *c, backend_finish finish)
{
    c->ended = true;
    c->usage->finish = finish;
}

/* Appends a token's text, in whole characters. */
static s2a_status token_bytes(call *c, int32_t token, buf *out)
{
    const embedded *e = c->e;
    bool shows = c->plan && common_plan_shows(c->plan, token);
    char few[128], *bytes = few;
    int32_t n = llama_token_to_piece(e->vocab, token, few, sizeof few, 0, shows);
    if (n < 0) {
        bytes = malloc((size_t)-n);
        if (!bytes)
            return S2A_NOMEM;
        n = llama_token_to_piece(e->vocab, token, bytes, -n, 0, shows);
    }
    if (n > 0)
        utf8_stream_add(&c->stream, bytes, (size_t)n, out);
    if (bytes != few)
        free(bytes);
    return out->status;
}

/* Adds a sampled token's text, or ends the text (last); ends the call at a stop. */
static s2a_status text_take(call *c, int32_t token, bool last)
{
    buf raw;
    size_t before = c->text.len, stop = STOP_NONE;
    buf_init(&raw, LIMIT_OUTPUT_BYTES);
    s2a_status status = S2A_OK;
    if (last)
        utf8_stream_end(&c->stream, &raw);
    else
        status = token_bytes(c, token, &raw);
    if (status == S2A_OK && raw.len > 0)
        stop = stop_scan_add(&c->stops, raw.data, raw.len, &c->text);
    if (last && stop == STOP_NONE)
        stop = stop_scan_end(&c->stops, &c->text);
    c->raw_bytes += raw.len;
    c->text_bytes += c->text.len - before;
    buf_free(&raw);
    if (stop != STOP_NONE) {
        c->usage->stop = stop + 1;
        call_end(c, BACKEND_FINISH_STOP);
    }
    return status == S2A_OK ? c->text.status : status;
}

/* Releases text that was held back as the possible beginning of a stop. */
static s2a_status held_take(call *c)
{
    size_t before = c->text.len, stop = stop_scan_end(&c->stops, &c->text);
    c->text_bytes += c->text.len - before;
    if (stop != STOP_NONE) {
        c->usage->stop = stop + 1;
        c->usage->finish = BACKEND_FINISH_STOP;
    }
    return c->text.status;
}

/* Handles a sampled token: its text, stops and limits. */
static s2a_status token_take(call *c, int32_t token, s2a_error *err)
{
    const embedded *e = c->e;
    uint64_t written = ++c->usage->tokens.completion_tokens;
    bool eog = llama_vocab_is_eog(e->vocab, token);
    if (text_take(c, token, eog) != S2A_OK || !token_list_reserve(&c->tokens, 1))
        return error_nomem(err);
    if (c->raw_bytes > LIMIT_OUTPUT_BYTES)
        return error_set(err, S2A_LIMIT, "the model wrote more than %zu bytes; lower max_tokens",
                         LIMIT_OUTPUT_BYTES);
    c->text_tokens++;
    if (c->ended)
        return S2A_OK;
    if (eog) {
        call_end(c, BACKEND_FINISH_STOP);
        return S2A_OK;
    }
    if ((c->params->max_tokens > 0 && written >= c->params->max_tokens) ||
        c->tokens.count >= e->ctx_tokens) {
        call_end(c, BACKEND_FINISH_LENGTH); /* an incomplete character is dropped */
        if (held_take(c) != S2A_OK)
            return error_nomem(err);
    }
    c->tokens.items[c->tokens.count++] = token;
    return S2A_OK;
}

/* ---- one step -------------------------------------------------------------------------------- */

static size_t tokens_due(const embedded *e, const call *c)
{
    return c->tokens.count - e->slots.slot[c->slot].count;
}

static bool runs(const call *c)
{
    return c->slot >= 0 && !c->ended && c->status == S2A_OK && c->text_tokens < UNREAD_TOKENS;
}

static bool writes(const embedded *e, const call *c)
{
    return c->tokens.count > c->prompt_count && tokens_due(e, c) == 1;
}

static size_t cells_wanted(const call *c)
{
    size_t left = HEADROOM_TOKENS, written = c->tokens.count - c->prompt_count;
    if (c->params->max_tokens > 0 && c->params->max_tokens < written + left)
        left = c->params->max_tokens - written;
    return c->tokens.count + left;
}

/* First come, first served: a call that does not fit makes later ones wait, too. */
static void calls_admit(embedded *e)
{
    size_t held = 0;
    for (const call *c = e->first; c; c = c->next)
        if (c->slot >= 0)
            held += cells_wanted(c);
    for (call *c = e->first; c; c = c->next) {
        if (c->slot >= 0 || c->ended || c->status != S2A_OK)
            continue;
        size_t more = cells_wanted(c);
        if ((held > 0 && held + more > e->ctx_tokens) || !slot_take(e, c))
            return;
        held += more;
    }
}

static void row_add(embedded *e, const call *c, int32_t token, size_t at, bool logits)
{
    int32_t row = e->batch.n_tokens++;
    e->batch.token[row] = token;
    e->batch.pos[row] = (llama_pos)at;
    e->batch.n_seq_id[row] = 1;
    e->batch.seq_id[row][0] = c->slot;
    e->batch.logits[row] = logits;
}

static void step_add(embedded *e, call *c, size_t count, size_t drafted)
{
    size_t at = e->slots.slot[c->slot].count;
    bool last = at + count == c->tokens.count;
    c->in_step = true;
    c->step_from = (size_t)e->batch.n_tokens;
    c->step_tokens = count;
    c->step_drafted = drafted;
    e->step[e->step_count++] = c;
    for (size_t i = 0; i < count; i++)
        row_add(e, c, c->tokens.items[at + i], at + i, last && i + 1 == count);
    for (size_t i = 0; i < drafted; i++)
        row_add(e, c, c->draft->source[c->draft->at + i].token, at + count + i, true);
}

/* The load of a step, before drafts are added. */
typedef struct step_load {
    size_t rows, outputs;
    size_t prompt_room; /* rows for prompts */
    double tokens;      /* the expected generated tokens */
} step_load;

static step_load step_weigh(const embedded *e)
{
    step_load load = { 0 };
    size_t due = 0, readers = 0;
    for (const call *c = e->first; c; c = c->next) {
        if (!runs(c))
            continue;
        load.outputs++;
        if (writes(e, c)) {
            load.rows++;
        } else {
            due += tokens_due(e, c);
            readers++;
        }
    }
    load.tokens = (double)load.rows;
    size_t most = readers * SHARED_STEP_TOKENS;
    if (most > CROWDED_STEP_TOKENS)
        most = CROWDED_STEP_TOKENS;
    load.prompt_room = load.rows > 0 ? most - load.rows : BATCH_TOKENS;
    load.rows += due < load.prompt_room ? due : load.prompt_room;
    return load;
}

/* How many tokens of the call's draft the step checks. */
static size_t step_draft(const embedded *e, const call *c, step_load *load)
{
    if (!c->draft || load->outputs >= BATCH_OUTPUTS)
        return 0;
    size_t limit = BATCH_OUTPUTS - load->outputs, written = c->tokens.count - c->prompt_count;
    if (limit > e->ctx_tokens - c->tokens.count)
        limit = e->ctx_tokens - c->tokens.count;
    if (c->params->max_tokens > 0 && limit > c->params->max_tokens - written)
        limit = c->params->max_tokens - written;
    size_t drafted =
        draft_length(c->draft, &e->cost, load->rows, load->tokens - 1, limit, &load->tokens);
    load->rows += drafted;
    load->outputs += drafted;
    return drafted;
}

/* False if there is nothing to do. */
static bool step_plan(embedded *e, bool drafts)
{
    e->batch.n_tokens = 0;
    e->step_count = 0;
    step_load load = step_weigh(e);
    for (call *c = e->first; c; c = c->next)
        if (runs(c) && writes(e, c))
            step_add(e, c, 1, drafts ? step_draft(e, c, &load) : 0);
    size_t room = load.prompt_room;
    for (call *c = e->first; c && room > 0; c = c->next) {
        if (!runs(c) || c->in_step)
            continue;
        size_t due = tokens_due(e, c), count = due < room ? due : room;
        step_add(e, c, count, 0);
        room -= count;
    }
    return e->step_count > 0;
}

static void step_end(embedded *e)
{
    for (size_t i = 0; i < e->step_count; i++)
        e->step[i]->in_step = false;
    e->step_count = 0;
}

/* Frees the cells of an idle prompt, else those of the call that came last. False if there are
 * none. */
static bool step_make_room(embedded *e)
{
    int idle = kv_slots_evictable(&e->slots);
    if (idle >= 0) {
        slot_clear(e, idle);
        return true;
    }
    call *victim = NULL, *oldest = NULL;
    for (call *c = e->first; c; c = c->next)
        if (c->slot >= 0) {
            victim = c;
            oldest = oldest ? oldest : c;
        }
    if (!victim || victim == oldest)
        return false;
    slot_clear(e, victim->slot);
    slot_leave(e, victim);
    return true;
}

static void step_failed(embedded *e, call *leader, int32_t rc)
{
    log_lines_end(&leader->log);
    for (size_t i = 0; i < e->step_count; i++) {
        call *c = e->step[i];
        if (rc == 2) /* aborted: all calls have given up; call_wait finds out why */
            slot_cut(e, c->slot, e->whole_slots ? 0 : e->slots.slot[c->slot].count);
        else
            slot_clear(e, c->slot);
        if (rc != 2)
            c->status = error_set(&c->error, S2A_BACKEND,
                                  "llama_decode failed with %d: %s; try a smaller context or batch "
                                  "of requests",
                                  rc, log_lines_fault(&leader->log, "no cause given"));
    }
}

/* Samples the call's next tokens, one for each row of logits as long as the draft was right. Each
 * is sampled from the model's distribution, so that the text and the sampler's draws are the same
 * without a draft. */
static void call_take(embedded *e, call *c)
{
    int32_t row = (int32_t)(c->step_from + c->step_tokens - 1);
    size_t accepted = 0, from = c->tokens.count;
    bool right = true;
    for (size_t i = 0; right && !c->ended && c->status == S2A_OK; i++) {
        int32_t token = c->plan ? common_plan_sample(c->plan, e->ctx, row + (int32_t)i, &c->error)
                                : llama_sampler_sample(c->sampler, e->ctx, row + (int32_t)i);
        if (token < 0) {
            c->status = c->error.status;
            break;
        }
        right = i < c->step_drafted && c->draft->source[c->draft->at + i].token == token;
        if (c->params->on_logprob && !llama_vocab_is_eog(e->vocab, token) &&
            !logprobs_note(c, row + (int32_t)i, token)) {
            c->status = error_nomem(&c->error);
            break;
        }
        c->status = token_take(c, token, &c->error);
        accepted += right;
        if (right && c->tokens.count == from + i + 1)
            kv_slots_append(&e->slots, c->slot, &token, 1);
    }
    if (!c->draft)
        return;
    draft_judge(c->draft, c->step_drafted, accepted);
    for (size_t i = from; i < c->tokens.count; i++)
        draft_take(c->draft, c->tokens.items[i], draft_word(e, c->tokens.items[i]));
    c->usage->tokens.drafted_tokens += c->step_drafted;
    c->usage->tokens.accepted_tokens += accepted;
    if (c->step_drafted > 0) /* the cache contains rejected tokens */
        slot_cut(e, c->slot, e->slots.slot[c->slot].count);
}

static void step_take(embedded *e)
{
    for (size_t i = 0; i < e->step_count; i++) {
        call *c = e->step[i];
        size_t at = e->slots.slot[c->slot].count;
        kv_slots_append(&e->slots, c->slot, c->tokens.items + at, c->step_tokens);
        if (at + c->step_tokens == c->tokens.count)
            call_take(e, c);
    }
}

/* Called and left with the lock held. False if there was nothing to do. */
static bool step(embedded *e, call *leader)
{
    pthread_mutex_unlock(&e->lock);
    bool in = gate_enter(e->gate, call_gives_up, leader);
    pthread_mutex_lock(&e->lock);
    if (!in)
        return false;
    calls_admit(e);
    slots_forget(e);
    bool planned = step_plan(e, true), drafts = true;
    int32_t rc = 0;
    while (e->step_count > 0) {
        pthread_mutex_unlock(&e->lock);
        double start = clock_ms();
        rc = llama_decode(e->ctx, e->batch);
        llama_synchronize(e->ctx);
        double ms = clock_ms() - start;
        pthread_mutex_lock(&e->lock);
        if (rc == 0)
            cost_add(&e->cost, (size_t)e->batch.n_tokens, ms);
        if (rc != 1 || (!drafts && !step_make_room(e)))
            break;
        drafts = false; /* the cache is full: try without drafts first */
        step_end(e);
        step_plan(e, false);
    }
    if (rc == 0)
        step_take(e);
    else
        step_failed(e, leader, rc);
    step_end(e);
    gate_leave(e->gate);
    return planned;
}

/* ---- one call -------------------------------------------------------------------------------- */

/* Passes on the text so far; called and left with the lock held. */
static void hand_on(call *c)
{
    embedded *e = c->e;
    buf ready = c->text;
    buf_init(&c->text, LIMIT_OUTPUT_BYTES);
    c->text_tokens = 0;
    token_probs *probs = NULL;
    size_t probs_count = c->params->on_logprob ? logprobs_take(c, &probs) : 0;
    pthread_mutex_unlock(&e->lock);
    logprobs_tell(c, probs, probs_count);
    free(probs);
    int stop =
        ready.len > 0 && c->on_token ? c->on_token(c->on_token_ctx, ready.data, ready.len) : 0;
    buf_free(&ready);
    pthread_mutex_lock(&e->lock);
    if (stop)
        call_end(c, BACKEND_FINISH_CALLER);
}

static s2a_status call_wait(call *c, s2a_error *err)
{
    embedded *e = c->e;
    for (;;) {
        if (c->text_tokens > 0) {
            hand_on(c);
            if (c->usage->finish == BACKEND_FINISH_CALLER)
                return S2A_OK;
            continue;
        }
        if (c->status != S2A_OK) {
            if (err)
                *err = c->error;
            return c->status;
        }
        if (c->ended)
            return S2A_OK;
        s2a_status status = call_check(c, err);
        if (status != S2A_OK)
            return status;
        bool done = false;
        if (!e->led) {
            e->led = true;
            done = step(e, c);
            e->led = false;
            pthread_cond_broadcast(&e->changed);
        }
        if (!done)
            condition_wait(&e->lock, &e->changed);
    }
}

s2a_status scheduler_run(call *c, s2a_error *err)
{
    embedded *e = c->e;
    pthread_mutex_lock(&e->lock);
    if (e->last)
        e->last->next = c;
    else
        e->first = c;
    e->last = c;
    s2a_status status = call_wait(c, err);
    c->ended = true; /* no further step includes it */
    while (c->in_step)
        condition_wait(&e->lock, &e->changed);
    slot_leave(e, c);
    call *before = NULL;
    for (call *at = e->first; at != c; at = at->next)
        before = at;
    if (before)
        before->next = c->next;
    else
        e->first = c->next;
    if (e->last == c)
        e->last = before;
    pthread_cond_broadcast(&e->changed); /* another call may wait for its slot */
    pthread_mutex_unlock(&e->lock);
    return status;
}
