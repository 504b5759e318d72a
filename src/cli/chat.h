/* A conversation: the exchanges so far, and the answer to the next message, which is printed as it
 * is generated. Errors of an answer are a line on stderr. Functions that print return whether they
 * printed anything to stdout. One thread. */
#ifndef S2A_CLI_CHAT_H
#define S2A_CLI_CHAT_H

#include "cli/session.h"

typedef struct chat_exchange {
    char *message, *answer;
    size_t message_len, answer_len;
    s2a_result *step1; /* of the message; NULL if step 1 failed */
} chat_exchange;

typedef struct chat {
    session *s;         /* open, with stream */
    const char *system; /* message before the conversation; NULL = none */
    chat_exchange *items;
    size_t count, cap;
    buf text; /* the answer so far */
} chat;

void chat_begin(chat *c, session *s, const char *system);
void chat_end(chat *c);

/* Answers a message: shows what step 1 removed from it, then the answer. A message without any
 * answer is not added to the conversation; a cancelled answer is added as far as it was
 * generated. */
bool chat_send(chat *c, const char *text, size_t len);

/* Answers the last message again without step 1, and replaces its answer. */
bool chat_plain(chat *c);

/* Prints the units of the last message. */
bool chat_why(chat *c);

/* Drops the last exchange; false if there is none. */
bool chat_undo(chat *c);

#endif
