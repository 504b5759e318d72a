#include "backend/llama/draft.h"

#include <stdlib.h>
#include <string.h>

#define RECENT (sizeof((draft *)0)->recent / sizeof(uint32_t))
#define FORGET 0.97      /* factor of a rate's older outcomes at each new one */
#define WORTH 1.05       /* a draft must promise this much more text a second */
#define LEAST_CHANCE 0.2 /* least chance of a draft's last token */
#define ROWS_AT_ONCE 4   /* kernels for many rows take this many at once, and the rest one by one */
#define NEAR 96          /* tokens ahead of the pointer within which a shorter match is enough */

/* A drafted token: the first at a new place; the first of a unit or line; any other. */
enum { FRESH, BORDER, INSIDE };

bool draft_init(draft *d, size_t count)
{
    *d = (draft){ .at = DRAFT_LOST, .last = 0, .count = count };
    /* The first guess: a copy usually continues inside a sentence, and may end where a sentence
     * does. */
    d->rate[FRESH] = (struct draft_rate){ 1.2, 2 };
    d->rate[BORDER] = (struct draft_rate){ 1.2, 2 };
    d->rate[INSIDE] = (struct draft_rate){ 3.6, 4 };
    d->source = calloc(count + 1, sizeof *d->source);
    return d->source != NULL;
}

void draft_free(draft *d)
{
    free(d->source);
    d->source = NULL;
}

/* How many of the last words stand immediately before source[next]. */
static size_t match_before(const draft *d, size_t next)
{
    size_t n = 0;
    while (n < d->recent_count && n < next && d->source[next - 1 - n].word == d->recent[n])
        n++;
    return n;
}

/* The place after the last generated words: the longest match, where the start of a unit counts as
 * 1.5 words. Of equal ones it is the nearest ahead of the last pointer, or the first. One word is
 * enough at the start of a unit, two within NEAR tokens ahead, three anywhere. */
static size_t place_find(const draft *d)
{
    size_t best = DRAFT_LOST, best_score = 0;
    for (size_t next = 1; next < d->count; next++) {
        size_t match = match_before(d, next);
        if (match == 0)
            continue;
        bool start = d->source[next - 1].start;
        bool ahead = next > d->last;
        if (!start && match < (ahead && next - d->last <= NEAR ? 2 : 3))
            continue;
        size_t score = 4 * match + (start ? 6 : 0) + (ahead ? 1 : 0);
        if (score > best_score) {
            best = next;
            best_score = score;
        }
    }
    return best;
}

void draft_take(draft *d, int32_t token, uint32_t word)
{
    memmove(d->recent + 1, d->recent, (RECENT - 1) * sizeof *d->recent);
    d->recent[0] = word;
    if (d->recent_count < RECENT)
        d->recent_count++;
    if (d->at != DRAFT_LOST && d->at < d->count &&
        (d->source[d->at].token == token || d->source[d->at].word == word)) {
        d->last = ++d->at;
        d->fresh = false;
        return;
    }
    d->at = place_find(d);
    d->fresh = true;
    if (d->at != DRAFT_LOST)
        d->last = d->at;
}

static int kind_of(const draft *d, size_t i)
{
    if (i == 0 && d->fresh)
        return FRESH;
    return d->source[d->at + i].start ? BORDER : INSIDE;
}

size_t draft_length(const draft *d, const cost_curve *cost, size_t rows, double others,
                    size_t limit, double *gain)
{
    if (d->at == DRAFT_LOST)
        return 0;
    size_t most = d->count - d->at, best = 0;
    if (most > limit)
        most = limit;
    if (most > DRAFT_MAX)
        most = DRAFT_MAX;
    double chance = 1, expected = 0, best_gain = 0;
    double best_rate = WORTH * (others + 1) / cost_of(cost, rows);
    for (size_t i = 0; i < most; i++) {
        const struct draft_rate *r = &d->rate[kind_of(d, i)];
        chance *= r->accepted / r->all;
        if (chance < LEAST_CHANCE)
            break;
        expected += chance;
        size_t all = rows + i + 1;
        if (all > ROWS_AT_ONCE && all % ROWS_AT_ONCE != 0 && i + 1 < most)
            continue;
        double rate = (others + 1 + expected) / cost_of(cost, all);
        if (rate > best_rate) {
            best_rate = rate;
            best = i + 1;
            best_gain = expected;
        }
    }
    *gain += best_gain;
    return best;
}

void draft_judge(draft *d, size_t drafted, size_t accepted)
{
    for (size_t i = 0; i < drafted && i <= accepted; i++) {
        struct draft_rate *r = &d->rate[kind_of(d, i)];
        r->accepted = r->accepted * FORGET + (i < accepted ? 1 : 0);
        r->all = r->all * FORGET + 1;
        if (r->accepted < 0.02 * r->all) /* so that the rate can recover */
            r->accepted = 0.02 * r->all;
    }
}
