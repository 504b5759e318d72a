/* Items of an evaluation, read from a text in place of a file. */
#ifndef S2A_TEST_EVAL_ITEMS_H
#define S2A_TEST_EVAL_ITEMS_H

#include "eval/data.h"

/* options: all but the path. Fails the test where the text is not read. The caller frees it,
 * eval_data_free. */
eval_data eval_items_read(eval_data_options options, const char *text);

/* The text of the pieces with that label, joined by '|'; pieces must not overlap. Good until the
 * next call. */
const char *eval_item_pieces(const eval_item *item, eval_label label);

#endif
