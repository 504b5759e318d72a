/* The loaded model and its prompt files; immutable after open, except the memo. */
#ifndef S2A_ENGINE_H
#define S2A_ENGINE_H

#include "backend/backend.h"
#include "core/head.h"
#include "core/memo.h"
#include "core/prompt.h"
#include "s2a.h"

struct s2a_engine {
    backend *backend;
    prompt_set prompts;
    judge_head *head; /* NULL = this model cannot judge */
    memo *memo;
    const s2a_engine *judge; /* the options' select_engine */
};

/* The engine whose backend and head mode select uses. */
const s2a_engine *engine_judge(const s2a_engine *engine);

#endif
