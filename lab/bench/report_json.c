/* The JSON object of the benchmark. */
#include "bench/report.h"

#include <math.h>
#include <stdlib.h>

/* Cells: each arm at each length and concurrency of the plan. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *spread(bench_spread s)
{
    return json_pack("{s:o,s:o,s:o}", "median", number(s.median), "q1", number(s.low), "q3",
                     number(s.high));
}

static json_t *machine(const bench_machine *m)
{
    return json_pack("{s:s,s:I,s:I,s:s,s:s,s:o}", "cpu", m->cpu, "cores", (json_int_t)m->cores,
                     "memory_kb", (json_int_t)m->memory_kb, "kernel", m->kernel, "started",
                     m->started, "load", number(m->load));
}

static json_t *settings(const bench_report *r)
{
    return json_pack("{s:s,s:b,s:I,s:I,s:I,s:I,s:I}", "backend", r->backend, "quick", (int)r->quick,
                     "threads", (json_int_t)r->threads, "ctx_tokens", (json_int_t)r->ctx_tokens,
                     "slots", (json_int_t)r->slots, "max_tokens", (json_int_t)r->max_tokens, "seed",
                     (json_int_t)r->seed);
}

static json_t *server(const bench_report *r)
{
    json_t *trials = json_array();
    for (size_t i = 0; i < r->trial_count; i++)
        json_array_append_new(trials, json_pack("{s:s,s:o}", "speculation", r->trials[i].about,
                                                "step1_ms", number(r->trials[i].step1_ms)));
    return json_pack("{s:s,s:s,s:o}", "version", r->server_version, "speculation", r->speculation,
                     "trials", trials);
}

static json_t *peers(const bench_report *r)
{
    json_t *out = json_object();
    for (int i = 0; i < BENCH_PEERS; i++) {
        const bench_cold *cold = &r->cold[i];
        uint64_t peak = bench_peak_kb(&r->samples, (bench_peer_id)i);
        if (cold->open_ms > 0)
            json_object_set_new(out, bench_peer_names[i],
                                json_pack("{s:f,s:f,s:I}", "cold_open_ms", cold->open_ms,
                                          "cold_first_request_ms", cold->first_ms, "peak_rss_kb",
                                          (json_int_t)peak));
    }
    return out;
}

static void share_set(json_t *object, const char *name, uint64_t part, uint64_t whole)
{
    json_object_set_new(object, name,
                        whole > 0 ? json_real((double)part / (double)whole) : json_null());
}

static json_t *cell(const bench_report *r, bench_arm arm, uint32_t length, uint32_t at_once)
{
    static const struct {
        const char *name;
        bench_field field;
    } fields[] = {
        { "step1_ms", BENCH_STEP1_MS },
        { "total_ms", BENCH_TOTAL_MS },
        { "wall_ms", BENCH_WALL_MS },
        { "requests_per_s", BENCH_REQUESTS_PER_S },
        { "tokens_per_s", BENCH_TOKENS_PER_S },
        { "prefill_tokens_per_s", BENCH_PREFILL_PER_S },
        { "generated_tokens_per_s", BENCH_GENERATE_PER_S },
        { "read_tokens", BENCH_READ_TOKENS },
        { "written_tokens", BENCH_WRITTEN_TOKENS },
    };
    uint64_t drafted = 0, accepted = 0, fallbacks = 0;
    size_t n = 0;
    for (size_t i = 0; i < r->samples.count; i++) {
        const bench_sample *s = &r->samples.items[i];
        if (s->arm != arm || s->length != length || s->concurrency != at_once)
            continue;
        drafted += s->step1.drafted_tokens;
        accepted += s->step1.accepted_tokens;
        fallbacks += s->fallbacks;
        n++;
    }
    if (n == 0)
        return NULL;
    json_t *out = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "arm", bench_arms[arm].name, "length",
                            (json_int_t)length, "concurrency", (json_int_t)at_once, "n",
                            (json_int_t)n, "fallbacks", (json_int_t)fallbacks, "drafted_tokens",
                            (json_int_t)drafted, "accepted_tokens", (json_int_t)accepted);
    share_set(out, "acceptance", accepted, drafted);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        json_object_set_new(
            out, fields[i].name,
            spread(bench_spread_of(&r->samples, arm, length, at_once, fields[i].field)));
    return out;
}

static json_t *cells(const bench_report *r)
{
    json_t *out = json_array();
    for (size_t i = 0; i < r->plan.count; i++)
        for (int arm = 0; arm < BENCH_ARMS; arm++) {
            json_t *one =
                cell(r, (bench_arm)arm, r->plan.blocks[i].length, r->plan.blocks[i].concurrency);
            if (one)
                json_array_append_new(out, one);
        }
    return out;
}

static json_t *runs(const bench_report *r)
{
    json_t *out = json_array();
    for (size_t i = 0; i < r->samples.count; i++) {
        const bench_sample *s = &r->samples.items[i];
        json_array_append_new(
            out,
            json_pack("{s:s,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:I}", "arm", bench_arms[s->arm].name,
                      "length", (json_int_t)s->length, "concurrency", (json_int_t)s->concurrency,
                      "repetition", (json_int_t)s->repetition, "input_tokens",
                      (json_int_t)s->input_tokens, "step1_ms", s->step1_ms, "total_ms", s->total_ms,
                      "wall_ms", s->wall_ms, "peak_rss_kb", (json_int_t)s->peak_kb));
    }
    return out;
}

/* What the two goals that grow with length are at each length. */
static json_t *by_length(const bench_report *r)
{
    json_t *out = json_array();
    for (size_t i = 0; i < r->plan.count; i++) {
        const bench_block *b = &r->plan.blocks[i];
        if (b->concurrency != 1)
            continue;
        bench_figure f[BENCH_FIGURES];
        bench_figures_compute(&r->samples, &r->skips, b->length, f);
        json_array_append_new(out, json_pack("{s:I,s:o,s:o,s:o,s:o,s:o}", "length",
                                             (json_int_t)b->length,
                                             bench_figures[BENCH_FIGURE_SELECT_STEP1].name,
                                             number(f[BENCH_FIGURE_SELECT_STEP1].value),
                                             bench_figures[BENCH_FIGURE_SELECT_TOTAL].name,
                                             number(f[BENCH_FIGURE_SELECT_TOTAL].value),
                                             bench_figures[BENCH_FIGURE_REWRITE].name,
                                             number(f[BENCH_FIGURE_REWRITE].value),
                                             bench_figures[BENCH_FIGURE_REWRITE_SHARE].name,
                                             number(f[BENCH_FIGURE_REWRITE_SHARE].value),
                                             bench_figures[BENCH_FIGURE_REWRITE_SPEC].name,
                                             number(f[BENCH_FIGURE_REWRITE_SPEC].value)));
    }
    return out;
}

static json_t *not_measured(const bench_report *r)
{
    json_t *out = json_object();
    for (int i = 0; i < BENCH_FIGURES; i++)
        if (!isfinite(r->figures[i].value))
            json_object_set_new(out, bench_figures[i].name, json_string(r->figures[i].reason));
    return out;
}

static json_t *skips(const bench_report *r)
{
    json_t *out = json_array();
    for (size_t i = 0; i < r->skips.count; i++) {
        const bench_skip *s = &r->skips.items[i];
        json_array_append_new(
            out, json_pack("{s:s,s:o,s:o,s:s}", "arm", bench_arms[s->arm].name, "length",
                           s->length ? json_integer(s->length) : json_null(), "concurrency",
                           s->concurrency ? json_integer(s->concurrency) : json_null(), "reason",
                           s->reason));
    }
    return out;
}

json_t *bench_report_json(const bench_report *r)
{
    json_t *out = json_object(), *detail = json_object();
    for (int i = 0; i < BENCH_FIGURES; i++)
        json_object_set_new(out, bench_figures[i].name, number(r->figures[i].value));
    json_object_set_new(detail, "not_measured", not_measured(r));
    json_object_set_new(detail, "version", json_string(s2a_version()));
    json_object_set_new(detail, "machine", machine(&r->machine));
    json_object_set_new(detail, "model",
                        json_pack("{s:s,s:s,s:I,s:s}", "name", r->model, "file", r->model_file,
                                  "bytes", (json_int_t)r->model_bytes, "sha256", r->model_sha256));
    json_object_set_new(detail, "kernels", json_string(r->kernels));
    json_object_set_new(detail, "settings", settings(r));
    json_object_set_new(detail, "server", server(r));
    json_object_set_new(detail, "processes", peers(r));
    json_object_set_new(detail, "segment_mb_per_s", number(r->micro.segment_mb_per_s));
    json_object_set_new(detail, "parse_mb_per_s", number(r->micro.parse_mb_per_s));
    json_object_set_new(detail, "minutes", number(r->minutes));
    json_object_set_new(detail, "by_length", by_length(r));
    json_object_set_new(detail, "cells", cells(r));
    json_object_set_new(detail, "runs", runs(r));
    json_object_set_new(detail, "left_out", skips(r));
    if (!out || json_object_set_new(out, "detail", detail) != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}
