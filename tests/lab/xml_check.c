#include "xml_check.h"

#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DEPTH_MAX 64

typedef struct reader {
    const char *text;
    size_t len, at;
    const char *open[DEPTH_MAX]; /* names of open elements */
    size_t open_len[DEPTH_MAX], depth, roots;
} reader;

static void wrong(const reader *r, const char *what)
{
    fail_msg("not XML at byte %zu: %s: %.60s", r->at, what, r->text + r->at);
}

static size_t name_length(const reader *r)
{
    size_t n = strspn(r->text + r->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789:_-.");
    if (n == 0)
        wrong(r, "no name");
    return n;
}

/* At '&'. */
static void entity(reader *r)
{
    static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&apos;" };
    size_t n = strcspn(r->text + r->at, ";") + 1;
    bool good = n > 3 && n < 12 && r->text[r->at + 1] == '#';
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        good = good || (strlen(known[i]) == n && !memcmp(known[i], r->text + r->at, n));
    if (!good)
        wrong(r, "entity");
    r->at += n;
}

static void spaces(reader *r)
{
    r->at += strspn(r->text + r->at, " \t\r\n");
}

static void attributes(reader *r)
{
    for (spaces(r); strchr("/>?", r->text[r->at]) == NULL; spaces(r)) {
        r->at += name_length(r);
        if (r->text[r->at] != '=' || r->text[r->at + 1] != '"')
            wrong(r, "attribute without =\"");
        r->at += 2;
        while (r->text[r->at] != '"') {
            if (r->at >= r->len || r->text[r->at] == '<')
                wrong(r, "attribute's value");
            if (r->text[r->at] == '&')
                entity(r);
            else
                r->at++;
        }
        r->at++;
    }
}

static void end_tag(reader *r)
{
    r->at += 2;
    size_t n = name_length(r);
    if (r->depth == 0 || r->open_len[r->depth - 1] != n ||
        memcmp(r->open[r->depth - 1], r->text + r->at, n) != 0)
        wrong(r, "end tag without its start");
    r->depth--;
    r->at += n;
    spaces(r);
    if (r->text[r->at++] != '>')
        wrong(r, "end tag");
}

/* 1 when the element is named name. */
static size_t start_tag(reader *r, const char *name)
{
    r->at++;
    size_t n = name_length(r), hit = strlen(name) == n && !memcmp(name, r->text + r->at, n);
    if (r->depth == 0 && r->roots++ > 0)
        wrong(r, "second root");
    if (r->depth == DEPTH_MAX)
        wrong(r, "too deep");
    r->open[r->depth] = r->text + r->at;
    r->open_len[r->depth++] = n;
    r->at += n;
    attributes(r);
    if (r->text[r->at] == '/') {
        r->at++;
        r->depth--;
    }
    if (r->text[r->at++] != '>')
        wrong(r, "start tag");
    return hit;
}

size_t xml_check(const char *text, size_t len, const char *name)
{
    reader r = { .text = text, .len = len };
    size_t hits = 0;
    assert_int_equal(strlen(text), len);
    assert_int_equal(utf8_valid_prefix(text, len), len);
    while (r.at < len) {
        if (!strncmp(text + r.at, "<?", 2)) {
            r.at += 2;
            r.at += name_length(&r);
            attributes(&r);
            r.at += 2;
        } else if (!strncmp(text + r.at, "</", 2)) {
            end_tag(&r);
        } else if (text[r.at] == '<') {
            hits += start_tag(&r, name);
        } else if (text[r.at] == '&') {
            entity(&r);
        } else {
            unsigned char c = (unsigned char)text[r.at];
            if ((c < 0x20 && !strchr("\t\r\n", c)) || (r.depth == 0 && c > 0x20))
                wrong(&r, "character");
            r.at++;
        }
    }
    if (r.depth != 0 || r.roots != 1)
        wrong(&r, "elements left open");
    return hits;
}
