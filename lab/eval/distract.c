#include "eval/distract.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "core/segment.h"
#include "eval/stats.h"

#include <stdlib.h>
#include <string.h>

static const char *const in_topic[] = { "The height of {role} is {number} feet.",
                                        "{role} bought {number} newspapers." };
static const char *const off_topic[] = { "{role} is {number} years old.",
                                         "The shoe size of {role} is {number}.",
                                         "The turtle of {role} weighs {number} pounds." };

/* Names for roles that do not overlap with the problem. */
static const char *const names[] = { "Emma", "Oliver", "Sophia", "Liam",   "Ava",    "Noah",
                                     "Mia",  "Lucas",  "Zoe",    "Ethan",  "Chloe",  "Mason",
                                     "Ruby", "Logan",  "Hazel",  "Jacob",  "Ella",   "Owen",
                                     "Nora", "Caleb",  "Ivy",    "Julian", "Stella", "Felix" };
/* Relations of somebody who is in the problem, as in "Jewel's neighbor". */
static const char *const relations[] = { "neighbor", "father", "mother",  "sister",
                                         "brother",  "cousin", "teacher", "uncle" };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NUMBER_MAX 1e15 /* longer ones are account numbers and the like: no range to be in */

typedef struct problem {
    const char *text;
    size_t len;
    segment_unit *units;
    size_t unit_count;
    s2a_span who[8]; /* names in it */
    size_t who_count;
    double low, high; /* of its numbers */
} problem;

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Capitalised words that do not begin a sentence are taken for names; with none, sentence starts
 * that are not common words. */
static void names_find(problem *p)
{
    static const char *const common[] = { "a",     "the",       "he",   "she",   "it",   "they",
                                          "if",    "there",     "in",   "on",    "at",   "each",
                                          "every", "how",       "what", "his",   "her",  "their",
                                          "this",  "one",       "two",  "three", "four", "five",
                                          "an",    "after",     "when", "for",   "of",   "some",
                                          "i",     "we",        "you",  "to",    "then", "during",
                                          "today", "yesterday", "last", "all",   "half", "twice" };
    for (size_t pass = 0; pass < 2 && p->who_count == 0; pass++) {
        for (size_t i = 0; i < p->len && p->who_count < COUNT(p->who); i++) {
            if (!is_upper(p->text[i]) || (i > 0 && ascii_letter(p->text[i - 1])))
                continue;
            size_t end = i;
            while (end < p->len && ascii_letter(p->text[end]))
                end++;
            size_t before = i;
            while (before > 0 && p->text[before - 1] == ' ')
                before--;
            bool starts = before == 0 || memchr(".?!\n\"", p->text[before - 1], 5) != NULL;
            bool known = end - i < 2;
            for (size_t k = 0; k < COUNT(common) && !known; k++)
                known = strlen(common[k]) == end - i &&
                        ascii_prefix(p->text + i, end - i, common[k]) == end - i;
            if (!known && (pass == 1 || !starts))
                p->who[p->who_count++] = (s2a_span){ i, end };
            i = end;
        }
    }
}

static void numbers_find(problem *p)
{
    p->low = 1e18;
    p->high = 0;
    for (size_t i = 0; i < p->len; i++) {
        if (!ascii_digit(p->text[i]))
            continue;
        double value = 0;
        for (; i < p->len && (ascii_digit(p->text[i]) || p->text[i] == ','); i++)
            if (p->text[i] != ',')
                value = value * 10 + (p->text[i] - '0');
        if (value > NUMBER_MAX)
            continue;
        p->low = value < p->low ? value : p->low;
        p->high = value > p->high ? value : p->high;
    }
    if (p->low > p->high)
        p->low = p->high = 10;
}

static uint64_t number_pick(const problem *p, bool in_range, stats_rng *rng)
{
    uint64_t low = p->low < 2 ? 2 : (uint64_t)p->low, high = (uint64_t)p->high;
    if (high > 1000000)
        high = 1000000;
    if (high < low + 4)
        high = low + 4;
    if (in_range)
        return low + stats_rng_below(rng, high - low + 1);
    return high * 10 + 100 * (1 + stats_rng_below(rng, 9));
}

static bool contains(const problem *p, const char *word)
{
    return memmem(p->text, p->len, word, strlen(word)) != NULL;
}

static void role_pick(const problem *p, bool overlapped, stats_rng *rng, buf *out)
{
    if (overlapped && p->who_count > 0) {
        s2a_span who = p->who[stats_rng_below(rng, p->who_count)];
        buf_add(out, p->text + who.start, who.end - who.start);
        buf_addf(out, "'s %s", relations[stats_rng_below(rng, COUNT(relations))]);
        return;
    }
    const char *name = names[stats_rng_below(rng, COUNT(names))];
    for (size_t tries = 0; contains(p, name) && tries < 100; tries++)
        name = names[stats_rng_below(rng, COUNT(names))];
    buf_adds(out, name);
}

/* {role} and {number} replaced. */
static void sentence_fill(const char *template, const char *role, uint64_t number, buf *out)
{
    for (const char *p = template; *p;) {
        if (!strncmp(p, "{role}", 6)) {
            buf_adds(out, role);
            p += 6;
        } else if (!strncmp(p, "{number}", 8)) {
            buf_addf(out, "%llu", (unsigned long long)number);
            p += 8;
        } else {
            buf_add(out, p++, 1);
        }
    }
}

static s2a_status sentences_build(const problem *p, const distract_spec *spec, buf *out)
{
    stats_rng rng;
    stats_rng_seed(&rng, spec->seed);
    buf role, one;
    buf_init(&role, 4096);
    buf_init(&one, 4096);
    for (int i = 0; i < spec->k; i++) {
        for (int tries = 0; tries < 50; tries++) {
            uint64_t bits = stats_rng_next(&rng);
            const char *template = spec->in_topic ? in_topic[(bits >> 8) % COUNT(in_topic)]
                                                  : off_topic[(bits >> 8) % COUNT(off_topic)];
            buf_reset(&role);
            buf_reset(&one);
            role_pick(p, (bits & 1) != 0, &rng, &role);
            if (role.status == S2A_OK)
                sentence_fill(template, role.data, number_pick(p, (bits & 2) != 0, &rng), &one);
            if (one.status != S2A_OK || role.status != S2A_OK ||
                !memmem(out->data ? out->data : "", out->len, one.data, one.len))
                break; /* no sentence twice */
        }
        if (i > 0)
            buf_adds(out, " ");
        buf_add(out, one.data ? one.data : "", one.len);
    }
    s2a_status status = role.status != S2A_OK ? role.status : one.status;
    buf_free(&role);
    buf_free(&one);
    return status != S2A_OK ? status : out->status;
}

s2a_status distract_build(const char *text, const distract_spec *spec, eval_item *item,
                          s2a_error *err)
{
    problem p = { .text = text };
    while (ascii_space(*p.text))
        p.text++;
    p.len = strlen(p.text);
    while (p.len > 0 && ascii_space(p.text[p.len - 1]))
        p.len--;
    s2a_status status = segment_text(p.text, p.len, NULL, &p.units, &p.unit_count, err);
    if (status != S2A_OK)
        return status;
    if (p.unit_count < 2) {
        free(p.units);
        return error_set(err, S2A_INPUT, "question: it has one sentence only");
    }
    size_t at = p.units[p.unit_count - 1].start, before = p.units[p.unit_count - 2].text_end;
    free(p.units);
    names_find(&p);
    numbers_find(&p);
    buf x, added;
    buf_init(&x, LIMIT_INPUT_BYTES);
    buf_init(&added, LIMIT_INPUT_BYTES);
    status = sentences_build(&p, spec, &added);
    buf_add(&x, p.text, before);
    buf_adds(&x, " ");
    size_t start = x.len;
    buf_add(&x, added.data ? added.data : "", added.len);
    size_t end = x.len;
    buf_adds(&x, " ");
    size_t tail = x.len;
    buf_add(&x, p.text + at, p.len - at);
    item->pieces = calloc(3, sizeof *item->pieces);
    item->oracle = bytes_dup(p.text, p.len);
    size_t len = 0;
    item->x = buf_take(&x, &len);
    if (status != S2A_OK || !item->pieces || !item->oracle || !item->x) {
        status = error_nomem(err);
    } else {
        item->pieces[0] = (eval_piece){ 0, before, EVAL_NEEDED };
        item->pieces[1] = (eval_piece){ start, end, EVAL_DISTRACTOR };
        item->pieces[2] = (eval_piece){ tail, len, EVAL_NEEDED };
        item->piece_count = 3;
        item->k = spec->k;
    }
    buf_free(&x);
    buf_free(&added);
    return status;
}
