#include "backend/llama/pattern_cost.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OPEN 3 /* the count of a repetition without upper end */

/* A group, or the whole pattern, as far as it is read. */
typedef struct group {
    uint32_t cost;      /* the cost of its most expensive part */
    bool empty, so_far; /* an earlier alternative may be empty; the current one may */
} group;

typedef struct repetition {
    uint32_t most;
    bool none; /* zero times are allowed */
} repetition;

static uint32_t times(uint32_t a, uint32_t b)
{
    uint64_t product = (uint64_t)a * b;
    return product > UINT32_MAX ? UINT32_MAX : (uint32_t)product;
}

/* "{M}", "{M,}" or "{M,N}". Returns the end of it, or text if it is not a repetition. */
static const char *braces_read(const char *text, repetition *out)
{
    char *end = NULL;
    unsigned long low = strtoul(text + 1, &end, 10), high = low;
    if (end == text + 1 && *end != ',')
        return text;
    if (*end == ',') {
        const char *from = end + 1;
        high = strtoul(from, &end, 10);
        high = end == from ? low + OPEN : high;
    }
    if (*end != '}')
        return text;
    out->most = high > UINT32_MAX ? UINT32_MAX : (uint32_t)high;
    out->none = low == 0;
    return end + 1;
}

static const char *repetition_read(const char *text, repetition *out)
{
    *out = (repetition){ .most = 1 };
    const char *at = text;
    if (*at == '?')
        *out = (repetition){ .most = 1, .none = true };
    else if (*at == '*' || *at == '+')
        *out = (repetition){ .most = OPEN, .none = *at == '*' };
    at = *at == '{' ? braces_read(at, out) : at + (*at && strchr("?*+", *at) != NULL);
    return at > text && *at == '?' ? at + 1 : at; /* not greedy */
}

/* The end of an atom for one character: a class, an escape, a character. */
static const char *atom_end(const char *text)
{
    if (*text == '\\')
        return text + 1 + (text[1] != '\0');
    if (*text != '[')
        return text + 1;
    const char *at = text + 1 + (text[1] == '^');
    at += *at == ']';
    while (*at && *at != ']')
        at += *at == '\\' && at[1] ? 2 : 1;
    return at + (*at == ']');
}

static const char *atom_take(const char *text, uint32_t cost, bool empty, bool is_group, group *in)
{
    repetition r;
    text = repetition_read(text, &r);
    uint32_t most = is_group && empty ? times(r.most, r.most) : r.most;
    cost = times(cost, most > 0 ? most : 1);
    in->cost = cost > in->cost ? cost : in->cost;
    in->so_far &= empty || r.none;
    return text;
}

uint32_t pattern_cost(const char *pattern)
{
    enum { DEPTH = 64 };
    group groups[DEPTH] = { { 1, false, true } };
    size_t depth = 0;
    for (const char *at = pattern; *at;) {
        group *in = &groups[depth];
        if (*at == '(') {
            if (++depth == DEPTH)
                return UINT32_MAX;
            groups[depth] = (group){ 1, false, true };
            at++;
            if (at[0] == '?' && at[1]) /* "(?:", "(?=" and so on */
                at += 2;
        } else if (*at == ')' && depth > 0) {
            group closed = *in;
            depth--;
            at =
                atom_take(at + 1, closed.cost, closed.empty || closed.so_far, true, &groups[depth]);
        } else if (*at == '|') {
            in->empty |= in->so_far;
            in->so_far = true;
            at++;
        } else if (*at == '^' || *at == '$') {
            at++;
        } else {
            at = atom_take(atom_end(at), 1, false, false, in);
        }
    }
    uint32_t most = 1;
    for (size_t i = 0; i <= depth; i++)
        most = groups[i].cost > most ? groups[i].cost : most;
    return most;
}
