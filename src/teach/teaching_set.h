/* The labelled prompts that `s2a calibrate` teaches with: data/labelled/, our own, embedded when the tool is
 * built. A line is a prompt, sentence by sentence; data/labelled/README.md has the form. Read-only once it is
 * read. */
#ifndef S2A_TEACH_TEACHING_SET_H
#define S2A_TEACH_TEACHING_SET_H

#include "s2a.h"

/* data/labelled/, written by the build. */
extern const char labelled_builtin[];
extern const size_t labelled_builtin_len;

typedef enum teaching_label {
    TEACH_NEEDED,
    TEACH_UNRELATED,
    TEACH_OPINION,
    TEACH_ORDER,
    TEACH_EITHER, /* neither taught nor counted */
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
    size_t context_len; /* of a document given apart; 0 = none */
    unsigned kind;      /* a hash of the first half of its kind's name: prompts alike have it in common */
    teaching_piece *pieces;
    size_t piece_count;
} teaching_prompt;

typedef struct teaching_set {
    teaching_prompt *prompts;
    size_t count, cap;
} teaching_set;

/* where names the text in messages. S2A_INPUT (the line and what is wrong with it; nothing in it), S2A_LIMIT,
 * S2A_NOMEM. teaching_set_free in any case. */
s2a_status teaching_set_read(const char *where, const char *text, size_t len, teaching_set *out,
                             s2a_error *err);
void teaching_set_free(teaching_set *set);

/* Into another order, the same for the same seed. */
void teaching_set_shuffle(teaching_set *set, uint64_t seed);

/* What the bytes [start, end) of a prompt are: the label of most of them; EITHER where a needed piece and
 * another share them. */
teaching_label teaching_label_of(const teaching_prompt *p, size_t start, size_t end, bool *asked);

#endif
