/* Builds JSON trees. One check at the end finds all failures: a tree that failed once is NULL. */
#ifndef S2A_JSON_TREE_H
#define S2A_JSON_TREE_H

#include <jansson.h>
#include <stddef.h>

/* Sets a key, unless something failed before; takes ownership of value. On failure, also if value
 * is NULL, *object is freed and NULL. */
void tree_put(json_t **object, const char *key, json_t *value);
/* Appends to a list likewise. */
void tree_append(json_t **list, json_t *value);
/* A list of one; takes ownership of value. */
json_t *tree_list_of(json_t *value);
/* A string, or null for NULL. Bytes that are not UTF-8 (they come from file names and from servers)
 * become U+FFFD. */
json_t *tree_text(const char *text, size_t len);
json_t *tree_name(const char *text);

#endif
