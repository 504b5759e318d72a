#include "cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *read_all(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s: cannot be opened (tests run in the repository's root)", path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *data = malloc((size_t)size + 1);
    assert_non_null(data);
    *len = fread(data, 1, (size_t)size, file);
    data[*len] = '\0';
    fclose(file);
    return data;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void value_set(case_field *field, const char *from, const char *to)
{
    while (to > from && to[-1] == '\n')
        to--;
    field->value = malloc((size_t)(to - from) + 1);
    assert_non_null(field->value);
    for (; from < to; from++) {
        if (to - from >= 4 && from[0] == '\\' && from[1] == 'x' && hex(from[2]) >= 0 &&
            hex(from[3]) >= 0) {
            field->value[field->len++] = (char)(hex(from[2]) * 16 + hex(from[3]));
            from += 3;
        } else {
            field->value[field->len++] = *from;
        }
    }
    field->value[field->len] = '\0';
}

static char *copy(const char *from, const char *to)
{
    char *text = malloc((size_t)(to - from) + 1);
    assert_non_null(text);
    memcpy(text, from, (size_t)(to - from));
    text[to - from] = '\0';
    return text;
}

case_file cases_read(const char *path)
{
    case_file file = { NULL, 0 };
    size_t len = 0;
    char *data = read_all(path, &len), *end = data + len;
    case_field *open = NULL;
    const char *value = NULL;
    for (char *line = data; line < end;) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        char *line_end = newline ? newline : end, *next = newline ? newline + 1 : end;
        int is_case = !strncmp(line, "=== ", 4), is_field = !strncmp(line, "--- ", 4);
        if ((is_case || (is_field && file.count > 0)) && open) {
            value_set(open, value, line);
            open = NULL;
        }
        if (is_case) {
            file.cases = realloc(file.cases, (file.count + 1) * sizeof *file.cases);
            assert_non_null(file.cases);
            memset(&file.cases[file.count], 0, sizeof *file.cases);
            file.cases[file.count++].name = copy(line + 4, line_end);
        } else if (is_field && file.count > 0) {
            test_case *c = &file.cases[file.count - 1];
            if (c->count == sizeof c->fields / sizeof c->fields[0])
                fail_msg("%s: case %s has too many fields", path, c->name);
            case_field *field = &c->fields[c->count++];
            char *colon = memchr(line, ':', (size_t)(line_end - line));
            field->name = copy(line + 4, colon ? colon : line_end);
            if (colon) {
                char *from = colon + 1 < line_end && colon[1] == ' ' ? colon + 2 : colon + 1;
                value_set(field, from, line_end);
            } else {
                open = field;
                value = next;
            }
        }
        line = next;
    }
    if (open)
        value_set(open, value, end);
    free(data);
    if (file.count == 0)
        fail_msg("%s: holds no case", path);
    return file;
}

void cases_free(case_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        test_case *c = &file->cases[i];
        for (size_t k = 0; k < c->count; k++) {
            free(c->fields[k].name);
            free(c->fields[k].value);
        }
        free(c->name);
    }
    free(file->cases);
}

const case_field *case_get(const test_case *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (!strcmp(c->fields[i].name, name))
            return &c->fields[i];
    return NULL;
}

const char *case_text(const test_case *c, const char *name)
{
    const case_field *field = case_get(c, name);
    return field ? field->value : NULL;
}
