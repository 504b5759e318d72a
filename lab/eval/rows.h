/* Between the readers of rows: fields, and the parts of an item. Each reader fills *item, which its caller frees;
 * a row that is bad gives S2A_INPUT and sink->fault, one of another task sink->other. */
#ifndef S2A_EVAL_ROWS_H
#define S2A_EVAL_ROWS_H

#include "eval/data.h"

/* ---- fields ----------------------------------------------------------------------------- */

/* Says in sink->fault what is wrong with the field; S2A_INPUT. */
s2a_status rows_bad(eval_row_sink *sink, s2a_error *err, const char *what, const char *field);

/* A string that is not blank and has no NUL; NULL otherwise. */
const char *rows_string(const json_t *value);
const char *rows_field(const json_t *row, const char *name);

/* malloc'ed. */
char *rows_copy(const char *text);
/* Of [text, text + *len) what is left without white space at its ends. */
const char *rows_trim(const char *text, size_t *len);

/* ---- parts of an item: copies ------------------------------------------------------------- */

/* x and oracle only where the item has none yet. False when out of memory. */
bool rows_texts(eval_item *item, const char *group, const char *x, const char *oracle);
/* The row's own "id" or "_id" with the suffix, or one made from the text. */
s2a_status rows_name(eval_item *item, const json_t *row, const char *text, const char *suffix, s2a_error *err);
/* The same with the value of the id; neither a text nor a whole number: one made from the text. */
s2a_status rows_name_as(eval_item *item, const json_t *id, const char *text, const char *suffix, s2a_error *err);
s2a_status rows_aliases(eval_item *item, const char *const *texts, size_t count, s2a_error *err);
s2a_status rows_pieces(eval_item *item, const eval_piece *pieces, size_t count, s2a_error *err);

/* ---- readers in files of their own -------------------------------------------------------- */

s2a_status rows_injection(eval_row_sink *sink, const json_t *row, s2a_error *err);
s2a_status rows_ordinary(eval_row_sink *sink, const json_t *row, eval_item *item, s2a_error *err);
s2a_status rows_prune(eval_row_sink *sink, const json_t *row, eval_item *item, s2a_error *err);
s2a_status rows_labelled(eval_row_sink *sink, const json_t *row, eval_item *item, s2a_error *err);

/* HotpotQA's rows: paragraphs, of whose sentences those are needed that support the answer. */
s2a_status rows_paragraphs(eval_row_sink *sink, const json_t *row, const char *group, eval_item *item,
                           s2a_error *err);

#endif
