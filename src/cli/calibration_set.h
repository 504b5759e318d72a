/* The prompts that `s2a calibrate` judges: data/calibration.jsonl, embedded when the tool is built. A
 * line is {"units": [["needed", "A sentence."], ...]}; the labels are needed, unrelated, opinion and
 * question, and the prompt is the sentences with a space between them. Read-only once it is read. */
#ifndef S2A_CLI_CALIBRATION_SET_H
#define S2A_CLI_CALIBRATION_SET_H

#include "cli/judged.h"
#include "core/calibrate.h"

/* data/calibration.jsonl, written by the build. */
extern const char calibration_builtin[];
extern const size_t calibration_builtin_len;

#define CALIBRATION_SET_MAX_PROMPTS ((size_t)256)
#define CALIBRATION_SET_MAX_PIECES ((size_t)64)  /* of a prompt */
#define CALIBRATION_SET_QUESTION CALIBRATE_KINDS /* a kind beside those that are judged */

typedef struct calibration_piece {
    size_t start, end;
    int kind; /* a calibrate_kind, or CALIBRATION_SET_QUESTION */
} calibration_piece;

typedef struct calibration_prompt {
    char *text;
    size_t len;
    calibration_piece *pieces;
    size_t piece_count;
} calibration_prompt;

typedef struct calibration_set {
    calibration_prompt *prompts;
    size_t count;
} calibration_set;

/* where names the text in messages. S2A_INPUT (the line and what is wrong with it; nothing in it),
 * S2A_LIMIT, S2A_NOMEM. calibration_set_free in any case. */
s2a_status calibration_set_read(const char *where, const char *text, size_t len,
                                calibration_set *out, s2a_error *err);
void calibration_set_free(calibration_set *set);

/* Appends what was said of the units of prompt number index; questions and units that are kept
 * whatever is said of them are left out. units has room for them. A unit is what the piece is in which
 * it begins. */
void calibration_set_take(const calibration_set *set, size_t index, const judged *said,
                          calibrate_unit *units, size_t *count);

#endif
