#include "chat_template.h"

#include "base/ascii.h"

#include <stdlib.h>
#include <string.h>

#define OPEN "<|im_start|>system"
#define CLOSE "<|im_end|>"
#define STAND_IN_OPEN CHAT_STAND_IN
#define STAND_IN_CLOSE "qx"
#define ESCAPED_TAB "\\u000" /* a vertical tab in JSON, without its last digit */

/* Reads a message from at, which follows the opening and its line break, up to the closing marker.
 * quote is the quotation mark of the Jinja string around it; 0 = either of the two; '\n' = none:
 * the template contains the text verbatim. False if the literal ends, or an expression begins,
 * before the closing marker: then the literal is not the whole message. */
static bool read_literal(const char *at, char quote, buf *out)
{
    size_t start = out->len;
    for (; *at; at++) {
        if (strncmp(at, CLOSE, strlen(CLOSE)) == 0)
            return true;
        char c = *at;
        bool ends = quote == '\n' ? c == '{' : quote ? c == quote : c == '\'' || c == '"';
        if (ends)
            break;
        if (quote != '\n' && c == '\\' && at[1]) {
            at++;
            c = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at == 'r' ? '\r' : *at;
        }
        buf_add(out, &c, 1);
    }
    out->len = start;
    if (out->data)
        out->data[start] = '\0';
    return false;
}

bool chat_template_default_system(const char *text, buf *out)
{
    const char *at = text;
    while ((at = strstr(at, OPEN)) != NULL) {
        char before = at > text ? at[-1] : '\n';
        at += strlen(OPEN);
        if (at[0] == '\\' && at[1] == 'n') {
            if (read_literal(at + 2, before == '\'' || before == '"' ? before : 0, out))
                return true;
        } else if (at[0] == '\n') {
            if (read_literal(at + 1, '\n', out))
                return true;
        }
    }
    return false;
}

void chat_template_stand_in(buf *out, size_t index)
{
    buf_addf(out, "\v" STAND_IN_OPEN "%zu" STAND_IN_CLOSE "\v", index);
}

void chat_template_stand_in_bare(buf *out, size_t index)
{
    buf_addf(out, STAND_IN_OPEN "%zu" STAND_IN_CLOSE, index);
}

static bool escaped_tab(const char *text)
{
    size_t n = strlen(ESCAPED_TAB);
    return memcmp(text, ESCAPED_TAB, n) == 0 && ascii_lower(text[n]) == 'b';
}

/* A template that writes a content as JSON also escapes the tabs around its placeholder. */
static void escaped_take(const char *text, size_t len, chat_place *place)
{
    size_t n = strlen(ESCAPED_TAB) + 1;
    if (place->start < n || len - place->end < n || !escaped_tab(text + place->start - n) ||
        !escaped_tab(text + place->end))
        return;
    place->escaped = true;
    place->start -= n;
    place->end += n;
    place->trim_left = place->trim_right = false;
}

/* The end of the stand-in whose opening ends at i, or 0. */
static size_t stand_in_end(const char *text, size_t len, size_t i, size_t *index)
{
    size_t first = i;
    *index = 0;
    for (; i < len && ascii_digit(text[i]) && i - first < 9; i++)
        *index = *index * 10 + (size_t)(text[i] - '0');
    size_t close = strlen(STAND_IN_CLOSE);
    if (i == first || len - i < close || memcmp(text + i, STAND_IN_CLOSE, close) != 0)
        return 0;
    return i + close;
}

bool chat_template_places(const char *text, size_t len, chat_place **places, size_t *count)
{
    void *items = NULL;
    size_t cap = 0, n = 0, open = strlen(STAND_IN_OPEN);
    size_t taken = 0; /* a tab between two stand-ins belongs to the first */
    const char *at = text;
    while ((at = memmem(at, len - (size_t)(at - text), STAND_IN_OPEN, open)) != NULL) {
        chat_place place = { .start = (size_t)(at - text) };
        at += open;
        place.end = stand_in_end(text, len, (size_t)(at - text), &place.index);
        if (place.end == 0)
            continue;
        if (!array_reserve(&items, &cap, n + 1, sizeof place)) {
            free(items);
            return false;
        }
        place.trim_left = place.start == taken || text[place.start - 1] != '\v';
        place.trim_right = place.end == len || text[place.end] != '\v';
        place.start -= !place.trim_left;
        place.end += !place.trim_right;
        escaped_take(text, len, &place);
        ((chat_place *)items)[n++] = place;
        taken = place.end;
        at = text + place.end;
    }
    *places = items;
    *count = n;
    return true;
}
