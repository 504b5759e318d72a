/* Which tokens lie in the KV cache, and where the next prompt finds most of its own.
 *
 * A slot is one sequence of the engine's unified KV cache and remembers its tokens. This is
 * bookkeeping only: what it decides the engine does to the cache. Not thread-safe.
 *
 * Every decode looks at all cells of the cache, those of remembered prompts too, which costs about
 * half of what attention to them would. That pays for a conversation that goes on, and not for
 * requests that have nothing to do with each other. So when no prompt has gone on from a
 * remembered one for a while, their cells are given up, all but the beginnings that later prompts
 * were found to share; the tokens are still known here, so that it is noticed when one would have
 * been of use. */
#ifndef S2A_KV_SLOTS_H
#define S2A_KV_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_SLOTS 16 /* generations that run at once, and prompts that are remembered */
#define KV_STRANGERS 8 /* prompts in a row that go on from none, until those are forgotten */

typedef struct kv_slot {
    int32_t *tokens;
    size_t count; /* of them in the cache */
    size_t known; /* the same, and those behind that were forgotten */
    size_t head;  /* of them: a beginning that it shares with another prompt */
    bool busy;     /* a generation is using it; the owner's to set */
    uint64_t used; /* the tick of the last use; 0 = never, or cleared */
} kv_slot;

typedef struct kv_slots {
    kv_slot slot[KV_SLOTS];
    size_t capacity; /* tokens of a slot */
    size_t strangers; /* prompts since the last one that went on from one that is remembered */
    uint64_t tick;
} kv_slots;

/* Where a prompt goes: into slot, whose first keep tokens are the prompt's. If source differs from
 * slot, these are copied from source, and what slot held is given up. */
typedef struct kv_plan {
    int slot, source;
    size_t keep;
} kv_plan;

/* False when out of memory; kv_slots_free is then still due. */
bool kv_slots_init(kv_slots *s, size_t capacity);
void kv_slots_free(kv_slots *s);

/* keep is always less than count: the last token must be decoded for its logits. A busy slot may be
 * the source, never the slot; slot is -1 when all are busy. With whole set (recurrent models, whose
 * state cannot be cut back) a slot serves only when all its tokens are the prompt's, and is never
 * copied. Touches nothing. */
kv_plan kv_slots_plan(const kv_slots *s, const int32_t *tokens, size_t count, bool whole);

/* To be called when a prompt gets the slot of its plan, before anything else is done about it. */
void kv_slots_note(kv_slots *s, const int32_t *tokens, size_t count, const kv_plan *plan);

void kv_slots_touch(kv_slots *s, int slot);
void kv_slots_append(kv_slots *s, int slot, const int32_t *tokens, size_t count);
void kv_slots_cut(kv_slots *s, int slot, size_t count); /* 0 makes it free */

/* The slot whose use is longest ago among those that hold tokens and are not busy; -1 = none. */
int kv_slots_evictable(const kv_slots *s);

/* A slot that is not busy and holds more than its head, when KV_STRANGERS prompts in a row went on
 * from nothing; -1 = none. */
int kv_slots_forgettable(const kv_slots *s);
/* Only its head is in the cache from now on. */
void kv_slots_forget(kv_slots *s, int slot);

#endif
