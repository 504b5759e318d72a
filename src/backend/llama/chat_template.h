/* The parts of a chat template that libllama's renderer does not read.
 *
 * libllama does not run a model's Jinja template: it recognises the family and renders that in C++.
 * These functions recover the lost parts. Pure and thread-safe. */
#ifndef S2A_CHAT_TEMPLATE_H
#define S2A_CHAT_TEMPLATE_H

#include "base/buf.h"

/* The templates of ChatML models (Qwen2.5, SmolLM2) contain the default system message of the
 * models' training as a literal, '<|im_start|>system\n...<|im_end|>'. Appends its text to *out and
 * returns true; false if there is none, or if it is computed. */
bool chat_template_default_system(const char *text, buf *out);

#define CHAT_STAND_IN "S2Axq" /* the beginning of a placeholder */

/* Writes a placeholder for the content of message number index. It begins and ends with a vertical
 * tab, which no template writes and every template that trims contents removes. */
void chat_template_stand_in(buf *out, size_t index);

/* The same without the tabs, for a few bytes inside a text. */
void chat_template_stand_in_bare(buf *out, size_t index);

/* A content's place in a rendered template. */
typedef struct chat_place {
    size_t start, end; /* span of the placeholder */
    size_t index;      /* index of the message */
    bool trim_left, trim_right;
    bool escaped; /* within a JSON string */
} chat_place;

/* Finds the placeholders in a rendered template, in order. *places is malloc'ed; NULL if there are
 * none. False when out of memory. */
bool chat_template_places(const char *text, size_t len, chat_place **places, size_t *count);

#endif
