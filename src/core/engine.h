/* The loaded model and the prompts it is asked with; immutable after open, but for the memo. */
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
    judge_head *head; /* NULL = this model judges nothing */
    memo *memo;
    const s2a_engine *judge; /* the options' select_engine */
};

/* Whose judgement mode select goes by: its backend and head. */
const s2a_engine *engine_judge(const s2a_engine *engine);

#endif
