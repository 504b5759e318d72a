#include "bench/prompt.h"

#include "base/error.h"
#include "eval/stats.h"

#include <string.h>

static const char *const first[] = { "Ar",  "Bel", "Cor",  "Dun", "El",  "Fal", "Gren", "Hol",
                                     "Ist", "Kar", "Lin",  "Mor", "Nor", "Ost", "Pell", "Quen",
                                     "Ros", "Sel", "Tarn", "Ulm", "Ver", "Wes", "Yar",  "Zell" };
static const char *const middle[] = { "", "a", "den", "mar", "in", "o", "ver", "el" };
static const char *const last[] = { "wick", "holt", "ford", "stead", "mouth",
                                    "by",   "ton",  "burg", "dale",  "haven" };
static const char *const people[] = { "Anna",  "Boris", "Clara", "David", "Edith", "Farid",
                                      "Greta", "Hugo",  "Irene", "Jonas", "Katya", "Leon",
                                      "Maria", "Nils",  "Olga",  "Pavel" };
static const char *const things[] = { "library",         "bridge",           "harbour",
                                      "theatre",         "observatory",      "market hall",
                                      "railway station", "museum",           "lighthouse",
                                      "town hall",       "botanical garden", "school of music" };

/* %T a town, %P a person, %G a thing, %Y a year, %N a number. */
static const char *const templates[] = {
    "The %G of %T has %N rooms and is closed on Mondays.",
    "%P moved from %T to %T in the spring of %Y.",
    "About %N people visit the %G of %T each summer.",
    "A storm damaged the roof of the %G of %T in %Y, and %N volunteers repaired it.",
    "%P wrote to the council of %T that the %G was too noisy at night.",
    "The road from %T to %T is %N kilometres long and crosses two rivers.",
    "In %Y the town of %T sold its old %G to a merchant named %P.",
    "%P keeps %N sheep on a hill above %T.",
    "The bakery beside the %G of %T opens at six and sells out by noon.",
    "Each autumn the schools of %T and %T meet for a race of %N metres.",
    "%P painted the %G of %T in oil, and the picture hung there until %Y.",
    "A ferry between %T and %T carries at most %N passengers.",
    "The newspaper of %T printed %N copies on the day when %P was elected mayor.",
    "Nobody in %T remembers why the clock of the %G runs %N minutes late.",
    "%P and %P met at the %G of %T and married in %Y.",
    "The apples that are sold at the market of %T come from %N orchards near %T.",
};

typedef struct writer {
    stats_rng rng;
    buf *out;
} writer;

#define PICK(w, list) ((list)[stats_rng_below(&(w)->rng, sizeof(list) / sizeof *(list))])

static void write_town(writer *w)
{
    buf_addf(w->out, "%s%s%s", PICK(w, first), PICK(w, middle), PICK(w, last));
}

static void write_template(writer *w, const char *template)
{
    for (const char *c = template; *c; c++) {
        if (*c != '%') {
            buf_add(w->out, c, 1);
            continue;
        }
        switch (*++c) {
        case 'T':
            write_town(w);
            break;
        case 'P':
            buf_adds(w->out, PICK(w, people));
            break;
        case 'G':
            buf_adds(w->out, PICK(w, things));
            break;
        case 'Y':
            buf_addf(w->out, "%d", 1700 + (int)stats_rng_below(&w->rng, 300));
            break;
        default:
            buf_addf(w->out, "%d", 3 + (int)stats_rng_below(&w->rng, 990));
            break;
        }
    }
}

/* The fact, the opinion about it and the question, each in a buffer of its own. */
static void write_core(writer *w, buf parts[3])
{
    buf town;
    buf_init(&town, 256);
    w->out = &town;
    write_town(w);
    const char *thing = PICK(w, things), *who = PICK(w, people);
    int year = 1700 + (int)stats_rng_below(&w->rng, 300);
    int wrong = year + 11 + (int)stats_rng_below(&w->rng, 40);
    const char *name = town.data ? town.data : "";
    buf_addf(&parts[0], "The %s of %s was opened in %d by %s, who had paid for it.", thing, name,
             year, who);
    buf_addf(&parts[1], "I think it was in %d, but I am really not sure.", wrong);
    buf_addf(&parts[2], "In which year was the %s of %s opened?", thing, name);
    if (town.status != S2A_OK)
        parts[0].status = town.status;
    buf_free(&town);
}

static bool add_counted(buf *text, bench_count_fn count, void *ctx, size_t *total)
{
    size_t n = text->status == S2A_OK ? count(ctx, text->data, text->len) : 0;
    *total += n;
    return n > 0;
}

/* Sentences about something else, one a line of *list, until there are enough tokens. */
static bool write_rest(writer *w, uint32_t tokens, bench_count_fn count, void *ctx, size_t total,
                       buf *list, size_t *lines)
{
    buf line;
    buf_init(&line, 4096);
    bool ok = true;
    for (*lines = 0; total < tokens; ++*lines) {
        buf_reset(&line);
        w->out = &line;
        write_template(w, PICK(w, templates));
        size_t before = total;
        ok = add_counted(&line, count, ctx, &total);
        /* The last one is left out where the text comes closer to its length without it. */
        if (!ok || (total > tokens && total - tokens > tokens - before))
            break;
        buf_add(list, line.data, line.len);
        buf_adds(list, "\n");
    }
    buf_free(&line);
    return ok && list->status == S2A_OK;
}

static void join(const buf *list, size_t lines, size_t fact_at, const buf parts[3], buf *out)
{
    const char *at = list->data;
    for (size_t i = 0; i <= lines; i++) {
        if (i == fact_at)
            buf_addf(out, "%s ", parts[0].data);
        if (i == lines)
            break;
        const char *end = strchr(at, '\n');
        buf_add(out, at, (size_t)(end - at));
        buf_adds(out, " ");
        at = end + 1;
    }
    buf_addf(out, "%s %s", parts[1].data, parts[2].data);
}

s2a_status bench_prompt_build(uint64_t seed, uint32_t tokens, bench_count_fn count, void *ctx,
                              buf *out, s2a_error *err)
{
    if (tokens < BENCH_PROMPT_TOKENS_MIN || tokens > BENCH_PROMPT_TOKENS_MAX)
        return error_set(err, S2A_ARGUMENT, "a prompt of %u tokens: give %u to %u", tokens,
                         BENCH_PROMPT_TOKENS_MIN, BENCH_PROMPT_TOKENS_MAX);
    writer w = { .out = NULL };
    stats_rng_seed(&w.rng, seed);
    buf parts[3], list;
    size_t total = 0, lines = 0;
    buf_init(&list, (size_t)64 << 20);
    for (size_t i = 0; i < 3; i++)
        buf_init(&parts[i], 4096);
    write_core(&w, parts);
    bool ok = true;
    for (size_t i = 0; i < 3 && ok; i++)
        ok = add_counted(&parts[i], count, ctx, &total);
    ok = ok && write_rest(&w, tokens, count, ctx, total, &list, &lines);
    s2a_status status = S2A_OK;
    if (ok)
        join(&list, lines, stats_rng_below(&w.rng, lines + 1), parts, out);
    else
        status = list.status == S2A_NOMEM ? error_nomem(err)
                                          : error_set(err, S2A_BACKEND,
                                                      "the tokens of a sentence "
                                                      "could not be counted");
    if (ok && out->status != S2A_OK)
        status = error_set(err, out->status, "%s", s2a_status_text(out->status));
    for (size_t i = 0; i < 3; i++)
        buf_free(&parts[i]);
    buf_free(&list);
    return status;
}
