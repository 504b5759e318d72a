/* What a model's hidden states say of a sentence: linear maps that were taught on labelled prompts
 * (docs/select.md), and what log-odds go with a cut. A head belongs to one model file. Read-only
 * once it is there, hence thread-safe.
 *
 * In a file it is text and then numbers:
 *     s2a-head 1
 *     model NAME                            for people
 *     weights ID                            of backend_capabilities, in hexadecimal
 *     width N                               numbers of a hidden state
 *     layers L ...                          from 0, ascending
 *     border auto X opinion X relevance X untrusted X     what is scored below it goes
 *     row NAME offset X scale X             for each name of HEAD_ROWS_MAP, in their order; behind
 * the last unit offset X scale X mix X ...         of a form its hidden units, if it has any, with
 * a number for each row (an empty line) int16, little-endian: [row or unit, as the lines
 * are][layer][last, mean][width] A row's log-odds is the sum of offset + scale * (numbers * state)
 * and of mix * silu(the same of a unit) for each hidden unit of its form; silu(z) = z / (1 +
 * exp(-z)). */
#ifndef S2A_HEAD_H
#define S2A_HEAD_H

#include "backend/backend.h"
#include "base/buf.h"

/* Two ways to read: again, the prompt and then the prompt once more, whose sentences are judged;
 * and apart, a question and then the text. Each has rows of its own. Log-odds of being needed,
 * against unrelated and against an opinion; of saying what is asked; of helping with the question;
 * of being no order. */
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
#define HEAD_UNITS_MAX 128 /* of a form */

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
    head_thresholds thresholds;
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

/* From the bytes of a file; where names it in messages. *out is the caller's, head_free. S2A_INPUT
 * (not a head, or one of another version: what is wrong), S2A_NOMEM. */
s2a_status head_read(const char *where, const char *data, size_t len, judge_head **out,
                     s2a_error *err);

/* Appends the bytes of a file. Numbers lose what 16 bits cannot hold. Failures stay in *out. */
void head_write(const judge_head *h, buf *out);

/* The one in the file at path if that is not NULL, else the built-in one of the model behind the
 * backend; *out NULL = there is none. For backends that tell rows by themselves, one whose
 * thresholds are 0. S2A_INPUT also where the file's head is of another model; S2A_IO, S2A_LIMIT,
 * S2A_NOMEM. */
s2a_status head_find(const backend *b, const char *path, judge_head **out, s2a_error *err);
void head_free(judge_head *h);

/* The rows and hidden units of a form, all rows to a backend; borrowed. */
backend_head head_of_form(const judge_head *h, head_form form);
/* Log-odds of the rows of a form, from what a backend told of rows and hidden units; odds may be
 * told. False when they are no numbers. */
bool head_odds(const judge_head *h, head_form form, const double *told, double *odds);
/* Log-odds of being needed from those against either thing that a sentence may be instead: as if
 * the three shared one softmax. */
double head_needed(double against_unrelated, double against_opinion);
/* How many rows a form has. */
size_t head_row_count(head_form form);

#endif
