/* The fields of a result; read by the getters of s2a.h. */
#ifndef S2A_RESULT_H
#define S2A_RESULT_H

#include "s2a.h"

/* A text of the result; data NULL = it does not exist. */
typedef struct result_text {
    char *data;
    size_t len;
} result_text;

/* Replaces the text with a copy of data. False when out of memory; *t then does not exist. */
bool result_text_set(result_text *t, const char *data, size_t len);

/* An earlier message with removed text. */
typedef struct result_turn {
    size_t index;
    result_text input, rewritten;
    s2a_span *removed;
    size_t removed_count;
} result_turn;

typedef struct result_document {
    size_t start, len; /* in the input */
    result_text pruned;
    s2a_span *removed;
    size_t removed_count;
    size_t first, unit_count; /* its units in document_units */
    double relevance;
} result_document;

struct s2a_result {
    s2a_mode mode;
    s2a_preset preset;
    char *model;
    result_text input, rewritten, context, question, answer, step1_text, prompt;
    result_text stop; /* the stop text that ended the answer */
    result_text tool_calls;
    s2a_fallback fallback;
    char detail[200];
    bool answer_cut;
    s2a_unit *units;
    size_t unit_count;
    double threshold; /* NaN = none */
    s2a_span *removed, *added;
    size_t removed_count, added_count;
    result_turn *turns;
    size_t turn_count;
    result_document *documents;
    size_t document_count;
    s2a_unit *document_units; /* units of all documents; offsets in their document */
    s2a_usage usage[2];
};

#endif
