/* Test cases as text. A file holds cases; each begins with a line "=== NAME" and has fields that
 * begin with lines "--- FIELD". A field's value is the lines up to the next such line, joined by
 * newlines, without the last newline; "--- FIELD: VALUE" gives a one-line value. In values "\x41"
 * stands for a byte by its hexadecimal number. Text before the first case is comment. */
#ifndef TESTS_CASES_H
#define TESTS_CASES_H

#include <stddef.h>

typedef struct case_field {
    char *name, *value;
    size_t len;
} case_field;

typedef struct test_case {
    char *name;
    case_field fields[16];
    size_t count;
} test_case;

typedef struct case_file {
    test_case *cases;
    size_t count;
} case_file;

/* Fails the running test (cmocka) when the file cannot be read or is malformed. */
case_file cases_read(const char *path);
void cases_free(case_file *file);

/* The field's value, or NULL when the case has none. */
const case_field *case_get(const test_case *c, const char *name);
const char *case_text(const test_case *c, const char *name);

#endif
