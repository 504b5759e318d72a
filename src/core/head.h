/* A head: linear maps from a model's hidden states to a sentence's log-odds, taught on labelled
 * prompts (docs/select.md), and the presets' thresholds. It belongs to one model file. Read-only
 * once loaded, so it is thread-safe.
 *
 * A head's file is text and then numbers:
 *     s2a-head 1
 *     model NAME                         for people
 *     weights ID                         of backend_capabilities, in hexadecimal
 *     width N                            numbers of a hidden state
 *     layers L ...                       from 0, ascending
 *     border auto X opinion X relevance X untrusted X      the presets' thresholds
 *     second auto X opinion X relevance X untrusted X      their second thresholds, not below the
 *                                        first; without this line they are the first
 *     row NAME offset X scale X          for each name of HEAD_ROWS_MAP, in order
 *     unit offset X scale X mix X ...    for each hidden unit, after its form's last row; one mix
 *                                        for each row of the form
 *     an empty line
 *     int16, little-endian: [row or unit, in the order of the lines][layer][last, mean][width]
 *
 * z = offset + scale * (numbers * state), for rows and units. A row's log-odds is its z plus, for
 * each hidden unit of its form, mix * silu(the unit's z). silu(z) = z / (1 + exp(-z)). */
#ifndef S2A_HEAD_H
#define S2A_HEAD_H

#include "backend/backend.h"
#include "base/buf.h"

/* Two forms of the model's input. again: the prompt twice; the second copy's sentences are judged.
 * apart: a question, then the text. Each form has separate rows: log-odds of being needed against
 * unrelated and against an opinion, of saying what to do, of helping with the question, of not
 * being an order. */
#define HEAD_ROWS_MAP(X)                   \
    X(AGAIN, UNRELATED, "again-unrelated") \
    X(AGAIN, OPINION, "again-opinion")     \
    X(AGAIN, ASKED, "again-asked")         \
    X(APART, SUPPORT, "apart-support")     \
    X(APART, ORDER, "apart-order")

typedef enum head_form { HEAD_AGAIN, HEAD_APART, HEAD_FORMS } head_form;

typedef enum head_row {
#define HEAD_ROW_ENUM(form, name, text) HEAD_ROW_##name,
    HEAD_ROWS_MAP(HEAD_ROW_ENUM)
#undef HEAD_ROW_ENUM
        HEAD_ROWS
} head_row;

#define HEAD_LAYERS_MAX 4
#define HEAD_FORM_ROWS_MAX 3
#define HEAD_UNITS_MAX 128 /* hidden units of a form */

/* A unit is removed if its score is below the threshold; in a text with a score below the first
 * threshold, if it is below the second (select_threshold). */
typedef struct head_thresholds {
    double automatic, opinion, relevance, untrusted;
} head_thresholds;

typedef struct head_unit {
    double offset, scale, mix[HEAD_FORM_ROWS_MAX];
} head_unit;

typedef struct judge_head {
    char model[128];
    uint64_t weights_id;
    uint32_t layers[HEAD_LAYERS_MAX];
    size_t layer_count, width;
    head_thresholds thresholds, second;
    double offset[HEAD_ROWS], scale[HEAD_ROWS];
    size_t unit_count[HEAD_FORMS];
    head_unit units[HEAD_FORMS][HEAD_UNITS_MAX];
    float *maps; /* [form][rows, then hidden units][layer][last, mean][width] */
    uint64_t id;
} judge_head;

/* Generated from models/heads/. */
struct head_builtin {
    const char *name;
    const char *data;
    const size_t *len;
};
extern const struct head_builtin heads_builtin[];
extern const size_t heads_builtin_count;

/* Reads the bytes of a file; where: its name in messages. The caller frees *out with head_free.
 * S2A_INPUT (not a head, or another version; the message says what is wrong), S2A_NOMEM. */
s2a_status head_read(const char *where, const char *data, size_t len, judge_head **out,
                     s2a_error *err);

/* Appends the bytes of a file, with numbers rounded to 16 bits. Failures stay in *out. */
void head_write(const judge_head *h, buf *out);

/* Finds the head in the file at path, or with path NULL the built-in one of the backend's model;
 * *out NULL = none. A backend that returns log-odds without hidden states gets one with thresholds
 * 0. S2A_INPUT also if the file's head belongs to another model; S2A_IO, S2A_LIMIT, S2A_NOMEM. */
s2a_status head_find(const backend *b, const char *path, judge_head **out, s2a_error *err);
void head_free(judge_head *h);

/* The rows and hidden units of a form; a backend treats both as rows. Borrowed. */
backend_head head_of_form(const judge_head *h, head_form form);
/* Log-odds of a form's rows, from a backend's values for rows and hidden units; odds may be the
 * same array as told. False if one is not finite. */
bool head_odds(const judge_head *h, head_form form, const double *told, double *odds);
/* Log-odds of needed against unrelated or opinion, from those against each: one softmax of the
 * three. */
double head_needed(double against_unrelated, double against_opinion);
/* How many rows a form has. */
size_t head_row_count(head_form form);

#endif
