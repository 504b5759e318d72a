/* The verdict for people, and the CSV files. */
#include "bench/report.h"

#include "eval/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- verdict ---------------------------------------------------------------------------- */

static void goal_text(char *out, size_t size, const bench_figure_info *info)
{
    static const char *const words[] = { "at least ", "at most ", "more than ", "" };
    if (info->side == BENCH_FREE)
        snprintf(out, size, "%s", "none of its own");
    else
        snprintf(out, size, "%s%g", words[info->side], info->goal);
}

static void figure_line(const bench_report *r, bench_figure_id id, buf *out)
{
    static const char *const words[] = { "met", "MISSED", "", "not measured" };
    const bench_figure *f = &r->figures[id];
    char value[32] = "-", goal[32];
    if (isfinite(f->value))
        snprintf(value, sizeof value, "%.2f", f->value);
    goal_text(goal, sizeof goal, &bench_figures[id]);
    buf_addf(out, "  %-58s %7s   %-16s", bench_figures[id].words, value, goal);
    const char *verdict = words[bench_figure_verdict(id, f->value)];
    if (*verdict)
        buf_addf(out, " %s", verdict);
    else
        while (out->len > 0 && out->data[out->len - 1] == ' ')
            out->len--;
    buf_adds(out, "\n");
}

static void reasons(const bench_report *r, buf *out)
{
    for (int i = 0; i < BENCH_FIGURES; i++)
        if (!isfinite(r->figures[i].value))
            buf_addf(out, "  %s: not measured: %s\n", bench_figures[i].name, r->figures[i].reason);
}

static void counts(const bench_report *r, buf *out)
{
    size_t met = 0, missed = 0, none = 0, goals = 0, least = SIZE_MAX;
    for (int i = 0; i < BENCH_FIGURES; i++) {
        bench_verdict v = bench_figure_verdict((bench_figure_id)i, r->figures[i].value);
        goals += bench_figures[i].side != BENCH_FREE;
        met += v == BENCH_MET;
        missed += v == BENCH_MISSED;
        none += v == BENCH_NOT_MEASURED && bench_figures[i].side != BENCH_FREE;
        if (i != BENCH_FIGURE_RSS && r->figures[i].n > 0 && r->figures[i].n < least)
            least = r->figures[i].n;
    }
    buf_addf(out, "%zu of %zu goals met, %zu missed, %zu not measured. ", met, goals, missed, none);
    if (least != SIZE_MAX)
        buf_addf(out, "Medians of %zu run%s or more.\n", least, least == 1 ? "" : "s");
    else
        buf_adds(out, "\n");
    if (r->machine.load > 0.5 * r->machine.cores)
        buf_addf(out,
                 "The machine was busy when the run began (load %.1f on %u core%s): these "
                 "figures are not to be quoted.\n",
                 r->machine.load, r->machine.cores, r->machine.cores == 1 ? "" : "s");
    if (r->quick)
        buf_adds(out, "This is a first reading (--quick).\n");
}

/* ---- table ------------------------------------------------------------------------------ */

static void seconds(buf *out, double ms)
{
    if (isfinite(ms))
        buf_addf(out, " %9.2f", ms / 1e3);
    else
        buf_addf(out, " %9s", "-");
}

static void cell_line(const bench_report *r, bench_arm arm, const bench_block *b, buf *out)
{
    bench_spread step1 =
        bench_spread_of(&r->samples, arm, b->length, b->concurrency, BENCH_STEP1_MS);
    bench_spread total =
        bench_spread_of(&r->samples, arm, b->length, b->concurrency, BENCH_TOTAL_MS);
    bench_spread rate =
        bench_spread_of(&r->samples, arm, b->length, b->concurrency, BENCH_TOKENS_PER_S);
    if (total.n == 0)
        return;
    uint64_t drafted = 0, accepted = 0;
    for (size_t i = 0; i < r->samples.count; i++) {
        const bench_sample *s = &r->samples.items[i];
        if (s->arm == arm && s->length == b->length && s->concurrency == b->concurrency) {
            drafted += s->step1.drafted_tokens;
            accepted += s->step1.accepted_tokens;
        }
    }
    buf_addf(out, "  %-18s %6u %7u %4zu", bench_arms[arm].name, b->length, b->concurrency, total.n);
    seconds(out, bench_arms[arm].mode == S2A_MODE_NONE ? NAN : step1.median);
    seconds(out, total.median);
    buf_addf(out, " %9.1f", rate.median);
    if (drafted > 0)
        buf_addf(out, " %8.0f %%", 100.0 * (double)accepted / (double)drafted);
    buf_adds(out, "\n");
}

static void processes(const bench_report *r, buf *out)
{
    buf_addf(out, "\n  %-30s %12s %14s %12s\n", "process", "peak MiB", "start to ready", "first");
    for (int i = 0; i < BENCH_PEERS; i++)
        if (r->cold[i].open_ms > 0)
            buf_addf(out, "  %-30s %12.0f %12.2f s %10.2f s\n", bench_peer_names[i],
                     (double)bench_peak_kb(&r->samples, (bench_peer_id)i) / 1024,
                     r->cold[i].open_ms / 1e3, r->cold[i].first_ms / 1e3);
}

void bench_report_text(const bench_report *r, buf *out)
{
    uint32_t length = r->plan.count > 0 ? r->plan.blocks[0].length : 0;
    buf_addf(out, "%s, %u thread%s, prompts of %u tokens", r->model, r->threads,
             r->threads == 1 ? "" : "s", length);
    if (r->kernels[0])
        buf_addf(out, "; kernels of our own (%s)", r->kernels);
    if (r->server_version[0])
        buf_addf(out, "; llama-server %s", r->server_version);
    if (r->speculation[0])
        buf_addf(out, ", best speculation: %s", r->speculation);
    buf_addf(out, "\n\n  %-58s %7s   goal\n", "", "figure");
    for (int i = 0; i < BENCH_FIGURES; i++)
        figure_line(r, (bench_figure_id)i, out);
    buf_adds(out, "\n");
    counts(r, out);
    reasons(r, out);
    buf_addf(out, "\n  %-18s %6s %7s %4s %9s %9s %9s %10s\n", "arm", "tokens", "at once", "n",
             "step 1 s", "total s", "tokens/s", "accepted");
    for (size_t i = 0; i < r->plan.count; i++)
        for (int arm = 0; arm < BENCH_ARMS; arm++)
            cell_line(r, (bench_arm)arm, &r->plan.blocks[i], out);
    processes(r, out);
    buf_addf(out, "\n  segment %.0f MB/s, parse %.0f MB/s; %.1f minutes in all\n",
             r->micro.segment_mb_per_s, r->micro.parse_mb_per_s, r->minutes);
}

/* ---- CSV -------------------------------------------------------------------------------- */

void bench_report_runs_csv(const bench_report *r, buf *out)
{
    buf_adds(out, "arm,length,concurrency,repetition,input_tokens,step1_ms,total_ms,wall_ms,"
                  "step1_prompt_tokens,step1_cached_tokens,step1_completion_tokens,drafted_tokens,"
                  "accepted_tokens,step2_prompt_tokens,step2_cached_tokens,step2_completion_tokens,"
                  "fallbacks,peak_rss_kb\n");
    for (size_t i = 0; i < r->samples.count; i++) {
        const bench_sample *s = &r->samples.items[i];
        buf_addf(out, "%s,%u,%u,%u,%" PRIu64 ",%.3f,%.3f,%.3f,", bench_arms[s->arm].name, s->length,
                 s->concurrency, s->repetition, s->input_tokens, s->step1_ms, s->total_ms,
                 s->wall_ms);
        buf_addf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",",
                 s->step1.prompt_tokens, s->step1.cached_tokens, s->step1.completion_tokens,
                 s->step1.drafted_tokens, s->step1.accepted_tokens);
        buf_addf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%u,%" PRIu64 "\n",
                 s->step2.prompt_tokens, s->step2.cached_tokens, s->step2.completion_tokens,
                 s->fallbacks, s->peak_kb);
    }
}

static void csv_spread(buf *out, bench_spread s)
{
    const double values[] = { s.median, s.low, s.high };
    for (size_t i = 0; i < 3; i++)
        if (isfinite(values[i]))
            buf_addf(out, ",%.3f", values[i]);
        else
            buf_adds(out, ",");
}

void bench_report_cells_csv(const bench_report *r, buf *out)
{
    static const bench_field fields[] = { BENCH_STEP1_MS,       BENCH_TOTAL_MS,
                                          BENCH_REQUESTS_PER_S, BENCH_TOKENS_PER_S,
                                          BENCH_READ_TOKENS,    BENCH_WRITTEN_TOKENS };
    static const char *const names[] = { "step1_ms",     "total_ms",    "requests_per_s",
                                         "tokens_per_s", "read_tokens", "written_tokens" };
    buf_adds(out, "arm,length,concurrency,n");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        buf_addf(out, ",%s,%s_q1,%s_q3", names[i], names[i], names[i]);
    buf_adds(out, "\n");
    for (size_t i = 0; i < r->plan.count; i++) {
        const bench_block *b = &r->plan.blocks[i];
        for (int arm = 0; arm < BENCH_ARMS; arm++) {
            size_t n = bench_spread_of(&r->samples, (bench_arm)arm, b->length, b->concurrency,
                                       BENCH_TOTAL_MS)
                           .n;
            if (n == 0)
                continue;
            buf_addf(out, "%s,%u,%u,%zu", bench_arms[arm].name, b->length, b->concurrency, n);
            for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
                csv_spread(out, bench_spread_of(&r->samples, (bench_arm)arm, b->length,
                                                b->concurrency, fields[k]));
            buf_adds(out, "\n");
        }
    }
}

void bench_report_figures_csv(const bench_report *r, buf *out)
{
    static const char *const words[] = { "met", "missed", "no goal", "not measured" };
    buf_adds(out, "figure,value,goal,verdict,n,reason\n");
    for (int i = 0; i < BENCH_FIGURES; i++) {
        const bench_figure *f = &r->figures[i];
        char goal[32];
        goal_text(goal, sizeof goal, &bench_figures[i]);
        buf_addf(out, "%s,", bench_figures[i].name);
        if (isfinite(f->value))
            buf_addf(out, "%.4f", f->value);
        buf_addf(out, ",%s,%s,%zu,", goal,
                 words[bench_figure_verdict((bench_figure_id)i, f->value)], f->n);
        text_add_csv(out, f->reason);
        buf_adds(out, "\n");
    }
}
