/* The parser of step 1 against tests/cases/parse.txt, and over every prefix of every case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"
#include "core/parse.h"

static bool same(const char *got, s2a_span span, const char *want)
{
    size_t len = span.end - span.start;
    return len == strlen(want) && !memcmp(got + span.start, want, len);
}

static void test_cases(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/parse.txt");
    assert_true(file.count >= 60);
    int failed = 0;
    for (size_t i = 0; i < file.count; i++) {
        const test_case *c = &file.cases[i];
        const case_field *text = case_get(c, "text");
        const char *form = case_text(c, "form");
        const char *context = case_text(c, "context"), *question = case_text(c, "question");
        if (!text || !context || !question)
            fail_msg("case %s lacks text, context or question", c->name);
        parse_parts parts;
        s2a_status status = parse_rewrite(
            text->value, text->len, form && !strcmp(form, "whole") ? PARSE_WHOLE : PARSE_SPLIT,
            NULL, &parts, NULL);
        assert_int_equal(status, S2A_OK);
        if (same(text->value, parts.context, context) &&
            same(text->value, parts.question, question))
            continue;
        failed++;
        fprintf(stderr,
                "case %s\n  context  want [%s]\n           got  [%.*s]\n"
                "  question want [%s]\n           got  [%.*s]\n",
                c->name, context, (int)(parts.context.end - parts.context.start),
                text->value + parts.context.start, question,
                (int)(parts.question.end - parts.question.start),
                text->value + parts.question.start);
    }
    cases_free(&file);
    assert_int_equal(failed, 0);
}

/* A stream may stop anywhere: whatever was written so far must parse into spans of the text. */
static void test_prefixes(void **state)
{
    (void)state;
    case_file file = cases_read("tests/cases/parse.txt");
    for (size_t i = 0; i < file.count; i++) {
        const case_field *text = case_get(&file.cases[i], "text");
        for (size_t len = 0; len <= text->len; len++) {
            for (int form = PARSE_SPLIT; form <= PARSE_WHOLE; form++) {
                /* An exact copy, so that a read past the end is seen by the sanitizer. */
                char *copy = malloc(len > 0 ? len : 1);
                assert_non_null(copy);
                memcpy(copy, text->value, len);
                parse_parts p;
                assert_int_equal(parse_rewrite(copy, len, (parse_form)form, NULL, &p, NULL),
                                 S2A_OK);
                assert_true(p.context.start <= p.context.end && p.context.end <= len);
                assert_true(p.question.start <= p.question.end && p.question.end <= len);
                if (form == PARSE_WHOLE)
                    assert_true(p.question.start == p.question.end);
                free(copy);
            }
        }
    }
    cases_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
