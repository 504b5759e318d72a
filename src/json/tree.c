#include "json/tree.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <string.h>

void tree_put(json_t **object, const char *key, json_t *value)
{
    if (!*object) {
        json_decref(value);
    } else if (json_object_set_new(*object, key, value) != 0) { /* also when value is NULL */
        json_decref(*object);
        *object = NULL;
    }
}

void tree_append(json_t **list, json_t *value)
{
    if (!*list) {
        json_decref(value);
    } else if (json_array_append_new(*list, value) != 0) {
        json_decref(*list);
        *list = NULL;
    }
}

json_t *tree_list_of(json_t *value)
{
    json_t *list = json_array();
    tree_append(&list, value);
    return list;
}

json_t *tree_text(const char *text, size_t len)
{
    if (!text)
        return json_null();
    json_t *string = json_stringn(text, len);
    if (string || utf8_valid_prefix(text, len) == len)
        return string;
    buf fixed;
    buf_init(&fixed, LIMIT_NONE);
    utf8_repair(&fixed, text, len);
    if (fixed.status == S2A_OK)
        string = json_stringn(fixed.data, fixed.len);
    buf_free(&fixed);
    return string;
}

json_t *tree_name(const char *text)
{
    return tree_text(text, text ? strlen(text) : 0);
}
