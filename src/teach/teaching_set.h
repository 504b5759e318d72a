/* The labelled prompts for s2a_calibrate: our own from data/labelled/, embedded at build time, or
 * the caller's. Each line is a prompt, sentence by sentence; see data/labelled/README.md.
 * A set is read-only after teaching_set_read and teaching_set_shuffle. */
#ifndef S2A_TEACH_TEACHING_SET_H
#define S2A_TEACH_TEACHING_SET_H

#include "s2a.h"

/* data/labelled/, embedded by the build. */
extern const char labelled_builtin[];
extern const size_t labelled_builtin_len;

typedef enum teaching_label {
    TEACH_NEEDED,
    TEACH_UNRELATED,
    TEACH_OPINION,
    TEACH_ORDER,
    TEACH_EITHER, /* used neither for training nor for the report */
} teaching_label;

typedef struct teaching_piece {
    size_t start, end;
    teaching_label label;
    bool asked;
} teaching_piece;

typedef struct teaching_prompt {
    char *text;
    size_t len;
    bool untrusted;
    size_t context_len; /* length of a separate document; 0 = none */
    unsigned kind;      /* hash of the first half of the kind's name, which similar prompts share */
    teaching_piece *pieces;
    size_t piece_count;
} teaching_prompt;

typedef struct teaching_set {
    teaching_prompt *prompts;
    size_t count, cap;
} teaching_set;

/* where names the text in messages. S2A_INPUT (a wrong line, or no prompts), S2A_LIMIT, S2A_NOMEM.
 * Always call teaching_set_free. */
s2a_status teaching_set_read(const char *where, const char *text, size_t len, teaching_set *out,
                             s2a_error *err);
void teaching_set_free(teaching_set *set);

/* Shuffles the prompts; the order depends on the seed alone. */
void teaching_set_shuffle(teaching_set *set, uint64_t seed);

/* The label of at least three quarters of the labelled bytes in [start, end); TEACH_EITHER if no
 * label has that many. *asked: more than half of them are asked. */
teaching_label teaching_label_of(const teaching_prompt *p, size_t start, size_t end, bool *asked);

#endif
