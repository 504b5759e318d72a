/* Prompt files: texts with {{input}}, {{context}} and {{question}} in them. prompts/README.md says
 * which figure of the paper each comes from. The set is read once, when an engine opens, and is
 * immutable afterwards, so it is thread-safe. */
#ifndef S2A_PROMPT_H
#define S2A_PROMPT_H

#include "base/buf.h"
#include "s2a.h"

/* Generated at build time from the files of prompts/; name is the file's path
 * below prompts/ without ".txt". */
struct prompt_builtin {
    const char *name;
    const char *text;
    size_t len;
};
extern const struct prompt_builtin prompts_builtin[];
extern const size_t prompts_builtin_count;

/* name, file, the placeholders that the file must have: I input, C context, Q question. */
#define PROMPT_MAP(X)                                      \
    X(REWRITE_OPINION, "rewrite-opinion", "I")             \
    X(REWRITE_RELEVANCE, "rewrite-relevance", "I")         \
    X(REWRITE_SINGLE, "rewrite-single", "I")               \
    X(ANSWER_INSTRUCTED, "answer-instructed", "CQ")        \
    X(ANSWER_PLAIN, "answer-plain", "CQ")                  \
    X(ANSWER_KEEP_ORIGINAL, "answer-keep-original", "ICQ") \
    X(ANSWER_MATH, "answer-math", "I")                     \
    X(INSTRUCTED_OPINION, "instructed-opinion", "I")       \
    X(INSTRUCTED_MATH, "instructed-math", "I")             \
    X(COT, "cot", "I")                                     \
    X(COT_MATH, "cot-math", "I")                           \
    X(JUDGE_SENTIMENT, "judge/sentiment", "I")             \
    X(JUDGE_QUALITY, "judge/quality", "I")                 \
    X(JUDGE_INJECTION, "judge/injection", "IC")

typedef enum prompt_id {
#define PROMPT_ENUM(name, file, needs) PROMPT_##name,
    PROMPT_MAP(PROMPT_ENUM)
#undef PROMPT_ENUM
        PROMPT_COUNT,
    PROMPT_NONE = PROMPT_COUNT /* the text as it is */
} prompt_id;

typedef struct prompt_set {
    char *text[PROMPT_COUNT];
    size_t len[PROMPT_COUNT];
} prompt_set;

typedef struct prompt_values {
    const char *input, *context, *question; /* NULL counts as empty */
    size_t input_len, context_len, question_len;
} prompt_values;

/* dir NULL: the built-in texts. Otherwise DIR/NAME.txt replaces the built-in text of that name
 * where the file exists; one trailing newline of a file is dropped. S2A_IO (dir missing, file not
 * readable), S2A_PROMPT (not UTF-8, empty, unknown or missing placeholder; position is the byte in
 * the file), S2A_LIMIT, S2A_NOMEM. On failure *set holds nothing to free. */
s2a_status prompt_set_load(const char *dir, prompt_set *set, s2a_error *err);
void prompt_set_free(prompt_set *set);

/* Appends the filled-in prompt. Values are data: placeholders inside them stay as they are. A line
 * whose placeholders are all empty is left out, with the blank lines after it, so that an x'
 * without context has no dangling label. id PROMPT_NONE appends input alone. Failures stay in
 * *out. */
void prompt_render(const prompt_set *set, prompt_id id, const prompt_values *values, buf *out);

#endif
