/* Shared by the readers of rows: fields, and the parts of an item. Each reader fills *item, which
 * its caller frees. A bad row gives S2A_INPUT and sink->fault; a row of another task gives
 * sink->other. */
#ifndef S2A_EVAL_ROWS_H
#define S2A_EVAL_ROWS_H

#include "eval/data.h"

/* ---- fields ----------------------------------------------------------------------------- */

/* Sets sink->fault to the fault of the field and returns S2A_INPUT. */
s2a_status rows_bad(eval_row_sink *sink, s2a_error *err, const char *what, const char *field);

/* The string, if it is not blank and has no NUL; otherwise NULL. */
const char *rows_string(const json_t *value);
const char *rows_field(const json_t *row, const char *name);

/* malloc'ed. */
char *rows_copy(const char *text);
/* Trims white space at both ends of [text, text + *len): returns the new start, shortens *len. */
const char *rows_trim(const char *text, size_t *len);

/* ---- parts of an item: copies ------------------------------------------------------------- */

/* Sets the group, and x and oracle if the item has none yet. False when out of memory. */
bool rows_texts(eval_item *item, const char *group, const char *x, const char *oracle);
/* Sets the id: the row's "id" or "_id" with the suffix, or else one made from the text. */
s2a_status rows_name(eval_item *item, const json_t *row, const char *text, const char *suffix,
                     s2a_error *err);
/* The same from the value of an id; if that is neither a string nor an integer, one from the
 * text. */
s2a_status rows_name_as(eval_item *item, const json_t *id, const char *text, const char *suffix,
                        s2a_error *err);
s2a_status rows_aliases(eval_item *item, const char *const *texts, size_t count, s2a_error *err);
s2a_status rows_pieces(eval_item *item, const eval_piece *pieces, size_t count, s2a_error *err);

/* ---- readers in files of their own -------------------------------------------------------- */

s2a_status rows_injection(eval_row_sink *sink, const json_t *row, s2a_error *err);
s2a_status rows_ordinary(eval_row_sink *sink, const json_t *row, eval_item *item, s2a_error *err);
s2a_status rows_prune(eval_row_sink *sink, const json_t *row, eval_item *item, s2a_error *err);
s2a_status rows_labelled(eval_row_sink *sink, const json_t *row, eval_item *item, s2a_error *err);

/* HotpotQA's rows: paragraphs; the sentences that support the answer are needed. */
s2a_status rows_paragraphs(eval_row_sink *sink, const json_t *row, const char *group,
                           eval_item *item, s2a_error *err);

#endif
