#include "core/window.h"

#include "base/buf.h"
#include "base/error.h"

#include <stdlib.h>

typedef struct windows {
    const size_t *cost;
    size_t most, margin;
    window *items;
    size_t count, cap;
} windows;

/* Adds the window that decides [from, to) of a run of units [start, end), with the context beside
 * them. */
static bool add(windows *w, size_t start, size_t end, size_t from, size_t to, size_t sum)
{
    if (!array_reserve((void **)&w->items, &w->cap, w->count + 1, sizeof *w->items))
        return false;
    window *out = &w->items[w->count++];
    *out = (window){ from, to, from, to };
    size_t beside = 0;
    while (out->first > start && beside + w->cost[out->first - 1] <= w->margin &&
           sum + w->cost[out->first - 1] <= w->most) {
        size_t cost = w->cost[--out->first];
        beside += cost;
        sum += cost;
    }
    beside = 0;
    while (out->last < end && beside + w->cost[out->last] <= w->margin &&
           sum + w->cost[out->last] <= w->most) {
        size_t cost = w->cost[out->last++];
        beside += cost;
        sum += cost;
    }
    return true;
}

/* A run of units that each fit a window. After each window the rest is divided evenly again,
 * because units vary in size. */
static bool add_run(windows *w, size_t start, size_t end, size_t total)
{
    size_t own = total <= w->most ? w->most : w->most - 2 * w->margin;
    for (size_t from = start, to = start; from < end; from = to) {
        size_t left = (total + own - 1) / own, target = (total + left - 1) / left, sum = 0;
        while (to < end && (to == from || (sum < target && sum + w->cost[to] <= own)))
            sum += w->cost[to++];
        if (!add(w, start, end, from, to, sum))
            return false;
        total -= sum;
    }
    return true;
}

s2a_status window_split(const size_t *cost, size_t count, size_t most, size_t margin, window **out,
                        size_t *out_count, s2a_error *err)
{
    windows w = { .cost = cost, .most = most, .margin = margin };
    bool ok = true;
    for (size_t at = 0; at < count && ok;) {
        size_t end = at, total = 0;
        while (end < count && cost[end] <= most)
            total += cost[end++];
        if (end > at)
            ok = add_run(&w, at, end, total);
        at = end < count ? end + 1 : end;
    }
    if (!ok) {
        free(w.items);
        w = (windows){ .count = 0 };
        error_nomem(err);
    }
    *out = w.items;
    *out_count = w.count;
    return ok ? S2A_OK : S2A_NOMEM;
}
