/* Turns messages into a prompt's tokens: the chat template's markers become control tokens, and
 * everything inside the messages becomes text.
 *
 * It accesses models only through chat_model, so that tests can supply their own. */
#ifndef S2A_CHAT_PROMPT_H
#define S2A_CHAT_PROMPT_H

#include "backend/backend.h"
#include "base/buf.h"

typedef struct token_list {
    int32_t *items;
    size_t count, cap;
} token_list;

bool token_list_reserve(token_list *list, size_t more); /* false when out of memory */
void token_list_free(token_list *list);

typedef enum token_kind {
    TOKEN_TEXT,
    TOKEN_CONTROL, /* recognised only where special tokens are parsed */
    TOKEN_MARK,    /* visible text that is recognised everywhere. Some model files declare their
                      template's markers as such tokens */
} token_kind;

typedef struct chat_turn {
    const char *role, *content; /* NUL-terminated */
} chat_turn;

/* A text outside the contents that is tokenised as plain text. render writes its placeholder
 * (chat_template_stand_in_bare), numbered from the count of turns on. */
typedef struct chat_piece {
    char *text;
    size_t len;
} chat_piece;

/* All functions are thread-safe. */
typedef struct chat_model {
    void *ctx;
    /* Appends the turns in the template's form, and the opening of the assistant's turn. On
     * S2A_INPUT it has already reported the cause. */
    s2a_status (*render)(void *ctx, const chat_turn *turns, size_t count, buf *out);
    /* Appends the tokens of a text; special: recognise the names of special tokens too. */
    s2a_status (*tokenize)(void *ctx, const char *text, size_t len, bool special, token_list *out);
    token_kind (*kind)(void *ctx, int32_t token);
    /* The text of a token as written in a prompt; "" if it has none. */
    void (*text)(void *ctx, int32_t token, char *out, size_t size);
    const char *default_system; /* for conversations without a system message; NULL = none */
    const chat_piece *pieces;
    size_t piece_count;
    bool skips_empty; /* render writes nothing for an empty content */
    int32_t bos;      /* the first token of every prompt; -1 = none */
} chat_model;

/* Replaces *out with the prompt for one more assistant turn. Special tokens inside contents are
 * tokenised as plain text, bytes that are not UTF-8 as U+FFFD. *split (which may be NULL) says how:
 * false: the rendered prompt was tokenised as a whole, as llama-server does; true: template and
 * contents were tokenised separately, because the contents contain text of special tokens, or NUL.
 * In that case tokens that would span their boundary (two line breaks, the space that SentencePiece
 * adds) are split as well. Roles: developer becomes system; a role that the template omits becomes
 * user. S2A_NOMEM, S2A_LIMIT, S2A_BACKEND (the template has no place for a message). */
s2a_status chat_prompt_tokens(const chat_model *model, const backend_message *messages,
                              size_t count, token_list *out, bool *split, s2a_error *err);

#endif
