/* Which tokens are in the KV cache, and which slot has most of the next prompt's tokens.
 *
 * A slot is one sequence of the engine's unified KV cache, with a list of its tokens. This is
 * bookkeeping only: the engine changes the cache as this file decides. Not thread-safe.
 *
 * Every decode reads all cells of the cache, those of idle prompts too. That costs about half as
 * much as attention to them. That pays if a conversation continues, but not for unrelated requests.
 * So if no prompt has continued a cached one for a while, the cells of idle prompts are dropped,
 * except for beginnings that later prompts shared. Their tokens stay in the list, so that the
 * engine notices when one would have been useful. */
#ifndef S2A_KV_SLOTS_H
#define S2A_KV_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_SLOTS 16    /* concurrent generations, and cached prompts */
#define KV_STRANGERS 8 /* unrelated prompts in a row after which idle prompts are dropped */

typedef struct kv_slot {
    int32_t *tokens;
    size_t count;  /* tokens in the cache */
    size_t known;  /* tokens in the list: count, and those whose cells were dropped */
    size_t head;   /* tokens of the beginning that it shares with another prompt */
    bool busy;     /* a generation uses it; set by the owner */
    uint64_t used; /* the tick of the last use; 0 = never, or cleared */
} kv_slot;

typedef struct kv_slots {
    kv_slot slot[KV_SLOTS];
    size_t capacity;  /* tokens of a slot */
    size_t strangers; /* prompts since the last one that continued a cached prompt */
    uint64_t tick;
} kv_slots;

/* The place of a prompt: slot, whose first keep tokens are the prompt's. If source differs from
 * slot, these are copied from source, and the old content of slot is dropped. */
typedef struct kv_plan {
    int slot, source;
    size_t keep;
} kv_plan;

/* False when out of memory; kv_slots_free must be called in any case. */
bool kv_slots_init(kv_slots *s, size_t capacity);
void kv_slots_free(kv_slots *s);

/* keep is always less than count: the last token must be decoded for its logits. A busy slot may be
 * the source, never the slot; slot is -1 if all are busy. With whole (recurrent models, whose state
 * cannot be cut back) a slot serves only if all its tokens are the prompt's, and is never copied.
 * Changes nothing. */
kv_plan kv_slots_plan(const kv_slots *s, const int32_t *tokens, size_t count, bool whole);

/* Call it when a prompt gets the slot of its plan, before the slot or the cache is changed. */
void kv_slots_note(kv_slots *s, const int32_t *tokens, size_t count, const kv_plan *plan);

void kv_slots_touch(kv_slots *s, int slot);
void kv_slots_append(kv_slots *s, int slot, const int32_t *tokens, size_t count);
void kv_slots_cut(kv_slots *s, int slot, size_t count); /* 0 makes it free */

/* The least recently used slot that has tokens and is not busy; -1 = none. */
int kv_slots_evictable(const kv_slots *s);

/* If KV_STRANGERS prompts in a row continued no cached one: a slot that is not busy and has more
 * than its head in the cache; -1 = none. */
int kv_slots_forgettable(const kv_slots *s);
/* Notes that only its head is in the cache from now on. */
void kv_slots_forget(kv_slots *s, int slot);

#endif
