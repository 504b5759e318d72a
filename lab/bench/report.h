/* The result of a benchmark run, and its output as JSON, text, CSV and plots. */
#ifndef S2A_BENCH_REPORT_H
#define S2A_BENCH_REPORT_H

#include "base/buf.h"
#include "bench/figures.h"
#include "bench/micro.h"
#include "bench/plan.h"

#include <jansson.h>

typedef struct bench_machine {
    char cpu[128], kernel[128], started[32]; /* started: UTC, ISO 8601 */
    uint32_t cores;                          /* that this process may use */
    uint64_t memory_kb;
    double load; /* load of the last minute at the start of the run; NaN = unknown */
} bench_machine;

void bench_machine_look(bench_machine *out);

/* The cold start of a peer. */
typedef struct bench_cold {
    double open_ms;  /* from the start of its process until it accepted requests; 0 = not run */
    double first_ms; /* its first request, both steps */
} bench_cold;

#define BENCH_TRIALS_MAX 8

/* A kind of speculation of the server, tried once before the run. */
typedef struct bench_trial {
    char about[64];
    double step1_ms; /* NaN = it did not run */
} bench_trial;

typedef struct bench_report {
    bench_machine machine;
    char model[200], model_file[200], model_sha256[65];
    uint64_t model_bytes;
    char backend[16], kernels[32];             /* kernels: bench_engine_kernels of the workers */
    char server_version[128], speculation[64]; /* "" = none */
    uint32_t threads, ctx_tokens, slots, max_tokens;
    uint64_t seed;
    bool quick;
    double minutes; /* duration of the run */
    bench_plan plan;
    bench_samples samples;
    bench_skips skips;
    bench_cold cold[BENCH_PEERS];
    bench_trial trials[BENCH_TRIALS_MAX];
    size_t trial_count;
    bench_micro micro;
    bench_figure figures[BENCH_FIGURES];
} bench_report;

void bench_report_free(bench_report *report);

/* One object: the names of BENCH_FIGURE_MAP, each a number or null, and "detail". A new reference;
 * NULL when out of memory. */
json_t *bench_report_json(const bench_report *report);

/* The verdict and a table of the measurements. Failures stay in *out. */
void bench_report_text(const bench_report *report, buf *out);

/* runs.csv, cells.csv, figures.csv. Failures stay in *out. */
void bench_report_runs_csv(const bench_report *report, buf *out);
void bench_report_cells_csv(const bench_report *report, buf *out);
void bench_report_figures_csv(const bench_report *report, buf *out);

/* Makes the directory and writes runs.csv alone: to check early that it can be written, and to save
 * the runs of a stopped benchmark. S2A_IO, S2A_NOMEM. */
s2a_status bench_report_write_runs(const bench_report *report, const char *dir, s2a_error *err);
/* Writes the three CSV files, bench.json, verdict.txt, and the plots as SVG and PNG. */
s2a_status bench_report_write(const bench_report *report, const char *dir, s2a_error *err);

#endif
