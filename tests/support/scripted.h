/* An engine on the script backend, from a string. */
#ifndef TESTS_SCRIPTED_H
#define TESTS_SCRIPTED_H

#include "s2a.h"

/* Writes the records to a temporary file, opens the engine and deletes the file. Fails the
 * running test on any error. */
s2a_engine *scripted_engine(const char *records);

/* The same, with options whose backend and model are filled in here. */
s2a_engine *scripted_engine_with(const char *records, s2a_engine_options options);

/* A request on text, greedy. */
s2a_request *scripted_request(const char *text);

/* The path of a new temporary file that holds text; unlink and free it. */
char *temporary_file(const char *text, size_t len);

#endif
