/* Reads the published data files of the tasks: JSON lines, or one JSON array.
 *
 *   qa         SycophancyEval answer.jsonl: prompt, base, metadata.prompt_template
 *   argument   SycophancyEval feedback.jsonl (base.text, of which repeats are other rows), or rows
 *              {"argument"}
 *   math       GSM-IC rows (new_question, original_question, answer, sentence_template ...), or
 *              clean problems (question, answer, also GSM8K's "#### 72") to build them from
 *   math-hard  GSM-Plus rows (question, seed_question, answer, perturbation_type)
 *   rag        HotpotQA distractor rows (question, answer, context, supporting_facts)
 *   clean      rows of qa without an opinion, clean problems, or {"text", "answer"}
 *   injection  BIPIA rows (context, attack, attack_category, question, answer), four items of each:
 *              with the attack at the start, in the middle and at the end of the context, and
 *              without it; tool results of AgentDojo (suite, template, injection, context)
 *   ordinary   prompts from which nothing should be removed: IFEval (key, prompt,
 *              instruction_id_list, kwargs), Arena-Hard (uid, cluster, prompt), NotInject (prompt,
 *              word_list), {"prompt"}, and clean labelled prompts
 *   prune      a context and a question: MultiSpanQA, CMRC 2018, HotpotQA
 *   labelled   prompts sentence by sentence (data/labelled/README.md)
 *
 * One thread. */
#ifndef S2A_EVAL_DATA_H
#define S2A_EVAL_DATA_H

#include "eval/record.h"

#include <jansson.h>

typedef enum eval_task {
    EVAL_QA,
    EVAL_ARGUMENT,
    EVAL_MATH,
    EVAL_MATH_HARD,
    EVAL_RAG,
    EVAL_CLEAN,
    EVAL_INJECTION,
    EVAL_ORDINARY,
    EVAL_PRUNE,
    EVAL_LABELLED,
    EVAL_TASK_COUNT,
} eval_task;

const char *eval_task_name(eval_task task);
/* The default value of --arms. */
const char *eval_task_arms(eval_task task);
/* The preset of arm select, unless the item is untrusted. */
s2a_preset eval_task_preset(eval_task task);
/* False: the task runs step 1 alone. */
bool eval_task_answers(eval_task task);
/* False if there is no such task. */
bool eval_task_from_name(const char *name, eval_task *out);

#define EVAL_K_MAX 16

typedef struct eval_data_options {
    eval_task task;
    const char *path;  /* NULL = the built-in sample */
    size_t limit;      /* use a fixed pseudo-random subset of this many items; 0 = all */
    int k[EVAL_K_MAX]; /* maths: numbers of distractors */
    size_t k_count;
    bool refuse; /* a bad row is an error; otherwise it is reported and skipped */
    void (*say)(void *ctx, const char *line); /* reports bad rows, at most 20; may be NULL */
    void *say_ctx;
} eval_data_options;

typedef struct eval_data {
    eval_item *items;
    size_t count, cap;
    size_t rows, bad_rows; /* rows of the file; bad ones among them */
    size_t other_rows;     /* rows not of this task: no opinion, another perturbation ... */
    char hash[65];         /* sha256 of the file */
    char name[128];        /* the file's name, or "built-in sample" */
} eval_data;

/* S2A_IO, S2A_INPUT (no usable row; or, with refuse, a bad one: file, line, field), S2A_LIMIT,
 * S2A_NOMEM. Call eval_data_free in any case. */
s2a_status eval_data_read(const eval_data_options *options, eval_data *out, s2a_error *err);
void eval_data_free(eval_data *data);

/* ---- between data.c and rows.c ----------------------------------------------------------- */

typedef struct eval_row_sink {
    const eval_data_options *options;
    eval_data *data;
    const char *fault; /* why the row is bad: borrowed text, or detail */
    char detail[160];
    bool other;           /* the row is not of this task */
    bool may_repeat;      /* the layout has several rows for one item: only the first counts */
    bool last_may_repeat; /* its last item may equal one of an earlier row: then skip it */
} eval_row_sink;

/* Adds the row's items. S2A_INPUT if the row is bad: fault says why, and nothing is added. */
s2a_status eval_row_read(eval_row_sink *sink, const json_t *row, s2a_error *err);

/* Appends an item whose strings are taken over, also on failure. S2A_NOMEM. */
s2a_status eval_data_add(eval_data *data, eval_item *item, s2a_error *err);

#endif
