/* What a chat template says beyond what libllama's renderer reads from it.
 *
 * libllama does not run a model's Jinja template: it recognises the family and renders that in
 * C++. These functions make up for what gets lost on the way. Pure and thread-safe. */
#ifndef S2A_CHAT_TEMPLATE_H
#define S2A_CHAT_TEMPLATE_H

#include "base/buf.h"

/* ChatML models (Qwen2.5, SmolLM2) carry a system message of their own for conversations without
 * one, as the literal '<|im_start|>system\n...<|im_end|>' in the template, and were trained with
 * it. Appends that message's text to *out and returns true; false when there is none, or when it
 * is computed and not a literal. */
bool chat_template_default_system(const char *text, buf *out);

/* A stand-in for the content of message number index. It begins and ends in a vertical tab, which
 * no template writes and all that trim contents take away. */
void chat_template_stand_in(buf *out, size_t index);

/* Where a content goes in a rendered template. */
typedef struct chat_place {
    size_t start, end; /* of the stand-in */
    size_t index;      /* of the message */
    bool trim_left, trim_right;
} chat_place;

/* Finds the stand-ins of a rendered template, in order. *places is malloc'ed, NULL when there are
 * none. False when out of memory. */
bool chat_template_places(const char *text, size_t len, chat_place **places, size_t *count);

#endif
