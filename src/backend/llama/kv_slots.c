#include "kv_slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A tail of up to this many tokens is not worth a separate slot. Decoding it again takes less time
 * than the long prefill that evicting a slot may cost. */
#define SHORT_TAIL 64

bool kv_slots_init(kv_slots *s, size_t capacity)
{
    *s = (kv_slots){ .capacity = capacity };
    for (int i = 0; i < KV_SLOTS; i++) {
        s->slot[i].tokens = malloc(capacity * sizeof *s->slot[i].tokens);
        if (!s->slot[i].tokens)
            return false;
    }
    return true;
}

void kv_slots_free(kv_slots *s)
{
    for (int i = 0; i < KV_SLOTS; i++)
        free(s->slot[i].tokens);
}

/* The common prefix of a prompt and the slot's first `held` tokens. */
static size_t common_prefix(const kv_slot *slot, size_t held, const int32_t *tokens, size_t count)
{
    size_t i = 0;
    while (i < count && i < held && slot->tokens[i] == tokens[i])
        i++;
    return i;
}

kv_plan kv_slots_plan(const kv_slots *s, const int32_t *tokens, size_t count, bool whole)
{
    int best = -1, oldest = -1;
    size_t best_prefix = 0;
    for (int i = 0; i < KV_SLOTS; i++) {
        const kv_slot *slot = &s->slot[i];
        size_t prefix = common_prefix(slot, slot->count, tokens, count);
        if (whole && (slot->busy || prefix < slot->count || prefix >= count))
            prefix = 0;
        if (prefix > best_prefix) {
            best = i;
            best_prefix = prefix;
        }
        if (!slot->busy && (oldest < 0 || slot->used < s->slot[oldest].used))
            oldest = i;
    }
    if (best < 0 || oldest < 0)
        return (kv_plan){ .slot = oldest, .source = oldest, .keep = 0 };
    kv_plan plan = { .slot = best, .source = best, .keep = best_prefix };
    if (plan.keep >= count)
        plan.keep = count - 1;
    if (s->slot[best].busy || s->slot[best].count - plan.keep > SHORT_TAIL)
        plan.slot = oldest; /* this may be best itself */
    return plan;
}

/* True if the prompt begins with more than half of the slot's known tokens. */
static bool goes_on(const kv_slot *slot, const int32_t *tokens, size_t count)
{
    return 2 * common_prefix(slot, slot->known, tokens, count) > slot->known;
}

void kv_slots_note(kv_slots *s, const int32_t *tokens, size_t count, const kv_plan *plan)
{
    s->strangers++;
    for (int i = 0; i < KV_SLOTS; i++)
        if (!s->slot[i].busy && goes_on(&s->slot[i], tokens, count))
            s->strangers = 0;
    kv_slot *source = &s->slot[plan->source];
    if (2 * plan->keep <= source->count && source->head < plan->keep)
        source->head = plan->keep;
    s->slot[plan->slot].head = source->head < plan->keep ? source->head : plan->keep;
}

void kv_slots_touch(kv_slots *s, int slot)
{
    s->slot[slot].used = ++s->tick;
}

void kv_slots_append(kv_slots *s, int slot, const int32_t *tokens, size_t count)
{
    kv_slot *at = &s->slot[slot];
    assert(count <= s->capacity - at->count);
    memcpy(at->tokens + at->count, tokens, count * sizeof *tokens);
    at->count += count;
    at->known = at->count;
}

void kv_slots_cut(kv_slots *s, int slot, size_t count)
{
    assert(count <= s->slot[slot].count);
    s->slot[slot].count = s->slot[slot].known = count;
    if (count == 0)
        s->slot[slot].used = 0;
}

int kv_slots_evictable(const kv_slots *s)
{
    int oldest = -1;
    for (int i = 0; i < KV_SLOTS; i++)
        if (!s->slot[i].busy && s->slot[i].count > 0 &&
            (oldest < 0 || s->slot[i].used < s->slot[oldest].used))
            oldest = i;
    return oldest;
}

int kv_slots_forgettable(const kv_slots *s)
{
    for (int i = 0; i < KV_SLOTS && s->strangers >= KV_STRANGERS; i++)
        if (!s->slot[i].busy && s->slot[i].count > s->slot[i].head)
            return i;
    return -1;
}

void kv_slots_forget(kv_slots *s, int slot)
{
    assert(s->slot[slot].head <= s->slot[slot].count);
    s->slot[slot].count = s->slot[slot].head;
}
