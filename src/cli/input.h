/* Fills a request from the user's input: texts, files, standard input, OpenAI messages. One
 * thread. */
#ifndef S2A_CLI_INPUT_H
#define S2A_CLI_INPUT_H

#include "base/buf.h"
#include "cli/options.h"

#include <jansson.h>

/* Sets the prompt that the options name (text, parts or messages). S2A_IO, S2A_INPUT, S2A_LIMIT,
 * S2A_ARGUMENT (roles), S2A_NOMEM. */
s2a_status input_from_options(const options *o, s2a_request *request, s2a_error *err);

/* A file's text, or that of standard input for "-", appended. S2A_IO, S2A_INPUT (not UTF-8),
 * S2A_LIMIT (of one text), S2A_NOMEM. If *out's own limit is exceeded, only out->status says so. */
s2a_status input_add_file(const char *path, buf *out, s2a_error *err);

/* The same as input_from_options from one line of --jsonl: {"text"} or {"context","question"} or
 * {"messages"}, and "protect" and "protect_lines", which are added to what the request protects
 * already. Ignores other keys. Replaces messages that are already in the request. */
s2a_status input_from_json(const json_t *line, s2a_request *request, s2a_error *err);

/* Parses JSON; what is the name of the text in messages. NULL with *err filled (S2A_INPUT with the
 * byte, S2A_NOMEM). Errors name the column, and the line if the text has several. */
json_t *input_parse_json(const char *what, const char *text, size_t len, s2a_error *err);

#endif
