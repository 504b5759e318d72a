/* From what the user gave to a request: texts, files, standard input, OpenAI messages. One
 * thread. */
#ifndef S2A_CLI_INPUT_H
#define S2A_CLI_INPUT_H

#include "cli/options.h"

#include <jansson.h>

/* Puts the prompt that the options name (text, parts or messages) into the request. S2A_IO,
 * S2A_INPUT, S2A_LIMIT, S2A_ARGUMENT (roles), S2A_NOMEM. */
s2a_status input_from_options(const options *o, s2a_request *request, s2a_error *err);

/* The same from one line of --jsonl: {"text"} or {"context","question"} or {"messages"}; with "protect"
 * and "protect_lines", which come to what the request protects already. Other keys are let be. Messages already
 * in the request are replaced. */
s2a_status input_from_json(const json_t *line, s2a_request *request, s2a_error *err);

/* JSON text to a value; what names the text in messages. NULL with *err filled (S2A_INPUT with the
 * byte, S2A_NOMEM). One line: errors name a column; several: line and column. */
json_t *input_parse_json(const char *what, const char *text, size_t len, s2a_error *err);

#endif
