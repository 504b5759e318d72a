/* From messages to the tokens of a prompt: the chat template's markers are control tokens, and
 * whatever the messages contain is text.
 *
 * It knows models through chat_model alone, so that tests can give it one of their own. */
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
    TOKEN_CONTROL, /* tokenised as such only where special tokens are parsed */
    TOKEN_MARK,    /* visible text, tokenised as such everywhere. Some model files declare the
                      markers of their template so */
} token_kind;

typedef struct chat_turn {
    const char *role, *content; /* NUL-terminated */
} chat_turn;

/* All functions are thread-safe. */
typedef struct chat_model {
    void *ctx;
    /* Appends the turns as the template has them and the opening of the assistant's turn. */
    s2a_status (*render)(void *ctx, const chat_turn *turns, size_t count, buf *out);
    /* Appends the tokens of a text; special: also those that are written as their names. */
    s2a_status (*tokenize)(void *ctx, const char *text, size_t len, bool special, token_list *out);
    token_kind (*kind)(void *ctx, int32_t token);
    /* The text of a token as it would be written in a prompt; "" where it has none. */
    void (*text)(void *ctx, int32_t token, char *out, size_t size);
    const char *default_system; /* for conversations without a system message; NULL = none */
    int32_t bos;                /* the first token of every prompt; -1 = none */
} chat_model;

/* The prompt that asks for one more assistant turn; what *out held is replaced. Special tokens
 * inside contents are tokenised as plain text, bytes that are not UTF-8 as U+FFFD. *split (which
 * may be NULL) says how: false, the rendered prompt was tokenised as a whole, just as llama-server
 * does it; true, template and contents were tokenised apart, because contents hold what would be
 * special tokens, or NUL. Then words that the two would share at a border (two line breaks, the
 * space that SentencePiece puts first) are tokenised apart as well. Roles: developer is system;
 * a role that the template leaves out is written as the user's.
 * S2A_NOMEM, S2A_LIMIT, S2A_BACKEND (the template has no place for a message). */
s2a_status chat_prompt_tokens(const chat_model *model, const backend_message *messages,
                              size_t count, token_list *out, bool *split, s2a_error *err);

#endif
